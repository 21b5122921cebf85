# SPDX-License-Identifier: GPL-3.0-or-later
"""Variations of a prompt: placing them in rows as one undo step, keeping, rejecting, and making more like one of them."""

import math
import random
from dataclasses import replace

import bpy
import numpy as np
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, IntProperty, StringProperty
from mathutils import Vector

from .. import kept, machine, session
from ..client.guide import style_of, styles_near
from ..client.job import EngineFault, Result
from ..scene import clearance, meshes, origin, placement, rows
from ..scene.placing import AGAIN
from ..variations import Batch
from ..words import SaysWhy, say
from .generate import Making
from .place import SMOOTH
from .prompt import FromObject, known_detail

LIKE = 4  # variations of a style, where the panel asks for one object


class LATTE3D_OT_place_variations(SaysWhy, bpy.types.Operator):
    """Build variations in the scene, side by side"""

    bl_idname = "latte3d.place_variations"
    bl_label = "Place Variations"
    bl_options = {"REGISTER", "UNDO"}

    results: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # their numbers, in order; with a minus sign: its place stays empty
    location: FloatVectorProperty(
        name="Location", description="Where the first one stands", subtype="TRANSLATION", unit="LENGTH", size=3, options={"SKIP_SAVE"}
    )
    columns: IntProperty(name="Columns", description="How many stand in a row", default=4, min=1, max=16, options={"SKIP_SAVE"})
    gap: FloatProperty(
        name="Gap", description="Space between them, as a share of the first one's width", subtype="FACTOR", default=0.3, min=0.0,
        soft_max=2.0, options={"SKIP_SAVE"},
    )  # fmt: skip
    height: FloatProperty(
        name="Height", description="Of each; 0 takes the heights that the model predicts", unit="LENGTH", min=0.0, soft_max=20.0,
        options={"SKIP_SAVE"},
    )  # fmt: skip
    turn: FloatProperty(
        name="Direction", description="Of the rows; 0 is along X", unit="ROTATION", soft_min=-math.pi, soft_max=math.pi,
        options={"SKIP_SAVE"},
    )  # fmt: skip
    smooth: SMOOTH
    clear: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})  # find a spot where they are free
    towards: FloatVectorProperty(size=3, options={"HIDDEN", "SKIP_SAVE"})  # from the scene to who looks at it, horizontally

    @classmethod
    def reason(cls, context):
        return placement.why_not(context)

    def execute(self, context):
        batch = session.SESSION.batch
        numbers = [int(number) for number in self.results.split(",") if number]
        if not batch or not numbers or not {abs(number) for number in numbers} <= batch.results.keys():
            self.report({"ERROR"}, say(f"These variations are no longer kept. {AGAIN}"))
            return {"CANCELLED"}
        unit_m = placement.meters(context.scene)
        found = [batch.results[abs(number)] for number in numbers]
        sizes = np.array([self._size(result, unit_m) for result in found])
        if self.clear:
            row = rows.box_of(sizes[0], len(batch.job.prompts), self.columns, self.gap, self.turn)
            self.location, self.clear = clearance.free_spot(context, Vector(self.location), row, Vector(self.towards)), False
        first = not any(map(batch.shown, batch.results))
        batch.spot, batch.turn = tuple(self.location), self.turn
        places = rows.across(sizes[:, :2], self.columns, self.gap, self.turn)
        items = [
            self._stand(context, batch, result, place, unit_m)
            for number, result, place in zip(numbers, found, places, strict=True)
            if number > 0
        ]
        made = [item for item in items if item]
        if first or set(context.selected_objects) <= set(made):  # else somebody has selected something else meanwhile
            placement.select_only(context, made)
        return {"FINISHED"}

    def _height_m(self, result: Result, unit_m: float) -> float:
        return float(f"{self.height * unit_m:.6g}") or origin.own_height(result)

    def _size(self, result: Result, unit_m: float) -> np.ndarray:
        """Width, depth and height [3] in the scene's units."""
        return np.ptp(meshes.to_blender(result.arrays["vertices"], self._height_m(result, unit_m) / unit_m), axis=0)

    def _stand(self, context, batch: Batch, result: Result, place: np.ndarray, unit_m: float) -> bpy.types.Object | None:
        """The object of a variation at its place: the one that is there, else a new one; None where nothing can be built of it."""
        item = batch.shown(result.number)
        if item is None:
            try:
                with meshes.all_or_nothing():
                    height_m = self._height_m(result, unit_m)
                    item = meshes.build_object(result, height_m=height_m, unit_m=unit_m, smooth=self.smooth)
            except (ValueError, TypeError, KeyError, RuntimeError) as error:
                self.report({"WARNING"}, say(f"“{result.prompt}”, seed {result.seed}: {error}"))
                return None
            item.location = Vector(self.location) + Vector((*place, 0.0))  # one that is there may have been moved since
            placement.generated_collection(context).objects.link(item)
            batch.take(result.number, item)
        session.SESSION.last = result
        return item


class OnVariation(SaysWhy):
    """An operator on one of the last variations."""

    number: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def reason(cls, context):
        reason = "" if session.SESSION.batch else "There are no variations"
        return reason or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")


class LATTE3D_OT_show_variation(OnVariation, bpy.types.Operator):
    """Select this variation; where it is not in the scene any more, place it again"""

    bl_idname = "latte3d.show_variation"
    bl_label = "Show Variation"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        batch = session.SESSION.batch
        batch.rejected.discard(self.number)
        if item := batch.shown(self.number):
            placement.select_only(context, [item])
            return {"FINISHED"}
        if self.number not in batch.results:
            self.report({"ERROR"}, say(f"This variation is no longer kept. {AGAIN}"))
            return {"CANCELLED"}
        bpy.ops.latte3d.place_variations("EXEC_DEFAULT", **batch.more())
        if item := batch.shown(self.number):
            placement.select_only(context, [item])
        return {"FINISHED"}


class LATTE3D_OT_keep_variation(OnVariation, bpy.types.Operator):
    """Tick this variation, or take the tick away: Remove the Others leaves those with a tick"""

    bl_idname = "latte3d.keep_variation"
    bl_label = "Keep"

    def execute(self, context):
        session.SESSION.batch.kept ^= {self.number}
        session.redraw()
        return {"FINISHED"}


class LATTE3D_OT_reject_variation(OnVariation, bpy.types.Operator):
    """Remove this variation from the scene; it stays in the history"""

    bl_idname = "latte3d.reject_variation"
    bl_label = "Reject"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        reject(session.SESSION.batch, [self.number])
        return {"FINISHED"}


class LATTE3D_OT_remove_others(OnVariation, bpy.types.Operator):
    """Remove the variations without a tick from the scene; they stay in the history"""

    bl_idname = "latte3d.remove_others"
    bl_label = "Remove the Others"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def reason(cls, context):
        batch = session.SESSION.batch
        return super().reason(context) or ("" if batch.kept & batch.results.keys() else "Tick those to keep first")

    def execute(self, context):
        batch = session.SESSION.batch
        reject(batch, [number for number in batch.results if number not in batch.kept])
        placement.select_only(context, [item for number in sorted(batch.kept) if (item := batch.shown(number))])
        return {"FINISHED"}


def reject(batch: Batch, numbers: list[int]) -> None:
    """Take variations out of the scene."""
    for number in numbers:
        batch.rejected.add(number)
        batch.kept.discard(number)
        if item := batch.shown(number):
            mesh = item.data
            bpy.data.objects.remove(item)
            origin.forget_unused(mesh)


class LATTE3D_OT_close_variations(bpy.types.Operator):
    """Close these pictures; the objects stay as they are"""

    bl_idname = "latte3d.close_variations"
    bl_label = "Close"

    def execute(self, context):
        if session.SESSION.batch and session.SESSION.batch.over:
            session.show_batch(None)
        session.redraw()
        return {"FINISHED"}


class LATTE3D_OT_more_like_this(FromObject, Making, bpy.types.Operator):
    """Make variations of this object: the same description, styles near its own"""

    bl_idname = "latte3d.more_like_this"
    bl_label = "More Like This"
    bl_options = {"REGISTER"}

    number: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # of a variation; 0: the active object

    @classmethod
    def reason(cls, context):
        return placement.linked(context.scene) or session.busy() or ("" if session.SESSION.batch else super().reason(context))

    def execute(self, context):
        wanted, batch = context.scene.latte3d, session.SESSION.batch
        result = batch.results.get(self.number) if batch and self.number else None
        found = None if result else origin.of(context.active_object)
        if not (result or found):
            self.report({"ERROR"}, say("Select an object that was made from a prompt"))
            return {"CANCELLED"}
        prompt, seed, style = (result or found).prompt, (result or found).seed, (result or found).style
        try:
            guide = result.guide if result else kept.guide_of(context.active_object)
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        guide = replace(guide, planes=None) if guide and guide.planes else guide  # all of them would be the refined one
        count = wanted.count if wanted.count > 1 else LIKE
        styles = styles_near(style if style else style_of(max(seed, 0)), count, wanted.spread, random.randrange(2**31))
        detail = result.settings.get("detail", "") if result else found.detail
        return self.begin(
            session.at_cursor(context.scene), prompt, [seed] * count, machine.settings(known_detail(detail, wanted.detail)), styles=styles,
            model=result.fields["model"] if result else found.model, guide=guide,
        )  # fmt: skip


CLASSES = (
    LATTE3D_OT_place_variations,
    LATTE3D_OT_show_variation,
    LATTE3D_OT_keep_variation,
    LATTE3D_OT_reject_variation,
    LATTE3D_OT_remove_others,
    LATTE3D_OT_close_variations,
    LATTE3D_OT_more_like_this,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
