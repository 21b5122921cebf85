# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer triangles: quadric edge collapse to a target, with the promise that a solid stays a solid."""

import numpy as np

from core.surface.topology import compact, mesh_health, split_non_manifold


def decimate(vertices: np.ndarray, triangles: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Reduce to about `target` triangles: (vertices [V, 3] f32, triangles [F, 3] i32, note).

    The result is closed, manifold and oriented if the input is. Where the collapse breaks that at the target, the nearest larger
    count that keeps it is taken, at worst the input itself; `note` then says so in a sentence, else it is empty.
    Raises ValueError for a target below 4.
    """
    if target < 4:
        raise ValueError(f"A solid has at least 4 triangles, not {target}.")
    if target >= len(triangles):
        return vertices, triangles, ""
    from fast_simplification import simplify  # Only artists who ask for a target pay for loading it.

    attempt = float(target)
    while attempt < 0.95 * len(triangles):
        found = _mended(*simplify(vertices, triangles, target_count=int(attempt)))
        if found is not None:
            missed = len(found[1]) > 1.05 * target + 8
            note = f"{len(found[1])} triangles instead of {target}: fewer would have opened the surface." if missed else ""
            return *found, note
        attempt *= 1.25
    return vertices, triangles, f"{len(triangles)} triangles instead of {target}: every reduction opened the surface."


def _mended(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The simplifier's answer without folded-up triangles and touching sheets; None if it is no solid."""
    vertices = np.ascontiguousarray(vertices, np.float32)
    triangles = np.ascontiguousarray(triangles, np.int32)
    distinct = (triangles != triangles[:, (1, 2, 0)]).all(axis=1)
    triangles = triangles[distinct]
    if len(triangles) < 4:
        return None
    # Two triangles back to back on the same corners enclose nothing.
    _, inverse, uses = np.unique(np.sort(triangles, axis=1), axis=0, return_inverse=True, return_counts=True)
    triangles = triangles[uses[inverse.ravel()] == 1]
    if len(triangles) < 4:
        return None
    vertices, triangles = split_non_manifold(*compact(vertices, triangles))
    health = mesh_health(vertices, triangles)
    solid = health["closed"] and health["manifold"] and health["oriented"] and not health["degenerate"]
    return (vertices, triangles) if solid else None
