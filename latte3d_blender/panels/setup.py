# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's part of the panel and of the preferences: its state, Set Up, and what went wrong.

Buttons stand above the texts that explain them: a text that grows pushes nothing away under the pointer.
"""

import blf
import bpy

from .. import machine, session
from ..client import engine as client
from ..client.engine import Fault
from ..words import say

STATES = {
    client.NOT_INSTALLED: ("Not Set Up", "ERROR"),
    client.STOPPED: ("Stopped", "RADIOBUT_OFF"),
    client.STARTING: ("Starting…", "SORTTIME"),
    client.READY: ("Ready", "CHECKMARK"),
    client.BUSY: ("Working", "SORTTIME"),
    client.FAILED: ("Failed", "ERROR"),
}


def wrapped(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE", inset: int = 0) -> None:
    """Labels that break a text, in the artist's language, at the width of the region; an icon goes before the first line, the others line
    up with it."""
    scale = context.preferences.system.ui_scale
    blf.size(0, 11 * scale)
    width = max(context.region.width - (62 + inset + (20 if icon != "NONE" else 0)) * scale, 40 * scale)
    lines, line = [], ""
    for word in say(text).split():
        longer = f"{line} {word}".strip()
        if line and blf.dimensions(0, longer)[0] > width:
            lines.append(line)
            longer = word
        line = longer
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, part in enumerate([*lines, line]):
        column.label(text=part, translate=False, icon=icon if index == 0 else ("NONE" if icon == "NONE" else "BLANK1"))


def draw_fault(layout: bpy.types.UILayout, context: bpy.types.Context, fault: Fault) -> None:
    """The fix-it box: what happened, why, and the way out with its button."""
    box = layout.box()
    row = box.row()
    column = row.column()
    column.alert = True
    wrapped(column, context, fault.message, "ERROR", inset=30)
    if fault is not session.SESSION.engine.fault:
        row.operator("latte3d.dismiss", text="", icon="X", emboss=False)
    for text in filter(None, (fault.cause, fault.remedy)):
        wrapped(box, context, text, inset=10)
    row = box.row(align=True)
    if fault is session.SESSION.engine.fault or fault.kind == "internal":
        row.operator("latte3d.start_engine", text="Try Again", icon="FILE_REFRESH")
    if fault.kind == "missing_weights":
        row.operator("preferences.addon_show", text="Preferences", icon="PREFERENCES").module = machine.PACKAGE
    if fault.kind in ("crashed", "broken", "internal", "setup", "out_of_memory"):
        row.operator("latte3d.show_log", icon="TEXT").setup = fault.kind == "setup"


def draw_setup(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Where the engine comes from, and the Set Up button, which becomes progress and Cancel."""
    setup, wanted = session.SESSION.setup, context.window_manager.latte3d
    column = layout.column()
    column.use_property_split = False
    choices = column.column()
    choices.enabled = setup is None
    choices.row(align=True).prop(wanted, "source", expand=True)
    if wanted.source == "INTERNET":
        allowed = choices.row()
        allowed.enabled = not bpy.app.online_access_override
        allowed.prop(context.preferences.system, "use_online_access", text="Allow Online Access")
    else:
        name, asked = ("wheels", "Folder of .whl files") if wanted.source == "WHEELS" else ("python", "Python with torch")
        choices.prop(wanted, name, text="", placeholder=asked)
    row = column.row(align=True)
    row.scale_y = 1.4
    if setup:
        row.progress(factor=setup.factor, text=say(setup.amount) or f"{100 * setup.factor:.0f} %", type="BAR")
        row.operator("latte3d.cancel", text="", icon="X")
        wrapped(column, context, setup.text)
        return
    row.operator("latte3d.setup_engine", text="Use This Python" if wanted.source == "PYTHON" else "Set Up", icon="IMPORT")
    plan = session.SESSION.plan
    if wanted.source == "INTERNET":
        wrapped(column, context, plan.size if plan and plan.size else "Downloads the engine's packages.", "INFO")


def draw_models(layout: bpy.types.UILayout, context: bpy.types.Context, models: list[dict]) -> None:
    """The preferences' lines under the folders: which models the engine has found, and which of them it cannot use."""
    wrapped(layout, context, say("Models found: {models}", models=", ".join(model["id"] for model in models if not model.get("fault"))))
    for model in models:
        if model.get("fault"):
            wrapped(layout, context, f"{model['id']}: {model['fault']}", "ERROR")


def draw_state(layout: bpy.types.UILayout, context: bpy.types.Context, where: str) -> None:
    """One line: the engine's state, and buttons that need little room."""
    engine = session.SESSION.engine
    text, icon = STATES[engine.state]
    if engine.state == client.STOPPED and session.SESSION.resting:
        text, icon = "Resting", "RADIOBUT_OFF"
    text = say(text)
    device = engine.hello.get("device", "")
    row = layout.row(align=True)
    row.use_property_split = False
    if engine.state in (client.READY, client.BUSY) and device:
        text += f" · {'CPU' if device == 'cpu' else engine.hello.get('device_name') or device}"
    wide = context.region.width > 220 * context.preferences.system.ui_scale
    row.label(text=say("Engine: {state}", state=text) if wide else text, icon=icon)
    if engine.state == client.STOPPED:
        row.operator("latte3d.start_engine", text="", icon="PLAY")
    elif engine.state != client.NOT_INSTALLED:
        row.operator("latte3d.stop_engine", text="", icon="PAUSE")
    if where == "panel":
        row.operator("preferences.addon_show", text="", icon="PREFERENCES").module = machine.PACKAGE


def draw_engine(layout: bpy.types.UILayout, context: bpy.types.Context, where: str = "panel") -> None:
    """The engine's state; Set Up where it is needed; what went wrong."""
    state = session.SESSION
    draw_state(layout, context, where)
    broken = state.engine.state == client.FAILED and state.engine.fault and state.engine.fault.kind == "broken"
    if state.engine.state == client.NOT_INSTALLED or broken or state.setup:
        draw_setup(layout, context)
    for fault in (state.engine.fault, state.fault):
        if fault:
            draw_fault(layout, context, fault)
