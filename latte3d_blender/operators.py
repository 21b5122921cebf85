# SPDX-License-Identifier: GPL-3.0-or-later
"""Making an object: generate starts a job, place_result builds its objects as one undo step."""

import math
import time

import bpy
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, IntProperty, StringProperty
from mathutils import Vector

from . import jobs, machine, meshes, origin, placement
from .engine import EngineFault


class Making:
    """An operator that starts a job. In background mode, or with `wait`, it returns when the object is there."""

    wait: BoolProperty(name="Wait", description="Return when the object is there", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        reason = jobs.busy()
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def begin(self, place, prompt, seed, settings, *, strict=False):
        """Submit the job; returns what execute() has to return."""
        try:
            job = jobs.submit(place, prompt, seed, settings, strict=strict)
            if not (self.wait or bpy.app.background):
                return {"FINISHED"}
            jobs.run_now(job)
        except EngineFault as error:
            if error.fault is not jobs.SESSION.engine.fault and not jobs.SESSION.question:
                jobs.SESSION.fault = error.fault
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        jobs.SESSION.to_place.remove(job.id)
        return bpy.ops.latte3d.place_result("EXEC_DEFAULT", True, job=job.id, **place.properties())


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
        reason = jobs.busy() or ("" if context.scene.latte3d.prompt.strip() else "Type a prompt first")
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context):
        wanted = context.scene.latte3d
        place = jobs.at_cursor(context.scene)
        return self.begin(place, wanted.prompt, wanted.seed, machine.settings(wanted.detail), strict=not self.anyway)


class LATTE3D_OT_cancel(bpy.types.Operator):
    """Stop what is being made or set up"""

    bl_idname = "latte3d.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context):
        cls.poll_message_set("Nothing is being made")
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


class LATTE3D_OT_place_result(bpy.types.Operator):
    """Build a finished object in the scene"""

    bl_idname = "latte3d.place_result"
    bl_label = "Place Generated Object"
    bl_options = {"REGISTER", "UNDO"}

    job: IntProperty(options={"HIDDEN"})
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
    replaces: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # the object whose place it takes

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def execute(self, context):
        job = jobs.SESSION.results.get(self.job)
        if job is None:
            self.report({"ERROR"}, "This result is no longer kept. Generate it again: the same prompt and seed make the same object.")
            return {"CANCELLED"}
        begun, made = time.perf_counter(), []
        self.height = self.height or job.objects[0]["height_m"]
        factor = self.height / job.objects[0]["height_m"]
        try:
            for item in job.objects:
                made.append(meshes.build_object(item, job.settings, height_m=factor * item["height_m"]))
        except (ValueError, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if old := origin.replaceable(self.replaces):
            made = [origin.replace_object(old, made[0])]
            placement.select_only(context, made)
        else:
            self._arrange(context, made)
        insert_ms = 1000 * (time.perf_counter() - begun)
        for one, item in zip(made, job.objects, strict=True):
            meshes.write_timings(one, {**item["timings_ms"], "insert": insert_ms / len(made)})
        if jobs.SESSION.last.get("job") != job.id:
            stages = {stage: sum(item["timings_ms"].get(stage, 0.0) for item in job.objects) for stage in job.objects[0]["timings_ms"]}
            jobs.SESSION.last = {
                "job": job.id,
                "total_ms": jobs.total_ms(job.id),
                "timings_ms": {**stages, "insert": insert_ms},
            }
        return {"FINISHED"}

    def _arrange(self, context, made):
        """Stand the objects in a row that begins at the location."""
        place = Vector(self.location)
        if self.drop:
            place = placement.ground_below(context, place)
        collection = placement.generated_collection(context)
        for one, offset in zip(made, placement.row_offsets([one.dimensions.x for one in made]), strict=True):
            one.location, one.rotation_euler = place + Vector((offset, 0, 0)), (0, 0, self.angle)
            collection.objects.link(one)
        placement.select_only(context, made)


CLASSES = (LATTE3D_OT_generate, LATTE3D_OT_cancel, LATTE3D_OT_place_result)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
