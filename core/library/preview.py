# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of exact objects by sphere tracing: contact sheets for the eye, and reference renders.

`picture` shades what any renderer found, so that pictures of a mesh and of an exact object differ in nothing else.
"""

import math

import torch
from torch import Tensor

from core.library.starter.objects import ExactObjects

GROUND = (0.90, 0.90, 0.92)  # sRGB
MARGIN = 0.01  # around an object's box, in which rays are followed
SORTED = 3  # steps after which rays that have arrived are left behind
SLOWLY = 0.8  # of the distance a step: that of scaled and bent parts is too long here and there
AT_LEAST = 2e-3  # a step from outside: rays that graze the surface would never get past it; a pixel at 128² is five times as wide
HIT, CLOSE = 5e-4, 2e-4  # distances that count as a hit, and at which a ray need not go on


def camera_rays(
    size: int, azimuth: float = 35.0, elevation: float = 20.0, fov: float = 30.0, distance: float = 2.35
) -> tuple[Tensor, Tensor]:
    """Origin [3] and unit directions [size, size, 3] (top row first) of a camera that looks at the origin; degrees, z up, 0° on +x."""
    backward, right, up = camera_axes(azimuth, elevation)
    t = (torch.arange(size) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(-t, t, indexing="ij")
    k = math.tan(math.radians(fov / 2))
    d = (u[..., None] * right + v[..., None] * up) * k - backward
    return backward * distance, d / d.norm(dim=-1, keepdim=True)


def camera_axes(azimuth: float, elevation: float) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors [3] that point backward, right and up."""
    a, e = math.radians(azimuth), math.radians(elevation)
    backward = torch.tensor((math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)))
    right = torch.tensor((-math.sin(a), math.cos(a), 0.0))
    return backward, right, torch.linalg.cross(backward, right)


@torch.no_grad()
def render(objects: ExactObjects, size: int = 128, steps: int = 96, **camera: float) -> Tensor:
    """Shaded sRGB pictures [B, size, size, 3] on a light ground, one of each object."""
    origin, direction = camera_rays(size, **camera)
    direction = direction.reshape(1, -1, 3).to(objects.z.device)
    pictures = render_rays(objects, origin.to(direction).expand_as(direction), direction, steps)
    return pictures.reshape(-1, size, size, 3)


@torch.no_grad()
def render_rays(objects: ExactObjects, origin: Tensor, direction: Tensor, steps: int = 96) -> Tensor:
    """What B objects look like along R rays, origin and direction [1, R, 3] for all of them: sRGB [B, R, 3]."""
    points, hit = trace(objects, origin, direction, steps)
    seen = hit.any(0).nonzero()[:, 0]  # shading is dear: only rays that hit some object
    some = points[:, seen]
    normal, look = objects.sdf_and_normal(some)[1], objects.appearance(some)
    out = torch.tensor(GROUND, device=points.device).expand(*points.shape).clone()
    out[:, seen] = torch.where(hit[:, seen, None], picture(direction[:, seen], normal, look), out[:, seen])
    return out


@torch.no_grad()
def trace(objects: ExactObjects, origin: Tensor, direction: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Where rays [1, R, 3] end: points [B, R, 3], and whether they lie on the object's surface [B, R]."""
    t, far = box_spans(objects, origin, direction)
    going = _first(t < far)  # [B, K] rays still on their way in some object; some of those that are not go along to fill the rows
    for i in range(steps):
        at = t.gather(1, going)
        d = objects.raw(origin[0, going] + direction[0, going] * at[..., None])
        step = SLOWLY * d.clamp(-0.1, 0.2)
        at = at + torch.where(d > HIT, step.clamp(min=AT_LEAST), step)
        t.scatter_(1, going, at)
        if i % SORTED == 0:
            going = going.gather(1, _first((d.abs() > CLOSE) & (at < far.gather(1, going))))
        if not going.shape[1]:
            break
    points = origin + direction * t[..., None]
    hit = t < far
    rays = _first(hit)
    there = objects.raw(points.gather(1, rays[..., None].expand(-1, -1, 3))).abs() < HIT
    return points, hit & torch.zeros_like(hit).scatter_(1, rays, there)


def box_spans(objects: ExactObjects, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays [1, R, 3] enter and leave each object's box, a little grown: [B, R] each; who misses leaves before entering."""
    half = objects.half_size[:, None] + MARGIN  # [B, 1, 3]
    flat = torch.where(direction.abs() < 1e-9, 1e-9, direction)
    low, high = (-half - origin) / flat, (half - origin) / flat
    return torch.minimum(low, high).amax(-1), torch.maximum(low, high).amin(-1)


def _first(chosen: Tensor) -> Tensor:
    """Columns of each row [B, R], the chosen ones first, as many as the fullest row has chosen: [B, K]"""
    return chosen.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : int(chosen.sum(1).amax())]


def picture(direction: Tensor, normal: Tensor, look: Tensor) -> Tensor:
    """sRGB [..., 3] of surface points seen along `direction` [..., 3], with unit `normal` [..., 3] and `look` [..., 5]."""
    linear = look[..., :3].clamp(min=0) ** 2.2
    key = torch.nn.functional.normalize(torch.tensor((0.8, -0.3, 1.0), device=look.device), dim=0)
    diffuse = (normal @ key).clamp(min=0)
    ambient = 0.45 + 0.2 * normal[..., 2]
    half = torch.nn.functional.normalize(key - direction, dim=-1)
    shine = (normal * half).sum(-1).clamp(min=0) ** (2 / look[..., 3].clamp(min=0.1) ** 3)
    shine = shine * (0.08 + 0.5 * look[..., 4]) * (1 - look[..., 3])
    shaded = linear * (ambient + 0.75 * diffuse)[..., None] + shine[..., None]
    return shaded.clamp(0, 1) ** (1 / 2.2)
