# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes by rasterising: the interface of every rasteriser, and the plain numpy one."""

from dataclasses import dataclass

import numpy as np
import torch

from core.mesh import TexturedMesh
from core.rendering.cameras import Camera
from core.rendering.shading import GROUND, shade
from core.rendering.textures import look_at
from core.surface.creases import corner_normals
from core.surface.texels import covered_texels


@dataclass(frozen=True)
class Fragments:
    """What the pixels of one picture see of a mesh; those that see nothing of it are not among them.

    pixel [N] = row * size + column, ascending. face [N]: the nearest triangle. weights [N, 3]: barycentric, of its corners.
    """

    pixel: np.ndarray
    face: np.ndarray
    weights: np.ndarray


def rasterize(vertices: np.ndarray, triangles: np.ndarray, camera: Camera, size: int) -> Fragments:
    """vertices [V, 3], triangles [F, 3]. Both sides of a triangle are seen.

    Triangles are projected and rasterised; where each covered pixel's own ray meets the triangle's plane gives depth and weights.
    """
    backward, right, up = (axis.numpy().astype(np.float64) for axis in camera.axes())
    origin, direction = backward * camera.distance, camera.rays(size)[1].numpy().astype(np.float64)
    seen = vertices.astype(np.float64) - origin
    ahead = -(seen @ backward) * camera.slope
    image = np.stack((1 + seen @ right / ahead, 1 - seen @ up / ahead), -1) * (size / 2)  # pixels, rows downwards
    face, pixel = covered_texels(image[triangles], size, size)
    a, b, c = (vertices[triangles[face, i]].astype(np.float64) - origin for i in range(3))
    ray = direction[pixel]
    # The ray's sides towards the edges are the weights of the corners opposite; they sum to the determinant.
    weights = np.stack([np.einsum("ni,ni->n", np.cross(p, q), ray) for p, q in ((b, c), (c, a), (a, b))], -1)
    total = weights.sum(1)
    front = np.flatnonzero(np.abs(total) > 1e-18)
    weights = np.clip(weights[front] / total[front, None], 0, 1)
    weights /= weights.sum(1, keepdims=True)
    face, pixel = face[front], pixel[front]
    depth = np.einsum("nk,nki,ni->n", weights, np.stack((a, b, c), 1)[front], ray[front])
    order = np.lexsort((depth, pixel))
    first = order[np.diff(pixel[order], prepend=-1) != 0]
    return Fragments(pixel[first], face[first], weights[first])


def shade_mesh(mesh: TexturedMesh, camera: Camera, size: int) -> tuple[np.ndarray, torch.Tensor]:
    """What one picture shows of a mesh, with the vertex normals that its GLB carries: (pixel [N] as in Fragments, sRGB [N, 3])."""
    seen = rasterize(mesh.vertices, mesh.triangles, camera, size)
    fans, normals = corner_normals(mesh.vertices, mesh.triangles, mesh.sharp)
    normal = np.einsum("nk,nki->ni", seen.weights, normals[fans[seen.face]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    look, direction = look_at(mesh, seen.face, seen.weights), camera.rays(size)[1][seen.pixel]
    return seen.pixel, shade(direction, torch.from_numpy(normal).float(), torch.from_numpy(look).float())


def render(mesh: TexturedMesh, camera: Camera, size: int) -> torch.Tensor:
    """A shaded sRGB picture [size, size, 3] on the light ground."""
    picture = torch.tensor(GROUND).repeat(size * size, 1)
    pixel, color = shade_mesh(mesh, camera, size)
    picture[pixel] = color
    return picture.reshape(size, size, 3)
