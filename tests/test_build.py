# SPDX-License-Identifier: GPL-3.0-or-later
"""The one command: wrong use is told at once, a failed installation says why, the zip is what Blender accepts."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import build
from core import __version__, install

ROOT = Path(build.__file__).parent


def call(*arguments: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(root / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=300)


def test_there_is_one_version():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert manifest["version"] == __version__ and f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_requirement_is_pinned_once():
    for files in (["engine", "text-encoder", "train", "dev", "constraints"], ["blender"]):
        lines = [line for name in files for line in (install.REQUIREMENTS / f"{name}.txt").read_text().splitlines()]
        pins = [line for line in lines if line and not line.startswith("#")]
        assert all(pin.count("==") == 1 for pin in pins)
        names = [pin.split("==")[0].lower().replace("_", "-") for pin in pins]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        ([], 2, "usage"),
        (["paint"], 2, "usage"),
        (["--help"], 0, "generate"),
        (["generate"], 2, "PROMPT"),
        (["generate", "a chair", "--seed", "x"], 2, "--seed"),
        (["test", "engines"], 2, "engines"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(arguments, status, words):
    done = call(*arguments)
    assert done.returncode == status and words in done.stdout + done.stderr


def test_generate_passes_on_all_that_the_addon_understands(monkeypatch):
    """The options are the add-on's own; a prompt behind "--" takes none of them for its neighbour."""
    for name in ("engine_python", "blender_python"):
        monkeypatch.setattr(build, name, lambda *more: Path("python"))
    commands: list[list] = []
    monkeypatch.setattr(build, "run", lambda command: commands.append(command) or 0)
    arguments = ["--picture-size", "64", "--no-picture", "--", "a chair", "--a table"]
    assert build.generate(arguments) == 0
    assert commands[0][2:] == ["latte3d_blender.commands", "generate", "--engine", Path("python"), *arguments]

    def options(file: str, start: str, end: str) -> set[str]:
        text = (ROOT / file).read_text().partition(start)[2].partition(end)[0]
        return set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text))

    addon = options("latte3d_blender/commands.py", "def parser", "\ndef ")
    assert options("build.py", "def generate", "\ndef ") == addon - {"--engine"} and len(addon) > 8


def test_a_failed_installation_says_why_and_how_to_retry(tmp_path):
    shutil.copy(ROOT / "build.py", tmp_path)
    shutil.copytree(ROOT / "core" / "requirements", tmp_path / "core" / "requirements")
    for name in ("__init__.py", "install.py"):
        shutil.copy(ROOT / "core" / name, tmp_path / "core")
    done = call("generate", "a red chair", root=tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path), PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "numpy" in done.stderr or "torch==" in done.stderr
    assert done.stderr.rstrip().endswith('to retry: python3 build.py generate "a red chair"')
    assert not (tmp_path / ".venv" / install.STAMP).exists()


def test_nothing_is_done_twice(tmp_path, monkeypatch):
    target = tmp_path / "environment"
    install.environment_python(target).parent.mkdir(parents=True)
    install.environment_python(target).touch()
    install.write_stamp(target, {"dev.txt": install.fingerprint("dev.txt")})
    monkeypatch.setattr(install, "install", lambda *arguments, **options: pytest.fail("it installed again"))
    assert build.environment(target, ("dev.txt",), build.ENGINE_PYTHONS) == install.environment_python(target)


@pytest.mark.skipif(not install.installed(build.BLENDER), reason="needs .venv-blender")
def test_the_zip_holds_both_programs_and_nothing_else(tmp_path):
    assert build.package(["--out", str(tmp_path)]) == 0
    with zipfile.ZipFile(tmp_path / f"latte3d-{__version__}.zip") as archive:
        names = archive.namelist()
    assert {"blender_manifest.toml", "LICENSE", "__init__.py", "core/install.py", "core/worker.py", "core/requirements/engine.txt"} <= set(
        names
    )
    model = "core/weights/starter"
    kinds = json.loads((ROOT / model / "config.json").read_text())["kinds"]
    assert {f"{model}/pictures/{kind}.png" for kind in kinds} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests") or "/." in name or name.endswith(".whl")]


def test_the_engine_knows_its_commands(capsys):
    main = importlib.import_module("core.__main__").main
    assert main([]) == 2 and main(["paint"]) == 2 and main(["--help"]) == 0
    assert "benchmark" in capsys.readouterr().out
