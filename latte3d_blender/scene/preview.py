# SPDX-License-Identifier: GPL-3.0-or-later
"""The small picture of an asset, drawn with numpy: a tenth of a second on any machine, where Cycles takes one and others need a window."""

import math

import bpy
import numpy as np
from mathutils import Euler

from . import materials
from .studio import AZIMUTH, ELEVATION

SIZE, FINER, FILL = 256, 2, 0.92  # pixels; each is the mean of FINER² that are drawn; the object's share of the picture
PAIRS = 1 << 20  # of triangles and pixels looked at together: so memory stays small
KEY, RIM, SKY = (-0.45, 0.62, 0.64), (0.85, 0.25, 0.10), 0.30  # directions from the camera: right, up, backwards; light from everywhere


def put(item: bpy.types.Object) -> None:
    """Give an object its picture, as the Asset Browser shows it."""
    seen = item.preview_ensure()
    seen.image_size = (SIZE, SIZE)
    seen.image_pixels_float.foreach_set(picture(item).ravel())


def picture(item: bpy.types.Object) -> np.ndarray:
    """[SIZE, SIZE, 4] sRGB and opacity, 0 to 1, the lowest row first: a textured mesh of triangles, before nothing."""
    mesh, side = item.data, SIZE * FINER
    axes = np.array(Euler((math.pi / 2 - ELEVATION, 0, AZIMUTH)).to_matrix(), np.float32)  # columns: right, up, backwards
    points = _read(mesh.attributes["position"].data, "vector", 3) @ axes
    low, high = points.min(0), points.max(0)
    scale = FILL * side / max((high - low)[:2].max(), 1e-9)
    points = (points - (low + high) / 2) * scale + side / 2
    corners = _read(mesh.attributes[".corner_vert"].data, "value", 1, np.int32).reshape(-1, 3)
    normals = _read(mesh.corner_normals, "vector", 3).reshape(-1, 3, 3) @ axes
    uvs = _read(mesh.uv_layers[0].uv, "vector", 2).reshape(-1, 3, 2)
    triangle, weights, pixel = _visible(points[corners], side)
    normal = np.einsum("pc,pcd->pd", weights, normals[triangle])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    shown = np.zeros((side * side, 4), np.float32)
    shown[pixel, :3] = _lit(item.active_material, np.einsum("pc,pcd->pd", weights, uvs[triangle]), normal)
    shown[pixel, 3] = 1.0
    mean = sum(shown.reshape(SIZE, FINER, SIZE, FINER, 4)[:, i, :, j] for i in range(FINER) for j in range(FINER)) / FINER**2
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-6)
    mean[..., :3] = np.where(mean[..., :3] <= 0.0031308, 12.92 * mean[..., :3], 1.055 * np.abs(mean[..., :3]) ** (1 / 2.4) - 0.055)
    return np.clip(mean, 0.0, 1.0)


def _read(data, name: str, width: int, kind=np.float32) -> np.ndarray:
    """A property of all items as an array [items, width]."""
    found = np.empty(len(data) * width, kind)
    data.foreach_get(name, found)
    return found.reshape(-1, width)


def _visible(corners: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is seen of triangles [F, 3, 3] (x, y in pixels, z towards the viewer): for each covered pixel the triangle, the weights of its
    corners [P, 3] and the pixel's number, y * side + x."""
    first = np.clip(np.ceil(corners[:, :, :2].min(1) - 0.5), 0, side).astype(np.int32)
    last = np.clip(np.floor(corners[:, :, :2].max(1) - 0.5), -1, side - 1).astype(np.int32)
    size = np.maximum(last - first + 1, 0)
    count = size[:, 0].astype(np.int64) * size[:, 1] * (_areas(corners) > 0)  # the far side of a closed mesh is hidden
    nearest = np.full(side * side, -np.inf, np.float32)
    owner, found = np.full(side * side, -1, np.int64), np.zeros((side * side, 3), np.float32)
    ends = np.cumsum(count)
    begin = 0
    while begin < len(count):
        end = max(int(np.searchsorted(ends, ends[begin] - count[begin] + PAIRS, "right")), begin + 1)
        part = np.repeat(np.arange(begin, end), count[begin:end])
        number = np.arange(len(part)) - np.repeat(ends[begin:end] - count[begin:end] - (ends[begin] - count[begin]), count[begin:end])
        x, y = first[part, 0] + number % size[part, 0], first[part, 1] + number // size[part, 0]
        shares = _shares(corners, part, x + 0.5, y + 0.5)
        inside = np.flatnonzero((shares[0] >= 0) & (shares[1] >= 0) & (shares[2] >= 0))
        part, weights, pixel = part[inside], np.stack([share[inside] for share in shares], 1), (y * side + x)[inside]
        depth = np.einsum("pc,pc->p", weights, corners[part, :, 2]).astype(np.float32)
        np.maximum.at(nearest, pixel, depth)
        front = depth >= nearest[pixel]
        owner[pixel[front]], found[pixel[front]] = part[front], weights[front]
        begin = end
    pixel = np.flatnonzero(owner >= 0)
    return owner[pixel], found[pixel], pixel


def _areas(corners: np.ndarray) -> np.ndarray:
    """Twice the areas [F] of triangles in the picture; negative for those that are seen from behind."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, corner, :2].T for corner in range(3))
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


def _shares(corners: np.ndarray, part: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each corner of the triangles `part` weighs at points, [P] each; one of them is negative outside. They must have areas."""
    a, b, c = corners[:, 0, :2], corners[:, 1, :2], corners[:, 2, :2]
    area = _areas(corners)
    over = np.divide(1.0, area, out=np.zeros_like(area), where=area > 0)
    bx, by, cx, cy = ((end - a)[:, axis] * over for end in (b, c) for axis in (0, 1))
    dx, dy = x - a[part, 0], y - a[part, 1]
    second, third = dx * cy[part] - dy * cx[part], dy * bx[part] - dx * by[part]
    return 1 - second - third, second, third


def _lit(material: bpy.types.Material | None, uvs: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Linear colours [P, 3] of points with these UVs [P, 2] and normals [P, 3]."""
    base = np.full((len(uvs), 3), 0.6, np.float32)
    found = materials.images(material) if material else {}
    if "base_color" in found:
        encoded = _sampled(found["base_color"], uvs)
        base = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    elif material:
        base[:] = material.diffuse_color[:3]
    rough, metal = (getattr(material, name, value) for name, value in (("roughness", 0.5), ("metallic", 0.0)))
    if "metallic_roughness" in found:
        values = _sampled(found["metallic_roughness"], uvs)
        rough, metal = values[:, 1:2], values[:, 2:3]
    key, rim = (np.array(way, np.float32) / np.linalg.norm(way) for way in (KEY, RIM))
    above = 0.5 + 0.5 * normal[:, 1:2]
    light = SKY + 0.35 * above + 0.85 * np.maximum(normal @ key, 0)[:, None] + 0.25 * np.maximum(normal @ rim, 0)[:, None]
    half = key + np.array((0, 0, 1), np.float32)
    gloss = np.maximum(normal @ (half / np.linalg.norm(half)), 0)[:, None] ** (4 + 90 * (1 - rough) ** 2) * (1 - rough) ** 1.5
    mirror = 0.25 + 1.1 * np.clip(above * 1.6 - 0.5, 0, 1) ** 2  # what metal shows: a dark ground, a bright sky
    return base * (light * (1 - metal) + mirror * metal) + gloss * (0.35 * (1 - metal) + 1.4 * base * metal)


def _sampled(image: bpy.types.Image, uvs: np.ndarray) -> np.ndarray:
    """The pixels [P, 3] of an image at UVs [P, 2], as the file holds them."""
    (width, height), channels = image.size, image.channels
    pixels = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(pixels)
    x, y = (np.clip((uvs[:, axis] * size).astype(np.int32), 0, size - 1) for axis, size in ((0, width), (1, height)))
    return pixels.reshape(height, width, channels)[y, x, :3]
