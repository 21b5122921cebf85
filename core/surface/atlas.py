# SPDX-License-Identifier: GPL-3.0-or-later
"""Box atlas: charts projected along the six axes, tested for folds by rasterising, turned, scaled alike and packed."""

from dataclasses import dataclass

import numpy as np

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
from core.surface.packing import COLUMNS, outlines, settle
from core.surface.texels import covered_texels
from core.surface.topology import half_edge_twins

TURNS = 16  # Angles tried in a quarter turn for a chart's tightest box.
FOLD_ROUNDS = 3  # After so many rounds each triangle that still loses a texel becomes a chart of its own.


@dataclass(frozen=True)
class Atlas:
    """UVs of a mesh, and the texels its triangles own at the size it was made for.

    `uvs` [F, 3, 2] f32, origin bottom left; `chart` [F] i32; `size` in texels; `triangle` and `texel` [N] i32: the owned texels
    (row * size + column, row 0 at the bottom), each owned once.
    """

    uvs: np.ndarray
    chart: np.ndarray
    size: int
    triangle: np.ndarray
    texel: np.ndarray


def unwrap(vertices: np.ndarray, triangles: np.ndarray, *, size: int = 1024, padding: int = 4) -> Atlas:
    """Unwrap a mesh for an image of `size` texels square, charts at least `padding` texels apart.

    `vertices` [V, 3] f32, `triangles` [F, 3] integer, closed or not. All charts have the same texel density.
    Raises ValueError for a mesh without triangles or a size below 64.
    """
    if not len(triangles) or size < 64:
        raise ValueError("An atlas needs at least one triangle and 64 texels.")
    smooth = smoothed_positions(vertices, triangles)
    normals = face_normals(smooth, triangles)
    twins = half_edge_twins(triangles)
    neighbours = np.where(twins >= 0, twins // 3, np.arange(len(triangles))[:, None])
    direction = choose_directions(normals, neighbours)
    count, chart = connected_charts(direction, neighbours)
    count, chart, direction = merge_small(direction, chart, count, normals, neighbours, max(8, len(triangles) // 500))
    flat = _project(smooth, triangles, direction)
    depth = np.einsum("ij,ij->i", smooth[triangles[:, 0]], DIRECTIONS[direction])
    for fold_round in range(FOLD_ROUNDS + 3):
        uvs = _lay_out(flat, chart, count, neighbours, size, padding)
        points = uvs * np.float32(size)
        triangle, texel = covered_texels(points, size, size)
        lost = _losers(triangle, texel, depth, size)
        if not lost.size:
            break
        count, chart = _part(chart, count, lost, neighbours, alone=fold_round >= FOLD_ROUNDS)
    else:
        triangle, texel = _owned_once(triangle, texel, size)
    return Atlas(uvs, chart.astype(np.int32), size, triangle, texel)


def _project(smooth: np.ndarray, triangles: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Corners [F, 3, 2] f32 seen along each triangle's direction, in mesh units, mirrored nowhere."""
    columns = np.concatenate((smooth, -smooth), axis=1).ravel()
    corner = triangles.astype(np.int64) * 6
    return np.stack((columns[corner + U_COLUMN[direction, None]], columns[corner + V_COLUMN[direction, None]]), axis=2)


def _lay_out(flat: np.ndarray, chart: np.ndarray, count: int, neighbours: np.ndarray, size: int, padding: int) -> np.ndarray:
    """UVs [F, 3, 2] f32 of projected corners: each chart turned to its tightest box, all scaled alike and packed."""
    order = np.argsort(chart.astype(np.uint16 if count < 1 << 16 else np.int64), kind="stable")
    by_chart, corners = chart[order], flat[order]
    begin = np.searchsorted(by_chart, np.arange(count))
    border = (chart[neighbours] != chart[:, None]) | (neighbours == np.arange(len(chart))[:, None])
    face, side = np.nonzero(border[order])
    segments = np.stack((corners[face, side], corners[face, (side + 1) % 3]), axis=1)
    segment_chart = by_chart[face]
    turn = _tightest_turns(segments, segment_chart, count)
    turned = _turn(corners, turn[by_chart])
    low = np.minimum.reduceat(turned.min(axis=1), begin, axis=0)
    turned -= low[by_chart][:, None]
    segments = _turn(segments, turn[segment_chart]) - low[segment_chart][:, None]
    scale, column, bottom = _pack(segments, segment_chart, count, turned, size, padding)
    place = np.stack((column * (size // COLUMNS if size >= COLUMNS else size / COLUMNS), bottom), axis=1)
    place = np.floor(place).astype(np.float32) + np.float32((padding + 1) // 2)
    uvs = np.empty_like(flat)
    uvs[order] = (turned * np.float32(scale) + place[by_chart][:, None]) / np.float32(size)
    return np.clip(uvs, 0, 1, out=uvs)


def _turn(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rotate points [N, k, 2] by [N, 2] (cosine, sine)."""
    x, y = points[:, :, 0], points[:, :, 1]
    cosine, sine = turn[:, :1], turn[:, 1:]
    return np.stack((x * cosine - y * sine, x * sine + y * cosine), axis=2)


def _tightest_turns(segments: np.ndarray, segment_chart: np.ndarray, count: int) -> np.ndarray:
    """Per chart the (cosine, sine) [C, 2] f32 of the turn to its smallest box, the long side upright."""
    angles = np.arange(TURNS) * (np.pi / 2 / TURNS)
    turns = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    ends = segments[:, 0]
    begin = np.searchsorted(segment_chart, np.arange(count))
    begin = np.minimum(begin, len(segment_chart) - 1)
    x = ends[:, :1] * turns[:, 0] - ends[:, 1:] * turns[:, 1]
    y = ends[:, :1] * turns[:, 1] + ends[:, 1:] * turns[:, 0]
    wide = np.maximum.reduceat(x, begin) - np.minimum.reduceat(x, begin)
    tall = np.maximum.reduceat(y, begin) - np.minimum.reduceat(y, begin)
    area = wide * tall
    area[:, 0] *= 0.97  # Straight with the texels, unless turning gains something.
    best = area.argmin(axis=1)
    rows = np.arange(count)
    turn = turns[best]
    lying = wide[rows, best] > tall[rows, best]
    turn[lying] = np.stack((-turn[lying, 1], turn[lying, 0]), axis=1)
    return turn


def _pack(
    segments: np.ndarray, segment_chart: np.ndarray, count: int, turned: np.ndarray, size: int, padding: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """The largest scale found (texels per mesh unit), with each chart's column and lower edge."""
    column_width = size / COLUMNS
    margin = (padding + 1) / 2
    u, v = turned[:, 1] - turned[:, 0], turned[:, 2] - turned[:, 0]
    area = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / 2
    scale = size * np.sqrt(0.6 / max(float(area), 1e-12))
    best = None
    for attempt in range(12):
        texels = segments * np.float32(scale) + np.float32(margin)
        low, high, base = outlines(texels, segment_chart, count, column=column_width, padding=margin)
        column, bottom, used = settle(low, high, base)
        if used <= size and (best is None or scale > best[0]):
            best = (scale, column, bottom)
        if best is not None and attempt >= 4:
            break
        scale *= 0.9 if not np.isfinite(used) else np.clip(np.sqrt((size - 1) / used), 0.8, 1.25) * (1.0 if attempt < 3 else 0.985)
    if best is None:
        raise ValueError(f"{count} charts do not fit in {size} texels; choose a larger texture.")
    return best


def _losers(triangle: np.ndarray, texel: np.ndarray, depth: np.ndarray, size: int) -> np.ndarray:
    """Triangles that share a texel with one nearer to the viewer: those to move to a chart of their own."""
    owner = np.full(size * size, -1, np.int32)
    owner[texel] = triangle
    if (owner[texel] == triangle).all():
        return np.empty(0, np.int64)
    shared = np.zeros(size * size, bool)
    shared[texel[owner[texel] != triangle]] = True
    clash = np.flatnonzero(shared[texel])
    clash = clash[np.argsort(depth[triangle[clash]], kind="stable")]
    owner[texel[clash]] = triangle[clash]
    return np.unique(triangle[clash][owner[texel[clash]] != triangle[clash]])


def _part(chart: np.ndarray, count: int, lost: np.ndarray, neighbours: np.ndarray, *, alone: bool) -> tuple[int, np.ndarray]:
    """Move the losing triangles to charts of their own: connected ones together, or each alone."""
    label = chart.astype(np.int64)
    label[lost] = count + (np.arange(len(lost)) if alone else chart[lost])
    return connected_charts(label, neighbours)


def _owned_once(triangle: np.ndarray, texel: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Of several owners of a texel keep the last."""
    owner = np.full(size * size, -1, np.int32)
    owner[texel] = triangle
    keep = owner[texel] == triangle
    return triangle[keep], texel[keep]
