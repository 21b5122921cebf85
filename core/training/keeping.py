# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that keeps what an earlier model makes of its own prompts, while others are learnt.

Li & Hoiem 2017, Learning without Forgetting, for the condition alone.
"""

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.frame import STYLE_SIZE
from core.language.encoder import TextEncoder
from core.library.starter.source import draw_prompt
from core.networks.generator import Generator

STYLES = 4  # of each prompt: z = 0 first


@dataclass
class KeptBatch:
    """tokens [B, L, W], mask [B, L], z [B, 8]: prompts as they are read."""

    tokens: Tensor
    mask: Tensor
    z: Tensor


class KeepingTask:
    """The condition of starter prompts stays as the earlier model has it: its vector, its tokens, and the paints that follow from it."""

    def __init__(self, earlier: Generator, kinds: Sequence[str], encoder: TextEncoder, seed: int, device: torch.device, count: int = 4096):
        self.head, self.seed, self.device = nn.Module(), seed, device
        self.condition = copy.deepcopy(earlier.condition).requires_grad_(False).to(device)
        self.palette = copy.deepcopy(earlier.texture.palette).requires_grad_(False).to(device)
        rng = random.Random(f"{seed}/kept")
        self.prompts = [draw_prompt(rng, kinds)[1] for _ in range(count)]
        self.tokens = [t[m].half() for i in range(0, count, 512) for t, m in zip(*encoder.fresh(self.prompts[i : i + 512]), strict=True)]

    def batch(self, step: int, size: int) -> KeptBatch:
        rng = torch.Generator().manual_seed(self.seed * 999_979 + step)
        tokens = [self.tokens[i].float() for i in torch.randint(len(self.tokens), (size,), generator=rng).tolist()]
        pad = torch.nn.utils.rnn.pad_sequence
        mask = pad([t.new_ones(len(t), dtype=torch.bool) for t in tokens], batch_first=True)
        z = torch.randn(size, STYLE_SIZE, generator=rng).to(self.device)
        z[::STYLES] = 0
        return KeptBatch(pad(tokens, batch_first=True), mask, z)

    def losses(self, generator: Generator, batch: KeptBatch) -> dict[str, Tensor]:
        """kept: mean squared difference of vector, tokens and paints, over how much each varies among prompts."""
        with torch.no_grad():
            vector, tokens = (value.float() for value in self.condition(batch.tokens, batch.mask, batch.z))
            paints = self.palette(vector.float())
        now_vector, now_tokens = generator.condition(batch.tokens, batch.mask, batch.z)
        pairs = ((now_vector, vector), (now_tokens, tokens), (generator.texture.palette(now_vector.float()), paints))
        return {"kept": sum((now.float() - was).square().mean() / _spread(was) for now, was in pairs)}


def _spread(values: Tensor) -> Tensor:
    """How much values [B, ..] vary among prompts."""
    return values.var(0, correction=0).mean().clamp(min=1e-3)
