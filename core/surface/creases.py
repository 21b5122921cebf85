# SPDX-License-Identifier: GPL-3.0-or-later
"""Creases of a mesh: edges that are shaded sharp, and the normals that follow from them."""

import math

import numpy as np
import torch

from core.surface.extract import SignedDistance
from core.surface.topology import group, half_edge_twins

LIKELY = 25.0  # degrees between two facets, from which on the field is evaluated
CREASE = 40.0  # degrees between its normals
REACH = 0.005  # this far on either side, in the frame's units: half a percent of an object


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


def sharp_edges(vertices: np.ndarray, triangles: np.ndarray, sdf: SignedDistance, device: torch.device | str = "cpu") -> np.ndarray:
    """Edges [E, 2] i32, lower vertex first, where the surface itself is creased: the field's normals close by on either side are CREASE
    apart. Facets alone would call the flats of a thin rod creases; they only narrow down where to look."""
    corners = vertices[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face /= np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-20)
    twins = half_edge_twins(triangles).ravel()
    half = np.flatnonzero(twins > np.arange(twins.size))
    half = half[np.einsum("ij,ij->i", face[half // 3], face[twins[half] // 3]) < math.cos(math.radians(LIKELY))]
    if not half.size:
        return np.empty((0, 2), np.int32)
    start, end = (vertices[triangles[half // 3, (half + k) % 3]] for k in range(2))
    along = (end - start) / np.maximum(np.linalg.norm(end - start, axis=1, keepdims=True), 1e-20)
    inwards = np.cross(face[half // 3], along), -np.cross(face[twins[half] // 3], along)
    points = np.concatenate([(start + end) / 2 + np.float32(REACH) * side for side in inwards])
    one, other = gradients(sdf, torch.from_numpy(points).to(device)).cpu().numpy().reshape(2, -1, 3)
    return edges_of(triangles, half[np.einsum("ij,ij->i", one, other) < math.cos(math.radians(CREASE))])


def gradients(sdf: SignedDistance, points: torch.Tensor) -> torch.Tensor:
    """Unit gradients of a field at points [N, 3], from differences over four corners of a small tetrahedron."""
    corners = torch.tensor(((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)), dtype=points.dtype, device=points.device)
    values = sdf((points[:, None] + REACH / 4 * corners).reshape(-1, 3)).float().reshape(-1, 4)
    return torch.nn.functional.normalize(values @ corners.float(), dim=1)


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
