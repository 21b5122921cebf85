# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer triangles: quadric edge collapse to a target, with the promise that a solid stays a solid and keeps its shape."""

import math

import numpy as np

from core.surface.slivers import flip_slivers, without_flat
from core.surface.topology import compact, components, half_edge_twins, part_crowded_edges, split_non_manifold

KEPT_VOLUME = 0.6  # share of the whole that is left at least
KEPT_EXTENT = 0.85  # share of each side of its box: legs, blades and handles stay
MANY = 5_000  # so many triangles lose no piece


def decimate(vertices: np.ndarray, triangles: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Reduce to about `target` triangles: (vertices [V, 3] f32, triangles [F, 3] i32, note).

    The result is closed, manifold and oriented if the input is, and has all its pieces, its extent and most of its volume. Where fewer
    triangles would break that, the nearest larger count that keeps it is taken; `note` then says so in a sentence, else it is empty.
    Raises ValueError for a target below 4.
    """
    if target < 4:
        raise ValueError(f"A solid has at least 4 triangles, not {target}.")
    if target >= len(triangles):
        return vertices, triangles, ""
    from fast_simplification import simplify  # Only artists who ask for a target pay for loading it.

    whole = found = vertices, triangles
    attempt, reason = target, ""
    while attempt < len(triangles):
        found = _mended(*simplify(vertices, triangles, target_count=attempt))
        if found is not None and _keeps_shape(whole, found):
            break
        reason = "fewer would have opened the surface." if found is None else "fewer would have lost parts of its shape."
        found, attempt = whole, math.ceil(1.4 * attempt)
    missed = len(found[1]) > 1.05 * target + 8
    return *found, f"{len(found[1])} triangles instead of {target}: {reason}" if missed else ""


def _keeps_shape(whole: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether a simplified mesh has most of the volume, the extent and all pieces of the whole one."""
    if not KEPT_VOLUME < _volume(*found) / _volume(*whole) < 1 / KEPT_VOLUME:
        return False
    if (np.ptp(found[0], axis=0) < KEPT_EXTENT * np.ptp(whole[0], axis=0)).any():
        return False
    return len(found[1]) > MANY or components(found[1], len(found[0]))[0] >= components(whole[1], len(whole[0]))[0]


def _volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c), dtype=np.float64) / 6)


def _mended(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The simplifier's mesh without folded-up triangles and touching sheets; None if it is no solid."""
    vertices = np.ascontiguousarray(vertices, np.float32)
    triangles = np.ascontiguousarray(triangles, np.int32)
    distinct = (triangles != triangles[:, (1, 2, 0)]).all(axis=1)
    triangles = _without_folds(triangles[distinct])
    if len(triangles) < 4:
        return None
    vertices, triangles = split_non_manifold(*compact(vertices, triangles))
    if (half_edge_twins(triangles) < 0).any():
        vertices, triangles = split_non_manifold(*part_crowded_edges(vertices, triangles))
    triangles = flip_slivers(vertices, triangles)
    twins = half_edge_twins(triangles).ravel()
    closed = (twins >= 0).all() and (triangles.ravel()[twins] == triangles[:, (1, 2, 0)].ravel()).all()
    return (without_flat(vertices, triangles), triangles) if closed else None


def _without_folds(triangles: np.ndarray) -> np.ndarray:
    """Two triangles back to back on the same corners enclose nothing: both go. Copies that face the same way are needed by their
    neighbours, and stay."""
    low, middle, high = np.sort(triangles, axis=1).T.astype(np.int64)
    _, same = np.unique((low << 42) | (middle << 21) | high, return_inverse=True)
    if same.max(initial=0) == len(triangles) - 1:
        return triangles
    turned = triangles[:, (1, 2, 0)]
    odd = ((triangles < turned).sum(axis=1) == 1).astype(np.int64)  # which of the two ways it runs
    ways = np.stack([np.bincount(same[odd == way], minlength=same.max() + 1) for way in (0, 1)])
    order = np.lexsort((odd, same))
    begin = np.flatnonzero(np.diff(same[order] * 2 + odd[order], prepend=-1))
    rank = np.empty(len(triangles), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
    return triangles[rank >= ways.min(axis=0)[same]]  # so many of each way cancel
