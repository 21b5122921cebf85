# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of prepared shapes, made from nothing but what was prepared: the grid of distances and the looks of surface points."""

import math

import numpy as np
from numpy import ndarray
from PIL import Image
from scipy.spatial import cKDTree

from core.frame import HALF_EXTENT
from core.library.shape import Shape

AZIMUTH, ELEVATION, FIELD, DISTANCE = 35.0, 20.0, 30.0, 2.6  # from the front; a whole cube is seen
GROUND = (0.90, 0.90, 0.92)
UNKNOWN = (0.62, 0.60, 0.66)  # surfaces whose colour the library does not know


def portrait(shape: Shape, side: int, azimuth: float = AZIMUTH) -> ndarray:
    """[side, side, 3] sRGB bytes, first row on top."""
    origin, direction = _rays(side, azimuth)
    t = np.full(len(direction), DISTANCE - 0.9)
    going = np.arange(len(direction))
    hit = np.zeros(len(direction), bool)
    for _ in range(160):
        points = origin + direction[going] * t[going, None]
        d = shape.distance(points)
        outside = np.linalg.norm(points - np.clip(points, -HALF_EXTENT, HALF_EXTENT), axis=1)
        arrived = (d < 1e-3) & (outside < 1e-6)
        hit[going[arrived]] = True
        t[going] += np.where(arrived, 0, np.maximum(0.7 * d.clip(0, 0.2) + outside, 1e-3))
        going = going[~arrived & (t[going] < DISTANCE + 0.9)]
        if not len(going):
            break
    image = np.tile(np.asarray(GROUND, np.float32), (len(direction), 1))
    if hit.any():
        points = origin + direction[hit] * t[hit, None]
        normal = _normals(shape, points)
        image[hit] = _shaded(direction[hit], normal, _looks(shape, points, normal))
    return (image.reshape(side, side, 3) * 255 + 0.5).astype(np.uint8)


def side_by_side(blender: ndarray | None, shape: Shape, side: int) -> Image.Image:
    """As Blender shows the asset, and as it was prepared."""
    both = Image.new("RGB", (2 * side, side), "white")
    if blender is not None:
        both.paste(Image.fromarray(np.ascontiguousarray(blender)), (0, 0))
    both.paste(Image.fromarray(portrait(shape, side)), (side, 0))
    return both


def _rays(side: int, azimuth: float) -> tuple[ndarray, ndarray]:
    a, e = math.radians(azimuth), math.radians(ELEVATION)
    backward = np.array((math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)))
    right = np.array((-math.sin(a), math.cos(a), 0.0))
    up = np.cross(backward, right)
    t = ((np.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(FIELD / 2))
    v, u = np.meshgrid(-t, t, indexing="ij")
    d = u[..., None] * right + v[..., None] * up - backward
    return backward * DISTANCE, (d / np.linalg.norm(d, axis=-1, keepdims=True)).reshape(-1, 3)


def _normals(shape: Shape, points: ndarray) -> ndarray:
    step = 0.006 * np.eye(3)
    n = np.stack([shape.distance(points + s) - shape.distance(points - s) for s in step], 1)
    return n / np.linalg.norm(n, axis=1, keepdims=True).clip(1e-9)


def _looks(shape: Shape, points: ndarray, normal: ndarray) -> ndarray:
    """[N, 5], of the nearest surface point that faces the same way."""
    if not len(shape.surface):
        return np.tile(np.array((*UNKNOWN, 0.8, 0.0), np.float32), (len(points), 1))
    tree = cKDTree(np.concatenate((shape.surface, 0.02 * shape.normal.astype(np.float32)), 1))
    return shape.look[tree.query(np.concatenate((points, 0.02 * normal), 1))[1]].astype(np.float32) / 255


def _shaded(direction: ndarray, normal: ndarray, look: ndarray) -> ndarray:
    """As `core.rendering.shading.shade`, on NumPy: the processes that prepare shapes do without torch."""
    key = np.array((0.8, -0.3, 1.0)) / np.linalg.norm((0.8, -0.3, 1.0))
    half = key - direction
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = (normal * half).sum(1).clip(0) ** (2 / look[:, 3].clip(0.1) ** 3) * (0.08 + 0.5 * look[:, 4]) * (1 - look[:, 3])
    light = 0.45 + 0.2 * normal[:, 2] + 0.75 * (normal @ key).clip(0)
    return (look[:, :3] ** 2.2 * light[:, None] + shine[:, None]).clip(0, 1) ** (1 / 2.2)
