# SPDX-License-Identifier: GPL-3.0-or-later
"""Where new objects go: the "Generated" collection, a row on the ground, or the surface below."""

from itertools import pairwise

import bpy
from mathutils import Vector

COLLECTION = "Generated"
GAP = 0.15  # between neighbours in a row, as a share of their mean width


def generated_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """Return this scene's "Generated" collection, made when missing and shown when excluded from view."""
    found = next(
        (child for child in scene.collection.children_recursive if child.name.split(".")[0] == COLLECTION and not child.library), None
    )
    if found is None:
        found = bpy.data.collections.new(COLLECTION)
        found.color_tag = "COLOR_05"
        scene.collection.children.link(found)
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
    """Select these objects and nothing else; the last one becomes active."""
    layer = context.view_layer
    for other in context.selected_objects:
        other.select_set(False)
    visible = [made for made in objects if made.name in layer.objects]  # an excluded collection hides them
    for made in visible:
        made.select_set(True)
    if visible:
        layer.objects.active = visible[-1]
