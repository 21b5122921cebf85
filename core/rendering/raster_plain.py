# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain rasteriser, in numpy: the twin of the others, and what stands in where they are not."""

import numpy as np
import torch
from torch import Tensor

from core.rendering.raster import NOTHING, STEPS, snapped

AT_ONCE = 1 << 22  # pixels of triangles' boxes that are looked at together
DEPTHS = 1 << 30  # that are told apart, on each side of the middle of clip space


def find_faces(clip: Tensor, triangles: Tensor, height: int, width: int) -> Tensor:
    """As `core.rendering.raster.FindFaces`."""
    corners, z = (t.cpu().numpy() for t in snapped(clip, height, width))
    faces = [_of_view(corners[i], z[i], triangles.cpu().numpy(), height, width) for i in range(len(clip))]
    return torch.from_numpy(np.stack(faces)).to(clip.device)


def _of_view(vertices: np.ndarray, depths: np.ndarray, triangles: np.ndarray, height: int, width: int) -> np.ndarray:
    """[H, W] i32 of vertices [V, 2] and depths [V]."""
    nearest = np.full(height * width, np.iinfo(np.int64).max)
    corners, z = vertices[triangles].astype(np.int64), depths[triangles]  # [F, 3, 2], [F, 3]
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    first = np.maximum(-((STEPS // 2 - corners.min(1)) // STEPS), 0)  # [F, 2]: the columns and rows whose centres the box holds
    last = np.minimum((corners.max(1) - STEPS // 2) // STEPS, (width - 1, height - 1))
    wide, high = np.maximum(last - first + 1, 0).T
    usable = np.flatnonzero((area != 0) & np.isfinite(z).all(1) & (wide * high > 0))
    count = (wide * high)[usable]
    for part in np.split(usable, np.searchsorted(np.cumsum(count), np.arange(AT_ONCE, count.sum(), AT_ONCE))):
        face = np.repeat(part, (wide * high)[part])
        number = np.arange(len(face)) - np.repeat(np.cumsum((wide * high)[part]) - (wide * high)[part], (wide * high)[part])
        column, row = first[face, 0] + number % wide[face], first[face, 1] + number // wide[face]
        inside, depth = _inside(corners, z, area, face, column, row)
        key = (np.floor((depth + 1) * DEPTHS).astype(np.int64) << 32) | face[inside]
        np.minimum.at(nearest, (row * width + column)[inside], np.where(np.abs(depth) <= 1, key, np.iinfo(np.int64).max))
    return np.where(nearest == np.iinfo(np.int64).max, NOTHING, nearest & 0xFFFFFFFF).astype(np.int32).reshape(height, width)


def _inside(
    corners: np.ndarray, z: np.ndarray, area: np.ndarray, face: np.ndarray, column: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels [N] have their centre in their face, and the z / w of those."""
    centre = np.stack((column, row), -1) * STEPS + STEPS // 2
    inside, shares, sign = np.ones(len(face), bool), [], np.sign(area[face])[:, None]
    for k in range(3):
        start, end = corners[face, (k + 1) % 3], corners[face, (k + 2) % 3]
        edge = (end - start) * sign  # both sides of a triangle are seen
        share = _cross(edge, centre - start)
        owns = (edge[:, 1] > 0) | ((edge[:, 1] == 0) & (edge[:, 0] < 0))  # of two neighbours, whose common edges run opposite ways, one
        inside &= (share > 0) | ((share == 0) & owns)
        shares.append(share)
    shares, face = np.stack(shares, -1)[inside], face[inside]
    return inside, (shares * z[face]).sum(-1) / np.abs(area[face])


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
