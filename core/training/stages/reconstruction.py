# SPDX-License-Identifier: GPL-3.0-or-later
"""Reconstruction of exact objects: the paper's model initialisation, with points in space instead of images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.draws import Draws
from core.library.source import Examples, Sampling
from core.networks.generator import Generator
from core.rendering.cameras import Viewpoints
from core.rendering.volume import Sampling as VolumeSampling
from core.rendering.volume import render_rays
from core.training.annealing import anneal, dummy_share
from core.training.bank import ObjectBank
from core.training.losses import LossWeights, look_losses, occupancy_iou, overlap_loss, sdf_loss, shares_loss, slope_loss
from core.training.options import option
from core.training.regularise import picture_losses
from core.training.stage import Stage, StageSettings
from core.training.subjects import ALONE, Drawing, Place, Subjects, generators
from core.training.tasks import PromptTask, batches, heads_of, task_losses
from core.training.views import fields_of, full_precision, some_rays

PARTS = ("both", "g", "t", "upsampler")
PICTURED, IMAGE = 2, 256  # objects in a step that pictures are taken of, and the pixels of a side that their rays are drawn from


@dataclass(frozen=True)
class ReconstructionSettings(StageSettings):
    """Settings of the reconstruction."""

    minutes: float | None = option(60.0, "training time of the whole stage, all resumptions together", above=0)
    batch: int | None = option(None, "objects a step and process (8; on a folder 4)", above=0)
    rate: float | None = option(None, "learning rate (5e-4; on a folder 1e-3)", above=0)
    parts: str = option(
        "both",
        '"both" networks; or, from a finished model, "g": G alone, grown to the preset\'s blocks; "t": T alone, mostly on patterns; '
        '"upsampler": T alone, with planes twice as fine',
        choices=PARTS,
    )
    images: float | None = option(None, "weight of pictures beside the points (the paper's Eq. 1), of two objects more a step (1 where the "
                                        "stage geometry follows, else 0)", least=0)  # fmt: skip
    image_rays: int = 384  # of each
    image_sampling: VolumeSampling = field(default_factory=lambda: VolumeSampling(24, 12, 4))
    image_sharpness: float = 100.0  # 1/β
    prompts: int = option(32, "prompts without objects beside them in a step", above=0)
    prompt_rate: float = 0.2  # of the rate, for condition and paints once they are pre-trained: few objects make noisy gradients
    dummy: tuple[float, float] = (0.4, 0.9)  # share of objects that see the dummy sphere, at the start and once annealed
    clip: float = 100.0  # four times the usual gradient norm: for spikes only, see docs/experiments
    average: float = 0.998
    half: bool = True
    weights: LossWeights = field(default_factory=LossWeights)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass
class ReconstructionBatch:
    """objects: with their clouds [B, P, 6], real or dummy, None for the dummy alone, and α [B] of each; prompts: a batch of each task;
    pictured: those that are learnt from pictures, and the generators of these."""

    objects: Examples
    cloud: Tensor | None
    adherence: Tensor
    prompts: list
    pictured: tuple[Subjects, Draws] | None = None


class Reconstruction(Stage):
    """The networks learn from exact objects: both of them, or G or T alone, with everything else frozen."""

    name, shown = "reconstruction", ("sdf", "color", "iou", "opacity", "rgb", "caption_accuracy")

    def __init__(
        self,
        settings: ReconstructionSettings,
        generator: Generator,
        tasks: Sequence[PromptTask],
        bank: ObjectBank,
        *,
        seed: int,
        pretrained: bool,
        annealed: bool,
        drawing: Drawing | None = None,
        place: Place = ALONE,
    ):
        """pretrained: the condition has been through the stage reading; annealed: the generator has been trained on the dummy sphere;
        drawing: of whom pictures are learnt; place: this process"""
        self.place = place
        self.drawing = drawing if settings.images and settings.parts == "both" else None
        self.settings, self.generator, self.tasks, self.bank = settings, generator, tasks, bank
        self.heads = heads_of(tasks)
        self.seed, self.pretrained, self.annealed = seed, pretrained, annealed
        if settings.parts != "both":
            for part in (generator, self.heads):
                part.requires_grad_(False)
            for part in self._alone():
                part.requires_grad_(True)
            for part in generator.prompt_parts:  # the map of paints is trained; the paints follow from the prompt
                part.requires_grad_(False)

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "heads": self.heads}

    def rates(self) -> Iterable[tuple[Iterable[nn.Parameter], float]]:
        of_prompts = [p for part in self.generator.prompt_parts for p in part.parameters() if p.requires_grad]
        learning = [p for part in self.parts().values() for p in part.parameters() if p.requires_grad]
        others = [p for p in learning if p not in set(of_prompts)]
        return [(of_prompts, self.settings.prompt_rate if self.pretrained else 1.0), (others, 1.0)]

    def batch(self, step: int, share: float) -> ReconstructionBatch:
        objects, prompts = self.bank.batch(step, self.settings.batch), []
        if self.settings.parts == "both":
            prompts = batches(self.tasks, step, self.settings.prompts)
        dummies = dummy_share(1.0 if self.annealed else share, *self.settings.dummy)
        cloud, alpha = anneal(objects, self.generator.dummy, dummies, torch.Generator().manual_seed(self.seed * 7919 + step))
        numbers = self.place.numbers(step, PICTURED)
        pictured = self.drawing and (self.drawing.draw(step, numbers), generators(self.seed, numbers))
        return ReconstructionBatch(objects, cloud, alpha, prompts, pictured)

    def losses(self, batch: ReconstructionBatch) -> dict[str, Tensor]:
        losses = {"both": self._of_both, "g": self._of_G, "t": self._of_T, "upsampler": self._of_T}[self.settings.parts](batch)
        total = self.settings.weights.total(losses)
        if batch.pictured:
            losses |= self._picture_losses(*batch.pictured)
            total = total + self.settings.images * (losses["opacity"] + losses["rgb"])
        return losses | {"total": total}

    def _picture_losses(self, of: Subjects, rng: Draws) -> dict[str, Tensor]:
        """Rays through the fields and through the exact shapes: the dummy makes the one, the prompts' shapes are the other."""
        s = self.settings
        fields, whole = full_precision(self.generator(of.tokens, of.mask, of.z))
        with whole:
            views = Viewpoints().draw(len(of.z), rng).to(of.z.device)
            how = {"beta": 1 / s.image_sharpness, "sampling": s.image_sampling}
            rays = some_rays(views, IMAGE, s.image_rays, rng)
            with torch.no_grad():
                exact = render_rays(of.distance, of.color, *rays, **how)
            opacity, rgb = picture_losses(render_rays(*fields_of(self.generator, fields), *rays, **how), exact, of.shaped)
        return {"opacity": opacity, "rgb": rgb}

    def _alone(self) -> list[nn.Module]:
        """What learns where one network does: G and its distance, without the height; or T, its upsampler and its map of paints."""
        g = self.generator
        return [g.G, g.sdf] if self.settings.parts == "g" else [part for part in (g.T, g.upsampler, g.texture) if part is not None]

    def _of_both(self, batch: ReconstructionBatch) -> dict[str, Tensor]:
        g, o = self.generator, batch.objects
        fields = g(o.tokens, o.mask, o.z, batch.cloud, batch.adherence)
        return {
            **self._shape_losses(g.sdf(fields.geometry, fields.condition, o.points), o),
            "height": F.smooth_l1_loss(fields.height_m.float().log(), o.height_m.log(), beta=0.1),
            **self._look_losses(fields.texture, fields.condition, o),
            **task_losses(self.tasks, g, batch.prompts),
        }

    def _of_G(self, batch: ReconstructionBatch) -> dict[str, Tensor]:
        """T stays as it was. Shapes are near enough here to learn from the overlap of their insides."""
        condition, queries, levels = self._encoded(batch)
        sdf = self.generator.sdf(self.generator.G(levels, condition, queries), condition, batch.objects.points)
        return self._shape_losses(sdf, batch.objects) | {"overlap": overlap_loss(sdf, batch.objects.sdf)}

    def _of_T(self, batch: ReconstructionBatch) -> dict[str, Tensor]:
        condition, queries, levels = self._encoded(batch)
        return self._look_losses(self.generator.texture_planes(condition, queries, levels), condition, batch.objects)

    @torch.no_grad()
    def _encoded(self, batch: ReconstructionBatch) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Of the frozen encoder: condition, tokens, planes of every level."""
        condition, queries = self.generator.condition(batch.objects.tokens, batch.objects.mask, batch.objects.z)
        condition, levels = self.generator.encode(condition, queries, batch.cloud, batch.adherence)
        return condition, queries, levels

    def _shape_losses(self, sdf: Tensor, objects: Examples) -> dict[str, Tensor]:
        """Of the distances [B, N] at the objects' points, and their IoU for the report."""
        return {
            "sdf": sdf_loss(sdf, objects.sdf, self.settings.weights.band),
            "slope": slope_loss(sdf - objects.sdf, objects.sdf, objects.points, objects.pairs),
            "iou": occupancy_iou(sdf.detach(), objects.sdf),
        }

    def _look_losses(self, planes: Tensor, condition: Tensor, objects: Examples) -> dict[str, Tensor]:
        """Of T's planes [B, 3, C, R, R] at points of the surface."""
        texture = self.generator.texture
        map = texture.map(planes, condition, objects.surface)
        return look_losses(texture, map, condition, objects.look) | {"shares": shares_loss(map[..., : texture.count], objects.shares)}
