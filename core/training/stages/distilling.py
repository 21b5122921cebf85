# SPDX-License-Identifier: GPL-3.0-or-later
"""What both stages of score distillation have in common: a prior, texts that it has read, subjects that are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor, nn

from core.guidance.sds import LOSSES, Distillation, Guidance, Text
from core.networks.generator import Generator
from core.rendering.volume import Sampling
from core.training.options import option
from core.training.stage import Stage, StageSettings

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


class Distilling(Stage):
    """A stage whose networks are one generator."""

    generator: Generator

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator}


def numbers_of(guidance: Guidance, images: Tensor) -> int:
    """How many numbers a prior's own picture of an image has: its loss is a sum over them."""
    sizes = getattr(guidance, "sizes", None)
    return images[0].numel() if sizes is None else sizes.channels * sizes.size**2
