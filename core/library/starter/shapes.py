# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed distances of solids, in batches: the modelling kit of the starter library.

Every function takes points `p: P` (three coordinates of shape [B, N]) and sizes that are floats or tensors [B, 1] (one value per object of
the batch), and returns distances [B, N]: negative inside, in the units of the points. Axis of revolution and height is z.
The formulas are the well-known ones collected by Inigo Quilez ("distance functions"); those that are no exact distance (ellipsoids, tapers,
smooth unions) are only right in sign; `core.library.starter.objects` divides by the gradient, which makes them distances near the surface.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Size = float | Tensor  # a float or one value per object, [B, 1]
MOST = 16  # parts in a circle, at most


class P(NamedTuple):
    """Points of a batch of objects: x, y, z of shape [B, N]."""

    x: Tensor
    y: Tensor
    z: Tensor

    def move(self, x: Size = 0.0, y: Size = 0.0, z: Size = 0.0) -> "P":
        """The points as seen from a part that stands at (x, y, z)."""
        return P(self.x - x, self.y - y, self.z - z)

    def scale(self, x: Size = 1.0, y: Size = 1.0, z: Size = 1.0) -> "P":
        """The points as seen from a part stretched by (x, y, z); distances are no longer exact, only their sign is."""
        return P(self.x / x, self.y / y, self.z / z)

    def rotate(self, axis: str, angle: Size) -> "P":
        """The points as seen from a part turned by `angle` radians about the axis "x", "y" or "z" (counter-clockwise)."""
        angle = torch.as_tensor(angle, dtype=self.x.dtype, device=self.x.device)
        c, s = torch.cos(angle), torch.sin(angle)
        if axis == "x":
            return P(self.x, c * self.y + s * self.z, c * self.z - s * self.y)
        if axis == "y":
            return P(c * self.x - s * self.z, self.y, c * self.z + s * self.x)
        return P(c * self.x + s * self.y, c * self.y - s * self.x, self.z)

    def mirror(self, axes: str) -> "P":
        """Fold space, so that a part at positive coordinates appears on both sides of the planes across the named axes ("x", "xy")."""
        return P(*(c.abs() if n in axes else c for n, c in zip("xyz", self, strict=True)))

    def along(self, axis: str) -> "P":
        """The points as seen from a round part (its own axis is z) that lies along "x" or "y"."""
        return P(self.z, self.y, self.x) if axis == "x" else P(self.x, self.z, self.y)

    def around(self, count: Size, phase: Size = 0.0) -> "P":
        """Fold space around z, so that a part on the +x axis appears `count` times in a circle (a whole number, or one per object)."""
        sector = 2 * math.pi / count
        angle = torch.atan2(self.y, self.x) - phase
        angle = angle - sector * torch.round(angle / sector)
        r = length(self.x, self.y)
        return P(r * torch.cos(angle), r * torch.sin(angle), self.z)


def row(t: Tensor, pitch: Size, first: Size, last: Size) -> Tensor:
    """Fold a coordinate: as seen from the nearest of equal parts in a row, at the whole numbers from first to last times the pitch."""
    nearest = torch.minimum(torch.maximum(torch.round(t / pitch), _as(first, t)), _as(last, t))
    return t - pitch * nearest


def length(*parts: Tensor) -> Tensor:
    """Euclidean length; the small constant keeps the gradient finite at zero."""
    return torch.sqrt(sum(part * part for part in parts) + 1e-20)


def _as(value: Size, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


# ---- solids ----------------------------------------------------------------------------------------------------------------------------


def sphere(p: P, r: Size) -> Tensor:
    return length(*p) - r


def ellipsoid(p: P, rx: Size, ry: Size, rz: Size) -> Tensor:
    k0 = length(p.x / rx, p.y / ry, p.z / rz)
    k1 = length(p.x / (rx * rx), p.y / (ry * ry), p.z / (rz * rz))
    return k0 * (k0 - 1) / k1


def box(p: P, hx: Size, hy: Size, hz: Size, rounding: Size = 0.0) -> Tensor:
    """Box of half sizes hx, hy, hz; `rounding` is the radius of its edges (inside the given size)."""
    x, y, z = p.x.abs() - hx + rounding, p.y.abs() - hy + rounding, p.z.abs() - hz + rounding
    outside = length(x.clamp(min=0), y.clamp(min=0), z.clamp(min=0))
    return outside + torch.maximum(x, torch.maximum(y, z)).clamp(max=0) - rounding


def cylinder(p: P, r: Size, h: Size, rounding: Size = 0.0) -> Tensor:
    """Cylinder about z of radius r and half height h."""
    q, z = length(p.x, p.y) - r + rounding, p.z.abs() - h + rounding
    return length(q.clamp(min=0), z.clamp(min=0)) + torch.maximum(q, z).clamp(max=0) - rounding


def cone(p: P, r_bottom: Size, r_top: Size, h: Size, rounding: Size = 0.0) -> Tensor:
    """Frustum about z: radius r_bottom at z = -h, r_top at z = +h (give small radii, not zero, for a tip that a mesh can follow)."""
    k = rounding
    return lathe(p, [(0.0, -h + k), (r_bottom - k, -h + k), (r_top - k, h - k), (0.0, h - k)]) - k


def capsule(p: P, a: tuple[Size, Size, Size], b: tuple[Size, Size, Size], r: Size, r_end: Size | None = None) -> Tensor:
    """Round stick from a to b with radius r (tapering to `r_end` at b when given)."""
    ax, ay, az = p.x - a[0], p.y - a[1], p.z - a[2]
    bx, by, bz = (_as(b[i], p.x) - a[i] for i in range(3))
    t = ((ax * bx + ay * by + az * bz) / (bx * bx + by * by + bz * bz)).clamp(0, 1)
    return length(ax - t * bx, ay - t * by, az - t * bz) - (r if r_end is None else r + (r_end - r) * t)


def torus(p: P, ring: Size, r: Size) -> Tensor:
    """Ring about z: `ring` from the centre to the tube's middle, tube radius r."""
    return length(length(p.x, p.y) - ring, p.z) - r


def lathe(p: P, profile: list[tuple[Size, Size]], rounding: Size = 0.0) -> Tensor:
    """Solid of revolution about z; `profile` is a closed polygon of (radius, z) points, in either order, points on the axis at radius 0."""
    return polygon(length(p.x, p.y), p.z, [*profile, *((-r, z) for r, z in reversed(profile) if not _is_zero(r))]) - rounding


def turned(p: P, bottom: Size, top: Size, radius: Callable[[Tensor], Tensor], rounding: Size) -> Tensor:
    """Solid of revolution between two heights; `radius` of the height's share 0 … 1 between them. Gentle slopes only."""
    t = ((p.z - bottom) / (top - bottom)).clamp(0, 1)
    return extrude(length(p.x, p.y) - radius(t), p.z - (bottom + top) / 2, (top - bottom) / 2, rounding)


def extrude(d: Tensor, along: Tensor, h: Size, rounding: Size = 0.0) -> Tensor:
    """A flat shape's distance `d` made a slab of half thickness h along the third coordinate."""
    d, w = d + rounding, along.abs() - h + rounding
    return length(d.clamp(min=0), w.clamp(min=0)) + torch.maximum(d, w).clamp(max=0) - rounding


# ---- flat shapes -----------------------------------------------------------------------------------------------------------------------


def polygon(u: Tensor, v: Tensor, points: list[tuple[Size, Size]]) -> Tensor:
    """Exact signed distance to a closed polygon that does not cross itself, in either order. u, v: [B, N]."""
    corners = [(_as(a, u), _as(b, u)) for a, b in points]
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    winding = torch.sign(sum(au * bv - bu * av for (au, av), (bu, bv) in edges))
    nearest = torch.full_like(u, 1e12)  # squared
    across = torch.zeros_like(u)  # signed distance to the line of the nearest edge, smooth through zero
    within = torch.zeros_like(u, dtype=torch.bool)  # whether the nearest point lies inside that edge rather than on a corner
    inside = torch.zeros_like(u, dtype=torch.bool)  # even-odd rule
    for (au, av), (bu, bv) in edges:
        eu, ev, wu, wv = bu - au, bv - av, u - au, v - av
        squared = (eu * eu + ev * ev).clamp(min=1e-12)
        t = (wu * eu + wv * ev) / squared
        c = t.clamp(0, 1)
        d = (wu - c * eu) ** 2 + (wv - c * ev) ** 2
        closer = d < nearest
        nearest = torch.where(closer, d, nearest)
        across = torch.where(closer, (wu * ev - wv * eu) * winding / torch.sqrt(squared), across)
        within = torch.where(closer, (t > 0) & (t < 1), within)
        safe = torch.where(ev.abs() < 1e-9, torch.full_like(ev, 1e-9), ev)
        inside = inside ^ (((av > v) != (bv > v)) & (u < au + wv * eu / safe))
    distance = torch.sqrt(nearest + 1e-20)
    return torch.where(within, across, torch.where(inside, -distance, distance))


def circle(u: Tensor, v: Tensor, r: Size) -> Tensor:
    return length(u, v) - r


def rectangle(u: Tensor, v: Tensor, hu: Size, hv: Size, rounding: Size = 0.0) -> Tensor:
    a, b = u.abs() - hu + rounding, v.abs() - hv + rounding
    return length(a.clamp(min=0), b.clamp(min=0)) + torch.maximum(a, b).clamp(max=0) - rounding


def curve(t: Tensor, *knots: tuple[float, Size]) -> Tensor:
    """The polynomial through the knots (place, value), for outlines of `turned` solids."""
    out = torch.zeros_like(t)
    for i, (at, value) in enumerate(knots):
        weight = math.prod(at - other for j, (other, _) in enumerate(knots) if j != i)
        term = value / weight
        for j, (other, _) in enumerate(knots):
            if j != i:
                term = term * (t - other)
        out = out + term
    return out


def groove(phase: Tensor) -> Tensor:
    """Narrow soft valleys of depth 1 at whole numbers."""
    return ((1 + torch.cos(2 * math.pi * phase)) / 2) ** 4


# ---- putting together ------------------------------------------------------------------------------------------------------------------


def union(*d: Tensor) -> Tensor:
    out = d[0]
    for other in d[1:]:
        out = torch.minimum(out, other)
    return out


def smooth_union(a: Tensor, b: Tensor, k: Size) -> Tensor:
    """Union with a fillet of about size k."""
    h = (k - (a - b).abs()).clamp(min=0) / k
    return torch.minimum(a, b) - h * h * k / 4


def subtract(a: Tensor, b: Tensor) -> Tensor:
    """a without b."""
    return torch.maximum(a, -b)


def smooth_subtract(a: Tensor, b: Tensor, k: Size) -> Tensor:
    return -smooth_union(-a, b, k)


def intersect(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b)


def smooth_intersect(a: Tensor, b: Tensor, k: Size) -> Tensor:
    """What a and b have in common, with an edge rounded by about k."""
    return smooth_subtract(a, -b, k)


def shell(d: Tensor, thickness: Size) -> Tensor:
    """A hollow skin of the given full thickness, centred on the surface."""
    return d.abs() - thickness / 2


def ring_reach(count: Size, along: Size, across: Size = 0.0, toward: float = 0.0, phase: Size = 0.0) -> Tensor:
    """How far `count` parts in a circle reach in a direction (radians from +x), where each fills the rectangle from the axis to `along`
    and `across` to both sides; `around` puts them there. [B, 1]"""
    count = torch.as_tensor(count, dtype=torch.float32)
    step = torch.arange(MOST, device=count.device)
    angle = 2 * math.pi * step / count + phase - toward
    reach = along * torch.cos(angle) + across * torch.sin(angle).abs()
    return torch.where(step < count, reach, torch.full_like(reach, -1e9)).amax(-1, keepdim=True)


def _is_zero(value: Size) -> bool:
    return not isinstance(value, Tensor) and value == 0
