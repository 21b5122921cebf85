# SPDX-License-Identifier: GPL-3.0-or-later
"""The twin of `core.surface.texels` in torch: the same texels and the same losers, bit for bit, found on the device."""

import numpy as np
import torch
from torch import Tensor


def owned_on_device(
    points: np.ndarray, depth: np.ndarray, width: int, height: int, device: torch.device | str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `core.surface.texels.owned_texels`."""
    triangle, texel = covered_on_device(torch.from_numpy(points).to(device, torch.float32), width, height)
    shared = torch.zeros(width * height, dtype=torch.int32, device=device).index_add_(0, texel, torch.ones_like(texel)) > 1
    clash = shared[texel].nonzero()[:, 0]
    if not len(clash):
        return triangle.cpu().numpy(), texel.cpu().numpy(), np.empty(0, np.int64)
    at, of = texel[clash].long(), triangle[clash]
    order = torch.from_numpy(depth).to(device)[of].argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=device))
    nearest = torch.zeros(width * height, dtype=torch.int64, device=device).scatter_reduce_(0, at, rank, "amax")
    lost = torch.unique(of[rank != nearest[at]])
    return triangle.cpu().numpy(), texel.cpu().numpy(), lost.cpu().numpy()


def covered_on_device(points: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """As `core.surface.texels.covered_texels`: points [F, 3, 2] f32 -> (triangle [N] i32, texel [N] i32)"""
    triangle, row, first, last = _row_spans(points, height)
    first, last = first.clamp(0, width), last.clamp(0, width)
    keep = (last > first).nonzero()[:, 0]
    count = (last - first)[keep]
    start = row[keep] * width + first[keep] - (count.cumsum(0) - count)
    texel = torch.repeat_interleave(start, count)
    texel += torch.arange(len(texel), device=points.device)
    return torch.repeat_interleave(triangle[keep], count, output_size=len(texel)).to(torch.int32), texel.to(torch.int32)


def _row_spans(points: Tensor, height: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(triangle, row, first column, column after the last), one entry for each row of texel centres that a triangle crosses; all i64."""
    x, y = ([corner.contiguous() for corner in axis.T] for axis in points.unbind(2))
    for low, high in ((0, 1), (1, 2), (0, 1)):
        swap = y[low] > y[high]
        for axis in (y, x):
            axis[low], axis[high] = torch.where(swap, axis[high], axis[low]), torch.where(swap, axis[low], axis[high])
    bound = [(corner - 0.5).ceil().clamp(0, height).long() for corner in y]
    rows = torch.stack((bound[1] - bound[0], bound[2] - bound[1]), 1).view(-1)
    first_row = torch.stack((bound[0], bound[1]), 1).view(-1)
    part = torch.repeat_interleave(torch.arange(len(rows), device=points.device), rows)
    step = torch.arange(len(part), device=points.device) - (rows.cumsum(0) - rows)[part]
    row, triangle = first_row[part] + step, part >> 1
    ends = [torch.stack(pair, 1).view(-1) for pair in ((x[0], x[1]), (y[0], y[1]), (x[1], x[2]), (y[1], y[2]))]
    slope, start = _edges(*ends, first_row)
    short = start[part] + step.float() * slope[part]
    slope, start = _edges(x[0], y[0], x[2], y[2], bound[0])
    long = start[triangle] + (row - bound[0][triangle]).float() * slope[triangle]
    first, last = torch.minimum(short, long), torch.maximum(short, long)
    return triangle, row, (first - 0.5).ceil().long(), (last - 0.5).ceil().long()


def _edges(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """As `core.surface.texels._edges`."""
    slope = (x1 - x0) / (y1 - y0)
    return slope, x0 + (row.float() + 0.5 - y0) * slope
