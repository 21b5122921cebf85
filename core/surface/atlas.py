# SPDX-License-Identifier: GPL-3.0-or-later
"""Box atlas: charts projected along the six axes, tested for folds by rasterising, turned, scaled alike and packed."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.surface.charts import (
    DIRECTIONS,
    U_COLUMN,
    V_COLUMN,
    choose_directions,
    connected_charts,
    face_normals,
    merge_small,
    smoothed_positions,
)
from core.surface.creases import uv_seams
from core.surface.packing import chart_masks, pack_masks
from core.surface.texels import owned_texels
from core.surface.texels_gpu import owned_on_device
from core.surface.topology import half_edge_twins

TURNS = 16  # Angles tried in a quarter turn for a chart's tightest box.
CELLS = 96  # About as many packing cells on a side: finer packs closer and takes longer.
COARSE_CELLS = 72  # The same for meshes made for speed.
LEEWAY = 1.1  # How many more cells than planned the packing may need before it starts again.
SMALL = 8  # Charts of so few triangles try to join a neighbour.
FOLD_ROUNDS = 2  # So often folds move to charts of their own; what then still folds is collapsed like a speck.
FOLD_TEST = 0.5  # Folds are looked for at this share of the image's texels along a side.
SPECK = 6  # A fold that covers no more texels is not worth a chart: it takes its colour from one texel.


@dataclass(frozen=True)
class Atlas:
    """UVs of a mesh, and the texels its triangles own at the size it was made for.

    `uvs` [F, 3, 2] f32, origin bottom left; `chart` [F] i32; `size` in texels; `triangle` and `texel` [N] i32: the owned texels
    (row * size + column, row 0 at the bottom), each owned once; `seams` [E, 2] i32 the edges where the UVs are cut.
    """

    uvs: np.ndarray
    chart: np.ndarray
    size: int
    triangle: np.ndarray
    texel: np.ndarray
    seams: np.ndarray


def unwrap(
    vertices: np.ndarray,
    triangles: np.ndarray,
    *,
    size: int = 1024,
    padding: int = 4,
    coarse: bool = False,
    faces: np.ndarray | None = None,
    smooth: bool = True,
    device: torch.device | str = "cpu",
) -> Atlas:
    """Unwrap a mesh for an image of `size` texels square, charts at least `padding` texels apart.

    `vertices` [V, 3] f32, `triangles` [F, 3] integer, closed or not. All charts have the same texel density. `coarse`: of a decimated
    mesh, whose charts often fold: folds are looked for before the charts are packed, and these more quickly. `faces` [F]: the number of
    the face that each triangle is a part of; no face is cut, and one that folds in itself shares its texels. `smooth`: whether vertices
    have a grid's noise, which the projections then do not follow. `device`: where texels are found; whichever it is, the atlas is the same.
    Raises ValueError for a mesh without triangles or a size below 64.
    """
    if not len(triangles) or size < 64:
        raise ValueError("An atlas needs at least one triangle and 64 texels.")
    lead = _first_of(faces, len(triangles))
    smooth = smoothed_positions(vertices, triangles) if smooth else vertices.astype(np.float32)
    normals = face_normals(smooth, triangles) if faces is None else _mean_normals(smooth, triangles, lead)
    twins = half_edge_twins(triangles)
    neighbours = np.ascontiguousarray(np.where(twins.T >= 0, twins.T // 3, np.arange(len(triangles))))
    direction = choose_directions(normals, neighbours)[lead]
    count, chart = connected_charts(direction, neighbours)
    count, chart, direction = merge_small(direction, chart, count, normals, neighbours, max(SMALL, len(triangles) // 500))
    on_gpu = torch.device(device).type == "cuda"
    owned = functools.partial(owned_on_device, device=device) if on_gpu else owned_texels
    side, cells = None, COARSE_CELLS if coarse else CELLS
    if coarse:
        for _ in range(FOLD_ROUNDS + 1):
            flat = _project(smooth, triangles, direction)
            lost = _folds(flat, chart, count, _depth(smooth, triangles, direction), neighbours, size, owned)
            if not lost.size:
                break
            count, chart = _part(chart, count, _whole(lost, lead), neighbours)
            count, chart, direction = merge_small(direction, chart, count, normals, neighbours, SMALL)
    for fold_round in range(FOLD_ROUNDS if coarse else 0, FOLD_ROUNDS + 1):
        flat = _project(smooth, triangles, direction)
        uvs, side = _lay_out(flat, chart, count, neighbours, size, padding, side, cells)
        triangle, texel, lost = owned(uvs * np.float32(size), _depth(smooth, triangles, direction), size, size)
        lost, kept = _collapse_specks(uvs, triangle, lost, neighbours, lead, everything=fold_round == FOLD_ROUNDS and faces is None)
        triangle, texel = triangle[kept], texel[kept]
        if not lost.size:
            break
        count, chart = _part(chart, count, _whole(lost, lead), neighbours)
        if fold_round == 0:
            count, chart, direction = merge_small(direction, chart, count, normals, neighbours, SMALL)
    return Atlas(uvs, chart.astype(np.int32), size, triangle, texel, uv_seams(triangles, uvs, twins))


def _first_of(faces: np.ndarray | None, count: int) -> np.ndarray:
    """For each of `count` triangles the first one of its face [F]: itself, where faces are None."""
    if faces is None:
        return np.arange(count)
    _, first, which = np.unique(faces, return_index=True, return_inverse=True)
    return first[which]


def _mean_normals(vertices: np.ndarray, triangles: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """The unit normal of each triangle's face [F, 3] f32, which is the mean of its triangles'."""
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    total = np.stack([np.bincount(lead, part, len(lead)) for part in np.cross(b - a, c - a).T], 1)[lead]
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)).astype(np.float32)


def _whole(some: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Triangles, and all others of their faces, ascending."""
    taken = np.zeros(len(lead), bool)
    taken[lead[some]] = True
    return np.flatnonzero(taken[lead])


def _project(smooth: np.ndarray, triangles: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Corners seen along each triangle's direction, in mesh units, mirrored nowhere: [2 (u, v), 3 (corner), F] f32."""
    columns = np.concatenate((smooth, -smooth), axis=1).ravel()
    corner = triangles.T.astype(np.int64) * 6
    return np.stack((columns[corner + U_COLUMN[direction]], columns[corner + V_COLUMN[direction]]))


def _depth(smooth: np.ndarray, triangles: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """How near each triangle [F] is to who looks along its direction."""
    return np.einsum("ij,ij->i", smooth[triangles[:, 0]], DIRECTIONS[direction])


def _folds(
    flat: np.ndarray, chart: np.ndarray, count: int, depth: np.ndarray, neighbours: np.ndarray, size: int, owned: Callable
) -> np.ndarray:
    """Triangles that lie under others of their chart, found at half the texels that the image will have, specks left out. `owned`: as
    `core.surface.texels.owned_texels`."""
    corners = flat.reshape(2, -1)
    of = np.tile(chart, 3)
    low = np.full((2, count), np.inf, np.float32)
    high = -low
    for axis in range(2):
        np.minimum.at(low[axis], of, corners[axis])
        np.maximum.at(high[axis], of, corners[axis])
    u, v = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    area = max(float(np.abs(u[0] * v[1] - u[1] * v[0]).sum()) / 2, 1e-12)
    scale = np.float32(FOLD_TEST * size * math.sqrt(0.6 / area))
    columns, rows = (np.ceil((high - low) * scale).astype(np.int64)) + 1
    base = np.cumsum(rows) - rows  # All charts, one above the other
    points = (flat - low[:, None, chart]) * scale
    points[1] += base[chart].astype(np.float32)
    width, height = int(columns.max()), int(rows.sum())
    triangle, _, lost = owned(points.transpose(2, 1, 0), depth, width, height)
    return lost[~_specks(lost, triangle, neighbours, SPECK * FOLD_TEST**2)] if lost.size else lost


def _lay_out(
    flat: np.ndarray, chart: np.ndarray, count: int, neighbours: np.ndarray, size: int, padding: int, guess: int | None, cells: int
) -> tuple[np.ndarray, int]:
    """UVs [F, 3, 2] f32 of projected corners: each chart turned to its tightest box, all scaled alike and packed.

    Returns the side of the packing in cells as well: the next round's `guess`.
    """
    border = (chart[neighbours] != chart) | (neighbours == np.arange(len(chart)))
    bordered = np.zeros(count, bool)
    bordered[chart[border.any(axis=0)]] = True
    side, face = np.nonzero(border | ~bordered[chart])  # A closed chart, which only degenerate meshes have, is all border.
    order = np.argsort(chart[face], kind="stable")
    side, face = side[order], face[order]
    segment_chart = chart[face]
    begin = np.searchsorted(segment_chart, np.arange(count))
    segments = np.stack((flat[:, side, face], flat[:, (side + 1) % 3, face]))  # [2 (end), 2 (u, v), N]
    turn = _tightest_turns(segments[0], begin)
    segments = np.stack([_turn(end, turn[:, segment_chart]) for end in segments])
    low = np.minimum.reduceat(segments.min(axis=0), begin, axis=1)  # [2, C]
    segments -= low[:, segment_chart]
    turn, low = turn.take(chart, axis=1), low.take(chart, axis=1)
    turned = np.stack([_turn(flat[:, corner], turn) for corner in range(3)], axis=1) - low[:, None]
    scale, quarter, shift, used = _pack(turned, chart, segments, segment_chart, count, size, padding, guess, cells)
    quarter, shift = (quarter * scale).take(chart, axis=1), shift.take(chart, axis=1)
    uvs = np.stack([_turn(turned[:, corner], quarter) + shift for corner in range(3)])  # [3, 2, F]
    uvs = np.ascontiguousarray(uvs.transpose(2, 0, 1))
    return np.clip(uvs, 0, 1, out=uvs), used


def _turn(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rotate points [2, N] by (cosine, sine) [2, N]."""
    return np.stack((points[0] * turn[0] - points[1] * turn[1], points[0] * turn[1] + points[1] * turn[0]))


def _tightest_turns(ends: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """Per chart the (cosine, sine) [2, C] f32 of the turn to its smallest box, the long side upright.

    `ends` [2, N] are border points, those of chart c from begin[c] on.
    """
    angles = np.arange(TURNS) * (np.pi / 2 / TURNS)
    cosine, sine = np.cos(angles)[:, None].astype(np.float32), np.sin(angles)[:, None].astype(np.float32)
    x = ends[0] * cosine - ends[1] * sine
    y = ends[0] * sine + ends[1] * cosine
    wide = np.maximum.reduceat(x, begin, axis=1) - np.minimum.reduceat(x, begin, axis=1)
    tall = np.maximum.reduceat(y, begin, axis=1) - np.minimum.reduceat(y, begin, axis=1)
    area = wide * tall
    area[0] *= 0.97  # Straight with the texels, unless turning gains something.
    best = area.argmin(axis=0)
    rows = np.arange(len(begin))
    cosine, sine = cosine[best, 0], sine[best, 0]
    lying = wide[best, rows] > tall[best, rows]
    return np.stack((np.where(lying, -sine, cosine), np.where(lying, cosine, sine)))


def _pack(
    turned: np.ndarray,
    chart: np.ndarray,
    segments: np.ndarray,
    segment_chart: np.ndarray,
    count: int,
    size: int,
    padding: int,
    guess: int | None,
    cells: int,
) -> tuple[np.float32, np.ndarray, np.ndarray, int]:
    """Scale from mesh units to the unit square, each chart's quarter turn (cosine, sine) [2, C], its shift [2, C] f32, cells."""
    u, v = turned[:, 1] - turned[:, 0], turned[:, 2] - turned[:, 0]
    area = max(float(np.abs(u[0] * v[1] - u[1] * v[0]).sum()) / 2, 1e-12)
    border = float(np.hypot(*(segments[1] - segments[0])).sum())
    aim = min(cells, size // 2)
    # Charts fill about four fifths of the cells they touch; a border touches half a cell and half the padding more.
    cell = math.sqrt(area / 0.85) / aim
    for _ in range(3):
        cell = math.sqrt((area + border * cell * (0.5 + 0.6 * (padding + 1) / size * aim)) / 0.85) / aim
    margin = (padding + 1) / 2 * aim * LEEWAY / size
    for _ in range(3):
        in_cells = np.float32(1 / cell)
        shifted = (part * in_cells + np.float32(margin) for part in (turned, segments))
        masks = chart_masks(*shifted, chart, segment_chart, count, margin)
        side, places = pack_masks(masks, guess=guess, attempts=4 if guess is None else 2)
        if side <= aim * LEEWAY:
            break
        cell, guess = cell * side / aim, None  # Cells would be smaller than planned, and so the padding.
    quarter = np.array([((1, 0), (0, 1), (-1, 0), (0, -1))[q] for _, _, q in places], np.float32).T
    # After a turn the mask's lower left corner is another of its corners.
    rows, columns = np.array([mask.shape for mask in masks]).T
    turns = np.array([q for _, _, q in places])
    corner = np.stack((np.choose(turns, (0 * rows, rows, columns, 0 * rows)), np.choose(turns, (0 * rows, 0 * rows, rows, columns))))
    shift = np.array([(x, y) for x, y, _ in places]).T + corner
    shift = (shift + _turn(np.full((2, count), margin), quarter)) / side
    return np.float32(in_cells / side), quarter, shift.astype(np.float32), side


def _specks(lost: np.ndarray, triangle: np.ndarray, neighbours: np.ndarray, most: float) -> np.ndarray:
    """Which of the losing triangles belong to a connected patch that covers at most so many texels: [lost] bool."""
    patch = np.full(neighbours.shape[1], -1, np.int64)
    patch[lost] = 0
    count, patch = connected_charts(patch, neighbours)
    return np.bincount(patch[triangle], minlength=count)[patch[lost]] <= most


def _collapse_specks(
    uvs: np.ndarray, triangle: np.ndarray, lost: np.ndarray, neighbours: np.ndarray, lead: np.ndarray, *, everything: bool
) -> tuple[np.ndarray, np.ndarray | slice]:
    """Draw each speck of losing triangles, and what their faces have beside them, together to a corner, in `uvs`: (the other losers, which
    owned texels remain)."""
    if not lost.size:
        return lost, slice(None)
    speck = _whole(lost if everything else lost[_specks(lost, triangle, neighbours, SPECK)], lead)
    uvs[speck] = uvs[lead[speck], :1]
    gone = np.zeros(len(uvs), bool)
    gone[speck] = True
    return lost[~gone[lost]], ~gone[triangle]


def _part(chart: np.ndarray, count: int, lost: np.ndarray, neighbours: np.ndarray) -> tuple[int, np.ndarray]:
    """Move the losing triangles to charts of their own, connected ones together."""
    label = chart.astype(np.int64)
    label[lost] = count + chart[lost]
    return connected_charts(label, neighbours)
