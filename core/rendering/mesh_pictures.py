# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of textured meshes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.mesh import TexturedMesh
from core.rendering.cameras import Camera, Views
from core.rendering.raster import rasterize
from core.rendering.shading import GROUND, shade
from core.rendering.textures import look_at
from core.surface.creases import corner_normals


@dataclass(frozen=True)
class Seen:
    """What the pixels of pictures see of a mesh; those that see nothing of it are not among them.

    pixel [N] = (picture * size + row) * size + column, ascending. face [N]: the nearest triangle. weights [N, 3] f64: barycentric, of its
    corners.
    """

    pixel: np.ndarray
    face: np.ndarray
    weights: np.ndarray


def see(vertices: np.ndarray, triangles: np.ndarray, cameras: Sequence[Camera], size: int) -> Seen:
    """vertices [V, 3], triangles [F, 3]. Both sides of a triangle are seen."""
    clip = Views.of(cameras).clip(torch.from_numpy(vertices).double())[0]
    found = rasterize(clip, torch.from_numpy(triangles), (size, size))
    pixel = found.seen.flatten().nonzero()[:, 0]
    return Seen(*(t.numpy() for t in (pixel, found.face.flatten()[pixel], found.weights.flatten(0, 2)[pixel])))


def shade_mesh(mesh: TexturedMesh, cameras: Sequence[Camera], size: int) -> tuple[np.ndarray, torch.Tensor]:
    """What pictures show of a mesh, with the vertex normals that its GLB carries: (pixel [N] as in Seen, sRGB [N, 3])."""
    seen = see(mesh.vertices, mesh.triangles, cameras, size)
    fans, normals = corner_normals(mesh.vertices, mesh.triangles, mesh.sharp)
    normal = np.einsum("nk,nki->ni", seen.weights, normals[fans[seen.face]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    direction = torch.cat([camera.rays(size)[1] for camera in cameras])[seen.pixel]
    look = look_at(mesh, seen.face, seen.weights)
    return seen.pixel, shade(direction, torch.from_numpy(normal).float(), torch.from_numpy(look).float())


def render(mesh: TexturedMesh, cameras: Sequence[Camera], size: int) -> torch.Tensor:
    """Shaded sRGB pictures [cameras, size, size, 3] on the light ground."""
    picture = torch.tensor(GROUND).repeat(len(cameras) * size * size, 1)
    pixel, color = shade_mesh(mesh, cameras, size)
    picture[pixel] = color
    return picture.reshape(len(cameras), size, size, 3)
