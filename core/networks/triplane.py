# SPDX-License-Identifier: GPL-3.0-or-later
"""Triplanes: the blocks that work on them and how they are sampled at points.

Planes are [B, 3, C, R, R]: plane i spans the axes PLANE_AXES[i], the first along the columns (u), the second along the rows (v).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.frame import HALF_EXTENT

PLANE_AXES = ((0, 1), (0, 2), (1, 2))  # xy, xz, yz


def sample_planes(planes: Tensor, points: Tensor) -> Tensor:
    """Bilinear features of the three planes, summed. planes: [B, 3, C, R, R], points: [B, N, 3] -> [B, N, C]"""
    batch, _, channels, _, _ = planes.shape
    at = points / HALF_EXTENT
    grid = torch.stack([at[..., axes] for axes in PLANE_AXES], 1).flatten(0, 1)[:, None]  # [B*3, 1, N, 2]
    out = F.grid_sample(planes.flatten(0, 1), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return out.view(batch, 3, channels, -1).sum(1).transpose(1, 2)


class PlaneReader:
    """`sample_planes` for one object and many points, without gradients: each point adds up twelve weighted rows of a table that fits into
    the cache. Four times as fast on a CPU, where grid_sample reads every channel from another place."""

    def __init__(self, planes: Tensor):
        """planes: [1, 3, C, R, R]"""
        self.size = planes.shape[-1]
        self.table = planes[0].permute(0, 2, 3, 1).reshape(-1, planes.shape[2]).contiguous()  # [3*R*R, C]

    def __call__(self, points: Tensor) -> Tensor:
        """points: [N, 3] -> [N, C]"""
        at = ((points / HALF_EXTENT + 1) * ((self.size - 1) / 2)).clamp(0, self.size - 1)
        cell = at.floor().clamp(max=self.size - 2)
        far = at - cell  # [N, 3]: weight of the corner further along each axis
        near, cell = 1 - far, cell.to(torch.int32)
        rows, weights = [], []
        for i, (u, v) in enumerate(PLANE_AXES):
            corner = (i * self.size + cell[:, v]) * self.size + cell[:, u]
            rows += [corner, corner + 1, corner + self.size, corner + self.size + 1]
            weights += [near[:, u] * near[:, v], far[:, u] * near[:, v], near[:, u] * far[:, v], far[:, u] * far[:, v]]
        return F.embedding_bag(torch.stack(rows, 1), self.table, mode="sum", per_sample_weights=torch.stack(weights, 1))


class PlaneMixing(nn.Module):
    """1×1 "3D-aware" convolution (Wang et al. 2023, RODIN): every plane sees the two others averaged along the axis it does not share.

    Averaged planes vary along one axis only, so their share of the convolution runs on lines and is broadcast: a third of the arithmetic.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.own = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.columns = nn.ModuleList(nn.Conv1d(channels, channels, 1, bias=False) for _ in range(3))
        self.rows = nn.ModuleList(nn.Conv1d(channels, channels, 1, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:  # x: [B, 3, C, R, R]
        xy, xz, yz = x.unbind(1)
        # For each plane the others' means along its columns' axis and its rows' axis: mean(2) leaves columns, mean(3) leaves rows.
        lines = ((xz.mean(2), yz.mean(2)), (xy.mean(2), yz.mean(3)), (xy.mean(3), xz.mean(3)))
        return torch.stack(
            [
                self.own[i](plane) + self.columns[i](column)[:, :, None, :] + self.rows[i](row)[:, :, :, None]
                for i, (plane, (column, row)) in enumerate(zip((xy, xz, yz), lines, strict=True))
            ],
            1,
        )


class Block(nn.Module):
    """Residual block: convolution, plane mixing, convolution; text and style enter by scale and shift, and by cross-attention. An untrained
    one hands on the first of its channels as they are, so that a trained network may be given another block."""

    def __init__(self, channels_in: int, channels: int, condition: int, attention: bool):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(group_count(channels_in), channels_in), nn.Conv2d(channels_in, channels, 3, padding=1)
        self.norm2, self.mix = nn.GroupNorm(group_count(channels), channels), PlaneMixing(channels)
        self.norm3, self.conv2 = nn.GroupNorm(group_count(channels), channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(condition, 2 * channels)
        self.short = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()
        self.attention = CrossAttention(channels, condition) if attention else None
        if isinstance(self.short, nn.Conv2d):
            nn.init.dirac_(self.short.weight)
            nn.init.zeros_(self.short.bias)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        nn.init.normal_(self.film.weight, std=0.02)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor, tokens: Tensor) -> Tensor:
        """x: [B, 3, C, R, R], condition: [B, D], tokens: [B, K, D]"""
        flat = x.flatten(0, 1)
        h = self.conv1(F.silu(self.norm1(flat)))
        h = self.mix(F.silu(self.norm2(h)).unflatten(0, (-1, 3))).flatten(0, 1)
        scale, shift = self.film(condition).repeat_interleave(3, 0)[..., None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm3(h) * (1 + scale) + shift))
        out = (self.short(flat) + h).unflatten(0, (-1, 3))
        return out if self.attention is None else out + self.attention(out, tokens)


class CrossAttention(nn.Module):
    """Cross-attention: every cell of the planes attends to the condition tokens."""

    def __init__(self, channels: int, width: int, head: int = 32):
        super().__init__()
        self.heads = max(1, channels // head)
        inner = self.heads * head
        self.norm, self.query = nn.GroupNorm(group_count(channels), channels), nn.Conv2d(channels, inner, 1)
        self.key_value, self.out = nn.Linear(width, 2 * inner), nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        batch, _, _, size, _ = x.shape
        q = self.query(self.norm(x.flatten(0, 1)))  # [B*3, H*D, R, R]
        q = q.view(batch, 3, self.heads, -1, size * size).permute(0, 2, 1, 4, 3).flatten(2, 3)  # [B, H, 3*R*R, D]
        k, v = self.key_value(tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [B, H, K, D] each
        out = F.scaled_dot_product_attention(q, k, v)
        out = out.unflatten(2, (3, -1)).permute(0, 2, 1, 4, 3).reshape(batch * 3, -1, size, size)
        return self.out(out).unflatten(0, (batch, 3))


class Down(nn.Module):
    """Halve the planes."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.flatten(0, 1)).unflatten(0, (-1, 3))


class Up(nn.Module):
    """Double the planes: nearest neighbour, then a conditioned convolution that takes the checkerboard out."""

    def __init__(self, channels_in: int, channels: int, condition: int):
        super().__init__()
        self.narrow = nn.Conv2d(channels_in, channels, 1)
        self.norm, self.film = nn.GroupNorm(group_count(channels), channels), nn.Linear(condition, 2 * channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.film.weight, std=0.02)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x: [B, 3, C, R, R], condition: [B, D] -> [B, 3, C', 2R, 2R]"""
        scale, shift = self.film(condition).repeat_interleave(3, 0)[..., None, None].chunk(2, 1)
        x = F.silu(self.norm(self.narrow(x.flatten(0, 1))) * (1 + scale) + shift)
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest")).unflatten(0, (-1, 3))


def group_count(channels: int) -> int:
    return next(g for g in (16, 8, 4, 2, 1) if (channels % g == 0 and channels // g >= 4) or g == 1)
