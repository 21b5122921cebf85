# SPDX-License-Identifier: GPL-3.0-or-later
"""Where new objects go: the "Generated" collection, and the surface below."""

import re
from collections.abc import Callable, Iterator

import bpy
from mathutils import Vector

COLLECTION = "Generated"
OURS = re.compile(re.escape(COLLECTION) + r"(\.\d+)?")  # not "Generated.rocks of the client"
GAP = 0.15  # between neighbours, as a share of the width
LAYERS = 64  # surfaces that are looked through on the way to the ground


def linked(scene: bpy.types.Scene) -> str:
    """Why nothing can be added to a scene that belongs to another file; nothing where it belongs to this one."""
    if scene.library is None:
        return ""
    return f"The scene “{scene.name}” is linked from {bpy.path.basename(scene.library.filepath)}: switch to a scene of this file"


def why_not(context: bpy.types.Context) -> str:
    """Why nothing can be placed now, and what to do about it; nothing when it can."""
    return linked(context.scene) or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")


def meters(scene: bpy.types.Scene) -> float:
    """How many metres one unit of the scene is, as Blender's own glTF import takes it."""
    return scene.unit_settings.scale_length


def _usable(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Collection]:
    """The collections below this one in which a new object is seen, rendered and selected like any other."""
    for child in layer.children:
        one = child.collection
        hidden = child.exclude or child.hide_viewport or one.hide_viewport or one.hide_render or one.hide_select
        if not (hidden or child.holdout or child.indirect_only):
            yield one
            yield from _usable(child)


def generated_collection(context: bpy.types.Context) -> bpy.types.Collection:
    """Return the scene's "Generated" collection; a new one where there is none that takes objects and shows them."""
    usable = _usable(context.view_layer.layer_collection)
    found = next((one for one in usable if OURS.fullmatch(one.name) and not (one.library or one.override_library)), None)
    if found is None:
        found = bpy.data.collections.new(COLLECTION)
        found.color_tag = "COLOR_05"
        context.scene.collection.children.link(found)
    return found


def ground_below(
    context: bpy.types.Context, point: Vector, passes: Callable[[bpy.types.Object, float], bool] = lambda item, above: False
) -> Vector:
    """Return the first surface below a point of the scene (up to 1 m above it counts), or else the point at height 0.

    `passes(item, above)` names those to look through; `above`: how far their surface lies above the point.
    """
    graph, down = context.evaluated_depsgraph_get(), Vector((0, 0, -1))
    start = point + Vector((0, 0, 1 / meters(context.scene)))
    for _ in range(LAYERS):
        hit, place, _, _, item, _ = context.scene.ray_cast(graph, start, down)
        if not hit:
            break
        if not passes(item, place.z - point.z):
            return place
        start = place + down * max(1e-5, 1e-5 * abs(place.z))
    return Vector((point.x, point.y, 0.0))


def normal_below(context: bpy.types.Context, point: Vector) -> Vector:
    """Which way the first surface below a point (or just above it) faces; up where there is none, or it is seen from below."""
    near = 0.05 / meters(context.scene)
    hit, _, normal, *_ = context.scene.ray_cast(context.evaluated_depsgraph_get(), point + Vector((0, 0, near)), Vector((0, 0, -1)))
    return normal if hit and normal.z > 0 else Vector((0, 0, 1))


def hide(context: bpy.types.Context, names: list[str]) -> None:
    """Hide objects in the view and in renders."""
    for item in filter(None, map(context.view_layer.objects.get, names)):
        item.hide_set(True)
        item.hide_render = True


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
