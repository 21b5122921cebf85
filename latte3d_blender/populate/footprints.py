# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room an object takes: a box, and within it one to three convex hulls above one another. Pure numpy.

A tree is a trunk and a crown: what is low may stand under it. Each hull is the tightest prism of 16 sides around what lies between two
heights, so two objects whose hulls are apart do not touch. Hulls are apart where some direction of either separates them.
"""

from dataclasses import dataclass

import numpy as np

from .surface import dot, turned

SIDES = 16  # of a hull seen from above
PARTS = 3  # hulls of one object at most
CUTS = 8  # heights at which an object may be parted, evenly
SAVED = 0.8  # parting must leave so little of the volume, else it stays whole
BAND = 0.02  # of the height: what lies so low is the base
GRAIN = 1e-4  # of the size: to this the outlines are rounded, outwards
ANGLES = 2 * np.pi * np.arange(SIDES) / SIDES
AROUND = np.round(np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1), 12)  # [16, 2]
AXES = np.pad(AROUND[: SIDES // 2], ((0, 0), (0, 1)))  # [8, 3]: a side and the one across from it share their direction
CHUNK = 4096  # pairs looked at together


@dataclass(frozen=True)
class Footprint:
    """One object at scale 1, origin at the centre of its base, Z up.

    `box` [2, 3]; `hulls` [H, 32, 3]: the lower and the upper outline of each; `base` [B, 3]: the outline of what it stands on.
    """

    box: np.ndarray
    hulls: np.ndarray
    base: np.ndarray

    @property
    def height(self) -> float:
        return float(self.box[1, 2] - self.box[0, 2])


def footprint(vertices: np.ndarray, edges: np.ndarray) -> Footprint:
    """The footprint of a mesh: vertices [V, 3], edges [E, 2]. Raises ValueError for one without size."""
    points = np.asarray(vertices, np.float64)
    if not len(points) or not np.isfinite(points).all():
        raise ValueError("it has no vertices" if not len(points) else "it has vertices that are nowhere")
    size = float((points.max(0) - points.min(0)).max())
    if size <= 0:
        raise ValueError("it has no size")
    grain = GRAIN * size
    low, high = np.floor(points.min(0) / grain) * grain, np.ceil(points.max(0) / grain) * grain
    parts = _parted(points, np.asarray(edges, np.int64), low[2], high[2])
    hulls = np.stack([_prism(part, bottom, top, grain) for part, bottom, top in parts])
    base = points[points[:, 2] <= low[2] + BAND * (high[2] - low[2]) + grain]
    return Footprint(np.stack([low, high]), hulls, _outline(base, low[2]))


def _outline(points: np.ndarray, bottom: float) -> np.ndarray:
    """The farthest of points in 16 directions, each once, and their middle, all at one height: [B, 3]."""
    reach = points[:, 0, None] * AROUND[:, 0] + points[:, 1, None] * AROUND[:, 1]  # [P, 16]
    farthest = points[np.unique(np.round(reach, 9).argmax(0)), :2]
    ring = np.concatenate([farthest, farthest.mean(0, keepdims=True)])
    return np.column_stack([np.round(ring, 6), np.full(len(ring), bottom)])


def _prism(points: np.ndarray, bottom: float, top: float, grain: float) -> np.ndarray:
    """The tightest prism of 16 sides around points: [32, 3]. Neighbouring sides meet in its corners."""
    reach = (points[:, 0, None] * AROUND[:, 0] + points[:, 1, None] * AROUND[:, 1]).max(0)
    first = np.ceil(reach / grain) * grain
    second, (c, s), (d, t) = np.roll(first, -1), AROUND.T, np.roll(AROUND, -1, 0).T
    turn = c * t - s * d
    corners = np.stack([(first * t - second * s) / turn, (c * second - d * first) / turn], 1)  # where c x + s y = first, d x + t y = second
    return np.concatenate([np.column_stack([corners, np.full(SIDES, z)]) for z in (bottom, top)])


def _parted(points: np.ndarray, edges: np.ndarray, bottom: float, top: float) -> list[tuple[np.ndarray, float, float]]:
    """The points between heights, with those where edges cross them, for the parting that leaves least volume."""
    heights = bottom + (top - bottom) * np.arange(CUTS + 1) / CUTS
    layers = [_between(points, edges, heights[i], heights[i + 1]) for i in range(CUTS)]
    spans = [(low, high) for low in range(CUTS) for high in range(low + 1, CUTS + 1)]
    area = {span: _area(np.concatenate(layers[span[0] : span[1]])) * (span[1] - span[0]) for span in spans}
    best, volume = [(0, CUTS)], SAVED * area[0, CUTS]
    for cuts in [(i,) for i in range(1, CUTS)] + [(i, j) for i in range(1, CUTS) for j in range(i + 1, CUTS)]:
        parting = list(zip((0, *cuts), (*cuts, CUTS), strict=True))
        total = sum(area[span] for span in parting)
        if total < volume * (1 - 1e-9):
            best, volume = parting, total * (SAVED if len(cuts) == 1 else 1.0)
    found = [(np.concatenate(layers[low:high]), heights[low], heights[high]) for low, high in best]
    return [part for part in found if len(part[0])]


def _between(points: np.ndarray, edges: np.ndarray, low: float, high: float) -> np.ndarray:
    """The points between two heights, and where edges cross these."""
    found = [points[(points[:, 2] >= low) & (points[:, 2] <= high)]]
    for height in (low, high):
        a, b = points[edges[:, 0]], points[edges[:, 1]]
        crossing = (a[:, 2] < height) != (b[:, 2] < height)
        a, b = a[crossing], b[crossing]
        share = (height - a[:, 2]) / np.where(a[:, 2] == b[:, 2], 1.0, b[:, 2] - a[:, 2])
        found.append(a + (b - a) * share[:, None])
    return np.concatenate(found)


def _area(points: np.ndarray) -> float:
    """About the area that points cover from above: their tightest octagon."""
    if not len(points):
        return 0.0
    reach = (points[:, 0, None] * AROUND[::2, 0] + points[:, 1, None] * AROUND[::2, 1]).max(0)
    width = reach + np.roll(reach, 4)
    return float(np.sort(width)[:2].prod())


@dataclass(frozen=True)
class Shapes:
    """The footprints of all assets in arrays, to look at many at once. A hull that an asset does not have is nowhere (nan)."""

    box: np.ndarray  # [A, 2, 3]
    hulls: np.ndarray  # [A, 3, 32, 3]
    base: np.ndarray  # [A, B, 3], the last point repeated
    center: np.ndarray  # [A, 3] of the box
    radius: np.ndarray  # [A] of the ball around the box

    @classmethod
    def of(cls, footprints: list[Footprint]) -> "Shapes":
        most = max(len(one.base) for one in footprints)
        box = np.stack([one.box for one in footprints])
        hulls = np.full((len(footprints), PARTS, 2 * SIDES, 3), np.nan)
        for index, one in enumerate(footprints):
            hulls[index, : len(one.hulls)] = one.hulls
        base = np.stack([np.concatenate([one.base, np.repeat(one.base[-1:], most - len(one.base), 0)]) for one in footprints])
        half = (box[:, 1] - box[:, 0]) / 2
        return cls(box, hulls, base, (box[:, 0] + box[:, 1]) / 2, np.sqrt(dot(half, half)))


@dataclass
class Bodies:
    """Objects in the world: asset [N], position [N, 3], rotation [N, 3, 3], scale [N]."""

    asset: np.ndarray
    position: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        return len(self.asset)

    @classmethod
    def none(cls) -> "Bodies":
        return cls(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0))

    def take(self, chosen: np.ndarray) -> "Bodies":
        return Bodies(self.asset[chosen], self.position[chosen], self.rotation[chosen], self.scale[chosen])

    def and_more(self, other: "Bodies") -> "Bodies":
        pairs = ((self.asset, other.asset), (self.position, other.position), (self.rotation, other.rotation), (self.scale, other.scale))
        return Bodies(*(np.concatenate(pair) for pair in pairs))

    def world(self, points: np.ndarray) -> np.ndarray:
        """Points [N, P, 3] of each object's own frame in the world."""
        return turned(self.rotation, points * self.scale[:, None, None]) + self.position[:, None]


def overlapping(shapes: Shapes, one: Bodies, other: Bodies, gap: np.ndarray) -> np.ndarray:
    """Whether the objects of each pair are nearer than `gap` [N] to one another: [N] bool. Boxes first, hulls where these touch."""
    found = np.zeros(len(one), bool)
    for start in range(0, len(one), CHUNK):
        part = slice(start, start + CHUNK)
        a, b, g = one.take(part), other.take(part), gap[part]
        near = np.flatnonzero(_boxes_touch(shapes, a, b, g))
        found[start + near] = _hulls_touch(shapes, a.take(near), b.take(near), g[near])
    return found


def _apart(axes: np.ndarray, a: np.ndarray, b: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Whether some axis [N, K, 3] separates points [N, P, 3] from points [N, Q, 3] by a gap [N]: [N] bool."""
    axes = axes[:, :, None, :]
    along_a, along_b = dot(axes, a[:, None]), dot(axes, b[:, None])
    gap = gap[:, None]
    between = np.maximum(along_a.min(2) - along_b.max(2), along_b.min(2) - along_a.max(2))
    return (np.round(between - gap, 9) >= 0).any(1)


def _boxes_touch(shapes: Shapes, a: Bodies, b: Bodies, gap: np.ndarray) -> np.ndarray:
    """Whether the oriented boxes touch: their own three axes each are tried, and straight up."""
    signs = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners = [one.world(shapes.box[one.asset][:, signs, np.arange(3)]) for one in (a, b)]
    up = np.tile(np.array([[[0.0, 0.0, 1.0]]]), (len(a), 1, 1))
    axes = np.concatenate([np.swapaxes(a.rotation, 1, 2), np.swapaxes(b.rotation, 1, 2), up], 1)
    return ~_apart(axes, *corners, gap)


def _hulls_touch(shapes: Shapes, a: Bodies, b: Bodies, gap: np.ndarray) -> np.ndarray:
    """Whether some hull of one touches some hull of the other."""
    up = np.tile(np.array([[[0.0, 0.0, 1.0]]]), (len(a), 1, 1))
    sides = [turned(one.rotation, np.tile(AXES, (len(one), 1, 1))) for one in (a, b)]
    axes = np.concatenate([up, *sides], 1)
    touch = np.zeros(len(a), bool)
    for i in range(PARTS):
        for j in range(PARTS):
            first, second = shapes.hulls[a.asset, i], shapes.hulls[b.asset, j]
            there = np.flatnonzero(~(touch | np.isnan(first[:, 0, 0]) | np.isnan(second[:, 0, 0])))
            if len(there):
                one, other = a.take(there), b.take(there)
                touch[there] = ~_apart(axes[there], one.world(first[there]), other.world(second[there]), gap[there])
    return touch
