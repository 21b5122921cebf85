# SPDX-License-Identifier: GPL-3.0-or-later
"""Variations, more like one, blends, restyling, history and assets in a real Blender window, made by the trained engine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.window.test_window import BASE, HERE, MODEL, ROOT, SUITES, extension_zip  # noqa: F401

SHAPES = ROOT / "docs" / "experiments" / "kaykit"  # a model that knows how closely to keep to a shape


@pytest.mark.parametrize("suite", SUITES)
def test_from_variations_to_assets(suite, extension_zip, tmp_path):  # noqa: F811
    if not (BASE / suite / ".blender").exists():
        pytest.skip(f"no chroot; make it with tests/window/blender_window/blender_window setup {suite}")
    if not MODEL.is_dir():
        pytest.skip("this checkout has no trained model")
    bound = {ROOT, Path("/tmp"), Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
    environment = os.environ | {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": "500"}
    play = [HERE / "blender_window" / "blender_window", "play", suite, extension_zip, HERE / "artist.py", tmp_path, sys.executable, SHAPES]
    done = subprocess.run(play, env=environment, capture_output=True, text=True, timeout=600)
    shutil.copytree(tmp_path, ROOT / "out" / "window" / f"artist-{suite}", dirs_exist_ok=True)
    assert (tmp_path / "report.json").is_file(), done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "error" not in report, report
    assert report["state"] == "READY" and report["knows"] == SHAPES.is_dir()
    # each is seen before the last is made; one undo step takes all six and nothing else, redo brings them back
    assert report["early"] and len(report["six"]) == 6
    assert report["undone"] == [[], True] and sorted(report["redone"][0]) == sorted(report["six"])
    assert len(report["kept"]) == 1 and report["more"] == 5 and report["blend"]
    assert report["restyled"] == ["a cake", pytest.approx(0.6), 1] and report["restyle_undone"] == [0, True]
    # a draft follows the seed; kept it is one step, which undo takes back with all drafts
    assert report["typed"] == "a green car" and report["live_kept"] == [1, 13, None] and report["live_undone"]
    assert report["clicked"][:2] != [0, 0]
    assert report["placed"] == 1 and report["placing_undone"] == 0 and report["history"][0] == 14
    assert report["assets"] and len(report["exported"]) == 1
    # what was made before Cancel stays; the engine looks between its steps whether it shall go on, each a fraction of a second
    assert all(1 <= made < 8 for made in report["made_before_cancel"]) and min(report["cancel_ms"]) < 1000
    assert report["after_load"] == [False, False, ""]
