# SPDX-License-Identifier: GPL-3.0-or-later
"""The style numbers z: what a prompt leaves open, drawn from the seed."""
import numpy as np
import torch
from torch import Tensor

STYLE_SIZE = 8


def style_of(seed: int) -> Tensor:
    """The style numbers [8] of a seed: standard normal draws, zeros (the typical object) for seed 0. The same on every machine."""
    if seed == 0:
        return torch.zeros(STYLE_SIZE)
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).standard_normal(STYLE_SIZE).astype(np.float32))
