# SPDX-License-Identifier: GPL-3.0-or-later
"""Restyle: the selected objects' shape, described anew."""

import bpy

from .. import machine, session
from ..client.guide import Guide
from ..scene import asset_file, placement, sampling
from ..words import say
from .generate import SEEDS, Making, blend_of


class LATTE3D_OT_restyle(Making, bpy.types.Operator):
    """Make what the prompt describes in the shape of the selected objects"""

    bl_idname = "latte3d.restyle"
    bl_label = "Restyle"
    bl_options = {"REGISTER"}

    @classmethod
    def reason(cls, context):
        wanted, engine = context.scene.latte3d, session.SESSION.engine
        reason = placement.linked(context.scene) or session.busy() or ("" if wanted.prompt.strip() else "Type a prompt first")
        if not reason and engine.models and not engine.knows_adherence(wanted.model):
            reason = "The chosen model was not trained to keep to a shape"
        reason = reason or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")
        return reason or ("" if shapes(context) else "Select an object with a surface first")

    def execute(self, context):
        wanted, items = context.scene.latte3d, shapes(context)
        try:
            found = sampling.sample(context, items)
        except ValueError as error:
            self.report({"ERROR"}, say(f"“{items[-1].name}” cannot be restyled: {error}"))
            return {"CANCELLED"}
        instead = wanted.restyle_place == "INSTEAD"
        place = session.at_cursor(context.scene)
        place.location, place.angle, place.height = found.base, found.angle, found.height * placement.meters(context.scene)
        place.clear, place.hides = not instead, [item.name for item in items] if instead else []
        blend = blend_of(wanted)
        guide = Guide(blend.blend if blend else None, round(wanted.adherence, 4), found.cloud)
        seeds = [(wanted.seed + number) % SEEDS for number in range(1 if instead else wanted.count)]
        return self.begin(place, wanted.prompt, seeds, machine.settings(wanted.detail), strict=True, model=wanted.model, guide=guide)


def shapes(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects that have a surface, the active one last."""
    found = [item for item in context.selected_objects if item.type in asset_file.SURFACES]
    return sorted(found, key=lambda item: item == context.active_object)


def register() -> None:
    bpy.utils.register_class(LATTE3D_OT_restyle)


def unregister() -> None:
    bpy.utils.unregister_class(LATTE3D_OT_restyle)
