# SPDX-License-Identifier: GPL-3.0-or-later
"""`train DIR` and `evaluate MODEL DIR` on Blender's side, with a program that stands in for the engine."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from latte3d_blender import arguments, commands, library_commands, machine, packages, running, train_commands
from latte3d_blender.client import installer
from latte3d_blender.client.engine import EngineFault
from latte3d_blender.running import Output
from tests.blender.conftest import ROOT

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses a shell and signals")
STARTER = str(ROOT / "core" / "weights" / "starter")

ENGINE = """
import json, os, signal, sys, time
from pathlib import Path
_, _, _, command, *words = sys.argv
say = lambda **event: print(json.dumps(event), flush=True)
with open(os.environ["CALLS"], "a") as file:
    print(json.dumps([command, *words]), file=file)
print("a warning", file=sys.stderr, flush=True)
if command == "plan":
    say(event="plan", text="It takes a while.", refusal=os.environ.get("REFUSAL", ""))
elif command == "library":
    rejected = [{"asset": "wreck.glb", "reason": "It is one."}] * ("NONE" in os.environ or "ONE" in os.environ)
    say(event="progress", stage="prepare", done=1, total=1, eta_s=None, asset="box.blend")
    if "FULL" in os.environ:
        sys.exit("error: the disk is full")
    say(prepared=0 if "NONE" in os.environ else 3, rejected=rejected, seconds=1.5)
    sys.exit(1 if rejected else 0)
elif "HANG" in os.environ:
    def stop(*_):
        say(model=None, finished=False)
        sys.exit(130)
    signal.signal(signal.SIGTERM, stop)
    say(event="progress", stage="reading", done=1, total=9)
    time.sleep(60)
else:
    print("No JSON" if "--json" in words else "The model is there.")
    if "--json" in words:
        say(model="m", finished=True)
"""


@pytest.fixture
def engine(tmp_path, monkeypatch) -> str:
    program, script = tmp_path / "engine", tmp_path / "engine.py"
    script.write_text(ENGINE)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return str(program)


@pytest.fixture
def library(tmp_path) -> Path:
    folder = tmp_path / "props"
    folder.mkdir()
    (folder / "library.toml").write_text('name = "Our Größere Things"\n')
    return folder


def calls(tmp_path: Path) -> dict[str, list[str]]:
    """What the engine was asked, by command."""
    rows = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    return {row[0]: row[1:] for row in rows}


@posix
def test_the_whole_way_in_json(engine, library, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("ONE", "1")
    monkeypatch.chdir(tmp_path)
    words = ["props", "--out", "m", "--minutes", "3", "--seed=4", "--workers", "2", "--json", "--engine", engine, "--rate", "0.1"]
    assert commands.main(["train", *words, "--log", "log"]) == 0
    said = capfd.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line.get("event", "") for line in lines] == ["plan", "progress", "prepared", ""]
    assert lines[2]["rejected"] == [{"asset": "wreck.glb", "reason": "It is one."}] and lines[-1] == {"model": "m", "finished": True}
    asked = calls(tmp_path)
    about = [str(library), "--out", str(tmp_path / "m"), "--from", STARTER, "--minutes=3", "--seed=4", "--rate", "0.1"]
    assert asked["train"] == asked["plan"] == [*about, "--json"] and list(asked) == ["plan", "library", "train"]
    assert asked["library"][:2] == ["prepare", str(library)] and asked["library"][-3:] == ["--workers", "2", "--json"]
    log = (tmp_path / "log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in log)
    assert sum("a warning" in line for line in log) == 3 == said.err.count("a warning") and "No JSON" in said.err


@posix
def test_in_words(engine, library, capfd, monkeypatch):
    monkeypatch.setenv("ONE", "1")
    assert train_commands.train([str(library), "--engine", engine, "--out", "m", "--from", "none"]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said == ["It takes a while.", "not used: wreck.glb: It is one.", "3 prepared, 1 not used, 2 s", "The model is there."]


@posix
@pytest.mark.parametrize(
    ("variables", "more", "status", "says"),
    [
        ({"NONE": "1"}, [], 2, "nothing to learn from"),
        ({"FULL": "1"}, [], 1, "the disk is full"),
        ({"REFUSAL": "This takes 9 GB of memory."}, [], 2, "9 GB of memory. Make room, or go on all the same with --yes."),
        ({"REFUSAL": "This takes 9 GB of memory."}, ["--yes"], 0, "goes on all the same"),
        ({}, ["--from", "nowhere"], 2, "no model 'nowhere'. There are starter"),
        ({}, ["--from", "/no/where"], 2, "no folder /no/where"),
        ({}, ["--log", "/no/where/log"], 2, "The log /no/where/log cannot be written"),
        ({}, ["--offline", "/no/where"], 2, "no folder /no/where"),
        ({}, ["--workers", "0"], 2, "number of workers"),
    ],
)
def test_what_stops_it(engine, library, tmp_path, capfd, monkeypatch, variables, more, status, says):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert train_commands.train([str(library), "--engine", engine, "--out", str(tmp_path / "m"), *more]) == status
    assert says in capfd.readouterr().err
    assert ((tmp_path / "calls").exists() and "train" in calls(tmp_path)) == (status == 0)


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_lets_the_engine_write_what_it_has_learnt(engine, library, tmp_path, number):
    command = [sys.executable, "-m", "latte3d_blender", "train", str(library), "--engine", engine, "--out", str(tmp_path / "m"), "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "HANG": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while '"reading"' not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130 and json.loads(out.splitlines()[-1]) == {"model": None, "finished": False}
    assert "the same command goes on" in said and "Traceback" not in said


@posix
def test_the_starter_library_goes_through_the_same_door(engine, tmp_path, capfd):
    """Nothing is prepared, and it begins from nothing; the engine reads its many options."""
    words = ["starter", "--out", str(tmp_path / "m"), "--steps", "3", "--reading-steps", "2", "--kinds", "mug,vase", "--pictures"]
    assert train_commands.train([*words, "--engine", engine]) == 0
    assert calls(tmp_path) == {
        "train": ["starter", "--out", str(tmp_path / "m"), "--steps=3", "--reading-steps", "2", "--kinds", "mug,vase", "--pictures"]
    }
    assert train_commands.train(["nowhere", "--engine", engine]) == 2 and "there is no folder nowhere" in capfd.readouterr().err


@posix
def test_evaluate(engine, library, tmp_path):
    usual = ["--engine", engine, "--json"]
    assert commands.main(["evaluate", "starter", str(library), "--split", "unseen", "--count", "9", "--sheet", "s.png", *usual]) == 0
    assert calls(tmp_path)["evaluate"] == [STARTER, str(library), "--split=unseen", "--count=9", "--sheet=s.png", "--json"]
    assert commands.main(["evaluate", "exact", "--texture-size", "64", "--fid", *usual]) == 0
    assert calls(tmp_path)["evaluate"] == ["exact", "--texture-size=64", "--fid", "--json"]


@posix
def test_refine(engine, tmp_path):
    """A prompt may begin with a dash; the options of the engine's refine that are not known here are passed on."""
    usual = ["--engine", engine, "--json", "--out", "a b.glb", "--rays-coarse=8"]
    assert commands.main(["refine", *usual, "--depth=sd", "--", "starter", "-5 apples"]) == 0
    options = ["--out=a b.glb", "--depth=sd", "--rays-coarse=8", "--json"]
    assert calls(tmp_path)["refine"] == [*options, "--", STARTER, "-5 apples"]
    assert commands.main(["refine", "starter", "an apple", *usual]) == 0
    assert commands.main(["refine", "starter", "an apple", "--engine", engine]) == 2  # no --out
    assert commands.main(["refine", "gone", "an apple", *usual]) == 2


# Models ---------------------------------------------------------------------------------------------------------------------------------


def test_a_model_goes_where_the_chooser_finds_it(library, tmp_path, monkeypatch):
    """Into the first of the preferences' folders that holds models, else into the add-on's own, which is then looked through."""
    monkeypatch.setattr(machine, "trained_models", lambda: tmp_path / "own")
    assert train_commands.home_of(library) == tmp_path / "own" / "our-grossere-things" and machine.model_folders() == ()
    (tmp_path / "own").mkdir()
    assert machine.model_folders() == (tmp_path / "own",)
    model, models = tmp_path / "a model", tmp_path / "models"
    for folder in (model, models):
        folder.mkdir()
    (model / "config.json").write_text("{}")
    monkeypatch.setattr(machine, "chosen_folders", lambda: (tmp_path / "unmounted", model, models))
    assert train_commands.home_of(library) == models / "our-grossere-things"
    assert machine.model_folders() == (tmp_path / "unmounted", model, models, tmp_path / "own")
    (library / "library.toml").write_text("name = 3")
    assert train_commands.name_of(library) == "props"


def test_a_model_is_named_by_the_id_that_the_chooser_shows(tmp_path, monkeypatch):
    for name, told in (("a", "toys"), ("b", "toys"), ("c", "starter"), ("other", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"generator": {}, "id": told} if told else {"vocabulary": 3}))
    monkeypatch.setattr(machine, "model_folders", lambda: (tmp_path, tmp_path / "a"))
    found = {name: machine.model_folder(name, ROOT) for name in ("starter", "toys", "toys-2", "starter-2")}
    assert found == {"starter": Path(STARTER), "toys": tmp_path / "a", "toys-2": tmp_path / "b", "starter-2": tmp_path / "c"}
    assert machine.model_folder(str(tmp_path / "other"), ROOT) == tmp_path / "other"
    with pytest.raises(EngineFault, match="There are starter, toys, toys-2, starter-2"):
        machine.model_folder("toys-3", ROOT)


# The packages for training --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    """An engine as Set Up leaves it, without the packages for training."""
    folder, module = tmp_path / "environment", installer._environment(ROOT)
    module.environment_python(folder).parent.mkdir(parents=True)
    module.environment_python(folder).touch()
    marks = {name: module.fingerprint(name) for name in module.ENGINE}
    (folder / module.STAMP).write_text(json.dumps({"requirements": marks}))
    monkeypatch.setattr(machine, "user_folder", lambda name="", create=False: folder if name == "engine" else None)
    return folder


def test_what_training_needs_is_installed_when_it_is_first_needed(environment, tmp_path, capsys, monkeypatch):
    """Said first, and told to machines; a Python of somebody's own is left alone; an engine that is not there at all is made."""
    asked: list[list[str]] = []

    def run(command, source, output, hear=None):
        asked.append(command)
        hear(json.dumps({"event": "plan", "text": "What training needs beside the engine: about 40 MB."}))
        hear(json.dumps({"event": "step", "done": 0, "total": 3, "text": "Installing"}))
        module = installer._environment(ROOT)
        marks = {name: module.fingerprint(name) for name in (*module.ENGINE, "train.txt")}
        (environment / module.STAMP).write_text(json.dumps({"requirements": marks}))
        return 0

    monkeypatch.setattr(running, "run", run)
    output = Output(sys.stdout, as_json=True)
    own = tmp_path / "python"
    own.touch()
    assert packages.ready(str(own), "", None, output).python == own and asked == []
    python = packages.ready("", "", str(tmp_path), output).python
    assert python.is_relative_to(environment) and packages.ready("", "", None, output).python == python
    start = [sys.executable, str(ROOT / "core" / "install.py"), "--target", str(environment)]
    assert asked == [[*start, "--with", "train.txt", "--json-progress", "--wheels", str(tmp_path)]]
    said = capsys.readouterr()
    assert [json.loads(line)["stage"] for line in said.out.splitlines()] == ["plan", "step"] and '"install"' in said.out
    assert said.err == "latte3d: What training needs beside the engine: about 40 MB.\nlatte3d: [1/3] Installing\n"


def test_packages_that_cannot_be_installed_say_why(environment, capsys):
    """The real installer: what lies there is no environment."""
    options = arguments.library_parser("").parse_args(["prepare", str(environment), "--offline", str(environment), "--json"])
    assert library_commands.begun(options, sys.stdout, library_commands._run) == 1
    said = capsys.readouterr()
    assert "What training needs beside the engine: about 40 MB" in said.err and "holds something else" in said.err.splitlines()[-1]
    assert {json.loads(line)["event"] for line in said.out.splitlines()} == {"install"}
