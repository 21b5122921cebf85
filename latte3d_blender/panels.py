# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar panel and the status bar's progress: they read the session and do nothing else."""

import blf
import bpy

from . import engine as client
from . import jobs
from .engine import STAGES, Fault

STATES = {
    client.NOT_INSTALLED: ("Not set up", "ERROR"),
    client.STOPPED: ("Stopped", "PAUSE"),
    client.STARTING: ("Starting…", "SORTTIME"),
    client.READY: ("Ready", "CHECKMARK"),
    client.BUSY: ("Working", "SORTTIME"),
    client.FAILED: ("Failed", "ERROR"),
}
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


def wrapped(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE", inset: int = 0) -> None:
    """Labels that break a text at the width of the region; an icon goes before the first line, the others line up with it."""
    scale = context.preferences.system.ui_scale
    blf.size(0, 11 * scale)
    width = max(context.region.width - (62 + inset + (20 if icon != "NONE" else 0)) * scale, 80)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and blf.dimensions(0, longer)[0] > width:
            lines.append(line)
            longer = word
        line = longer
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, part in enumerate([*lines, line]):
        column.label(text=part, icon=icon if index == 0 else ("NONE" if icon == "NONE" else "BLANK1"))


def draw_fault(layout: bpy.types.UILayout, context: bpy.types.Context, fault: Fault) -> None:
    """The fix-it box: what happened, why, and the way out with its button."""
    box = layout.box()
    column = box.column()
    column.alert = True
    wrapped(column, context, fault.message, "ERROR", inset=10)
    if fault.cause:
        wrapped(box, context, fault.cause, inset=10)
    if fault.remedy:
        wrapped(box, context, fault.remedy, inset=10)
    row = box.row(align=True)
    if fault.kind == "offline":
        row.operator("screen.userpref_show", text="Preferences", icon="PREFERENCES").section = "SYSTEM"
    elif fault.kind == "missing_weights":
        row.operator("preferences.addon_show", text="Preferences", icon="PREFERENCES").module = __package__
    if fault.kind in ("crashed", "broken", "internal", "setup", "out_of_memory"):
        row.operator("latte3d.show_log", icon="TEXT").setup = fault.kind == "setup"
    if fault.kind in ("crashed", "broken", "internal"):
        row.operator("latte3d.start_engine", text="Restart", icon="FILE_REFRESH")


def draw_setup(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Where the engine comes from, and the Set Up button; its progress while it runs."""
    setup = jobs.SESSION.setup
    if setup:
        row = layout.row(align=True)
        row.progress(factor=setup.factor, text=setup.text, type="BAR")
        row.operator("latte3d.cancel", text="", icon="X")
        return
    wanted = context.window_manager.latte3d
    column = layout.column()
    column.use_property_split = False
    column.row(align=True).prop(wanted, "source", expand=True)
    plan = jobs.SESSION.plan
    if wanted.source == "INTERNET" and not bpy.app.online_access:
        wrapped(column, context, "Blender is set to work offline: allow Online Access in Preferences > System.", "ERROR")
    elif wanted.source == "INTERNET":
        wrapped(column, context, plan.size if plan and plan.size else "Downloads the engine's packages.", "INFO")
    elif wanted.source == "WHEELS":
        column.prop(wanted, "wheels", text="")
    else:
        column.prop(wanted, "python", text="")
    button = column.column()
    button.scale_y = 1.4
    button.operator("latte3d.setup_engine", text="Use This Python" if wanted.source == "PYTHON" else "Set Up", icon="IMPORT")


def draw_engine(layout: bpy.types.UILayout, context: bpy.types.Context, where: str = "panel") -> None:
    """The engine's state and what can be done about it."""
    engine = jobs.SESSION.engine
    text, icon = STATES[engine.state]
    device = engine.hello.get("device", "")
    if engine.state in (client.READY, client.BUSY) and device:
        text += f" · {'CPU' if device == 'cpu' else engine.hello.get('device_name') or device}"
    row = layout.row()
    row.use_property_split = False
    row.label(text=f"Engine: {text}", icon=icon)
    side = row.row(align=True)
    side.alignment = "RIGHT"
    if engine.state in (client.STOPPED, client.FAILED):
        side.operator("latte3d.start_engine", text="Start")
    elif engine.state in (client.READY, client.STARTING):
        side.operator("latte3d.stop_engine", text="Stop")
    if where == "panel":
        side.operator("preferences.addon_show", text="", icon="PREFERENCES").module = __package__
    broken = engine.state == client.FAILED and engine.fault and engine.fault.kind == "broken"
    if engine.state == client.NOT_INSTALLED or broken or jobs.SESSION.setup or where == "preferences":
        draw_setup(layout, context)


def draw_prompt(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The prompt (several lines where this Blender has such a field) and the seed."""
    wanted = context.scene.latte3d
    example = "a red mushroom with white spots"
    if "textbox" in bpy.types.UILayout.bl_rna.functions:
        layout.textbox(wanted, "prompt", initial_visible_lines=3, placeholder=example)
    else:
        layout.prop(wanted, "prompt", text="", placeholder=example)
    row = layout.row(align=True)
    row.prop(wanted, "seed")
    row.operator("latte3d.new_seed", text="", icon="FILE_REFRESH")


def draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The big button, which becomes progress and Cancel."""
    session = jobs.SESSION
    row = layout.row(align=True)
    row.scale_y = 1.4
    if session.running:
        row.progress(factor=session.running.factor, text=session.running.text, type="BAR")
        row.operator("latte3d.cancel", text="", icon="X")
    elif session.hold:
        row.progress(factor=1.0, text=session.hold, type="BAR")
        row.operator("latte3d.cancel", text="", icon="X")
    else:
        row.operator("latte3d.generate", icon="SHADERFX")


def draw_last(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How well the model knew the last prompt, and what the object took, stage by stage in a fold."""
    last = jobs.SESSION.last
    for text, icon in last["remarks"]:
        wrapped(layout.box(), context, text, icon, inset=10)
    header, body = layout.panel("latte3d_timings", default_closed=True)
    header.label(text=f"{last['total_ms'] / 1000:.2f} s · {last['triangles']:,} triangles")
    if body:
        column = body.column(align=True)
        column.scale_y = 0.8
        for stage in (*STAGES, "wire", "insert"):
            if stage in last["timings_ms"]:
                row = column.split(factor=0.5)
                row.label(text=STAGE_NAMES[stage])
                side = row.row()
                side.alignment = "RIGHT"
                side.label(text=f"{last['timings_ms'][stage]:.0f} ms")


class LATTE3D_PT_main(bpy.types.Panel):
    """Prompt in, object out"""

    bl_label = "LATTE3D"
    bl_category = "LATTE3D"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context):
        jobs.panel_shown()
        layout, session = self.layout, jobs.SESSION
        draw_prompt(layout, context)
        draw_generate(layout, context)
        for fault in (session.engine.fault, session.fault):
            if fault:
                draw_fault(layout, context, fault)
        if session.last:
            draw_last(layout, context)
        layout.separator(factor=0.5)
        draw_engine(layout, context)
        if session.engine.kinds:
            header, body = layout.panel("latte3d_kinds", default_closed=True)
            header.label(text=f"What It Can Make ({len(session.engine.kinds)})")
            if body:
                wrapped(body, context, ", ".join(kind.replace("_", " ") for kind in session.engine.kinds))


def draw_status(self, context) -> None:
    """Progress at the right of the status bar, for an artist whose sidebar is closed."""
    job = jobs.SESSION.running
    if job:
        row = self.layout.row()
        row.ui_units_x = 10
        row.progress(factor=job.factor, text=job.text, type="BAR")


def register() -> None:
    bpy.utils.register_class(LATTE3D_PT_main)
    bpy.types.STATUSBAR_HT_header.append(draw_status)


def unregister() -> None:
    bpy.types.STATUSBAR_HT_header.remove(draw_status)
    bpy.utils.unregister_class(LATTE3D_PT_main)
