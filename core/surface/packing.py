# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing charts in a square image: a skyline of columns on which each chart settles with its own outline."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

COLUMNS = 256  # Columns of the skyline; a column of a 1024² image is four texels wide.


def outlines(
    points: np.ndarray, segment_chart: np.ndarray, charts: int, *, column: float, padding: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column outlines of all charts: (low [total], high [total] f32, first column of each chart [C + 1] i64).

    `points` [N, 2, 2] f32 are the border segments in texels, each chart's lower left corner at `padding` from 0.
    """
    left = points[:, :, 0].min(axis=1) - padding
    right = points[:, :, 0].max(axis=1) + padding
    first = np.floor(left / column).astype(np.int64)
    count = np.floor(right / column).astype(np.int64) - first + 1
    width = np.ones(charts, np.int64)
    np.maximum.at(width, segment_chart, first + count)
    base = np.concatenate(([0], np.cumsum(width)))
    segment = np.repeat(np.arange(len(points)), count)
    offset = np.arange(segment.size) - np.repeat(np.cumsum(count) - count, count)
    slot = base[segment_chart[segment]] + first[segment] + offset
    low = np.full(base[-1], np.inf, np.float32)
    high = np.full(base[-1], -np.inf, np.float32)
    np.minimum.at(low, slot, (points[:, :, 1].min(axis=1) - padding)[segment])
    np.maximum.at(high, slot, (points[:, :, 1].max(axis=1) + padding)[segment])
    empty = low > high
    low[empty], high[empty] = 0, 0
    return low, high, base


def settle(low: np.ndarray, high: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Place every chart, the tallest first: (column [C] i64, lower edge in texels [C] i64, height used in texels)."""
    charts = len(base) - 1
    tallest = np.maximum.reduceat(high, base[:-1])
    column, bottom = np.zeros(charts, np.int64), np.zeros(charts, np.int64)
    sky = np.zeros(COLUMNS, np.float32)
    for chart in np.argsort(-tallest, kind="stable").tolist():
        under, over = low[base[chart] : base[chart + 1]], high[base[chart] : base[chart + 1]]
        if under.size > COLUMNS:
            return column, bottom, np.inf
        gaps = sliding_window_view(sky, under.size) - under
        level = np.maximum(np.ceil(gaps.max(axis=1)), 0)
        waste = level - gaps.mean(axis=1)
        at = int(np.argmin(level + tallest[chart] + waste))
        column[chart], bottom[chart] = at, int(level[at])
        span = sky[at : at + under.size]
        np.maximum(span, level[at] + over, out=span)
    return column, bottom, float(sky.max(initial=0))
