# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what a generator makes, as its stages need them: its fields as functions of points, volume rendering, surfaces."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from core.draws import Draws, draw
from core.errors import BadRequest
from core.limits import RESOLUTIONS
from core.networks.generator import Fields, Generator
from core.rendering.cameras import Views
from core.rendering.deferred import Surface
from core.rendering.volume import Field, Sampling, Volume, render_views
from core.surface.extract import LOOSE, EmptySurfaceError, dense_grid, triangulate
from core.surface.meshing import make_surface


def full_precision(fields: Fields) -> tuple[Fields, torch.autocast]:
    """Fields in single precision, and a context without half precision: it would roughen rays and surfaces, and round distances."""
    single = Fields(*(t.float() for t in (fields.geometry, fields.texture, fields.condition, fields.height_m)))
    return single, torch.autocast(fields.geometry.device.type, enabled=False)


@dataclass(frozen=True)
class Pixels:
    """What views see [B, V, H, W, 4]: colour times opacity, and the opacity."""

    values: Tensor

    @property
    def opacity(self) -> Tensor:
        return self.values[..., 3]

    def over(self, ground: float) -> Tensor:
        """Pictures [B · V, 3, H, W] in front of a grey."""
        return as_images(self.values[..., :3] + (1 - self.values[..., 3:]) * ground)


def as_images(pictures: Tensor) -> Tensor:
    """[B, V, H, W, C] -> [B · V, C, H, W]"""
    return pictures.flatten(0, 1).movedim(-1, 1)


def fields_of(generator: Generator, fields: Fields) -> tuple[Field, Field]:
    """Distance [B, N] and base colour [B, N, 3] of points [B, N, 3], with gradients."""
    return (
        lambda points: generator.sdf(fields.geometry, fields.condition, points),
        lambda points: base_color(generator, fields.texture, fields.condition, points),
    )


def base_color(generator: Generator, planes: Tensor, condition: Tensor, points: Tensor) -> Tensor:
    """sRGB [B, N, 3] in 0 … 1 of T's planes at points [B, N, 3], with gradients where it is cut off, too."""
    texture = generator.texture
    return Cut.apply(texture.mixed(texture.map(planes, condition, points), condition)[..., :3])


class Cut(torch.autograd.Function):
    """clamp(0, 1), whose gradient goes through where it leads back: a colour that has once left 0 … 1 would stay where it is."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(0, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        return gradient * ~(((values > 1) & (gradient < 0)) | ((values < 0) & (gradient > 0)))


def some_rays(views: Views, size: int, count: int, rng: Draws) -> tuple[Tensor, Tensor]:
    """Origins and directions [B, count, 3] of pixels drawn out of all views of each object."""
    origin, direction = (rays.flatten(1, 3) for rays in views.rays(size))
    rows = draw(partial(torch.randint, origin.shape[1]), (len(origin), count), rng).to(origin.device)[..., None].expand(-1, -1, 3)
    return origin.gather(1, rows), direction.gather(1, rows)


def volume_views(
    distance: Field, look: Field, views: Views, size: int, beta: float, sampling: Sampling, rng: Draws
) -> tuple[Pixels, Volume]:
    seen = render_views(distance, look, views, size, beta=beta, sampling=sampling, generator=rng)
    return Pixels(torch.cat((seen.look, seen.opacity[..., None]), -1)), seen


@torch.no_grad()
def masks(distance: Field, views: Views, size: int, beta: float, sampling: Sampling) -> Tensor:
    """Opacities [B, V, H, W] of shapes by their distances alone."""
    bare = Sampling(sampling.coarse, sampling.fine, 1, sampling.at_once)
    return render_views(distance, lambda points: points[..., :1] * 0, views, size, beta=beta, sampling=bare).opacity


@torch.no_grad()
def surface_of(generator: Generator, fields: Fields, cells: int) -> Surface | None:
    """The mesh of a batch of one, on a grid of so many cells a side; None where there is none."""
    device, (single, exact) = fields.geometry.device, full_precision(fields)
    try:
        with exact:
            distance = generator.sdf.of(single)
            if cells >= RESOLUTIONS[0]:
                made = make_surface(distance, resolution=cells, device=device)
                return Surface.of(made.vertices, made.triangles, made.sharp, device)
            return Surface.of(*triangulate(dense_grid(distance, resolution=cells, device=device), LOOSE), device=device)
    except EmptySurfaceError:
        return None


def check_cells(cells: int) -> None:
    """Raise BadRequest where no surface is made on a grid of so many cells."""
    if cells not in RESOLUTIONS and not 16 <= cells < RESOLUTIONS[0]:
        raise BadRequest(f"Surfaces are not made on {cells} cells.", "", "Give 16 to 63, or a multiple of 8 from 64 to 256.")
