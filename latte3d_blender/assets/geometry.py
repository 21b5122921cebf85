# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a scene shows as one list of triangles: modifiers, instances and particles evaluated."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import bpy
import numpy as np

from . import Unusable

SURFACES = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
MOST_TRIANGLES = 12_000_000


@dataclass
class Part:
    """One evaluated mesh. `slots`: its materials (None: none); the arrays are its own, in world space.

    vertices [V, 3] f64, triangles [F, 3], loops [F, 3] (for UVs and corner colours), slot [F]
    """

    object: bpy.types.Object
    mesh: bpy.types.Mesh
    matrix: np.ndarray
    slots: list
    vertices: np.ndarray
    triangles: np.ndarray
    loops: np.ndarray
    slot: np.ndarray


@dataclass
class Triangles:
    """What has been gathered: vertices [V, 3] f64 in Blender's world, triangles [F, 3] i32, look [F] i32; names of what they are of."""

    vertices: np.ndarray
    triangles: np.ndarray
    names: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def parts(depsgraph: bpy.types.Depsgraph) -> Iterator[Part]:
    """Every mesh that the scene shows, one after another: a part is gone when the next one is asked for. Raises Unusable."""
    total = 0
    for instance in depsgraph.object_instances:
        item = instance.object
        if item.type not in SURFACES or not instance.show_self:
            continue
        mesh = item.to_mesh()
        if mesh is None or not len(mesh.polygons):
            item.to_mesh_clear()
            continue
        total += len(mesh.loop_triangles)
        if total > MOST_TRIANGLES:
            raise Unusable(f"It has more than {MOST_TRIANGLES:,} triangles.")
        yield _part(item, mesh, np.array(instance.matrix_world, np.float64))
        item.to_mesh_clear()


def _part(item: bpy.types.Object, mesh: bpy.types.Mesh, matrix: np.ndarray) -> Part:
    count = len(mesh.loop_triangles)
    vertices, triangles = _get(mesh.vertices, "co", 3, np.float32), _get(mesh.loop_triangles, "vertices", 3, np.int32)
    loops, polygon = _get(mesh.loop_triangles, "loops", 3, np.int32), _get(mesh.loop_triangles, "polygon_index", 1, np.int32)
    material = _get(mesh.polygons, "material_index", 1, np.int32).ravel()
    vertices = vertices.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    if np.linalg.det(matrix[:3, :3]) < 0:
        triangles, loops = triangles[:, ::-1], loops[:, ::-1]
    slots = [m.original if m else None for m in mesh.materials] or [None]
    for i, slot in enumerate(item.material_slots[: len(slots)]):
        if slot.link == "OBJECT":
            slots[i] = slot.material.original if slot.material else None
    slot = np.clip(material[polygon.ravel()], 0, len(slots) - 1)
    return Part(item, mesh, matrix, slots, vertices, triangles.reshape(count, 3), loops.reshape(count, 3), slot)


def _get(items, name: str, width: int, kind: type) -> np.ndarray:
    """[len(items), width]"""
    out = np.empty(len(items) * width, kind)
    items.foreach_get(name, out)
    return out.reshape(-1, width)


def corner_values(part: Part, read: Callable[[np.ndarray], object], width: int) -> np.ndarray:
    """Values that a mesh has for each of its loops, for each corner of the triangles: [F, 3, width] f32. `read(flat array)` fills them."""
    flat = np.empty(len(part.mesh.loops) * width, np.float32)
    read(flat)
    return flat.reshape(-1, width)[part.loops]


def names_in_scene() -> dict[str, list[str]]:
    """What the artist called things, for proposals of prompts."""
    objects = [o for o in bpy.context.scene.objects if o.type in SURFACES]
    collections = {c.name for o in objects for c in o.users_collection if c != bpy.context.scene.collection}
    materials = {slot.material.name for o in objects for slot in o.material_slots if slot.material}
    return {"objects": [o.name for o in objects][:40], "collections": sorted(collections)[:40], "materials": sorted(materials)[:40]}
