# SPDX-License-Identifier: GPL-3.0-or-later
"""A prepared library as a source of training: its prompts with the shapes of its assets."""

from collections import defaultdict

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from core.errors import BadRequest
from core.frame import SPAN, STYLE_SIZE
from core.language.encoder import TextEncoder
from core.language.words import Words
from core.library.folder import PreparedFolder
from core.library.format import Prompt
from core.library.shape import Shape
from core.library.source import BLOCK, Examples, Sampling, interleave

ROUND = 96  # blocks at most in which all of a library should be seen
NAMED_PAINTS = 3  # of the starter library's prompts; here nobody knows which they are
TYPICAL = 4  # one object in so many is as its asset is, which seed 0 shows


class FolderSource:
    """The `train` prompts of a prepared library that have a shape.

    z chooses among the shapes of a prompt, and varies proportions and tint: so another seed is another object, and z = 0 is the asset.
    variation: how much, 1 is 8 % of the proportions (standard deviation).
    """

    def __init__(
        self, folder: PreparedFolder, encoder: TextEncoder, sampling: Sampling, seed: int, device: torch.device, variation: float = 1.0
    ):
        """Raises BadRequest where no prompt of the split train has a shape."""
        self.name, self.things = folder.library.name or folder.library.folder.name, ()
        self.folder, self.encoder, self.sampling, self.seed, self.device = folder, encoder, sampling, seed, device
        self.variation = variation
        shapes: dict[str, list[Prompt]] = defaultdict(list)
        for prompt in folder.prompts("train"):
            if prompt.shape:
                shapes[prompt.text.lower()].append(prompt)  # as they are read
        if not shapes:
            raise BadRequest(f"{folder.library.folder} has nothing to learn from.", "No prompt of the split train has a prepared shape.")
        self._texts, self._known = list(shapes), {text: tuple(prompts) for text, prompts in shapes.items()}
        self._shapes = [tuple(shapes[text]) for text in self._texts]
        weights = np.array([sum(p.weight for p in prompts) for prompts in self._shapes])
        self._until = np.cumsum(weights) / weights.sum()
        self.round = min(ROUND, -(-len(self._texts) // BLOCK))

    def prompts(self, split: str, count: int) -> list[Prompt]:
        return self.folder.prompts(split)[:count]

    def words(self) -> Words:
        """None are taught: a model of captions reads by English and by its own prompts."""
        return Words()

    def examples(self, number: int) -> Examples:
        """Objects of a block, drawn by the weights of their prompts."""
        rng = np.random.Generator(np.random.PCG64([self.seed, number]))
        rows = np.minimum(np.searchsorted(self._until, rng.random(BLOCK)), len(self._texts) - 1)
        z = rng.standard_normal((BLOCK, STYLE_SIZE)).astype(np.float32)
        z[::TYPICAL] = 0
        count = round(self.sampling.foreign * BLOCK)
        objects = [self._object(self._shapes[row], own, rng) for row, own in zip(rows, z, strict=True)]
        for row in objects[BLOCK - count :]:
            other = self._object(self._shapes[rng.integers(len(self._shapes))], rng.standard_normal(STYLE_SIZE), rng)
            row.follow(other, float(rng.random()))
        tokens, mask = self.encoder.fresh([self._texts[row] for row in rows])

        def stack(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(o, name) for o in objects]).astype(np.float32)).to(self.device)

        alpha = torch.tensor([rng.random() if o.alpha is None else o.alpha for o in objects], dtype=torch.float32, device=self.device)
        foreign = torch.tensor([o.alpha is not None for o in objects], device=self.device)
        shares = torch.zeros(BLOCK, self.sampling.kept_surface, NAMED_PAINTS + 1, device=self.device)
        return Examples(tokens, mask, torch.from_numpy(z).to(self.device), stack("cloud"), stack("points"), stack("sdf"), stack("surface"),
                        stack("look"), shares, stack("height_m"), alpha, foreign, objects[0].pairs)  # fmt: skip

    def shape_of(self, text: str, z: ndarray) -> str | None:
        """The name of the shape that a prompt of the split train means in a style [8]; None for a prompt without a shape."""
        prompts = self._known.get(text.lower())
        return prompts and _meant(prompts, z).shape

    def stretch(self, half: ndarray, z: ndarray) -> ndarray:
        """How long a style [8] makes a shape of half sides [3] along each axis [3], so that its longest side is SPAN."""
        return stretch_of(half, self.variation * np.clip(z, -2, 2))

    def _object(self, prompts: tuple[Prompt, ...], z: ndarray, rng: np.random.Generator) -> "_Object":
        prompt = _meant(prompts, z)
        height = self.folder.height_m(prompt.shape) if prompt.height_m is None else prompt.height_m
        return _Object(self.folder.shape(prompt.shape), self.variation * np.clip(z, -2, 2), height, self.sampling, rng)


def _meant(prompts: tuple[Prompt, ...], z: ndarray) -> Prompt:
    """Which of the rows of one prompt a style means: by their weights they share out the normal distribution of its last number."""
    from scipy.special import ndtr

    until = np.cumsum([prompt.weight for prompt in prompts])
    return prompts[min(int(np.searchsorted(until / until[-1], ndtr(float(z[-1])), side="right")), len(prompts) - 1)]


class _Object:
    """Points of one shape as training reads them, in a style. Arrays: points [N, 3], sdf [N], surface [M, 3], look [M, 5], cloud [P, 6]."""

    def __init__(self, shape: Shape, z: ndarray, height_m: float | None, sampling: Sampling, rng: np.random.Generator):
        self.shape, self.alpha, self.height_m = shape, None, height_m
        half = np.abs(shape.cloud[:, :3]).max(0)
        self.stretch = stretch_of(half, z)
        if height_m is None:  # an object of which nobody knows the size is one metre long
            self.height_m = float((half * self.stretch)[2] / (SPAN / 2))
        else:
            self.height_m = height_m * float(self.stretch[2])
        rows, self.pairs = _kept_points(len(shape.points), shape.pairs, sampling.kept_points, rng)
        self.points = shape.points[rows] * self.stretch
        self.sdf = self._as_long(shape.sdf[rows], shape.points[rows])
        cloud = shape.cloud[rng.permutation(len(shape.cloud))[: sampling.cloud_points]]
        normal = cloud[:, 3:] / self.stretch
        self.cloud = np.concatenate((cloud[:, :3] * self.stretch, normal / np.linalg.norm(normal, axis=1, keepdims=True)), 1)
        self._take_surface(shape, z, sampling, rng)

    def _take_surface(self, shape: Shape, z: ndarray, sampling: Sampling, rng: np.random.Generator) -> None:
        """Half of the points lie evenly, of the others every piece has as many. A shape of no known look has NaN."""
        count = sampling.kept_surface
        if not len(shape.look):
            self.surface, self.look = self.cloud[rng.integers(len(self.cloud), size=count), :3], np.full((count, 5), np.nan)
            return
        even = shape.facts["even"]
        first, second = rng.integers(even, size=count - count // 2), rng.integers(even, max(len(shape.look), even + 1), size=count // 2)
        rows = rng.permutation(np.concatenate((first, np.minimum(second, len(shape.look) - 1))))
        off = 0.012 * rng.standard_normal((count, 1))
        self.surface = (shape.surface[rows] + off * shape.normal[rows]) * self.stretch
        self.look = shape.look[rows] / 255.0
        tint = np.exp(0.06 * z[3]) * (1 + 0.04 * z[4] * np.array((1.0, 0.0, -1.0)))
        self.look[:, :3] = np.clip(self.look[:, :3] * tint, 0, 1)

    def _as_long(self, distance: ndarray, points: ndarray) -> ndarray:
        """Distances of the shape at its own points, as long as they are in the stretched space: by how much that is stretched along their
        gradient; where there is none, midway inside of something thin, by the mean."""
        if np.ptp(self.stretch) < 1e-6:
            return distance * self.stretch[0]
        slope = self.shape.slope(points)
        length = np.linalg.norm(slope, axis=1)
        along = np.linalg.norm(slope / np.maximum(length, 1e-6)[:, None] / self.stretch, axis=1)
        return distance / np.where(length > 0.5, along, 1 / self.stretch.mean())

    def distance(self, points: ndarray) -> ndarray:
        """Signed distance anywhere in the frame, from the shape's grid. [N, 3] -> [N]"""
        own = points / self.stretch
        return self._as_long(self.shape.distance(own), own)

    def follow(self, other: "_Object", alpha: float) -> None:
        """Take another object's cloud and, by α, something of its shape; the look stays."""
        from scipy.spatial import cKDTree

        own, at = self, interleave(torch.from_numpy(self.points[None]), torch.from_numpy(other.points[None]), self.pairs)[0].numpy()
        odd = (at != own.points).any(1)  # the points that are the other's
        mine, its = np.where(odd, own.distance(at), own.sdf), np.where(odd, other.sdf, other.distance(at))
        nearest = cKDTree(own.surface).query(other.surface)[1]
        rows = np.arange(len(own.surface)) % 2 == 1
        look = np.where(rows[:, None], own.look[nearest], own.look)
        surface = np.where(rows[:, None], other.surface, own.surface)
        self.points, self.sdf, self.cloud, self.alpha = at, (1 - alpha) * mine + alpha * its, other.cloud, alpha
        self.surface, self.look = surface, look


def stretch_of(half: ndarray, z: ndarray) -> ndarray:
    """See `FolderSource.stretch`; z as it acts."""
    stretch = np.exp(0.08 * z[:3])
    return stretch * (SPAN / 2) / max((half * stretch).max(), 1e-6)


def _kept_points(count: int, pairs: int, kept: int, rng: np.random.Generator) -> tuple[ndarray, int]:
    """Rows of a shape's points, as many of each sort in proportion, and how many of them are the first of a pair."""
    two = pairs * kept // count
    first = rng.choice(pairs, two, replace=False)
    rest = 2 * pairs + rng.choice(count - 2 * pairs, kept - 2 * two, replace=False)
    return np.concatenate((first, first + pairs, rest)), two
