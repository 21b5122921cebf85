# SPDX-License-Identifier: GPL-3.0-or-later
"""An auxiliary task for the condition of a folder library: what is said of one shape is alike, what is said of others is not.

Learnt from the captions of the train split alone, without any object. A library has few captions and people have many words, so half of
the task keeps what the frozen text model knows: the condition must find texts as near to each other as their sentence embeddings are.
The other half draws the captions of a shape together (InfoNCE: van den Oord et al. 2018). Experiment 23 tells what was tried.
"""

import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from core.frame import STYLE_SIZE
from core.language.encoder import TextEncoder
from core.networks.generator import Generator
from core.networks.presets import GeneratorConfig

FAR = 2e4  # takes a text's likeness to itself out of a softmax
STREAM = 999_983  # steps of one seed lie apart from those of the next


@dataclass(frozen=True)
class CaptionSettings:
    """alike: weight of drawing a shape's captions together; kept: that of the sentence embeddings' nearness; temperature and nearness:
    what likenesses are divided by in each; dropped: share of words that a view leaves out; window: shapes that the steps of a while draw
    from, for a library of more of them would be encoded anew at every step; lasting: how many steps; cached: texts in memory."""

    alike: float = 1.0
    kept: float = 1.0
    temperature: float = 0.07
    nearness: float = 0.05
    dropped: float = 0.2
    width: int = 128
    window: int = 2048
    lasting: int = 512
    cached: int = 16384


@dataclass
class CaptionBatch:
    """tokens [B, L, W], mask [B, L], z [B, 8]: the inputs, of which rows 0 … pairs − 1 and the next as many are two views of a shape each;
    meaning [B, W]: the mean of each row's tokens, of length 1; words [B]: equal where the whole texts are; pairs: how many shapes."""

    tokens: Tensor
    mask: Tensor
    z: Tensor
    meaning: Tensor
    words: Tensor
    pairs: int

    def twins(self) -> Tensor:
        """Which row is the other view of each row's shape. [B]"""
        return (torch.arange(len(self.words), device=self.words.device) + self.pairs) % len(self.words)

    def neither(self) -> Tensor:
        """Where a column is nothing that a row can be told apart from: the row itself, and other shapes that the same is said of. [B, B]"""
        same = self.words[:, None] == self.words
        same[torch.arange(len(same)), self.twins()] = False
        return same.fill_diagonal_(True)


class CaptionTask:
    """The task on the captions of a library.

    Args:
        captions: text and the name of the shape that it is said of, or None for a prompt without one.
        seed: what `batch(step, size)` depends on beside the step, and nothing else.
    """

    def __init__(
        self,
        captions: Sequence[tuple[str, str | None]],
        encoder: TextEncoder,
        config: GeneratorConfig,
        seed: int,
        device: torch.device,
        settings: CaptionSettings = CaptionSettings(),
    ):
        self.settings, self.seed, self.device = settings, seed, device
        shapes: dict[object, list[str]] = {}
        for text, shape in captions:
            own = shapes.setdefault(shape if shape is not None else (text,), [])
            if text not in own:
                own.append(text)
        self.shapes = list(shapes.values())  # the captions of each
        if not self.shapes:
            raise ValueError("there are no captions to learn from")
        self._drawn: tuple[int, list[list[str]]] = (-1, [])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # the CPU's alone: a GPU's would not be given back
            self.head = CaptionHead(config, settings.width).to(device)
        self._texts = _Encoded(encoder, settings.cached)

    def batch(self, step: int, size: int) -> CaptionBatch:
        """About `size` views of captions, two a shape."""
        rng = random.Random(f"{self.seed}/captions/{step}")
        shapes = self._window(step)
        chosen = rng.sample(shapes, min(max(size // 2, 1), len(shapes)))
        pairs = [rng.sample(own, 2) if len(own) > 1 else [own[0]] * 2 for own in chosen]
        views = [text for side in zip(*pairs, strict=True) for text in side]
        self._texts.load(dict.fromkeys(views))
        rows = [self._view(text, rng, self.settings.dropped) for text in views]
        noise = torch.Generator().manual_seed(self.seed * STREAM + step)
        z = torch.randn(len(rows), STYLE_SIZE, generator=noise)
        meaning = F.normalize(torch.stack([row.float().mean(0) for row in rows]), dim=1)
        tokens = pad_sequence([row.float() for row in rows], batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        words = torch.tensor([views.index(text) for text in views])
        return CaptionBatch(*(t.to(self.device) for t in (tokens, mask, z, meaning, words)), len(chosen))

    def _window(self, step: int) -> list[list[str]]:
        """The captions of the shapes that this step draws from: all of them, where they are not too many."""
        if len(self.shapes) <= self.settings.window:
            return self.shapes
        number = step // self.settings.lasting
        if self._drawn[0] != number:
            self._drawn = number, random.Random(f"{self.seed}/window/{number}").sample(self.shapes, self.settings.window)
        return self._drawn[1]

    def _view(self, text: str, rng: random.Random, dropped: float) -> Tensor:
        """A caption's tokens [L, W] without some; the first, which stands for the text, stays."""
        tokens = self._texts[text]
        return tokens[[i for i in range(len(tokens)) if i == 0 or rng.random() >= dropped]]

    def losses(self, generator: Generator, batch: CaptionBatch) -> dict[str, Tensor]:
        """captions: the task's loss; caption_accuracy: the share of views whose nearest other view is of their shape, for the report."""
        vector, queries = generator.condition(batch.tokens, batch.mask, batch.z)
        with torch.autocast(vector.device.type, enabled=False):
            seen = self.head(vector.float(), queries.float())
            loss = sum(self._loss(embedding, batch) for embedding in seen) / len(seen)
        nearest = (seen[0].detach() @ seen[0].detach().T - FAR * batch.neither()).argmax(1)
        right = (nearest == batch.twins()).float().mean()
        return {"captions": loss, "caption_accuracy": right}

    def _loss(self, embedding: Tensor, batch: CaptionBatch) -> Tensor:
        """embedding: [B, width], of length 1"""
        likeness = embedding @ embedding.T
        others = FAR * torch.eye(len(embedding), device=embedding.device)
        kept = F.kl_div(
            (likeness / self.settings.nearness - others).log_softmax(1),
            (batch.meaning @ batch.meaning.T / self.settings.nearness - others).softmax(1),
            reduction="batchmean",
        )
        alike = F.cross_entropy(likeness / self.settings.temperature - FAR * batch.neither(), batch.twins())
        return self.settings.kept * kept + self.settings.alike * alike


class CaptionHead(nn.Module):
    """What the task compares: the condition's vector and its query tokens, each by a linear map. Not part of the shipped model."""

    def __init__(self, config: GeneratorConfig, width: int):
        super().__init__()
        self.vector = nn.Linear(config.condition, width)
        self.queries = nn.Linear(config.queries * config.condition, width)

    def forward(self, vector: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """vector: [B, D], queries: [B, Q, D] -> two embeddings [B, width] of length 1"""
        return F.normalize(self.vector(vector), dim=1), F.normalize(self.queries(queries.flatten(1)), dim=1)


class _Encoded:
    """Tokens of texts in half precision on the CPU, encoded when first asked for; the oldest go."""

    def __init__(self, encoder: TextEncoder, most: int):
        self.encoder, self.most, self.rows = encoder, most, OrderedDict[str, Tensor]()

    def load(self, texts: Sequence[str]) -> None:
        """Have these texts at hand."""
        for text in texts:
            if text not in self.rows:  # each by itself: which ones are missing together depends on what was read before
                self.rows[text] = self.encoder.fresh([text])[0][0].to("cpu", torch.float16)
        for text in texts:
            self.rows.move_to_end(text)
        while len(self.rows) > max(self.most, len(texts)):
            self.rows.popitem(last=False)

    def __getitem__(self, text: str) -> Tensor:
        return self.rows[text]


@dataclass(frozen=True)
class Confusion:
    """Of prompts whose shape is known: the share whose nearest caption is of that shape, and that have it among the five nearest shapes."""

    prompts: int
    top1: float
    top5: float


@torch.no_grad()
def caption_confusion(
    generator: Generator, encoder: TextEncoder, captions: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]
) -> Confusion:
    """How well the condition tells shapes apart: each of `others` (text, shape) against `captions` that were learnt, by the cosine of the
    vectors less their mean, at z = 0. Prompts of shapes that no caption speaks of are left out."""
    numbers = {shape: i for i, shape in enumerate(dict.fromkeys(shape for _, shape in captions))}
    others = [(text, shape) for text, shape in others if shape in numbers]
    if not others:
        return Confusion(0, 0.0, 0.0)
    known, asked = (_vectors(generator, encoder, [text for text, _ in rows]) for rows in (captions, others))
    middle = known.mean(0)
    known, asked = F.normalize(known - middle, dim=1), F.normalize(asked - middle, dim=1)
    of = torch.tensor([numbers[shape] for _, shape in captions], device=known.device)
    ranks = []
    for part, (_, shape) in zip(asked, others, strict=True):
        nearness = known.new_full((len(numbers),), -torch.inf).scatter_reduce(0, of, known @ part, "amax")
        ranks.append(int((nearness > nearness[numbers[shape]]).sum()))
    return Confusion(len(ranks), sum(r < 1 for r in ranks) / len(ranks), sum(r < 5 for r in ranks) / len(ranks))


def _vectors(generator: Generator, encoder: TextEncoder, texts: Sequence[str]) -> Tensor:
    """The condition's vectors at z = 0. [texts, D]"""
    device, out = next(generator.parameters()).device, []
    for start in range(0, len(texts), 256):
        tokens, mask = (t.to(device) for t in encoder(list(texts[start : start + 256])))
        out.append(generator.condition(tokens, mask, tokens.new_zeros(len(tokens), STYLE_SIZE))[0].float())
    return torch.cat(out)
