# SPDX-License-Identifier: GPL-3.0-or-later
"""Connectivity of a triangle mesh: edges, twins, components, health, and the mending of non-manifold edges."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def sorted_half_edges(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort the 3F half-edges by the undirected edge they lie on.

    Half-edge 3 f + k runs from triangles[f, k] to triangles[f, (k + 1) % 3].
    Returns (key [3F] i64, the same for both directions of an edge; half-edge [3F] i64), both in sorted order.
    """
    start = triangles.ravel().astype(np.int64)
    end = triangles[:, (1, 2, 0)].ravel().astype(np.int64)
    vertex_bits = int(triangles.max(initial=0)).bit_length()
    index_bits = int(start.size).bit_length()
    key = (np.minimum(start, end) << vertex_bits) | np.maximum(start, end)
    if 2 * vertex_bits + index_bits > 63:  # Over a million triangles
        order = np.argsort(key, kind="stable")
        return key[order], order
    # Key and index share one integer, because sorting plain integers is several times faster than argsort.
    packed = (key << index_bits) | np.arange(start.size)
    packed.sort()
    return packed >> index_bits, packed & ((1 << index_bits) - 1)


def half_edge_twins(triangles: np.ndarray) -> np.ndarray:
    """The opposite half-edge of each half-edge: [F, 3] i64, or -1 where an edge has not exactly two triangles."""
    key, index = sorted_half_edges(triangles)
    same = np.concatenate(([False], key[1:] == key[:-1], [False]))
    first = np.flatnonzero(same[1:-1] & ~same[:-2] & ~same[2:]) if key.size > 1 else np.empty(0, np.int64)
    twins = np.full(key.size, -1, np.int64)
    twins[index[first]] = index[first + 1]
    twins[index[first + 1]] = index[first]
    return twins.reshape(-1, 3)


def group(count: int, first: np.ndarray, second: np.ndarray) -> tuple[int, np.ndarray]:
    """Connected components of `count` items joined by pairs: (number of components, component [count] i32)."""
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(count, count)).tocsr()
    return connected_components(graph, directed=False)


def components(triangles: np.ndarray, vertex_count: int) -> tuple[int, np.ndarray]:
    """Pieces of a mesh joined by vertices: (number, piece of each triangle [F] i32). Lone vertices make no piece."""
    _, label = group(vertex_count, triangles[:, (0, 1)].ravel(), triangles[:, (1, 2)].ravel())
    used, piece = np.unique(label[triangles[:, 0]], return_inverse=True)
    return len(used), piece


def signed_volumes(vertices: np.ndarray, triangles: np.ndarray, piece: np.ndarray, count: int) -> np.ndarray:
    """Signed volume of each piece [count] f64; positive where the triangles run counter-clockwise seen from outside."""
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    return np.bincount(piece, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, minlength=count)


def compact(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop the vertices no triangle uses; the rest keep their order."""
    used = np.zeros(len(vertices), bool)
    used[triangles.ravel()] = True
    if used.all():
        return vertices, triangles
    return vertices[used], (np.cumsum(used) - 1).astype(triangles.dtype)[triangles]


def split_non_manifold(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part sheets that only touch: give each sheet its own copy of the vertices of an edge with 4, 6, … triangles,
    and of a vertex where several fans of triangles meet. A closed mesh stays closed; positions do not change."""
    twins = half_edge_twins(triangles).ravel()
    lone = np.flatnonzero(twins < 0)
    if lone.size:
        _pair_around_edges(vertices, triangles, twins, lone)
    edge = np.flatnonzero(twins >= 0)
    following = edge - edge % 3 + (edge + 1) % 3
    opposite = twins[edge]
    opposite_following = opposite - opposite % 3 + (opposite + 1) % 3
    count, corner = group(triangles.size, np.concatenate((edge, following)), np.concatenate((opposite_following, opposite)))
    if count == len(vertices):
        return vertices, triangles
    source = np.empty(count, np.int64)
    source[corner] = triangles.ravel()
    order = np.argsort(source, kind="stable")
    rank = np.empty(count, triangles.dtype)
    rank[order] = np.arange(count, dtype=triangles.dtype)
    return vertices[source[order]], rank[corner].reshape(-1, 3)


def _pair_around_edges(vertices: np.ndarray, triangles: np.ndarray, twins: np.ndarray, lone: np.ndarray) -> None:
    """Pair the half-edges of each crowded edge in the order of their angle around it, so that solids stay apart."""
    start, end = triangles.ravel(), triangles[:, (1, 2, 0)].ravel()
    apex = triangles[:, (2, 0, 1)].ravel()
    crowded: dict[tuple[int, int], list[int]] = {}
    for half in lone.tolist():
        pair = (int(start[half]), int(end[half]))
        crowded.setdefault((min(pair), max(pair)), []).append(half)
    for (low, high), halves in crowded.items():
        forward = [h for h in halves if start[h] == low]
        if len(halves) < 4 or 2 * len(forward) != len(halves):
            continue
        origin = vertices[low].astype(np.float64)
        axis = vertices[high] - origin
        axis /= np.linalg.norm(axis) + 1e-30
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        arm = vertices[apex[halves]] - origin
        angle = dict(zip(halves, np.arctan2(arm @ np.cross(axis, across), arm @ across), strict=True))
        free = set(halves) - set(forward)
        for half in forward:  # A forward triangle has its solid on the side of smaller angles: pair with the next one that way.
            mate = min(free, key=lambda other: (angle[half] - angle[other]) % (2 * np.pi))
            free.remove(mate)
            twins[half], twins[mate] = mate, half


def part_crowded_edges(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give sheets that still share an edge, because they join again around its ends, a middle of their own on it.

    For what `split_non_manifold` cannot part: a closed mesh stays closed and keeps its shape, with two triangles more for each edge.
    """
    while (lone := np.flatnonzero(half_edge_twins(triangles).ravel() < 0)).size:
        twins = np.full(triangles.size, -1, np.int64)
        _pair_around_edges(vertices, triangles, twins, lone)
        start, end = triangles.ravel(), triangles[:, (1, 2, 0)].ravel()
        middles, cut, added, kept = [], set(), [], set()
        for half in lone.tolist():
            mate, edge = int(twins[half]), (min(start[half], end[half]), max(start[half], end[half]))
            if mate < half or {half // 3, mate // 3} & cut:
                continue
            if edge not in kept:  # One pair of sheets may keep the edge.
                kept.add(edge)
                continue
            middle = len(vertices) + len(middles)
            middles.append((vertices[start[half]] + vertices[end[half]]) / 2)
            for own in (half, mate):
                apex = triangles[own // 3, (own % 3 + 2) % 3]
                added += [(start[own], middle, apex), (middle, end[own], apex)]
            cut |= {half // 3, mate // 3}
        if not middles:
            break
        whole = np.ones(len(triangles), bool)
        whole[list(cut)] = False
        vertices = np.concatenate((vertices, np.array(middles, vertices.dtype)))
        triangles = np.concatenate((triangles[whole], np.array(added, triangles.dtype)))
    return vertices, triangles


def mesh_health(vertices: np.ndarray, triangles: np.ndarray) -> dict[str, int | float | bool]:
    """What a solid must be, as facts: closed, manifold, oriented, components, euler, degenerate, volume.

    `closed`: every edge has two triangles or more, an even number. `manifold`: exactly two, and one fan at each vertex.
    `oriented`: the two run in opposite directions. `degenerate`: triangles with a repeated vertex or no area.
    """
    key, index = sorted_half_edges(triangles)
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if key.size else np.empty(0, np.int64)
    uses = np.diff(np.append(first, key.size))
    forward = (triangles.ravel() < triangles[:, (1, 2, 0)].ravel())[index]
    balance = np.add.reduceat(np.where(forward, 1, -1), first) if key.size else np.empty(0)
    corners = vertices[triangles].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    used = len(np.unique(triangles))
    count, piece = components(triangles, len(vertices)) if key.size else (0, np.empty(0, int))
    fans = len(split_non_manifold(vertices, triangles)[0]) if key.size else 0
    return {
        "closed": bool(key.size and (uses % 2 == 0).all()),
        "manifold": bool(key.size and (uses == 2).all() and fans == used),
        "oriented": bool((balance == 0).all()),
        "components": count,
        "euler": used - len(first) + len(triangles),
        "degenerate": int((np.einsum("ij,ij->i", normal, normal) <= 0).sum()),
        "non_manifold_edges": int((uses > 2).sum()),
        "open_edges": int((uses == 1).sum()),
        "unused_vertices": len(vertices) - used,
        "volume": float(signed_volumes(vertices, triangles, piece, max(count, 1)).sum()),
    }
