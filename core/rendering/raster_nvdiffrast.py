# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's nvdiffrast (Laine et al. 2020) as rasteriser, for who has installed it: CUDA only, and its licence allows no commercial use.

Only the triangles' numbers are taken from it; weights, depth and gradients are the same code for every rasteriser. It has row 0 below,
where pictures here have it on top, hence y is turned; it counts triangles from 1 and needs sides that are multiples of 8, hence the
margin on the right and below. It clips triangles that reach behind the camera, which the others leave out.
"""

from functools import cache

import nvdiffrast.torch as dr
import torch
from torch import Tensor


@cache
def _context(device: torch.device) -> "dr.RasterizeCudaContext":
    return dr.RasterizeCudaContext(device=device)


def find_faces(clip: Tensor, triangles: Tensor, height: int, width: int) -> Tensor:
    """As `core.rendering.raster.FindFaces`."""
    full = [-(-side // 8) * 8 for side in (height, width)]
    x, y, z, w = clip.float().unbind(-1)
    # In the larger picture, the same pixels: one unit of clip space is so much less of it.
    x = (x + w) * (width / full[1]) - w
    y = (w - y) * (height / full[0]) - w
    found, _ = dr.rasterize(_context(clip.device), torch.stack((x, y, z, w), -1).contiguous(), triangles, resolution=full, grad_db=False)
    return found[:, :height, :width, 3].to(torch.int32).sub(1).contiguous()
