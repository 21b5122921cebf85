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


def across(sizes: np.ndarray, columns: int, gap: float, angle: float) -> np.ndarray:
    """The same for rows turned by an angle about the vertical, while the objects are not: places [N, 2]. Boxes never overlap."""
    along, aside = abs(np.cos(angle)), abs(np.sin(angle))
    if min(along, aside) < 1e-6:
        turned = sizes if along > aside else sizes[:, ::-1]
    else:
        turned = np.repeat(sizes.max(1, keepdims=True), 2, 1) / max(along, aside)
    places = in_rows(turned, columns, gap)
    return places @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])


def box_of(size: np.ndarray, count: int, columns: int, gap: float, angle: float) -> np.ndarray:
    """The box [2, 3] around the first one's place that so many objects of about one size [3] fill."""
    places, half = across(np.tile(size[:2], (count, 1)), columns, gap, angle), size[:2] / 2
    return np.stack([np.array([*(places.min(0) - half), 0.0]), np.array([*(places.max(0) + half), size[2]])])


def facing(towards: np.ndarray) -> float:
    """The angle of rows that go from left to right for who looks from that side (horizontally), in steps of 45 degrees."""
    step = np.pi / 4
    return float(np.round(np.arctan2(towards[0], -towards[1]) / step) * step) if np.hypot(*towards[:2]) > 1e-6 else 0.0
