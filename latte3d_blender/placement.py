# SPDX-License-Identifier: GPL-3.0-or-later
"""Where new objects go: the "Generated" collection, a row on the ground, or the surface below."""

from collections.abc import Iterator
from itertools import pairwise

import bpy
from mathutils import Vector

COLLECTION = "Generated"
GAP = 0.15  # between neighbours in a row, as a share of their mean width


def _shown(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Collection]:
    """The collections below this one that nobody has excluded or hidden."""
    for child in layer.children:
        if not (child.exclude or child.hide_viewport or child.collection.hide_viewport):
            yield child.collection
            yield from _shown(child)


def generated_collection(context: bpy.types.Context) -> bpy.types.Collection:
    """Return the scene's "Generated" collection; another where there is none, or where it is hidden: new objects must be seen."""
    shown = _shown(context.view_layer.layer_collection)
    found = next((one for one in shown if one.name.split(".")[0] == COLLECTION and not one.library), None)
    if found is None:
        found = bpy.data.collections.new(COLLECTION)
        found.color_tag = "COLOR_05"
        context.scene.collection.children.link(found)
    return found


def row_offsets(widths: list[float]) -> list[float]:
    """Return the x of each object's centre in a row; the first stands at 0."""
    gap, offsets = GAP * sum(widths) / max(len(widths), 1), [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + left / 2 + gap + right / 2)
    return offsets[: len(widths)]


def ground_below(context: bpy.types.Context, point: Vector) -> Vector:
    """Return the first surface below a point of the scene (up to 1 m above it counts), or else the point at height 0."""
    start = point + Vector((0, 0, 1))
    hit, place, *_ = context.scene.ray_cast(context.evaluated_depsgraph_get(), start, Vector((0, 0, -1)))
    return place if hit else Vector((point.x, point.y, 0.0))


def select_only(context: bpy.types.Context, objects: list[bpy.types.Object]) -> None:
    """Select these objects and nothing else; the last one becomes active. A viewport in local view shows them too."""
    layer = context.view_layer
    for other in context.selected_objects:
        other.select_set(False)
    visible = [made for made in objects if made.name in layer.objects]  # an excluded collection hides them
    space = context.space_data
    for made in visible:
        made.select_set(True)
        if space and space.type == "VIEW_3D" and space.local_view:
            made.local_view_set(space, True)
    if visible:
        layer.objects.active = visible[-1]
