# SPDX-License-Identifier: GPL-3.0-or-later
"""A ring of exact objects, sampled once and used by several training steps.

Objects are made in blocks of one kind, which is how exact objects are fast; a step draws single objects out of all blocks. Block number n
depends on the seed and on n alone, and so does the draw of step s on s: a resumed run sees what an unbroken one would have seen.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.library.grammar import sample_prompt
from core.library.kinds import KINDS
from core.library.objects import SPAN, STYLE_SIZE, Description, ExactObjects
from core.text import TextEncoder

BLOCK = 16  # objects of one kind made together


@dataclass
class Batch:
    """What one step learns from. Points are in the model's frame.

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
class Sampling:
    """How many points an object keeps in the bank, and how many of them a step reads."""

    kept_points: int = 8192
    kept_surface: int = 4096
    step_points: int = 3072  # two fifths of them in pairs
    step_surface: int = 1024
    cloud_points: int = 2048
    patterned: float = 0.4  # share of objects that must have a pattern, where their kind has some: patterns are the slowest to be learnt
    by_part: float = 0.5  # share of surface points, and of those around it, that is shared out among the parts of an object, however small
    reuse: int = 4  # steps that read an object before another takes its place, on average
    prompts_per_kind: int | None = None  # no more different prompts than these, each in many styles; None: as many as the grammar has


class ObjectBank:
    """`batch(step, size)` gives the objects of a step, making new blocks as training proceeds."""

    def __init__(self, kinds: Sequence[str], encoder: TextEncoder, sampling: Sampling, seed: int, device: torch.device, capacity: int = 96):
        self.kinds, self.encoder, self.sampling, self.seed, self.device = list(kinds), encoder, sampling, seed, device
        self.capacity = max(capacity, len(self.kinds))
        self._blocks: deque[Batch] = deque(maxlen=self.capacity)
        self._made = 0

    def batch(self, step: int, size: int) -> Batch:
        self._fill(len(self.kinds) + step * size // (BLOCK * self.sampling.reuse))
        rng = torch.Generator(device="cpu").manual_seed(self.seed * 1_000_003 + step)
        rows = torch.randint(len(self._blocks) * BLOCK, (size,), generator=rng).tolist()
        return _collate([_row(self._blocks[r // BLOCK], r % BLOCK, self.sampling, rng) for r in rows])

    def _fill(self, wanted: int) -> None:
        self._made = max(self._made, wanted - self.capacity)  # a resumed run makes only the blocks that are still in the ring
        while self._made < wanted:
            self._blocks.append(make_block(self._made, self.kinds, self.encoder, self.sampling, self.seed, self.device))
            self._made += 1


@torch.no_grad()
def make_block(number: int, kinds: Sequence[str], encoder: TextEncoder, sampling: Sampling, seed: int, device: torch.device) -> Batch:
    """Objects of kind number `number` modulo their count, all from the train split."""
    rng = random.Random(f"{seed}/{number}")
    generator = torch.Generator(device=device).manual_seed(rng.getrandbits(62))
    kind = kinds[number % len(kinds)]
    drawn = []
    plain_from = round(sampling.patterned * BLOCK) if KINDS[kind].patterns and not sampling.prompts_per_kind else 0
    while len(drawn) < BLOCK:
        description, prompt = draw_prompt(rng, [kind], sampling.prompts_per_kind)
        if description.pattern or len(drawn) >= plain_from:
            drawn.append((description, prompt))
    descriptions, prompts = map(list, zip(*drawn, strict=True))
    z = torch.randn(BLOCK, STYLE_SIZE, generator=generator, device=device)
    z[::8] = 0  # the typical object of a description, which seed 0 shows, is seen more often
    objects = ExactObjects(descriptions, z)
    on, normal = objects.sample_surface(sampling.kept_surface, generator)
    cloud = torch.cat((on, normal), -1)[:, : sampling.cloud_points]
    rows = share_out(objects.part_at(on), sampling.by_part, generator)[..., None].expand(-1, -1, 3)
    on, normal = on.gather(1, rows), normal.gather(1, rows)
    points = points_around(objects, on, sampling.kept_points, generator)
    off = 0.012 * torch.randn(*on.shape[:2], 1, generator=generator, device=device)
    tokens, mask = encoder(prompts)
    look, shares = objects.appearance_and_shares(on)
    return Batch(tokens, mask, z, cloud, points, objects.sdf(points), on + off * normal, look, shares, objects.height_m,
                 pairs_among(sampling.kept_points))  # fmt: skip


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


def _row(block: Batch, i: int, sampling: Sampling, rng: torch.Generator) -> Batch:
    """One object of a block with as many of its points as a step reads; [..] without the batch axis."""
    device, pairs = block.points.device, sampling.step_points // 5
    first = torch.randint(block.pairs, (pairs,), generator=rng)
    others = torch.randint(block.points.shape[1], (sampling.step_points - 2 * pairs,), generator=rng)
    p = torch.cat((first, first + block.pairs, others)).to(device)
    s = torch.randint(block.surface.shape[1], (sampling.step_surface,), generator=rng).to(device)
    length = int(block.mask[i].sum())
    return Batch(block.tokens[i, :length], block.mask[i, :length], block.z[i], block.cloud[i], block.points[i, p], block.sdf[i, p],
                 block.surface[i, s], block.look[i, s], block.shares[i, s], block.height_m[i], pairs)  # fmt: skip


def _collate(rows: list[Batch]) -> Batch:
    pad = torch.nn.utils.rnn.pad_sequence
    tokens, mask = pad([r.tokens for r in rows], batch_first=True), pad([r.mask for r in rows], batch_first=True)
    names = ("z", "cloud", "points", "sdf", "surface", "look", "shares", "height_m")
    stacked = {n: torch.stack([getattr(r, n) for r in rows]) for n in names}
    return Batch(tokens, mask, **stacked, pairs=rows[0].pairs)
