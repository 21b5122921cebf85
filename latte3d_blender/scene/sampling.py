# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of objects of the scene as the engine takes it: points with outward normals, in its frame; and where that shape stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..client.guide import SPAN
from .mesh_data import corners_of, places_of, triangles_of

POINTS = 2048  # as many as the models were trained with


@dataclass(frozen=True)
class Sampled:
    """cloud [POINTS, 6] f32: points and normals in the engine's frame. base: the centre of its base in the world; angle: its turn about the
    vertical, which is not in the cloud; height: in the scene's units."""

    cloud: np.ndarray
    base: tuple[float, float, float]
    angle: float
    height: float


def sample(context: bpy.types.Context, items: Sequence[bpy.types.Object], count: int = POINTS) -> Sampled:
    """The surfaces of objects together, with their modifiers, as they stand in the world; the last one's turn about the vertical is taken
    out, so that its front is the model's. Raises ValueError, with a sentence, where there is no shape."""
    angle = items[-1].matrix_world.to_euler("XYZ").z
    turned = Matrix.Rotation(-angle, 4, "Z")
    parts = [_triangles(context, item, turned @ item.matrix_world) for item in items]
    corners = np.concatenate([part for part in parts if len(part)] or [np.zeros((0, 3, 3))])
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    if not np.isfinite(area).all():
        raise ValueError("Its vertices have no finite places.")
    if area.sum() <= 0:
        raise ValueError("It has no faces to take a shape from.")
    flat = corners.reshape(-1, 3)
    low, high = flat.min(0), flat.max(0)
    middle = (low + high) / 2
    points, normals = _spread(corners, cross, area, count)
    if np.einsum("fi,fi->", corners[:, 0] - middle, cross) < 0:  # its normals point inwards
        normals = -normals
    points = (points - middle) * (SPAN / (high - low).max())
    cloud = np.concatenate([to_engine(points), to_engine(normals)], 1).astype(np.float32)
    base = turned.inverted() @ Vector((*middle[:2], low[2]))
    return Sampled(cloud, tuple(base), angle, float(high[2] - low[2]))


def to_engine(vectors: np.ndarray) -> np.ndarray:
    """Turn vectors [N, 3] of Blender's axes (front -Y) into the engine's (front +X)."""
    return np.stack([-vectors[:, 1], vectors[:, 0], vectors[:, 2]], 1)


def _triangles(context: bpy.types.Context, item: bpy.types.Object, matrix: Matrix) -> np.ndarray:
    """The corners [F, 3, 3] of an object's evaluated surface, moved by a matrix."""
    evaluated = item.evaluated_get(context.evaluated_depsgraph_get())
    try:
        mesh = evaluated.to_mesh()
    except RuntimeError:  # an object without a surface
        return np.zeros((0, 3, 3))
    try:
        (loops, _), (vertex, _), whole = triangles_of(mesh), corners_of(mesh), np.array(matrix)
        corners = (places_of(mesh) @ whole[:3, :3].T + whole[:3, 3])[vertex[loops]]
        return corners[:, ::-1] if matrix.is_negative else corners
    finally:
        evaluated.to_mesh_clear()


def _spread(corners: np.ndarray, cross: np.ndarray, area: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """So many points spread evenly over triangles, and their normals: [count, 3] each. The same for the same triangles."""
    rng = np.random.Generator(np.random.PCG64(0))
    shares = (np.arange(count) + rng.random(count)) / count
    face = np.minimum(np.searchsorted(np.cumsum(area) / area.sum(), shares), len(area) - 1)
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
    a, b, c = (corners[face, corner] for corner in range(3))
    return a + u[:, None] * (b - a) + v[:, None] * (c - a), cross[face] / area[face, None]
