# SPDX-License-Identifier: GPL-3.0-or-later
"""The texels under triangles: a scan-line rasteriser in numpy, shared by the atlas's overlap test and the bake."""

from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 20  # texels, and rows of them, that are found at a time where there may be too many


def covered_texels(points: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Texels whose centre lies in a triangle: (triangle [N] i32, texel [N] i32 = row * width + column), triangles ascending.

    `points` [F, 3, 2] f32 are corners in texels: texel (row, column) has its centre at x = column + 0.5, y = row + 0.5. A centre
    on an edge belongs to one side only, and both triangles of an edge cut each row at the same bit-exact place, so that a mesh
    without folds owns no texel twice. The winding does not matter; what lies outside the image is left out.
    """
    triangle, row, first, last = _row_spans(points.astype(np.float32, copy=False), height)
    np.clip(first, 0, width, out=first)
    np.clip(last, 0, width, out=last)
    count = last - first
    keep = np.flatnonzero(count > 0)
    count = count[keep]
    start = row[keep] * width + first[keep] - (np.cumsum(count) - count)
    texel = np.repeat(start.astype(np.int32), count)
    texel += np.arange(texel.size, dtype=np.int32)
    return np.repeat(triangle[keep].astype(np.int32), count), texel


def covered_once(points: np.ndarray, width: int, height: int, again: int) -> tuple[np.ndarray, np.ndarray] | None:
    """`covered_texels` of triangles that hardly overlap; None as soon as more than `again` texels are covered that were before: all of
    them might not fit into memory."""
    found, seen, more = [], np.zeros(width * height, bool), 0
    for first, end in _blocks(points, width, height):
        triangle, texel = covered_texels(points[first:end], width, height)
        before = np.count_nonzero(seen)
        seen[texel] = True
        more += len(texel) - (np.count_nonzero(seen) - before)
        if more > again:
            return None
        found.append((triangle + np.int32(first), texel))
    triangles, texels = zip(*found, strict=True) if found else ([np.empty(0, np.int32)],) * 2
    return np.concatenate(triangles), np.concatenate(texels)


def _blocks(points: np.ndarray, width: int, height: int) -> Iterator[tuple[int, int]]:
    """Runs of triangles that cover about BLOCK texels each, first and end; a large triangle is one by itself."""
    high = np.clip(points[:, :, 1].max(1), 0, height)
    rows = np.ceil(high - np.clip(points[:, :, 1].min(1), 0, height)).astype(np.int64) + 1
    wide = np.clip(points[:, :, 0].max(1), 0, width) - np.clip(points[:, :, 0].min(1), 0, width)
    u, v = (points[:, corner] - points[:, 0] for corner in (1, 2))
    area = np.abs(u[:, 0].astype(np.float64) * v[:, 1] - u[:, 1].astype(np.float64) * v[:, 0]) / 2
    up_to = np.cumsum(rows + np.minimum(area, rows * wide))
    first = 0
    while first < len(points):
        before = up_to[first - 1] if first else 0
        end = max(int(np.searchsorted(up_to, before + BLOCK)), first + 1)
        yield first, end
        first = end


def owned_texels(points: np.ndarray, depth: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`covered_texels`, and the triangles that share a texel with one of greater `depth` [F], nearer to the viewer: (triangle [N] i32,
    texel [N] i32, losers ascending)."""
    triangle, texel = covered_texels(points, width, height)
    owner = np.full(width * height, -1, np.int32)
    owner[texel] = triangle
    shared_by = owner[texel] != triangle
    if not shared_by.any():
        return triangle, texel, np.empty(0, np.int64)
    shared = np.zeros(width * height, bool)
    shared[texel[shared_by]] = True
    clash = np.flatnonzero(shared[texel])
    clash = clash[np.argsort(depth[triangle[clash]], kind="stable")]
    owner[texel[clash]] = triangle[clash]
    return triangle, texel, np.unique(triangle[clash][owner[texel[clash]] != triangle[clash]])


def _row_spans(points: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(triangle, row, first column, column after the last), one entry for each row of texel centres a triangle crosses."""
    x, y = points[:, :, 0].T.copy(), points[:, :, 1].T.copy()
    for low, high in ((0, 1), (1, 2), (0, 1)):  # Sort the corners upwards, so that a shared edge is walked the same way twice.
        swap = y[low] > y[high]
        y[low], y[high] = np.where(swap, y[high], y[low]), np.where(swap, y[low], y[high])
        x[low], x[high] = np.where(swap, x[high], x[low]), np.where(swap, x[low], x[high])
    bound = np.clip(np.ceil(y - np.float32(0.5)), 0, height).astype(np.int32)
    # Two trapezoids a triangle, below and above its middle corner: rows, and where the short edge meets the first of them.
    rows = np.stack((bound[1] - bound[0], bound[2] - bound[1]), axis=1).ravel()
    first_row = np.stack((bound[0], bound[1]), axis=1).ravel()
    part = np.repeat(np.arange(rows.size), rows)
    step = np.arange(part.size) - (np.cumsum(rows) - rows).take(part)
    row = first_row.take(part) + step
    triangle = part >> 1
    slope, start = _edges(x[:2].T.ravel(), y[:2].T.ravel(), x[1:].T.ravel(), y[1:].T.ravel(), first_row)
    short = start.take(part) + step.astype(np.float32) * slope.take(part)
    slope, start = _edges(x[0], y[0], x[2], y[2], bound[0])
    long = start.take(triangle) + (row - bound[0].take(triangle)).astype(np.float32) * slope.take(triangle)
    half = np.float32(0.5)
    first = np.ceil(np.minimum(short, long) - half).astype(np.int32)
    last = np.ceil(np.maximum(short, long) - half).astype(np.int32)
    return triangle, row, first, last


def _edges(x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of edges that run upwards: (dx / dy, x at the centre of `row`, the first they cross), both f32.

    A function of the edge alone, whichever triangle asks: that is what keeps neighbours apart. Level edges cross no row.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (x1 - x0) / (y1 - y0)
        return slope, x0 + (row.astype(np.float32) + np.float32(0.5) - y0) * slope
