# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking: evaluate the appearance at every texel the charts own, then let the colours run past the seams."""

from collections.abc import Callable

import numpy as np
import torch

from core.surface.atlas import Atlas
from core.surface.extract import ExtractionCancelled
from core.surface.texels import barycentric, covered_texels

Appearance = Callable[[torch.Tensor], torch.Tensor]


def bake(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uvs: np.ndarray,
    appearance: Appearance,
    *,
    size: int = 1024,
    atlas: Atlas | None = None,
    spread: int = 8,
    device: torch.device | str = "cpu",
    batch: int = 1 << 18,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two images [S, S, 3] u8, top row first: base colour (sRGB), and glTF's metallic-roughness (G roughness, B metallic; R is 1).

    `appearance` takes points [N, 3] f32 of the core frame on `device` and answers [N, 5]: sRGB colour, roughness, metallic, each
    0..1. It is asked for covered texels only. `uvs` [F, 3, 2] have their origin at the bottom left. The `atlas` that made them, if
    at hand and of the same size, saves rasterising again. Colours run `spread` texels past each chart; the rest is their mean.
    """
    points = uvs * np.float32(size)
    if atlas is not None and atlas.size == size:
        triangle, texel = atlas.triangle, atlas.texel
    else:
        triangle, texel = covered_texels(points, size, size)
    if not texel.size:
        raise ValueError("The UVs cover no texel: there is nothing to bake.")
    positions = _positions(vertices, triangles, points, triangle, texel, size)
    values = np.empty((texel.size, 5), np.uint8)
    for start in range(0, texel.size, batch):
        if cancelled is not None and cancelled():
            raise ExtractionCancelled
        part = torch.from_numpy(positions[start : start + batch]).to(device)
        answer = appearance(part).float().clamp(0, 1).mul(255).round_().to(torch.uint8)
        values[start : start + batch] = answer.cpu().numpy()
    source = spread_texels(texel, size, spread)
    return _images(values, source, size)


def _positions(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, triangle: np.ndarray, texel: np.ndarray, size: int
) -> np.ndarray:
    """Surface points [N, 3] f32 under the texel centres."""
    weights = barycentric(points, triangle, texel, size)
    corners = vertices[triangles].astype(np.float32, copy=False)  # [F, 3, 3]
    positions = np.empty((texel.size, 3), np.float32)
    for axis in range(3):
        a, b, c = (np.ascontiguousarray(corners[:, k, axis]) for k in range(3))
        positions[:, axis] = a[triangle] + weights[:, 1] * (b - a)[triangle] + weights[:, 2] * (c - a)[triangle]
    return positions


def spread_texels(texel: np.ndarray, size: int, rounds: int) -> np.ndarray:
    """Which covered texel gives each texel its colour: [S * S] i32 index into `texel`, -1 farther than `rounds` texels away.

    Grows from the borders only, four neighbours a round, so that the cost follows the length of the seams.
    """
    width = size + 2  # A frame of taken texels spares the tests at the edge of the image.
    source = np.full(width * width, -1, np.int32)
    frame = source.reshape(width, width)
    frame[0], frame[-1], frame[:, 0], frame[:, -1] = -2, -2, -2, -2
    front = texel // size * width + texel % size + (width + 1)
    source[front] = np.arange(texel.size, dtype=np.int32)
    steps = np.array([-1, 1, -width, width], np.int32)
    beside = [source[front + step] == -1 for step in steps]
    front = front[beside[0] | beside[1] | beside[2] | beside[3]]
    for _ in range(rounds):
        reach = (front + steps[:, None]).ravel()
        giver = np.tile(source[front], 4)
        free = source[reach] == -1
        reach, giver = reach[free], giver[free]
        source[reach] = giver
        # Where several reached the same texel the last one stands: it alone goes on.
        front = reach[source[reach] == giver]
        if not front.size:
            break
    return frame[1:-1, 1:-1].ravel()


def _images(values: np.ndarray, source: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour and metallic-roughness images from texel values [N, 5] and where each texel takes its own from."""
    mean = np.round(values.mean(axis=0, dtype=np.float64)).astype(np.uint8)
    table = np.concatenate((values, mean[None]))  # Index -1 is the mean: far texels, seen only in small mip levels.
    texels = table[source].reshape(size, size, 5)[::-1]
    base_color = np.ascontiguousarray(texels[:, :, :3])
    metallic_roughness = np.full((size, size, 3), 255, np.uint8)
    metallic_roughness[:, :, 1:] = texels[:, :, 3:]
    return base_color, metallic_roughness
