# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, as its own process and in this one."""

import json
import subprocess
import sys

import bpy
import pytest

from latte3d_blender import commands
from tests.blender.conftest import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "latte3d_blender.commands", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_generate(fake_engine, tmp_path):
    """Two prompts, the same one twice: six files, a last line for machines, no chatter of Blender's on stdout."""
    out = tmp_path / "out"
    done = run(
        "generate",
        "A red Cube!",
        "A red Cube!",
        "--out",
        out,
        "--engine",
        fake_engine(),
        "--model",
        tmp_path,
        "--json",
        "--picture-size",
        48,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert [item["seed"] for item in result["objects"]] == [0, 1] and result["device"] == "cpu"
    assert {"networks", "wire", "insert"} <= result["objects"][0]["timings_ms"].keys() and result["objects"][0]["triangles"] == 12
    stems = ("a-red-cube", "a-red-cube-1")
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{stem}.{kind}" for stem in stems for kind in ("blend", "glb", "png"))
    assert "Saved" not in done.stdout and "Fra:" not in done.stdout
    bpy.ops.wm.open_mainfile(filepath=str(out / "a-red-cube-1.blend"))
    assert [item["latte3d_seed"] for item in bpy.data.objects] == [1]
    picture = bpy.data.images.load(str(out / "a-red-cube.png"))
    assert tuple(picture.size) == (48, 48)
    red, green, blue, _ = picture.pixels[4 * (24 * 48 + 24) :][:4]
    assert red > 2 * green and red > 2 * blue


@pytest.mark.parametrize(
    ("fault", "arguments", "status", "says"),
    [
        ("", ["generate", " "], 2, "prompt is empty"),
        ("", ["generate", "a cube", "--model", "/nowhere"], 1, "model is missing"),
        ("oom", ["generate", "a cube"], 1, "memory"),
        ("crash", ["generate", "a cube"], 1, "stopped unexpectedly"),
        ("", ["generate"], 2, "PROMPT"),
        ("", ["generate", "a cube", "--seed", "4294967296"], 2, "seed is out of range"),
    ],
)
def test_errors(fake_engine, tmp_path, capfd, fault, arguments, status, says):
    more = [] if "--model" in arguments else ["--model", str(tmp_path)]
    extra = ["--engine", fake_engine(fault), "--out", str(tmp_path / "out"), *more] if len(arguments) > 1 else []
    assert commands.main([*arguments, *extra]) == status
    assert says in capfd.readouterr().err
    assert not list(tmp_path.glob("out/*"))


def test_names():
    names, seeds = commands.names_and_seeds(["Ein Stuhl", "a chair", "ein  stuhl", "a chair", "☃"], 4)
    assert names == ["ein-stuhl", "a-chair", "ein-stuhl-4", "a-chair-5", "object"] and seeds == [4, 4, 4, 5, 4]
    assert len(commands.slug("very " * 100)) <= 60
