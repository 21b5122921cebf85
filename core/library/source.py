# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a training's prompts and objects come from: the contract of every source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import BadRequest
from core.language.words import Words
from core.library.prompt import Prompt

BLOCK = 16  # objects made together


@dataclass
class Examples:
    """Objects to learn from: a block of them, or what one step draws out of many. Points are in the model's frame.

    tokens [B, L, W], mask [B, L], z [B, 8], cloud [B, P, 6]: the input; points [B, N, 3] with sdf [B, N], the first 2 × `pairs` of them
    near the surface, number i a short step from number i + pairs;
    surface [B, M, 3]: points at the surface, a little off it, with look [B, M, 5] (sRGB colour, roughness, metallic)
    (NaN: not known) and shares [B, M, 4] of the paints that prompts name and of the rest in it (zeros: not known); height_m [B].
    adherence [B]: α, how much of the cloud's shape is in the distances; foreign [B]: whether the cloud is another object's.
    """

    tokens: Tensor
    mask: Tensor
    z: Tensor
    cloud: Tensor
    points: Tensor
    sdf: Tensor
    surface: Tensor
    look: Tensor
    shares: Tensor
    height_m: Tensor
    adherence: Tensor
    foreign: Tensor
    pairs: int


class Source(Protocol):
    """Prompts, and objects that show what some of them mean.

    name: of the library; things: what its prompts are about, in its order; round: blocks after which each thing has been seen.
    """

    name: str
    things: tuple[str, ...]
    round: int

    def prompts(self, split: str, count: int) -> Sequence[Prompt]:
        """The first `count` prompts of a split."""

    def words(self) -> Words:
        """What a model that learns from this source is taught about its words; it keeps them in its folder."""

    def examples(self, number: int) -> Examples:
        """Block number `number`, BLOCK objects: always the same for a seed, whatever was asked for before."""


@dataclass(frozen=True)
class Sampling:
    """How many points an object of a block keeps, and how many of them a step reads."""

    kept_points: int = 8192
    kept_surface: int = 4096
    step_points: int = 3072  # two fifths of them in pairs
    step_surface: int = 1024
    cloud_points: int = 2048
    patterned: float = 0.4  # share of objects that must have a pattern, where their kind has some: patterns are the slowest to be learnt
    by_part: float = 0.5  # share of surface points, and of those around it, that is shared out among the parts of an object, however small
    foreign: float = 0.125  # share of objects that have another one's cloud, and something of its shape
    reuse: int = 4  # steps that read an object before another takes its place, on average
    prompts_per_kind: int | None = None  # no more different prompts than these, each in many styles; None: as many as the grammar has


def known_kinds(named: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The kinds named. Raises BadRequest for one that is not known."""
    if unknown := [kind for kind in named if kind not in known]:
        raise BadRequest(f"Unknown kinds: {', '.join(unknown)}.", "", f"Known are: {', '.join(known)}.")
    return tuple(named)


def share_out(parts: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Rows of points, some of them more than once: of the last `share` of them every part has as many as any other. Spread evenly, a
    hundredth would lie on eyes and buttons, which one looks at first. parts: [B, N] -> [B, N]"""
    batch, count = parts.shape
    even = count - int(share * count)
    rarity = 1 / F.one_hot(parts).sum(1).gather(1, parts)
    drawn = torch.multinomial(rarity, max(count - even, 1), replacement=True, generator=generator)
    return torch.cat((torch.arange(even, device=parts.device).expand(batch, -1), drawn), 1)[:, :count]


def pairs_among(count: int) -> int:
    """How many of `count` points have a partner."""
    return 3 * count // 16


def interleave(own: Tensor, other: Tensor, pairs: int = 0) -> Tensor:
    """Points or other rows [B, N, ..], every second one the other's; of the first 2 × `pairs`, i and i + pairs stay together."""
    rows = torch.arange(own.shape[1], device=own.device)
    odd = torch.where(rows < 2 * pairs, rows % max(pairs, 1), rows) % 2 == 1
    return torch.where(odd.view(-1, *[1] * (own.ndim - 2)), other, own)
