# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in German, and in the light theme at a scale of 1.5. Pictures lie in out/window for people to look at."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.window.test_window import BASE, HERE, MODEL, ROOT, SUITES, extension_zip  # noqa: F401

LOOKS = {"german": ["language=de_DE"], "light": ["theme=light", "scale=1.5"]}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("look", LOOKS)
def test_the_panel_is_drawn_in(look, suite, extension_zip, tmp_path):  # noqa: F811
    if not (BASE / suite / ".blender").exists():
        pytest.skip(f"no chroot; make it with tests/window/blender_window/blender_window setup {suite}")
    if not MODEL.is_dir():
        pytest.skip("this checkout has no trained model")
    bound = {ROOT, Path("/tmp"), Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
    environment = os.environ | {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": "300"}
    play = [HERE / "blender_window" / "blender_window", "play", suite, extension_zip, HERE / "looks.py", tmp_path, sys.executable]
    done = subprocess.run([*play, *LOOKS[look]], env=environment, capture_output=True, text=True, timeout=400)
    shutil.copytree(tmp_path, ROOT / "out" / "window" / f"{look}-{suite}", dirs_exist_ok=True)
    assert (tmp_path / "report.json").is_file(), done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "error" not in report, report
    assert len(list(tmp_path.glob("*.png"))) == 8
    assert report["label"] == {"german": "Erzeugen", "light": "Generate"}[look]
