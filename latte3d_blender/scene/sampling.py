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
NO_FACES = "It has no faces to take a shape from."


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
    places, corners = _joined([_surface(context, item, turned @ item.matrix_world) for item in items])
    if not corners.size:
        raise ValueError(NO_FACES)
    used = np.zeros(places.shape[1], bool)
    used[corners.ravel()] = True
    seen = places if used.all() else places[:, used]
    low, high = seen.min(1), seen.max(1)
    size = (high - low).max()
    if not np.isfinite(size):
        raise ValueError("Its vertices have no finite places.")
    if size <= 0:
        raise ValueError(NO_FACES)
    middle = (low + high) / 2
    near = ((places - middle[:, None]) / size).astype(np.float32)  # half a million triangles are halved in time by halved numbers
    cloud = np.concatenate([to_engine(vectors.T) for vectors in _spread(near, corners, count)], 1)
    cloud[:, :3] *= SPAN
    base = turned.inverted() @ Vector((*middle[:2], low[2]))
    return Sampled(cloud, tuple(base), angle, float(high[2] - low[2]))


def to_engine(vectors: np.ndarray) -> np.ndarray:
    """Turn vectors [N, 3] of Blender's axes (front -Y) into the engine's (front +X)."""
    return np.stack([-vectors[:, 1], vectors[:, 0], vectors[:, 2]], 1)


def _surface(context: bpy.types.Context, item: bpy.types.Object, matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """The vertices [3, V] f64 of an object's evaluated surface, moved by a matrix, and those of its triangles [3, F] i32."""
    evaluated = item.evaluated_get(context.evaluated_depsgraph_get())
    try:
        mesh = evaluated.to_mesh()
    except RuntimeError:  # an object without a surface
        return np.zeros((3, 0)), np.zeros((3, 0), np.int32)
    try:
        corners, whole = corners_of(mesh), np.array(matrix)
        triangles = corners[0][triangles_of(mesh)[0].T]
        places = whole[:3, :3] @ places_of(mesh).T + whole[:3, 3:]
        return places, triangles[::-1] if matrix.is_negative else triangles
    finally:
        evaluated.to_mesh_clear()


def _joined(surfaces: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Several surfaces as one."""
    counts = [places.shape[1] for places, _ in surfaces]
    triangles = [corners + sum(counts[:number]) for number, (_, corners) in enumerate(surfaces)]
    return np.concatenate([places for places, _ in surfaces], 1), np.concatenate(triangles, 1)


def _spread(places: np.ndarray, corners: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """So many points spread evenly over triangles, and their outward normals: [3, count] each. The same for the same triangles. Raises
    ValueError where they have no area."""
    a, b, c = (places.take(corner, 1) for corner in corners)
    b -= a
    c -= a
    cross = np.stack([b[i - 2] * c[i - 1] - b[i - 1] * c[i - 2] for i in range(3)])
    area = np.sqrt(cross[0] ** 2 + cross[1] ** 2 + cross[2] ** 2)
    until = np.cumsum(area, dtype=np.float64)
    if until[-1] <= 0:
        raise ValueError(NO_FACES)
    rng = np.random.Generator(np.random.PCG64(0))
    shares = (np.arange(count) + rng.random(count)) / count
    face = np.minimum(np.searchsorted(until, shares * until[-1]), len(area) - 1)
    u, v = rng.random((2, count), np.float32)
    u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
    normals = cross[:, face] / area[face]
    inwards = sum(float(np.dot(*both)) for both in zip(a, cross, strict=True)) < 0
    return a[:, face] + u * b[:, face] + v * c[:, face], -normals if inwards else normals
