# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar panel and the status bar: they read the session and do nothing else.

What is always there comes first and keeps its place; what comes and goes stands below it.
"""

import bpy

from .. import kept, refining, session
from ..client.engine import STAGES
from ..live import LIVE
from ..scene import origin
from ..words import say
from . import gallery, history, refine, shape, variations
from .setup import draw_engine, wrapped

EXAMPLE = "a red mushroom with white spots"
PICTURE = 3.2  # its height, in rows
CELL = 76  # pixels: the width of a picture with its name
NARROW = 200  # pixels: a sidebar in which buttons need rows of their own
STAGE_NAMES = {
    "text": "Text",
    "networks": "Networks",
    "decode": "Shape",
    "extract": "Surface",
    "atlas": "UVs",
    "bake": "Texture",
    "encode": "Images",
    "wire": "Transfer",
    "insert": "Blender",
}


def draw_prompt(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The prompt (several lines where this Blender has such a field), the model, the detail and the seed."""
    wanted, row = context.scene.latte3d, layout.row(align=True)
    if "textbox" in bpy.types.UILayout.bl_rna.functions:
        row.textbox(wanted, "prompt", initial_visible_lines=3, placeholder=EXAMPLE)
    else:
        row.prop(wanted, "prompt", text="", placeholder=EXAMPLE)
    row.menu("LATTE3D_MT_words", text="", icon="DOWNARROW_HLT")
    draw_choices(layout, wanted)


def draw_choices(layout: bpy.types.UILayout, wanted) -> None:
    """The model, where there are several, beside the detail; the seed."""
    gone = missing_model(wanted)
    row = layout.row(align=True)
    if gone or len(session.SESSION.engine.models) > 1:
        row.prop(wanted, "model_choice", text="")
        row.prop(wanted, "detail", text="")
    else:
        row.prop(wanted, "detail")
    row = layout.row(align=True)
    row.prop(wanted, "seed")
    row.operator("latte3d.new_seed", text="", icon="FILE_REFRESH")
    row.separator()
    count = row.row(align=True)
    count.ui_units_x = 3.6
    count.prop(wanted, "count", text="×")


def missing_model(wanted) -> str:
    """The model that the scene names, where the engine does not have it."""
    models = session.SESSION.engine.models
    return wanted.model if models and wanted.model not in ("", *models) else ""


def draw_missing_model(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What happens where the scene's model is not there."""
    if gone := missing_model(context.scene.latte3d):
        wrapped(layout, context, f"The model “{gone}” of this scene is not installed: Automatic takes its place.", "ERROR")


def draw_live(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Why the draft does not show what is asked for."""
    if LIVE.on and LIVE.note:
        wrapped(layout, context, LIVE.note, "INFO")


def draw_popup(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """From Prompt…: the same choices, in one small window."""
    wanted = context.scene.latte3d
    row = layout.row()
    row.activate_init = True  # type at once
    row.prop(wanted, "prompt", text="", placeholder=EXAMPLE)
    draw_choices(layout, wanted)


def draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The big button, which becomes progress and Cancel."""
    state = session.SESSION
    column = layout.column(align=True)
    row = column.row(align=True)
    row.scale_y = 1.4
    if state.running:
        row.progress(factor=state.running.factor, text=say(state.running.text), type="BAR")
        row.operator("latte3d.cancel", text="", icon="X")
    elif state.hold:
        row.progress(factor=1.0, text=say(state.hold), type="BAR")
        row.operator("latte3d.cancel", text="", icon="X")
    else:
        if LIVE.on:
            row.operator("latte3d.keep_live", icon="CHECKMARK")
            row.operator("latte3d.live", text="", icon="PAUSE", depress=True)
            return
        wanted = context.scene.latte3d
        what = say("Blend" if wanted.use_blend else "Generate")
        row.operator("latte3d.generate", text=f"{what} {wanted.count}" if wanted.count > 1 else what, icon="SHADERFX", translate=False)
        narrow = context.region.width < NARROW * context.preferences.system.ui_scale
        beside = column.row(align=True) if narrow else row  # so that the word Generate can be read
        beside.operator("latte3d.generate_here", text="", icon="RESTRICT_SELECT_OFF")
        beside.operator("latte3d.live", text="", icon="PLAY")


def draw_things(
    layout: bpy.types.UILayout, context: bpy.types.Context, things: list[tuple[str, str]], *, make: bool, model: str = ""
) -> None:
    """A grid of things, (name, prompt) each: picture, as the model makes it, and name. `make`: a click makes it, else it writes the
    prompt."""
    scale = context.preferences.system.ui_scale
    pictures = any(gallery.has_picture(name, model) for name, _ in things)
    columns = max(1, int((context.region.width - 40 * scale) // (CELL * scale)))
    if make:  # few: in rows of the same length
        columns = -(-len(things) // -(-len(things) // columns))
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=True, align=True)
    for name, prompt in things:
        cell = grid.column(align=True)
        if pictures:
            cell.template_icon(gallery.icon(name, model), scale=PICTURE)
            back = cell.column()
            back.scale_y = -PICTURE  # a button without a frame lies over the picture: that can be clicked too
            back.label(text="")
            over = cell.column()
            over.scale_y = PICTURE
            button = over.operator("latte3d.use_thing", text="", emboss=False)
            button.prompt, button.make = prompt, make
        button = cell.operator("latte3d.use_thing", text=name.capitalize())
        button.prompt, button.make = prompt, make
    for _ in range(-len(things) % columns):  # a last row of the same widths
        grid.label(text="")


def unknown(model: str) -> str:
    """What is said of a prompt that the model does not know, or none of them in Automatic."""
    models = session.SESSION.engine.models
    whose = "the models know" if len(models) > 1 and model not in models else "this model knows"
    return f"Not one of the things {whose}"


def draw_question(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What the engine asks before it makes something that its model does not know."""
    asked = session.SESSION.question
    box = layout.box()
    row = box.row()
    wrapped(row, context, unknown(asked.model), "QUESTION", inset=30)
    row.operator("latte3d.dismiss", text="", icon="X", emboss=False)
    wrapped(box, context, f"“{asked.prompt}”", inset=10)
    if asked.things:
        box.label(text="Make instead:")
        things = [(name, asked.example.get(name) or gallery.example(name, asked.model)) for name in asked.things]
        draw_things(box, context, things, make=True, model=asked.model)
    box.operator("latte3d.place_anyway")


def length(context: bpy.types.Context, value: float) -> str:
    """A length as Blender's own fields show it."""
    units = context.scene.unit_settings
    return bpy.utils.units.to_string(units.system, "LENGTH", value * units.scale_length, precision=3, split_unit=False)


def draw_object(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What the active object was made of, how well the model knew it, and what can be done with that."""
    item, found = context.active_object, origin.of(context.active_object)
    header, body = layout.panel("latte3d_object")
    header.label(text="Made from a Prompt, Refined" if found.planes else "Made from a Prompt")
    if not body:
        return
    wrapped(body, context, f"“{found.prompt}”")
    if found.blend:
        wrapped(body, context, f"Blended with “{found.blend[0]}”, {100 * found.blend[1]:.0f} %")
    if found.cloud:
        shaped = "In the shape of another object"
        wrapped(body, context, shaped if found.adherence is None else f"In the shape of another object, adherence {found.adherence:.2f}")
    if not session.SESSION.running:  # then the panel speaks of the next one
        for note in found.notes:
            wrapped(body, context, note, "INFO" if found.familiar else "ERROR")
    row = body.row(align=True)
    row.operator("latte3d.use_prompt")
    row.operator("latte3d.new_seed_here")
    row = body.row(align=True)
    row.operator("latte3d.regenerate")
    row.operator("latte3d.more_like_this")
    row.operator("latte3d.copy_prompt", text="", icon="COPYDOWN")
    row.operator("latte3d.select_same", text="", icon="RESTRICT_SELECT_OFF")
    if refining.priors():
        body.operator("latte3d.refine", icon="BRUSH_DATA")
    draw_keep(body)
    faces, corners = len(item.data.polygons), len(item.data.loops)
    count = say("{count} quads", count=f"{faces:,}") if corners == 4 * faces else say("{count} tris", count=f"{corners - 2 * faces:,}")
    facts = [count, length(context, item.dimensions.z), say("seed {seed}", seed=found.seed)]
    header, more = body.panel("latte3d_facts", default_closed=True)
    header.label(text=" · ".join(facts))
    if more:
        column = more.column(align=True)
        column.scale_y = 0.8
        for name, value in (("Detail", say(found.detail.capitalize())), ("Model", found.model)):
            fact(column, name, value)
        column.separator()
        fact(column, "Total", f"{sum(found.timings_ms.values()):.0f} ms")
        for stage in (*STAGES, "wire", "insert"):
            if stage in found.timings_ms:
                fact(column, STAGE_NAMES[stage], f"{found.timings_ms[stage]:.0f} ms")


def draw_keep(layout: bpy.types.UILayout) -> None:
    """Where the selected objects can go from here."""
    row = layout.row(align=True)
    row.operator("latte3d.mark_assets", text="Asset…")
    for name in ("GLB", "USD", "FBX"):
        row.operator("latte3d.export_selected", text=name).format = name


def fact(column: bpy.types.UILayout, name: str, value: str) -> None:
    """A line of a table: a name at the left, its value at the right."""
    row = column.split(factor=0.4)
    row.label(text=name)
    side = row.row()
    side.alignment = "RIGHT"
    side.label(text=value, translate=False)


def draw_gallery(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What It Can Make: pictures of all things, under headings."""
    header, body = layout.panel("latte3d_things", default_closed=True)
    model = context.scene.latte3d.model
    header.label(text=say("What It Can Make ({count})", count=len(gallery.things(model))))
    if not body:
        return
    for group, things in gallery.groups(model).items():
        inside = body
        if group:
            heading, inside = body.panel(f"latte3d_things_{group}")
            heading.label(text=group.title())
        if inside:
            draw_things(inside, context, [(thing["name"], thing["example"]) for thing in things], make=False, model=model)


class Words:
    """A menu of the model's words of one kind."""

    def draw(self, context):
        for word, *_ in session.SESSION.engine.words(context.scene.latte3d.model).get(self.what, []):
            button = self.layout.operator("latte3d.write_word", text=word.capitalize())
            button.what, button.word = self.what, word


class LATTE3D_MT_colors(Words, bpy.types.Menu):
    bl_label, what = "Colour", "color"


class LATTE3D_MT_materials(Words, bpy.types.Menu):
    bl_label, what = "Material", "material"


class LATTE3D_MT_patterns(Words, bpy.types.Menu):
    bl_label, what = "Pattern", "pattern"


class LATTE3D_MT_words(bpy.types.Menu):
    """Colours, materials and patterns to write into the prompt"""

    bl_label = "Words"

    def draw(self, context):
        for menu in ("LATTE3D_MT_colors", "LATTE3D_MT_materials", "LATTE3D_MT_patterns"):
            self.layout.menu(menu)


class LATTE3D_PT_main(bpy.types.Panel):
    """Prompt in, object out"""

    bl_label = "LATTE3D"
    bl_category = session.TAB
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw_header_preset(self, context):
        bpy.types.LATTE3D_PT_presets.draw_panel_header(self.layout)

    def draw(self, context):
        session.panel_shown()
        refining.shown()
        draw_prompt(self.layout, context)
        draw_generate(self.layout, context)
        self.layout.separator(factor=0.2)  # until 4.5, what follows a progress bar under the pointer takes its shape
        draw_engine(self.layout, context)
        draw_missing_model(self.layout, context)
        draw_live(self.layout, context)
        if session.SESSION.question:
            draw_question(self.layout, context)
        if session.SESSION.engine.features & {"blend", "cloud"}:
            shape.draw_shape(self.layout, context)
        if session.SESSION.batch:
            variations.draw_variations(self.layout, context)
        if origin.of(context.active_object):
            draw_object(self.layout, context)
        refine.draw_refining(self.layout, context)
        if kept.shown():
            history.draw_history(self.layout, context)
        if gallery.things():
            draw_gallery(self.layout, context)


def draw_status(self, context) -> None:
    """At the right of the status bar: progress, and for an artist whose sidebar is closed what waits for an answer, with the way there."""
    state = session.SESSION
    fault = state.fault or (state.engine.fault if state.shown else None)
    if state.running:
        row = self.layout.row()
        row.ui_units_x = 10
        row.progress(factor=state.running.factor, text=say(state.running.text), type="BAR")
    elif (state.hold or state.question or fault) and not session.panel_visible():
        row = self.layout.row(align=True)
        asked = unknown(state.question.model) if state.question else ""
        row.label(text=say(state.hold or asked or fault.message), icon="QUESTION" if asked and not state.hold else "ERROR")
        row.operator("latte3d.show_panel", text="LATTE3D", icon="MENU_PANEL")


CLASSES = (LATTE3D_MT_colors, LATTE3D_MT_materials, LATTE3D_MT_patterns, LATTE3D_MT_words, LATTE3D_PT_main)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.STATUSBAR_HT_header.append(draw_status)


def unregister() -> None:
    bpy.types.STATUSBAR_HT_header.remove(draw_status)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
