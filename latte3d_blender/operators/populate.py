# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling the scene: the recipe's lists, its files, and what is made of it; each change of the scene is one undo step."""

import json
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from .. import population_session as populating
from .. import session
from ..client.job import EngineFault
from ..files import written
from ..panels import populate as panels
from ..populate import preview, recipe, run, scatter, targets
from ..populate.work import Work
from ..scene import placement
from ..words import SaysWhy, say

LISTS = [(name.upper(), name.title(), "") for name in ("layers", "things", "masks", "targets", "avoid", "own_targets", "names")]
LIST_HELP = {
    "LAYERS": ("Add a layer", "Remove the layer"),
    "THINGS": ("Add a sort of object", "Remove the sort of object"),
    "MASKS": ("Add a mask", "Remove the mask"),
}
ACTIONS = [(name, name.title(), "") for name in ("ADD", "REMOVE", "DUPLICATE", "UP", "DOWN")]


class Editing(SaysWhy):
    """An operator on the recipe."""

    @classmethod
    def reason(cls, context):
        return placement.linked(context.scene)


class LATTE3D_OT_recipe_list(Editing, bpy.types.Operator):
    """Change a list of the recipe"""

    bl_idname = "latte3d.recipe_list"
    bl_label = "Change List"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    what: EnumProperty(items=LISTS, options={"HIDDEN", "SKIP_SAVE"})
    action: EnumProperty(items=ACTIONS, options={"HIDDEN", "SKIP_SAVE"})
    index: IntProperty(default=-1, options={"HIDDEN", "SKIP_SAVE"})  # of what is removed, where the list has no active one
    kind: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # of a mask, a thing or a name that is added

    @classmethod
    def description(cls, context, properties):
        adding, removing = LIST_HELP.get(properties.what, ("Add an object or a collection", "Remove the object or the collection"))
        moving = "Layers are laid out in their order, each around those above it"
        return say({"ADD": adding, "REMOVE": removing, "DUPLICATE": "Add a copy of the layer"}.get(properties.action, moving))

    def execute(self, context):
        wanted = populating.of(context.scene)
        holder, items, active = panels.list_of(wanted, self.what)
        if items is None:
            return {"CANCELLED"}
        index = self.index if self.index >= 0 else getattr(holder, active) if active else len(items) - 1
        if self.action == "ADD":
            self.add(context, wanted, items)
            index = len(items) - 1
        elif not 0 <= index < len(items):
            return {"CANCELLED"}
        elif self.action == "REMOVE":
            items.remove(index)
            index = min(index, len(items) - 1)
        elif self.action == "DUPLICATE":
            made, how = items.add(), populating.form_of(context.scene)
            how.fill_layer(made, {**how.layer(items[index]), "name": free_name(items[index].name, items)})
            items.move(len(items) - 1, index + 1)
            index += 1
        else:
            other = index + (1 if self.action == "DOWN" else -1)
            if not 0 <= other < len(items):
                return {"CANCELLED"}
            items.move(index, other)
            index = other
        if active:
            setattr(holder, active, max(index, 0))
        populating.recipe_changed()
        return {"FINISHED"}

    def add(self, context, wanted, items) -> None:
        """Add an item that makes sense as it is."""
        made = items.add()
        if self.kind:
            made.kind = self.kind
        if self.what == "LAYERS":
            made.name = free_name("Layer", items)
            made.things.add()
        elif self.what == "MASKS":
            made.low, made.high = {"layer": (0.0, 2.0), "grid": (0.0, 0.2), "slope": (0.0, 30.0)}.get(made.kind, (0.0, 5.0))
            made.use_range = made.kind not in ("noise", "inside", "vertex_group", "attribute", "image")
            above = wanted.layers[: wanted.layer]
            made.source = above[-1].name if made.kind == "layer" and above else ""
        elif self.what in ("TARGETS", "OWN_TARGETS") and context.active_object and context.active_object.type == "MESH":
            made.object = context.active_object


def free_name(name: str, items) -> str:
    """A name like this one that no layer has."""
    taken, base = {item.name for item in items}, name.rstrip("0123456789 ") or "Layer"
    return next(one for number in range(2, len(items) + 3) if (one := f"{base} {number}") not in taken) if name in taken else name


class LATTE3D_OT_use_recipe(Editing, bpy.types.Operator):
    """Show this recipe in the panel. The chosen ground stays where the recipe's is not there"""

    bl_idname = "latte3d.use_recipe"
    bl_label = "Use Recipe"
    bl_options = {"REGISTER", "UNDO"}

    preset: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # its file's name
    population: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # else a collection that carries a recipe; else that of a lost job

    @classmethod
    def description(cls, context, properties):
        return next((say(about) for name, _, about in populating.presets() if name == properties.preset), say(cls.__doc__))

    def execute(self, context):
        try:
            if self.preset:
                text = (populating.PRESETS / Path(self.preset).name).read_text(encoding="utf-8")
            else:
                top = bpy.data.collections.get(self.population)
                text = top.get("latte3d_recipe", "") if top else populating.STATE.lost
            use(context, text, self.population or self.preset)
        except (OSError, ValueError) as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        populating.of(context.scene).collection = bpy.data.collections.get(self.population) if self.population else None
        return {"FINISHED"}


def use(context, text: str, name: str) -> None:
    """Show a recipe's JSON in the panel. Raises RecipeError."""
    recipe.read(text, name)
    wanted, item = populating.of(context.scene), context.active_object
    if not len(wanted.targets) and item is not None and item.type == "MESH" and "latte3d_prompt" not in item:
        wanted.targets.add().object = item
    populating.form_of(context.scene).fill(wanted, json.loads(text), keep_targets=True)
    populating.another_recipe()


class LATTE3D_OT_load_recipe(Editing, bpy.types.Operator, ImportHelper):
    """Show a recipe from a file (JSON) in the panel"""

    bl_idname = "latte3d.load_recipe"
    bl_label = "Load Recipe"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context):
        path = Path(self.filepath)
        try:
            use(context, path.read_text(encoding="utf-8-sig"), path.name)
        except UnicodeDecodeError:
            self.report({"ERROR"}, say("{path} is no text in UTF-8", path=path.name))
            return {"CANCELLED"}
        except (OSError, ValueError) as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        populating.of(context.scene).collection = None
        return {"FINISHED"}


class LATTE3D_OT_save_recipe(SaysWhy, bpy.types.Operator, ExportHelper):
    """Write the recipe to a file (JSON), for other scenes and for the command line"""

    bl_idname = "latte3d.save_recipe"
    bl_label = "Save Recipe"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def reason(cls, context):
        return "" if len(populating.of(context.scene).layers) else "Add a layer first"

    def invoke(self, context, event):
        if not self.filepath:
            self.filepath = bpy.path.clean_name(populating.of(context.scene).name) + ".json"
        return super().invoke(context, event)

    def execute(self, context):
        try:
            with written(Path(self.filepath)) as partial:
                partial.write_text(populating.form_of(context.scene).text(populating.of(context.scene)) + "\n", encoding="utf-8")
        except OSError as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        self.report({"INFO"}, say("The recipe was saved as {path}", path=self.filepath))
        return {"FINISHED"}


# Making ---------------------------------------------------------------------------------------------------------------------------------


class Populating(SaysWhy):
    """An operator that starts a population or its preview. In background mode it returns when that is there."""

    sure: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})  # of a great number of objects

    @classmethod
    def reason(cls, context):
        wanted = populating.of(context.scene)
        why = placement.why_not(context) or populating.busy() or ("" if len(wanted.layers) else "Add a layer first, or choose a preset")
        if not why and populating.STATE.wrong and populating.STATE.scene == context.scene.session_uid:
            return populating.STATE.wrong[0]
        return why

    def begin(self, context, change=lambda value: None, **how) -> set[str]:
        """Start it; returns what execute() has to return."""
        try:
            found = populating.wanted(context.scene, change)
            populating.begin(context.scene, found, sure=self.sure, **how)
        except run.Asks as error:
            if not bpy.app.background:
                bpy.ops.latte3d.populate_anyway("INVOKE_DEFAULT", question=str(error), preview=how.get("preview", False))
                return {"CANCELLED"}
            return self.refuse(str(error))
        except recipe.RecipeError as error:
            return self.refuse(" ".join(populating.in_words(error, context.scene)))
        except (targets.SceneError, OSError, EngineFault, ValueError) as error:
            return self.refuse(str(error))
        if bpy.app.background:
            populating.run_now(lambda work: place(context, work))
            state = populating.STATE
            for note in (*state.result.failed, *state.result.notes) if state.result else ():
                self.report({"WARNING"}, say(note))
            if state.fault:
                return self.refuse(str(state.fault))
        return {"FINISHED"}

    def refuse(self, text: str) -> set[str]:
        self.report({"ERROR"}, say(text))
        return {"CANCELLED"}


class LATTE3D_OT_preview_population(Populating, bpy.types.Operator):
    """Show a box for each object, before anything is made. The objects' real sizes may leave room for a few more or less"""

    bl_idname = "latte3d.preview_population"
    bl_label = "Preview"
    bl_options = {"REGISTER"}

    def execute(self, context):
        return self.begin(context, preview=True)


class LATTE3D_OT_populate(Populating, bpy.types.Operator):
    """Make what is missing and fill the scene, beside your work; the population that the panel shows is replaced"""

    bl_idname = "latte3d.populate"
    bl_label = "Populate"
    bl_options = {"REGISTER"}

    make: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})  # what is missing; else only what is made already is placed

    def execute(self, context):
        return self.begin(context, make=self.make)


class LATTE3D_OT_populate_anyway(bpy.types.Operator):
    """Make as many as that"""

    bl_idname = "latte3d.populate_anyway"
    bl_label = "Populate Anyway"
    bl_options = {"INTERNAL"}

    question: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    preview: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=380, title="So Many Objects?", confirm_text="Go On")

    def draw(self, context):
        panels.draw_question(self.layout, context, self.question)

    def execute(self, context):
        name = "preview_population" if self.preview else "populate"
        return getattr(bpy.ops.latte3d, name)(sure=True)


class LATTE3D_OT_reroll_layer(Populating, bpy.types.Operator):
    """Lay this layer out again with another seed; those above it stay, those below make room"""

    bl_idname = "latte3d.reroll_layer"
    bl_label = "Re-Roll Layer"
    bl_options = {"REGISTER"}

    def execute(self, context):
        wanted = populating.of(context.scene)

        def change(value: dict) -> None:
            layer = value["layers"][wanted.layer]
            layer["seed"] = layer.get("seed", 0) + 1

        return self.begin(context, change, preview=wanted.collection is None)


class LATTE3D_OT_reseed_population(Populating, bpy.types.Operator):
    """Lay all layers out again with another seed"""

    bl_idname = "latte3d.reseed_population"
    bl_label = "New Seed"
    bl_options = {"REGISTER"}

    def execute(self, context):
        def change(value: dict) -> None:
            value["seed"] = value.get("seed", 0) + 1

        return self.begin(context, change, preview=populating.of(context.scene).collection is None)


class LATTE3D_OT_cancel_population(SaysWhy, bpy.types.Operator):
    """Stop it. The objects that are finished are kept, and Populate goes on with them"""

    bl_idname = "latte3d.cancel_population"
    bl_label = "Cancel"

    @classmethod
    def reason(cls, context):
        return "" if populating.busy() else "Nothing is on its way"

    def execute(self, context):
        populating.cancel()
        session.redraw()
        return {"FINISHED"}


# In the scene ---------------------------------------------------------------------------------------------------------------------------


class Placing:
    """An operator that shows what the timer has ready, as one undo step."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def execute(self, context):
        work = populating.STATE.work
        if work is None or work.ready is None:
            return {"CANCELLED"}
        place(context, work) if isinstance(work, Work) else work.show()
        populating.STATE.sweeping = True
        return {"FINISHED"}


class LATTE3D_OT_place_population(Placing, bpy.types.Operator):
    """Show the population"""

    bl_idname = "latte3d.place_population"
    bl_label = "Populate"


class LATTE3D_OT_place_objects(Placing, bpy.types.Operator):
    """Show plain objects in place of instances"""

    bl_idname = "latte3d.place_objects"
    bl_label = "Convert to Objects"


class LATTE3D_OT_place_preview(Placing, bpy.types.Operator):
    """Show the preview"""

    bl_idname = "latte3d.place_preview"
    bl_label = "Preview Population"


def place(context, work) -> None:
    """Put what is ready into the scene, in place of what it replaces."""
    wanted, top = populating.of(context.scene), work.ready
    preview.clear()
    if not work.is_preview:
        if (old := current(context.scene)) is not None:
            scatter.clear(old)
        scatter.name_parts(top, work.chosen.recipe.name)
        wanted.collection = top
    scatter.show(top)
    for layer in work.chosen.recipe.layers:
        if layer.name in wanted.layers:
            wanted.layers[layer.name].seed = layer.seed
    wanted.seed = work.chosen.recipe.seed
    work.shown()


def current(scene: bpy.types.Scene) -> bpy.types.Collection | None:
    """The population that the panel speaks of, where it stands in the scene."""
    top = populating.of(scene).collection
    return top if top is not None and top in scene.collection.children_recursive else None


class OnPopulation(SaysWhy):
    """An operator on the population that stands."""

    @classmethod
    def reason(cls, context):
        return placement.why_not(context) or populating.busy() or ("" if current(context.scene) else "There is no population yet")


class LATTE3D_OT_clear_population(SaysWhy, bpy.types.Operator):
    """Remove the population, or its preview, from the scene; the recipe stays"""

    bl_idname = "latte3d.clear_population"
    bl_label = "Clear"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def reason(cls, context):
        there = current(context.scene) or preview.previews()
        return placement.why_not(context) or populating.busy() or ("" if there else "There is no population yet")

    def execute(self, context):
        if not preview.clear() and (top := current(context.scene)) is not None:
            scatter.clear(top)
            populating.of(context.scene).collection = None
        populating.STATE.result, populating.STATE.sweeping = None, True
        populating.recipe_changed()
        return {"FINISHED"}


class LATTE3D_OT_convert_population(OnPopulation, bpy.types.Operator):
    """Make plain objects of the instances, to edit them by hand and to export them; or instances of the objects, which are lighter"""

    bl_idname = "latte3d.convert_population"
    bl_label = "Convert"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        top = current(context.scene)
        if scatter.has_points(top):
            if sum(len(item.data.vertices) for item in top.objects) > scatter.AT_ONCE and not bpy.app.background:
                populating.convert(context.scene, top)  # place_objects makes the undo step
                return {"CANCELLED"}
            made = scatter.to_objects(top)
            self.report({"INFO"}, say("{count} plain objects", count=f"{made:,}"))
        else:
            made, kept = scatter.to_scatter(top)
            populating.STATE.sweeping = True
            populating.wake()
            text = "{made} instances; {kept} that have become others stay objects" if kept else "{made} instances"
            self.report({"INFO"}, say(text, made=f"{made:,}", kept=f"{kept:,}"))
        return {"FINISHED"}


CLASSES = (
    LATTE3D_OT_recipe_list,
    LATTE3D_OT_use_recipe,
    LATTE3D_OT_load_recipe,
    LATTE3D_OT_save_recipe,
    LATTE3D_OT_preview_population,
    LATTE3D_OT_populate,
    LATTE3D_OT_populate_anyway,
    LATTE3D_OT_reroll_layer,
    LATTE3D_OT_reseed_population,
    LATTE3D_OT_cancel_population,
    LATTE3D_OT_place_population,
    LATTE3D_OT_place_preview,
    LATTE3D_OT_place_objects,
    LATTE3D_OT_clear_population,
    LATTE3D_OT_convert_population,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
