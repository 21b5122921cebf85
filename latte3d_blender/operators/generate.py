# SPDX-License-Identifier: GPL-3.0-or-later
"""Making an object: generate starts a job; place_result (place.py) builds it as one undo step."""

import bpy
from bpy.props import BoolProperty

from .. import machine, session
from ..client.job import EngineFault
from ..scene import placement, placing
from .place import LATTE3D_OT_place_result


class Making:
    """An operator that starts a job. In background mode, or with `wait`, it returns when the object is there."""

    wait: BoolProperty(name="Wait", description="Return when the object is there", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        reason = placement.linked(context.scene) or session.busy()
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def begin(self, place, prompt, seed, settings, *, strict=False, style=None, model=""):
        """Submit the job; returns what execute() has to return."""
        at_once = self.wait or bpy.app.background
        if at_once and (why := placement.why_not(bpy.context)):  # else the object waits for Object Mode
            self.report({"ERROR"}, why)
            return {"CANCELLED"}
        try:
            job = session.submit(place, [prompt], [seed], settings, strict=strict, styles=style and [style], model=model)
            if not at_once:
                return {"FINISHED"}
            for result in session.run_now(job):
                session.SESSION.to_place.remove(result)
                placing.place(result)
        except EngineFault as error:
            if error.fault is not session.SESSION.engine.fault and not session.SESSION.question:
                session.SESSION.fault = error.fault
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_generate(Making, bpy.types.Operator):
    """Make the object that the prompt describes, and place it at the 3D cursor"""

    bl_idname = "latte3d.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    anyway: BoolProperty(
        name="Anyway",
        description="Make what the model does not know too, instead of asking what else it could be",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        typed = context.scene.latte3d.prompt.strip()
        reason = placement.linked(context.scene) or session.busy() or ("" if typed else "Type a prompt first")
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context):
        wanted = context.scene.latte3d
        place = session.at_cursor(context.scene)
        settings = machine.settings(wanted.detail)
        return self.begin(place, wanted.prompt, wanted.seed, settings, strict=not self.anyway, model=wanted.model)


class LATTE3D_OT_cancel(bpy.types.Operator):
    """Stop what is being made or set up"""

    bl_idname = "latte3d.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context):
        cls.poll_message_set("Nothing is being made")
        return bool(session.SESSION.running or session.SESSION.setup or session.SESSION.to_place)

    def execute(self, context):
        state = session.SESSION
        state.to_place.clear()
        for job in list(state.waiting):
            state.engine.cancel(job)
        if state.setup:
            state.setup.cancel()
        session.wake()
        return {"FINISHED"}


CLASSES = (LATTE3D_OT_generate, LATTE3D_OT_cancel, LATTE3D_OT_place_result)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
