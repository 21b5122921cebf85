# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that look at the origin of the model's frame."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


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
