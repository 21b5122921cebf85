# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-texture: the active object's own mesh, painted as the prompt describes."""

import bpy
from bpy.props import IntProperty

from .. import machine, session
from ..client.guide import Guide
from ..client.job import EngineFault
from ..scene import meshes, painting, placement
from ..words import SaysWhy, say
from .generate import Making, blend_of


class LATTE3D_OT_retexture(Making, bpy.types.Operator):
    """Give the active object the colours of what the prompt describes. Its shape stays"""

    bl_idname = "latte3d.retexture"
    bl_label = "Re-texture"
    bl_options = {"REGISTER"}

    @classmethod
    def reason(cls, context):
        wanted, engine = context.scene.latte3d, session.SESSION.engine
        reason = placement.linked(context.scene) or session.busy() or ("" if wanted.prompt.strip() else "Type a prompt first")
        if not reason and engine.models and "retexture" not in engine.features:
            reason = "This engine cannot paint: set it up again"
        reason = reason or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")
        return reason or painting.reason(chosen(context))

    def execute(self, context):
        wanted, item = context.scene.latte3d, chosen(context)
        try:
            canvas, target = painting.read(context, item, own=wanted.retexture_uvs == "OWN", turn=int(wanted.retexture_front))
        except (ValueError, EngineFault) as error:
            self.report({"ERROR"}, say(f"“{item.name}” cannot be painted: {error}"))
            return {"CANCELLED"}
        place, blend, settings = session.at_cursor(context.scene), blend_of(wanted), machine.settings(wanted.detail)
        place.paints = target
        guide = Guide(blend.blend if blend else None, canvas=canvas)
        return self.begin(place, wanted.prompt, [wanted.seed], settings, strict=True, model=wanted.model, guide=guide)


def chosen(context: bpy.types.Context) -> bpy.types.Object | None:
    """The object that is painted: the active one, where it is selected."""
    item = context.active_object
    return item if item and item in context.selected_objects else None


class LATTE3D_OT_put_texture(SaysWhy, bpy.types.Operator):
    """Put a finished texture on the object that it was made for"""

    bl_idname = "latte3d.put_texture"
    bl_label = "Re-texture"
    bl_options = {"REGISTER", "UNDO"}

    result: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # its number

    @classmethod
    def reason(cls, context):
        return placement.why_not(context)

    def execute(self, context):
        result = session.SESSION.results.get(self.result)
        if result is None or not result.place.paints:
            self.report({"ERROR"}, say("This texture is no longer kept. Re-texture it again"))
            return {"CANCELLED"}
        try:
            with meshes.all_or_nothing():
                painting.put_on(result)
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        if note := result.place.paints.note:
            self.report({"INFO"}, say(note))
        return {"FINISHED"}


CLASSES = (LATTE3D_OT_retexture, LATTE3D_OT_put_texture)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
