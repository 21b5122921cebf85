# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat triangles turned into better ones by flipping their longest edge; the surface stays where it is."""

import numpy as np

from core.surface.topology import half_edge_twins

FLAT = 0.12  # height over longest side, below which a triangle is a sliver worth a flip: angles under about 7 to 14 degrees
LEEWAY = 7e-4  # how far, in the frame's units, the surface may move: less than 0.1 % of an object
ALIKE = 0.9  # cosine between the normals before and after
ROUNDS = 2


def flip_slivers(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles [F, 3] with slivers flipped where that makes a better pair. Closed and manifold stays so; vertices do not change."""
    triangles = triangles.copy()
    longest, flatness = _flatness(vertices[triangles])
    for _ in range(ROUNDS):
        face = np.flatnonzero(flatness < FLAT)
        half = 3 * face + longest[face]
        twin = half_edge_twins(triangles).ravel()[half]
        half, twin = half[twin >= 0], twin[twin >= 0]
        before = np.minimum(flatness[half // 3], flatness[twin // 3])
        p, q, a = (triangles[half // 3, (half + k) % 3] for k in range(3))
        b = triangles[twin // 3, (twin + 2) % 3]
        new = np.stack((p, b, a, b, q, a), axis=1).reshape(-1, 2, 3)
        side, after = (part.reshape(-1, 2) for part in _flatness(vertices[new.reshape(-1, 3)]))
        beside = _normals(vertices[np.stack((q, p, b), axis=1)])
        fits = (after.min(axis=1) > 1.5 * before) & (np.abs(np.einsum("ij,ij->i", vertices[a] - vertices[p], beside)) < LEEWAY)
        for k in range(2):
            fits &= np.einsum("ij,ij->i", _normals(vertices[new[:, k]]), beside) > ALIKE
        fits &= ~np.isin(_key(a, b), np.sort(_key(triangles, triangles[:, (1, 2, 0)]), axis=None))
        chosen = _apart(np.flatnonzero(fits)[np.argsort(before[fits], kind="stable")], half // 3, twin // 3, _key(a, b))
        if not chosen.size:
            break
        for k, faces in enumerate((half[chosen] // 3, twin[chosen] // 3)):
            triangles[faces], longest[faces], flatness[faces] = new[chosen, k], side[chosen, k], after[chosen, k]
    return triangles


def without_flat(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The vertices [V, 3], those of triangles whose corners lie on one line moved off it by a ten-thousandth of its length."""
    longest, flatness = _flatness(vertices[triangles])
    flat = np.flatnonzero(flatness < 1e-6)
    if not flat.size:
        return vertices
    start, end, apex = (triangles[flat, (longest[flat] + k) % 3] for k in range(3))
    line = vertices[end] - vertices[start]
    away = np.cross(line, np.eye(3, dtype=np.float32)[np.abs(line).argmin(axis=1)])
    moved = vertices.copy()
    moved[apex] += np.float32(1e-4) * away
    return moved


def _flatness(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of triangles [N, 3, 3]: (which side is longest [N], height over it divided by its length [N])."""
    side = corners[:, (1, 2, 0)] - corners
    square = np.einsum("nki,nki->nk", side, side)
    area = np.sqrt(np.square(_cross(side[:, 0], side[:, 1])).sum(axis=1))
    return square.argmax(axis=1), area / np.maximum(square.max(axis=1), 1e-20)


def _normals(corners: np.ndarray) -> np.ndarray:
    normal = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.sqrt(np.square(normal).sum(axis=1, keepdims=True)), 1e-20)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """numpy's, several times quicker. [N, 3], [N, 3] -> [N, 3]"""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), axis=1)


def _key(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One number for the edge between two vertices."""
    return np.minimum(one, other).astype(np.int64) << 32 | np.maximum(one, other)


def _apart(order: np.ndarray, one: np.ndarray, other: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Of flips in the order of their worth, those that share no triangle and no new edge with one before."""
    taken, edges, chosen = set(), set(), []
    for flip, first, second, new in zip(order.tolist(), one[order].tolist(), other[order].tolist(), edge[order].tolist(), strict=True):
        if first not in taken and second not in taken and new not in edges:
            taken.update((first, second))
            edges.add(new)
            chosen.append(flip)
    return np.array(chosen, np.int64)
