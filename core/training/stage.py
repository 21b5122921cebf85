# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Run learns by: the contract of every stage, and the settings that all of them have."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from core.training.options import option


@dataclass(frozen=True)
class StageSettings:
    """How a stage learns. Its schedule spans `minutes` of its own training time (all resumptions), or `steps`, which repeats exactly."""

    minutes: float | None = option(None, "training time of the whole stage", above=0)
    steps: int | None = option(None, "number of steps, instead of minutes: repeats exactly", above=0)
    batch: int = option(8, "learnt from in a step", above=0)
    accumulate: int = option(1, "batches whose gradients make a step together, where memory is small", above=0)
    rate: float = option(5e-4, "learning rate", above=0)
    warmup: int = 50  # steps
    final_rate: float = 0.03  # of the rate, at the end of its cosine
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip: float = float("inf")  # the largest norm of a step's gradient
    average: float = 0.0  # how much of the moving average stays in each step; 0: there is none
    half: bool = False  # in half precision, where the machine multiplies that faster


class Stage(Protocol):
    """A part of a training: what learns, from what, by which losses.

    name: what people call it, and a checkpoint; shown: the losses that its bar of progress shows.
    """

    name: str
    settings: StageSettings
    shown: tuple[str, ...]

    def parts(self) -> dict[str, nn.Module]:
        """All that a checkpoint keeps, by name; what of it learns is what requires a gradient."""

    def batch(self, step: int, share: float) -> Any:
        """What batch number `step` holds (with `accumulate` several make a step), at `share` 0 … 1 of the stage: always the same for these
        two and a seed."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """By name: "total" is what the step lessens, the others are for the report."""

    def rates(self) -> Iterable[tuple[Iterable[nn.Parameter], float]]:
        """The parameters that learn, in groups, each with what it learns at, as a share of the rate."""
        return [([p for part in self.parts().values() for p in part.parameters() if p.requires_grad], 1.0)]
