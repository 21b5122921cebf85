# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a textured mesh and of its exact object: the same cameras, rays and shading, so that only the objects differ."""

import math

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from core.evaluation.textures import look_at
from core.library.preview import GROUND, camera_axes, camera_rays, picture, render, render_rays
from core.library.starter.objects import ExactObjects
from core.mesh import TexturedMesh
from core.surface.creases import corner_normals
from core.surface.texels import covered_texels

AZIMUTHS = (35.0, 125.0, 215.0, 305.0)
ELEVATION, FOV, DISTANCE = 20.0, 30.0, 3.0  # far enough for a cube of the largest size
SIZE = 128


def exact_views(exact: ExactObjects, size: int = SIZE) -> np.ndarray:
    """The exact object from all sides: [views, size, size, 3] u8. `exact` holds one object."""
    origin, direction = _all_rays(size)
    return _bytes(render_rays(exact, origin[None], direction[None])[0].reshape(len(AZIMUTHS), size, size, 3))


def exact_pictures(exact: ExactObjects, view: int, size: int = SIZE) -> np.ndarray:
    """Exact objects from one of the sides: [B, size, size, 3] u8."""
    return _bytes(render(exact, size, azimuth=AZIMUTHS[view], elevation=ELEVATION, fov=FOV, distance=DISTANCE))


def mesh_views(mesh: TexturedMesh, size: int = SIZE) -> np.ndarray:
    """The mesh from all sides, with the vertex normals that its GLB carries: [views, size, size, 3] u8."""
    views = torch.tensor(GROUND).repeat(len(AZIMUTHS), size * size, 1)
    for view, azimuth in zip(views, AZIMUTHS, strict=True):
        pixel, color = seen_colors(mesh, azimuth, size)
        view[pixel] = color
    return _bytes(views.reshape(len(AZIMUTHS), size, size, 3))


def seen_colors(mesh: TexturedMesh, azimuth: float, size: int) -> tuple[np.ndarray, torch.Tensor]:
    """What one view shows of a mesh: (pixel [N] = row * size + column, shaded sRGB [N, 3]); the other pixels see nothing of it."""
    pixel, face, weights = visible(mesh, azimuth, size)
    fans, normals = corner_normals(mesh.vertices, mesh.triangles, mesh.sharp)
    normal = np.einsum("nk,nki->ni", weights, normals[fans[face]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    look, direction = look_at(mesh, face, weights), _rays(azimuth, size)[1][pixel]
    return pixel, picture(direction, torch.from_numpy(normal).float(), torch.from_numpy(look).float())


def empty_views(size: int = SIZE) -> np.ndarray:
    """The bare ground: what a mesh that does not exist looks like."""
    return _bytes(torch.tensor(GROUND).expand(len(AZIMUTHS), size, size, 3))


def likeness(made: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """psnr (dB, of all views together) and ssim (mean of the views, 7 × 7 windows) of pictures [views, size, size, 3] u8."""
    same = bool((made == exact).all())
    ssim = [structural_similarity(a, b, channel_axis=-1) for a, b in zip(made, exact, strict=True)]
    return {"psnr": 99.0 if same else float(peak_signal_noise_ratio(exact, made)), "ssim": float(np.mean(ssim))}


def visible(mesh: TexturedMesh, azimuth: float, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the pixels of one view see: (pixel [N] = row * size + column, triangle [N], barycentric weights [N, 3]).

    Triangles are rasterised; where each covered pixel's own ray meets the triangle's plane gives depth and weights.
    """
    backward, right, up = (axis.numpy().astype(np.float64) for axis in camera_axes(azimuth, ELEVATION))
    origin, direction = backward * DISTANCE, _rays(azimuth, size)[1].numpy().astype(np.float64)
    seen = mesh.vertices.astype(np.float64) - origin
    ahead = -(seen @ backward) * math.tan(math.radians(FOV / 2))
    image = np.stack((1 + seen @ right / ahead, 1 - seen @ up / ahead), -1) * (size / 2)  # texels, rows downwards
    face, pixel = covered_texels(image[mesh.triangles], size, size)
    a, b, c = (mesh.vertices[mesh.triangles[face, i]].astype(np.float64) - origin for i in range(3))
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
    return pixel[first], face[first], weights[first]


def _rays(azimuth: float, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Origins and unit directions [size², 3] of one view."""
    origin, direction = camera_rays(size, azimuth, ELEVATION, FOV, DISTANCE)
    return origin.expand(size * size, 3), direction.reshape(-1, 3)


def _all_rays(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    origin, direction = zip(*(_rays(azimuth, size) for azimuth in AZIMUTHS), strict=True)
    return torch.cat(origin), torch.cat(direction)


def _bytes(pictures: torch.Tensor) -> np.ndarray:
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
