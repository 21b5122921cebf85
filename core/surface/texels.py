# SPDX-License-Identifier: GPL-3.0-or-later
"""The texels under triangles: a scan-line rasteriser in numpy, shared by the atlas's overlap test and the bake."""

import numpy as np


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
    start = row[keep] * np.int32(width) + first[keep]
    start -= (np.cumsum(count) - count).astype(np.int32)
    texel = np.repeat(start, count)
    texel += np.arange(texel.size, dtype=np.int32)
    return np.repeat(triangle[keep], count), texel


def _row_spans(points: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(triangle, row, first column, column after the last), one entry for each row of texel centres a triangle crosses."""
    x, y = points[:, :, 0].T.copy(), points[:, :, 1].T.copy()
    for low, high in ((0, 1), (1, 2), (0, 1)):  # Sort the corners upwards, so that a shared edge is walked the same way twice.
        swap = y[low] > y[high]
        y[low], y[high] = np.where(swap, y[high], y[low]), np.where(swap, y[low], y[high])
        x[low], x[high] = np.where(swap, x[high], x[low]), np.where(swap, x[low], x[high])
    with np.errstate(divide="ignore", invalid="ignore"):  # A level edge crosses no row: its slope is never used.
        long_slope = (x[2] - x[0]) / (y[2] - y[0])
        slopes = np.stack(((x[1] - x[0]) / (y[1] - y[0]), (x[2] - x[1]) / (y[2] - y[1])), axis=1)
    bound = np.clip(np.ceil(y - 0.5), 0, height).astype(np.int32)
    # Each triangle is two trapezoids, below and above its middle corner.
    rows = np.stack((bound[1] - bound[0], bound[2] - bound[1]), axis=1).ravel()
    part = np.repeat(np.arange(rows.size, dtype=np.int32), rows)
    row = np.arange(part.size, dtype=np.int32)
    row += np.repeat((np.stack((bound[0], bound[1]), axis=1).ravel() - (np.cumsum(rows) - rows)).astype(np.int32), rows)
    triangle = part >> 1
    centre = row + np.float32(0.5)
    short = x[:2].T.ravel()[part] + (centre - y[:2].T.ravel()[part]) * slopes.ravel()[part]
    long = x[0][triangle] + (centre - y[0][triangle]) * long_slope[triangle]
    first = np.ceil(np.minimum(short, long) - np.float32(0.5)).astype(np.int32)
    last = np.ceil(np.maximum(short, long) - np.float32(0.5)).astype(np.int32)
    return triangle, row, first, last


def barycentric(points: np.ndarray, triangle: np.ndarray, texel: np.ndarray, width: int) -> np.ndarray:
    """Barycentric weights [N, 3] f32 of texel centres in their triangles (`points` as above), clamped to the triangle."""
    a, b, c = (points[:, k].astype(np.float64) for k in range(3))
    u, v = b - a, c - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    scale = 1.0 / np.where(np.abs(area) < 1e-12, np.inf, area)
    # Weights are linear in the image: per triangle (d/dx, d/dy, value at a) for the corners b and c.
    to_b = (np.stack((v[:, 1], -v[:, 0]), axis=1) * scale[:, None]).astype(np.float32)
    to_c = (np.stack((-u[:, 1], u[:, 0]), axis=1) * scale[:, None]).astype(np.float32)
    x = (texel % width).astype(np.float32) + np.float32(0.5) - a[:, 0].astype(np.float32)[triangle]
    y = (texel // width).astype(np.float32) + np.float32(0.5) - a[:, 1].astype(np.float32)[triangle]
    weights = np.empty((texel.size, 3), np.float32)
    weights[:, 1] = np.clip(to_b[:, 0][triangle] * x + to_b[:, 1][triangle] * y, 0, 1)
    weights[:, 2] = np.clip(to_c[:, 0][triangle] * x + to_c[:, 1][triangle] * y, 0, 1 - weights[:, 1])
    weights[:, 0] = 1 - weights[:, 1] - weights[:, 2]
    return weights
