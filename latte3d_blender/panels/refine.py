# SPDX-License-Identifier: GPL-3.0-or-later
"""Refine in the panel and in the preferences: what it is asked for, how far it is, and what comes of it."""

from pathlib import Path

import bpy

from .. import machine, refining
from ..client.library_work import Work
from ..words import say
from . import thumbnails
from .library import of_width
from .setup import wrapped

ASKING_WIDTH = 340  # of the popup
BESIDE = "It runs beside Blender, on this machine: minutes on a graphics card, hours without one. Stopped, it can go on later."


def draw_priors(layout: bpy.types.UILayout, context: bpy.types.Context, chosen) -> None:
    """The preferences' fold: where the priors lie."""
    header, body = layout.panel("latte3d_priors", default_closed=True)
    header.label(text="Refine: Diffusion Priors")
    if not body:
        return
    body.use_property_split = True
    for name in ("prior_multiview", "prior_depth", *(["prior_controlnet"] if chosen.prior_depth or chosen.prior_controlnet else [])):
        body.prop(chosen, name)
    if refining.STATE.wrong:
        wrapped(body, context, refining.STATE.wrong, "ERROR")


def draw_asking(layout: bpy.types.UILayout, context: bpy.types.Context, wanted) -> None:
    """Refine…: how long, and whether the shape learns."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    named = refining.priors()
    layout.prop(wanted, "steps")
    if "multiview" in named and "depth" in named:
        layout.prop(wanted, "shape")
    learns = "shape and texture" if "multiview" in named and (wanted.shape or "depth" not in named) else "texture"
    wrapped(layout.column(), of_width(context, ASKING_WIDTH), f"What learns: {learns}. {BESIDE}", "INFO")


def draw_refining(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The fold of the panel, where something is refined or was."""
    state = refining.STATE
    if not (state.work or state.fault):
        return
    header, body = layout.panel("latte3d_refine")
    header.label(text="Refine")
    if not body:
        return
    row, work = body.row(), state.work
    wrapped(row, context, f"“{work.wish.prompt}”" if work else "It was not begun", inset=30)
    if not state.job and (work is None or work.over):
        row.operator("latte3d.dismiss_refining", text="", icon="X", emboss=False)
    if work:
        draw_picture(body, work)
        (draw_ended if work.over else draw_running)(body, context, work)
    if state.fault:
        draw_fault(body, context, state.fault)


def draw_picture(layout: bpy.types.UILayout, work: Work) -> None:
    """The newest preview."""
    if work.picture and (icon := thumbnails.icon(Path(work.picture))) is not None:
        layout.template_icon(icon, scale=6.0)


def draw_running(layout: bpy.types.UILayout, context: bpy.types.Context, work: Work) -> None:
    """How far it is, Cancel, and whether it goes on without Blender."""
    row = layout.row(align=True)
    row.scale_y = 1.2
    row.progress(factor=work.factor, text=say(work.amount or work.text), type="BAR")
    row.operator("latte3d.stop_refining", text="", icon="X")
    layout.separator(factor=0.2)  # until 4.5, what follows a progress bar under the pointer takes its shape
    if work.total:
        layout.label(text=say("{done} of {total} steps", done=f"{work.done:.0f}", total=f"{work.total:.0f}"))
    if chosen := machine.get():
        layout.prop(chosen, "keep_training", text="Goes On When Blender Closes")


def draw_ended(layout: bpy.types.UILayout, context: bpy.types.Context, work: Work) -> None:
    """What there is now, or why not and how to go on."""
    if refining.STATE.job:
        layout.label(text="The object is being made", icon="SORTTIME")
    elif work.finished:
        layout.label(text="It is refined", icon="CHECKMARK")
        layout.operator("latte3d.place_refined", icon="IMPORT")
    else:
        if work.fault:
            draw_fault(layout, context, work.fault)
        else:
            where = f" at step {work.done:.0f} of {work.total:.0f}" if work.total else ""
            wrapped(layout, context, f"It was stopped{where}; what was learnt is kept.", "PAUSE", inset=10)
        row = layout.row(align=True)
        row.operator("latte3d.resume_refining", icon="PLAY")
        if work.fault:
            row.operator("wm.path_open", text="Show Log", icon="TEXT").filepath = str(work.job.log)


def draw_fault(layout: bpy.types.UILayout, context: bpy.types.Context, fault) -> None:
    """What went wrong, its cause, and a way out."""
    column = layout.column()
    column.alert = True
    wrapped(column, context, fault.message, "ERROR", inset=10)
    for text in filter(None, (fault.cause, fault.remedy)):
        wrapped(layout, context, text, inset=10)
