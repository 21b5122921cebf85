# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing charts in a square: bit masks that nest into one another, tested at all places at once with whole-number shifts.

The square is a grid of cells, one bit each. Shifting the number that holds the occupied cells by every cell of a chart and
joining the results leaves exactly the places where the chart would collide: a few hundred operations on numbers of some
kilobytes for a large chart, few for a small one. Charts so fill the holes and bays of others.
"""

import math

import numpy as np

from core.surface.texels import covered_texels

Runs = list[tuple[int, int, int]]  # (row, first column, column after the last)


def chart_masks(
    corners: np.ndarray, segments: np.ndarray, chart: np.ndarray, segment_chart: np.ndarray, charts: int, margin: float
) -> list[np.ndarray]:
    """The cells each chart touches or comes nearer to than `margin`: a [rows, columns] bool mask each.

    `corners` [2 (x, y), 3, F] and `segments` [2 (end), 2 (x, y), N] f32 are triangles and border segments in cells, each chart's
    lower left corner at (margin, margin).
    """
    most = np.zeros((2, charts), np.float32)
    for axis in range(2):
        np.maximum.at(most[axis], segment_chart, segments[:, axis].max(axis=0))
    columns, rows = (np.floor(most + np.float32(margin)) + 1).astype(np.int64)
    width, base = int(columns.max()), np.concatenate(([0], np.cumsum(rows)))
    grid = np.zeros((int(base[-1]), width), bool)  # All charts, one above the other
    # A cell inside a chart has its centre in a triangle, and so that triangle's middle in it if the triangle is small.
    x, y = np.maximum(corners.mean(axis=1).astype(np.int64), 0)  # A fold may hang over its chart's border.
    grid[base[chart] + np.minimum(y, rows[chart] - 1), np.minimum(x, columns[chart] - 1)] = True
    large = np.flatnonzero((corners.max(axis=1) - corners.min(axis=1)).max(axis=0) > 0.75)
    stacked = corners[:, :, large].transpose(2, 1, 0).copy()
    stacked[:, :, 1] += base[chart[large]][:, None].astype(np.float32)
    grid.ravel()[covered_texels(stacked, width, int(base[-1]))[1]] = True
    length = np.abs(segments[1] - segments[0]).max(axis=0)
    count = np.ceil(2 * length).astype(np.int64) + 1
    of = np.repeat(np.arange(count.size), count)
    along = ((np.arange(of.size) - (np.cumsum(count) - count)[of]) / np.maximum(count - 1, 1)[of]).astype(np.float32)
    x, y = segments[0][:, of] * (1 - along) + segments[1][:, of] * along
    owner = segment_chart[of]
    reach = margin + 0.25  # Samples are half a cell apart.
    for dx in np.linspace(-reach, reach, 2 * math.ceil(reach) + 1, dtype=np.float32):
        column = np.clip((x + dx).astype(np.int64), 0, columns[owner] - 1)
        for dy in np.linspace(-reach, reach, 2 * math.ceil(reach) + 1, dtype=np.float32):
            grid[base[owner] + np.clip((y + dy).astype(np.int64), 0, rows[owner] - 1), column] = True
    return [grid[base[k] : base[k + 1], : columns[k]] for k in range(charts)]


def pack_masks(masks: list[np.ndarray], *, guess: int | None = None, attempts: int = 5) -> tuple[int, list[tuple[int, int, int]]]:
    """Pack masks into a square of as few cells as found: (cells on a side, (column, row, quarter turns) of each mask).

    A mask turned by q is np.rot90(mask, -q): counter-clockwise where rows count upwards. `guess` is a side to begin with.
    """
    shapes = [_turned_runs(mask) for mask in masks]
    order = sorted(range(len(masks)), key=lambda k: (-max(masks[k].shape), -int(masks[k].sum())))
    narrowest = max(min(mask.shape) for mask in masks)
    side = max(narrowest, guess or math.ceil(math.sqrt(sum(int(mask.sum()) for mask in masks) / 0.85)))
    low, high, best = narrowest - 1, None, None  # The strip is taller than wide at `low`, and not at `high`.
    for _ in range(attempts):
        height, places = _pack_strip(shapes, order, side)
        if best is None or max(side, height) < best[0]:
            best = (max(side, height), places)
        if height > side:
            low = side
            side = math.ceil(math.sqrt(side * height)) if high is None else (low + high) // 2
        else:
            high = side
            side = max((height + side) // 2, low + 1) if low < narrowest else (low + high) // 2
        side = min(side, best[0] - 1)
        if side <= low:
            break
    return best


def _turned_runs(mask: np.ndarray) -> list[tuple[Runs, int, int]]:
    """(runs, rows, columns) of a mask in its four quarter turns."""
    found = []
    for quarter in range(4):
        turned = np.rot90(mask, -quarter)
        edge = np.diff(np.pad(turned, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        row, first = np.nonzero(edge == 1)
        last = np.nonzero(edge == -1)[1]
        found.append((list(zip(row.tolist(), first.tolist(), last.tolist(), strict=True)), *turned.shape))
    return found


def _pack_strip(shapes: list[list[tuple[Runs, int, int]]], order: list[int], width: int) -> tuple[int, list[tuple[int, int, int]]]:
    """Place every chart as low as it goes in a strip of `width` cells: (rows used, places as `pack_masks` gives them)."""
    places = [(0, 0, 0)] * len(shapes)
    tallest = sum(max(shapes[k][0][1:]) for k in order) + 1
    every_row = _comb(width, tallest)
    occupied, top = 0, 0
    for k in order:
        spreads = [occupied]
        while (1 << len(spreads)) <= width:
            spreads.append(spreads[-1] | (spreads[-1] >> (1 << (len(spreads) - 1))))
        best = None
        limit = (1 << ((top + 1) * width)) - 1
        for quarter, (runs, rows, columns) in enumerate(shapes[k]):
            if columns > width:
                continue
            blocked = 0
            for row, first, last in runs:
                level = (last - first).bit_length() - 1
                blocked |= spreads[level] >> (row * width + first) | spreads[level] >> (row * width + last - (1 << level))
            free = ((every_row & limit) * ((1 << (width - columns + 1)) - 1)) & ~blocked
            place = (free & -free).bit_length() - 1
            score = (max(top, place // width + rows), place // width + rows, place)
            if best is None or score < best[0]:
                best = (score, quarter, place)
        _, quarter, place = best
        runs, rows, _ = shapes[k][quarter]
        for row, first, last in runs:
            occupied |= ((1 << (last - first)) - 1) << (row * width + first + place)
        places[k] = (place % width, place // width, quarter)
        top = max(top, place // width + rows)
    return top, places


def _comb(step: int, count: int) -> int:
    """A number with the bits 0, step, 2 step, … set, `count` of them."""
    comb, done = 1, 1
    while done < count:
        comb |= comb << (done * step)
        done *= 2
    return comb & ((1 << (count * step)) - 1)
