# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter library as a source of training: its grammar with its exact objects."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from core.frame import SPAN, STYLE_SIZE
from core.language.encoder import TextEncoder
from core.language.words import Words
from core.library.prompt import Prompt
from core.library.source import BLOCK, Examples, Sampling, interleave, pairs_among, share_out
from core.library.starter.grammar import sample_prompt
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.prompts import StarterPrompts
from core.library.starter.words import starter_words


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
        return starter_words()

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
        tokens, mask = self.encoder.fresh(prompts)
        look, shares = objects.appearance_and_shares(on)
        alpha = torch.rand(BLOCK, generator=generator, device=self.device)
        foreign = torch.zeros(BLOCK, dtype=torch.bool, device=self.device)
        examples = Examples(tokens, mask, z, cloud, points, objects.sdf(points), on + off * normal, look, shares, objects.height_m,
                            alpha, foreign, pairs_among(sampling.kept_points))  # fmt: skip
        self._follow_others(examples, descriptions, rng, generator)
        return examples

    def _follow_others(self, examples: Examples, descriptions: list[Description], rng: random.Random, generator: torch.Generator) -> None:
        """Give the last objects of a block the clouds of others, and by α something of their shapes."""
        count = round(self.sampling.foreign * BLOCK)
        if not count:
            return
        some, e = slice(BLOCK - count, BLOCK), examples
        own = ExactObjects(descriptions[some], e.z[some])
        others = ExactObjects([draw_prompt(rng, self.things)[0] for _ in range(count)], e.z[some].roll(1, 0))
        on, normal = others.sample_surface(e.surface.shape[1], generator)
        points = interleave(e.points[some], points_around(others, on, e.points.shape[1], generator), e.pairs)
        surface, alpha = interleave(e.surface[some], on), e.adherence[some, None]
        e.cloud[some] = torch.cat((on, normal), -1)[:, : e.cloud.shape[1]]
        e.points[some], e.sdf[some] = points, (1 - alpha) * own.sdf(points) + alpha * others.sdf(points)
        e.surface[some] = surface
        e.look[some], e.shares[some] = own.appearance_and_shares(surface)
        e.foreign[some] = True

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


def draw_prompt(rng: random.Random, kinds: Sequence[str], per_kind: int | None = None) -> tuple[Description, str]:
    """A prompt of the train split; with `per_kind`, one of so many of its kind: few of them are among more."""
    if per_kind is None:
        return sample_prompt(rng, kinds)
    kind = rng.choice(kinds)
    return sample_prompt(random.Random(f"{kind}/{rng.randrange(per_kind)}"), [kind])


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
