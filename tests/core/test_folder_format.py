# SPDX-License-Identifier: GPL-3.0-or-later
"""A library as people write it: everything that is wrong with it is told at once, each with its place."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.environment import REQUIREMENTS, installed
from core.errors import BadRequest
from core.library import cli
from core.library import format as library_format

TOML = 'name = "Props"\nlicence = "CC0-1.0"\nfront = "-y"\nunits = 1.0\n'


@pytest.fixture
def library(tmp_path):
    """Write a library of one asset: `library(csv, toml)`; text or bytes. Returns what is read, findings as (level, file, line, message)."""

    def write(prompts: str | bytes = "prompt,shape,split\na chair,chair.glb,train\n", toml: str | bytes = TOML):
        folder = tmp_path / "library"
        folder.mkdir(exist_ok=True)
        (folder / "chair.glb").write_bytes(b"glTF")
        for name, text in (("prompts.csv", prompts), ("library.toml", toml)):
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        read, findings = library_format.read(folder)
        return read, [(f.level, f.file, f.line, f.message) for f in findings]

    write.folder = tmp_path / "library"
    return write


def test_a_good_library_is_read(library):
    text = "prompt,shape,split,weight,height\na chair,chair.glb,train,2,0.9\n"
    text += '"a chair, old",chair.glb:Old Chair,paraphrases,,\nan idea,,train,,\n'
    read, findings = library(text)
    assert not findings
    assert (read.name, read.licence, read.front, read.units) == ("Props", "CC0-1.0", "-y", 1.0)
    assert read.shapes == ["chair.glb", "chair.glb:Old Chair"]
    assert [(p.text, p.split, p.weight, p.height_m) for p in read.prompts] == [
        ("a chair", "train", 2.0, 0.9),
        ("a chair, old", "paraphrases", 1.0, None),
        ("an idea", "train", 1.0, None),
    ]


def test_everything_wrong_is_told_at_once_with_its_line(library):
    rows = ["prompt,shape,split,weight", ",chair.glb,train,1", "a,chair.glb,test,1", "b,../chair.glb,train,1", "c,/etc/passwd,train,1",
            "d,C:\\chair.glb,train,1", "e,table.glb,train,1", "f,chair.max,train,1", "g,chair.glb,train,-1", "h,chair.glb,train",
            "red, round,chair.glb,train,1", "i,empty.glb,train,1", "j,link.glb,train,1", "k,chair.glb,train,1"]  # fmt: skip
    library.folder.mkdir()
    (library.folder / "empty.glb").touch()
    (library.folder.parent / "outside.glb").write_bytes(b"glTF")
    (library.folder / "link.glb").symlink_to(library.folder.parent / "outside.glb")
    read, findings = library("\n".join(rows), 'front = "north"\nunits = "feet"\nnme = "x"\n')
    expected = [
        ("warning", "library.toml", 0, "no licence"), ("fatal", "library.toml", 1, "'north'"), ("fatal", "library.toml", 2, "'feet'"),
        ("warning", "library.toml", 3, "nme"), ("error", "prompts.csv", 2, "empty"), ("error", "prompts.csv", 3, "'test'"),
        ("error", "prompts.csv", 4, "leaves"), ("error", "prompts.csv", 5, "absolute"), ("error", "prompts.csv", 6, "absolute"),
        ("error", "prompts.csv", 7, "no file table.glb"), ("error", "prompts.csv", 8, "chair.max"), ("error", "prompts.csv", 9, "'-1'"),
        ("error", "prompts.csv", 10, "3 cells"), ("error", "prompts.csv", 11, "in quotes"), ("error", "prompts.csv", 12, "empty file"),
        ("error", "prompts.csv", 13, "link"),
    ]  # fmt: skip
    told = sorted(findings, key=lambda f: (f[1], f[2]))
    assert [f[:3] for f in told] == [e[:3] for e in expected]
    assert all(e[3] in f[3] for e, f in zip(expected, told, strict=True)), told
    assert [p.text for p in read.prompts] == ["k"]


def test_a_file_from_excel_is_read(library):
    read, findings = library("\ufeffprompt;shape;split;height\na chair;chair.glb;train;0,9\n")
    assert [(level, line) for level, _, line, _ in findings] == [("warning", 1)] and "';'" in findings[0][3]
    assert read.prompts[0].height_m == 0.9


@pytest.mark.parametrize(
    ("prompts", "line", "words"),
    [
        ("prompt,shape,split\nein Stuhl,chair.glb,train\nein schöner Stuhl,chair.glb,train\n".encode("cp1252"), 3, "0xf6 is not UTF-8"),
        ("prompt,shape,split\n".encode("utf-16"), 1, "UTF-16"),
        ("prompt,file\na,chair.glb\n", 1, "Missing columns: shape, split"),
        ("", 1, "says nothing"),
        ("prompt,shape,split\n", 0, "no row"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(library, prompts, line, words):
    _, findings = library(prompts)
    assert [f[:3] for f in findings if f[0] == "fatal"] == [("fatal", "prompts.csv", line)]
    assert words in findings[0][3]


def test_warnings_do_not_stop_anything(library, capsys):
    (library.folder).mkdir()
    (library.folder / "spare.obj").write_text("v 0 0 0\n")
    _, findings = library("prompt,shape,split,note\na,chair.glb,train,x\nA,chair.glb,train,x\nb,chair.glb,unseen,x\n", 'licence = "CC0"\n')
    assert [f[0] for f in findings] == ["warning"] * 5  # units, column, twice, leak, spare
    assert library_format.check(library.folder, as_json=True) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"prompts": 3, "shapes": 1, "errors": 0, "warnings": 5}


def test_exit_status_of_check(library, tmp_path, capsys):
    library("prompt,shape,split\na,chair.glb,train\nb,gone.glb,train\n")
    assert library_format.check(library.folder, as_json=False) == 1
    assert "prompts.csv:3: There is no file gone.glb." in capsys.readouterr().out
    assert library_format.check(tmp_path / "nowhere", as_json=False) == 2


@pytest.mark.parametrize("command", ["prepare", "suggest"])
def test_without_blender_the_command_that_has_one_is_named(library, command):
    library()
    with pytest.raises(BadRequest, match=f"blender --command latte3d library {command} "):
        cli.main([command, str(library.folder)])


@pytest.mark.skipif(sys.platform == "win32", reason="reads the command as a POSIX shell does")
def test_what_set_up_leaves_out_comes_with_a_command_that_runs(library, tmp_path, monkeypatch):
    """From any folder, with nothing on the way to the modules; a Python of the user's own is told pip's."""
    library()
    monkeypatch.setitem(sys.modules, "igl", None)
    told = []
    for prefix in ([sys.prefix] if installed(Path(sys.prefix)) else []) + [str(tmp_path)]:
        monkeypatch.setattr(sys, "prefix", prefix)
        with pytest.raises(BadRequest, match="libigl") as refused:
            cli.main(["prepare", str(library.folder), "--blender", '["blender"]'])
        told.append(shlex.split(refused.value.remedy.removeprefix("Install it: ")))
    assert told[-1][:4] == [sys.executable, "-m", "pip", "install"] and str(REQUIREMENTS / "train.txt") in told[-1]
    for command in told[:-1]:
        assert command[0] == sys.executable and command[-2:] == ["--with", "train.txt"]
        bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run([*command, "--plan"], cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "on disk" in done.stderr
