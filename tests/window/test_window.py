# SPDX-License-Identifier: GPL-3.0-or-later
"""A new artist's way through a real Blender window, from the factory scene: install the zip, type a prompt, click Generate, Ctrl+Z,
Ctrl+Shift+Z, click again, choose a detail, be asked before debris, Add > Mesh > From Prompt…, F3.

The engine is the trained one where the checkout has one, else a canned cube. Pictures lie in out/window for people to look at.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BASE = Path(os.environ.get("BLENDER_WINDOW_DIR") or Path.home() / ".cache" / "blender-window")
MODEL = ROOT / "core" / "weights" / "starter"
SUITES = ("trixie", "sid")  # Blender 4.3 and 5.2


@pytest.fixture(scope="module")
def extension_zip(tmp_path_factory) -> Path:
    """The extension, as it is shipped."""
    import build

    source, made = tmp_path_factory.mktemp("zip") / "source", tmp_path_factory.mktemp("dist") / "latte3d.zip"
    build.stage(source)
    tool, tags = build.blender_tools()
    subprocess.run([sys.executable, tool, "build", "--source-dir", source, "--output-filepath", made, "--valid-tags", tags], check=True)
    return made


@pytest.fixture
def engine(tmp_path) -> list[str]:
    """The engine's Python, and a model folder where the zip brings none."""
    if MODEL.is_dir():
        return [sys.executable]  # the zip brings the model
    program = tmp_path / "engine"
    program.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{ROOT / "tests" / "fake_engine.py"}" --fail slow "$@"\n')
    program.chmod(0o755)
    return [str(program), str(tmp_path)]


def apart(one: list, other: list) -> bool:
    """Whether two boxes (lowest and highest corner) share no room."""
    return any(one[1][axis] <= other[0][axis] + 1e-4 or other[1][axis] <= one[0][axis] + 1e-4 for axis in range(3))


@pytest.mark.parametrize("suite", SUITES)
def test_prompt_to_object(suite, extension_zip, engine, tmp_path):
    if not (BASE / suite / ".blender").exists():
        pytest.skip(f"no chroot; make it with tests/window/blender_window/blender_window setup {suite}")
    bound = {ROOT, Path("/tmp"), Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
    environment = os.environ | {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": "500"}
    window = [HERE / "blender_window" / "blender_window", "play", suite, extension_zip, HERE / "generate.py", tmp_path, *engine]
    done = subprocess.run(window, env=environment, capture_output=True, text=True, timeout=600)
    pictures = ROOT / "out" / "window" / suite
    shutil.copytree(tmp_path, pictures, dirs_exist_ok=True)
    assert (tmp_path / "report.json").is_file(), done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "error" not in report and not report["fault"], report
    assert report["state"] == "READY" and report["prompt"] == "a red mushroom with white spots"
    assert report["before"] == ["Camera", "Cube", "Light"]
    assert len(report["generated"]) == 1 and report["active"] and report["selected"]
    assert report["texture"]["packed"] > 50 and max(report["texture"]["mean"]) > 0.1
    # one undo step takes the object and nothing else; redo brings it back with its texture
    assert report["undone"] == {"generated": [], "objects": report["before"]}
    assert report["redone"]["generated"] == report["generated"] and report["redone"]["texture"] == report["texture"]
    # the first click is seen, and so is the second, beside it, which costs no second mesh
    for item in (report["first"], report["second"]):
        assert item["pixels"] > 60 and item["inside"] and item["meets"].startswith("a red mushroom"), item
        assert apart(item["box"], report["cube"])
    assert apart(report["first_again"], report["second"]["box"]) and report["shared"]
    assert report["first_again"] == report["first"]["box"]
    if MODEL.is_dir():
        assert 8_000 < report["triangles"] < 16_000 and report["draft_triangles"] < report["triangles"] / 3
    assert report["detail"] == "draft"
    # what the model does not know is not made before the artist has answered
    assert report["question"]["generated"] == 3 and report["question"]["things"] and not report["question"]["fault"]
    assert report["instead"] not in ("a dragon", "") and report["popup"] == "a blue car"
    assert report["searched"] == {"generate": True, "prompt": True, "text to 3d": True}
    old, new, undone = report["here"]
    assert new[0] != old[0] and new[1:] == old[1:] and undone == old
