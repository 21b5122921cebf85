# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that builds a finished job's objects in the scene, as one undo step; its properties are the Adjust Last Operation panel."""

import math
import time

import bpy
import numpy as np
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, IntProperty, StringProperty
from mathutils import Vector

from .. import session
from ..scene import clearance, meshes, origin, placement
from ..scene.placing import AGAIN

NEAR = 0.02  # share of an object's height up to which the cursor lies on a surface


class LATTE3D_OT_place_result(bpy.types.Operator):
    """Build a finished object in the scene"""

    bl_idname = "latte3d.place_result"
    bl_label = "Place Generated Object"
    bl_options = {"REGISTER", "UNDO"}

    job: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # 0: the last one
    height: FloatProperty(
        name="Height",
        description="The object's height; 0 takes the height that the model predicts",
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
    towards: FloatVectorProperty(size=3, options={"HIDDEN", "SKIP_SAVE"})  # from the scene to who looks at it, horizontally

    replaces: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # the object whose place it takes

    @classmethod
    def poll(cls, context):
        why = placement.why_not(context)
        if why:
            cls.poll_message_set(why)
        return not why

    def execute(self, context):
        results = session.SESSION.results
        job = results.get(self.job or max(results, default=0))
        if job is None:
            self.report({"ERROR"}, f"This result is no longer kept. {AGAIN}")
            return {"CANCELLED"}
        begun, unit_m = time.perf_counter(), placement.meters(context.scene)
        self.height = self.height or job.objects[0]["height_m"] / unit_m
        factor = self.height * unit_m / job.objects[0]["height_m"]
        heights = [float(f"{factor * item['height_m']:.6g}") for item in job.objects]  # the property has 7 digits
        try:
            with meshes.all_or_nothing():
                made = [
                    meshes.build_object(item, job.settings, height_m=height, unit_m=unit_m)
                    for item, height in zip(job.objects, heights, strict=True)
                ]
                if old := origin.replaceable(self.replaces):
                    made = [origin.replace_object(old, made[0])]
                    placement.select_only(context, made)
                else:
                    self._arrange(context, made)
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        insert_ms = 1000 * (time.perf_counter() - begun)
        for one, item in zip(made, job.objects, strict=True):
            meshes.write_timings(one, {**item["timings_ms"], "insert": insert_ms / len(made)})
        if session.SESSION.last.get("job") != job.id:
            _remember(job, insert_ms)
        return {"FINISHED"}

    def _arrange(self, context, made):
        """Stand the objects in a row that begins at the location, or near it."""
        sizes = np.array([one.dimensions for one in made])  # [N, 3]; each stands with the centre of its base on its place
        offsets = placement.row_offsets([float(width) for width in sizes[:, 0]])
        (_, deep, high), right = sizes.max(0), offsets[-1] + sizes[-1, 0] / 2
        row = np.array([(-sizes[0, 0] / 2, -deep / 2, 0), (right, deep / 2, high)])
        place = self._ground(context, made, Vector(self.location))
        if self.clear:
            free = clearance.free_spot(context, place, row, Vector(self.towards))
            place = self._ground(context, made, free) if free.xy != place.xy else free
        collection = placement.generated_collection(context)
        for one, offset in zip(made, offsets, strict=True):
            one.location, one.rotation_euler = place + Vector((offset, 0, 0)), (0, 0, self.angle)
            collection.objects.link(one)
        placement.select_only(context, made)

    def _ground(self, context, made, place):
        """The place, or what is below it where the objects shall drop. What was made here is ground where the place lies on it or, if
        that is no older copy of these, above it; else things would pile up that are made one after another."""
        prompts = {one["latte3d_prompt"] for one in made}

        def passes(item, above):
            prompt = item.get("latte3d_prompt")
            return prompt is not None and abs(above) > NEAR * self.height and (prompt in prompts or above > 0)

        return placement.ground_below(context, place, passes) if self.drop else place


def _remember(job, insert_ms: float) -> None:
    """Keep what the panel says about the object that was just made."""
    stages = {stage: sum(item["timings_ms"].get(stage, 0.0) for item in job.objects) for stage in job.objects[0]["timings_ms"]}
    session.SESSION.last = {
        "job": job.id,
        "total_ms": session.total_ms(job.id),
        "timings_ms": {**stages, "insert": insert_ms},
    }
