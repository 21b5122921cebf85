# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's part for who makes models: the library of prompts and objects, and the training on it."""

from pathlib import Path
from types import SimpleNamespace

import bpy

from .. import library_session, machine, session
from ..client.library_work import PREPARE, TRAIN, Work
from ..words import say
from .setup import wrapped

ROWS = 10  # objects in the popup before they get a list that scrolls
FINDINGS = 24  # that are listed
ADDING_WIDTH, TRAINING_WIDTH, FINDINGS_WIDTH = 440, 380, 560  # of popups
ICONS = {"fatal": "CANCEL", "error": "ERROR", "warning": "INFO"}


def of_width(context: bpy.types.Context, width: float) -> SimpleNamespace:
    """A context for `wrapped` in a popup, whose region is not as wide as the popup."""
    preferences = context.preferences
    return SimpleNamespace(region=SimpleNamespace(width=width * preferences.system.ui_scale), preferences=preferences)


# The popups -----------------------------------------------------------------------------------------------------------------------------


def draw_adding(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """Add Selected to Library: where, what each object is, and what it is for."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(wanted, "folder")
    if wanted.is_new:
        column = layout.column(align=True)
        column.prop(wanted, "title", text="New Library")
        column.prop(wanted, "licence", placeholder="CC0-1.0, CC-BY-4.0, all rights reserved …")
        column.prop(wanted, "author")
    elif wanted.wrong:
        wrapped(layout, of_width(context, ADDING_WIDTH), wanted.wrong, "ERROR")
    elif wanted.found:
        row = layout.split(factor=0.4)
        row.label(text="")
        row.label(text=say(wanted.found), icon="ASSET_MANAGER")
    layout.separator()
    if len(wanted.assets) > 1:
        layout.prop(wanted, "together")
    if wanted.together and len(wanted.assets) > 1:
        layout.prop(wanted, "prompt", placeholder="What are they together?")
    elif len(wanted.assets) <= ROWS:
        column = layout.column(align=True)
        for row in wanted.assets:
            column.prop(row, "prompt", text=row.name, translate=False, placeholder="What is it?")
    else:
        layout.template_list("LATTE3D_UL_assets", "", wanted, "assets", wanted, "active", rows=ROWS)
    layout.prop(wanted, "split")
    column = layout.column(align=True)
    column.separator()
    wrapped(column, of_width(context, ADDING_WIDTH), "Their fronts should face you in the Front view (Numpad 1).", "INFO")


class LATTE3D_UL_assets(bpy.types.UIList):
    """Many objects, each with its prompt"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.split(factor=0.4)
        row.label(text=item.name, icon="OBJECT_DATA")
        row.prop(item, "prompt", text="", placeholder="What is it?")


def draw_training(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """Train…: how long, from what, and where the model goes."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(wanted, "minutes")
    layout.row().prop(wanted, "start", expand=True)
    layout.prop(wanted, "out", placeholder="With the add-on's models")
    if chosen := machine.get():
        layout.prop(chosen, "keep_training")
    said = "Objects that are not prepared yet are prepared first. Training runs beside Blender: it can be stopped and resumed."
    wrapped(layout.column(), of_width(context, TRAINING_WIDTH), said, "INFO")


def draw_findings(layout: bpy.types.UILayout, context: bpy.types.Context, findings: list[dict], folder: Path | None) -> None:
    """What Check found, or what could not be prepared: file, line and sentence each."""
    inside = of_width(context, FINDINGS_WIDTH)
    counts = [sum(one["level"] == "warning" for one in findings), sum(one["level"] != "warning" for one in findings)]
    layout.label(text=counted(*counts) if findings else "Nothing is wrong with it", icon="ASSET_MANAGER")
    layout.separator()
    worst_first = sorted(findings, key=lambda one: list(ICONS).index(one["level"]) if one["level"] in ICONS else 0)
    for one in worst_first[:FINDINGS]:
        place = f"{one['file']}, line {one['line']}" if one["line"] else one["file"]
        wrapped(layout, inside, f"{place}: {one['message']}", ICONS.get(one["level"], "ERROR"))
    if len(findings) > FINDINGS:
        layout.label(text=say("… and {count} more", count=len(findings) - FINDINGS), icon="BLANK1")
    if folder and findings:
        layout.separator()
        layout.operator("wm.path_open", text="Open prompts.csv", icon="TEXT").filepath = str(folder / "prompts.csv")


def counted(warnings: int, errors: int) -> str:
    """ "2 errors, 1 warning"."""
    wrong = say("1 error" if errors == 1 else "{count} errors", count=errors)
    doubtful = say("1 warning" if warnings == 1 else "{count} warnings", count=warnings)
    return ", ".join([wrong] * bool(errors) + [doubtful] * bool(warnings)) or say("No errors")


# The panel ------------------------------------------------------------------------------------------------------------------------------


def draw_library(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Which library, and what can be done with it."""
    if chosen := machine.get():
        layout.prop(chosen, "library_folder", text="", placeholder="The library's folder")
    layout.operator("latte3d.add_to_library", text="Add Selected…", icon="ADD")
    row = layout.row(align=True)
    row.operator("latte3d.open_library", text="Open", icon="FILE_FOLDER")
    row.operator("latte3d.check_library", text="Check", icon="CHECKMARK")
    draw_checked(layout, context)
    row = layout.row(align=True)
    row.operator("latte3d.prepare_library", icon="MESH_DATA")
    row.operator("latte3d.train", icon="PLAY")


def draw_checked(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What the last check said."""
    check = library_session.STATE.check
    if check is None:
        return
    if not check.over:
        layout.label(text="Checking…", icon="SORTTIME")
    elif check.fault:
        wrapped(layout, context, str(check.fault), "ERROR")
    else:
        said = check.result
        wrapped(layout, context, f"{said.get('prompts', 0):,} prompts, {said.get('shapes', 0):,} shapes")
        if check.findings:
            text = counted(said.get("warnings", 0), said.get("errors", 0))
            layout.operator("latte3d.show_findings", text=f"{text}…", translate=False, icon="ERROR" if said.get("errors") else "INFO")


def draw_work(layout: bpy.types.UILayout, context: bpy.types.Context, work: Work) -> None:
    """What runs, or how it ended."""
    box = layout.box()
    name = "Training" if work.kind == TRAIN else "Preparing"
    row = box.row()
    wrapped(row, context, f"{say(name)} “{Path(work.library).name}”", inset=30)
    if work.over:
        row.operator("latte3d.dismiss_work", text="", icon="X", emboss=False)
        draw_ended(box, context, work)
    else:
        draw_running(box, context, work)
    if picture := library_session.picture():
        draw_picture(box, context, picture)


def draw_running(box: bpy.types.UILayout, context: bpy.types.Context, work: Work) -> None:
    """The stage, how far it is, Cancel, and whether it goes on without Blender."""
    row = box.row(align=True)
    row.scale_y = 1.2
    row.progress(factor=work.factor, text=say(work.amount) or "…", type="BAR")
    row.operator("latte3d.stop_work", text="", icon="X")
    box.separator(factor=0.2)  # until 4.5, what follows a progress bar under the pointer takes its shape
    wrapped(box, context, f"{work.text}: {work.asset}" if work.asset else work.text, inset=10)
    if work.plan and not work.picture:
        wrapped(box, context, work.plan, "INFO", inset=10)
    if work.kind == TRAIN and (chosen := machine.get()):
        box.prop(chosen, "keep_training")


def draw_ended(box: bpy.types.UILayout, context: bpy.types.Context, work: Work) -> None:
    """What there is now, or why not and how to go on."""
    if work.fault:
        column = box.column()
        column.alert = True
        wrapped(column, context, work.fault.message, "ERROR", inset=10)
        for text in filter(None, (work.fault.cause, work.fault.remedy)):
            wrapped(box, context, text, inset=10)
    elif work.finished and work.kind == PREPARE:
        rejected = len(work.result.get("rejected") or ())
        box.label(text=say("{count} objects are prepared", count=f"{work.result.get('prepared', 0):,}"), icon="CHECKMARK")
        if rejected:
            box.operator("latte3d.show_findings", text=say("{count} cannot be used…", count=rejected), icon="ERROR").of_work = True
        report = Path(work.library) / ".prepared" / "report.html"
        box.operator("wm.path_open", text="Open Report", icon="IMAGE_DATA").filepath = str(report)
    elif work.finished:
        draw_model(box, context, work)
    else:
        wrapped(box, context, "It was stopped; what was done is kept.", "PAUSE", inset=10)
    row = box.row(align=True)
    if work.refusal and work.fault:
        row.operator("latte3d.work_anyway", icon="PLAY")
    elif work.resumable:
        row.operator("latte3d.resume_work", icon="PLAY")
    if work.fault:
        row.operator("wm.path_open", text="Show Log", icon="TEXT").filepath = str(work.job.log)


def draw_model(box: bpy.types.UILayout, context: bpy.types.Context, work: Work) -> None:
    """The finished model, and the way to it."""
    model = library_session.STATE.model
    wrapped(box, context, f"The model “{model}” is ready." if model else "The model is ready.", "CHECKMARK", inset=10)
    if model in session.SESSION.engine.models:
        if context.scene.latte3d.model != model:
            box.operator("latte3d.use_model", icon="SHADERFX").model = model
    elif model and library_session.STATE.new_model:
        box.label(text="The engine takes it in when it is idle", icon="SORTTIME")
    box.operator("wm.path_open", text="Open Its Folder", icon="FILE_FOLDER").filepath = str(work.result.get("model") or "")


def draw_picture(box: bpy.types.UILayout, context: bpy.types.Context, picture: bpy.types.ImagePreview) -> None:
    """The newest preview, as wide as the panel; a click opens it."""
    width, height = picture.image_size
    rows = max((context.region.width / context.preferences.system.ui_scale - 66) / 20, 4.0)  # a row has 20 pixels; an icon is a square
    empty = rows * max(1.0 - height / max(width, 1), 0.0) / 2  # above and below a picture that is wider than high
    column = box.column(align=True)
    _space(column, -empty)
    column.template_icon(picture.icon_id, scale=rows)
    _space(column, empty - rows)  # a button without a frame lies over the picture, as in the gallery
    over = column.column()
    over.scale_y = rows - 2 * empty
    over.operator("wm.path_open", text="", emboss=False).filepath = library_session.STATE.picture


def _space(column: bpy.types.UILayout, rows: float) -> None:
    """Go down by so many rows, or up."""
    space = column.column()
    space.scale_y = rows
    space.label(text="")


class LATTE3D_PT_library(bpy.types.Panel):
    """Your own objects and prompts, and a model that learns from them"""

    bl_label = "Library & Training"
    bl_category = session.TAB
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_parent_id = "LATTE3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context):
        library_session.shown()  # the header is there while the panel is closed, too
        work = library_session.STATE.work
        if work and not work.over and work.total:
            self.layout.label(text=say(f"{100 * work.factor:.0f} %"))

    def draw(self, context):
        state = library_session.STATE
        draw_library(self.layout, context)
        if state.fault:
            wrapped(self.layout, context, str(state.fault), "ERROR")
        if state.work:
            draw_work(self.layout, context, state.work)


CLASSES = (LATTE3D_UL_assets, LATTE3D_PT_library)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
