# SPDX-License-Identifier: GPL-3.0-or-later
"""The history in the panel: choosing, placing again without the engine, writing the prompt, deleting."""

import time

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from .. import kept, session
from ..panels import history as panels
from ..scene import placement, placing
from ..words import SaysWhy, say
from .prompt import write_wanted


class OnEntry:
    """An operator on one object of the history."""

    key: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        log = kept.shown()
        entry = log.get(properties.key) if log else None
        return f"{say(cls.__doc__)}: “{entry.prompt}”, {panels.facts_of(entry)}" if entry else say(cls.__doc__)

    def entry(self):
        """What it works on; None, with a sentence, where it is gone."""
        log = kept.history()
        found = log.get(self.key) if log else None
        if found is None:
            self.report({"ERROR"}, say("This object is no longer in the history"))
        return found


class LATTE3D_OT_choose_history(OnEntry, bpy.types.Operator):
    """Choose an object of the history"""

    bl_idname = "latte3d.choose_history"
    bl_label = "Choose"

    def execute(self, context):
        chosen = context.window_manager.latte3d
        chosen.history_key = "" if chosen.history_key == self.key else self.key
        session.redraw()
        return {"FINISHED"}


class LATTE3D_OT_place_history(SaysWhy, OnEntry, bpy.types.Operator):
    """Place it again at the 3D cursor, without the engine"""

    bl_idname = "latte3d.place_history"
    bl_label = "Place"

    @classmethod
    def reason(cls, context):
        return placement.why_not(context)

    def execute(self, context):
        if self.entry() is None:
            return {"CANCELLED"}
        result = kept.history().result(self.key)
        if result is None:
            self.report({"ERROR"}, say("Its file was damaged or is gone: generate it again"))
            return {"CANCELLED"}
        result.place, result.clicked = session.at_cursor(context.scene), time.perf_counter()
        session.keep(result)
        if bpy.app.background:
            placing.place(result)
        else:  # the timer makes it an undo step of its own, whose properties can be adjusted
            session.SESSION.to_place.append(result)
            session.wake()
        return {"FINISHED"}


class LATTE3D_OT_use_history(OnEntry, bpy.types.Operator):
    """Write its prompt, seed and detail into the panel, and choose its model"""

    bl_idname = "latte3d.use_history"
    bl_label = "Use Prompt"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        if (entry := self.entry()) is None:
            return {"CANCELLED"}
        result = kept.history().result(self.key) if entry.shaped == "blend" else None
        write_wanted(
            context.scene.latte3d, entry.prompt, entry.seed, entry.detail, entry.model,
            result.guide.blend if result and result.guide else None,
        )  # fmt: skip
        return {"FINISHED"}


class LATTE3D_OT_delete_history(OnEntry, bpy.types.Operator):
    """Delete it from the history; objects in scenes stay"""

    bl_idname = "latte3d.delete_history"
    bl_label = "Delete from History"

    everything: BoolProperty(name="All That Is Found", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        return say("Delete all that the search finds from the history; objects in scenes stay" if properties.everything else cls.__doc__)

    def invoke(self, context, event):
        if self.everything:
            return context.window_manager.invoke_confirm(self, event)
        return self.execute(context)

    def execute(self, context):
        log, chosen = kept.history(), context.window_manager.latte3d
        if log is None:
            self.report({"ERROR"}, say("There is no history"))
            return {"CANCELLED"}
        keys = [entry.key for entry in log.find(chosen.history_search)] if self.everything else [self.key]
        log.delete(*keys)
        chosen.history_key, chosen.history_page = "", 0 if self.everything else chosen.history_page
        session.redraw()
        return {"FINISHED"}


class LATTE3D_OT_page_history(bpy.types.Operator):
    """Show the next page of the history, or the one before"""

    bl_idname = "latte3d.page_history"
    bl_label = "Turn the Page"

    page: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        context.window_manager.latte3d.history_page = self.page
        session.redraw()
        return {"FINISHED"}


CLASSES = (
    LATTE3D_OT_choose_history,
    LATTE3D_OT_place_history,
    LATTE3D_OT_use_history,
    LATTE3D_OT_delete_history,
    LATTE3D_OT_page_history,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
