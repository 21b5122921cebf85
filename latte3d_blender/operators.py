# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators: generate starts a job, the rest looks after the engine; place_result lies in operators_place.py."""

import random
from pathlib import Path

import bpy
from bpy.props import BoolProperty

from . import engine as client
from . import jobs, machine, placement, placing
from .engine import EngineFault, Fault
from .operators_place import LATTE3D_OT_place_result


class LATTE3D_OT_generate(bpy.types.Operator):
    """Make the object that the prompt describes, and place it at the 3D cursor"""

    bl_idname = "latte3d.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    wait: BoolProperty(name="Wait", description="Return when the object is there", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        if jobs.SESSION.running:
            cls.poll_message_set("An object is being made")
        elif jobs.SESSION.setup:
            cls.poll_message_set("Set Up is running")
        elif why := placement.linked(context.scene):
            cls.poll_message_set(why)
        elif not context.scene.latte3d.prompt.strip():
            cls.poll_message_set("Type a prompt first")
        elif jobs.SESSION.engine.state == client.NOT_INSTALLED and not jobs.SESSION.stale:
            cls.poll_message_set("Set up the engine first")
        else:
            return True
        return False

    def execute(self, context):
        wanted = context.scene.latte3d
        if (self.wait or bpy.app.background) and (why := placement.why_not(context)):
            self.report({"ERROR"}, why)
            return {"CANCELLED"}
        try:
            job = jobs.submit(context, wanted.prompt, wanted.seed)
            if not (self.wait or bpy.app.background):
                return {"FINISHED"}
            jobs.run_now(job)
            jobs.SESSION.to_place.remove(job.id)
            placing.place_job(jobs.SESSION, job.id)
        except EngineFault as error:
            if error.fault is not jobs.SESSION.engine.fault:
                jobs.SESSION.fault = error.fault
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_cancel(bpy.types.Operator):
    """Stop making the object"""

    bl_idname = "latte3d.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context):
        return bool(jobs.SESSION.running or jobs.SESSION.setup or jobs.SESSION.to_place)

    def execute(self, context):
        session = jobs.SESSION
        session.to_place.clear()
        for job in list(session.waiting):
            session.engine.cancel(job)
        if session.setup:
            session.setup.cancel()
        jobs.wake()
        return {"FINISHED"}


class LATTE3D_OT_new_seed(bpy.types.Operator):
    """Draw another seed: another object of the same description"""

    bl_idname = "latte3d.new_seed"
    bl_label = "New Seed"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        context.scene.latte3d.seed = random.randrange(1, 100_000)
        return {"FINISHED"}


class NotDuringSetUp:
    """An operator that waits until Set Up has ended."""

    @classmethod
    def poll(cls, context):
        if jobs.SESSION.setup:
            cls.poll_message_set("Set Up is running")
            return False
        return True


class LATTE3D_OT_start_engine(NotDuringSetUp, bpy.types.Operator):
    """Start the engine; end it first where it runs"""

    bl_idname = "latte3d.start_engine"
    bl_label = "Start Engine"

    def execute(self, context):
        jobs.SESSION.fault = None
        jobs.stop()
        try:
            jobs.start()
        except EngineFault as error:
            jobs.look_up()  # turns it into a state that the panel explains
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_stop_engine(bpy.types.Operator):
    """Stop the engine and free its memory"""

    bl_idname = "latte3d.stop_engine"
    bl_label = "Stop Engine"

    def execute(self, context):
        jobs.stop()
        return {"FINISHED"}


class LATTE3D_OT_setup_engine(NotDuringSetUp, bpy.types.Operator):
    """Install what the engine needs into a folder of its own; Blender's Python is not touched"""

    bl_idname = "latte3d.setup_engine"
    bl_label = "Set Up"

    def execute(self, context):
        try:
            self._begin(context.window_manager.latte3d)
        except EngineFault as error:
            jobs.SESSION.fault = error.fault
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        jobs.wake()
        return {"FINISHED"}

    def _begin(self, wanted):
        jobs.SESSION.fault = None
        if wanted.source == "PYTHON":
            path = Path(bpy.path.abspath(wanted.python)).expanduser()
            if not wanted.python or not path.is_file():
                raise EngineFault(
                    Fault(
                        "That Python is not there.",
                        f"There is no file {path}." if wanted.python else "No file is chosen.",
                        "Choose the python program of an environment that has torch.",
                        "choice",
                    )
                )
            machine.choose_python(str(path))
            jobs.start()
            return
        if wanted.source == "INTERNET" and not bpy.app.online_access:
            raise EngineFault(
                Fault(
                    "Blender is set to work offline.",
                    "",
                    "Allow Online Access in Preferences > System, or set up from a folder.",
                    "offline",
                )
            )
        wheels = Path(bpy.path.abspath(wanted.wheels)) if wanted.source == "WHEELS" else None
        if wheels and (not wanted.wheels or not any(wheels.glob("*.whl"))):
            raise EngineFault(
                Fault(
                    "There are no packages in that folder.",
                    f"{wheels} holds no .whl file." if wanted.wheels else "No folder is chosen.",
                    "Choose the folder to which somebody has downloaded the engine's packages.",
                    "choice",
                )
            )
        jobs.SESSION.engine.stop()
        try:
            jobs.SESSION.setup = jobs.new_setup(wheels)
        except OSError as error:
            raise EngineFault(Fault("Set Up does not start.", str(error), "", "setup")) from error
        if jobs.SESSION.setup is None:
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
        if jobs.SESSION.engine.launch and not self.setup:
            self.path = jobs.SESSION.engine.launch.log
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


CLASSES = (
    LATTE3D_OT_generate,
    LATTE3D_OT_cancel,
    LATTE3D_OT_place_result,
    LATTE3D_OT_new_seed,
    LATTE3D_OT_start_engine,
    LATTE3D_OT_stop_engine,
    LATTE3D_OT_setup_engine,
    LATTE3D_OT_show_log,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
