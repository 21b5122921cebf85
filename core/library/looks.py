# SPDX-License-Identifier: GPL-3.0-or-later
"""The look of points on an exported asset: its materials' factors, pictures and corner colours as sRGB colour, roughness and metallic."""

import numpy as np
from numpy import ndarray

CHANNELS = ("color", "roughness", "metallic")


def look_at(facts: dict, arrays: dict[str, ndarray], triangle: ndarray, place: ndarray) -> tuple[ndarray, ndarray]:
    """Of points given by their triangle [N] and barycentric place in it [N, 3]: [N, 5] f32, and whether it is known [N].

    facts, arrays: what Blender wrote (latte3d_blender/library.py, `Export.message`).
    """
    look, known = np.zeros((len(triangle), 5), np.float32), np.zeros(len(triangle), bool)
    of = arrays["look"][triangle]
    for number, entry in enumerate(facts["looks"]):
        rows = np.flatnonzero(of == number)
        if not entry["known"] or not len(rows):
            continue
        known[rows] = True
        at, where = triangle[rows], place[rows].astype(np.float32)
        color = np.asarray(entry["color"]["factor"], np.float32) * np.einsum("nc,nck->nk", where, arrays["corner"][at])
        color = color * to_linear(_pictured(entry["color"], arrays, at, where, 3))
        look[rows, :3] = to_srgb(color)
        for k, channel in enumerate(CHANNELS[1:], 3):
            look[rows, k] = entry[channel]["factor"][0] * _pictured(entry[channel], arrays, at, where, 1)[:, 0]
    return look.clip(0, 1), known


def _pictured(channel: dict, arrays: dict[str, ndarray], triangle: ndarray, place: ndarray, width: int) -> ndarray:
    """What a channel's picture shows at points, [N, width] 0 … 1 as the picture holds it; ones where it has none."""
    if channel["picture"] < 0:
        return np.ones((len(triangle), width), np.float32)
    picture = arrays[f"picture{channel['picture']}"]
    uvs = arrays.get(f"uv{channel['uv']}")
    uv = np.einsum("nc,nck->nk", place, uvs[triangle]) if uvs is not None else np.zeros((len(triangle), 2), np.float32)
    return sample(picture.reshape(*picture.shape[:2], -1), uv, channel["interpolation"] == "Closest", channel["extension"])


def sample(picture: ndarray, uv: ndarray, closest: bool, extension: str) -> ndarray:
    """A picture of bytes [H, W, C], lowest row first, at uv [N, 2]: [N, C] 0 … 1."""
    height, width = picture.shape[:2]
    at = np.nan_to_num(uv.astype(np.float64)) * (width, height) - (0.0 if closest else 0.5)
    low = np.floor(at).astype(np.int64)
    share = (at - low).astype(np.float32)

    def take(dx: int, dy: int) -> ndarray:
        return picture[_index(low[:, 1] + dy, height, extension), _index(low[:, 0] + dx, width, extension)].astype(np.float32) / 255

    if closest:
        return take(0, 0)
    x, y = share[:, :1], share[:, 1:]
    return (take(0, 0) * (1 - x) + take(1, 0) * x) * (1 - y) + (take(0, 1) * (1 - x) + take(1, 1) * x) * y


def _index(i: ndarray, size: int, extension: str) -> ndarray:
    if extension == "REPEAT":
        return i % size
    if extension == "MIRROR":
        return np.minimum(i % (2 * size), 2 * size - 1 - i % (2 * size))
    return i.clip(0, size - 1)


def to_linear(srgb: ndarray) -> ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clip(0) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: ndarray) -> ndarray:
    linear = linear.clip(0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
