# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up from the panel: each source, what it refuses, and what counts as set up."""

import os
import time

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
    engine = addon("jobs").SESSION.engine
    while engine.state == "STARTING":
        engine.poll(wait_s=0.1)
    assert engine.state == "READY" and engine.kinds == ["cube"]


@pytest.mark.parametrize(
    ("source", "says"), [("INTERNET", "set to work offline"), ("WHEELS", "no packages in that folder"), ("PYTHON", "Python is not there")]
)
def test_refusals(wanted, source, says):
    """Blender as a module works offline by default."""
    wanted.source = source
    with pytest.raises(RuntimeError, match=says):
        bpy.ops.latte3d.setup_engine()


def test_plan_and_failure(addon, wanted, tmp_path):
    """The installer says how large it gets; wheels that do not suffice end in a sentence, and nothing counts as set up."""
    setup = addon("jobs").new_setup(plan=True)
    finish(setup)
    assert "GB" in setup.size and not setup.fault
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "other-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    wanted.source, wanted.wheels = "WHEELS", str(wheels)
    assert bpy.ops.latte3d.setup_engine() == {"FINISHED"}
    setup = addon("jobs").SESSION.setup
    finish(setup)
    addon("jobs").SESSION.setup = None
    assert setup.fault and setup.fault.message and 0 <= setup.factor <= 1
    assert addon("jobs").look_up() is False and addon("jobs").SESSION.engine.state == "NOT_INSTALLED"


DEAF = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
print('{"event": "step", "done": 0, "total": 1, "text": "' + str(child.pid) + '"}', flush=True)
child.wait()
"""


def test_stopping_does_not_wait_and_leaves_nothing_running(addon, tmp_path, monkeypatch):
    """An installer that does not listen is ended together with its pip, while Blender goes on."""
    installer = addon("installer")
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
    jobs = addon("jobs")
    engine_of()
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "install.py").write_text(DEAF)
    jobs.SESSION.shown = True
    jobs.SESSION.setup = addon("installer").Setup(tmp_path, tmp_path / "engine", tmp_path / "setup.log")
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
    jobs, chosen = addon("jobs"), bpy.context.preferences.addons[package].preferences
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "install.py").write_text("")
    addon("machine").choose_python("/gone/python")
    assert bpy.context.preferences.is_dirty
    jobs.SESSION.setup = addon("installer").Setup(tmp_path, tmp_path / "engine", tmp_path / "setup.log")
    while jobs.SESSION.setup:
        jobs._step()
        time.sleep(0.05)
    assert chosen.engine_python == "" and not jobs.SESSION.fault


def test_an_update_may_need_another_environment(addon, tmp_path):
    """What Set Up made counts as long as this version needs the same packages."""
    source, python = addon("engine").source_folder(), addon("engine").environment_python(tmp_path)
    python.parent.mkdir()
    python.touch()
    finished = addon("installer").finished
    assert not finished(source, tmp_path)
    install.write_stamp(tmp_path, {name: install.fingerprint(name) for name in install.ENGINE})
    assert finished(source, tmp_path)
    install.write_stamp(tmp_path, dict.fromkeys(install.ENGINE, "an older one"))
    assert not finished(source, tmp_path)
