# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything stands: layer by layer, the same for the same recipe, surface and objects. Numpy; only nearest points come from Blender.

Places are drawn evenly over the surface and kept where the masks, the distances, the drop and the footprints of all that stands allow.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from mathutils.kdtree import KDTree

from . import chance, masks, placing
from .footprints import Bodies, Shapes, overlapping
from .points import kept, near_pairs
from .recipe import Layer, Recipe
from .surface import Samples, Surface, dot, turned

DRAWS = 400  # places drawn on the surface for each object that is wanted, at most
TRIES = 40  # of them that are looked at beyond the masks
FULL, ENOUGH = 0.01, 512  # where fewer than this share of so many tries find a place, the ground is taken for full
SMALLEST, LARGEST = 256, 32_768  # places drawn at a time
PROBES = 8192  # places by which the area that masks leave is estimated
REASONS = {
    "distance": "too near to another of the layer",
    "edge": "over an edge or on a face that is too steep",
    "sink": "on a slope where it would sink in deeper than “sink” allows",
    "footprint": "where something else stands",
}


@dataclass(frozen=True)
class Option:
    """An object that a layer may take. `asset`: its row in Shapes; `height`: metres from … to, None: as it was made."""

    asset: int
    share: float = 1.0
    count: int | None = None
    height: tuple[float, float] | None = None


@dataclass
class Ground:
    """What one layer stands on: the surface, and how a line meets it."""

    surface: Surface
    cast: placing.Cast


@dataclass
class Layout:
    """What stands where, in the order in which it was placed: layer [N], bodies, tint [N, 3] (factors of the base colour)."""

    layer: np.ndarray
    bodies: Bodies
    tint: np.ndarray
    sink: np.ndarray
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.layer)

    def sha256(self) -> str:
        """A digest of (asset, position to 1 mm, rotation to 0.1°, scale to 0.1 %) in order."""
        turns = np.round(np.degrees(euler(self.bodies.rotation)) * 10) % 3600
        parts = (self.bodies.asset[:, None], np.round(self.bodies.position * 1000), turns, np.round(self.bodies.scale * 1000)[:, None])
        return hashlib.sha256(np.ascontiguousarray(np.concatenate(parts, 1).astype("<i8")).tobytes()).hexdigest()


def euler(rotation: np.ndarray) -> np.ndarray:
    """Angles [N, 3] in Blender's order XYZ of matrices [N, 3, 3], radians."""
    flat = np.sqrt(rotation[:, 0, 0] ** 2 + rotation[:, 1, 0] ** 2)
    straight = flat > 1e-6
    x = np.where(straight, np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2]), np.arctan2(-rotation[:, 1, 2], rotation[:, 1, 1]))
    z = np.where(straight, np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]), 0.0)
    return np.stack([x, np.arctan2(-rotation[:, 2, 0], flat), z], 1)


def wanted(recipe: Recipe, options: dict[str, list[Option]], room: dict[str, float]) -> dict[str, np.ndarray]:
    """How many of each option every layer wants: whole numbers [O]. `room`: square metres that each layer's masks leave."""
    found, totals = {}, recipe.amounts(lambda layer: round(layer.density * room.get(layer.name, 0.0)))
    for layer in recipe.layers:
        own = options.get(layer.name, [])
        fixed = np.array([option.count or 0 for option in own], np.int64)
        total = totals[layer.name]
        shares = np.array([0.0 if option.count is not None else option.share for option in own])
        found[layer.name] = fixed + _parts(max(total - int(fixed.sum()), 0), shares)
    total = sum(int(some.sum()) for some in found.values())
    if recipe.cap is not None and total > recipe.cap:
        flat = _parts(recipe.cap, np.concatenate(list(found.values())).astype(np.float64))
        ends = np.cumsum([len(some) for some in found.values()])[:-1]
        found = dict(zip(found, np.split(flat, ends), strict=True))
    return found


def _parts(total: int, shares: np.ndarray) -> np.ndarray:
    """A whole number parted by shares [O]; the largest remainders get what is left."""
    if not len(shares) or shares.sum() <= 0:
        return np.zeros(len(shares), np.int64)
    exact = np.round(total * shares / shares.sum(), 6)
    parts = np.floor(exact).astype(np.int64)
    order = np.argsort(parts - exact, kind="stable")
    parts[order[: total - int(parts.sum())]] += 1
    return parts


def room(recipe: Recipe, layer: Layer, surface: Surface, scenery: masks.Scenery) -> float:
    """About the square metres that a layer's masks leave; those that ask where other layers stand are not known yet, and leave all."""
    layer = replace(layer, masks=tuple(mask for mask in layer.masks if mask.kind != "layer"))
    if surface.total <= 0 or layer.density is None:
        return 0.0
    seed = chance.key(recipe.seed, layer.name, "room")
    samples = _sample(surface, seed, np.arange(PROBES))
    return surface.total * float(np.cumsum(masks.weights(layer, surface, samples, scenery))[-1]) / PROBES


def _sample(surface: Surface, seed: np.ndarray, index: np.ndarray) -> Samples:
    drawn = [chance.draws(chance.mix(seed + np.uint64(axis)), index) for axis in range(3)]
    return surface.sample(*drawn)


def nearest(points: np.ndarray) -> masks.Distance:
    """How far places are from the nearest of points [M, 3]."""
    tree = KDTree(len(points))
    for index, point in enumerate(points.tolist()):
        tree.insert(point, index)
    tree.balance()
    return lambda places: np.array([tree.find(place)[2] if len(points) else masks.HIDDEN for place in places.tolist()])


def headings(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """By which turns [N] about the vertical the fronts (-Y) of objects at places look to the nearest of points [M, 3], radians."""
    tree = KDTree(len(points))
    for index, point in enumerate(points.tolist()):
        tree.insert(point, index)
    tree.balance()

    def heading(places: np.ndarray) -> np.ndarray:
        if not len(points):
            return np.zeros(len(places))
        way = points[[tree.find(place)[1] for place in places.tolist()]] - places
        return np.arctan2(way[:, 0], -way[:, 1])

    return heading


class LayerRun:
    """One layer being laid out among what stands already."""

    def __init__(self, recipe: Recipe, number: int, need: np.ndarray, options: list[Option], shapes: Shapes, ground: Ground):
        self.recipe, self.number, self.layer = recipe, number, recipe.layers[number]
        self.need, self.options, self.shapes, self.ground = need.copy(), options, shapes, ground
        self.seed = chance.key(recipe.seed, self.layer.seed, self.layer.name)
        self.refused: Counter = Counter()
        self.drawn = self.tried = 0
        self.bodies, self.indices, self.sinks = Bodies.none(), np.zeros(0, np.int64), np.zeros(0)
        self.assets = np.array([option.asset for option in options], np.int64)

    def stream(self, what: str, index: np.ndarray) -> np.ndarray:
        """Numbers [N] in [0, 1) for a purpose, of the places with these indices."""
        return chance.draws(chance.mix(self.seed + chance.key(what)), index)

    def lay_out(
        self, standing: Bodies, scenery: masks.Scenery, cancelled: Callable[[], bool], tell: Callable[[], None] = lambda: None
    ) -> None:
        """Find places until all that is wanted has one, or the tries end. `tell` is called whenever some more have one."""
        total, full = int(self.need.sum()), False
        self._clump(scenery)
        while self.need.sum() and not (full or cancelled()) and self.drawn < DRAWS * total + 4096 and self.tried < TRIES * total + 1024:
            before, left = self.tried, self.need.sum()
            passed = (self.tried + 64) / (self.drawn + 64)
            size = int(np.clip(1.5 * self.need.sum() / passed, SMALLEST, LARGEST))
            index = np.arange(self.drawn, self.drawn + size)
            self.drawn += size
            samples = _sample(self.ground.surface, self.seed, index)
            free = self.stream("mask", index) < np.round(masks.weights(self.layer, self.ground.surface, samples, scenery), 9)
            samples, index = samples.take(free), index[free]
            self.tried += len(index)
            self._place(samples, index, standing, scenery)
            tries = self.tried - before
            tell()
            full = tries >= ENOUGH and left - self.need.sum() < FULL * tries

    def _clump(self, scenery: masks.Scenery) -> None:
        """Draw the middles of clumps where the masks allow them; from then on they are a mask."""
        if not self.layer.clumps:
            return
        seed = chance.mix(self.seed + chance.key("clumps"))
        index = np.arange(64 * self.layer.clumps)
        samples = _sample(self.ground.surface, seed, index)
        free = self.stream("clump mask", index) < masks.weights(self.layer, self.ground.surface, samples, scenery)
        middles = samples.position[free]
        apart = np.full(len(middles), self.layer.clump_radius / 2)
        middles = middles[kept(len(middles), *near_pairs(middles, apart, middles, apart))][: self.layer.clumps]
        scenery.clumps[self.layer.name] = nearest(middles)

    def _place(self, samples: Samples, index: np.ndarray, standing: Bodies, scenery: masks.Scenery) -> None:
        """Of places that the masks allow, keep those where an object can stand."""
        samples, index = self._spaced(samples, index)
        option = self._chosen(index)
        bodies = self._standing(samples, index, option, scenery)
        press = -placing.LIFT if self.layer.on else placing.PRESS
        dropped = placing.drop(self.shapes, bodies, self.ground.cast, press, self.layer.bury)
        level = dot(samples.normal, bodies.rotation[:, :, 2])
        stands, shallow = dropped.stands & (level > placing.STEEP), dropped.sink <= self.layer.sink
        self.refused["edge"] += int((~stands).sum())
        self.refused["sink"] += int((stands & ~shallow).sum())
        chosen = np.flatnonzero(stands & shallow)
        bodies, index, option, sinks = dropped.bodies.take(chosen), index[chosen], option[chosen], dropped.sink[chosen]
        free = self._free(bodies, standing)
        self.refused["footprint"] += int((~free).sum())
        keep = free & self._within_need(free, option)
        self.need -= np.bincount(option[keep], minlength=len(self.need))
        self.bodies = self.bodies.and_more(bodies.take(keep))
        self.indices, self.sinks = np.concatenate([self.indices, index[keep]]), np.concatenate([self.sinks, sinks[keep]])

    def _spaced(self, samples: Samples, index: np.ndarray) -> tuple[Samples, np.ndarray]:
        """Those that keep the layer's distance from one another and from its objects."""
        if self.layer.distance <= 0:
            return samples, index
        half = self.layer.distance / 2
        where, there = samples.position, self.bodies.position
        reach = np.full(len(where), half)
        taken = np.zeros(len(where), bool)
        taken[near_pairs(where, reach, there, np.full(len(there), half))[0]] = True
        open_ones = np.flatnonzero(~taken)
        where, reach = where[open_ones], reach[open_ones]
        chosen = open_ones[kept(len(where), *near_pairs(where, reach, where, reach))]
        self.refused["distance"] += len(index) - len(chosen)
        return samples.take(chosen), index[chosen]

    def _chosen(self, index: np.ndarray) -> np.ndarray:
        """An option for each place, by how many of each are still wanted: [N]."""
        reached = np.cumsum(self.need)
        return np.searchsorted(reached, np.floor(self.stream("option", index) * reached[-1]), side="right")

    def _standing(self, samples: Samples, index: np.ndarray, option: np.ndarray, scenery: masks.Scenery) -> Bodies:
        """Objects at places, turned and scaled, before the drop."""
        asset = self.assets[option]
        made = self.shapes.box[asset, 1, 2] - self.shapes.box[asset, 0, 2]
        ranges = np.array([one.height or (np.nan, np.nan) for one in self.options])[option]
        high = ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * self.stream("height", index)
        scale = np.where(np.isnan(high), 1.0, high / made) * chance.between(*self.layer.scale, self.stream("scale", index))
        heading = scenery.headings[self.layer.face](samples.position) if self.layer.face else 0.0
        rotation = placing.directions(self.layer, samples, lambda what: self.stream(what, index), heading)
        middle = turned(rotation, (self.shapes.base[asset, -1] * scale[:, None])[:, None])[:, 0]  # the origin may be elsewhere
        return Bodies(asset, samples.position - middle, rotation, np.round(scale, 6))

    def _free(self, bodies: Bodies, standing: Bodies) -> np.ndarray:
        """Which objects [N] neither touch what stands nor one that is kept before them."""
        gap = self.layer.gap
        free = np.ones(len(bodies), bool)
        for others in (standing, self.bodies):
            i, j = self._near(bodies, others)
            touch = overlapping(self.shapes, bodies.take(i), others.take(j), np.full(len(i), gap))
            free[i[touch]] = False
        open_ones = np.flatnonzero(free)
        left = bodies.take(open_ones)
        i, j = self._near(left, left)
        i, j = i[i < j], j[i < j]
        touch = overlapping(self.shapes, left.take(i), left.take(j), np.full(len(i), gap))
        free[open_ones] = kept(len(left), i[touch], j[touch])
        return free

    def _near(self, one: Bodies, other: Bodies) -> tuple[np.ndarray, np.ndarray]:
        """Pairs whose balls touch."""
        gap = max(self.layer.gap, 0.0)
        balls = [
            (b.world(self.shapes.center[b.asset][:, None])[:, 0], self.shapes.radius[b.asset] * b.scale + gap / 2) for b in (one, other)
        ]
        return near_pairs(*balls[0], *balls[1])

    def _within_need(self, free: np.ndarray, option: np.ndarray) -> np.ndarray:
        """Of the free ones, for each option no more than are wanted, the first of them: [N] bool."""
        keep = np.zeros(len(free), bool)
        for number in np.unique(option[free]):
            keep[np.flatnonzero(free & (option == number))[: self.need[number]]] = True
        return keep

    def note(self, total: int) -> str:
        """What a person has to know of a layer that found too few places; nothing where it found all."""
        found = len(self.bodies)
        if found == total or (self.layer.fill and found):
            return ""
        why = [f"{REASONS[reason]} ({count:,} tries)" for reason, count in self.refused.most_common(2) if count]
        if not self.tried:
            return f"Layer “{self.layer.name}” found no place for its {total:,} objects: its masks leave nothing of the surface."
        why = why or [f"outside what the masks leave ({self.drawn - self.tried:,} of {self.drawn:,} tries)"]
        return f"Layer “{self.layer.name}” found places for {found:,} of {total:,} objects; the others were {'; '.join(why)}."


def lay_out(
    recipe: Recipe,
    options: dict[str, list[Option]],
    shapes: Shapes,
    grounds: dict[str, Ground],
    scenery: masks.Scenery,
    *,
    obstacles: Bodies | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Layout:
    """Find a place for everything. `grounds`: by the layers' names. Of layers on targets without area a note says so."""
    scenery.clumps.clear()  # of an earlier layout
    rooms = {one.name: room(recipe, one, grounds[one.name].surface, scenery) for one in recipe.layers if not one.on}
    needs = wanted(recipe, options, rooms)
    parts: list[LayerRun] = []
    notes, total = [], sum(int(need.sum()) for need in needs.values())
    for number, layer in enumerate(recipe.layers):
        below = next((part.bodies for part in parts if part.layer.name == layer.on), None)
        ground = grounds[layer.name] if below is None else _on_top(shapes, below)
        run = LayerRun(recipe, number, needs[layer.name], options.get(layer.name, []), shapes, ground)
        parts.append(run)
        if ground.surface.total > 0:
            standing = obstacles or Bodies.none()
            for part in parts[:-1]:
                standing = standing if part.bodies is below else standing.and_more(part.bodies)
            run.lay_out(standing, scenery, cancelled, lambda: progress(sum(len(part.bodies) for part in parts), total))
        scenery.distances["layer", (layer.name,)] = nearest(run.bodies.position)
        scenery.headings[layer.name] = headings(run.bodies.position)
        notes += [note for note in [run.note(int(needs[layer.name].sum()))] if note]
    progress(sum(len(part.bodies) for part in parts), total)
    return _whole(parts, notes)


def _on_top(shapes: Shapes, bodies: Bodies) -> Ground:
    """The ground of a layer that stands on objects."""
    surface = placing.tops(shapes, bodies)
    return Ground(surface, placing.caster(surface))


def _whole(runs: list[LayerRun], notes: list[str]) -> Layout:
    """The layers' objects in one list."""
    bodies = Bodies.none()
    for run in runs:
        bodies = bodies.and_more(run.bodies)
    layer = np.concatenate([np.full(len(run.bodies), run.number) for run in runs]) if runs else np.zeros(0, np.int64)
    tint = np.concatenate([_tint(run) for run in runs]) if runs else np.zeros((0, 3))
    return Layout(layer, bodies, tint, np.concatenate([run.sinks for run in runs]) if runs else np.zeros(0), notes)


def _tint(run: LayerRun) -> np.ndarray:
    """Factors [N, 3] of the base colours: lighter or darker, warmer or colder, by what the layer allows."""
    light, warm = (run.layer.tint * (2 * run.stream(what, run.indices) - 1) for what in ("light", "warm"))
    return np.round(np.stack([1 + light + warm / 3, 1 + light, 1 + light - warm / 3], 1), 4)
