# SPDX-License-Identifier: GPL-3.0-or-later
"""From a signed distance field to a mesh of the size that was asked for."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from core.frame import HALF_EXTENT
from core.limits import RESOLUTIONS
from core.surface.creases import corner_normals, sharp_edges
from core.surface.decimate import decimate
from core.surface.extract import LOOSE, SignedDistance, dense_grid, refine_grid, triangulate

SURPLUS = 2.2  # A grid has so many times the triangles that are asked for: fewer would leave the collapse no choice.
PROBE = 32  # cells of the grid that tells how large a surface is
TRIANGLES_OF_PROBE = 20 / 128**2  # on a grid of one cell, for each corner of that grid within a cell of the surface: 17 to 25 were measured
MARGIN = 0.25


@dataclass(frozen=True)
class Surface:
    """vertices [V, 3] f32, triangles [F, 3] i32: welded, closed, manifold, counter-clockwise seen from outside. sharp [E, 2] i32: edges
    to be shaded sharp, the lower vertex first. note: a sentence where it has more triangles than were asked for."""

    vertices: np.ndarray
    triangles: np.ndarray
    sharp: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int32))
    note: str = ""


def make_surface(
    sdf: SignedDistance,
    *,
    resolution: int,
    triangles: int | None = None,
    device: torch.device | str = "cpu",
    keep_volume: float = LOOSE,
    cancelled: Callable[[], bool] | None = None,
    stage: Callable[[str], contextlib.AbstractContextManager] = contextlib.nullcontext,
) -> Surface:
    """The zero level of `sdf` with about `triangles` triangles at most; None: as many as a grid of `resolution` cells gives.

    With a number of triangles, a grid no finer than they need (and no finer than `resolution`) is taken, its vertices are moved on to the
    surface, and edges are collapsed. The two halves of the work run inside `stage("decode")`, asking `sdf` on a grid, and
    `stage("extract")`. Raises as `core.surface.extract.extract_surface` does.
    """
    shared = {"device": device, "cancelled": cancelled}
    if triangles is None:
        with stage("decode"):
            values = refine_grid(sdf, resolution=resolution, **shared)
        with stage("extract"):
            return Surface(*triangulate(values, keep_volume))
    with stage("decode"):
        probe = dense_grid(sdf, resolution=PROBE, **shared)
        cells = fitting_resolution(probe, triangles, resolution)
        values = refine_grid(sdf, resolution=cells, start=probe, **shared)
    with stage("extract"):
        vertices, faces = triangulate(values, keep_volume, margin=MARGIN)
        vertices = settle(sdf, vertices, faces, 2 * HALF_EXTENT / cells, device)
        vertices, faces, note = decimate(vertices, faces, triangles)
        return Surface(vertices, faces, sharp_edges(vertices, faces, sdf, device), note)


def fitting_resolution(probe: torch.Tensor, triangles: int, most: int) -> int:
    """Cells of a grid on which the surface has some more triangles than are asked for, at most `most`. `probe`: corner values [33]³."""
    near = int((probe.abs() < 2 * HALF_EXTENT / PROBE).sum())
    wanted = math.sqrt(SURPLUS * triangles / max(near * TRIANGLES_OF_PROBE, 1e-9))
    step = RESOLUTIONS.step
    return min(max(step * math.ceil(wanted / step), RESOLUTIONS[0]), most)


def settle(sdf: SignedDistance, vertices: np.ndarray, triangles: np.ndarray, cell: float, device: torch.device | str = "cpu") -> np.ndarray:
    """Vertices moved along their normals on to the zero level of `sdf` [V, 3] f32: two steps, the second by the slope that the first met.

    None moves farther than three quarters of a cell.
    """
    normal = torch.from_numpy(corner_normals(vertices, triangles)[1]).to(device)
    points = torch.from_numpy(vertices).to(device)
    first = sdf(points).float()[:, None].clamp(-cell / 2, cell / 2)
    points = points - first * normal
    rest = sdf(points).float()[:, None]
    slope = torch.where(first.abs() > 1e-3 * cell, (first - rest) / first, 1.0).clamp(0.5, 2)
    return (points - (rest / slope).clamp(-cell / 4, cell / 4) * normal).cpu().numpy()
