# SPDX-License-Identifier: GPL-3.0-or-later
"""A ring of objects, made once and used by several training steps.

Objects are made in blocks; a step draws single ones out of all blocks. Block number n depends on the source and on n alone, and so does
the draw of step s on s: a resumed run sees what an unbroken one would have seen.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from core.library.source import BLOCK, Examples, Sampling, Source

B = TypeVar("B")


class Ring(Generic[B]):
    """The last `capacity` blocks of an endless row of them: `make(number)` makes one."""

    def __init__(self, make: Callable[[int], B], capacity: int):
        self._make, self._blocks, self._made = make, deque(maxlen=capacity), 0

    def up_to(self, count: int) -> deque[B]:
        """The blocks in the ring once so many have been made; of those that a resumed run has missed only what would still be in it."""
        self._made = max(self._made, count - self._blocks.maxlen)
        while self._made < count:
            self._blocks.append(self._make(self._made))
            self._made += 1
        return self._blocks


class ObjectBank:
    """`batch(step, size)` gives the objects of a step, making new blocks as training proceeds."""

    def __init__(self, source: Source, sampling: Sampling, seed: int, capacity: int = 96):
        self.source, self.sampling, self.seed = source, sampling, seed
        self._ring = Ring(source.examples, max(capacity, source.round))

    def batch(self, step: int, size: int) -> Examples:
        blocks = self._ring.up_to(self.source.round + step * size // (BLOCK * self.sampling.reuse))
        rng = torch.Generator(device="cpu").manual_seed(self.seed * 1_000_003 + step)
        rows = torch.randint(len(blocks) * BLOCK, (size,), generator=rng).tolist()
        return _collate([_row(blocks[r // BLOCK], r % BLOCK, self.sampling, rng) for r in rows])


def _row(block: Examples, i: int, sampling: Sampling, rng: torch.Generator) -> Examples:
    """One object of a block with as many of its points as a step takes; [..] without the batch axis."""
    device, pairs = block.points.device, sampling.step_points // 5
    first = torch.randint(block.pairs, (pairs,), generator=rng)
    others = torch.randint(block.points.shape[1], (sampling.step_points - 2 * pairs,), generator=rng)
    p = torch.cat((first, first + block.pairs, others)).to(device)
    s = torch.randint(block.surface.shape[1], (sampling.step_surface,), generator=rng).to(device)
    length = int(block.mask[i].sum())
    return Examples(block.tokens[i, :length], block.mask[i, :length], block.z[i], block.cloud[i], block.points[i, p], block.sdf[i, p],
                    block.surface[i, s], block.look[i, s], block.shares[i, s], block.height_m[i], block.adherence[i],
                    block.foreign[i], pairs)  # fmt: skip


def _collate(rows: list[Examples]) -> Examples:
    pad = torch.nn.utils.rnn.pad_sequence
    tokens, mask = pad([r.tokens for r in rows], batch_first=True), pad([r.mask for r in rows], batch_first=True)
    names = ("z", "cloud", "points", "sdf", "surface", "look", "shares", "height_m", "adherence", "foreign")
    stacked = {n: torch.stack([getattr(r, n) for r in rows]) for n in names}
    return Examples(tokens, mask, **stacked, pairs=rows[0].pairs)
