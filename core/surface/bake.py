# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking: evaluate the appearance at every texel the charts own, then let the colours run past the seams."""

from collections.abc import Callable

import numpy as np
import torch

from core.surface.atlas import Atlas
from core.surface.bake_gpu import bake_on_device
from core.surface.extract import ExtractionCancelled
from core.surface.texels import covered_texels

CACHED = 1 << 14  # Texels at a time that stay in a processor's cache: three times quicker than all at once.
ALIKE = 6  # Of 255: neighbours that differ less are taken to be joined by an even slope.
HALVES = np.uint64(0xFEFEFEFEFEFEFEFE)

Appearance = Callable[[torch.Tensor], torch.Tensor]


def bake(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uvs: np.ndarray,
    appearance: Appearance,
    *,
    size: int = 1024,
    atlas: Atlas | None = None,
    sparse: bool | None = None,
    coarse: bool = False,
    spread: int = 8,
    device: torch.device | str = "cpu",
    batch: int = 1 << 18,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two images [S, S, 3] u8, top row first: base colour (sRGB), and glTF's metallic-roughness (G roughness, B metallic; R is 1).

    `appearance` takes points [N, 3] f32 of the core frame on `device` and answers [N, 5]: sRGB colour, roughness, metallic, each
    0..1. It is asked for covered texels only; if `sparse` (by default on a CPU) for every other one in rows and columns (`coarse`:
    every fourth), and the rest only where their neighbours differ. `uvs` [F, 3, 2] have their origin at the bottom left. The `atlas`
    that made them, if at hand and of the same size, saves rasterising again. Colours run `spread` texels past each chart; the rest is
    their mean.
    """
    points = uvs * np.float32(size)
    if atlas is not None and atlas.size == size:
        triangle, texel = atlas.triangle, atlas.texel
    else:
        triangle, texel = covered_texels(points, size, size)
    if not texel.size:
        raise ValueError("The UVs cover no texel: there is nothing to bake.")
    maps = _affine_maps(vertices, triangles, points)
    if sparse is None:
        sparse = torch.device(device).type == "cpu"
    if not sparse and torch.device(device).type == "cuda":
        how = {"spread": spread, "device": device, "batch": batch, "cancelled": cancelled}
        return bake_on_device(maps, triangle, texel, size, appearance, **how)

    def evaluate(which: np.ndarray) -> np.ndarray:
        """Eight bytes a texel as one number: red, green, blue, 255, roughness, metallic, 0, 0."""
        values = np.empty(which.size, np.uint64)
        positions = _positions(maps, triangle[which], texel[which], size)
        for start in range(0, which.size, batch):
            if cancelled is not None and cancelled():
                raise ExtractionCancelled
            part = torch.from_numpy(positions[start : start + batch]).to(device)
            answer = appearance(part).float().mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8).cpu()
            packed = torch.zeros(len(part), 8, dtype=torch.uint8)
            packed[:, :3], packed[:, 3], packed[:, 4:6] = answer[:, :3], 255, answer[:, 3:]
            values[start : start + batch] = packed.numpy().view(np.uint64)[:, 0]
        return values

    values = _fill(np.arange(texel.size), texel, size, (2 if coarse else 1) if sparse else 0, evaluate)
    return _images(values, spread_texels(texel, size, spread).reshape(size, size)[::-1])


def _fill(which: np.ndarray, texel: np.ndarray, size: int, levels: int, evaluate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The values of texels `which`, whose places in an image of `size` are `texel`: after every other one in rows and columns, which
    are an image of half the size, the rest only where their neighbours differ; so for so many levels, then all of them."""
    if not levels:
        return evaluate(which)
    values = np.empty(which.size, np.uint64)
    row, column = texel // size, texel % size
    coarse = (row | column) % 2 == 0
    known, half = np.flatnonzero(coarse), (size + 1) // 2
    values[known] = _fill(which[known], (row[known] // 2) * half + column[known] // 2, half, levels - 1, evaluate)
    rest = _fill_between(values, coarse, texel, size)
    values[rest] = evaluate(which[rest])
    return values


def mean_color(base_color: np.ndarray, atlas: Atlas) -> tuple[float, float, float]:
    """Mean sRGB colour, 0..1, of the surface: of one in sixteen of the texels it owns in its image."""
    owned = base_color[::-1].reshape(-1, 3)[atlas.texel[::16]]
    return tuple(round(float(channel), 4) for channel in owned.mean(axis=0) / 255)


def one_value(image: np.ndarray) -> bool:
    """Whether an image [S, S, 3] is the same everywhere. Every texel that no triangle owns copies others, or is their mean."""
    return bool((image[::8, ::8] == image[0, 0]).all() and (image == image[0, 0]).all())


def _fill_between(values: np.ndarray, coarse: np.ndarray, texel: np.ndarray, size: int) -> np.ndarray:
    """Fill in, where the known texels around a texel agree, their mean; return the texels where they do not, or are missing."""
    half = (size + 1) // 2
    index, rest = np.flatnonzero(coarse), np.flatnonzero(~coarse)
    at = texel[index]
    grid = np.zeros((half + 1, half + 1), np.uint64)  # One row and column more, for the neighbours past the edge
    known = np.zeros((half + 1, half + 1), bool)
    place = (at // size // 2) * (half + 1) + at % size // 2
    grid.ravel()[place], known.ravel()[place] = values[index], True
    mean, sure = np.empty((size, size), np.uint64), np.zeros((size, size), bool)
    start = (grid, _bytes(grid), _bytes(grid), known)
    beside, above = _joined(start, 1), _joined(start, 0)
    for (row, column), (found, least, most, whole) in (((0, 1), beside), ((1, 0), above), ((1, 1), _joined(beside, 0))):
        rows, columns = mean[row::2, column::2].shape
        alike = whole & ((most - least > ALIKE).view(np.uint64)[..., 0] == 0)  # None of the eight bytes
        mean[row::2, column::2] = found[:rows, :columns]
        sure[row::2, column::2] = alike[:rows, :columns]
    filled = sure.ravel()[texel[rest]]
    values[rest[filled]] = mean.ravel()[texel[rest[filled]]]
    return rest[~filled]


def _bytes(grid: np.ndarray) -> np.ndarray:
    return grid.view(np.uint8).reshape(*grid.shape, 8)


def _joined(parts: tuple[np.ndarray, ...], axis: int) -> tuple[np.ndarray, ...]:
    """Neighbours along an axis joined: (mean of packed bytes, least and most of each byte, whether both are known)."""
    mean, least, most, known = ((part[:-1], part[1:]) if axis == 0 else (part[:, :-1], part[:, 1:]) for part in parts)
    middle = (mean[0] & mean[1]) + (((mean[0] ^ mean[1]) & HALVES) >> 1)  # Of each byte, rounded down
    return middle, np.minimum(*least), np.maximum(*most), known[0] & known[1]


def _affine_maps(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, list]:
    """Each triangle as an affine map from the image into space: (first corner in texels [2, F], per axis (value there, change
    along x, change along y) [F] f32 each)."""
    corners = points.transpose(1, 2, 0).copy()  # [3 (corner), 2, F]
    u, v = corners[1] - corners[0], corners[2] - corners[0]
    area = u[0] * v[1] - u[1] * v[0]
    thin = np.abs(area) < 1e-4  # Rounding would throw its points far away: such a triangle gives its middle.
    scale = 1 / np.where(thin, np.inf, area)
    maps = []
    for axis in range(3):
        a, b, c = np.ascontiguousarray(vertices[:, axis], np.float32)[triangles.T]
        b, c = b - a, c - a
        a = np.where(thin, a + (b + c) / 3, a)
        maps.append((a, (b * v[1] - c * u[1]) * scale, (c * u[0] - b * v[0]) * scale))
    return corners[0], maps


def _positions(maps: tuple[np.ndarray, list], triangle: np.ndarray, texel: np.ndarray, size: int) -> np.ndarray:
    """Surface points [N, 3] f32 under the texel centres."""
    origin, axes = maps
    out = np.empty((texel.size, 3), np.float32)
    for start in range(0, texel.size, CACHED):
        part = slice(start, start + CACHED)
        of, at = triangle[part], texel[part]
        x = (at % size).astype(np.float32) + np.float32(0.5) - origin[0].take(of)
        y = (at // size).astype(np.float32) + np.float32(0.5) - origin[1].take(of)
        for axis, (value, along_x, along_y) in enumerate(axes):
            out[part, axis] = value.take(of) + along_x.take(of) * x + along_y.take(of) * y
    return out


def _images(values: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour and metallic-roughness images from packed values [N] u64 and where each texel takes its own from, [S, S]; where that is -1,
    far from all charts and seen only in small mip levels, the mean."""
    every = values[::16].copy().view(np.uint8).reshape(-1, 8)  # one texel in sixteen is enough for that
    values = np.append(values, np.round(every.mean(axis=0)).astype(np.uint8).view(np.uint64))
    image = torch.from_numpy(values[source].view(np.uint8).reshape(*source.shape, 8))
    return image[:, :, :3].contiguous().numpy(), image[:, :, 3:6].contiguous().numpy()


def spread_texels(texel: np.ndarray, size: int, rounds: int) -> np.ndarray:
    """Which covered texel gives each texel its colour: [S * S] i32 index into `texel`, -1 farther than `rounds` texels away.

    Grows from the borders only, four neighbours a round, so that the cost follows the length of the seams.
    """
    width = size + 2  # A frame of taken texels spares the tests at the edge of the image.
    source = np.full(width * width, -1, np.int32)
    frame = source.reshape(width, width)
    frame[0], frame[-1], frame[:, 0], frame[:, -1] = -2, -2, -2, -2
    source[texel + (texel // size) * 2 + (width + 1)] = np.arange(texel.size, dtype=np.int32)
    free = frame == -1
    seam = (free[:-2, 1:-1] | free[2:, 1:-1] | free[1:-1, :-2] | free[1:-1, 2:]) & ~free[1:-1, 1:-1]
    front = np.flatnonzero(seam)
    front = (front + (front // size) * 2 + (width + 1)).astype(np.int32)
    steps = np.array([[-1], [1], [-width], [width]], np.int32)
    for _ in range(rounds):
        reach = (front + steps).ravel()
        giver = np.tile(source[front], 4)
        open_ = np.flatnonzero(source[reach] == -1)
        reach, giver = reach[open_], giver[open_]
        source[reach] = giver
        # Where several reached the same texel the last one stands: it alone goes on.
        front = reach[source[reach] == giver]
    return frame[1:-1, 1:-1].ravel()
