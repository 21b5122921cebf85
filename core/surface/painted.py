# SPDX-License-Identifier: GPL-3.0-or-later
"""A given mesh with the look of a generated object: fitted to its box, each point coloured as the object's surface is nearest to it."""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from core.canvas import Canvas
from core.errors import BadRequest
from core.limits import Detail
from core.mesh import TexturedMesh, encode_look
from core.surface.atlas import Atlas, unwrap
from core.surface.bake import Appearance, bake
from core.surface.extract import LOOSE, SignedDistance
from core.surface.texels import covered_once
from core.surface.textured import Watch, plain_errors, surface_of

SAMPLES = 60_000  # of the object's surface, among which the nearest is looked for
SLIDE = 0.008  # how far along the surface a point may lie from its nearest sample
BATCH = 1 << 14  # points whose nearest are looked for before a cancel is heard
COARSE = 60_000  # triangles up to which a mesh is unwrapped as one whose charts often fold
LEEWAY = 0.01  # the share of texels or surface up to which what is wrong with UVs is an accident
NEW = "Ask for new UVs, or unwrap it again."


def painted_mesh(
    distance: SignedDistance,
    look: Appearance,
    canvas: Canvas,
    sizes: Detail,
    *,
    keep_volume: float = LOOSE,
    watch: Watch | None = None,
    **facts,
) -> TexturedMesh:
    """`canvas` with the look of the object that `core.surface.textured.textured_mesh` makes of the same, in whose box it is put for that.
    Its triangles stay, and so do its UVs where it has some; its vertices are brought into the frame.

    Raises Cancelled; BadRequest for UVs that nothing can be painted into; EngineError where the object's surface is empty.
    """
    watch = watch or Watch()
    with plain_errors():
        surface = surface_of(distance, sizes, keep_volume, watch)
        fitted, framed = canvas.fitted(np.stack((surface.vertices.min(0), surface.vertices.max(0)))), canvas.framed()
        with watch.stage("atlas"):
            atlas = new_atlas(canvas, framed, sizes.texture_size, watch.device) if canvas.uvs is None else own_atlas(canvas, sizes)
        with watch.stage("bake"):
            on_surface = Nearest(surface.vertices, surface.triangles)
            images = bake(
                fitted, canvas.triangles, atlas.uvs, lambda points: look(on_surface(points)), size=sizes.texture_size, atlas=atlas,
                coarse=sizes.texture_size >= 1024, device=watch.device, batch=BATCH, cancelled=watch.cancelled,
            )  # fmt: skip
        with watch.stage("encode"):
            images = encode_look(*images, atlas)
    return TexturedMesh(framed, canvas.triangles, atlas.uvs, timings_ms=watch.timings_ms, seams=atlas.seams, **images, **facts)


def cloud_of(canvas: Canvas, count: int) -> Tensor:
    """So many points of a mesh in the frame, and their outward normals: [1, count, 6] f32."""
    vertices = canvas.framed()
    found = Nearest(vertices, canvas.triangles, count)
    a, b, c = (vertices[canvas.triangles[:, corner]].astype(np.float64) for corner in range(3))
    outwards = 1 if np.einsum("ij,ij->", a, np.cross(b, c)) >= 0 else -1  # a mesh that is inside out
    return torch.from_numpy(np.concatenate((found.samples, found.normals * outwards), 1).astype(np.float32))[None]


class Nearest:
    """The nearest points on a surface: of so many samples the nearest, and from there along its triangle's plane.

    The field's own slope leads there too, but far from the surface it is noise: on a cube painted as a mushroom that showed as crumbs.
    Looking for a surface that faces the same way as well found more of a house's roof, but tore spots and eyes apart.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, count: int = SAMPLES):
        """vertices [V, 3], triangles [F, 3]."""
        corners = vertices[triangles].astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(cross, axis=1)
        rng = np.random.Generator(np.random.PCG64(0))
        shares = (np.arange(count) + rng.random(count)) / count
        face = np.minimum(np.searchsorted(np.cumsum(area) / max(area.sum(), 1e-30), shares), len(area) - 1)
        u, v = rng.random((2, count))
        u, v = np.where(u + v > 1, (1 - u, 1 - v), (u, v))
        a, b, c = (corners[face, corner] for corner in range(3))
        self.samples = a + u[:, None] * (b - a) + v[:, None] * (c - a)
        self.normals = cross[face] / np.maximum(area[face, None], 1e-30)
        self.tree = cKDTree(self.samples)

    def __call__(self, points: Tensor) -> Tensor:
        """points [N, 3] -> [N, 3] on the surface, on the same device."""
        given = points.cpu().numpy().astype(np.float64)
        _, nearest = self.tree.query(given, workers=torch.get_num_threads())
        sample, normal = self.samples[nearest], self.normals[nearest]
        aside = given - sample
        aside -= np.einsum("ij,ij->i", aside, normal)[:, None] * normal
        aside *= np.minimum(1, SLIDE / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9))
        return torch.from_numpy((sample + aside).astype(np.float32)).to(points.device)


def new_atlas(canvas: Canvas, vertices: np.ndarray, size: int, device: torch.device | str) -> Atlas:
    """UVs for a mesh, in the proportions of `vertices` [V, 3]; none of its faces is cut."""
    kept, triangles = canvas.welded()
    faces = np.arange(len(triangles)) if canvas.faces is None else canvas.faces
    made = unwrap(vertices[kept], triangles, size=size, coarse=len(triangles) < COARSE, faces=faces, smooth=False, device=device)
    if not len(made.texel):
        raise BadRequest("No UVs can be made for this mesh.", "Its faces have next to no area.", "Remove faces without area.")
    return made


def own_atlas(canvas: Canvas, sizes: Detail) -> Atlas:
    """A mesh's own UVs as an atlas. Raises BadRequest where much of them lies outside of the image, or on one another, or has no room."""
    uvs, size = canvas.uvs, sizes.texture_size
    corners = canvas.vertices[canvas.triangles].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    u, v = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    flat = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])

    def share(which: np.ndarray) -> float:
        return float(area[which].sum() / max(area.sum(), 1e-30))

    if (part := share(((uvs < -1e-3) | (uvs > 1 + 1e-3)).any((1, 2)))) > LEEWAY:
        raise BadRequest(f"{part:.0%} of the surface has UVs outside of the image.", "They lie beyond 0 to 1.", NEW)
    if (part := share(flat < 1e-3 / size**2)) > LEEWAY:
        raise BadRequest(f"{part:.0%} of the surface has no room in its UVs.", "Its faces are points or lines there.", NEW)
    found = covered_once(uvs * np.float32(size), size, size, int(LEEWAY * size**2))
    triangle, texel = found or (None, None)
    single = len(np.unique(texel)) if found else 0
    if not found or len(texel) - single > LEEWAY * single:
        raise BadRequest("The UVs overlap.", "Much of the image would be painted more than once.", NEW)
    if not single:
        raise BadRequest("The UVs cover no texel of the image.", "", NEW)
    return Atlas(uvs, np.zeros(len(uvs), np.int32), size, triangle, texel, np.empty((0, 2), np.int32))
