# SPDX-License-Identifier: GPL-3.0-or-later
"""What the condition learns from prompts alone, beside the objects: the contract of such tasks, and several of them as one."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from core.networks.generator import Generator


class PromptTask(Protocol):
    """A task whose prompts need no objects: a step takes hundreds of them, at a twentieth of the objects' cost.

    head: what the task needs beside the generator, and no model ships with; it may be empty.
    """

    head: nn.Module

    def batch(self, step: int, size: int) -> Any:
        """`size` prompts of step number `step`: always the same for these two and a seed."""

    def losses(self, generator: Generator, batch: Any) -> dict[str, Tensor]:
        """By name, as `LossWeights` knows them."""


def heads_of(tasks: Sequence[PromptTask]) -> nn.ModuleList:
    return nn.ModuleList(task.head for task in tasks)


def batches(tasks: Sequence[PromptTask], step: int, size: int) -> list:
    """The batch of each task, `size` prompts in all."""
    return [task.batch(step, max(1, size // len(tasks))) for task in tasks]


def task_losses(tasks: Sequence[PromptTask], generator: Generator, drawn: list) -> dict[str, Tensor]:
    """The losses of all tasks; no two of them have the same."""
    return {name: value for task, batch in zip(tasks, drawn, strict=True) for name, value in task.losses(generator, batch).items()}
