# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up from the panel: each source, what it refuses, and what counts as set up."""

import time

import bpy
import pytest


@pytest.fixture
def wanted(addon):
    chosen = bpy.context.window_manager.latte3d
    yield chosen
    chosen.source, chosen.wheels, chosen.python = "INTERNET", "", ""


def finish(setup) -> None:
    end = time.monotonic() + 60
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
    ("source", "says"), [("INTERNET", "set to work offline"), ("WHEELS", "no wheels in that folder"), ("PYTHON", "Python is not there")]
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
