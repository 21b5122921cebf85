# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame that all shapes share, stated once, and the style numbers z of a seed.

It loads without torch, which the many small processes that prepare a library do not need.
Right-handed, Z up, front towards +X; objects are centred, their largest side spans SPAN. glTF's (x, y, z) is (y, z, x) here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.limits import STYLE_SIZE

if TYPE_CHECKING:
    from torch import Tensor

SPAN = 0.96  # largest side of every object: it lies inside ±0.48
HALF_EXTENT = 0.52  # planes and SDF grids cover ±0.52, so that every surface closes inside them


def style_of(seeds: Sequence[int]) -> "Tensor":
    """The style numbers z [B, 8] of seeds: standard normal draws, zeros (the typical object) for seed 0. The same on every machine."""
    import torch

    draws = [np.random.Generator(np.random.PCG64(seed)).standard_normal(STYLE_SIZE) * (seed != 0) for seed in seeds]
    return torch.from_numpy(np.stack(draws).astype(np.float32)) if draws else torch.zeros(0, STYLE_SIZE)
