# SPDX-License-Identifier: GPL-3.0-or-later
"""An independent look at a layout: do any two objects' real surfaces cross, or is one within another? It shares no code with layout.py.

Every pair is looked at: first the boxes around both in the world, then their triangles.
"""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree

from .assets import Assets, own_matrix
from .layout import Layout

MOST = 4000  # objects that are looked at by default: the pairs grow with the square


@dataclass(frozen=True)
class Findings:
    """Pairs of objects (rows of the layout) whose surfaces cross, and how many pairs of boxes had to be looked at more closely."""

    crossing: list[tuple[int, int]]
    looked_at: int


def crossing(assets: Assets, layout: Layout, unit_m: float) -> Findings:
    """Look at every pair of a layout's objects."""
    return among([mesh_of(asset.item, unit_m) for asset in assets.found], layout)


def among(meshes: list[tuple[np.ndarray, list]], layout: Layout) -> Findings:
    """Look at every pair of a layout's objects, whose meshes are given by their numbers. Touches nothing of Blender's."""
    bodies = layout.bodies
    placed = [
        Matrix.Translation(place) @ Matrix(turn).to_4x4() @ Matrix.Diagonal((size, size, size, 1.0))
        for place, turn, size in zip(bodies.position.tolist(), bodies.rotation.tolist(), bodies.scale.tolist(), strict=True)
    ]
    points = [np.array(matrix) for matrix in placed]

    def world(row: int) -> np.ndarray:
        return meshes[bodies.asset[row]][0] @ points[row][:3, :3].T + points[row][:3, 3]

    boxes = np.array([(one.min(0), one.max(0)) for one in map(world, range(len(layout)))]).reshape(-1, 2, 3)
    pairs = []
    for row in range(len(layout)):
        apart = ((boxes[row, 0] > boxes[row + 1 :, 1]) | (boxes[row, 1] < boxes[row + 1 :, 0])).any(1)
        pairs += [(row, row + 1 + int(other)) for other in np.flatnonzero(~apart)]
    trees: dict[int, BVHTree] = {}
    for row in {row for pair in pairs for row in pair}:
        trees[row] = BVHTree.FromPolygons(world(row).tolist(), meshes[bodies.asset[row]][1], all_triangles=True)

    def meet(one: int, other: int) -> bool:
        return bool(trees[one].overlap(trees[other])) or _inside(trees[other], world(one)[0]) or _inside(trees[one], world(other)[0])

    return Findings([pair for pair in pairs if meet(*pair)], len(pairs))


def _inside(tree: BVHTree, point: np.ndarray) -> bool:
    """Whether a point is inside a closed surface: straight up, one leaves it once more than one enters it."""
    start, hits = Vector(point), 0
    while hits < 64:
        place = tree.ray_cast(start, Vector((0.0, 0.0, 1.0)))[0]
        if place is None:
            break
        start, hits = place + Vector((0.0, 0.0, 1e-5)), hits + 1
    return hits % 2 == 1


def mesh_of(item: bpy.types.Object, unit_m: float) -> tuple[np.ndarray, list]:
    """Vertices [V, 3] in metres, turned and scaled as the asset is, and triangles."""
    mesh = item.data
    if item.type != "MESH":
        mesh = item.to_mesh()
    mesh.calc_loop_triangles()
    vertices = np.array([vertex.co for vertex in mesh.vertices]) @ np.array(own_matrix(item))[:3, :3].T * unit_m
    return vertices, [tuple(triangle.vertices) for triangle in mesh.loop_triangles]
