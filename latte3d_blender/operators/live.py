# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: on, off, and keeping what the draft shows."""

import bpy

from .. import machine, session
from ..client.engine import EngineFault
from ..live import LIVE, begin, end
from ..scene import placement
from ..words import SaysWhy, say
from .generate import Making, blend_of


class LATTE3D_OT_live(SaysWhy, bpy.types.Operator):
    """Let a draft in the scene follow what you type and drag: prompt, seed and blend. Off takes the draft away"""

    bl_idname = "latte3d.live"
    bl_label = "Live"

    @classmethod
    def reason(cls, context):
        reason = "" if LIVE.on else placement.linked(context.scene) or session.busy()
        return reason or ("" if LIVE.on or context.mode == "OBJECT" else "Switch to Object Mode first")

    def execute(self, context):
        if LIVE.on:
            end(session.SESSION.engine)
        else:
            try:
                session.start()
            except EngineFault as error:
                session.SESSION.fault = error.fault
                self.report({"ERROR"}, say(str(error)))
                return {"CANCELLED"}
            begin(session.at_cursor(context.scene))
        session.wake()
        session.redraw()
        return {"FINISHED"}


class LATTE3D_OT_keep_live(Making, bpy.types.Operator):
    """Make what the draft shows in the panel's detail, in its place, and end Live"""

    bl_idname = "latte3d.keep_live"
    bl_label = "Keep"
    bl_options = {"REGISTER"}

    @classmethod
    def reason(cls, context):
        reason = placement.linked(context.scene) or session.busy() or ("" if LIVE.draft else "There is no draft yet")
        return reason or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")

    def execute(self, context):
        wanted, place = context.scene.latte3d, session.at_cursor(context.scene)
        place.location, place.angle, place.clear = tuple(LIVE.draft.location), LIVE.draft.rotation_euler.z, False
        end(session.SESSION.engine)
        settings = machine.settings(wanted.detail)
        return self.begin(place, wanted.prompt, [wanted.seed], settings, model=wanted.model, guide=blend_of(wanted))


CLASSES = (LATTE3D_OT_live, LATTE3D_OT_keep_live)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
