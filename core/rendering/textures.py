# SPDX-License-Identifier: GPL-3.0-or-later
"""A textured mesh's images sampled at points of its surface."""

import io

import numpy as np
from PIL import Image

from core.mesh import TexturedMesh


def texels_at(mesh: TexturedMesh, face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """sRGB colour, roughness and metallic of the texels under points on given triangles. [N] and [N, 3] -> [N, 5]"""
    return look_at(mesh, face, barycentric(mesh, face, points))


def look_at(mesh: TexturedMesh, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same at barycentric weights [N, 3]."""
    uv = np.einsum("nk,nki->ni", weights, mesh.uvs[face])
    color = _read(mesh.base_color, uv, mesh.color)
    finish = _read(mesh.metallic_roughness, uv, (1, mesh.roughness, mesh.metallic))
    return np.concatenate((color, finish[:, 1:]), -1)


def _read(encoded: bytes | None, uv: np.ndarray, everywhere: tuple) -> np.ndarray:
    """The pixels [N, 3] at places [N, 2] of an image, or the value that stands for it."""
    if encoded is None:
        return np.tile(np.array(everywhere, np.float32), (len(uv), 1))
    image = image_of(encoded)
    size = image.shape[0]
    column = np.clip((uv[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(size - 1 - (uv[:, 1] * size).astype(int), 0, size - 1)
    return image[row, column]


def barycentric(mesh: TexturedMesh, face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights [N, 3] of the corners of triangles `face` at points [N, 3] on them."""
    a, b, c = (mesh.vertices[mesh.triangles[face, i]].astype(np.float64) for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    bb, bc, cc, pb, pc = (np.einsum("ni,ni->n", s, t) for s, t in ((ab, ab), (ab, ac), (ac, ac), (ap, ab), (ap, ac)))
    area = np.maximum(bb * cc - bc**2, 1e-18)
    v, w = (np.clip(t / area, 0, 1) for t in (cc * pb - bc * pc, bb * pc - bc * pb))
    return np.stack((1 - v - w, v, w), -1)


def image_of(encoded: bytes) -> np.ndarray:
    """Pixels [H, W, 3] of an encoded image, 0..1, top row first."""
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=np.float32) / 255
