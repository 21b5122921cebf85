# SPDX-License-Identifier: GPL-3.0-or-later
"""The history as pictures: search, pages, and what can be done with the chosen object."""

import time

import bpy

from .. import kept
from ..history import Entry, History
from ..words import say
from . import thumbnails
from .setup import wrapped
from .variations import columns_in, picture

ROWS = 3  # of pictures on a page
SHAPED = {"style": "a style of its own", "blend": "blended", "shape": "from a shape", "refined": "refined"}


def megabytes(size: int) -> str:
    """A size as people say it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} KB"


def facts_of(entry: Entry) -> str:
    """What tells an object from others of its prompt."""
    when = time.strftime("%d %b %Y %H:%M", time.localtime(entry.made))
    shaped = [say(SHAPED[entry.shaped])] if entry.shaped in SHAPED else []
    return " · ".join([say("seed {seed}", seed=entry.seed), say(entry.detail.capitalize()), *shaped, entry.model, when])


def draw_history(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The fold of the panel."""
    log, chosen = kept.shown(), context.window_manager.latte3d
    header, body = layout.panel("latte3d_history", default_closed=True)
    header.label(text=say("History ({count})", count=len(log.entries)))
    if not body:
        return
    body.prop(chosen, "history_search", text="", icon="VIEWZOOM", placeholder="Search")
    found = log.find(chosen.history_search)
    if not found:
        body.label(text="Nothing was found" if log.entries else "What you generate will be here")
    else:
        _draw_page(body, context, found)
    if entry := log.get(chosen.history_key):
        _draw_chosen(body, context, entry)
    _draw_size(body, context, log, bool(found))


def _draw_page(layout: bpy.types.UILayout, context: bpy.types.Context, found: list[Entry]) -> None:
    chosen = context.window_manager.latte3d
    columns = max(columns_in(context, 0), 2)
    count = ROWS * columns
    pages = -(-len(found) // count)
    page = min(chosen.history_page, pages - 1)
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=True, align=True)
    shown = found[page * count : (page + 1) * count]
    for entry in shown:
        cell = grid.column(align=True)
        cell.active = chosen.history_key in ("", entry.key)
        picture(cell, thumbnails.icon(kept.picture_of(entry.key)), "latte3d.choose_history", key=entry.key)
    for _ in range(-len(shown) % columns):  # a last row of the same widths
        grid.label(text="")
    if len(found) > count:
        row = layout.row(align=True)
        for step, icon in ((-1, "TRIA_LEFT"), (1, "TRIA_RIGHT")):  # round and round: after the last page comes the first
            if step > 0:
                middle = row.row()
                middle.alignment = "CENTER"
                first, last = page * count + 1, page * count + len(shown)
                middle.label(text=say("{first}–{last} of {all}", first=first, last=last, all=len(found)))
            row.operator("latte3d.page_history", text="", icon=icon).page = (page + step) % pages


def _draw_chosen(layout: bpy.types.UILayout, context: bpy.types.Context, entry: Entry) -> None:
    box = layout.box()
    wrapped(box, context, f"“{entry.prompt}”", inset=10)
    wrapped(box, context, facts_of(entry), inset=10)
    row = box.row(align=True)
    row.operator("latte3d.place_history").key = entry.key
    row.operator("latte3d.use_history").key = entry.key
    row.operator("latte3d.delete_history", text="", icon="TRASH").key = entry.key


def _draw_size(layout: bpy.types.UILayout, context: bpy.types.Context, log: History, some: bool) -> None:
    if log.fault:
        wrapped(layout, context, log.fault, "ERROR")
    row = layout.row()
    row.label(text=say("{size} of {limit} on the disk", size=megabytes(log.size), limit=megabytes(kept.limit())))
    if some:
        row.operator("latte3d.delete_history", text="", icon="TRASH", emboss=False).everything = True
