# SPDX-License-Identifier: GPL-3.0-or-later
"""What a surface point looks like: the same for every renderer, so that pictures of two objects differ in nothing but the objects."""

import torch
from torch import Tensor

GROUND = (0.90, 0.90, 0.92)  # sRGB, behind the objects


def shade(direction: Tensor, normal: Tensor, look: Tensor) -> Tensor:
    """sRGB [..., 3] of surface points seen along `direction` [..., 3]: one light, ambient light from above, a highlight.

    normal: unit [..., 3]. look: sRGB base colour, roughness and metallic [..., 5].
    """
    linear = look[..., :3].clamp(min=0) ** 2.2
    key = torch.nn.functional.normalize(torch.tensor((0.8, -0.3, 1.0), device=look.device), dim=0)
    diffuse = (normal @ key).clamp(min=0)
    ambient = 0.45 + 0.2 * normal[..., 2]
    half = torch.nn.functional.normalize(key - direction, dim=-1)
    shine = (normal * half).sum(-1).clamp(min=0) ** (2 / look[..., 3].clamp(min=0.1) ** 3)
    shine = shine * (0.08 + 0.5 * look[..., 4]) * (1 - look[..., 3])
    shaded = linear * (ambient + 0.75 * diffuse)[..., None] + shine[..., None]
    return shaded.clamp(0, 1) ** (1 / 2.2)


def lambert(color: Tensor, normal: Tensor, light: Tensor, ambient: float | Tensor = 0.5) -> Tensor:
    """Matt sRGB colours [..., 3] under a far light, soft enough to train by: never black, and `color` itself where the light falls
    straight. normal, light: unit vectors [..., 3], the light's towards it. ambient: the share of the light that comes from all around."""
    facing = (normal * light).sum(-1, keepdim=True).clamp(min=0)
    return color * (ambient + (1 - ambient) * facing)


def to_bytes(pictures: Tensor) -> Tensor:
    """0..1 as u8, on the CPU."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
