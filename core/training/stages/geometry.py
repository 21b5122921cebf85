# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 1: both networks learn from a multi-view prior, by volume rendering; the objects keep to the shapes of their prompts by α.

(1 − α) · L_SDS + α · L_reg, the paper's Eq. 3. All losses are means over a picture's numbers, whatever its size.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from core.guidance.sds import Guidance
from core.networks.generator import Fields, Generator
from core.rendering.cameras import Viewpoints, Views
from core.training.annealing import anneal, dummy_share
from core.training.options import option
from core.training.regularise import eikonal_loss, mask_loss, share_gradient, slope_points, tapped
from core.training.stages.distilling import DistillationSettings, Distilling, Texts, VolumeSettings, numbers_of
from core.training.subjects import Drawing, Subjects
from core.training.views import Pixels, fields_of, full_precision, masks, volume_views


@dataclass(frozen=True)
class GeometrySettings(DistillationSettings):
    """Settings of stage 1."""

    alpha: float = option(0.9, "the most that an object keeps to its prompt's shape, 0 … 1: it is drawn for each", least=0)
    alpha_least: float = option(0.0, "the least; as much as --geometry-alpha: it is fixed", least=0)
    real: float = option(0.1, "share of real clouds that stays when the others have given way to the sphere", least=0)
    anneal_from: float = option(0.5, "share of the stage after which real clouds give way", least=0)
    regularise: float = option(2.0, "weight of L_reg", least=0)
    eikonal: float = option(0.01, "weight of the distance's slope", least=0)
    sharpness: tuple[float, float] = (60.0, 300.0)  # 1/β at the start and at the end
    prompt_rate: float = 0.2  # of the rate, for what has been pre-trained on prompts
    slopes: int = 512  # points of each object that its slope is asked at
    viewpoints: Viewpoints = field(default_factory=Viewpoints)
    rays: VolumeSettings = field(default_factory=VolumeSettings, metadata={"prefix": "rays-"})


@dataclass
class GeometryBatch:
    """subjects: what is made; cloud [B, P, 6], or None for the dummy alone, and heard [B]: the α that the network is told; alpha [B]: that
    of the losses; views: cameras; share: 0 … 1 of the stage; seed: of all that the losses draw; dummies: p(dummy)."""

    subjects: Subjects
    cloud: Tensor | None
    heard: Tensor
    alpha: Tensor
    views: Views
    share: float
    seed: int
    dummies: float


class Geometry(Distilling):
    """Amortised distillation of shapes and colours together."""

    name = "geometry"
    shown = ("guidance", "mask", "eikonal", "gradient_guidance", "gradient_mask", "alpha", "dummy")

    def __init__(self, settings: GeometrySettings, generator: Generator, guidance: Guidance, texts: Texts, drawing: Drawing, seed: int):
        self.settings, self.generator, self.guidance, self.texts, self.drawing, self.seed = (
            settings, generator, guidance, texts, drawing, seed,
        )  # fmt: skip
        generator.requires_grad_(True)
        generator.height.requires_grad_(False)  # no picture shows a height

    def rates(self) -> Iterable[tuple[Iterable[nn.Parameter], float]]:
        of_prompts = [p for part in self.generator.prompt_parts for p in part.parameters()]
        known = set(of_prompts)
        others = [p for p in self.generator.parameters() if p.requires_grad and p not in known]
        return [(of_prompts, self.settings.prompt_rate), (others, 1.0)]

    def batch(self, step: int, share: float) -> GeometryBatch:
        s, seed = self.settings, self.seed * 1_000_003 + step
        rng, subjects = torch.Generator().manual_seed(seed), self.drawing.draw(step, s.batch)
        alpha = s.alpha_least + (s.alpha - s.alpha_least) * torch.rand(s.batch, generator=rng)
        alpha = alpha.to(subjects.shaped.device) * subjects.shaped
        late = max(share - s.anneal_from, 0.0) / max(1 - s.anneal_from, 1e-6)
        dummies = dummy_share(late, 0.0, 1 - s.real, until=0.8) if s.anneal_from < 1 else 0.0
        drawn = Clouds(subjects.cloud, alpha, torch.zeros_like(subjects.shaped))
        cloud, heard = anneal(drawn, self.generator.dummy, dummies, rng)
        views = s.viewpoints.draw(s.batch, rng).to(alpha.device)
        return GeometryBatch(subjects, cloud, heard, alpha, views, share, seed, dummies)

    def losses(self, batch: GeometryBatch) -> dict[str, Tensor]:
        of, rng = batch.subjects, torch.Generator().manual_seed(batch.seed + 1)
        fields = self.generator(of.tokens, of.mask, of.z, batch.cloud, batch.heard)
        fields, exact = full_precision(fields)
        with exact:
            losses = volume_losses(self.settings, self.generator, fields, self.guidance, self.texts, batch, rng)
        return losses | {"alpha": batch.alpha.mean(), "dummy": torch.tensor(batch.dummies)}


def volume_losses(
    s: GeometrySettings, generator: Generator, fields: Fields, prior: Guidance, texts: Texts, batch: GeometryBatch, rng: torch.Generator
) -> dict[str, Tensor]:
    """Stage 1's losses of fields, whatever made them."""
    beta = 1 / (s.sharpness[0] + (s.sharpness[1] - s.sharpness[0]) * batch.share)
    distance, look = fields_of(generator, fields)
    pixels, seen = volume_views(distance, look, batch.views, s.size, beta, s.rays.sampling, rng)
    values, guided = tapped(pixels.values)
    images = Pixels(share_gradient(values, 1 - batch.alpha)).over(s.ground)
    text = texts.batch(batch.subjects.prompts)
    guidance, facts = prior.loss(images, text, batch.views.matrices(), batch.share, generator=rng)
    guidance = guidance / numbers_of(prior, images)
    opacity, masked = tapped(pixels.opacity)
    mask = torch.zeros((), device=opacity.device)
    if batch.alpha.any() and s.regularise:
        target = masks(batch.subjects.distance, batch.views, s.size, beta, s.rays.sampling)
        mask = mask_loss(opacity, target, batch.alpha)
    origin, direction = (rays.flatten(1, 3) for rays in batch.views.rays(s.size))
    points = slope_points(origin, direction, seen.depth.flatten(1), seen.opacity.flatten(1), s.slopes, rng)
    eikonal = eikonal_loss(distance, points)
    total = guidance + s.regularise * mask + s.eikonal * eikonal
    norms = {"gradient_guidance": guided, "gradient_mask": masked}
    return {"total": total, "guidance": guidance, "mask": mask, "eikonal": eikonal, "t": facts["t"], **norms}


@dataclass
class Clouds:
    """What `anneal` reads: clouds [B, P, 6], α [B], and whether a cloud is another object's [B]."""

    cloud: Tensor
    adherence: Tensor
    foreign: Tensor
