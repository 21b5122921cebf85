# SPDX-License-Identifier: GPL-3.0-or-later
"""What the distillation stages draw: prompts with a style each and, where the library has one, the shape that a prompt stands for.

Other than a source's examples these are whole shapes, asked anywhere, and prompts whose texts a prior has read before.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import BadRequest
from core.frame import HALF_EXTENT, STYLE_SIZE
from core.language.encoder import TextEncoder
from core.library.folder_source import FolderSource
from core.library.mixture import Mixture
from core.library.source import Source
from core.library.starter.objects import ExactObjects
from core.library.starter.source import StarterSource
from core.training.fit import NameFit

TYPICAL = 4  # one object in so many is the typical one, of seed 0
KEPT = 64  # shapes in memory
PAINTED = 2048  # points of a shape whose colours are kept: the nearest one's is a place's

Distance = Callable[[Tensor], Tensor]  # points [B, N, 3] -> [B, N]
Color = Callable[[Tensor], Tensor]  # points [B, N, 3] -> sRGB [B, N, 3]


@dataclass
class Subjects:
    """B prompts of a step. tokens [B, L, W], mask [B, L], z [B, 8]: the generator's input; cloud [B, P, 6], distance and color: of the
    prompts' shapes, colours NaN where nothing is known of them; shaped [B]: which prompts have one, of the others those mean nothing; fit:
    gives how well each shape's name fits its prompt, 0 … 1 [B]; None: shapes have no names."""

    prompts: list[str]
    tokens: Tensor
    mask: Tensor
    z: Tensor
    cloud: Tensor
    distance: Distance
    shaped: Tensor
    color: Color | None = None
    fit: Callable[[], Tensor] | None = None


class Drawing(Protocol):
    """Subjects of one library, numbered without an end. prompts: all texts that are drawn, for whom encodes them."""

    prompts: Sequence[str]

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        """Those of these numbers, in a step: each is always the same for the two and a seed."""


@dataclass(frozen=True)
class Place:
    """Which of how many processes this one is: together they draw what one would draw with a larger batch."""

    process: int = 0
    processes: int = 1

    def numbers(self, step: int, size: int) -> range:
        """Of the subjects of a step, in this process."""
        first = (step * self.processes + self.process) * size
        return range(first, first + size)


ALONE = Place()


def generators(seed: int, numbers: Sequence[int], purpose: int = 0) -> list[torch.Generator]:
    """Of each subject. purpose: 0 or 1, for two independent rows."""
    return [torch.Generator().manual_seed(seed * 1_000_003 + 2 * number + purpose) for number in numbers]


def drawing_of(source: Source, encoder: TextEncoder, dummy: Tensor, seed: int, count: int) -> Drawing:
    """The subjects of a source. dummy [P, 6]: the cloud of prompts without a shape; count: different prompts of a grammar that has
    endlessly many. Raises BadRequest for a source of another kind."""
    if isinstance(source, Mixture):
        own, replayed = (drawing_of(part, encoder, dummy, seed, count) for part in (source.own, source.replayed))
        return MixedSubjects(own, replayed, source.share, seed)
    if isinstance(source, FolderSource):
        return FolderSubjects(source, encoder, dummy, seed)
    if isinstance(source, StarterSource):
        return StarterSubjects(source, encoder, len(dummy), seed, count)
    raise BadRequest(f"The library {source.name} has no shapes that can be drawn.", "", "Distil on a folder or on the starter library.")


def draw_style(rng: np.random.Generator) -> np.ndarray:
    """z [8], now and then the typical object's."""
    z = rng.standard_normal(STYLE_SIZE).astype(np.float32)
    return z * np.float32(rng.random() >= 1 / TYPICAL)


class StarterSubjects:
    """So many prompts of the starter library, with its exact objects."""

    def __init__(self, source: StarterSource, encoder: TextEncoder, points: int, seed: int, count: int):
        self._known = source.prompts("train", count)
        self.prompts = [prompt.text for prompt in self._known]
        self.encoder, self.points, self.seed, self.device = encoder, points, seed, source.device

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        drawn, styles, clouds = [], [], []
        for number in numbers:
            rng = np.random.Generator(np.random.PCG64([self.seed, number]))
            drawn.append(self._known[int(rng.integers(len(self._known)))])
            styles.append(torch.from_numpy(draw_style(rng)).to(self.device))
            generator = torch.Generator(device=self.device).manual_seed(int(rng.integers(1 << 62)))
            one = ExactObjects([drawn[-1].description], styles[-1][None])
            clouds.append(torch.cat(one.sample_surface(self.points, generator), -1))
        texts, z = [prompt.text for prompt in drawn], torch.stack(styles)
        objects = ExactObjects([prompt.description for prompt in drawn], z)
        shaped = torch.ones(len(z), dtype=torch.bool, device=self.device)
        color = lambda points: objects.appearance(points)[..., :3]  # noqa: E731
        return Subjects(texts, *self.encoder.fresh(texts), z, torch.cat(clouds), objects.sdf, shaped, color)


class FolderSubjects:
    """The train prompts of a prepared folder, drawn by their weights, those without a shape too."""

    def __init__(self, source: FolderSource, encoder: TextEncoder, dummy: Tensor, seed: int):
        weights: dict[str, float] = {}
        for prompt in source.folder.prompts("train"):
            weights[prompt.text] = weights.get(prompt.text, 0.0) + prompt.weight
        self.prompts, share = list(weights), np.cumsum(list(weights.values()))
        self._until = share / share[-1]
        self.source, self.encoder, self.dummy, self.seed = source, encoder, dummy, seed
        self._shapes: OrderedDict[str, tuple[Tensor, Tensor, Tensor]] = OrderedDict()

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        device, texts, styles, clouds, grids, stretches, paints, names = self.source.device, [], [], [], [], [], [], []
        for number in numbers:
            rng = np.random.Generator(np.random.PCG64([self.seed, number]))
            text, own = self.prompts[min(int(np.searchsorted(self._until, rng.random())), len(self.prompts) - 1)], draw_style(rng)
            if (name := self.source.shape_of(text, own)) is None:
                grid, stretch, cloud, paint = None, torch.ones(3, device=device), self.dummy, None
            else:
                grid, whole, paint = self._read(name)
                half = whole[:, :3].abs().amax(0).cpu().numpy()
                stretch = torch.from_numpy(self.source.stretch(half, own).astype(np.float32)).to(device)
                cloud = self._stretched(whole, stretch, rng)
            one = (text, own, cloud, grid, stretch, paint, name)
            for all, part in zip((texts, styles, clouds, grids, stretches, paints, names), one, strict=True):
                all.append(part)
        shaped = torch.tensor([grid is not None for grid in grids], device=device)

        def distance(points: Tensor) -> Tensor:
            return torch.stack([_grid_distance(g, s, p) for g, s, p in zip(grids, stretches, points, strict=True)])

        def color(points: Tensor) -> Tensor:
            return torch.stack([_nearest_color(c, s, p) for c, s, p in zip(paints, stretches, points, strict=True)])

        z, (tokens, mask) = torch.from_numpy(np.stack(styles)).to(device), self.encoder.fresh(texts)
        fit = lambda: self.names(tokens, mask, names).to(device)  # noqa: E731
        return Subjects(texts, tokens, mask, z, torch.stack(clouds), distance, shaped, color, fit)

    @cached_property
    def names(self) -> NameFit:
        """Those of the assets, read when they are first asked for."""
        return NameFit(self.prompts, self.source.folder.shapes, self.encoder)

    def _read(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """A shape's grid of distances, its cloud and some points with their colours [N, 6], from memory or from the disk."""
        if name not in self._shapes:
            shape, device = self.source.folder.shape(name), self.source.device
            some = slice(None, None, max(1, len(shape.look) // PAINTED))
            paint = np.concatenate((shape.surface[some], shape.look[some, :3] / 255), 1).astype(np.float32)
            arrays = (shape.grid.astype(np.float32), shape.cloud, paint)
            self._shapes[name] = tuple(torch.from_numpy(array).to(device) for array in arrays)
            if len(self._shapes) > KEPT:
                self._shapes.popitem(last=False)
        self._shapes.move_to_end(name)
        return self._shapes[name]

    def _stretched(self, cloud: Tensor, stretch: Tensor, rng: np.random.Generator) -> Tensor:
        """As many points as the dummy has, in the style's proportions."""
        some = cloud[torch.from_numpy(rng.choice(len(cloud), len(self.dummy), replace=len(cloud) < len(self.dummy))).to(cloud.device)]
        return torch.cat((some[:, :3] * stretch, F.normalize(some[:, 3:] / stretch, dim=1)), 1)


def _grid_distance(grid: Tensor | None, stretch: Tensor, points: Tensor) -> Tensor:
    """Distances [N] of a shape's grid [R, R, R], x slowest, at points [N, 3] of the stretched space; without a grid, of nothing."""
    if grid is None:
        return torch.ones_like(points[:, 0])
    places = (points / stretch / HALF_EXTENT).flip(-1)[None, None, None]  # a sampler reads the fastest axis first
    value = F.grid_sample(grid[None, None], places, padding_mode="border", align_corners=True)
    return value.flatten() * stretch.amin()


def _nearest_color(paint: Tensor | None, stretch: Tensor, points: Tensor) -> Tensor:
    """sRGB [N, 3] at points [N, 3] of the stretched space, of the nearest of a shape's painted points [M, 6]; NaN where there are none."""
    if paint is None or not len(paint):
        return torch.full_like(points, torch.nan)
    nearest = [torch.cdist(some, paint[:, :3] * stretch).argmin(1) for some in points.split(8192)]
    return paint[torch.cat(nearest), 3:]


class MixedSubjects:
    """Steps of one's own subjects, and of a share of others that are not to be forgotten."""

    def __init__(self, own: Drawing, replayed: Drawing, share: float, seed: int):
        self.own, self.replayed, self.share, self.seed = own, replayed, share, seed
        self.prompts = [*own.prompts, *replayed.prompts]

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        others = np.random.Generator(np.random.PCG64([self.seed, step, 1])).random() < self.share
        return (self.replayed if others else self.own).draw(step, numbers)
