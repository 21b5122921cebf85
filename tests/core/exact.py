# SPDX-License-Identifier: GPL-3.0-or-later
"""A prompt library of shapes that formulas know, and a prior that knows how they look: what distillation must come to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.guidance.sds import Distillation, Text
from core.networks.generator import Fields, Generator
from core.networks.pointnet import fibonacci_sphere
from core.rendering.cameras import Viewpoints
from core.rendering.volume import Sampling, gradient, render_rays
from core.training.subjects import Subjects
from tests.core.guidance.tiny import ExactDenoiser

FOV, SIZE, GROUND = 40.0, 10, 0.5
VIEWPOINTS = Viewpoints(fov=(FOV, FOV), half_side=(0.45, 0.65), elevation=(-20.0, 40.0))
COLORS = ((0.9, 0.15, 0.1), (0.1, 0.7, 0.2), (0.15, 0.2, 0.9), (0.95, 0.85, 0.2))
BOXES = ((0.42, 0.42, 0.42), (0.2, 0.2, 0.46), (0.46, 0.46, 0.15), (0.46, 0.2, 0.2))  # half sides


@dataclass(frozen=True)
class Thing:
    """A box or an ellipsoid of one colour."""

    half: tuple[float, float, float]
    color: tuple[float, float, float]
    round: bool = False

    def distance(self, points: Tensor) -> Tensor:
        """[N, 3] -> [N]"""
        half = torch.tensor(self.half)
        if self.round:
            length = (points / half).norm(dim=-1)
            return length * (length - 1) / (points / half**2).norm(dim=-1).clamp(min=1e-6)
        outside = points.abs() - half
        return outside.clamp(min=0).norm(dim=-1) + outside.amax(-1).clamp(max=0)

    def cloud(self, count: int) -> Tensor:
        """Points and normals [count, 6]."""
        directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(1)), dim=1)
        half = torch.tensor(self.half)
        if self.round:
            return torch.cat((directions * half, torch.nn.functional.normalize(directions / half, dim=1)), 1)
        reach = (directions / half).abs()
        normal = torch.nn.functional.one_hot(reach.argmax(1), 3) * directions.sign()
        return torch.cat((directions / reach.amax(1, keepdim=True), normal), 1)


EIGHT = [Thing(BOXES[i % 4], COLORS[(i + i // 4) % 4], round=i >= 4) for i in range(8)]


class ExactDrawing:
    """Subjects of things: number i is the prompt `str(i)`. shapes: those that L_reg and the clouds have; None: there are none."""

    def __init__(self, things: list[Thing], points: int, shapes: list[Thing] | None = None):
        self.prompts, self.shapes = [str(i) for i in range(len(things))], shapes
        self.clouds = None if shapes is None else torch.stack([shape.cloud(points) for shape in shapes])
        self.points = points
        self.tokens = torch.randn(len(things), 2, 384, generator=torch.Generator().manual_seed(3))

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        """One after another, all as often."""
        return self.subjects(torch.tensor(list(numbers)) % len(self.prompts))

    def subjects(self, rows: Tensor) -> Subjects:
        some = [self.shapes[i] for i in rows] if self.shapes else []
        cloud = self.clouds[rows] if self.shapes else fibonacci_sphere(self.points).expand(len(rows), -1, -1)

        def distance(points: Tensor) -> Tensor:
            return torch.stack([thing.distance(p) for thing, p in zip(some, points, strict=True)])

        mask = torch.ones(len(rows), 2, dtype=torch.bool)
        shaped = torch.full((len(rows),), bool(some))
        return Subjects([str(int(i)) for i in rows], self.tokens[rows], mask, torch.zeros(len(rows), 8), cloud, distance, shaped)


class Numbers:
    """Prompts as the exact prior reads them: their numbers."""

    def batch(self, prompts: list[str]) -> Text:
        return Text(torch.tensor([float(prompt) for prompt in prompts])[:, None, None], torch.zeros(1, 1, 1))


def exact_prior(things: list[Thing], size: int = SIZE, settings: Distillation | None = None) -> ExactDenoiser:
    """A prior whose x̂0 is a prompt's thing, as the cameras see it."""

    def target(text: Text, cameras: Tensor) -> Tensor:
        some = [things[int(number)] for number in text.prompt[:, 0, 0]]
        t = (torch.arange(size) + 0.5) / size * 2 - 1
        v, u = torch.meshgrid(-t, t, indexing="ij")
        local = torch.stack((u, v, -torch.ones_like(u) / math.tan(math.radians(FOV / 2))), -1)
        direction = torch.nn.functional.normalize(torch.einsum("bvij,hwj->bvhwi", cameras[..., :3, :3], local), dim=-1)
        origin = cameras[..., None, None, :3, 3].expand_as(direction)
        rays = [thing_rays.flatten(1, 3) for thing_rays in (origin, direction)]
        colors = torch.tensor([thing.color for thing in some])

        def distance(points: Tensor) -> Tensor:
            return torch.stack([thing.distance(p) for thing, p in zip(some, points, strict=True)])

        look = lambda points: colors[:, None].expand(-1, points.shape[1], -1)  # noqa: E731
        seen = render_rays(distance, look, *rays, beta=1 / 300, sampling=Sampling(20, 10, 1))
        pictures = seen.over(torch.full((3,), GROUND)).view(direction.shape)
        return pictures.flatten(0, 1).movedim(-1, 1)

    return ExactDenoiser(target, settings)


@torch.no_grad()
def measured(generator: Generator, fields: Fields, things: list[Thing], cells: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Of each object: IoU with its thing, mean slope of the distance at its surface, mean colour error at its thing's surface: [B] each."""
    t = (torch.arange(cells) + 0.5) / cells - 0.5
    grid = torch.stack(torch.meshgrid(t, t, t, indexing="ij"), -1).reshape(1, -1, 3).expand(len(things), -1, -1)
    inside = generator.sdf(fields.geometry, fields.condition, grid) < 0
    wanted = torch.stack([thing.distance(p) < 0 for thing, p in zip(things, grid, strict=True)])
    iou = (inside & wanted).sum(1) / (inside | wanted).sum(1)
    on = torch.stack([thing.cloud(2000)[:, :3] for thing in things])
    distance = lambda points: generator.sdf(fields.geometry, fields.condition, points)  # noqa: E731
    slope = gradient(distance, on).norm(dim=-1).median(1).values
    color = generator.texture(fields.texture, fields.condition, on)[..., :3]
    error = (color - torch.tensor([thing.color for thing in things])[:, None]).abs().mean((1, 2))
    return iou, slope, error
