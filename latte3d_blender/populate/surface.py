# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground that things stand on: triangles in the world, and points drawn on them evenly by area. Pure numpy.

What is computed here decides where things stand, so it keeps to operations that every machine rounds alike: no dot products of a library.
"""

from dataclasses import dataclass, field

import numpy as np


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The dot products [...] of vectors [..., 3], term by term."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross products [..., 3] of vectors [..., 3], term by term."""
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    return np.stack([x, y, a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]], -1)


def unit(a: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] of length 1 in the same directions; zero vectors stay."""
    length = np.sqrt(dot(a, a))
    return a / np.where(length > 0, length, 1.0)[..., None]


def turned(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [N, P, 3] turned by matrices [N, 3, 3], term by term."""
    columns = [points[..., i, None] * matrices[:, None, :, i] for i in range(3)]
    return columns[0] + columns[1] + columns[2]


@dataclass(frozen=True)
class Samples:
    """Points on a surface: their triangle [N], barycentric weights [N, 3], position and normal [N, 3] in the world."""

    triangle: np.ndarray
    weights: np.ndarray
    position: np.ndarray
    normal: np.ndarray

    def __len__(self) -> int:
        return len(self.triangle)

    def take(self, chosen: np.ndarray) -> "Samples":
        """Some of them, by index or by a mask."""
        return Samples(self.triangle[chosen], self.weights[chosen], self.position[chosen], self.normal[chosen])


@dataclass(frozen=True)
class Surface:
    """Triangles in the world, metres. `corners` [T, 3, 3]; `source` [T]: the target that each belongs to.

    `values`: for the name of a vertex group or an attribute its weights at the corners [T, 3]; `uvs` [T, 3, 2].
    """

    corners: np.ndarray
    source: np.ndarray
    values: dict[str, np.ndarray] = field(default_factory=dict)
    uvs: np.ndarray | None = None
    area: np.ndarray = field(init=False)  # [T]
    normal: np.ndarray = field(init=False)  # [T, 3]
    reached: np.ndarray = field(init=False)  # [T]: the area of all triangles up to each

    def __post_init__(self) -> None:
        across = cross(self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0])
        area = np.sqrt(dot(across, across)) / 2
        area = np.where(np.isfinite(area), area, 0.0)  # one corner that is not a number makes no area
        object.__setattr__(self, "area", area)
        object.__setattr__(self, "normal", unit(across))
        object.__setattr__(self, "reached", np.cumsum(area))

    @property
    def total(self) -> float:
        """Square metres."""
        return float(self.reached[-1]) if len(self.reached) else 0.0

    @property
    def box(self) -> np.ndarray:
        """Lower and upper corner [2, 3]."""
        flat = self.corners[self.area > 0].reshape(-1, 3)
        return np.stack([flat.min(0), flat.max(0)]) if len(flat) else np.zeros((2, 3))

    def sample(self, first: np.ndarray, second: np.ndarray, third: np.ndarray) -> Samples:
        """Points for numbers [N] each in [0, 1): evenly over the area, whatever the triangles' sizes."""
        triangle = np.searchsorted(self.reached, first * self.reached[-1], side="right")
        triangle = np.minimum(triangle, np.flatnonzero(self.area)[-1])
        root = np.sqrt(second)
        weights = np.stack([1 - root, root * (1 - third), root * third], 1)
        corners = self.corners[triangle]
        position = weights[:, :1] * corners[:, 0] + weights[:, 1:2] * corners[:, 1] + weights[:, 2:] * corners[:, 2]
        return Samples(triangle, weights, position, self.normal[triangle])

    def at(self, per_corner: np.ndarray, samples: Samples) -> np.ndarray:
        """A value of the corners [T, 3] or [T, 3, C] at points."""
        values, weights = per_corner[samples.triangle], samples.weights
        weights = weights[..., None] if values.ndim == 3 else weights
        return weights[:, 0] * values[:, 0] + weights[:, 1] * values[:, 1] + weights[:, 2] * values[:, 2]


def joined(parts: list[Surface]) -> Surface:
    """One surface of several; a value that one of them lacks is 0 there."""
    if len(parts) == 1:
        return parts[0]
    names = sorted({name for part in parts for name in part.values})
    values = {name: np.concatenate([p.values.get(name, np.zeros((len(p.area), 3))) for p in parts]) for name in names}
    uvs = None
    if any(part.uvs is not None for part in parts):
        uvs = np.concatenate([part.uvs if part.uvs is not None else np.zeros((len(part.area), 3, 2)) for part in parts])
    source = np.concatenate([part.source for part in parts])
    return Surface(np.concatenate([part.corners for part in parts]), source, values, uvs)
