# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on the library: Prepare, Train, stop, resume, and the model that comes of it."""

from dataclasses import replace
from pathlib import Path

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from .. import library_session, refining
from ..client.engine import EngineFault
from ..client.library_work import PREPARE, TRAIN
from ..panels import library as panels
from ..words import SaysWhy, say

STARTS = [
    ("starter", "Starter", "Go on from the model that comes with the add-on, and keep what it knows"),
    ("none", "Nothing", "A new model that knows this library alone; takes much longer"),
]


def busy() -> str:
    """Why no long work can begin, in the words of a disabled button."""
    return library_session.busy() or refining.working()


class LongWork(SaysWhy):
    """An operator that starts long work."""

    @classmethod
    def reason(cls, context):
        return library_session.missing() or busy()

    def begin(self, make_wish) -> set[str]:
        """Start what `make_wish` returns; returns what execute() has to return."""
        try:
            library_session.begin(make_wish())
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_prepare_library(LongWork, bpy.types.Operator):
    """Make the library's objects ready for training, beside Blender; those that have not changed stay as they are"""

    bl_idname = "latte3d.prepare_library"
    bl_label = "Prepare"

    def execute(self, context):
        return self.begin(lambda: library_session.wish(PREPARE))


class LATTE3D_OT_train(LongWork, bpy.types.Operator):
    """Let a model learn the library, beside Blender"""

    bl_idname = "latte3d.train"
    bl_label = "Train…"

    minutes: IntProperty(
        name="Minutes",
        description="How long it learns in all; to go on with a finished model, ask for more than it has had",
        default=60,
        min=1,
        max=100_000,
    )
    start: EnumProperty(name="Start From", description="What it knows before", items=STARTS)
    out: StringProperty(
        name="Model Folder", description="The finished model's folder; empty: with the add-on's models, where the chooser has it"
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=panels.TRAINING_WIDTH, title="Train", confirm_text="Train")

    def draw(self, context):
        panels.draw_training(self.layout, context, self)

    def execute(self, context):
        out = str(Path(bpy.path.abspath(self.out.strip())).expanduser().resolve()) if self.out.strip() else ""
        return self.begin(lambda: library_session.wish(TRAIN, minutes=self.minutes, start=self.start, out=out))


class LATTE3D_OT_stop_work(SaysWhy, bpy.types.Operator):
    """Stop it; what was done is kept, and Resume goes on from there"""

    bl_idname = "latte3d.stop_work"
    bl_label = "Stop"

    @classmethod
    def reason(cls, context):
        work = library_session.STATE.work
        return "Nothing is running" if not work or work.over else "It is stopping" if work.stopping else ""

    def execute(self, context):
        library_session.STATE.work.job.cancel()
        library_session.wake()
        return {"FINISHED"}


class LATTE3D_OT_resume_work(LongWork, bpy.types.Operator):
    """Go on from where it stopped"""

    bl_idname = "latte3d.resume_work"
    bl_label = "Resume"

    @classmethod
    def reason(cls, context):
        work = library_session.STATE.work
        return busy() or ("" if work and work.resumable else "Nothing was stopped")

    def execute(self, context):
        return self.begin(lambda: library_session.STATE.work.wish)


class LATTE3D_OT_work_anyway(LongWork, bpy.types.Operator):
    """Go on, although memory or disk seem too small for it"""

    bl_idname = "latte3d.work_anyway"
    bl_label = "Go On Anyway"

    @classmethod
    def reason(cls, context):
        work = library_session.STATE.work
        return busy() or ("" if work and work.over and work.refusal else "Nothing was refused")

    def execute(self, context):
        return self.begin(lambda: replace(library_session.STATE.work.wish, anyway=True))


class LATTE3D_OT_dismiss_work(bpy.types.Operator):
    """Close this message; nothing is deleted"""

    bl_idname = "latte3d.dismiss_work"
    bl_label = "Dismiss"

    def execute(self, context):
        library_session.dismiss()
        library_session.wake()
        return {"FINISHED"}


class LATTE3D_OT_use_model(bpy.types.Operator):
    """Let this model make the objects of this scene"""

    bl_idname = "latte3d.use_model"
    bl_label = "Use This Model"
    bl_options = {"REGISTER", "UNDO"}

    model: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        context.scene.latte3d.model = self.model
        return {"FINISHED"}


CLASSES = (
    LATTE3D_OT_prepare_library,
    LATTE3D_OT_train,
    LATTE3D_OT_stop_work,
    LATTE3D_OT_resume_work,
    LATTE3D_OT_work_anyway,
    LATTE3D_OT_dismiss_work,
    LATTE3D_OT_use_model,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
