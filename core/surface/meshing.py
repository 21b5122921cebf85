# SPDX-License-Identifier: GPL-3.0-or-later
"""From a signed distance field to a mesh of the size that was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from core.surface.creases import sharp_edges
from core.surface.decimate import decimate
from core.surface.extract import SignedDistance, extract_surface


@dataclass(frozen=True)
class Surface:
    """vertices [V, 3] f32, triangles [F, 3] i32: welded, closed, manifold, counter-clockwise seen from outside. sharp [E, 2] i32: edges
    to be shaded sharp, the lower vertex first. note: a sentence where it has more triangles than were asked for."""

    vertices: np.ndarray
    triangles: np.ndarray
    sharp: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int32))
    note: str = ""


def make_surface(
    sdf: SignedDistance,
    *,
    resolution: int,
    triangles: int | None = None,
    device: torch.device | str = "cpu",
    cancelled: Callable[[], bool] | None = None,
) -> Surface:
    """The zero level of `sdf` with about `triangles` triangles at most; None: as many as a grid of `resolution` cells gives.

    Raises as `extract_surface` does.
    """
    vertices, faces = extract_surface(sdf, resolution=resolution, device=device, cancelled=cancelled)
    if triangles is None or triangles >= len(faces):
        return Surface(vertices, faces)
    vertices, faces, note = decimate(vertices, faces, triangles)
    return Surface(vertices, faces, sharp_edges(vertices, faces), note)
