# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading: the condition is pre-trained on prompts alone to predict their attributes.

A step takes hundreds of prompts; with objects it would take a handful.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from core.networks.generator import Generator
from core.training.losses import LossWeights
from core.training.options import option
from core.training.stage import Stage, StageSettings
from core.training.tasks import PromptTask, batches, heads_of, task_losses


@dataclass(frozen=True)
class ReadingSettings(StageSettings):
    """Settings of the pre-training on prompts."""

    steps: int | None = option(None, "number of steps (25 a minute of --minutes, up to 1500; on a folder 4, up to 150)", least=0)
    batch: int = option(256, "prompts a step, of all processes together", above=0)
    pool: int = option(16384, "different prompts that steps draw from, in each process", above=0)


class ReadingStage(Stage):
    """Trains the parts that depend on the prompt alone."""

    name, shown = "reading", ("words", "paints", "accuracy", "captions", "caption_accuracy", "kept")

    def __init__(self, settings: ReadingSettings, generator: Generator, tasks: Sequence[PromptTask], weights: LossWeights, processes: int):
        self.settings, self.generator, self.tasks, self.weights = settings, generator, tasks, weights
        self.each = max(1, settings.batch // processes)

    def parts(self) -> dict[str, nn.Module]:
        return {"prompt_parts": nn.ModuleList(self.generator.prompt_parts), "heads": heads_of(self.tasks)}

    def batch(self, step: int, share: float) -> list:
        return batches(self.tasks, step, self.each)

    def losses(self, batch: list) -> dict[str, Tensor]:
        losses = task_losses(self.tasks, self.generator, batch)
        return losses | {"total": self.weights.total(losses)}
