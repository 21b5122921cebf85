# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-texture in a real Blender window, made by the trained engine: a mushroom that was modelled by hand becomes red with white spots."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.window.test_window import BASE, HERE, MODEL, ROOT, SUITES, extension_zip  # noqa: F401


@pytest.mark.parametrize("suite", SUITES)
def test_a_mesh_is_painted(suite, extension_zip, tmp_path):  # noqa: F811
    if not (BASE / suite / ".blender").exists():
        pytest.skip(f"no chroot; make it with tests/window/blender_window/blender_window setup {suite}")
    if not MODEL.is_dir():
        pytest.skip("this checkout has no trained model")
    bound = {ROOT, Path("/tmp"), Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
    environment = os.environ | {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": "300"}
    play = [HERE / "blender_window" / "blender_window", "play", suite, extension_zip, HERE / "retexture.py", tmp_path, sys.executable]
    done = subprocess.run(play, env=environment, capture_output=True, text=True, timeout=400)
    shutil.copytree(tmp_path, ROOT / "out" / "window" / f"retexture-{suite}", dirs_exist_ok=True)
    assert (tmp_path / "report.json").is_file(), done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "error" not in report, report
    layers, materials, mean = report["painted"]
    assert layers == [*report["before"][0], "LATTE3D"] and len(materials) == 1
    assert mean[0] > 0.5 > max(mean[1:])  # mostly red
    assert report["undone"] == report["before"] and report["redone"] == report["painted"]  # one step, which redo brings back
    layers, materials, mean = report["own"]
    assert layers == report["painted"][0] and len(materials) == 1 and 0.2 < mean[0] < 0.7  # brown, and nothing piled up
    quads, faces, (layers, materials, mean) = report["quads"]
    assert quads == faces > 1500 and layers == ["LATTE3D"] and len(materials) == 1 and mean[0] > 0.5 > max(mean[1:])
    triangles, faces, (layers, _, _) = report["triangles_again"]
    assert triangles == faces > 8000 and layers == ["UVMap"]
    fault, same = report["refused"]
    assert "The UVs overlap" in fault and "Choose" not in fault.split(".")[0] and same
