# SPDX-License-Identifier: GPL-3.0-or-later
"""Creases of a mesh: edges that are shaded sharp, and the normals that follow from them."""

import numpy as np

from core.surface.topology import group, half_edge_twins


def corner_normals(vertices: np.ndarray, triangles: np.ndarray, sharp: np.ndarray | tuple = ()) -> tuple[np.ndarray, np.ndarray]:
    """Normals where shading breaks at `sharp` edges [E, 2]: (fan of each corner [F, 3] i64, unit normal of each fan [N, 3] f32).

    A fan is the triangles around a vertex between two sharp edges; without sharp edges each vertex is one. Weighted by area.
    """
    x, y, z = (np.ascontiguousarray(vertices[:, k])[triangles.T] for k in range(3))
    (ux, uy, uz), (vx, vy, vz) = ([c[k] - c[0] for c in (x, y, z)] for k in (1, 2))
    face = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
    fans, count = triangles.astype(np.int64), len(vertices)
    if len(sharp):
        count, fans = _fans(triangles, sharp, count)
    total = np.stack([np.bincount(fans.ravel(), np.repeat(part, 3), count) for part in face], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return fans, np.where(length > 1e-20, total / np.maximum(length, 1e-20), (0.0, 0.0, 1.0)).astype(np.float32)


def _fans(triangles: np.ndarray, sharp: np.ndarray, vertex_count: int) -> tuple[int, np.ndarray]:
    """Corners joined across every edge that is not sharp: (number of fans, fan of each corner [F, 3])."""
    twins = half_edge_twins(triangles).ravel()
    start, end = triangles.ravel().astype(np.int64), triangles[:, (1, 2, 0)].ravel().astype(np.int64)
    key = np.minimum(start, end) * vertex_count + np.maximum(start, end)
    smooth = np.flatnonzero((twins >= 0) & ~np.isin(key, sharp[:, 0].astype(np.int64) * vertex_count + sharp[:, 1]))
    twin = twins[smooth]
    following, twin_following = smooth - smooth % 3 + (smooth + 1) % 3, twin - twin % 3 + (twin + 1) % 3
    count, fan = group(triangles.size, np.concatenate((smooth, following)), np.concatenate((twin_following, twin)))
    return count, fan.reshape(-1, 3).astype(np.int64)


def sharp_edges(vertices: np.ndarray, triangles: np.ndarray, degrees: float = 40.0) -> np.ndarray:
    """Edges [E, 2] i32, lower vertex first, between triangles whose normals are at least so many degrees apart."""
    corners = vertices[triangles].astype(np.float64)
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face /= np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-20)
    twins = half_edge_twins(triangles).ravel()
    half = np.flatnonzero(twins > np.arange(twins.size))
    turned = np.einsum("ij,ij->i", face[half // 3], face[twins[half] // 3]) < np.cos(np.radians(degrees))
    return edges_of(triangles, half[turned])


def edges_of(triangles: np.ndarray, half_edges: np.ndarray) -> np.ndarray:
    """The vertices [E, 2] i32, lower first, of half-edges 3 f + k."""
    face, corner = half_edges // 3, half_edges % 3
    return np.sort(np.stack((triangles[face, corner], triangles[face, (corner + 1) % 3]), axis=1), axis=1).astype(np.int32)


def uv_seams(triangles: np.ndarray, uvs: np.ndarray, twins: np.ndarray) -> np.ndarray:
    """Edges [E, 2] i32, lower vertex first, whose two sides lie apart in the image. `twins` as `half_edge_twins` gives them."""
    place = np.ascontiguousarray(uvs, np.float32).reshape(-1, 2).view(np.uint64).ravel()
    twins = twins.ravel()
    half = np.flatnonzero(twins > np.arange(twins.size))
    twin = twins[half]
    following, twin_following = half - half % 3 + (half + 1) % 3, twin - twin % 3 + (twin + 1) % 3
    apart = (place[half] != place[twin_following]) | (place[following] != place[twin])
    return edges_of(triangles, half[apart])
