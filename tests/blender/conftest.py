# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures inside bpy: the real zip, installed as an artist would, in a user folder of its own."""

import atexit
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="latte3d-tests-")  # before bpy is imported
atexit.register(shutil.rmtree, os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)

import bpy  # noqa: E402

STATUS = pytest.StashKey[int]()  # of the whole run


@pytest.fixture(scope="session")
def extension_zip(tmp_path_factory) -> Path:
    """The extension, built and validated by Blender's own tool."""
    sys.path.insert(0, str(ROOT))
    import build

    source, made = tmp_path_factory.mktemp("zip") / "source", tmp_path_factory.mktemp("dist") / "latte3d.zip"
    build.stage(source)
    tool, tags = build.blender_tools()
    for command in (["build", "--source-dir", source, "--output-filepath", made], ["validate", made]):
        subprocess.run([sys.executable, tool, *command, "--valid-tags", tags], check=True, capture_output=True)
    return made


@pytest.fixture(scope="session")
def package(extension_zip) -> str:
    """The name of the installed and enabled add-on's package."""
    bpy.ops.extensions.package_install_files(filepath=str(extension_zip), repo="user_default", enable_on_install=True)
    name = "bl_ext.user_default.latte3d"
    assert name in bpy.context.preferences.addons
    return name


@pytest.fixture
def addon(package, tmp_path):
    """`addon("session")` imports a module of the installed add-on; an empty scene; the engine ends with the test."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.preferences.addons[package].preferences.model_folder = str(tmp_path)

    def module(name: str):
        return importlib.import_module(f"{package}.{name}")

    module("session").SESSION.__init__()
    yield module
    module("session").shutdown()
    bpy.context.preferences.addons[package].preferences.engine_python = ""  # a test may have enabled the add-on anew: keep no pointer


@pytest.fixture
def fake_engine(tmp_path):
    """`fake_engine("oom")`: the path of a program that stands in for the engine's Python (see tests/fake_engine.py)."""

    def make(fault: str = "") -> str:
        program = tmp_path / f"engine-{fault}"
        script = f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{ROOT / "tests" / "fake_engine.py"}" --fail "{fault}" "$@"\n'
        program.write_text(script)
        program.chmod(0o755)
        return str(program)

    return make


@pytest.fixture
def engine_of(addon, package, fake_engine):
    """`engine_of("crash")` points the preferences to an engine with that fault."""

    def choose(fault: str = "") -> None:
        bpy.context.preferences.addons[package].preferences.engine_python = fake_engine(fault)

    return choose


class Layout:
    """Records what draw() puts into a UILayout: (what, text) each, in order; folds are open unless they are closed by default."""

    def __init__(self, record: list):
        self.__dict__["record"] = record

    def __setattr__(self, name, value):
        """Layout settings do not matter here."""

    def __getattr__(self, name):
        def call(*given, **named):
            if name == "panel":
                self.record.append((name, given[0]))
                return Layout(self.record), Layout(self.record) if not named.get("default_closed") or self.record.open else None
            if name in ("row", "column", "box", "split", "grid_flow", "column_flow"):
                return Layout(self.record)
            if name == "operator":
                self.record.append((name, given[0]))
                return SimpleNamespace()
            self.record.append((name, named.get("text") if name in ("label", "progress") else str(given[-1]) if given else ""))
            return None

        return call


class Record(list):
    """What was drawn."""

    open = False  # whether folds that are closed by default are open

    def texts(self) -> str:
        """All texts that a person reads."""
        return " ".join(text for kind, text in self if kind in ("label", "progress"))

    def of(self, kind: str) -> list[str]:
        """The operators, properties, … in order."""
        return [text for what, text in self if what == kind]


@pytest.fixture
def drawn():
    """`drawn(panels.draw_question)` calls a drawing function and returns what it drew; `width` is the region's, in pixels."""

    def draw(function, *arguments, width: int = 300, unfold: bool = False) -> Record:
        record = Record()
        record.open = unfold
        names = ("scene", "window_manager", "active_object", "mode")
        preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))  # it is 0 without a window
        here = {name: getattr(bpy.context, name) for name in names}
        context = SimpleNamespace(region=SimpleNamespace(width=width), preferences=preferences, **here)
        function(Layout(record), context, *arguments)
        return record

    return draw


def pytest_sessionfinish(session, exitstatus):
    session.config.stash[STATUS] = int(exitstatus)


def pytest_unconfigure(config):
    """Blender 4.2 as a module dies in its own clearing up after some of these tests, when all is over: that is left out there."""
    if bpy.app.version < (4, 3):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(STATUS, 1))
