# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat triangles turned into better ones by flipping their longest edge; the surface stays where it is."""

import numpy as np

from core.surface.topology import half_edge_twins

FLAT = 0.12  # height over longest side, below which a triangle is a sliver worth a flip: angles under about 7 to 14 degrees
LEEWAY = 7e-4  # how far, in the frame's units, the surface may move: less than 0.1 % of an object
ALIKE = 0.9  # cosine between the normals before and after
ROUNDS = 3


def flip_slivers(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles [F, 3] with slivers flipped where that makes a better pair. Closed and manifold stays so; vertices do not change."""
    triangles = triangles.copy()
    for _ in range(ROUNDS):
        longest, flatness = _flatness(vertices[triangles])
        face = np.flatnonzero(flatness < FLAT)
        half = 3 * face + longest[face]
        twin = half_edge_twins(triangles).ravel()[half]
        half, twin = half[twin >= 0], twin[twin >= 0]
        before = np.minimum(flatness[half // 3], flatness[twin // 3])
        p, q, a = (triangles[half // 3, (half + k) % 3] for k in range(3))
        b = triangles[twin // 3, (twin + 2) % 3]
        new = np.stack((np.stack((p, b, a), 1), np.stack((b, q, a), 1)), 1)  # [N, 2, 3]
        after = np.minimum(_flatness(vertices[new[:, 0]])[1], _flatness(vertices[new[:, 1]])[1])
        beside = _normals(vertices[np.stack((q, p, b), 1)])
        fits = (after > 1.5 * before) & (np.abs(np.einsum("ij,ij->i", vertices[a] - vertices[p], beside)) < LEEWAY)
        for k in range(2):
            fits &= np.einsum("ij,ij->i", _normals(vertices[new[:, k]]), beside) > ALIKE
        fits &= ~np.isin(_key(a, b, len(vertices)), _key(triangles, np.roll(triangles, -1, axis=1), len(vertices)))
        chosen = _apart(np.flatnonzero(fits)[np.argsort(before[fits], kind="stable")], half // 3, twin // 3, a, b, len(vertices))
        if not chosen.size:
            break
        triangles[half[chosen] // 3], triangles[twin[chosen] // 3] = new[chosen, 0], new[chosen, 1]
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
    side = np.roll(corners, -1, axis=1) - corners
    square = np.einsum("nki,nki->nk", side, side)
    area = np.linalg.norm(np.cross(side[:, 0], side[:, 1]), axis=1)
    return square.argmax(axis=1), area / np.maximum(square.max(axis=1), 1e-20)


def _normals(corners: np.ndarray) -> np.ndarray:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)


def _key(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    return np.minimum(one, other).astype(np.int64) * count + np.maximum(one, other)


def _apart(order: np.ndarray, one: np.ndarray, other: np.ndarray, a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """Of flips in the order of their worth, those that share no triangle and no new edge with one before."""
    taken, edges, chosen = set(), set(), []
    edge_of = _key(a, b, count)
    for flip in order.tolist():
        faces, edge = (int(one[flip]), int(other[flip])), int(edge_of[flip])
        if taken.isdisjoint(faces) and edge not in edges:
            taken.update(faces)
            edges.add(edge)
            chosen.append(flip)
    return np.array(chosen, np.int64)
