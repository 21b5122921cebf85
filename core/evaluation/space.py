# SPDX-License-Identifier: GPL-3.0-or-later
"""A space of our own in which renders and prompts meet, for R-precision where nobody has CLIP's weights.

A small convolutional net learns to put pictures of exact objects of the train split next to their prompts: the mean of the frozen text
encoder's tokens, then a small projection. It never sees a generated object nor an unseen combination. Figures of two trainings of it cannot
be compared, and it is no CLIP score. Chance and the exact objects' own score, which is the most that a generator can reach, belong beside
every figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from core.errors import MissingWeights
from core.language.encoder import TextEncoder
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description

STORED = Path(__file__).with_name("space.safetensors")
WIDTHS = (32, 64, 96, 160, 224)  # each level halves the picture
SPACE = 128  # numbers an embedding
SEEN = 64  # pixels a side of its pictures


class Space(nn.Module):
    """The two ways into the space; all embeddings have length one."""

    def __init__(self, text_width: int = 384):
        super().__init__()
        levels, before = [], 3
        for i, width in enumerate(WIDTHS):
            kernel = 5 if i == 0 else 3
            levels += [nn.Conv2d(before, width, kernel, stride=2, padding=kernel // 2), nn.GroupNorm(8, width), nn.GELU()]
            before = width
        self.levels = nn.Sequential(*levels)
        self.picture = nn.Linear(2 * before, SPACE)
        self.text = nn.Sequential(nn.Linear(text_width, 256), nn.GELU(), nn.Linear(256, SPACE))
        self.scale = nn.Parameter(torch.tensor(2.5))  # log of the logits' scale

    def pictures(self, pixels: Tensor) -> Tensor:
        """[N, S, S, 3] u8 -> [N, SPACE]"""
        x = self.levels(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return F.normalize(self.picture(torch.cat((x.mean((2, 3)), x.amax((2, 3))), 1)), dim=1)

    def texts(self, means: Tensor) -> Tensor:
        """Mean token embeddings [N, text_width] -> [N, SPACE]"""
        return F.normalize(self.text(means), dim=1)

    @torch.no_grad()
    def views(self, pixels: np.ndarray) -> Tensor:
        """One embedding [SPACE] of an object seen from several sides: [views, S, S, 3] u8, S a multiple of SEEN."""
        every = pixels.shape[1] // SEEN  # left out, not averaged: it learnt from pictures with one ray a pixel
        return F.normalize(self.pictures(torch.from_numpy(pixels[:, ::every, ::every])).mean(0), dim=0)

    @classmethod
    def load(cls, path: Path = STORED) -> "Space":
        """The trained space, from its fp16 file. Raises MissingWeights."""
        try:
            with safe_open(path, "pt") as file:
                state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (no mapping)
            space = cls(state["text.0.weight"].shape[1])
            space.load_state_dict(state)
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            way = f"Train one: python -m core evaluate-space --out {path}"
            raise MissingWeights(f"The space {path.name} cannot be loaded.", str(error).splitlines()[-1], way) from error
        return space.eval()


def text_means(encoder: TextEncoder, prompts: Sequence[str]) -> Tensor:
    """Mean token embeddings [N, width] of prompts."""
    tokens, mask = encoder(list(prompts))
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def meaning(d: Description) -> Description:
    """The part of a description that is visible in a picture which objects of every size fill, in one canonical form."""
    silent = d.second and not (d.second_color or d.count) and not KINDS[d.kind].second.optional  # "with a roof", of a house
    return replace(d, size=None, second=d.second and not silent)


@dataclass(frozen=True)
class RPrecision:
    """For each object whether, of all prompts of the pool, its own is nearest: generated, and exact."""

    made: list[bool]
    exact: list[bool]
    pool: int


@torch.no_grad()
def r_precision(space: Space, encoder: TextEncoder, pool: Sequence[tuple[str, Description]], made: Tensor, exact: Tensor) -> RPrecision:
    """R-precision at 1 of embeddings [N, SPACE] of generated and of exact objects, among the prompts of the pool, each meaning once."""
    meanings = list(dict.fromkeys(meaning(d) for _, d in pool))
    wording: dict[Description, str] = {}
    for text, d in pool:
        wording.setdefault(meaning(d), text)
    texts = space.texts(text_means(encoder, [wording[m] for m in meanings]))
    own = torch.tensor([meanings.index(meaning(d)) for _, d in pool])
    return RPrecision(*(((views @ texts.T).argmax(1) == own).tolist() for views in (made, exact)), len(meanings))


def contrastive_loss(space: Space, pictures: Tensor, means: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy both ways, and the share of pictures whose own prompt is nearest. same: [N, N], pairs of one meaning, which are
    neither right nor wrong."""
    logits = space.scale.exp().clamp(max=100) * space.pictures(pictures) @ space.texts(means).T
    logits = logits.masked_fill(same & ~torch.eye(len(same), dtype=torch.bool), -torch.inf)
    own = torch.arange(len(logits))
    right = (logits.argmax(1) == own).float().mean()
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2, right
