# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up from the panel: each source, what it refuses, and what counts as set up."""

import os
import time
from types import SimpleNamespace

import bpy
import pytest

from core import install


@pytest.fixture
def wanted(addon):
    chosen = bpy.context.window_manager.latte3d
    yield chosen
    chosen.source, chosen.wheels, chosen.python = "INTERNET", "", ""


def finish(setup) -> None:
    end = time.monotonic() + 240  # the environment is a real one, and machines are busy
    while not setup.over and time.monotonic() < end:
        setup.poll()
        time.sleep(0.05)
    assert setup.over


def test_existing_python(addon, wanted, fake_engine):
    wanted.source, wanted.python = "PYTHON", fake_engine()
    assert bpy.ops.latte3d.setup_engine() == {"FINISHED"}
    engine = addon("session").SESSION.engine
    while engine.state == "STARTING":
        engine.poll(wait_s=0.1)
    assert engine.state == "READY" and engine.kinds == ["cube"]


@pytest.mark.parametrize(
    ("source", "says"),
    [("INTERNET", "set to work offline.*folder"), ("WHEELS", "Choose the folder.*first"), ("PYTHON", "Choose the Python first")],
)
def test_a_button_that_cannot_work_says_why(wanted, source, says):
    """Blender as a module works offline by default."""
    wanted.source = source
    assert not bpy.ops.latte3d.setup_engine.poll()
    with pytest.raises(RuntimeError, match=says):
        bpy.ops.latte3d.setup_engine()


def test_a_fault_goes_when_its_cause_ends(addon, wanted, tmp_path):
    session = addon("session").SESSION
    wanted.source, wanted.wheels = "WHEELS", str(tmp_path)
    with pytest.raises(RuntimeError, match="no packages in that folder"):
        bpy.ops.latte3d.setup_engine()
    assert session.fault
    wanted.wheels = str(tmp_path / "other")
    assert session.fault is None
    wanted.source, wanted.python = "PYTHON", str(tmp_path / "python")
    with pytest.raises(RuntimeError, match="Python is not there"):
        bpy.ops.latte3d.setup_engine()
    wanted.source = "INTERNET"
    assert session.fault is None


def test_offline_is_said_once_and_can_be_changed_there(addon, wanted, drawn):
    """Not in a label, a box, a button and a report, but where it can be changed."""
    addon("session").look_up()
    seen = drawn(addon("panels.setup").draw_engine)
    assert "use_online_access" in seen.of("prop") and "offline" not in seen.texts().lower()
    assert not addon("session").SESSION.fault


def test_the_button_keeps_its_place(addon, wanted, drawn):
    """Whatever the source, and whether it runs or not: the texts that grow stand below."""
    jobs, setup = addon("session"), addon("panels.setup")
    jobs.look_up()

    def rows_above() -> list[str]:
        seen = [what for what in drawn(setup.draw_engine) if what != ("operator", "latte3d.cancel")]
        button = next(i for i, (kind, text) in enumerate(seen) if kind == "progress" or text == "latte3d.setup_engine")
        return [kind for kind, _ in seen[:button]]

    first = rows_above()
    for source in ("WHEELS", "PYTHON", "INTERNET"):
        wanted.source = source
        assert rows_above() == first
    jobs.SESSION.plan = SimpleNamespace(size="The engine for the processor: about 0.4 GB to download, 1.9 GB on disk.", end=lambda: None)
    assert rows_above() == first
    jobs.SESSION.fault = addon("client.engine").Fault("Setting up the engine failed.", "Why.", "Try again.", "setup")
    assert rows_above() == first
    jobs.SESSION.setup = SimpleNamespace(factor=0.5, text="torch", amount="3 of 9 MB", end=lambda: None)
    assert rows_above() == first


def test_without_an_engine_the_button_says_that_first(addon):
    addon("session").look_up()
    assert not bpy.context.scene.latte3d.prompt
    with pytest.raises(RuntimeError, match="Set up the engine first"):
        bpy.ops.latte3d.generate()


def test_one_way_to_try_again(addon, wanted, drawn, tmp_path):
    program = tmp_path / "talker"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    wanted.source, wanted.python = "PYTHON", str(program)
    bpy.ops.latte3d.setup_engine()
    engine = addon("session").SESSION.engine
    while engine.state == "STARTING":
        engine.poll(wait_s=0.1)
    assert engine.state == "FAILED"
    assert drawn(addon("panels.setup").draw_engine).of("operator").count("latte3d.start_engine") == 1


def test_preferences_show_set_up_only_where_it_is_needed(addon, engine_of, drawn):
    setup, jobs = addon("panels.setup"), addon("session")
    jobs.look_up()
    assert "latte3d.setup_engine" in drawn(setup.draw_engine, "preferences").of("operator")
    engine_of()
    jobs.start()
    jobs.SESSION.engine.poll(wait_s=10)
    assert jobs.SESSION.engine.state == "READY"
    seen = drawn(setup.draw_engine, "preferences")
    assert "latte3d.setup_engine" not in seen.of("operator") and "source" not in seen.of("prop")


def test_a_narrow_sidebar_still_says_ready(addon, engine_of, drawn):
    jobs = addon("session")
    engine_of()
    jobs.start()
    jobs.SESSION.engine.poll(wait_s=10)
    assert drawn(addon("panels.setup").draw_engine, width=150).texts().startswith("Ready")
    assert drawn(addon("panels.setup").draw_engine, width=300).texts() == "Engine: Ready · CPU"


def test_progress_says_megabytes_and_the_time_left(addon):
    pace = addon("client.installer").Pace()
    assert pace.told("torch", 0, 200_000_000, 10.0) == "0 of 200 MB"
    assert pace.told("torch", 50_000_000, 200_000_000, 20.0) == "50 of 200 MB · 30 s left"
    assert pace.told("numpy", 1_000_000, 20_000_000, 21.0) == "1 of 20 MB"
    assert pace.told("Unpacking", 3_000_000, 0, 22.0) == "3 MB"


def test_plan_and_failure(addon, wanted, tmp_path):
    """The installer says how large it gets; wheels that do not suffice end in a sentence, and nothing counts as set up."""
    setup = addon("session").new_setup(plan=True)
    finish(setup)
    assert "GB" in setup.size and not setup.fault
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "other-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    wanted.source, wanted.wheels = "WHEELS", str(wheels)
    assert bpy.ops.latte3d.setup_engine() == {"FINISHED"}
    setup = addon("session").SESSION.setup
    finish(setup)
    addon("session").SESSION.setup = None
    assert setup.fault and setup.fault.message and 0 <= setup.factor <= 1
    assert addon("session").look_up() is False and addon("session").SESSION.engine.state == "NOT_INSTALLED"


DEAF = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
print('{"event": "step", "done": 0, "total": 1, "text": "' + str(child.pid) + '"}', flush=True)
child.wait()
"""


def test_stopping_does_not_wait_and_leaves_nothing_running(addon, tmp_path, monkeypatch):
    """An installer that does not listen is ended together with its pip, while Blender goes on."""
    installer = addon("client.installer")
    monkeypatch.setattr(installer, "END_PATIENCE_S", 0.5)
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "install.py").write_text(DEAF)
    setup = installer.Setup(tmp_path, tmp_path / "engine", tmp_path / "setup.log")
    while not setup.text.isdigit():
        setup.poll()
        time.sleep(0.05)
    child, begun = int(setup.text), time.monotonic()
    setup.cancel()
    assert time.monotonic() - begun < 0.4 and not setup.over
    finish(setup)
    assert setup.fault is None and not setup.done
    with open(f"/proc/{child}/stat") if os.path.exists(f"/proc/{child}/stat") else open(os.devnull) as status:
        assert status.read().partition(") ")[2][:1] in ("", "Z")


def test_the_engine_keeps_still_while_it_is_set_up(addon, engine_of, tmp_path):
    """It would run, and on some systems lock, the files that are being replaced."""
    jobs = addon("session")
    engine_of()
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "install.py").write_text(DEAF)
    jobs.SESSION.shown = True
    jobs.SESSION.setup = addon("client.installer").Setup(tmp_path, tmp_path / "engine", tmp_path / "setup.log")
    jobs.look_up()
    jobs._step()
    assert jobs.SESSION.engine.process is None
    bpy.context.scene.latte3d.prompt = "a cube"
    assert not bpy.ops.latte3d.generate.poll()
    jobs.SESSION.setup._kill()
    jobs.SESSION.setup = None
    jobs._step()
    assert jobs.SESSION.engine.process


def test_what_was_set_up_replaces_an_earlier_choice(addon, package, tmp_path):
    """A Python that was chosen once must not hide the engine that Set Up has made since, and choices are saved."""
    jobs, chosen = addon("session"), bpy.context.preferences.addons[package].preferences
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "install.py").write_text("")
    addon("machine").choose_python("/gone/python")
    assert bpy.context.preferences.is_dirty
    jobs.SESSION.setup = addon("client.installer").Setup(tmp_path, tmp_path / "engine", tmp_path / "setup.log")
    while jobs.SESSION.setup:
        jobs._step()
        time.sleep(0.05)
    assert chosen.engine_python == "" and not jobs.SESSION.fault


def test_an_update_may_need_another_environment(addon, tmp_path):
    """What Set Up made counts as long as this version needs the same packages."""
    source, python = addon("client.engine").source_folder(), addon("client.engine").environment_python(tmp_path)
    python.parent.mkdir()
    python.touch()
    finished = addon("client.installer").finished
    assert not finished(source, tmp_path)
    install.write_stamp(tmp_path, {name: install.fingerprint(name) for name in install.ENGINE})
    assert finished(source, tmp_path)
    install.write_stamp(tmp_path, dict.fromkeys(install.ENGINE, "an older one"))
    assert not finished(source, tmp_path)
