# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking after the engine: Set Up, start, stop, its log."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty

from .. import machine, session
from ..client import engine as client
from ..client.engine import EngineFault, Fault
from ..words import SaysWhy, say


def missing(wanted) -> str:
    """What Set Up still waits for, in the words of a disabled button; nothing when it can begin."""
    if session.SESSION.setup:
        return "Set Up is running"
    if wanted.source == "INTERNET" and not bpy.app.online_access:
        if bpy.app.online_access_override:
            return "Blender was started to work offline: start it without that, or set up from a folder"
        return "Blender is set to work offline: allow Online Access, or set up from a folder"
    if wanted.source == "WHEELS" and not wanted.wheels:
        return "Choose the folder with the engine's packages first"
    if wanted.source == "PYTHON" and not wanted.python:
        return "Choose the Python first"
    return ""


class LATTE3D_OT_start_engine(SaysWhy, bpy.types.Operator):
    """Start the engine; end it first where it runs"""

    bl_idname = "latte3d.start_engine"
    bl_label = "Start Engine"

    @classmethod
    def reason(cls, context):
        return "Set Up is running" if session.SESSION.setup else ""

    def execute(self, context):
        session.SESSION.fault = None
        session.stop()
        try:
            session.start()
        except EngineFault as error:
            session.look_up()  # turns it into a state that the panel explains
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_stop_engine(SaysWhy, bpy.types.Operator):
    """Stop the engine and free its memory"""

    bl_idname = "latte3d.stop_engine"
    bl_label = "Stop Engine"

    @classmethod
    def reason(cls, context):
        return "" if session.SESSION.engine.process else "The engine is not running"

    def execute(self, context):
        session.stop()
        return {"FINISHED"}


class LATTE3D_OT_setup_engine(SaysWhy, bpy.types.Operator):
    """Install what the engine needs into a folder of its own; Blender's Python is not touched"""

    bl_idname = "latte3d.setup_engine"
    bl_label = "Set Up"

    @classmethod
    def reason(cls, context):
        return missing(context.window_manager.latte3d)

    def execute(self, context):
        try:
            self._begin(context.window_manager.latte3d)
        except EngineFault as error:
            session.SESSION.fault = error.fault
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        session.wake()
        return {"FINISHED"}

    def _begin(self, wanted):
        session.SESSION.fault = None
        if wanted.source == "PYTHON":
            path = Path(bpy.path.abspath(wanted.python)).expanduser()
            if not path.is_file():
                remedy = "Choose the python program of an environment that has torch."
                raise EngineFault(Fault("That Python is not there.", f"There is no file {path}.", remedy, "choice"))
            machine.choose_python(str(path))
            session.start()
            return
        wheels = Path(bpy.path.abspath(wanted.wheels)) if wanted.source == "WHEELS" else None
        if wheels and not any(wheels.glob("*.whl")):
            remedy = "Choose the folder to which somebody has downloaded the engine's packages."
            raise EngineFault(Fault("There are no packages in that folder.", f"{wheels} holds no .whl file.", remedy, "choice"))
        session.SESSION.engine.stop()
        try:
            session.SESSION.setup = session.new_setup(wheels)
        except OSError as error:
            raise EngineFault(Fault("Set Up does not start.", str(error), "", "setup")) from error
        if session.SESSION.setup is None:
            raise EngineFault(
                Fault("Only the installed add-on can be set up.", "In a checkout, build.py makes the environment.", "", "setup")
            )


class LATTE3D_OT_show_log(bpy.types.Operator):
    """Show what the engine wrote last"""

    bl_idname = "latte3d.show_log"
    bl_label = "Show Log"

    setup: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, event):
        folder = machine.user_folder("logs") or Path(bpy.app.tempdir)
        self.path = folder / ("setup.log" if self.setup else "engine.log")
        pip_log = (machine.user_folder("engine") or folder) / "install.log"
        if self.setup and not client.log_tail(self.path, 1) and pip_log.is_file():
            self.path = pip_log  # setup.log has only what the installer itself stumbled over
        if session.SESSION.engine.launch and not self.setup:
            self.path = session.SESSION.engine.launch.log
        self.lines = client.log_tail(self.path, 24).splitlines() or ["The log is empty."]
        return context.window_manager.invoke_popup(self, width=640)

    def execute(self, context):
        return {"FINISHED"}

    def draw(self, context):
        column = self.layout.column(align=True)
        column.label(text=str(self.path), icon="TEXT")
        column.separator()
        for line in self.lines:
            column.label(text=line[:140])
        self.layout.operator("wm.path_open", text="Open the File", icon="FILE_TEXT").filepath = str(self.path)


CLASSES = (LATTE3D_OT_start_engine, LATTE3D_OT_stop_engine, LATTE3D_OT_setup_engine, LATTE3D_OT_show_log)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
