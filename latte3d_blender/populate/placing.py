# SPDX-License-Identifier: GPL-3.0-or-later
"""How an object stands at a point: which way it leans and looks, and how far down it has to go so that nothing of its base floats."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from mathutils.bvhtree import BVHTree

from . import chance
from .footprints import SIDES, Bodies, Shapes
from .recipe import Layer
from .surface import Samples, Surface, dot, turned, unit

Cast = Callable[
    [np.ndarray, np.ndarray, np.ndarray], np.ndarray
]  # from points [N, P, 3] along ways [N, 3], so far [N]: metres or inf [N, P]
PRESS = 0.005  # of the height: so far the last point of the base goes into the surface
LIFT = 0.002  # of the height: so far above another object something stands on it, so that their surfaces do not cross
CHUNK = 8192  # points at a time: another thread may go on between two
STEEP = 0.087  # cosine of 85°: on what is steeper, nothing stands


@dataclass(frozen=True)
class Dropped:
    """Objects after the drop; `sink` [N]: the share of the height that is below the surface; `stands` [N]: all of the base is on it."""

    bodies: Bodies
    sink: np.ndarray
    stands: np.ndarray


def plain(values: np.ndarray) -> np.ndarray:
    """Values as every machine has them: sines and roots of other powers differ in their last digits."""
    return np.round(values, 9)


def tree_of(corners: np.ndarray) -> BVHTree:
    """Triangles [T, 3, 3] to look for. The many short lists that Blender wants are no garbage, and to search them for some would take most
    of the time."""
    flat, collects = corners.reshape(-1, 3), gc.isenabled()
    gc.disable()
    try:
        points = [row for start in range(0, len(flat), CHUNK) for row in flat[start : start + CHUNK].tolist()]
        return BVHTree.FromPolygons(points, np.arange(len(flat)).reshape(-1, 3).tolist(), all_triangles=True)
    finally:
        if collects:
            gc.enable()


def caster(surface: Surface) -> Cast:
    """How lines meet a surface. What that needs is built when it is first asked for, which may be in a thread."""
    tree = cache(lambda: tree_of(surface.corners[surface.area > 0]))

    def cast(starts: np.ndarray, ways: np.ndarray, reach: np.ndarray) -> np.ndarray:
        one, found = tree().ray_cast, []
        for points, way, far in zip(starts.tolist(), ways.tolist(), reach.tolist(), strict=True):
            found += [one(point, way, far)[3] for point in points]
        return np.array([np.inf if distance is None else distance for distance in found]).reshape(starts.shape[:2])

    return cast


def tops(shapes: Shapes, bodies: Bodies) -> Surface:
    """What things can stand on of objects: for each the upper side of its highest hull, in triangles around its middle."""
    there = ~np.isnan(shapes.hulls[:, :, 0, 2])  # [A, H]
    highest = np.where(there, np.nan_to_num(shapes.hulls[:, :, -1, 2]), -np.inf).argmax(1)
    ring = shapes.hulls[np.arange(len(highest)), highest, SIDES:][bodies.asset]  # [N, 16, 3]
    ring = bodies.world(ring)
    middle = np.repeat(ring.mean(1, keepdims=True), SIDES, 1)
    corners = np.stack([middle, ring, np.roll(ring, -1, 1)], 2).reshape(-1, 3, 3)
    return Surface(corners, np.repeat(np.arange(len(bodies)), SIDES))


def directions(layer: Layer, samples: Samples, stream: Callable[[str], np.ndarray], heading: np.ndarray | float = 0.0) -> np.ndarray:
    """The rotations [N, 3, 3] of objects: between upright and the surface's normal, tilted, and turned about their own vertical, from
    `heading` [N] on, radians."""
    up = np.array((0.0, 0.0, 1.0))
    axis = unit((1 - layer.align) * up + layer.align * samples.normal)
    axis = np.where(dot(axis, axis)[:, None] > 0.5, axis, up)
    if layer.tilt:
        way, lean = 2 * np.pi * stream("way"), np.tan(np.radians(layer.tilt * stream("tilt")))
        aside = plain(np.stack([np.cos(way) * lean, np.sin(way) * lean, np.zeros(len(way))], 1))
        axis = unit(axis + turned(_towards(axis), aside[:, None])[:, 0])
    turn = np.radians(chance.between(*layer.turn, stream("turn"))) + heading
    c, s, zero, one = plain(np.cos(turn)), plain(np.sin(turn)), np.zeros(len(turn)), np.ones(len(turn))
    about = np.stack([np.stack(row, 1) for row in ((c, -s, zero), (s, c, zero), (zero, zero, one))], 1)
    return np.swapaxes(turned(_towards(axis), np.swapaxes(about, 1, 2)), 1, 2)  # matrix product, column by column


def _towards(axis: np.ndarray) -> np.ndarray:
    """The smallest rotations [N, 3, 3] that take straight up to directions [N, 3]."""
    x, y, z = axis.T
    down = z < -0.999999
    part = 1 / np.where(down, 1.0, 1 + z)
    rows = ((1 - x * x * part, -x * y * part, x), (-x * y * part, 1 - y * y * part, y), (-x, -y, z))
    found = np.stack([np.stack(row, 1) for row in rows], 1)
    return np.where(down[:, None, None], np.diag((1.0, -1.0, -1.0)), found)


def drop(shapes: Shapes, bodies: Bodies, cast: Cast, press: float = PRESS, bury: float = 0.0) -> Dropped:
    """Move objects along their own vertical until the last point of each base is in the surface by `press` of the height, and then by
    `bury` of it, which is no sinking in."""
    base = shapes.base[bodies.asset]
    height = (shapes.box[bodies.asset, 1, 2] - shapes.box[bodies.asset, 0, 2]) * bodies.scale
    aside = base - base[:, -1:]  # the last one is the middle
    reach = np.sqrt(dot(aside, aside)).max(1) * bodies.scale
    lift = 1.5 * reach + 0.1 * height
    up = bodies.rotation[:, :, 2]
    found = cast(bodies.world(base) + (lift[:, None] * up)[:, None], -up, 2 * lift + reach)
    gap = found - lift[:, None]  # how far the surface is below each point; above it, less than 0
    stands = np.isfinite(gap).all(1)
    gap = np.where(np.isfinite(gap), gap, 0.0)
    down = gap.max(1) + (press + bury) * height
    sink = (gap.max(1) - gap.min(1)) / height + press
    moved = Bodies(bodies.asset, np.round(bodies.position - down[:, None] * up, 7), bodies.rotation, bodies.scale)
    return Dropped(moved, np.round(sink, 6), stands)
