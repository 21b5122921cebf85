# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 1: both networks learn from a multi-view prior, by volume rendering; the objects keep to the shapes of their prompts by α.

(1 − α) · L_SDS + α · L_reg, the paper's Eq. 3. All losses are means over a picture's numbers, whatever its size.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from core.draws import Draws
from core.guidance.sds import Guidance
from core.networks.generator import Fields, Generator
from core.rendering.cameras import Viewpoints, Views
from core.training.annealing import dummy_share
from core.training.options import option
from core.training.regularise import eikonal_loss, mask_loss, share_gradient, slope_points, tapped
from core.training.stages.distilling import DistillationSettings, Distilling, Drawn, Texts, VolumeSettings, numbers_of, suited
from core.training.subjects import ALONE, Drawing, Place, generators
from core.training.views import Pixels, fields_of, full_precision, masks, volume_views


@dataclass(frozen=True)
class GeometrySettings(DistillationSettings):
    """Settings of stage 1."""

    alpha: float = option(0.9, "the most that an object keeps to its prompt's shape, 0 … 1: it is drawn for each", least=0)
    alpha_least: float = option(0.0, "the least; as much as --geometry-alpha: it is fixed", least=0)
    alpha_by: str = option("chance", "what it follows in between: chance, or how well the name of the shape fits the prompt (texts)",
                           choices=("chance", "texts"))  # fmt: skip
    real: float = option(0.1, "share of real clouds that stays when the others have given way to the sphere", least=0)
    anneal_from: float = option(0.5, "share of the stage after which real clouds give way", least=0)
    regularise: float = option(0.3, "weight of L_reg; 0.3: at α = ½ its gradient is about as large as an exact prior's", least=0)
    eikonal: float = option(0.01, "weight of the distance's slope", least=0)
    sharpness: tuple[float, float] = (60.0, 300.0)  # 1/β at the start and at the end
    prompt_rate: float = 0.2  # of the rate, for what has been pre-trained on prompts
    slopes: int = 512  # points of each object that its slope is asked at
    viewpoints: Viewpoints = field(default_factory=Viewpoints)
    rays: VolumeSettings = field(default_factory=VolumeSettings, metadata={"prefix": "rays-"})


@dataclass
class GeometryBatch:
    """drawn: what is made; heard [B]: the α that the network is told; alpha [B]: that of the losses; views: cameras; share: 0 … 1 of the
    stage; rngs: of all that the losses draw, in a function of nothing else; dummies: p(dummy)."""

    drawn: Drawn
    heard: Tensor
    alpha: Tensor
    views: Views
    share: float
    rngs: Callable[[], Draws]
    dummies: float


class Geometry(Distilling):
    """Amortised distillation of shapes and colours together."""

    name = "geometry"
    shown = ("guidance", "mask", "eikonal", "gradient_guidance", "gradient_mask", "alpha", "dummy")

    def __init__(
        self, settings: GeometrySettings, generator: Generator, guidance: Guidance, texts: Texts, drawing: Drawing, seed: int,
        place: Place = ALONE,
    ):  # fmt: skip
        self.settings, self.generator, self.guidance, self.texts = suited(settings, guidance), generator, guidance, texts
        self.drawing, self.seed, self.place = drawing, seed, place
        generator.requires_grad_(True)
        generator.height.requires_grad_(False)  # no picture shows a height

    def rates(self) -> Iterable[tuple[Iterable[nn.Parameter], float]]:
        of_prompts = [p for part in self.generator.prompt_parts for p in part.parameters()]
        known = set(of_prompts)
        others = [p for p in self.generator.parameters() if p.requires_grad and p not in known]
        return [(of_prompts, self.settings.prompt_rate), (others, 1.0)]

    def batch(self, step: int, share: float) -> GeometryBatch:
        s, numbers = self.settings, self.place.numbers(step, self.settings.batch)
        late = max(share - s.anneal_from, 0.0) / max(1 - s.anneal_from, 1e-6)
        dummies = dummy_share(late, 0.0, 1 - s.real, until=0.8) if s.anneal_from < 1 else 0.0
        rngs = generators(self.seed, numbers)
        drawn = self.drawn(step, dummies, rngs, numbers)
        named = s.alpha_by == "texts" and drawn.subjects.fit is not None  # replayed objects of the starter have no names
        between = drawn.subjects.fit() if named else drawn.alpha
        alpha = (s.alpha_least + (s.alpha - s.alpha_least) * between) * drawn.subjects.shaped
        views = s.viewpoints.draw(s.batch, rngs).to(alpha.device)
        later = partial(generators, self.seed, numbers, 1)
        return GeometryBatch(drawn, torch.where(drawn.dummy, 0.0, alpha), alpha, views, share, later, dummies)

    def losses(self, batch: GeometryBatch) -> dict[str, Tensor]:
        fields = self.generator.made(*batch.drawn.condition(self.generator), batch.drawn.cloud, batch.heard)
        fields, exact = full_precision(fields)
        with exact:
            losses = volume_losses(self.settings, self.generator, fields, self.guidance, self.texts, batch)
        return losses | {"alpha": batch.alpha.mean(), "dummy": torch.tensor(batch.dummies)}


def volume_losses(
    s: GeometrySettings, generator: Generator, fields: Fields, prior: Guidance, texts: Texts, batch: GeometryBatch
) -> dict[str, Tensor]:
    """Stage 1's losses of fields, whatever made them."""
    rng = batch.rngs()
    beta = 1 / (s.sharpness[0] + (s.sharpness[1] - s.sharpness[0]) * batch.share)
    distance, look = fields_of(generator, fields)
    pixels, seen = volume_views(distance, look, batch.views, s.size, beta, s.rays.sampling, rng)
    values, guided = tapped(pixels.values)
    images = Pixels(share_gradient(values, 1 - batch.alpha)).over(s.ground)
    text, blend = batch.drawn.texts(texts)
    guidance, facts = prior.loss(images, text, batch.views.matrices(), batch.share, generator=rng, blend=blend)
    guidance = guidance / numbers_of(prior, images)
    opacity, masked = tapped(pixels.opacity)
    mask = torch.zeros((), device=opacity.device)
    if batch.alpha.any() and s.regularise:
        target = masks(batch.drawn.subjects.distance, batch.views, s.size, beta, s.rays.sampling)
        mask = mask_loss(opacity, target, batch.alpha)
    origin, direction = (rays.flatten(1, 3) for rays in batch.views.rays(s.size))
    points = slope_points(origin, direction, seen.depth.flatten(1), seen.opacity.flatten(1), s.slopes, rng)
    eikonal = eikonal_loss(distance, points)
    total = guidance + s.regularise * mask + s.eikonal * eikonal
    norms = {"gradient_guidance": guided, "gradient_mask": masked}
    return {"total": total, "guidance": guidance, "mask": mask, "eikonal": eikonal, "t": facts["t"], **norms}
