# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-cloud annealing: real clouds give way to the dummy sphere, down to a floor that keeps "restyle this shape" alive."""

import torch
from torch import Tensor


def dummy_share(progress: float, start: float = 0.4, end: float = 0.9, until: float = 0.4) -> float:
    """Share of objects that see the dummy sphere, at `progress` 0..1 of the training: rises linearly to `end`, then stays."""
    return start + (end - start) * min(progress / until, 1.0)


def anneal(cloud: Tensor, dummy: Tensor, share: float, generator: torch.Generator) -> Tensor | None:
    """Replace each object's cloud by the dummy with probability `share`. cloud: [B, P or more, 6], dummy: [P, 6] -> [B, P, 6], or None
    where all were replaced, which the generator takes for the dummy and encodes once, not B times."""
    replaced = torch.rand(len(cloud), generator=generator) < share
    return None if replaced.all() else torch.where(replaced.to(cloud.device)[:, None, None], dummy, cloud[:, : len(dummy)])
