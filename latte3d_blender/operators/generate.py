# SPDX-License-Identifier: GPL-3.0-or-later
"""Making an object: generate starts a job; place_result (place.py) builds it as one undo step."""

import bpy
from bpy.props import BoolProperty

from .. import machine, session
from ..client.guide import Guide
from ..client.job import EngineFault
from ..scene import placement, placing
from ..words import SaysWhy, say
from .place import LATTE3D_OT_place_result

SEEDS = 2**31  # that the panel's field can hold


def blend_of(wanted) -> Guide | None:
    """The blend that the panel asks for; None where it asks for none."""
    return Guide(blend=(wanted.blend_prompt, round(wanted.blend, 4))) if wanted.use_blend else None


class Making(SaysWhy):
    """An operator that starts a job. In background mode, or with `wait`, it returns when the object is there."""

    wait: BoolProperty(name="Wait", description="Return when the object is there", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def reason(cls, context):
        return placement.linked(context.scene) or session.busy()

    def begin(self, place, prompt, seeds, settings, *, strict=False, styles=None, model="", guide=None):
        """Submit the job, with as many objects of the prompt as there are seeds; returns what execute() has to return."""
        at_once = self.wait or bpy.app.background
        if at_once and (why := placement.why_not(bpy.context)):  # else the object waits for Object Mode
            self.report({"ERROR"}, say(why))
            return {"CANCELLED"}
        try:
            prompts = [prompt] * len(seeds)
            job = session.submit(place, prompts, seeds, settings, strict=strict, styles=styles, model=model, guide=guide)
            if not at_once:
                return {"FINISHED"}
            for result in session.run_now(job):
                session.SESSION.to_place.remove(result)
                if not place.batch:
                    placing.place(result)
            if place.batch and place.batch.results:
                placing.place_batch(place.batch)
        except EngineFault as error:
            if error.fault is not session.SESSION.engine.fault and not session.SESSION.question:
                session.SESSION.fault = error.fault
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_generate(Making, bpy.types.Operator):
    """Make what the prompt describes, and place it at the 3D cursor"""

    bl_idname = "latte3d.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    anyway: BoolProperty(
        name="Anyway",
        description="Make what the model does not know too, instead of asking what else it could be",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def reason(cls, context):
        typed = context.scene.latte3d.prompt.strip()
        reason = placement.linked(context.scene) or session.busy() or ("" if typed else "Type a prompt first")
        if not reason and context.scene.latte3d.use_blend and not context.scene.latte3d.blend_prompt.strip():
            reason = "Type what to blend with, or switch Blend off"
        return reason

    def execute(self, context):
        wanted = context.scene.latte3d
        place, settings = session.at_cursor(context.scene), machine.settings(wanted.detail)
        seeds = [(wanted.seed + number) % SEEDS for number in range(wanted.count)]
        return self.begin(place, wanted.prompt, seeds, settings, strict=not self.anyway, model=wanted.model, guide=blend_of(wanted))


class LATTE3D_OT_cancel(SaysWhy, bpy.types.Operator):
    """Stop what is being made or set up"""

    bl_idname = "latte3d.cancel"
    bl_label = "Cancel"

    @classmethod
    def reason(cls, context):
        state = session.SESSION
        return "" if state.running or state.setup or state.to_do else "Nothing is being made"

    def execute(self, context):
        state = session.SESSION
        state.to_place.clear()
        if state.batch and state.hold:  # its undo step would wait for ever
            state.batch.stepped = True
        for job in list(state.waiting):
            state.engine.cancel(job)
        if state.setup:
            state.setup.cancel()
        session.wake()
        return {"FINISHED"}


CLASSES = (LATTE3D_OT_generate, LATTE3D_OT_cancel, LATTE3D_OT_place_result)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
