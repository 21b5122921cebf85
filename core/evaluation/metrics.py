# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures between one finished textured mesh and one exact object, both in the model's frame."""

from dataclasses import dataclass, replace

import igl
import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

from core.frame import HALF_EXTENT
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description, ExactObjects
from core.limits import Detail
from core.mesh import TexturedMesh
from core.rendering.textures import texels_at
from core.surface.extract import refine_grid
from core.surface.texels import covered_texels
from core.surface.topology import components, mesh_health

BOX_POINTS = 32_768  # for the IoU
KIND_POINTS = 8_192  # for telling kinds apart
SURFACE_POINTS = 16_384
WALK, ARRIVED = 2, 1e-3  # steps onto the exact surface, and what may be left of the distance to it


def inside(mesh: TexturedMesh, points: np.ndarray) -> np.ndarray:
    """Which points [N, 3] lie inside the mesh, by winding number. [N] bool"""
    return igl.fast_winding_number(mesh.vertices.astype(np.float64), mesh.triangles.astype(np.int64), points.astype(np.float64)) > 0.5


def volume_iou(mesh: TexturedMesh, exact: ExactObjects, rng: torch.Generator) -> float:
    """Intersection over union on uniform points in the exact object's box, grown by 10 %. `exact` holds one object."""
    points = (torch.rand(1, BOX_POINTS, 3, generator=rng) * 2 - 1) * exact.half_size[:, None] * 1.1
    return _iou(inside(mesh, points[0].numpy()), (exact.raw(points)[0] < 0).numpy())


@dataclass(frozen=True)
class SurfaceSamples:
    """Points on the exact surface and the nearest places of the mesh.

    points, normals: on the exact surface [N, 3]; distance: to the mesh [N]; made_normals [N, 3], look [N, 5]: normal and texel of the
    nearest triangle.
    """

    points: torch.Tensor
    normals: np.ndarray
    distance: np.ndarray
    made_normals: np.ndarray
    look: np.ndarray


def sample_surface(mesh: TexturedMesh, exact: ExactObjects, rng: torch.Generator) -> SurfaceSamples:
    """Draw points on the exact surface, and find the nearest place of the mesh for each."""
    points, normals = exact.sample_surface(SURFACE_POINTS, rng)
    vertices, triangles = mesh.vertices.astype(np.float64), mesh.triangles.astype(np.int64)
    squared, face, nearest = igl.point_mesh_squared_distance(points[0].numpy().astype(np.float64), vertices, triangles)
    return SurfaceSamples(points[0], normals[0].numpy(), np.sqrt(squared), face_normals(mesh)[face], texels_at(mesh, face, nearest))


def surface_measures(mesh: TexturedMesh, exact: ExactObjects, samples: SurfaceSamples, rng: torch.Generator) -> dict[str, float]:
    """f_score_1, f_score_2: F-scores at 1 % and 2 % of the exact diagonal; chamfer: mean of both directions' mean distances, in units of
    the frame; normal_consistency: mean |cosine| of the normals at nearest points, both directions (Occupancy Networks' definition);
    base_color_error, roughness_error, metallic_error: mean |Δ| from exact surface points to the nearest texel of the mesh."""
    seed = int(torch.randint(2**31, (1,), generator=rng))
    on_mesh, face = sample_mesh(mesh, SURFACE_POINTS, np.random.default_rng(seed))
    precision, exact_normals = distance_to_exact(on_mesh, exact, samples)
    agree = [np.abs(np.einsum("ni,ni->n", *pair)).mean() for pair in
             ((face_normals(mesh)[face], exact_normals), (samples.made_normals, samples.normals))]  # fmt: skip
    diagonal = 2 * float(exact.half_size[0].norm())
    error = np.abs(samples.look - exact.appearance(samples.points[None])[0].numpy()).mean(0)
    return {
        "f_score_1": f_score(precision, samples.distance, 0.01 * diagonal),
        "f_score_2": f_score(precision, samples.distance, 0.02 * diagonal),
        "chamfer": float((precision.mean() + samples.distance.mean()) / 2),
        "normal_consistency": float(np.mean(agree)),
        "base_color_error": float(error[:3].mean()),
        "roughness_error": float(error[3]),
        "metallic_error": float(error[4]),
    }


def f_score(precision: np.ndarray, recall: np.ndarray, radius: float) -> float:
    """Harmonic mean of the shares of distances [N], mesh to exact and exact to mesh, that are below `radius`."""
    p, r = (precision < radius).mean(), (recall < radius).mean()
    return float(2 * p * r / max(p + r, 1e-9))


def distance_to_exact(points: np.ndarray, exact: ExactObjects, samples: SurfaceSamples) -> tuple[np.ndarray, np.ndarray]:
    """Distances [N] from points [N, 3] to the exact surface, and its normals there [N, 3].

    The smaller of two distances to points of that surface: to where a walk along the gradient arrives, which is right near by, and to the
    nearest sample, which is right far away. Samples alone put a floor of half their spacing, 0.006, under every distance: too much for
    1 %. The exact objects' own distance is first-order exact near the surface only, and too short inside overlapping parts.
    """
    sampled, nearest = cKDTree(samples.points.numpy()).query(points)
    start = torch.from_numpy(points[None]).float()
    at = start
    for _ in range(WALK):
        d, normal = exact.sdf_and_normal(at)
        at = at - d.clamp(-0.1, 0.1)[..., None] * normal
    left, normal = exact.sdf_and_normal(at)
    walked = torch.where(left.abs() < ARRIVED, (at - start).norm(dim=-1), torch.inf)[0].numpy()
    normals = np.where((walked < sampled)[:, None], normal[0].numpy(), samples.normals[nearest])
    return np.minimum(walked, sampled), normals


def kind_found(mesh: TexturedMesh, description: Description, z: torch.Tensor, rng: torch.Generator) -> str:
    """The kind whose exact object, with the same attributes and style, overlaps the mesh best."""
    names = list(KINDS)
    exact = ExactObjects([replace(description, kind=name) for name in names], z.expand(len(names), -1))
    points = (torch.rand(KIND_POINTS, 3, generator=rng) * 2 - 1) * HALF_EXTENT
    made = inside(mesh, points.numpy())
    ious = [_iou(made, occupied.numpy()) for occupied in exact.raw(points.expand(len(names), -1, -1)) < 0]
    return names[int(np.argmax(ious))]


def health(mesh: TexturedMesh, exact: ExactObjects, sizes: Detail) -> dict[str, bool | int]:
    """Whether the mesh is sound: closed, manifold, oriented, in as many pieces as the exact object on that grid, UVs used once."""
    found = mesh_health(mesh.vertices, mesh.triangles)
    size = sizes.texture_size
    _, texel = covered_texels(mesh.uvs * np.float32(size), size, size)
    return {
        "sound": bool(found["closed"] and found["manifold"] and found["oriented"]),
        "pieces": components(mesh.triangles, len(mesh.vertices))[0],
        "pieces_exact": exact_pieces(exact, sizes.resolution),
        "uv_in_range": bool(mesh.uvs.min() >= 0 and mesh.uvs.max() <= 1),
        "uv_overlaps": int(len(texel) - len(np.unique(texel))),
    }


def exact_pieces(exact: ExactObjects, resolution: int) -> int:
    """Connected pieces of the exact object on a grid of that many cells a side."""
    values = refine_grid(lambda points: exact.raw(points[None])[0], resolution=resolution)
    return int(ndimage.label((values < 0).numpy())[1])


def sample_mesh(mesh: TexturedMesh, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over the mesh's surface, and their triangles. [count, 3], [count]"""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]].astype(np.float64) for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    u, v = rng.random((2, count))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return a[face] + u[:, None] * (b - a)[face] + v[:, None] * (c - a)[face], face


def face_normals(mesh: TexturedMesh) -> np.ndarray:
    """Unit normals of the triangles. [F, 3]"""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]].astype(np.float64) for i in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-18)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))
