# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed distance field -> closed triangle mesh: coarse-to-fine evaluation, then marching cubes."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from skimage.measure import marching_cubes

from core.frame import HALF_EXTENT
from core.surface import cubes
from core.surface.topology import compact, components, half_edge_twins, signed_volumes, split_non_manifold

COARSEST = 32  # Cells of the first grid, up to 63 where the resolution is no power of two times 32: it must see every part.
LOOSE = 0.01  # of the volume: smaller pieces lie beside an object and are none of it
NUDGE = 0.01  # Distances below this many cells are moved off zero: no triangle without area, at most 1 % of a cell off.
NOTHING_INSIDE = "The signed distance is nowhere negative: there is no surface to extract."

SignedDistance = Callable[[torch.Tensor], torch.Tensor]


class ExtractionCancelled(Exception):
    """The caller's `cancelled` returned true between two batches."""


class EmptySurfaceError(ValueError):
    """The field is nowhere negative inside the grid: there is no surface."""


def extract_surface(
    sdf: SignedDistance,
    *,
    resolution: int = 128,
    device: torch.device | str = "cpu",
    slope: float = 1.25,
    keep_volume: float = LOOSE,
    batch: int = 1 << 18,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the zero level of `sdf` (negative inside): (vertices [V, 3] f32 in the core frame, triangles [F, 3] i32).

    `sdf` takes points [N, 3] f32 on `device` and answers [N]. `resolution` counts cells along an edge of the grid: a multiple
    of 8 from 64 to 256. `slope` is the steepest gradient to expect of `sdf`: up to it the triangles are those of
    `extract_dense`, and a smaller one costs fewer points. Pieces below `keep_volume` of the whole volume are dropped.
    The mesh is welded, closed, manifold and counter-clockwise seen from outside.
    Raises EmptySurfaceError, ExtractionCancelled, or ValueError for a resolution outside the range.
    """
    values = refine_grid(sdf, resolution=resolution, device=device, slope=slope, batch=batch, cancelled=cancelled)
    return triangulate(values, keep_volume)


def extract_dense(
    sdf: SignedDistance, *, resolution: int = 128, device: torch.device | str = "cpu", keep_volume: float = LOOSE, batch: int = 1 << 18
) -> tuple[np.ndarray, np.ndarray]:
    """The plain twin of `extract_surface`: evaluates every corner of the grid."""
    return triangulate(dense_grid(sdf, resolution=resolution, device=device, batch=batch), keep_volume)


def refine_grid(
    sdf: SignedDistance,
    *,
    resolution: int,
    device: torch.device | str = "cpu",
    slope: float = 1.25,
    batch: int = 1 << 18,
    start: torch.Tensor | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> torch.Tensor:
    """Corner values [R + 1, R + 1, R + 1] (x, y, z): exact near the surface, interpolated with the right sign elsewhere.

    `start`, a `dense_grid` of another resolution, saves asking far from the surface.
    """
    if not 64 <= resolution <= 256 or resolution % 8:
        raise ValueError(f"The resolution must be a multiple of 8 from 64 to 256, not {resolution}.")
    levels = math.floor(math.log2(resolution / 24))
    while resolution % (1 << levels) or (resolution >> levels < COARSEST and levels > 1):
        levels -= 1
    coarsest = resolution >> levels
    if start is None:
        values = dense_grid(sdf, resolution=coarsest, device=device, batch=batch, cancelled=cancelled)
    elif len(start) == coarsest + 1:
        values = start
    else:
        values = _regrid(sdf, start, coarsest + 1, slope, batch, cancelled)
    for _ in range(levels):
        values = _refine(sdf, values, slope, batch, cancelled)
    return values


def dense_grid(
    sdf: SignedDistance,
    *,
    resolution: int,
    device: torch.device | str = "cpu",
    batch: int = 1 << 18,
    cancelled: Callable[[], bool] | None = None,
) -> torch.Tensor:
    """Corner values [R + 1, R + 1, R + 1] (x, y, z), all of them evaluated."""
    size = resolution + 1
    values = torch.empty(size**3, device=device)
    _evaluate(sdf, values, torch.arange(size**3, device=device), size, batch, cancelled)
    return values.view(size, size, size)


def _regrid(
    sdf: SignedDistance, known: torch.Tensor, size: int, slope: float, batch: int, cancelled: Callable[[], bool] | None
) -> torch.Tensor:
    """Values [size]³ from another grid's: evaluated where a cell may hold surface, elsewhere what the nearest known corner proves."""
    place = torch.linspace(0, len(known) - 1, size, device=known.device)
    nearest = place.round()
    off = ((place - nearest) * (2 * HALF_EXTENT / (len(known) - 1))).square()
    apart = (off[:, None, None] + off[:, None] + off).sqrt() * slope
    nearest = nearest.long()
    value = known[nearest[:, None, None], nearest[:, None], nearest]
    proven = value.abs() - apart  # the least that the distance can be, if the corner's sign holds
    wanted = proven <= slope * math.sqrt(3) * 2 * HALF_EXTENT / (size - 1)
    values = torch.where(value < 0, -proven, proven).view(-1)
    _evaluate(sdf, values, wanted.view(-1).nonzero()[:, 0], size, batch, cancelled)
    return values.view(size, size, size)


def _refine(sdf: SignedDistance, coarse: torch.Tensor, slope: float, batch: int, cancelled: Callable[[], bool] | None) -> torch.Tensor:
    """One halving of the cells: [n + 1]³ -> [2 n + 1]³.

    A new corner p matters only if a cell around it holds surface, that is if |sdf(p)| <= slope * cell diagonal. Each parent c
    of p proves |sdf(p)| >= |sdf(c)| - slope * |p - c|, and all parents of p are equally far from it: the largest decides.
    """
    size = 2 * coarse.shape[0] - 1
    cell = 2 * HALF_EXTENT / (size - 1)
    values = coarse.new_empty((size, size, size))
    values[::2, ::2, ::2] = coarse
    distance = coarse.abs()
    wanted = torch.zeros_like(values, dtype=torch.bool)
    for odd in itertools.product((0, 1), repeat=3):  # On an edge, a face or in the middle of a coarse cell
        if not any(odd):
            continue
        mean, bound = coarse, distance
        for axis in (axis for axis in range(3) if odd[axis]):
            count = mean.shape[axis] - 1
            mean = torch.lerp(mean.narrow(axis, 0, count), mean.narrow(axis, 1, count), 0.5)
            bound = torch.maximum(bound.narrow(axis, 0, count), bound.narrow(axis, 1, count))
        values[odd[0] :: 2, odd[1] :: 2, odd[2] :: 2] = mean
        wanted[odd[0] :: 2, odd[1] :: 2, odd[2] :: 2] = bound <= slope * cell * (math.sqrt(3) + math.sqrt(sum(odd)))
    _evaluate(sdf, values.view(-1), wanted.view(-1).nonzero()[:, 0], size, batch, cancelled)  # nonzero: once, a GPU waits for it
    return values


def _evaluate(
    sdf: SignedDistance,
    values: torch.Tensor,
    index: torch.Tensor,
    size: int,
    batch: int,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Fill values[index] (flat, x slowest) with the field at those corners of a grid of size³ corners."""
    axis = torch.linspace(-HALF_EXTENT, HALF_EXTENT, size, dtype=torch.float64).to(values.device, torch.float32)
    for part in index.split(batch):
        if cancelled is not None and cancelled():
            raise ExtractionCancelled
        points = torch.stack((axis[part // (size * size)], axis[part // size % size], axis[part % size]), dim=-1)
        values[part] = sdf(points).reshape(-1).to(values.dtype)


def triangulate(values: torch.Tensor, keep_volume: float, *, margin: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Marching cubes on corner values, closed at the border of the grid, then the loose pieces dropped.

    `margin`: so far, in cells, vertices stay away from the grid's corners, beside the surface if need be: no triangle is a sliver then.
    """
    cell = 2 * HALF_EXTENT / (values.shape[0] - 1)
    vertices, triangles, low = (march_on_gpu if values.device.type == "cuda" else march)(values.float(), cell)
    if margin:
        along = vertices - np.floor(vertices)  # of the three only the one along the vertex's edge is not zero
        vertices += np.where(along > 0, np.clip(along, margin, 1 - margin) - along, 0)
    vertices = ((vertices + low) * cell - HALF_EXTENT).astype(np.float32)
    return _solid_pieces(vertices, triangles, keep_volume)


def march(values: torch.Tensor, cell: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Marching cubes by scikit-image: (vertices [V, 3] f32 in cells, triangles [F, 3] i32, the vertices' origin in the grid [3]), closed
    at the border of the grid and through none of its corners. Raises EmptySurfaceError."""
    grid = values.cpu().numpy()
    for axis in range(3):
        for face in (0, -1):
            side = grid[(slice(None),) * axis + (face,)]
            np.maximum(side, 0.5 * cell, out=side)
    box = _inside_box(grid)
    low = np.array([side.start for side in box], np.float32)
    grid = np.ascontiguousarray(grid[box])
    flat = grid.reshape(-1)
    near_zero = np.flatnonzero(np.abs(flat) < NUDGE * cell)
    flat[near_zero] = np.where(flat[near_zero] < 0, -NUDGE * cell, NUDGE * cell)
    vertices, triangles, _, _ = marching_cubes(grid, 0.0, gradient_direction="descent")
    return vertices, np.ascontiguousarray(triangles, np.int32), low


def march_on_gpu(values: torch.Tensor, cell: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The twin of `march` on the device of `values`: the same triangles, in another order."""
    grid = values.clone()
    for axis in range(3):
        for face in (0, -1):
            grid.select(axis, face).clamp_(min=0.5 * cell)
    nudged = torch.where(grid < 0, -NUDGE * cell, NUDGE * cell)
    vertices, triangles = cubes.marching_cubes(torch.where(grid.abs() < NUDGE * cell, nudged, grid))
    if not len(triangles):
        raise EmptySurfaceError(NOTHING_INSIDE)
    return vertices.cpu().numpy(), triangles.cpu().numpy(), np.zeros(3, np.float32)


def _inside_box(grid: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box of corners that holds everything inside, one corner wider on each side."""
    inside = grid < 0
    if not inside.any():
        raise EmptySurfaceError(NOTHING_INSIDE)
    plane = inside.any(axis=0)
    spans = (inside.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0))
    found = [np.flatnonzero(span) for span in spans]
    return tuple(slice(int(hit[0]) - 1, int(hit[-1]) + 2) for hit in found)


def _solid_pieces(vertices: np.ndarray, triangles: np.ndarray, keep_volume: float) -> tuple[np.ndarray, np.ndarray]:
    """Keep the solids of at least `keep_volume` of all together; inner walls (negative volume) go as well."""
    count, piece = components(triangles, len(vertices))
    if count > 1:
        volume = signed_volumes(vertices, triangles, piece, count)
        least = min(keep_volume * volume.clip(0).sum(), volume.max())  # of many crumbs at least one stays
        vertices, triangles = compact(vertices, triangles[(volume >= least)[piece]])
    if (half_edge_twins(triangles) < 0).any():  # Around a vertex of marching cubes one fan closes, if the edges pair up.
        vertices, triangles = split_non_manifold(vertices, triangles)
    return vertices, triangles
