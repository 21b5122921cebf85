# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphere tracing of any distance function within a box: exact objects, a network's fields, a shape by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.rendering.cameras import Camera
from core.rendering.shading import GROUND, shade

MARGIN = 0.01  # around an object's box, in which rays are followed
SORTED = 3  # steps after which rays that have arrived are left behind
SLOWLY = 0.8  # of the distance a step: that of scaled and bent parts is too long here and there
AT_LEAST = 2e-3  # a step from outside: rays that graze the surface would never get past it; a pixel at 128² is five times as wide
HIT, CLOSE = 5e-4, 2e-4  # distances that count as a hit, and at which a ray need not go on
SPREAD = 1e-3  # between the points that a normal is measured from


@dataclass(frozen=True)
class Solid:
    """B solids in the model's frame, by functions of points [B, N, 3].

    distance: [B, N], negative inside, no longer than the true one by much more than a quarter. half_size: [B, 3] half sides of boxes around
    the origin that hold them. look: sRGB base colour, roughness and metallic [B, N, 5]. normal: unit, outward [B, N, 3]; None: measured
    from the distance.
    """

    distance: Callable[[Tensor], Tensor]
    half_size: Tensor
    look: Callable[[Tensor], Tensor]
    normal: Callable[[Tensor], Tensor] | None = None

    def normal_at(self, points: Tensor) -> Tensor:
        """Outward unit normals [B, N, 3]."""
        if self.normal is not None:
            return self.normal(points)
        steps = SPREAD * torch.eye(3, device=points.device)
        slope = [self.distance(points + step) - self.distance(points - step) for step in steps]
        return torch.nn.functional.normalize(torch.stack(slope, -1), dim=-1)


@torch.no_grad()
def render(solid: Solid, camera: Camera, size: int, steps: int = 96) -> Tensor:
    """Shaded sRGB pictures [B, size, size, 3] on the light ground, one of each solid."""
    origin, direction = (rays[None].to(solid.half_size.device) for rays in camera.rays(size))
    return render_rays(solid, origin, direction, steps).reshape(-1, size, size, 3)


@torch.no_grad()
def render_rays(solid: Solid, origin: Tensor, direction: Tensor, steps: int = 96) -> Tensor:
    """What B solids look like along R rays, origin and direction [1, R, 3] for all of them: sRGB [B, R, 3]."""
    points, hit = trace(solid.distance, solid.half_size, origin, direction, steps)
    seen = hit.any(0).nonzero()[:, 0]  # shading is dear: only rays that hit some object
    some = points[:, seen]
    shaded = shade(direction[:, seen], solid.normal_at(some), solid.look(some))
    out = torch.tensor(GROUND, device=points.device).expand(*points.shape).clone()
    out[:, seen] = torch.where(hit[:, seen, None], shaded, out[:, seen])
    return out


@torch.no_grad()
def trace(
    distance: Callable[[Tensor], Tensor], half_size: Tensor, origin: Tensor, direction: Tensor, steps: int = 96
) -> tuple[Tensor, Tensor]:
    """Where rays [1, R, 3] end: points [B, R, 3], and whether they lie on the surface [B, R]. distance and half_size: as in Solid."""
    t, far = box_spans(half_size, origin, direction)
    going = _first(t < far)  # [B, K] rays still on their way in some object; some of those that are not go along to fill the rows
    for i in range(steps):
        at = t.gather(1, going)
        d = distance(origin[0, going] + direction[0, going] * at[..., None])
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
    there = distance(points.gather(1, rays[..., None].expand(-1, -1, 3))).abs() < HIT
    return points, hit & torch.zeros_like(hit).scatter_(1, rays, there)


def box_spans(half_size: Tensor, origin: Tensor, direction: Tensor, margin: float = MARGIN) -> tuple[Tensor, Tensor]:
    """Where rays [1 or B, R, 3] enter and leave boxes [B, 3], grown by the margin: [B, R] each; who misses leaves before entering."""
    half = half_size[:, None] + margin  # [B, 1, 3]
    flat = torch.where(direction.abs() < 1e-9, 1e-9, direction)
    low, high = (-half - origin) / flat, (half - origin) / flat
    return torch.minimum(low, high).amax(-1), torch.maximum(low, high).amin(-1)


def _first(chosen: Tensor) -> Tensor:
    """Columns of each row [B, R], the chosen ones first, as many as the fullest row has chosen: [B, K]"""
    return chosen.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : int(chosen.sum(1).amax())]
