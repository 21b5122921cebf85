# SPDX-License-Identifier: GPL-3.0-or-later
"""An auxiliary task that teaches the condition to read: name what a prompt says, attribute by attribute.

Words are learnt from prompts alone, sixteen times as many a step as there are objects, at a twentieth of the objects' cost.
"""

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.library.grammar import sample_description, split_of, word
from core.library.objects import PROPORTIONS, SIZES, Description
from core.library.palette import COLORS, MATERIALS, PATTERNS
from core.networks.presets import GeneratorConfig
from core.text import TextEncoder


def vocabularies(kinds: Sequence[str]) -> dict[str, list]:
    """The values of each attribute, None for what a prompt leaves open."""
    words = {"color": COLORS, "material": MATERIALS, "pattern": PATTERNS, "pattern_color": COLORS, "proportion": PROPORTIONS}
    words |= {"second_color": COLORS, "size": SIZES}
    return {"kind": list(kinds), "second": [False, True]} | {name: [None, *values] for name, values in words.items()}


class PromptPool:
    """Prompts of the train split with their attributes; `batch(step, size)` depends on the seed and on the step alone."""

    def __init__(self, kinds: Sequence[str], encoder: TextEncoder, seed: int, device: torch.device, count: int):
        rng, values = random.Random(f"{seed}/prompts"), vocabularies(kinds)
        descriptions: list[Description] = []
        while len(descriptions) < count:
            description = sample_description(rng, kinds)
            if split_of(description) == "train":
                descriptions.append(description)
        self.seed = seed
        tokens, self.mask = encoder([word(d, rng) for d in descriptions])
        self.tokens = tokens.half()  # [count, L, W]
        labels = [[values[name].index(getattr(d, name)) for name in values] for d in descriptions]
        self.labels = torch.tensor(labels, device=device)  # [count, attributes]

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, L, W], mask [B, L], labels [B, attributes]."""
        rng = torch.Generator().manual_seed(self.seed * 999_983 + step)
        rows = torch.randint(len(self.labels), (size,), generator=rng).to(self.labels.device)
        mask = self.mask[rows]
        length = int(mask.sum(1).max())
        return self.tokens[rows, :length].float(), mask[:, :length], self.labels[rows]


class AttributeHeads(nn.Module):
    """Linear readings of the condition vector: one classifier an attribute, and the style numbers. Not part of the shipped model."""

    def __init__(self, config: GeneratorConfig, kinds: Sequence[str]):
        super().__init__()
        self.attributes = nn.ModuleList(nn.Linear(config.condition, len(values)) for values in vocabularies(kinds).values())
        self.style = nn.Linear(config.condition, config.style_size)

    def forward(self, vector: Tensor, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy plus the style's squared error, and the share of attributes read right. vector: [B, D]"""
        logits = [head(vector) for head in self.attributes]
        words = sum(F.cross_entropy(own, labels[:, i]) for i, own in enumerate(logits)) / len(logits)
        right = torch.stack([own.argmax(1) == labels[:, i] for i, own in enumerate(logits)]).float().mean()
        return words + 0.2 * F.mse_loss(self.style(vector), z), right
