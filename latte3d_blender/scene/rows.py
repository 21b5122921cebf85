# SPDX-License-Identifier: GPL-3.0-or-later
"""Where objects stand that come one after another and shall be compared: in rows, of which earlier places never depend on later objects."""

import numpy as np

from .placement import GAP


def in_rows(sizes: np.ndarray, columns: int, gap: float = GAP) -> np.ndarray:
    """The places [N, 2] of the centres of objects of width and depth [N, 2]: the first at (0, 0), the next to its right, the next row
    behind; `gap` between them, as a share of the first one's width. Fronts of a row are in line."""
    places, space = np.zeros((len(sizes), 2)), gap * float(sizes[0].max()) if len(sizes) else 0.0
    front = -sizes[0, 1] / 2 if len(sizes) else 0.0
    for number, (width, depth) in enumerate(sizes):
        if number % columns == 0 and number:
            front += sizes[number - columns : number, 1].max() + space
        left = number % columns and places[number - 1, 0] + sizes[number - 1, 0] / 2 + space + width / 2
        places[number] = left, front + depth / 2
    return places


def box_of(size: np.ndarray, count: int, columns: int, gap: float = GAP) -> np.ndarray:
    """The box [2, 3] around the first one's place that so many objects of about one size [3] fill."""
    across, deep = min(count, columns), -(-count // columns)
    space = gap * float(size[:2].max())
    whole = np.array([across * size[0] + (across - 1) * space, deep * size[1] + (deep - 1) * space, size[2]])
    low = np.array([-size[0] / 2, -size[1] / 2, 0.0])
    return np.stack([low, low + whole])
