# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that look at the origin of the model's frame: one of them, or several for each object of a batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from core.draws import Draws, draw

NEAR, FAR = 0.1, 10.0  # depths that clip space holds: objects and cameras are within a few units of the origin


@dataclass(frozen=True)
class Camera:
    """Degrees; Z up, azimuth 0 is on +X and grows towards +Y. distance: from the origin. fov: of the whole picture, which is square."""

    azimuth: float = 35.0
    elevation: float = 20.0
    fov: float = 30.0
    distance: float = 2.35

    @property
    def slope(self) -> float:
        """Half the picture's side at distance 1."""
        return math.tan(math.radians(self.fov / 2))

    def axes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors [3] that point backward, right and up."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        backward = torch.tensor((math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)))
        right = torch.tensor((-math.sin(a), math.cos(a), 0.0))
        return backward, right, torch.linalg.cross(backward, right)

    def rays(self, size: int) -> tuple[Tensor, Tensor]:
        """Origins and unit directions [size², 3] of the pixels' centres, row by row from the top."""
        backward, right, up = self.axes()
        t = (torch.arange(size) + 0.5) / size * 2 - 1
        v, u = torch.meshgrid(-t, t, indexing="ij")
        direction = (u[..., None] * right + v[..., None] * up) * self.slope - backward
        direction = (direction / direction.norm(dim=-1, keepdim=True)).reshape(-1, 3)
        return (backward * self.distance).expand_as(direction), direction


@dataclass(frozen=True)
class Views:
    """V cameras for each of B objects, as `Camera` says them: azimuth, elevation, fov in degrees and distance, [B, V] each."""

    azimuth: Tensor
    elevation: Tensor
    fov: Tensor
    distance: Tensor

    @classmethod
    def of(cls, cameras: Sequence[Camera], objects: int = 1) -> "Views":
        """The same cameras for each object."""
        return cls(*(torch.tensor([getattr(c, f.name) for c in cameras]).expand(objects, -1) for f in fields(cls)))

    def to(self, device: torch.device | str) -> "Views":
        return Views(*(getattr(self, f.name).to(device) for f in fields(self)))

    @property
    def slope(self) -> Tensor:
        """Half the picture's side at distance 1: [B, V]"""
        return torch.tan(torch.deg2rad(self.fov) / 2)

    def axes(self) -> Tensor:
        """[B, V, 3, 3]: the columns are unit vectors that point right, up and backward."""
        a, e = torch.deg2rad(self.azimuth), torch.deg2rad(self.elevation)
        backward = torch.stack((e.cos() * a.cos(), e.cos() * a.sin(), e.sin()), -1)
        right = torch.stack((-a.sin(), a.cos(), torch.zeros_like(a)), -1)
        return torch.stack((right, torch.linalg.cross(backward, right), backward), -1)

    def matrices(self) -> Tensor:
        """Camera to world [B, V, 4, 4], OpenGL's camera axes: x right, y up, z backward."""
        axes = self.axes()
        place = axes[..., 2:] * self.distance[..., None, None]
        last = torch.tensor((0.0, 0.0, 0.0, 1.0), device=axes.device).expand(*axes.shape[:2], 1, 4)
        return torch.cat((torch.cat((axes, place), -1), last), -2)

    def conditions(self) -> Tensor:
        """What MVDream reads of a camera [B, V, 16]: the rows of its matrix, the camera at distance 1."""
        return Views(self.azimuth, self.elevation, self.fov, torch.ones_like(self.distance)).matrices().flatten(2)

    def projections(self) -> Tensor:
        """World to OpenGL's clip space [B, V, 4, 4]: x right, y up, z / w from -1 at NEAR to 1 at FAR, w = the depth along the axis."""
        axes, wide = self.axes(), 1 / self.slope
        scale = torch.stack((wide, wide, torch.full_like(wide, -(FAR + NEAR) / (FAR - NEAR)), -torch.ones_like(wide)), -1)
        rows = axes.mT[..., (0, 1, 2, 2), :]  # z and w are both of the way backward
        shift = torch.zeros_like(scale)
        shift[..., 2] = self.distance * (FAR + NEAR) / (FAR - NEAR) - 2 * FAR * NEAR / (FAR - NEAR)
        shift[..., 3] = self.distance
        return torch.cat((rows * scale[..., None], shift[..., None]), -1)

    def clip(self, vertices: Tensor) -> Tensor:
        """Points [V, 3] of one object in the clip spaces of each view: [B, views, V, 4]"""
        matrix = self.projections().to(vertices)
        x, y, z = vertices[:, None].unbind(-1)  # no matrix products here: reduced precision of theirs would move outlines by pixels
        across, up, back, shift = matrix[:, :, None].unbind(-1)
        return x * across + y * up + z * back + shift

    def rays(self, height: int, width: int | None = None) -> tuple[Tensor, Tensor]:
        """Origins and unit directions [B, V, H, W, 3] of the pixels' centres, rows from the top. width: None is as the height."""
        device, sides = self.fov.device, (height, width or height)
        v, u = ((torch.arange(n, device=device) + 0.5) / n * 2 - 1 for n in sides)
        grid = torch.stack(torch.meshgrid(-v, u, indexing="ij")[::-1], -1)  # [H, W, 2]: right, up
        (x, y), slope = grid[..., None].unbind(-2), self.slope[..., None, None, None]
        right, up, backward = self.axes()[:, :, None, None].unbind(-1)
        direction = torch.nn.functional.normalize((x * right + y * up) * slope - backward, dim=-1)
        return (backward * self.distance[..., None, None, None]).expand_as(direction), direction


@dataclass(frozen=True)
class Viewpoints:
    """The cameras that training draws from: MVDream's recipe.

    views: of each object, at equal angles around it from a random start; they share elevation and fov (degrees). half_side: of the
    picture, where it cuts the object's centre; the distance follows from it and the fov.
    """

    views: int = 4
    elevation: tuple[float, float] = (0.0, 30.0)
    fov: tuple[float, float] = (15.0, 60.0)
    half_side: tuple[float, float] = (0.8, 1.0)

    def draw(self, objects: int, generator: Draws) -> Views:
        """Views of B objects, on the generator's device."""
        start, *drawn = draw(torch.rand, (objects, 4), generator).mT[..., None]
        device = start.device
        ranges = (self.elevation, self.fov, self.half_side)
        elevation, fov, half_side = (low + (high - low) * u for u, (low, high) in zip(drawn, ranges, strict=True))
        turn = torch.arange(self.views, device=device) / self.views
        azimuth = 360 * ((start + turn) % 1)
        distance = half_side / torch.tan(torch.deg2rad(fov) / 2)
        return Views(azimuth, *(t.expand_as(azimuth) for t in (elevation, fov, distance)))
