# SPDX-License-Identifier: GPL-3.0-or-later
"""What both stages of score distillation have in common: a prior, texts that it has read, subjects that are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from core.guidance.sds import LOSSES, Blend, Distillation, Guidance, Text
from core.networks.generator import Generator
from core.rendering.volume import Sampling
from core.training.options import option
from core.training.stage import Stage, StageSettings
from core.training.subjects import Drawing, Place, Subjects

Seen = TypeVar("Seen", bound="DistillationSettings")  # of a stage: with viewpoints
STEPS = 50_000  # of a stage, where nothing else is said: the paper's horizon


class Texts(Protocol):
    """Prompts as a prior reads them."""

    def batch(self, prompts: Sequence[str]) -> Text: ...


@dataclass(frozen=True)
class DistillationSettings(StageSettings):
    """Settings of a stage of score distillation."""

    steps: int | None = option(None, f"number of steps ({STEPS} where no minutes are given)", above=0)
    batch: int = option(4, "objects a step and process", above=0)
    rate: float = option(2e-4, "learning rate", above=0)
    size: int = option(256, "pixels of a picture, a side", above=0)
    scale: float | None = option(None, "how much a prompt outweighs the negative prompt (default: what is usual for the prior)", least=0)
    loss: str = option("usual", "how the prior teaches: x0, sds, or what is usual for it", choices=("usual", *LOSSES))
    prompts: int = option(4096, "different prompts of the starter library", above=0)
    ground: float = option(0.5, "brightness of the pictures' ground", least=0)
    blend: float = option(0.0, "share of objects that lie between two prompts, so that a blend is one thing", least=0)
    blend_concentration: float = 1.0  # of the Dirichlet distribution of how much of each prompt is in it; 1: all alike
    warmup: int = 100
    average: float = 0.998
    clip: float = 100.0
    half: bool = True

    def distillation(self, usual: Distillation) -> Distillation:
        """How the prior teaches, of what is usual for it."""
        loss = usual.loss if self.loss == "usual" else self.loss
        return replace(usual, loss=loss, scale=usual.scale if self.scale is None else self.scale)


@dataclass(frozen=True)
class VolumeSettings:
    """Of rays: see `core.rendering.volume.Sampling`."""

    coarse: int = option(64, "points along a ray", above=1)
    fine: int = option(64, "points more, laid where a ray ends", least=0)
    looks: int = option(16, "places along a ray that colours are asked at", above=0)
    at_once: int = option(1 << 20, "points that are held in memory together; more than that are computed twice", above=0)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.coarse, self.fine, self.looks, self.at_once)


def suited(settings: Seen, prior: Guidance) -> Seen:
    """The settings of a stage as its prior needs them: no more pixels than it sees, from where it has learnt to look, as many views."""
    sizes = getattr(prior, "sizes", None)
    size = settings.size if sizes is None else min(settings.size, sizes.image)
    viewpoints = replace(prior.viewpoints or settings.viewpoints, views=prior.views or settings.viewpoints.views)
    return replace(settings, size=size, viewpoints=viewpoints)


class Distilling(Stage):
    """A stage whose networks are one generator, and whose subjects are drawn."""

    settings: DistillationSettings
    generator: Generator
    drawing: Drawing
    seed: int
    place: Place

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator}

    def drawn(self, step: int, dummies: float, rngs: Sequence[torch.Generator], numbers: Sequence[int]) -> "Drawn":
        """Subjects of these numbers, with α drawn for each; a share of `dummies` sees the dummy sphere."""
        s, subjects = self.settings, self.drawing.draw(step, numbers)
        device = subjects.shaped.device
        alpha, chance = torch.stack([torch.rand(2, generator=rng) for rng in rngs]).to(device).unbind(1)
        replaced, mixture = chance < dummies, mixtures(s.blend, s.blend_concentration, self.seed, numbers)
        if mixture is not None:
            mixture = mixture.to(device)
            replaced, subjects = replaced | (mixture > 0), replace(subjects, shaped=subjects.shaped & (mixture == 0))
        cloud = subjects.cloud[:, : len(self.generator.dummy)]
        cloud = None if replaced.all() else torch.where(replaced[:, None, None], self.generator.dummy, cloud)
        return Drawn(subjects, cloud, alpha * subjects.shaped, replaced, mixture)


@dataclass
class Drawn:
    """subjects: B of them; cloud [B, P, 6]: what the network sees, None for the dummy alone; alpha [B]: 0 … 1, 0 without a shape; dummy
    [B]: who sees the dummy; mixture [B]: how much of the prompt before is in each, None for nothing in any."""

    subjects: Subjects
    cloud: Tensor | None
    alpha: Tensor
    dummy: Tensor
    mixture: Tensor | None

    def condition(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """Vector [B, D] and tokens [B, queries, D], as a pipeline blends them."""
        of = self.subjects
        own = generator.condition(of.tokens, of.mask, of.z)
        if self.mixture is None:
            return own
        other = generator.condition(of.tokens.roll(1, 0), of.mask.roll(1, 0), of.z)
        return tuple(torch.lerp(a, b, self.mixture.view(-1, *[1] * (a.ndim - 1)).to(a)) for a, b in zip(own, other, strict=True))

    def texts(self, texts: Texts, rows: Sequence[int] | None = None) -> tuple[Text, Blend | None]:
        """What a prior reads, of some rows or of all."""
        rows, prompts = range(len(self.subjects.prompts)) if rows is None else rows, self.subjects.prompts
        text = texts.batch([prompts[i] for i in rows])
        if self.mixture is None:
            return text, None
        return text, Blend(texts.batch([prompts[i - 1] for i in rows]).prompt, self.mixture[list(rows)])


def mixtures(share: float, concentration: float, seed: int, numbers: Sequence[int]) -> Tensor | None:
    """How much of the prompt before it in a step is in each subject [B]: drawn for a share of them, 0 for the others."""
    if not share or len(numbers) < 2:
        return None
    rngs = [np.random.Generator(np.random.PCG64([seed, number, 2])) for number in numbers]
    drawn = [rng.dirichlet((concentration, concentration))[1] if rng.random() < share else 0.0 for rng in rngs]
    return torch.tensor(drawn, dtype=torch.float32)


def numbers_of(guidance: Guidance, images: Tensor) -> int:
    """How many numbers a prior's own picture of an image has: its loss is a sum over them."""
    sizes = getattr(guidance, "sizes", None)
    return images[0].numel() if sizes is None else sizes.channels * sizes.size**2
