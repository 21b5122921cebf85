# SPDX-License-Identifier: GPL-3.0-or-later
"""Library & Training in a real Blender window: what is added, checked and trained, and what is left of it when Blender closes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.window.test_window import BASE, HERE, ROOT, SUITES, engine, extension_zip  # noqa: F401


def play(suite: str, script: str, out: Path, extension: Path, *words: str) -> dict:
    """Run a script in a window; what it reported, with its pictures in out/window."""
    if not (BASE / suite / ".blender").exists():
        pytest.skip(f"no chroot; make it with tests/window/blender_window/blender_window setup {suite}")
    bound = {ROOT, Path("/tmp"), Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
    environment = os.environ | {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": "900"}
    window = [HERE / "blender_window" / "blender_window", "play", suite, extension, HERE / script, out, *words]
    done = subprocess.run(window, env=environment, capture_output=True, text=True, timeout=1000)
    shutil.copytree(out, ROOT / "out" / "window" / f"{Path(script).stem}-{suite}", dirs_exist_ok=True)
    assert (out / "report.json").is_file(), done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    assert "error" not in report, report
    return report


@pytest.mark.parametrize("suite", SUITES)
def test_objects_to_training(suite, extension_zip, engine, tmp_path):  # noqa: F811
    shutil.copy(ROOT / "docs" / "images" / "hero.png", tmp_path / "picture.png")
    report = play(suite, "library.py", tmp_path, extension_zip, engine[0])
    assert report["after"] == report["undone"] == report["before"] and report["lamp"] == 0.0
    rows = (tmp_path / "library" / "prompts.csv").read_text().splitlines()
    assert rows[1:3] == ["a lamp,assets/lamp.blend,train", "an oak chair,assets/oak-chair.blend,train"]
    assert [4, "There is no file assets/none.blend."] in report["findings"]
    assert report["command"]["status"] == 1 and report["command"]["result"]["prompts"] == 2, report["command"]
    assert report["running"]
    status = tmp_path / "work" / "long" / "job.status"  # Blender has closed: so has the training, which can be resumed
    end = time.monotonic() + 60
    while not status.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert json.loads(status.read_text()) == 130


@pytest.mark.parametrize("suite", SUITES)
def test_a_training_ends_in_the_chooser(suite, extension_zip, engine, tmp_path):  # noqa: F811
    report = play(suite, "train.py", tmp_path, extension_zip, engine[0])
    assert report["status"] == 0 and report["result"]["finished"], report
    model, prompt, size = report["made"]
    assert (model, prompt) == (Path(report["result"]["model"]).name, "a ring") and min(size) > 0.01
