# SPDX-License-Identifier: GPL-3.0-or-later
"""Volume rendering of signed distances (VolSDF, Yariv et al. 2021), differentiable in whatever the distance and the look are made of.

A ray's density follows from the distance to the surface: 1 / β inside, half of it at the surface, nothing far outside; the smaller β,
the harder the surface. First the distance is asked at a coarse row of points, without gradients; more points are laid where light would
end; then the distance is asked at all of them, and the look where the light ends.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.draws import Draws, draw
from core.errors import BadRequest
from core.frame import HALF_EXTENT
from core.rendering.cameras import Views
from core.rendering.trace import box_spans

Field = Callable[[Tensor], Tensor]  # points [B, N, 3] of B objects -> [B, N] distances, or [B, N, C] looks
FLAT = 0.05  # of β: between two distances that differ less, the density of their mean stands for both
FLOOR = 0.02  # share of the finer points that are laid evenly, so that nothing new can hide from them
SPREAD = 4e-3  # around a point, for its normal: half a cell of planes of 128
FAINT = 1e-6  # opacity below which a ray's mean depth and mean look mean little


@dataclass(frozen=True)
class Sampling:
    """coarse, fine: points along a ray, and those laid where they tell. looks: places along a ray at which the look is asked, each
    for an equal share of the light that ends on it. at_once: points that are held in memory together; with gradients, what is beyond is
    computed twice."""

    coarse: int = 64
    fine: int = 64
    looks: int = 16
    at_once: int = 1 << 20

    def __post_init__(self):
        if self.coarse < 2 or self.fine < 0 or self.looks < 1 or self.at_once < 1:
            raise BadRequest(f"Rays cannot be sampled so: {self}.", "", "Take at least 2 coarse points and one look.")


SAMPLING = Sampling()


@dataclass(frozen=True)
class Volume:
    """What rays see, [B, R, …]: the look's channels times the opacity, opacity 0..1, mean depth along the ray (0 where nothing is seen)
    and, where asked for, unit normals."""

    look: Tensor
    opacity: Tensor
    depth: Tensor
    normal: Tensor | None = None

    def over(self, background: Tensor) -> Tensor:
        """Pictures [B, R, C] of the look's first C channels in front of a background [C], [B, 1, C] or [B, R, C]."""
        return self.look[..., : background.shape[-1]] + (1 - self.opacity)[..., None] * background


def render_views(distance: Field, look: Field, views: Views, height: int, width: int | None = None, **how) -> Volume:
    """All pixels of the views, as `render_rays` renders them: [B, V, H, W, …]."""
    origin, direction = views.rays(height, width)
    shape = origin.shape[:4]
    seen = render_rays(distance, look, origin.flatten(1, 3), direction.flatten(1, 3), **how)
    return Volume(*(None if t is None else t.reshape(*shape, *t.shape[2:]) for t in vars(seen).values()))


def render_rays(
    distance: Field,
    look: Field,
    origin: Tensor,
    direction: Tensor,
    *,
    beta: float | Tensor,
    sampling: Sampling = SAMPLING,
    normals: bool = False,
    generator: Draws | None = None,
) -> Volume:
    """What B objects look like along R rays of their own, origins and unit directions [B, R, 3].

    `generator` moves each ray's points by a random share of their distance; without one they lie in the middle. The same generator gives
    the same points, whatever `sampling.at_once` says. Rays that miss the box of the planes are not asked about.
    """
    rays = _hitting(origin, direction)
    shift = torch.full((*rays.shape, 2), 0.5).to(origin)
    if generator is not None:
        drawn = draw(torch.rand, (*origin.shape[:2], 2), generator).to(origin)
        shift = drawn.gather(1, rays[..., None].expand(-1, -1, 2))
    along = rays[..., None].expand(-1, -1, 3)
    origin_, direction_ = origin.gather(1, along), direction.gather(1, along)
    count = max(1, sampling.at_once // (len(origin) * (sampling.coarse + sampling.fine)))
    pieces = list(zip(*(t.split(count, 1) for t in (origin_, direction_, shift)), strict=True))
    parts = []
    for o, d, s in pieces:
        t = place_points(distance, o, d, s, beta, sampling)
        again = len(pieces) > 1 and torch.is_grad_enabled()
        arguments = (distance, look, o, d, t, beta, sampling.looks, normals)
        parts.append(checkpoint(integrate, *arguments, use_reentrant=False) if again else integrate(*arguments))
    return Volume(*(_back(list(part), rays, origin.shape[1]) for part in zip(*parts, strict=True)))


def _hitting(origin: Tensor, direction: Tensor) -> Tensor:
    """Numbers of the rays that meet the box, first, and of some that do not where another object has more of them: [B, K]"""
    near, far = _spans(origin, direction)
    hit = near < far
    return hit.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : max(1, int(hit.sum(1).amax()))]


def _spans(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays are in the box of the planes, in front of the camera: from, to, [B, R] each; from is beyond to where they are not."""
    near, far = box_spans(torch.full((len(origin), 3), HALF_EXTENT).to(origin), origin, direction, margin=0.0)
    return near.clamp(min=0), far


def _back(parts: list[Tensor | None], rays: Tensor, count: int) -> Tensor | None:
    """Values [B, K, …] in pieces of some rays [B, K], among those of all: [B, count, …], 0 for the others."""
    if parts[0] is None:
        return None
    values = torch.cat(parts, 1)
    index = rays.view(*rays.shape, *(1,) * (values.dim() - 2)).expand(values.shape)
    return values.new_zeros(len(values), count, *values.shape[2:]).scatter(1, index, values)


@torch.no_grad()
def place_points(distance: Field, origin: Tensor, direction: Tensor, shift: Tensor, beta: float | Tensor, sampling: Sampling) -> Tensor:
    """Where along rays [B, R, 3] the distance is asked: ascending [B, R, coarse + fine]. shift: of both, 0..1 [B, R, 2]"""
    near, far = _spans(origin, direction)
    far = torch.maximum(near, far)  # rays that miss: all their points are one, which no light ends in
    step = torch.arange(sampling.coarse).to(origin)
    t = near[..., None] + (far - near)[..., None] * (step + shift[..., :1] - 0.5) / (sampling.coarse - 1)
    if not sampling.fine:
        return t
    weights = light_ends(_at(distance, origin, direction, t), t, beta)
    share = weights + FLOOR / weights.shape[-1]
    edges = torch.nn.functional.pad(share.cumsum(-1), (1, 0))  # [B, R, coarse]
    wanted = (torch.arange(sampling.fine).to(t) + shift[..., 1:]) / sampling.fine * edges[..., -1:]
    left = (torch.searchsorted(edges, wanted.contiguous(), right=True) - 1).clamp(0, sampling.coarse - 2)
    start, end = t.gather(-1, left), t.gather(-1, left + 1)
    inside = (wanted - edges.gather(-1, left)) / share.gather(-1, left)
    return torch.cat((t, start + (end - start) * inside.clamp(0, 1)), -1).sort(-1).values


def integrate(
    distance: Field, look: Field, origin: Tensor, direction: Tensor, t: Tensor, beta: float | Tensor, looks: int, normals: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Look, opacity, depth and normals, as in Volume, of rays [B, R, 3] whose points lie at t [B, R, N]."""
    weights = light_ends(_at(distance, origin, direction, t), t, beta)
    opacity = weights.sum(-1)
    middle = (t[..., 1:] + t[..., :-1]) / 2
    depth = (weights * middle).sum(-1) / opacity.clamp(min=FAINT)
    if looks < weights.shape[-1]:
        weights, middle = _merged(weights, middle, opacity, looks)
    points = (origin[..., None, :] + direction[..., None, :] * middle[..., None]).flatten(1, 2)  # [B, R * K, 3]
    seen = (weights[..., None] * look(points).unflatten(1, weights.shape[1:])).sum(-2)
    if not normals:
        return seen, opacity, depth, None
    slope = (weights[..., None] * gradient(distance, points).unflatten(1, weights.shape[1:])).sum(-2)
    return seen, opacity, depth, torch.nn.functional.normalize(slope, dim=-1)


def _merged(weights: Tensor, t: Tensor, opacity: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Neighbours along a ray taken together, about as much light in each group: weights [B, R, count] and mean places of the groups."""
    light = weights.detach().cumsum(-1) - weights.detach() / 2
    group = (light / opacity.detach()[..., None].clamp(min=FAINT) * count).long().clamp(0, count - 1)
    empty = weights.new_zeros(*weights.shape[:-1], count)
    total = empty.scatter_add(-1, group, weights)
    place = empty.scatter_add(-1, group, weights * t) / total.clamp(min=FAINT)
    return total, torch.where(total > FAINT, place, t[..., :1])


def _at(distance: Field, origin: Tensor, direction: Tensor, t: Tensor) -> Tensor:
    points = origin[..., None, :] + direction[..., None, :] * t[..., None]
    return distance(points.flatten(1, 2)).view_as(t)


def density(distance: Tensor, beta: float | Tensor) -> Tensor:
    """VolSDF's: the Laplace distribution's share of what lies within the surface, over β."""
    tail = 0.5 * torch.exp(-distance.abs() / beta)
    return torch.where(distance > 0, tail, 1 - tail) / beta


def light_ends(distance: Tensor, t: Tensor, beta: float | Tensor) -> Tensor:
    """Share of the light that ends between neighbours of the points at t [B, R, N], of these distances [B, R, N]: [B, R, N - 1].

    The density is integrated exactly for a distance that changes evenly between neighbours: far fewer points are needed than with a
    density that stands still there, and a surface between two of them is where it is.
    """
    thickness = _integral(distance[..., :-1], distance[..., 1:], beta) * t.diff(dim=-1)
    before = torch.nn.functional.pad(thickness.cumsum(-1)[..., :-1], (1, 0))
    return torch.exp(-before) * -torch.expm1(-thickness)


def _integral(start: Tensor, end: Tensor, beta: float | Tensor) -> Tensor:
    """Mean density between two distances."""
    change = end - start
    flat = change.abs() < FLAT * beta
    safe = torch.where(flat, torch.ones_like(change), change)
    return torch.where(flat, density((start + end) / 2, beta), (_antiderivative(end, beta) - _antiderivative(start, beta)) / safe)


def _antiderivative(distance: Tensor, beta: float | Tensor) -> Tensor:
    """Of the density, by the distance."""
    return distance.clamp(max=0) / beta - 0.5 * torch.exp(-distance.abs() / beta)


def gradient(distance: Field, points: Tensor, spread: float = SPREAD) -> Tensor:
    """The distance's slope at points [B, N, 3], from four points around each, a tetrahedron's corners: [B, N, 3].

    No slower than autograd's twice over, and not of one cell of the planes alone, at whose borders that one jumps.
    """
    corners = torch.tensor(((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))).to(points)
    around = (points[:, :, None] + spread * corners).flatten(1, 2)
    return (distance(around).unflatten(1, (-1, 4))[..., None] * corners).sum(-2) / (4 * spread)


def render_densely(distance: Field, look: Field, origin: Tensor, direction: Tensor, beta: float | Tensor, points: int = 4096) -> Volume:
    """The plain twin of `render_rays`: so many even points on every ray, density and look standing still around each."""
    near, far = _spans(origin, direction)
    length = (far - near).clamp(min=0) / points
    t = near[..., None] + length[..., None] * (torch.arange(points).to(origin) + 0.5)
    ends = 1 - torch.exp(-density(_at(distance, origin, direction, t), beta) * length[..., None])
    passed = torch.nn.functional.pad((1 - ends).cumprod(-1)[..., :-1], (1, 0), value=1.0)
    weights = ends * passed
    where = (origin[..., None, :] + direction[..., None, :] * t[..., None]).flatten(1, 2)
    seen = (weights[..., None] * look(where).unflatten(1, weights.shape[1:])).sum(-2)
    opacity = weights.sum(-1)
    return Volume(seen, opacity, (weights * t).sum(-1) / opacity.clamp(min=FAINT))
