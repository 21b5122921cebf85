# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that builds a result in the scene, as one undo step; its properties are the Adjust Last Operation panel."""

import math
import time

import bpy
import numpy as np
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, IntProperty, StringProperty
from mathutils import Quaternion, Vector

from .. import session
from ..scene import clearance, meshes, origin, placement
from ..scene.placing import AGAIN
from ..words import SaysWhy, say

SMOOTH = BoolProperty(
    name="Shade Smooth", description="Light runs softly over the faces, but for creases; without it each face is flat", default=True,
    options={"SKIP_SAVE"},
)  # fmt: skip
NEAR = 0.02  # share of an object's height up to which the cursor lies on a surface


class LATTE3D_OT_place_result(SaysWhy, bpy.types.Operator):
    """Build a finished object in the scene"""

    bl_idname = "latte3d.place_result"
    bl_label = "Place Object"
    bl_options = {"REGISTER", "UNDO"}

    result: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # its number; 0: the last one
    height: FloatProperty(
        name="Height",
        description="The object's height; 0 takes the height that the model predicts, or the one last given where it knows none",
        unit="LENGTH",
        min=0.0,
        soft_max=20.0,
        options={"SKIP_SAVE"},
    )
    location: FloatVectorProperty(
        name="Location",
        description="Where the centre of its base stands",
        subtype="TRANSLATION",
        unit="LENGTH",
        size=3,
        options={"SKIP_SAVE"},
    )
    angle: FloatProperty(
        name="Turn", description="Turn about the vertical", unit="ROTATION", soft_min=-math.pi, soft_max=math.pi, options={"SKIP_SAVE"}
    )
    drop: BoolProperty(name="Drop to Ground", description="Stand on the first surface below", options={"SKIP_SAVE"})
    clear: BoolProperty(
        name="Find Free Spot",
        description="Stand beside what is at the location already, instead of inside it",
        default=True,
        options={"SKIP_SAVE"},
    )
    align: BoolProperty(
        name="Align to Surface", description="Stand straight on the surface below, however that slopes", options={"SKIP_SAVE"}
    )
    smooth: SMOOTH
    normal: FloatVectorProperty(size=3, options={"HIDDEN", "SKIP_SAVE"})  # of the surface, where it is known
    towards: FloatVectorProperty(size=3, options={"HIDDEN", "SKIP_SAVE"})  # from the scene to who looks at it, horizontally

    replaces: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # the object whose place it takes
    hides: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # the objects that it stands for, line by line

    @classmethod
    def reason(cls, context):
        return placement.why_not(context)

    def execute(self, context):
        results = session.SESSION.results
        result = results.get(self.result or max(results, default=0))
        if result is None:
            self.report({"ERROR"}, say(f"This result is no longer kept. {AGAIN}"))
            return {"CANCELLED"}
        begun, unit_m = time.perf_counter(), placement.meters(context.scene)
        self.height = self.height or origin.own_height(result) / unit_m
        height_m = float(f"{self.height * unit_m:.6g}")  # the property has 7 digits
        try:
            with meshes.all_or_nothing():
                made = meshes.build_object(result, height_m=height_m, unit_m=unit_m, smooth=self.smooth)
                if old := origin.replaceable(self.replaces):
                    made = origin.replace_object(old, made)
                else:
                    self._stand(context, made)
                    placement.hide(context, self.hides.splitlines())
                placement.select_only(context, [made])
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        insert_ms = 1000 * (time.perf_counter() - begun)
        meshes.write_timings(made, {**result.fields["timings_ms"], "insert": insert_ms})
        if session.SESSION.last is not result:
            result.total_ms = 1000 * ((result.place.held_since or time.perf_counter()) - result.clicked)
            session.SESSION.last = result
        return {"FINISHED"}

    def _stand(self, context, made):
        """Stand the object at the location, or near it."""
        width, deep, high = made.dimensions  # it stands with the centre of its base on its place
        box = np.array([(-width / 2, -deep / 2, 0), (width / 2, deep / 2, high)])
        place = self._ground(context, made, Vector(self.location))
        if self.clear:
            free = clearance.free_spot(context, place, box, Vector(self.towards))
            place = self._ground(context, made, free) if free.xy != place.xy else free
        made.location, made.rotation_euler = place, (0, 0, self.angle)
        if self.align:
            known = Vector(self.normal)
            normal = known if known.length > 0.5 else placement.normal_below(context, place)
            turn = Vector((0, 0, 1)).rotation_difference(normal) @ Quaternion((0, 0, 1), self.angle)
            made.rotation_euler = turn.to_euler()
        placement.generated_collection(context).objects.link(made)

    def _ground(self, context, made, place):
        """The place, or what is below it where the objects shall drop. What was made here is ground where the place lies on it or, if
        that is no older copy of it, above it; else things would pile up that are made one after another."""
        own = made["latte3d_prompt"]

        def passes(item, above):
            prompt = item.get("latte3d_prompt")
            return prompt is not None and abs(above) > NEAR * self.height and (prompt == own or above > 0)

        return placement.ground_below(context, place, passes) if self.drop else place
