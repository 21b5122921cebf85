# SPDX-License-Identifier: GPL-3.0-or-later
"""An auxiliary task for the condition: predict a prompt's attributes one by one, and the colours of its paints.

Words are learnt from prompts alone, many times as many a step as there are objects, at a twentieth of the objects' cost.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.frame import STYLE_SIZE
from core.language.encoder import TextEncoder
from core.library.starter.objects import COUNTS, PAINTS, PROPORTIONS, SIZES, ExactObjects
from core.library.starter.palette import COLORS, FINISHES, MATERIALS, PATTERNS, SHADES
from core.library.starter.source import draw_prompt
from core.networks.generator import Generator
from core.networks.presets import GeneratorConfig


def vocabularies(kinds: Sequence[str]) -> dict[str, list]:
    """The values of each attribute, None for what a prompt leaves open."""
    words = {"color": COLORS, "material": MATERIALS, "pattern": PATTERNS, "pattern_color": COLORS, "proportion": PROPORTIONS}
    words |= {"second_color": COLORS, "size": SIZES, "count": COUNTS, "shade": SHADES, "finish": FINISHES}
    return {"kind": list(kinds), "second": [False, True]} | {name: [None, *values] for name, values in words.items()}


@dataclass
class PromptBatch:
    """tokens [B, L, W], mask [B, L], z [B, 8]: the inputs; labels [B, attributes], paints [B, 3, 5], stretch [B]: the targets."""

    tokens: Tensor
    mask: Tensor
    z: Tensor
    labels: Tensor
    paints: Tensor
    stretch: Tensor


class PromptPool:
    """Prompts of the train split with their attributes; `batch(step, size)` depends on the seed and on the step alone."""

    def __init__(
        self, kinds: Sequence[str], encoder: TextEncoder, seed: int, device: torch.device, count: int, per_kind: int | None = None
    ):
        rng, values = random.Random(f"{seed}/prompts"), vocabularies(kinds)
        descriptions, self.prompts = map(list, zip(*(draw_prompt(rng, kinds, per_kind) for _ in range(count)), strict=True))
        self.seed, chunks = seed, range(0, count, 512)
        encoded = [[t[m].half() for t, m in zip(*encoder.fresh(self.prompts[i : i + 512]), strict=True)] for i in chunks]
        self.tokens = [row for part in encoded for row in part]  # [L, W] each
        labels = [[values[name].index(getattr(d, name)) for name in values] for d in descriptions]
        self.labels = torch.tensor(labels, device=device)  # [count, attributes]
        self.z = torch.randn(count, STYLE_SIZE, generator=torch.Generator().manual_seed(seed)).to(device)
        exact = [ExactObjects(descriptions[i : i + 512], self.z[i : i + 512]) for i in chunks]
        self.paints, self.stretch = torch.cat([e.paints for e in exact]), torch.cat([e.pattern_scale for e in exact]).log()

    def batch(self, step: int, size: int) -> PromptBatch:
        rng = torch.Generator().manual_seed(self.seed * 999_983 + step)
        rows = torch.randint(len(self.labels), (size,), generator=rng)
        tokens = [self.tokens[i].float() for i in rows.tolist()]
        mask = [t.new_ones(len(t), dtype=torch.bool) for t in tokens]
        pad, rows = torch.nn.utils.rnn.pad_sequence, rows.to(self.labels.device)
        targets = (values[rows] for values in (self.labels, self.paints, self.stretch))
        return PromptBatch(pad(tokens, batch_first=True), pad(mask, batch_first=True), self.z[rows], *targets)


def reading_losses(generator: Generator, heads: "AttributeHeads", prompts: PromptBatch) -> dict[str, Tensor]:
    """words: cross-entropy of the attributes; paints: mean |error|; paints_metallic: cross-entropy; stretch: mean |error| of the
    log of how coarse patterns are; accuracy: the share of attributes predicted right, for the report."""
    vector = generator.condition(prompts.tokens, prompts.mask, prompts.z)[0]
    words, accuracy = heads(vector, prompts.z, prompts.labels)
    logits = generator.texture.palette_logits(vector)[:, : len(PAINTS)]
    paints = (logits[..., :4].sigmoid() - prompts.paints[..., :4]).abs().mean()
    metallic = F.binary_cross_entropy_with_logits(logits[..., 4], prompts.paints[..., 4])
    stretch = (generator.texture.waves.log_stretch(vector)[:, 0] - prompts.stretch).abs().mean()
    return {"words": words, "paints": paints, "paints_metallic": metallic, "stretch": stretch, "accuracy": accuracy.detach()}


class AttributeTask:
    """The starter's prompts by their attributes, as a task of the condition."""

    def __init__(self, pool: PromptPool, head: "AttributeHeads"):
        self.pool, self.head = pool, head

    def batch(self, step: int, size: int) -> PromptBatch:
        return self.pool.batch(step, size)

    def losses(self, generator: Generator, batch: PromptBatch) -> dict[str, Tensor]:
        return reading_losses(generator, self.head, batch)


class AttributeHeads(nn.Module):
    """Linear probes of the condition vector: one classifier an attribute, and the style numbers. Not part of the shipped model."""

    def __init__(self, config: GeneratorConfig, kinds: Sequence[str]):
        super().__init__()
        self.attributes = nn.ModuleList(nn.Linear(config.condition, len(values)) for values in vocabularies(kinds).values())
        self.style = nn.Linear(config.condition, config.style_size)

    def forward(self, vector: Tensor, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy plus the style's squared error, and the share of attributes predicted right. vector: [B, D]"""
        logits = [head(vector) for head in self.attributes]
        words = sum(F.cross_entropy(own, labels[:, i]) for i, own in enumerate(logits)) / len(logits)
        right = torch.stack([own.argmax(1) == labels[:, i] for i, own in enumerate(logits)]).float().mean()
        return words + 0.2 * F.mse_loss(self.style(vector), z), right
