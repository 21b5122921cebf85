# SPDX-License-Identifier: GPL-3.0-or-later
"""Point clouds on disk: "points" [N, 3] f32 in the library's frame, optional "normals" [N, 3] f32 and "colors" [N, 3] f32 (sRGB, 0..1)."""

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core.errors import BadRequest
from core.files import replace_file
from core.frame import SPAN

ROUNDING = 1e-4  # how far beyond the frame a point may lie


def write_cloud(path: str | os.PathLike, points: np.ndarray, **more: np.ndarray) -> None:
    """Store a point cloud [N, 3] with optional normals and colors, atomically. Raises ValueError where shapes are wrong."""
    arrays = {"points": points, **more}
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    if wrong := _what_is_wrong(arrays):
        raise ValueError(wrong)
    replace_file(Path(path), lambda name: save_file(arrays, name))


def read_cloud(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a point cloud. Raises BadRequest naming the file and what is wrong with it."""
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadRequest(f"{path} cannot be read.", f"{error}.") from error
    if wrong := _what_is_wrong(arrays):
        raise BadRequest(f"{path}: {wrong}.")
    return arrays


def _what_is_wrong(arrays: dict[str, np.ndarray]) -> str:
    if strange := sorted(set(arrays) - {"points", "normals", "colors"}):
        return f"unknown array {strange[0]!r}"
    if "points" not in arrays or not len(arrays["points"]):
        return "there are no points"
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.shape != (len(arrays["points"]), 3) or not np.isfinite(array).all():
            return f"{name} is {array.dtype} {list(array.shape)}, not {len(arrays['points'])} rows of three finite float32 numbers"
    return "" if np.abs(arrays["points"]).max() <= SPAN / 2 + ROUNDING else "points lie outside the frame (±0.48)"
