# SPDX-License-Identifier: GPL-3.0-or-later
"""Refine: the active object, made better by diffusion priors; stop, resume, and what comes of it."""

import bpy
from bpy.props import BoolProperty, IntProperty

from .. import refining
from ..client.job import EngineFault
from ..panels import refine as panels
from ..scene import placement
from ..words import SaysWhy, say
from .prompt import InItsPlace


class Refining:
    """An operator that starts a refinement, or places what came of one."""

    def attempt(self, work) -> set[str]:
        """Do it; returns what execute() has to return."""
        try:
            work()
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_refine(Refining, InItsPlace, bpy.types.Operator):
    """Make the active object better by a diffusion model, beside Blender: its texture, and its shape where a multi-view prior is set up"""

    bl_idname = "latte3d.refine"
    bl_label = "Refine…"

    steps: IntProperty(name="Steps", description="How long it learns; more is better, and takes longer", default=600, min=1, max=100_000)
    shape: BoolProperty(name="Shape Too", description="Let the multi-view prior change the shape; else the texture alone", default=True)

    @classmethod
    def reason(cls, context):
        reason = super().reason(context) or refining.busy()
        return reason or ("" if refining.priors() else "Name a diffusion prior in the add-on's preferences first")

    def invoke(self, context, event):
        try:
            refining.check_priors(refining.priors())
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=panels.ASKING_WIDTH, title="Refine", confirm_text="Refine")

    def draw(self, context):
        panels.draw_asking(self.layout, context, self)

    def execute(self, context):
        item = context.active_object
        return self.attempt(lambda: refining.begin(refining.wish(item, self.steps, self.shape), item))


class OnWork(SaysWhy, Refining):
    """An operator on the refinement that the panel shows."""


class LATTE3D_OT_stop_refining(OnWork, bpy.types.Operator):
    """Stop it; what was learnt is kept, and Resume goes on from there"""

    bl_idname = "latte3d.stop_refining"
    bl_label = "Stop"

    @classmethod
    def reason(cls, context):
        work = refining.STATE.work
        return "Nothing is being refined" if not work or work.over else "It is stopping" if work.stopping else ""

    def execute(self, context):
        refining.STATE.work.job.cancel()
        refining.wake()
        return {"FINISHED"}


class LATTE3D_OT_resume_refining(OnWork, bpy.types.Operator):
    """Go on from where it stopped"""

    bl_idname = "latte3d.resume_refining"
    bl_label = "Resume"

    @classmethod
    def reason(cls, context):
        work = refining.STATE.work
        return refining.busy() or ("" if work and work.resumable else "Nothing was stopped")

    def execute(self, context):
        return self.attempt(lambda: refining.begin(refining.STATE.work.wish))


class LATTE3D_OT_place_refined(OnWork, bpy.types.Operator):
    """Put the refined object in the place of the one that it was made from or, where that is gone, at the 3D cursor"""

    bl_idname = "latte3d.place_refined"
    bl_label = "Place"

    @classmethod
    def reason(cls, context):
        work = refining.STATE.work
        reason = "" if work and work.finished else "Nothing was refined"
        return reason or ("It is being made" if refining.STATE.job else "") or placement.linked(context.scene)

    def execute(self, context):
        return self.attempt(lambda: refining.put(anywhere=True))


class LATTE3D_OT_dismiss_refining(bpy.types.Operator):
    """Close this message; what was learnt is kept, and Refine on the same object goes on from there"""

    bl_idname = "latte3d.dismiss_refining"
    bl_label = "Dismiss"

    @classmethod
    def description(cls, context, properties):
        work = refining.STATE.work
        placeable = work and work.finished
        return say("Close this message and place nothing; Refine on the same object begins anew" if placeable else cls.__doc__)

    def execute(self, context):
        refining.dismiss()
        refining.wake()
        return {"FINISHED"}


CLASSES = (
    LATTE3D_OT_refine,
    LATTE3D_OT_stop_refining,
    LATTE3D_OT_resume_refining,
    LATTE3D_OT_place_refined,
    LATTE3D_OT_dismiss_refining,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
