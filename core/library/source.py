# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a training's prompts and objects come from: the contract of every source, and the one that the starter library is."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import BadRequest
from core.frame import SPAN, STYLE_SIZE
from core.language.encoder import TextEncoder
from core.library.prompts import Prompt, StarterPrompts
from core.library.starter.grammar import (
    COUNT_WORDS,
    FINISH_WORDS,
    MATERIAL_NOUNS,
    PATTERN_ADJECTIVES,
    PROPORTION_WORDS,
    SHADE_WORDS,
    SIZE_WORDS,
    sample_prompt,
)
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.palette import COLORS

BLOCK = 16  # objects made together


@dataclass
class Examples:
    """Objects to learn from: a block of them, or what one step draws out of many. Points are in the model's frame.

    tokens [B, L, W], mask [B, L], z [B, 8], cloud [B, P, 6]: the input; points [B, N, 3] with sdf [B, N], the first 2 × `pairs` of them
    near the surface, number i a short step from number i + pairs;
    surface [B, M, 3]: points at the surface, a little off it, with look [B, M, 5] (sRGB colour, roughness, metallic)
    and shares [B, M, 4] of the paints that prompts name and of the rest in it; height_m [B].
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
    pairs: int


@dataclass(frozen=True)
class Words:
    """What a source's words are, where a text model does not tell: things: the last word of each name, and the thing that it names;
    qualities: words for materials, patterns and finishes; opposites: words that are used alike and mean different things."""

    things: dict[str, str]
    qualities: tuple[str, ...]
    opposites: tuple[str, ...]


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
        """What a model that learns from this source must be told about its words."""

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
    reuse: int = 4  # steps that read an object before another takes its place, on average
    prompts_per_kind: int | None = None  # no more different prompts than these, each in many styles; None: as many as the grammar has


class StarterSource:
    """The starter library's grammar with its exact objects, which are made in blocks of one kind: so they are fast.

    kinds: what to learn; more: those of them that come once more in each round, twice more where named twice.
    """

    name = "starter"

    def __init__(
        self,
        kinds: Sequence[str],
        encoder: TextEncoder,
        sampling: Sampling,
        seed: int,
        device: torch.device,
        more: Sequence[str] = (),
    ):
        self.things, self._turns = tuple(kinds), (*kinds, *more)
        self.round = len(self._turns)
        self.encoder, self.sampling, self.seed, self.device = encoder, sampling, seed, device

    def prompts(self, split: str, count: int) -> list[Prompt]:
        """Distinct prompts of a split about the things; of the split "kinds", about those that nobody learns."""
        return list(StarterPrompts(count, split, self.seed, None if split == "kinds" else self.things))

    def words(self) -> Words:
        """Of the things' names the last words; where several names end with one word, the shortest says what it names."""
        tables = (SIZE_WORDS, PROPORTION_WORDS, SHADE_WORDS, COUNT_WORDS)
        opposites = (*COLORS, "grey", *(word for table in tables for words in table.values() for word in words))
        names = [(name.split(), kind.name) for kind in KINDS.values() for name in (kind.name, *kind.synonyms)]
        named = {words[-1]: kind for words, kind in sorted(names, key=lambda name: -len(name[0])) if words[-1] not in opposites}
        qualities = [words[0] for table in (MATERIAL_NOUNS, PATTERN_ADJECTIVES, FINISH_WORDS) for words in table.values()]
        return Words({word: kind for word, kind in named.items() if kind in self.things}, tuple(qualities), opposites)

    @torch.no_grad()
    def examples(self, number: int) -> Examples:
        """Objects of thing number `number` modulo the round, all from the train split."""
        rng = random.Random(f"{self.seed}/{number}")
        generator = torch.Generator(device=self.device).manual_seed(rng.getrandbits(62))
        descriptions, prompts = self._draw(rng, self._turns[number % self.round])
        z = torch.randn(BLOCK, STYLE_SIZE, generator=generator, device=self.device)
        z[::8] = 0  # the typical object of a description, which seed 0 shows, is seen more often
        objects, sampling = ExactObjects(descriptions, z), self.sampling
        on, normal = objects.sample_surface(sampling.kept_surface, generator)
        cloud = torch.cat((on, normal), -1)[:, : sampling.cloud_points]
        rows = share_out(objects.part_at(on), sampling.by_part, generator)[..., None].expand(-1, -1, 3)
        on, normal = on.gather(1, rows), normal.gather(1, rows)
        points = points_around(objects, on, sampling.kept_points, generator)
        off = 0.012 * torch.randn(*on.shape[:2], 1, generator=generator, device=self.device)
        tokens, mask = self.encoder(prompts)
        look, shares = objects.appearance_and_shares(on)
        return Examples(tokens, mask, z, cloud, points, objects.sdf(points), on + off * normal, look, shares, objects.height_m,
                        pairs_among(sampling.kept_points))  # fmt: skip

    def _draw(self, rng: random.Random, kind: str) -> tuple[list[Description], list[str]]:
        """A block's descriptions and their wordings, the first of them patterned."""
        per_kind, drawn = self.sampling.prompts_per_kind, []
        plain_from = round(self.sampling.patterned * BLOCK) if KINDS[kind].patterns and not per_kind else 0
        while len(drawn) < BLOCK:
            description, prompt = draw_prompt(rng, [kind], per_kind)
            if description.pattern or len(drawn) >= plain_from:
                drawn.append((description, prompt))
        descriptions, prompts = map(list, zip(*drawn, strict=True))
        return descriptions, prompts


def known_kinds(named: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The kinds named. Raises BadRequest for one that is not known."""
    if unknown := [kind for kind in named if kind not in known]:
        raise BadRequest(f"Unknown kinds: {', '.join(unknown)}.", "", f"Known are: {', '.join(known)}.")
    return tuple(named)


def draw_prompt(rng: random.Random, kinds: Sequence[str], per_kind: int | None = None) -> tuple[Description, str]:
    """A prompt of the train split; with `per_kind`, one of so many of its kind: few of them are among more."""
    if per_kind is None:
        return sample_prompt(rng, kinds)
    kind = rng.choice(kinds)
    return sample_prompt(random.Random(f"{kind}/{rng.randrange(per_kind)}"), [kind])


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


def points_around(objects: ExactObjects, on: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Points for the SDF: 3/8 close to the surface, in pairs a plane's cell apart, 2/8 near it, 2/8 in the object's box, 1/8 anywhere in
    the frame. [B, count, 3]"""
    batch, device = len(on), on.device

    def uniform(n: int) -> Tensor:
        return torch.rand(batch, n, 3, generator=generator, device=device) * 2 - 1

    def off(points: Tensor, spread: float) -> Tensor:
        return points + spread * torch.randn(points.shape, generator=generator, device=device)

    pairs, near, box = pairs_among(count), 2 * count // 8, 2 * count // 8
    pick = torch.randint(on.shape[1], (pairs + near,), generator=generator, device=device)
    close = off(on[:, pick[:pairs]], 0.012)
    inside = uniform(box) * objects.half_size[:, None] * 1.1
    anywhere = uniform(count - 2 * pairs - near - box) * (SPAN / 2 + 0.04)
    return torch.cat((close, off(close, 0.01), off(on[:, pick[pairs:]], 0.05), inside, anywhere), 1)


