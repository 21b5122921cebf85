# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser that Warp compiles, for CPU and CUDA from one source. Importing this module loads Warp; the first call compiles, and
keeps what it compiled in Warp's own cache folder."""

import torch
import warp as wp
from torch import Tensor

from core.rendering.raster import NOTHING, snapped

STRIPS = 16  # threads that share a triangle on a GPU: rows 0, 16, 32 …, rows 1, 17, 33 …
EMPTY = (1 << 63) - 1

wp.config.log_level = wp.LOG_ERROR  # Warp greets on stdout, which is a command's answer
wp.init()


@wp.kernel(enable_backward=False)
def cover(
    vertices: wp.array3d(dtype=wp.int32),  # [B, V, 2]
    depths: wp.array2d(dtype=wp.float64),  # [B, V]
    triangles: wp.array2d(dtype=wp.int32),  # [F, 3]
    strips: int,
    height: int,
    width: int,
    nearest: wp.array3d(dtype=wp.int64),  # [B, H, W]: depth << 32 | face, the smallest wins
):
    view, face, strip = wp.tid()
    a, b, c = triangles[face, 0], triangles[face, 1], triangles[face, 2]
    za, zb, zc = depths[view, a], depths[view, b], depths[view, c]
    if not (wp.isfinite(za) and wp.isfinite(zb) and wp.isfinite(zc)):
        return
    ax, ay = wp.int64(vertices[view, a, 0]), wp.int64(vertices[view, a, 1])
    bx, by = wp.int64(vertices[view, b, 0]), wp.int64(vertices[view, b, 1])
    cx, cy = wp.int64(vertices[view, c, 0]), wp.int64(vertices[view, c, 1])
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    zero = wp.int64(0)
    if area == zero:
        return
    sign = wp.where(area < zero, wp.int64(-1), wp.int64(1))  # both sides of a triangle are seen
    across_a, down_a = (cx - bx) * sign, (cy - by) * sign  # the edges opposite the corners
    across_b, down_b = (ax - cx) * sign, (ay - cy) * sign
    across_c, down_c = (bx - ax) * sign, (by - ay) * sign
    # Shifts round down for negative numbers too: the first and last centres, at 256 n + 128, that the box holds.
    left = wp.max((wp.min(wp.min(ax, bx), cx) + wp.int64(127)) >> wp.int64(8), zero)
    right = wp.min((wp.max(wp.max(ax, bx), cx) - wp.int64(128)) >> wp.int64(8), wp.int64(width - 1))
    top = wp.max((wp.min(wp.min(ay, by), cy) + wp.int64(127)) >> wp.int64(8), zero)
    bottom = wp.min((wp.max(wp.max(ay, by), cy) - wp.int64(128)) >> wp.int64(8), wp.int64(height - 1))
    # Shares of the corners grow evenly along a row; a centre on an edge is its who owns it, as in raster_plain.
    least_a = wp.where(down_a > zero or (down_a == zero and across_a < zero), zero, wp.int64(1))
    least_b = wp.where(down_b > zero or (down_b == zero and across_b < zero), zero, wp.int64(1))
    least_c = wp.where(down_c > zero or (down_c == zero and across_c < zero), zero, wp.int64(1))
    x = left * wp.int64(256) + wp.int64(128)
    for row in range(int(top) + strip, int(bottom) + 1, strips):
        y = wp.int64(row) * wp.int64(256) + wp.int64(128)
        share_a = across_a * (y - by) - down_a * (x - bx)
        share_b = across_b * (y - cy) - down_b * (x - cx)
        share_c = across_c * (y - ay) - down_c * (x - ax)
        for column in range(int(left), int(right) + 1):
            if share_a >= least_a and share_b >= least_b and share_c >= least_c:
                z = wp.float64(share_a) * za + wp.float64(share_b) * zb + wp.float64(share_c) * zc
                z = z / wp.float64(area * sign)
                if z >= wp.float64(-1.0) and z <= wp.float64(1.0):
                    depth = wp.int64((z + wp.float64(1.0)) * wp.float64(1073741824.0))
                    wp.atomic_min(nearest, view, row, column, (depth << wp.int64(32)) | wp.int64(face))
            share_a -= down_a * wp.int64(256)
            share_b -= down_b * wp.int64(256)
            share_c -= down_c * wp.int64(256)


def find_faces(clip: Tensor, triangles: Tensor, height: int, width: int) -> Tensor:
    """As `core.rendering.raster.FindFaces`."""
    vertices, depths = snapped(clip, height, width)
    nearest = torch.full((len(clip), height, width), EMPTY, dtype=torch.int64, device=clip.device)
    strips = 1 if clip.device.type == "cpu" else STRIPS
    arrays = [wp.from_torch(t) for t in (vertices, depths, triangles)]
    stream = None if clip.device.type == "cpu" else wp.stream_from_torch(torch.cuda.current_stream(clip.device))
    wp.launch(
        cover, (len(clip), len(triangles), strips), inputs=[*arrays, strips, height, width, wp.from_torch(nearest)],
        device=wp.device_from_torch(clip.device), stream=stream,
    )  # fmt: skip
    return torch.where(nearest == EMPTY, NOTHING, nearest & 0xFFFFFFFF).to(torch.int32)
