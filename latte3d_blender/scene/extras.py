# SPDX-License-Identifier: GPL-3.0-or-later
"""What games and sets need beside an object: lighter copies, a hull to collide with, its separate parts, a base to stand on.

All by Blender's own means, in milliseconds; each returns what it made, linked where the object is.
"""

from collections.abc import Iterable

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector

LEAST = 16  # triangles of a copy


def _beside(item: bpy.types.Object, mesh: bpy.types.Mesh, name: str) -> bpy.types.Object:
    """A new object at the same place, in the same collections."""
    made = bpy.data.objects.new(name, mesh)
    made.matrix_world = item.matrix_world
    for collection in item.users_collection:
        collection.objects.link(made)
    return made


def lighter(item: bpy.types.Object, count: int, share: float) -> list[bpy.types.Object]:
    """Copies with ever fewer triangles (each has `share` of those of the one before), named as game engines read levels of detail: the
    object itself becomes NAME_LOD0. They share its material; creases of UVs are kept together."""
    name, made = item.name.removesuffix("_LOD0"), []
    for level in range(1, count + 1):
        copy = _beside(item, item.data.copy(), f"{name}_LOD{level}")
        modifier = copy.modifiers.new("LOD", "DECIMATE")
        modifier.ratio = max(share**level, LEAST / max(len(item.data.polygons), LEAST))
        modifier.use_collapse_triangulate = True
        graph = bpy.context.evaluated_depsgraph_get()
        full, copy.data = copy.data, bpy.data.meshes.new_from_object(copy.evaluated_get(graph), depsgraph=graph)
        copy.modifiers.clear()
        copy.data.name = copy.name
        bpy.data.meshes.remove(full)
        made.append(copy)
    item.name = f"{name}_LOD0"
    return made


def hull(item: bpy.types.Object) -> bpy.types.Object:
    """A closed convex shape around an object, drawn as wire, hidden in renders and moving with it: UCX_NAME_00, as Unreal reads it."""
    around = bmesh.new()
    for vertex in item.data.vertices:
        around.verts.new(vertex.co)
    found = bmesh.ops.convex_hull(around, input=around.verts)
    within = {part for part in (*found["geom_interior"], *found["geom_unused"]) if isinstance(part, bmesh.types.BMVert)}
    bmesh.ops.delete(around, geom=list(within), context="VERTS")
    mesh = bpy.data.meshes.new(f"UCX_{item.name}_00")
    around.to_mesh(mesh)
    around.free()
    made = _beside(item, mesh, mesh.name)
    made.display_type, made.hide_render = "WIRE", True
    made.parent, made.matrix_parent_inverse = item, Matrix()
    made.matrix_basis = Matrix()
    return made


def parts(item: bpy.types.Object) -> list[bpy.types.Object]:
    """An object cut into the pieces that do not hang together, the largest first; that one stays the object itself."""
    mesh = item.data
    of = _pieces(mesh)
    count = int(of.max(initial=0)) + 1
    made = []
    for number in range(1, count):
        one = _kept(mesh, of == number)
        one.name = f"{item.name} part {number + 1}"
        copy = _beside(item, one, one.name)
        for slot in item.material_slots:
            if not one.materials:
                one.materials.append(slot.material)
        made.append(copy)
    if made:
        item.data = _kept(mesh, of == 0)
        item.data.name = mesh.name
        if not mesh.users:
            bpy.data.meshes.remove(mesh)
    return [item, *made]


def _pieces(mesh: bpy.types.Mesh) -> np.ndarray:
    """The number of each vertex's piece [V], by size."""
    edges = np.empty(2 * len(mesh.edges), np.int32)
    mesh.edges.foreach_get("vertices", edges)
    ends, of = edges.reshape(-1, 2), np.arange(len(mesh.vertices))
    while True:  # each vertex takes the least number around it, and that one's
        least = of.copy()
        np.minimum.at(least, ends[:, 0], of[ends[:, 1]])
        np.minimum.at(least, ends[:, 1], of[ends[:, 0]])
        least = least[least]
        if np.array_equal(least, of):
            break
        of = least
    _, number, size = np.unique(of, return_inverse=True, return_counts=True)
    return np.argsort(np.argsort(-size, kind="stable"))[number]


def _kept(mesh: bpy.types.Mesh, vertices: np.ndarray) -> bpy.types.Mesh:
    """A copy of a mesh with some of its vertices [V] bool, and all that they carry."""
    made, cut = mesh.copy(), bmesh.new()
    cut.from_mesh(made)
    cut.verts.ensure_lookup_table()
    bmesh.ops.delete(cut, geom=[cut.verts[i] for i in np.flatnonzero(~vertices)], context="VERTS")
    cut.to_mesh(made)
    cut.free()
    return made


def stand(items: Iterable[bpy.types.Object]) -> None:
    """Bring objects' scale to 1 and their origin to the centre of their base, without moving anything that one sees. Meshes that others use
    too become their own."""
    for item in items:
        if item.data.users > 1:
            item.data = item.data.copy()
        place, turn, scale = item.matrix_world.decompose()
        item.data.transform(Matrix.Diagonal(scale).to_4x4())
        if scale.x * scale.y * scale.z < 0:
            item.data.flip_normals()
        corners = np.array([corner.co for corner in item.data.vertices]) if item.data.vertices else np.zeros((1, 3))
        low, high = corners.min(0), corners.max(0)
        base = Vector(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]))
        item.data.transform(Matrix.Translation(-base))
        item.matrix_world = Matrix.LocRotScale(place + turn @ base, turn, None)
