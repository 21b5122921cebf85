# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a textured mesh and of its exact object: the same cameras, rays and shading, so that only the objects differ."""

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from core.library.starter.objects import ExactObjects
from core.mesh import TexturedMesh
from core.rendering import mesh_pictures, trace
from core.rendering.cameras import Camera
from core.rendering.shading import GROUND, to_bytes

CAMERAS = tuple(Camera(azimuth, distance=3.0) for azimuth in (35.0, 125.0, 215.0, 305.0))  # far enough for a cube of the largest size
SIZE = 128


def exact_views(exact: ExactObjects, size: int = SIZE) -> np.ndarray:
    """The exact object from all sides: [views, size, size, 3] u8. `exact` holds one object."""
    origin, direction = (torch.cat(rays)[None] for rays in zip(*(camera.rays(size) for camera in CAMERAS), strict=True))
    return to_bytes(trace.render_rays(exact.solid(), origin, direction)[0].reshape(len(CAMERAS), size, size, 3)).numpy()


def exact_pictures(exact: ExactObjects, view: int, size: int = SIZE) -> np.ndarray:
    """Exact objects from one of the sides: [B, size, size, 3] u8."""
    return to_bytes(trace.render(exact.solid(), CAMERAS[view], size)).numpy()


def mesh_views(mesh: TexturedMesh, size: int = SIZE) -> np.ndarray:
    """The mesh from all sides: [views, size, size, 3] u8."""
    return to_bytes(mesh_pictures.render(mesh, CAMERAS, size)).numpy()


def empty_views(size: int = SIZE) -> np.ndarray:
    """The bare ground: what a mesh that does not exist looks like."""
    return to_bytes(torch.tensor(GROUND).expand(len(CAMERAS), size, size, 3)).numpy()


def likeness(made: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """psnr (dB, of all views together) and ssim (mean of the views, 7 × 7 windows) of pictures [views, size, size, 3] u8."""
    same = bool((made == exact).all())
    ssim = [structural_similarity(a, b, channel_axis=-1) for a, b in zip(made, exact, strict=True)]
    return {"psnr": 99.0 if same else float(peak_signal_noise_ratio(exact, made)), "ssim": float(np.mean(ssim))}
