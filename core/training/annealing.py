# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-cloud annealing: real clouds give way to the dummy sphere, down to a floor that keeps "restyle this shape" alive."""

import torch
from torch import Tensor

from core.library.source import Examples


def dummy_share(progress: float, start: float = 0.4, end: float = 0.9, until: float = 0.4) -> float:
    """Share of objects that see the dummy sphere, at `progress` 0..1 of the training: rises linearly to `end`, then stays."""
    return start + (end - start) * min(progress / until, 1.0)


def anneal(objects: Examples, dummy: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor | None, Tensor]:
    """Replace clouds by the dummy with probability `share`, but not another object's, whose shape the distances have something of.
    dummy: [P, 6] -> clouds [B, P, 6], or None where all were replaced, which the generator takes for the dummy and encodes once, not B
    times; and α [B], 0 with the dummy."""
    replaced = (torch.rand(len(objects.cloud), generator=generator) < share).to(objects.foreign.device) & ~objects.foreign
    alpha = torch.where(replaced, 0.0, objects.adherence)
    return None if replaced.all() else torch.where(replaced[:, None, None], dummy, objects.cloud[:, : len(dummy)]), alpha
