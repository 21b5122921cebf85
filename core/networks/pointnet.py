# SPDX-License-Identifier: GPL-3.0-or-later
"""Point cloud to three feature planes: a PointNet whose points talk through the cells they share.

The local pooling is Convolutional Occupancy Networks' (Peng et al. 2020).
"""

import torch
from torch import Tensor, nn

from core.networks.triplane import PLANE_AXES


class PointNet(nn.Module):
    """Points with normals [B, N, 6] in ±0.5 -> planes [B, 3, C, R, R]."""

    def __init__(self, hidden: int, channels: int, resolution: int, blocks: int = 3):
        super().__init__()
        self.resolution = resolution
        self.enter = nn.Linear(6, 2 * hidden)
        self.blocks = nn.ModuleList(_ResidualLinear(2 * hidden, hidden) for _ in range(blocks))
        self.leave = nn.Linear(hidden, channels)

    def forward(self, cloud: Tensor) -> Tensor:
        cells = self._cells(cloud[..., :3])  # [B, 3, N]
        features = self.blocks[0](self.enter(cloud))
        for block in self.blocks[1:]:
            pooled = sum(self._pool_and_gather(features, cells[:, plane]) for plane in range(3))
            features = block(torch.cat((features, pooled), -1))
        features = self.leave(features)
        planes = [mean_by_cell(features, cells[:, plane], self.resolution**2) for plane in range(3)]
        return torch.stack(planes, 1).unflatten(3, (self.resolution, self.resolution))

    def _cells(self, xyz: Tensor) -> Tensor:
        """Index of each point's cell on each plane. [B, N, 3] -> [B, 3, N]"""
        at = ((xyz + 0.5).clamp(0, 1 - 1e-5) * self.resolution).long()
        return torch.stack([at[..., v] * self.resolution + at[..., u] for u, v in PLANE_AXES], 1)

    def _pool_and_gather(self, features: Tensor, cells: Tensor) -> Tensor:
        best = by_cell(features, cells, self.resolution**2, "amax")  # the largest of some numbers does not depend on their order
        return best.gather(2, cells[:, None].expand(-1, features.shape[-1], -1)).transpose(1, 2)


def by_cell(features: Tensor, cells: Tensor, count: int, reduce: str) -> Tensor:
    """The "mean" or "amax" of the points in each cell, 0 where there is none. features: [B, N, C], cells: [B, N] -> [B, C, count]"""
    plane = features.new_zeros(len(features), features.shape[-1], count)
    index = cells[:, None].expand(-1, features.shape[-1], -1)
    return plane.scatter_reduce(2, index, features.transpose(1, 2), reduce, include_self=False)


def mean_by_cell(features: Tensor, cells: Tensor, count: int) -> Tensor:
    """The mean of `by_cell`, the same bits every time: a GPU's scatter_reduce adds in whatever order its threads arrive, so there the
    points are sorted by cell and those of each are added in the order that the CPU adds them in."""
    return by_cell(features, cells, count, "mean") if features.device.type == "cpu" else mean_of_sorted(features, cells, count)


def mean_of_sorted(features: Tensor, cells: Tensor, count: int) -> Tensor:
    """What `by_cell` gives for "mean", by a sort and sums of segments; without a word from the GPU to the CPU."""
    batch, _, channels = features.shape
    first = torch.arange(batch, device=cells.device)[:, None] * count
    rows, order = (cells + first).flatten().sort(stable=True)
    edges = torch.searchsorted(rows, torch.arange(batch * count + 1, device=cells.device))
    sums = torch.segment_reduce(features.flatten(0, 1)[order], "sum", offsets=edges, axis=0, unsafe=True, initial=0)
    means = sums / edges.diff().clamp(min=1)[:, None].to(sums.dtype)
    return means.view(batch, count, channels).transpose(1, 2)


class _ResidualLinear(nn.Module):
    def __init__(self, wide: int, narrow: int):
        super().__init__()
        self.first, self.second, self.short = nn.Linear(wide, narrow), nn.Linear(narrow, narrow), nn.Linear(wide, narrow, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(x) + self.second(torch.relu(self.first(torch.relu(x))))


def fibonacci_sphere(count: int, radius: float = 0.4) -> Tensor:
    """The dummy cloud: points spread evenly on a sphere, with normals. [count, 6]"""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * i / count
    angle = torch.pi * (1 + 5**0.5) * i
    r = torch.sqrt(1 - z * z)
    normal = torch.stack((r * torch.cos(angle), r * torch.sin(angle), z), -1).float()
    return torch.cat((normal * radius, normal), -1)
