# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures between one finished textured mesh and one exact object, both in the model's frame."""

import io
from dataclasses import replace

import igl
import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from core.library.kinds import KINDS
from core.library.objects import Description, ExactObjects
from core.mesh import TexturedMesh
from core.surface.extract import HALF_EXTENT, refine_grid
from core.surface.texels import covered_texels
from core.surface.topology import components, mesh_health

BOX_POINTS = 32_768  # for the IoU
KIND_POINTS = 8_192  # for telling kinds apart
SURFACE_POINTS = 16_384
F_RADIUS = 0.02  # of the exact object's diagonal


def inside(mesh: TexturedMesh, points: np.ndarray) -> np.ndarray:
    """Which points [N, 3] lie inside the mesh, by winding number. [N] bool"""
    return igl.fast_winding_number(mesh.vertices.astype(np.float64), mesh.triangles.astype(np.int64), points.astype(np.float64)) > 0.5


def volume_iou(mesh: TexturedMesh, exact: ExactObjects, rng: torch.Generator) -> float:
    """Intersection over union on uniform points in the exact object's box, grown by 10 %. `exact` holds one object."""
    points = (torch.rand(1, BOX_POINTS, 3, generator=rng) * 2 - 1) * exact.half_size[:, None] * 1.1
    return _iou(inside(mesh, points[0].numpy()), (exact.raw(points)[0] < 0).numpy())


def surface_measures(mesh: TexturedMesh, exact: ExactObjects, rng: torch.Generator) -> dict[str, float]:
    """f_score_2: F-score at 2 % of the exact diagonal; chamfer: mean of both directions' mean distances, in units of the frame;
    base_color_error, roughness_error, metallic_error: mean |Δ| from exact surface points to the nearest texel of the mesh."""
    points, _ = exact.sample_surface(SURFACE_POINTS, rng)
    on_exact = points[0].numpy().astype(np.float64)
    vertices, triangles = mesh.vertices.astype(np.float64), mesh.triangles.astype(np.int64)
    squared, face, nearest = igl.point_mesh_squared_distance(on_exact, vertices, triangles)
    recall = np.sqrt(squared)
    on_mesh = sample_mesh(mesh, SURFACE_POINTS, np.random.default_rng(int(torch.randint(2**31, (1,), generator=rng))))
    precision = cKDTree(on_exact).query(on_mesh)[0]
    radius = F_RADIUS * 2 * float(exact.half_size[0].norm())
    p, r = (precision < radius).mean(), (recall < radius).mean()
    wanted = exact.appearance(points)[0].numpy()
    error = np.abs(texels_at(mesh, face, nearest) - wanted)
    return {
        "f_score_2": float(2 * p * r / max(p + r, 1e-9)),
        "chamfer": float((precision.mean() + recall.mean()) / 2),
        "base_color_error": float(error[:, :3].mean()),
        "roughness_error": float(error[:, 3].mean()),
        "metallic_error": float(error[:, 4].mean()),
    }


def kind_found(mesh: TexturedMesh, description: Description, z: torch.Tensor, rng: torch.Generator) -> str:
    """The kind whose exact object, with the same attributes and style, overlaps the mesh best."""
    names = list(KINDS)
    exact = ExactObjects([replace(description, kind=name) for name in names], z.expand(len(names), -1))
    points = (torch.rand(KIND_POINTS, 3, generator=rng) * 2 - 1) * HALF_EXTENT
    made = inside(mesh, points.numpy())
    ious = [_iou(made, occupied.numpy()) for occupied in exact.raw(points.expand(len(names), -1, -1)) < 0]
    return names[int(np.argmax(ious))]


def health(mesh: TexturedMesh, exact: ExactObjects, resolution: int) -> dict[str, bool | int]:
    """Whether the mesh is sound: closed, manifold, oriented, in as many pieces as the exact object at that resolution, UVs used once."""
    found = mesh_health(mesh.vertices, mesh.triangles)
    size = image_of(mesh.base_color).shape[0]
    _, texel = covered_texels(mesh.uvs * np.float32(size), size, size)
    return {
        "sound": bool(found["closed"] and found["manifold"] and found["oriented"]),
        "pieces": components(mesh.triangles, len(mesh.vertices))[0],
        "pieces_exact": exact_pieces(exact, resolution),
        "uv_in_range": bool(mesh.uvs.min() >= 0 and mesh.uvs.max() <= 1),
        "uv_overlaps": int(len(texel) - len(np.unique(texel))),
    }


def exact_pieces(exact: ExactObjects, resolution: int) -> int:
    """Connected pieces of the exact object on a grid of that many cells a side."""
    values = refine_grid(lambda points: exact.raw(points[None])[0], resolution=resolution)
    return int(ndimage.label((values < 0).numpy())[1])


def sample_mesh(mesh: TexturedMesh, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points spread evenly over the mesh's surface. [count, 3]"""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]].astype(np.float64) for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    u, v = rng.random((2, count))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return a[face] + u[:, None] * (b - a)[face] + v[:, None] * (c - a)[face]


def texels_at(mesh: TexturedMesh, face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """sRGB colour, roughness and metallic of the texels under points on given triangles. [N] and [N, 3] -> [N, 5]"""
    a, b, c = (mesh.vertices[mesh.triangles[face, i]].astype(np.float64) for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d = np.einsum("ni,ni->n", ab, ab) * np.einsum("ni,ni->n", ac, ac) - np.einsum("ni,ni->n", ab, ac) ** 2
    v = np.einsum("ni,ni->n", ac, ac) * np.einsum("ni,ni->n", ap, ab) - np.einsum("ni,ni->n", ab, ac) * np.einsum("ni,ni->n", ap, ac)
    w = np.einsum("ni,ni->n", ab, ab) * np.einsum("ni,ni->n", ap, ac) - np.einsum("ni,ni->n", ab, ac) * np.einsum("ni,ni->n", ap, ab)
    v, w = (np.clip(t / np.maximum(d, 1e-18), 0, 1) for t in (v, w))
    corners = mesh.uvs[face]
    uv = corners[:, 0] + v[:, None] * (corners[:, 1] - corners[:, 0]) + w[:, None] * (corners[:, 2] - corners[:, 0])
    color, finish = image_of(mesh.base_color), image_of(mesh.metallic_roughness)
    size = color.shape[0]
    column = np.clip((uv[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(size - 1 - (uv[:, 1] * size).astype(int), 0, size - 1)
    return np.concatenate((color[row, column], finish[row, column, 1:]), -1)


def image_of(encoded: bytes) -> np.ndarray:
    """Pixels [H, W, 3] of an encoded image, 0..1, top row first."""
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=np.float32) / 255


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))
