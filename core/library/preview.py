# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of exact objects by sphere tracing: contact sheets for the eye, and reference renders."""

import math

import torch
from torch import Tensor

from core.library.objects import ExactObjects


def camera_rays(
    size: int, azimuth: float = 35.0, elevation: float = 20.0, fov: float = 30.0, distance: float = 2.35
) -> tuple[Tensor, Tensor]:
    """Origin [3] and unit directions [size, size, 3] (top row first) of a camera that looks at the origin; degrees, z up, 0° on +x."""
    a, e = math.radians(azimuth), math.radians(elevation)
    backward = torch.tensor((math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)))
    right = torch.tensor((-math.sin(a), math.cos(a), 0.0))
    up = torch.linalg.cross(backward, right)
    t = (torch.arange(size) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(-t, t, indexing="ij")
    k = math.tan(math.radians(fov / 2))
    d = (u[..., None] * right + v[..., None] * up) * k - backward
    return backward * distance, d / d.norm(dim=-1, keepdim=True)


@torch.no_grad()
def render(objects: ExactObjects, size: int = 128, steps: int = 48, **camera: float) -> Tensor:
    """Shaded sRGB pictures [B, size, size, 3] on a light ground."""
    device, batch = objects.z.device, len(objects.descriptions)
    origin, direction = camera_rays(size, **camera)
    origin, direction = origin.to(device), direction.to(device).reshape(1, -1, 3)
    t = torch.full((batch, size * size), 1.4, device=device)
    for _ in range(steps):
        d = objects.raw(origin + direction * t[..., None])
        t = (t + 0.8 * d.clamp(-0.1, 0.2)).clamp(max=4.0)
    points = origin + direction * t[..., None]
    hit = (objects.raw(points).abs() < 0.01) & (t < 3.9)
    _, normal = objects.sdf_and_normal(points)
    look = objects.appearance(points)
    linear = look[..., :3].clamp(min=0) ** 2.2
    key = torch.nn.functional.normalize(torch.tensor((0.8, -0.3, 1.0), device=device), dim=0)
    diffuse = (normal @ key).clamp(min=0)
    ambient = 0.45 + 0.2 * normal[..., 2]
    half = torch.nn.functional.normalize(key - direction, dim=-1)
    shine = (normal * half).sum(-1).clamp(min=0) ** (2 / look[..., 3].clamp(min=0.1) ** 3)
    shine = shine * (0.08 + 0.5 * look[..., 4]) * (1 - look[..., 3])
    shaded = linear * (ambient + 0.75 * diffuse)[..., None] + shine[..., None]
    picture = torch.where(hit[..., None], shaded.clamp(0, 1) ** (1 / 2.2), torch.tensor((0.90, 0.90, 0.92), device=device))
    return picture.reshape(batch, size, size, 3)
