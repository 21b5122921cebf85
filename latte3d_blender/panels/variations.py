# SPDX-License-Identifier: GPL-3.0-or-later
"""The last variations as pictures: which stay, which go, and more like one of them."""

import bpy

from .. import kept, session
from ..variations import Batch
from ..words import say
from . import thumbnails

CELL = 84  # pixels: the width of a picture with its buttons
SCALE = 3.4  # a picture's height, in rows


def draw_variations(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """A tile for each variation that was asked for, and what can be done with all of them."""
    batch, wanted = session.SESSION.batch, context.scene.latte3d
    header, body = layout.panel("latte3d_variations")
    there, asked = len(batch.results), len(batch.job.prompts)
    text = "Variations ({there})" if batch.over else "Variations ({there} of {asked})"
    header.label(text=say(text, there=there, asked=asked))
    if batch.over:
        header.operator("latte3d.close_variations", text="", icon="X", emboss=False)
    if not body:
        return
    numbers = list(batch.results)
    total = there if batch.over else asked
    columns = columns_in(context, total)
    grid = body.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=True, align=True)
    for place in range(total):
        cell = grid.column(align=True)
        if place < len(numbers):
            _tile(cell, batch, numbers[place])
        else:
            picture(cell, None, waiting=True)
    for _ in range(-total % columns):  # a last row of the same widths
        grid.label(text="")
    row = body.row(align=True)
    row.operator("latte3d.remove_others")
    row.prop(wanted, "spread", text="Difference")


def _tile(cell: bpy.types.UILayout, batch: Batch, number: int) -> None:
    """A picture that selects its object, and below it keep, reject, more."""
    there = batch.shown(number) is not None
    shown = cell.column(align=True)
    shown.active = there
    picture(shown, thumbnails.icon(kept.picture_of(batch.results[number].key)), "latte3d.show_variation", number=number)
    row = cell.row(align=True)
    ticked = number in batch.kept
    row.operator("latte3d.keep_variation", text="", icon="CHECKMARK", depress=ticked).number = number
    row.operator("latte3d.more_like_this", text="", icon="DUPLICATE").number = number
    if there:
        row.operator("latte3d.reject_variation", text="", icon="TRASH").number = number
    else:
        row.operator("latte3d.show_variation", text="", icon="LOOP_BACK").number = number


def picture(
    cell: bpy.types.UILayout, icon: int | None, operator: str = "", *, waiting: bool = False, scale: float = SCALE, **properties
) -> None:
    """A picture, or an empty frame of its size, that can be clicked."""
    if icon is not None:
        cell.template_icon(icon, scale=scale)
    else:
        frame = cell.box()
        frame.scale_y = scale
        frame.label(text="", icon="SORTTIME" if waiting else "MESH_DATA")
    if not operator:
        return
    back = cell.column()
    back.scale_y = -scale  # a button without a frame lies over the picture
    back.label(text="")
    over = cell.column()
    over.scale_y = scale
    button = over.operator(operator, text="", emboss=False)
    for name, value in properties.items():
        setattr(button, name, value)


def columns_in(context: bpy.types.Context, count: int) -> int:
    """How many tiles stand in a row of the region, the rows being of about one length."""
    scale = context.preferences.system.ui_scale
    most = max(1, int((context.region.width - 40 * scale) // (CELL * scale)))
    return max(1, -(-count // -(-count // most))) if count else most
