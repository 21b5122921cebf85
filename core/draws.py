# SPDX-License-Identifier: GPL-3.0-or-later
"""Random numbers of a batch whose objects have generators of their own: an object's numbers are the same whoever else is in the batch, so
that several processes learn what one would with a larger batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draws = torch.Generator | Sequence[torch.Generator]  # of a whole batch, or one an object


def draw(make: Callable[..., Tensor], shape: Sequence[int], draws: Draws | None) -> Tensor:
    """What `make` draws, such as torch.rand: of this shape, on the generator's device. Of several generators each draws as many rows."""
    if draws is None or isinstance(draws, torch.Generator):
        return make(tuple(shape), generator=draws, device=draws.device if draws else None)
    rows, *rest = shape
    return torch.cat([draw(make, (rows // len(draws), *rest), one) for one in draws])
