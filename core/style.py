# SPDX-License-Identifier: GPL-3.0-or-later
"""The style numbers z: what a prompt leaves open, drawn from the seed."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

STYLE_SIZE = 8


def style_of(seeds: Sequence[int]) -> Tensor:
    """The style numbers z [B, 8] of seeds: standard normal draws, zeros (the typical object) for seed 0. The same on every machine."""
    draws = [np.random.Generator(np.random.PCG64(seed)).standard_normal(STYLE_SIZE) * (seed != 0) for seed in seeds]
    return torch.from_numpy(np.stack(draws).astype(np.float32)) if draws else torch.zeros(0, STYLE_SIZE)
