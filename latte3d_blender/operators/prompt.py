# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing prompts, answering the engine's question, and the ways to the panel."""

import random
from dataclasses import replace

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import machine, session
from ..client import engine as client
from ..client import wording
from ..panels import main as panels
from ..properties import DETAILS
from ..scene import origin, placement
from ..words import SaysWhy, say
from .generate import Making

SEARCHED = "Generate: Text to 3D…"  # F3 finds a menu's entry by its words


class LATTE3D_OT_new_seed(bpy.types.Operator):
    """Draw another seed: another object of the same description"""

    bl_idname = "latte3d.new_seed"
    bl_label = "New Seed"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        context.scene.latte3d.seed = another_seed()
        return {"FINISHED"}


def another_seed() -> int:
    """A seed that nobody has to type twice."""
    return random.randrange(1, 100_000)


class LATTE3D_OT_use_thing(bpy.types.Operator):
    """Write a prompt for this thing"""

    bl_idname = "latte3d.use_thing"
    bl_label = "Use Example"
    bl_options = {"REGISTER", "UNDO"}

    prompt: StringProperty(name="Prompt", description="What to make", options={"HIDDEN", "SKIP_SAVE"})
    make: BoolProperty(name="Make It", description="Generate it at once", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        return say("Make “{prompt}”" if properties.make else "Write “{prompt}”", prompt=properties.prompt)

    def execute(self, context):
        asked = session.SESSION.question  # which another prompt answers
        context.scene.latte3d.prompt = self.prompt
        maker = bpy.ops.latte3d.retexture if asked and asked.job.place.paints else bpy.ops.latte3d.generate
        if self.make and maker.poll():
            return in_turn(self, maker)
        return {"FINISHED"}


def in_turn(operator: bpy.types.Operator, other) -> set[str]:
    """Call another operator as a part of one; where that fails, pass its sentence on instead of Python's error."""
    try:
        return other()
    except RuntimeError as error:
        operator.report({"ERROR"}, say(str(error).strip().removeprefix("Error: ")))
        return {"CANCELLED"}


class LATTE3D_OT_write_word(bpy.types.Operator):
    """Write this word into the prompt, in place of another of its kind"""

    bl_idname = "latte3d.write_word"
    bl_label = "Write Word"
    bl_options = {"REGISTER", "UNDO"}

    what: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # "color", "material", "pattern"
    word: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        wanted = context.scene.latte3d
        wanted.prompt = wording.written(wanted.prompt, self.what, self.word, session.SESSION.engine.words(wanted.model))
        return {"FINISHED"}


class LATTE3D_OT_place_anyway(Making, bpy.types.Operator):
    """Make it all the same: the model puts together what it can, which may be fragments"""

    bl_idname = "latte3d.place_anyway"
    bl_label = "Place Anyway"
    bl_options = {"REGISTER"}

    @classmethod
    def reason(cls, context):
        reason = placement.linked(context.scene) or session.busy()
        return reason or ("" if session.SESSION.question else "The engine has not asked anything")

    def execute(self, context):
        asked = session.SESSION.question.job
        place = replace(asked.place, batch=None)
        return self.begin(place, asked.prompts[0], asked.seeds, asked.settings, styles=asked.styles, model=asked.model, guide=asked.guide)


class LATTE3D_OT_dismiss(bpy.types.Operator):
    """Close this message"""

    bl_idname = "latte3d.dismiss"
    bl_label = "Dismiss"

    def execute(self, context):
        session.SESSION.fault = session.SESSION.question = None
        session.redraw()
        return {"FINISHED"}


class FromObject(SaysWhy):
    """An operator on the active object, which was made here."""

    @classmethod
    def reason(cls, context):
        return "" if origin.of(context.active_object) else "Select an object that was made from a prompt"


class LATTE3D_OT_use_prompt(FromObject, bpy.types.Operator):
    """Write the prompt, the seed and the detail that the active object was made of, and choose its model"""

    bl_idname = "latte3d.use_prompt"
    bl_label = "Use Prompt"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        found = origin.of(context.active_object)
        write_wanted(context.scene.latte3d, found.prompt, found.seed, found.detail, found.model, found.blend)
        return {"FINISHED"}


def write_wanted(wanted, prompt: str, seed: int, detail: str, model: str, blend: tuple[str, float] | None = None) -> None:
    """Let the panel ask for what an object was made of, as far as the panel can."""
    wanted.prompt, wanted.seed = prompt, max(seed, 0)
    wanted.detail = known_detail(detail, wanted.detail)
    wanted.use_blend = blend is not None
    if blend:
        wanted.blend_prompt, wanted.blend = blend
    models = session.SESSION.engine.models
    if model in models and (len(models) > 1 or wanted.model):
        wanted.model = model


class InItsPlace(FromObject, Making):
    """An operator that makes an object which takes the place of the active one."""

    @classmethod
    def reason(cls, context):
        reason = placement.linked(context.scene) or session.busy() or super().reason(context)
        reason = reason or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")
        theirs = reason or context.active_object.library or context.active_object.override_library  # one of this file may have its name
        return reason or ("This object belongs to another file" if theirs else "")

    @staticmethod
    def place_of(context) -> session.Place:
        """The active object's place."""
        old, place, unit_m = context.active_object, session.at_cursor(context.scene), placement.meters(context.scene)
        place.location, place.replaces, place.height = tuple(old.matrix_world.translation), old.name, origin.height_to_keep(old, unit_m)
        return place


class LATTE3D_OT_new_seed_here(InItsPlace, bpy.types.Operator):
    """Make another object of the same description and let it take the place of the active one"""

    bl_idname = "latte3d.new_seed_here"
    bl_label = "New Seed Here"
    bl_options = {"REGISTER"}

    def execute(self, context):
        found = origin.of(context.active_object)
        settings = machine.settings(known_detail(found.detail, context.scene.latte3d.detail))
        place = self.place_of(context)
        return self.begin(place, found.prompt, [another_seed()], settings, model=found.model)  # not strict: it was made once


def known_detail(name: str, otherwise: str) -> str:
    """A level of detail that an object's property names, if there is such a level."""
    return name if name in [level for level, *_ in DETAILS] else otherwise


class LATTE3D_OT_from_prompt(SaysWhy, bpy.types.Operator):
    """Describe an object, and the model makes it at the 3D cursor"""

    bl_idname = "latte3d.from_prompt"
    bl_label = "From Prompt…"

    @classmethod
    def reason(cls, context):
        reason = placement.linked(context.scene) or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")
        reason = reason or ("Set Up is running" if session.SESSION.setup else "")
        return reason or ("An object is being made" if session.SESSION.running else "")

    def invoke(self, context, event):
        if session.SESSION.stale:
            session.look_up()
        if session.SESSION.engine.state == client.NOT_INSTALLED:
            self.report({"INFO"}, say("Set up the engine first: the LATTE3D tab of the sidebar shows how"))
            return in_turn(self, bpy.ops.latte3d.show_panel)
        return context.window_manager.invoke_props_dialog(self, width=340, title="From Prompt", confirm_text="Generate")

    def draw(self, context):
        panels.draw_popup(self.layout, context)

    def execute(self, context):
        if not context.scene.latte3d.prompt.strip():
            self.report({"ERROR"}, say("Type a prompt first"))
            return {"CANCELLED"}
        return in_turn(self, bpy.ops.latte3d.generate)


class LATTE3D_OT_show_panel(bpy.types.Operator):
    """Open the sidebar at the LATTE3D tab"""

    bl_idname = "latte3d.show_panel"
    bl_label = "Show the LATTE3D Panel"

    def execute(self, context):
        areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"] if context.window else []
        if not areas:
            self.report({"ERROR"}, say("There is no 3D viewport in this window"))
            return {"CANCELLED"}
        area = context.area if context.area in areas else max(areas, key=lambda area: area.width * area.height)
        area.spaces.active.show_region_ui = True
        if not bpy.app.background:
            _turn_to_tab(list(context.window.screen.areas).index(area))
        return {"FINISHED"}


def _turn_to_tab(index: int) -> None:
    """Turn the sidebar of a screen's area to the add-on's tab, which is there only after Blender has drawn it once."""
    left = [20]

    def turn():
        left[0] -= 1
        areas = bpy.context.window_manager.windows[0].screen.areas if not bpy.context.window else bpy.context.window.screen.areas
        if index >= len(areas) or areas[index].type != "VIEW_3D":
            return None
        try:
            next(region for region in areas[index].regions if region.type == "UI").active_panel_category = session.TAB
        except (TypeError, AttributeError):
            return 0.05 if left[0] else None
        areas[index].tag_redraw()
        return None

    bpy.app.timers.register(turn, first_interval=0.05)


def draw_menu(self, context) -> None:
    """Add > Mesh > From Prompt…"""
    self.layout.separator()
    self.layout.operator("latte3d.from_prompt", icon="SHADERFX")


def draw_object_menu(self, context) -> None:
    """The Object menu's entry, under the words that people search for with F3."""
    self.layout.separator()
    self.layout.operator("latte3d.from_prompt", text=SEARCHED, icon="SHADERFX", search_weight=1.0)


CLASSES = (
    LATTE3D_OT_new_seed,
    LATTE3D_OT_use_thing,
    LATTE3D_OT_write_word,
    LATTE3D_OT_place_anyway,
    LATTE3D_OT_dismiss,
    LATTE3D_OT_use_prompt,
    LATTE3D_OT_new_seed_here,
    LATTE3D_OT_from_prompt,
    LATTE3D_OT_show_panel,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.VIEW3D_MT_mesh_add.append(draw_menu)
    bpy.types.VIEW3D_MT_object.append(draw_object_menu)


def unregister() -> None:
    bpy.types.VIEW3D_MT_object.remove(draw_object_menu)
    bpy.types.VIEW3D_MT_mesh_add.remove(draw_menu)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
