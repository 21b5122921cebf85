# SPDX-License-Identifier: GPL-3.0-or-later
"""Which points are near to one another, and which of them can be kept: the Poisson-disk part of a layout. Pure numpy."""

import numpy as np

from .surface import dot

BITS = 21  # of a cell's number along one axis
WRAP = (1 << BITS) - 1


def near_pairs(a: np.ndarray, reach_a: np.ndarray, b: np.ndarray, reach_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (i, j) with point a[i] no farther from b[j] than reach_a[i] + reach_b[j]; points [N, 3] and [M, 3].

    Sizes are put into classes, each twice as large as the one before, so that a few large things do not make every cell large.
    """
    if not len(a) or not len(b):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    origin = np.minimum(a.min(0), b.min(0))
    class_a, class_b = np.frexp(np.maximum(reach_a, 1e-6))[1], np.frexp(np.maximum(reach_b, 1e-6))[1]
    first, second = [], []
    for one in np.unique(class_a):
        for other in np.unique(class_b):
            of_a, of_b = np.flatnonzero(class_a == one), np.flatnonzero(class_b == other)
            i, j = _within_cells(a[of_a] - origin, b[of_b] - origin, 2.0**one + 2.0**other)
            i, j = of_a[i], of_b[j]
            way, reach = a[i] - b[j], reach_a[i] + reach_b[j]
            close = dot(way, way) < reach * reach
            first.append(i[close])
            second.append(j[close])
    i, j = np.concatenate(first), np.concatenate(second)
    order = np.lexsort((j, i))
    return i[order], j[order]


def _within_cells(a: np.ndarray, b: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose cells of a size are the same or neighbours; heights lie next to one another in the order of cells."""
    cell_a, cell_b = (np.floor(points / size).astype(np.int64) + 1 for points in (a, b))
    keys = _key(cell_b)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first, second = [], []
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            low = np.searchsorted(keys, _key(cell_a + np.array((dx, dy, -1))), "left")
            high = np.searchsorted(keys, _key(cell_a + np.array((dx, dy, 1))), "right")
            count = np.maximum(high - low, 0)
            owner = np.repeat(np.arange(len(a)), count)
            within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
            first.append(owner)
            second.append(order[np.repeat(low, count) + within])
    return np.concatenate(first), np.concatenate(second)


def _key(cell: np.ndarray) -> np.ndarray:
    """One number [N] for each cell [N, 3]."""
    x, y, z = (cell & WRAP).T
    return x << 2 * BITS | y << BITS | z


def kept(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of `count` things taken in their order, those that no kept one before them excludes: [count] bool. Pairs (first, second) exclude
    one another."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    low, high = low[low != high], high[low != high]
    decided, keep = np.zeros(count, bool), np.zeros(count, bool)
    while not decided.all():
        waits = np.zeros(count, bool)
        waits[high] = True
        now = ~(waits | decided)  # nothing before them is open
        keep |= now
        out = np.zeros(count, bool)
        out[high[now[low]]] = True
        decided |= now | out
        open_pairs = ~(decided[low] | decided[high])
        low, high = low[open_pairs], high[open_pairs]
    return keep
