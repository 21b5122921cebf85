# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a layer may stand, as a weight from 0 to 1 at points of the surface. Pure numpy; what a mask needs of the scene is handed in."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import chance
from .recipe import Layer, Mask
from .surface import Samples, Surface

Distance = Callable[[np.ndarray], np.ndarray]  # of points [N, 3] to something, metres [N]
OCTAVES = 3
REFERENCE = 4096  # points at which a noise's spread is found
HIDDEN = 1e9  # metres: farther than anything


@dataclass
class Scenery:
    """What masks need of the scene, by the names in the recipe. `distances`: by (kind, names)."""

    images: dict[str, np.ndarray] = field(default_factory=dict)  # [H, W] from 0 to 1, the lowest row first
    distances: dict[tuple, Distance] = field(default_factory=dict)
    inside: dict[tuple, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)  # whether points are within closed curves
    headings: dict[str, Distance] = field(default_factory=dict)  # turns that face the nearest object of a layer, radians
    clumps: dict[str, Distance] = field(default_factory=dict)  # to the middle of the nearest clump, by a layer's name


def weights(layer: Layer, surface: Surface, samples: Samples, scenery: Scenery) -> np.ndarray:
    """The product of a layer's masks at points: [N]."""
    found = np.ones(len(samples))
    for mask in layer.masks:
        value = np.round(_measure(mask, surface, samples, scenery), 9)
        value = np.clip(value, 0, 1) if mask.range is None else ramp(value, *mask.range, mask.falloff)
        value = 1 - value if mask.invert else value
        found = found * (1 - mask.strength * (1 - value))
    if layer.name in scenery.clumps:
        near = scenery.clumps[layer.name](samples.position) / layer.clump_radius
        found = found * np.clip(1 - near, 0, 1)
    return found


def ramp(value: np.ndarray, low: float, high: float, falloff: float) -> np.ndarray:
    """1 within a range, 0 outside it, and a straight way between over `falloff` beyond either end: [N]."""
    if falloff <= 0:
        return ((value >= low) & (value <= high)).astype(np.float64)
    outside = np.maximum(np.maximum(low - value, value - high), 0)
    return np.clip(1 - outside / falloff, 0, 1)


def _measure(mask: Mask, surface: Surface, samples: Samples, scenery: Scenery) -> np.ndarray:
    """What a mask's range is about, at points: [N]."""
    kind, where = mask.kind, samples.position
    if kind == "slope":
        return np.degrees(np.arccos(np.clip(samples.normal[:, 2], -1, 1)))
    if kind == "height":
        return where[:, 2]
    if kind in ("vertex_group", "attribute"):
        return surface.at(surface.values[mask.names[0]], samples)
    if kind == "noise":
        return covered(mask, where)
    if kind in ("grid", "border"):
        return _from_lines(mask, surface.box[:, :2], where[:, :2])
    if kind == "image":
        return _pixels(scenery.images[mask.names[0]], mask, surface, samples)
    if kind == "inside":
        return scenery.inside[mask.names](where).astype(np.float64)
    return scenery.distances[kind, mask.names](where)  # objects, curves, layer


def _from_lines(mask: Mask, box: np.ndarray, where: np.ndarray) -> np.ndarray:
    """How far points [N, 2] are from the sides of the target's box [2, 2], seen from above, or from the crossings of a grid on it: [N]."""
    if mask.kind == "border":
        return np.minimum(where - box[0], box[1] - where).min(1)
    away, spacing = where - (box[0] + box[1]) / 2, np.array(mask.spacing)
    steps = away / np.where(spacing > 0, spacing, 1.0) - 0.5  # the middle lies between two lines
    aside = np.where(spacing > 0, (steps - np.round(steps)) * spacing, 0.0)
    return np.sqrt(aside[:, 0] * aside[:, 0] + aside[:, 1] * aside[:, 1])


def covered(mask: Mask, where: np.ndarray) -> np.ndarray:
    """1 in the noise's patches, which cover a share of the ground, and falling to 0 beside them: [N]."""
    stream = chance.key(mask.seed, "noise")
    index = np.arange(REFERENCE)
    probes = np.stack([chance.draws(chance.key(mask.seed, "probe", axis), index) for axis in range(3)], 1) * 512.0
    spread = np.sort(noise(stream, probes))
    edge = spread[min(int((1 - mask.cover) * REFERENCE), REFERENCE - 1)] if mask.cover > 0 else 2.0
    value = noise(stream, where / mask.size)
    soft = 0.08  # of the noise's height: patches have no hard edge
    return np.clip((value - edge) / soft + 0.5, 0, 1) if mask.cover < 1 else np.ones(len(where))


def noise(stream: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Smooth noise from 0 to 1 at points [N, 3], patches about 1 across: values drawn at whole numbers, in three octaves."""
    total, most = np.zeros(len(where)), 0.0
    for octave in range(OCTAVES):
        scale, share = 2.0**octave, 0.5**octave
        total, most = total + share * _lattice(stream + np.uint64(octave), where * scale), most + share
    return total / most


def _lattice(stream: np.ndarray, where: np.ndarray) -> np.ndarray:
    """One octave: the values drawn at the eight corners of each point's cell, blended smoothly."""
    cell = np.floor(where)
    part = where - cell
    blend, cell = part * part * (3 - 2 * part), cell.astype(np.int64)
    total = np.zeros(len(where))
    for corner in range(8):
        at, share = [], np.ones(len(where))
        for axis in range(3):
            step = corner >> axis & 1
            at.append((cell[:, axis] + step).astype(np.uint64))
            share = share * (blend[:, axis] if step else 1 - blend[:, axis])
        index = chance.mix(chance.mix(chance.mix(at[0]) + at[1]) + at[2])
        total = total + share * chance.draws(stream, index)
    return total


def _pixels(image: np.ndarray, mask: Mask, surface: Surface, samples: Samples) -> np.ndarray:
    """An image's value at points, between its pixels."""
    if mask.projection == "uv" and surface.uvs is not None:
        where = surface.at(surface.uvs, samples)
        where = where - np.floor(where)
    else:
        low, high = surface.box
        where = (samples.position[:, :2] - low[:2]) / np.maximum(high - low, 1e-9)[:2]
    height, width = image.shape
    at = where * (width, height) - 0.5
    first = np.floor(at).astype(np.int64)
    part = at - first
    found = np.zeros(len(samples))
    for dx in (0, 1):
        for dy in (0, 1):
            share = (part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1])
            found = found + share * image[np.clip(first[:, 1] + dy, 0, height - 1), np.clip(first[:, 0] + dx, 0, width - 1)]
    return found


def within(starts: np.ndarray, ends: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether points [N, 3], seen from above, are inside the closed outlines that lines [M, 2] to [M, 2] make: [N] bool."""
    inside = np.zeros(len(points), bool)
    x, y = points[:, 0], points[:, 1]
    for (ax, ay), (bx, by) in zip(starts, ends, strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside
