# SPDX-License-Identifier: GPL-3.0-or-later
"""What a library's captions and the frozen text encoder tell by themselves: the least that a trained model should reach."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.evaluation.space import text_means
from core.language.encoder import TextEncoder
from core.library.format import Prompt

TOGETHER = 256  # captions


def nearest_shapes(encoder: TextEncoder, texts: Sequence[str], train: Sequence[Prompt], most: int = 5) -> list[list[str]]:
    """For each text the shapes of the train captions that are nearest to it, by the cosine of mean token embeddings, the nearest first,
    each once."""
    nearness = _directions(encoder, texts) @ _directions(encoder, [p.text for p in train]).T
    return [list(dict.fromkeys(train[i].shape for i in row.argsort(descending=True).tolist()))[:most] for row in nearness]


def text_figures(encoder: TextEncoder, meant: dict[str, set[str]], train: Sequence[Prompt]) -> dict[str, float | None]:
    """text_top1, text_top5: how often a right shape is the nearest by captions, and among the five nearest. `meant`: texts, and the shapes
    that each stands for. None where that says nothing: of texts that are train captions themselves, and of shapes that have none."""
    captions, shown = {p.text.lower() for p in train}, {p.shape for p in train}
    texts = [text for text, shapes in meant.items() if text.lower() not in captions and shapes & shown]
    if not texts:
        return {"text_top1": None, "text_top5": None}
    found = nearest_shapes(encoder, texts, train)
    right = [[shape in meant[text] for shape in shapes] for text, shapes in zip(texts, found, strict=True)]
    return {f"text_top{n}": round(sum(any(r[:n]) for r in right) / len(right), 4) for n in (1, 5)}


def _directions(encoder: TextEncoder, texts: Sequence[str]) -> Tensor:
    """Unit vectors [N, width]."""
    parts = [text_means(encoder, texts[i : i + TOGETHER]) for i in range(0, len(texts), TOGETHER)]
    return F.normalize(torch.cat(parts), dim=1)
