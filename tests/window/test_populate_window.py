# SPDX-License-Identifier: GPL-3.0-or-later
"""Populate in a real Blender window: preset, preview, populate, cancel, resume, undo, re-roll, convert."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.window.test_window import BASE, HERE, ROOT, SUITES, engine, extension_zip  # noqa: F401


@pytest.mark.parametrize("suite", SUITES)
def test_preset_to_population(suite, extension_zip, engine, tmp_path):  # noqa: F811
    if not (BASE / suite / ".blender").exists():
        pytest.skip(f"no chroot; make it with tests/window/blender_window/blender_window setup {suite}")
    bound = {ROOT, Path("/tmp"), Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
    environment = os.environ | {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": "500"}
    window = [HERE / "blender_window" / "blender_window", "play", suite, extension_zip, HERE / "populate.py", tmp_path, *engine]
    done = subprocess.run(window, env=environment, capture_output=True, text=True, timeout=600)
    shutil.copytree(tmp_path, ROOT / "out" / "window" / f"populate-{suite}", dirs_exist_ok=True)
    assert (tmp_path / "report.json").is_file(), done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "error" not in report, report
    before, preview, populated = report["before"], report["preview"], report["resumed"]
    assert report["ground"] == ["Ground"] and before["instances"] == 0 and before["tops"] == []
    assert preview["instances"] == preview["told"] > 100 and preview["tops"] == ["Graveyard Preview"]
    cancelled = report["cancelled"]
    assert cancelled["kept"] >= 4 and cancelled["missing"] > 0 and cancelled["tops"] == ["Graveyard Preview"]
    assert populated["instances"] == populated["told"] > 100 and populated["tops"] == ["Graveyard"]
    assert report["overlaps"] == 0 and report["failed"] == []
    undone, redone = report["undone"], report["redone"]
    assert undone["tops"] == ["Graveyard Preview"] and undone["instances"] == preview["instances"], "one undo step, back to the preview"
    assert (redone["instances"], redone["tops"]) == (populated["instances"], ["Graveyard"])
    assert [one["seed"] for one in report["rerolled"]] == [1, 0] and all(one["tops"] == ["Graveyard"] for one in report["rerolled"])
    objects, instances, undone, redone = report["converted"]
    for one in (objects, undone):
        assert one["instances"] == 0 and one["objects"] >= populated["instances"], "one undo step each"
    assert instances["instances"] == redone["instances"] == populated["instances"] and instances["left"] == 0
    assert report["asked"]
    assert report["cleared"] == before
    assert max(report["longest_step_s"]) < 2.0, "nothing keeps Blender from drawing for long"
