# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's part that fills the scene: a recipe of layers, what it would make, and what came of it."""

import bpy

from .. import population_session as populating
from .. import session
from ..populate import form
from ..population_properties import MASKS, THINGS
from ..words import say
from .library import of_width
from .setup import wrapped

NOTES = 6  # that are shown
QUESTION_WIDTH = 380  # of the popup
LIST_ICONS = (("ADD", "ADD"), ("REMOVE", "REMOVE"), ("DUPLICATE", "DUPLICATE"), ("UP", "TRIA_UP"), ("DOWN", "TRIA_DOWN"))
NAMES = {"objects": "Add Objects", "curves": "Add Curves", "inside": "Add Curves"}  # of a mask
SOURCES = {"vertex_group": "Vertex Group", "attribute": "Attribute", "image": "Image", "layer": "Layer"}
UNITS = {"slope": "°", **dict.fromkeys(form.OF_LENGTH, "")}


def active(items, index: int):
    """The active item of a list; None where there is none."""
    return items[index] if 0 <= index < len(items) else None


def list_of(wanted, what: str) -> tuple:
    """A list of the recipe: (who has it, its items, the property that says which one is active); (None, None, "") where it is not there."""
    layer = active(wanted.layers, wanted.layer)
    mask = active(layer.masks, layer.mask) if layer else None
    if what in ("LAYERS", "TARGETS", "AVOID"):
        return wanted, getattr(wanted, what.lower()), "layer" if what == "LAYERS" else ""
    if layer is None or (what == "NAMES" and mask is None):
        return None, None, ""
    if what == "NAMES":
        return mask, mask.names, ""
    items = layer.targets if what == "OWN_TARGETS" else getattr(layer, what.lower())
    return layer, items, {"THINGS": "thing", "MASKS": "mask"}.get(what, "")


def button(layout: bpy.types.UILayout, what: str, action: str, icon: str, text: str = "", index: int = -1, kind: str = "") -> None:
    """A button that changes a list."""
    made = layout.operator("latte3d.recipe_list", text=text, icon=icon)
    made.what, made.action, made.index, made.kind = what, action, index, kind


# Lists ----------------------------------------------------------------------------------------------------------------------------------


class LATTE3D_UL_layers(bpy.types.UIList):
    """Layers of a population, with how many objects each has"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row()
        row.prop(item, "name", text="", emboss=False, icon="RENDERLAYERS")
        side = row.row()
        side.alignment = "RIGHT"
        side.label(text=amount(item, populating.STATE.result))


def amount(layer, result) -> str:
    """How many objects a layer has: as it was found, else as it was asked for."""
    if result and layer.name in result.counts:
        return f"{result.counts[layer.name]:,}"
    if layer.amount == "THINGS":
        return f"{sum(thing.count for thing in layer.things if thing.use_count):,}"
    if layer.amount == "EACH":
        return say("{count} each", count=f"{layer.each:.3g}")
    return f"{layer.count:,}" if layer.amount == "COUNT" else f"{layer.density:.3g} / m²"


class LATTE3D_UL_things(bpy.types.UIList):
    """What a layer places"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row()
        sign = next(one[3] for one in THINGS if one[0] == item.kind)
        if item.kind == "PROMPT":
            row.prop(item, "prompt", text="", emboss=False, icon=sign, placeholder="Prompt")
        else:
            row.label(text=form.named(item) or "Nothing chosen", icon=sign)
        side = row.row()
        side.alignment = "RIGHT"
        side.label(text=say(f"{item.count:,}" if item.use_count else f"× {item.share:.3g}"))


class LATTE3D_UL_masks(bpy.types.UIList):
    """Where a layer may stand"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        kind = type(item).bl_rna.properties["kind"].enum_items[item.kind]
        row = layout.row()
        row.label(text=kind.name, icon=kind.icon)
        side = row.row()
        side.alignment = "RIGHT"
        side.label(text=limits(item))


def limits(mask) -> str:
    """A mask's range in a few signs."""
    if mask.kind == "noise":
        return f"{100 * mask.cover:.0f} %"
    if not mask.use_range:
        return ""
    low, high = ("" if no else f"{end:.3g}" for no, end in ((mask.no_low, mask.low), (mask.no_high, mask.high)))
    unit = UNITS.get(mask.kind, "")
    text = f"{low} – {high}{unit}" if low and high else f"> {low}{unit}" if low else f"< {high}{unit}"
    return say("not {range}", range=text) if mask.invert else text


def draw_list(layout: bpy.types.UILayout, wanted, what: str, kind: str, rows: int, actions: tuple = LIST_ICONS) -> None:
    """A list with its buttons."""
    holder, items, active_name = list_of(wanted, what)
    row = layout.row()
    row.template_list(kind, what, holder, what.lower(), holder, active_name, rows=rows)
    side = row.column(align=True)
    for action, icon in actions:
        if action == "ADD" and what != "LAYERS":
            side.menu("LATTE3D_MT_add_mask" if what == "MASKS" else "LATTE3D_MT_add_thing", text="", icon="ADD")
        elif action in ("ADD", "REMOVE") or len(items):
            button(side, what, action, icon)


def draw_names(layout: bpy.types.UILayout, context: bpy.types.Context, items, what: str, title: str) -> None:
    """A list of objects and collections, one below the other."""
    column = layout.column(align=True)
    for index, item in enumerate(items):
        row = column.row(align=True)
        row.prop(item, "kind", text="", icon_only=True)
        row.prop(item, item.kind.lower(), text="")
        button(row, what, "REMOVE", "X", index=index)
        if not getattr(item, item.kind.lower()) and item.source:
            column.label(text=say(f"“{item.source}” is not in this scene"), icon="ERROR")
    button(column, what, "ADD", "ADD", text=title)


class LATTE3D_MT_add_thing(bpy.types.Menu):
    """Add a sort of object to the layer"""

    bl_label = "Add"

    def draw(self, context):
        for kind, name, _, icon, _ in THINGS:
            button(self.layout, "THINGS", "ADD", icon, text=name, kind=kind)


class LATTE3D_MT_add_mask(bpy.types.Menu):
    """Add a mask to the layer; masks multiply"""

    bl_label = "Add Mask"

    def draw(self, context):
        for kind, name, _, icon, _ in MASKS:
            button(self.layout, "MASKS", "ADD", icon, text=name, kind=kind)


class LATTE3D_MT_presets(bpy.types.Menu):
    """Recipes that come with the add-on, and those of the populations in this scene"""

    bl_label = "Presets"

    def draw(self, context):
        for file, name, _ in populating.presets():
            self.layout.operator("latte3d.use_recipe", text=name).preset = file
        there = [one for one in context.scene.collection.children_recursive if "latte3d_recipe" in one]
        if there:
            self.layout.separator()
            self.layout.label(text="In This Scene")
        for one in there:
            self.layout.operator("latte3d.use_recipe", text=one.name, translate=False, icon="OUTLINER_COLLECTION").population = one.name


# The recipe -----------------------------------------------------------------------------------------------------------------------------


def draw_recipe(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """Presets and files, the ground, the layers."""
    row = layout.row(align=True)
    row.menu("LATTE3D_MT_presets", text="Presets", icon="PRESET")
    row.operator("latte3d.load_recipe", text="", icon="FILE_FOLDER")
    row.operator("latte3d.save_recipe", text="", icon="FILE_TICK")
    if populating.STATE.lost:
        wrapped(layout, context, "A population of this file was not finished.", "INFO")
        layout.operator("latte3d.use_recipe", text="Show Its Recipe", icon="LOOP_BACK")
    layout.label(text="Ground")
    draw_names(layout, context, wanted.targets, "TARGETS", "Add Ground")
    layout.label(text="Layers")
    draw_list(layout, wanted, "LAYERS", "LATTE3D_UL_layers", 5)


def draw_layer(layout: bpy.types.UILayout, context: bpy.types.Context, wanted, layer) -> None:
    """The active layer: what, how many, how large, where."""
    layout.use_property_split = False
    draw_list(layout, wanted, "THINGS", "LATTE3D_UL_things", 3, LIST_ICONS[:2])
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    if thing := active(layer.things, layer.thing):
        draw_thing(column, thing)
    column.separator()
    column.prop(layer, "amount")
    if layer.amount != "THINGS":
        column.prop(layer, layer.amount.lower())
        column.prop(layer, "fill")
    draw_height(column, layer)
    column.prop(layer, "distance")
    column.prop(layer, "quality")
    column.prop(layer, "align", slider=True)
    fold(layout, "variation", "Variation", draw_variation, wanted, layer)
    fold(layout, "masks", say("Masks ({count})", count=len(layer.masks)) if len(layer.masks) else "Masks", draw_masks, wanted, layer)
    fold(layout, "stands", "Ground of This Layer", draw_ground, context, wanted, layer)


def fold(layout: bpy.types.UILayout, name: str, title: str, draw, *given) -> None:
    """A part that is closed until somebody opens it."""
    header, body = layout.panel(f"latte3d_populate_{name}", default_closed=True)
    header.label(text=title)
    if body:
        body.use_property_split, body.use_property_decorate = True, False
        draw(body, *given)


def draw_height(column: bpy.types.UILayout, item) -> None:
    """A range of heights, or the word that there is none."""
    column.prop(item, "use_height", text="Height")
    if item.use_height:
        pair = column.column(align=True)
        pair.prop(item, "height", index=0, text="From")
        pair.prop(item, "height", index=1, text="To")


def draw_thing(column: bpy.types.UILayout, thing) -> None:
    """One sort of object."""
    if thing.kind == "PROMPT":
        column.row().prop(thing, "prompt", text="Prompt", placeholder="a {red|brown} mushroom")
        column.prop(thing, "variants")
    else:
        if not thing.file:
            column.prop(thing, thing.kind.lower())
        if thing.file or not getattr(thing, thing.kind.lower()):
            column.prop(thing, "source")
            column.prop(thing, "file")
    column.prop(thing, "use_count")
    column.prop(thing, "count" if thing.use_count else "share")


def draw_variation(body: bpy.types.UILayout, wanted, layer) -> None:
    """How the objects of a layer differ from one another."""
    for name, text in (("scale", "Scale From"), ("turn", "Turn From")):
        column = body.column(align=True)
        column.prop(layer, name, index=0, text=say(text))
        column.prop(layer, name, index=1, text="To")
    for name in ("tilt", "tint", "sink", "bury", "gap", "settle"):
        body.prop(layer, name)
    column = body.column(align=True)
    column.prop(layer, "clumps")
    if layer.clumps:
        column.prop(layer, "clump_radius")
    if thing := active(layer.things, layer.thing):
        body.separator()
        body.label(text="Only the Chosen Thing")
        draw_height(body, thing)
        if thing.kind == "PROMPT":
            body.prop(thing, "quality")
            body.prop(thing, "seed")


def draw_masks(body: bpy.types.UILayout, wanted, layer) -> None:
    """The layer's masks, and the active one."""
    body.use_property_split = False
    draw_list(body, wanted, "MASKS", "LATTE3D_UL_masks", 3, LIST_ICONS[:2])
    mask = active(layer.masks, layer.mask)
    if mask is None:
        return
    column = body.column()
    column.use_property_split, column.use_property_decorate = True, False
    if mask.kind in NAMES:
        draw_names(column, None, mask.names, "NAMES", NAMES[mask.kind])
    elif mask.kind == "layer":
        column.prop_search(mask, "source", wanted, "layers", text="Layer")
    elif mask.kind in SOURCES:
        column.prop(mask, "source", text=SOURCES[mask.kind])
    for name in {"noise": ("size", "cover", "seed"), "grid": ("spacing",), "image": ("uv",)}.get(mask.kind, ()):
        column.prop(mask, name)
    if mask.kind in form.WEIGHTS:
        column.prop(mask, "use_range")
    if mask.use_range or mask.kind not in form.WEIGHTS:
        for end, without in (("low", "no_low"), ("high", "no_high")):
            row = column.row(align=True)
            side = row.row(align=True)
            side.active = not getattr(mask, without)
            side.prop(mask, end)
            row.prop(mask, without, text="", icon="X")
        column.prop(mask, "falloff")
    column.prop(mask, "strength", slider=True)
    column.prop(mask, "invert")


def draw_ground(body: bpy.types.UILayout, context, wanted, layer) -> None:
    """What the layer stands on, where that is not what all stand on, and where it looks."""
    body.prop_search(layer, "on", wanted, "layers", text="On Layer")
    body.prop_search(layer, "face", wanted, "layers", text="Face Layer")
    if not layer.on:
        draw_names(body, context, layer.targets, "OWN_TARGETS", "Add Ground of Its Own")
    body.prop(layer, "model", placeholder="As the population")
    body.prop(layer, "seed")


def draw_whole(body: bpy.types.UILayout, context, wanted) -> None:
    """What holds for all layers."""
    body.prop(wanted, "name")
    body.prop(wanted, "quality")
    body.prop(wanted, "seed")
    row = body.row(heading="Limit")
    row.prop(wanted, "use_cap", text="")
    side = row.row()
    side.active = wanted.use_cap
    side.prop(wanted, "cap", text="")
    body.prop(wanted, "model", placeholder="The one that knows best")
    body.row().prop(wanted, "output", expand=True)
    body.label(text="Keep Clear Of")
    draw_names(body, context, wanted.avoid, "AVOID", "Add")


# What it makes --------------------------------------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """A rough time."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def draw_figures(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """Counts, time and memory; or what is wrong with the recipe."""
    state = populating.STATE
    if state.scene != context.scene.session_uid:  # of another window's scene
        return
    for text in state.wrong[:NOTES]:
        wrapped(layout, context, text, "ERROR")
    if state.wrong:
        return
    found = state.figures
    objects = f"{found.objects:,} objects and those by density" if found.open else f"{found.objects:,} objects"
    objects = "Objects by density" if found.open and not found.objects else objects
    wrapped(layout, context, f"{objects}, {found.kinds:,} kinds made of prompts" if found.kinds else objects, "OBJECT_DATA")
    if found.missing:
        kept = f" ({found.kept:,} are made already)" if found.kept else ""
        memory = f"{found.megabytes:.0f} MB" if found.megabytes < 1000 else f"{found.megabytes / 1000:.1f} GB"
        wrapped(layout, context, f"{found.missing:,} to be made{kept}: about {duration(found.seconds)}, {memory}", "TIME")


def draw_buttons(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """Preview and Populate, or how far it is."""
    state = populating.STATE
    work = state.work if populating.busy() else None
    row = layout.row(align=True)
    row.scale_y = 1.4
    if work:
        row.progress(factor=1.0 if state.hold else work.factor, text=say(state.hold) or progress_text(work), type="BAR")
        row.operator("latte3d.cancel_population", text="", icon="X")
        layout.separator(factor=0.2)  # until 4.5, what follows a progress bar under the pointer takes its shape
        return
    row.operator("latte3d.preview_population", icon="HIDE_OFF")
    resumes = state.figures.kept and state.figures.missing
    row.operator("latte3d.populate", text="Resume" if resumes else "Populate", icon="PLAY" if resumes else "OUTLINER_OB_POINTCLOUD")
    if resumes:
        layout.operator("latte3d.populate", text=say("Populate With What Is Made ({count})", count=f"{state.figures.kept:,}")).make = False


def progress_text(work) -> str:
    if not work.total:
        return f"{say(work.stage)}…"
    text = say("{stage} {done} of {total}", stage=say(work.stage), done=f"{work.done:,}", total=f"{work.total:,}")
    return f"{text} · {say('{time} left', time=duration(work.left_s))}" if work.left_s else text


def draw_result(layout: bpy.types.UILayout, context: bpy.types.Context, result) -> None:
    """What stands, what failed, what touches."""
    total = f"{result.total:,}"
    what = f"{total} objects of {result.kinds:,} kinds stand"
    if result.preview:
        what = "1 object would stand" if result.total == 1 else f"{total} objects would stand"
    wrapped(layout, context, what, "CHECKMARK")
    if result.overlaps == 0:
        wrapped(layout, context, "No two objects touch", "CHECKMARK")
    elif result.overlaps:
        wrapped(layout, context, f"{result.overlaps:,} pairs of objects touch: {'; '.join(result.crossing[:NOTES])}", "ERROR")
    told = [*result.failed, *result.notes]
    for text in told[:NOTES]:
        wrapped(layout, context, text, "ERROR")
    if len(told) > NOTES:
        layout.label(text=say("… and {count} more", count=len(told) - NOTES), icon="BLANK1")


def draw_population(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """What can be done with what stands."""
    row = layout.row(align=True)
    row.operator("latte3d.reroll_layer", icon="FILE_REFRESH")
    row.operator("latte3d.reseed_population", icon="FILE_REFRESH")
    row = layout.row(align=True)
    points = wanted.collection is None or any("latte3d_layer" in one for one in wanted.collection.objects)
    row.operator("latte3d.convert_population", text="To Objects" if points else "To Instances", icon="UV_SYNC_SELECT")
    row.operator("latte3d.clear_population", icon="TRASH")


def draw_question(layout: bpy.types.UILayout, context: bpy.types.Context, question: str) -> None:
    wrapped(layout, of_width(context, QUESTION_WIDTH), question, "QUESTION")


def draw_panel(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """All of it."""
    state = populating.STATE
    draw_recipe(layout, context, wanted)
    layer = active(wanted.layers, wanted.layer)
    if layer:
        draw_figures(layout, context, wanted)
    draw_buttons(layout, context, wanted)
    if layer:
        draw_population(layout, context, wanted)
    if state.fault and not populating.busy():
        wrapped(layout, context, str(state.fault), "ERROR")
    if state.result and not populating.busy():
        draw_result(layout, context, state.result)
    if layer:
        header, body = layout.panel("latte3d_populate_layer")
        header.label(text=layer.name, translate=False)
        if body:
            draw_layer(body, context, wanted, layer)
        fold(layout, "whole", "Whole Population", draw_whole, context, wanted)


class LATTE3D_PT_populate(bpy.types.Panel):
    """Fill the scene with objects by a recipe"""

    bl_label = "Populate"
    bl_category = session.TAB
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}  # a panel of its own: it is long, and can be dragged above the other or stand alone

    def draw_header_preset(self, context):
        populating.shown(context.scene)  # the header is there while the panel is closed, too
        if populating.busy() and populating.STATE.work.total:
            self.layout.label(text=say(f"{100 * populating.STATE.work.factor:.0f} %"))

    def draw(self, context):
        session.panel_shown()  # the other one may be closed
        draw_panel(self.layout, context, populating.of(context.scene))


CLASSES = (
    LATTE3D_UL_layers,
    LATTE3D_UL_things,
    LATTE3D_UL_masks,
    LATTE3D_MT_add_thing,
    LATTE3D_MT_add_mask,
    LATTE3D_MT_presets,
    LATTE3D_PT_populate,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
