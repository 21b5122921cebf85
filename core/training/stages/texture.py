# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 2: T learns finer planes from a prior that is led by depth, on the surfaces that G makes; G stands still."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from core.draws import Draws
from core.guidance.sds import Guidance
from core.networks.generator import Fields, Generator, Upsampler
from core.rendering.cameras import Viewpoints, Views
from core.rendering.deferred import Surface, render_surfaces
from core.training.options import option
from core.training.regularise import tapped
from core.training.stages.distilling import DistillationSettings, Distilling, Drawn, Texts, numbers_of, suited
from core.training.subjects import ALONE, Drawing, Place, generators
from core.training.views import as_images, base_color, full_precision, surface_of

KEPT = 64  # surfaces of typical objects in memory


@dataclass(frozen=True)
class TextureSettings(DistillationSettings):
    """Settings of stage 2."""

    size: int = option(512, "pixels of a picture, a side", above=0)
    views: int = option(2, "pictures of an object; four where a multi-view prior teaches too", above=0)
    cells: int = option(128, "cells a side of the grid that surfaces are made on", least=16)
    multiview: float = option(0.0, "weight of the multi-view prior beside the depth prior", least=0)
    real: float = option(0.1, "share of objects with a real cloud", least=0)
    points: int = option(1 << 18, "points of surfaces that are held in memory together", above=0)
    viewpoints: Viewpoints = field(default_factory=lambda: Viewpoints(half_side=(0.55, 0.75)))


@dataclass(frozen=True)
class Teacher:
    """A prior, the texts that it has read, and how much it weighs."""

    guidance: Guidance
    texts: Texts
    weight: float = 1.0


@dataclass
class TextureBatch:
    """drawn: what is made; heard [B]: α; views: cameras; share: 0 … 1 of the stage; rngs: of all that the losses draw."""

    drawn: Drawn
    heard: Tensor
    views: Views
    share: float
    rngs: Callable[[], Draws]


class Texture(Distilling):
    """Amortised distillation of colours. T, its upsampler and its look learn; all else is frozen."""

    name, shown = "texture", ("guidance", "multiview", "gradient_guidance", "empty")

    def __init__(
        self, settings: TextureSettings, generator: Generator, teachers: Sequence[Teacher], drawing: Drawing, seed: int,
        place: Place = ALONE,
    ):  # fmt: skip
        self.settings = settings = suited(settings, teachers[0].guidance)
        self.generator, self.teachers, self.drawing, self.seed, self.place = generator, teachers, drawing, seed, place
        add_upsampler(generator, seed)
        generator.requires_grad_(False)
        for part in (generator.T, generator.upsampler, generator.texture):
            part.requires_grad_(True)
        generator.texture.waves.stretch.requires_grad_(False)
        several = [t.guidance.views for t in teachers if t.guidance.views]
        self.viewpoints = replace(settings.viewpoints, views=several[0] if several else settings.views)
        self._surfaces: OrderedDict[str, Surface | None] = OrderedDict()

    def batch(self, step: int, share: float) -> TextureBatch:
        numbers = self.place.numbers(step, self.settings.batch)
        rngs = generators(self.seed, numbers)
        drawn = self.drawn(step, 1 - self.settings.real, rngs, numbers)
        views = self.viewpoints.draw(len(numbers), rngs).to(drawn.alpha.device)
        return TextureBatch(drawn, torch.where(drawn.dummy, 0.0, drawn.alpha), views, share, partial(generators, self.seed, numbers, 1))

    def losses(self, batch: TextureBatch) -> dict[str, Tensor]:
        g = self.generator
        with torch.no_grad():
            condition, queries = batch.drawn.condition(g)
            condition, levels = g.encode(condition, queries, batch.drawn.cloud, batch.heard)
            shape = g.G(levels, condition, queries)
        planes = g.texture_planes(condition, queries, levels)
        fields, exact = full_precision(Fields(shape, planes, condition, condition[:, 0]))
        surfaces = self._surfaces_of(fields, batch.drawn)
        with exact:
            return surface_losses(self.settings, g, surfaces, fields.texture, fields.condition, self.teachers, batch)

    def _surfaces_of(self, fields: Fields, drawn: Drawn) -> list[Surface | None]:
        """A typical object out of the dummy is the same at every step."""
        made = []
        for i, prompt in enumerate(drawn.subjects.prompts):
            typical = drawn.cloud is None and not drawn.subjects.z[i].any() and (drawn.mixture is None or not drawn.mixture[i])
            if not typical or prompt not in self._surfaces:
                surface = surface_of(self.generator, fields[i], self.settings.cells)
                if typical:
                    self._surfaces[prompt] = surface
                    if len(self._surfaces) > KEPT:
                        self._surfaces.popitem(last=False)
            else:
                surface = self._surfaces[prompt]
            made.append(surface)
        return made


def surface_losses(
    s: TextureSettings, generator: Generator, surfaces: Sequence[Surface | None], planes: Tensor, condition: Tensor,
    teachers: Sequence[Teacher], batch: TextureBatch,
) -> dict[str, Tensor]:  # fmt: skip
    """Stage 2's losses of T's planes [B, 3, C, R, R], whatever made them, on surfaces; objects without one are left out."""
    there, rng = [i for i, surface in enumerate(surfaces) if surface is not None], batch.rngs()
    names = ("guidance", "multiview")[: len(teachers)]
    empty, device = torch.tensor(float(len(surfaces) - len(there)), device=planes.device), planes.device
    if not there:  # all that learns gets a gradient, which other processes wait for
        nothing = base_color(generator, planes, condition, torch.zeros(len(planes), 1, 3, device=device)).sum() * 0
        losses = dict.fromkeys((*names, "gradient_guidance"), torch.zeros((), device=device))
        return {"total": nothing, **losses, "empty": empty}
    if not isinstance(rng, torch.Generator):
        rng = [rng[i] for i in there]
    rows = torch.tensor(there, device=planes.device)
    planes, condition = planes[rows], condition[rows]
    views = Views(*(getattr(batch.views, name)[rows] for name in ("azimuth", "elevation", "fov", "distance")))
    pictures = render_surfaces(
        [surfaces[i] for i in there], lambda points: base_color(generator, planes, condition, points), views, (s.size, s.size),
        background=torch.full((3,), s.ground, device=planes.device), at_once=s.points,
    )  # fmt: skip
    (color, norm), depth, losses = tapped(pictures.color), as_images(pictures.depth[..., None]), {}
    images = as_images(color)
    for name, teacher in zip(names, teachers, strict=True):
        text, blend = batch.drawn.texts(teacher.texts, there)
        loss, _ = teacher.guidance.loss(images, text, views.matrices(), batch.share, generator=rng, depth=depth, blend=blend)
        losses[name] = loss / numbers_of(teacher.guidance, images)
    total = sum(t.weight * loss for t, loss in zip(teachers, losses.values(), strict=True))
    return {"total": total, **losses, "gradient_guidance": norm, "empty": empty}


def add_upsampler(generator: Generator, seed: int) -> None:
    """Give T planes twice as fine, where it has none: at first they say what the coarser ones say."""
    if generator.upsampler is None:
        generator.config = replace(generator.config, texture_upsampling=True)
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(seed)
            generator.upsampler = Upsampler(generator.config).to(generator.dummy.device)
