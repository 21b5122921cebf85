# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of textured meshes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from core.mesh import TexturedMesh
from core.rendering.cameras import Camera, Views
from core.rendering.raster import rasterize
from core.rendering.shading import GROUND, shade
from core.rendering.textures import look_at
from core.surface.creases import corner_normals

FRONT_RIGHT = Camera(distance=3.0)
MARGIN = 3  # pixels of the empty border of a picture on nothing

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


def draw(mesh: TexturedMesh, side: int, sharper: int) -> np.ndarray:
    """A mesh from its front right, as large as fits, on nothing: [side, side, 4] u8, alpha not multiplied in. sharper: pixels along an
    edge that are drawn for one of the picture, before it is cropped."""
    size = side * sharper
    pixel, color = shade_mesh(mesh, [FRONT_RIGHT], size)
    large = np.zeros((size * size, 4), np.float32)  # alpha multiplied in: edges mix with nothing, not with black
    large[pixel] = np.concatenate((color.numpy(), np.ones((len(pixel), 1))), 1)
    small = _fit(large.reshape(size, size, 4), side - 2 * MARGIN)
    alpha = small[..., 3:]
    straight = np.where(alpha > 1 / 512, small[..., :3] / np.maximum(alpha, 1 / 512), 0)
    inner = np.concatenate((straight, alpha), -1).clip(0, 1)
    return np.pad((inner * 255).round().astype(np.uint8), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))


def _fit(image: np.ndarray, side: int) -> np.ndarray:
    """The square around what is not empty in [H, W, 4] f32, made `side` pixels large."""
    rows, columns = (np.flatnonzero(image[..., 3].any(axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((side, side, 4), np.float32)
    half = max(np.ptp(rows), np.ptp(columns)) / 2 + 1
    y, x = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    box = (x - half, y - half, x + half, y + half)
    channels = [Image.fromarray(image[..., i]).resize((side, side), Image.Resampling.BOX, box) for i in range(4)]
    return np.stack([np.asarray(channel) for channel in channels], -1)


def encode(image: np.ndarray) -> bytes:
    """A PNG of [H, W, 4] u8."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
