# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a library's prepared shapes a finished mesh is most like."""

from dataclasses import dataclass
from functools import lru_cache

import igl
import numpy as np
from numpy import ndarray

from core.evaluation.metrics import inside
from core.library.folder import PreparedFolder, Shape
from core.mesh import TexturedMesh
from core.rendering.textures import texels_at

SURFACE_POINTS = 4096  # of a shape, for the look
MESH_POINTS = 32_768  # in a mesh's box, for what of it lies outside of a shape's
SCREEN = 512  # points of each shape that every mesh is asked about
SURE = 3.0  # standard deviations between what the screening saw and what may be
CANDIDATES, TOGETHER = 32, 8  # shapes that are scored in full at most, and at a time
KEPT = 1024  # targets in memory, 0.2 MB each


@dataclass(frozen=True)
class Target:
    """What of a prepared shape meshes are held against.

    points [N, 3] f32, uniform between the corners low and high [3] (its box, grown by 10 %), inside [N] bool; surface [M, 3] f32, evenly
    over what is seen of it, look [M, 5] f32 (sRGB colour, roughness, metallic, 0..1): none where its look is not known.
    """

    points: ndarray
    inside: ndarray
    low: ndarray
    high: ndarray
    surface: ndarray
    look: ndarray

    @staticmethod
    def of(shape: Shape) -> "Target":
        quarter = len(shape.points) // 4
        rows = slice(2 * shape.pairs + quarter, 2 * shape.pairs + 2 * quarter)  # as core.library.shape lays them out
        points, even = shape.points[rows].copy(), min(shape.facts["even"], SURFACE_POINTS)  # copies let go of the other points
        look = shape.look[:even].astype(np.float32) / 255
        return Target(points, shape.sdf[rows] < 0, points.min(0), points.max(0), shape.surface[:even].copy(), look)


class Finished:
    """A finished mesh, ready to be asked about many shapes."""

    def __init__(self, mesh: TexturedMesh):
        self.mesh, self.low, self.high = mesh, mesh.vertices.min(0), mesh.vertices.max(0)
        points = np.random.default_rng(0).uniform(self.low, self.high, (MESH_POINTS, 3))
        self._own = points[inside(mesh, points)]
        self._each = float(np.prod(self.high - self.low)) / MESH_POINTS  # volume that one of them stands for

    def inside(self, points: ndarray) -> ndarray:
        """[N, 3] -> [N] bool"""
        out = ((points > self.low) & (points < self.high)).all(1)
        rows = np.flatnonzero(out)
        if len(rows):
            out[rows] = inside(self.mesh, points[rows])
        return out

    def beyond(self, low: ndarray, high: ndarray) -> ndarray:
        """The volume of it that lies outside of boxes. low, high [S, 3] -> [S]"""
        within = np.ones((len(low), len(self._own)), bool)
        for axis in range(3):
            own = self._own[:, axis].astype(np.float32)
            within &= (own >= low[:, axis, None]) & (own <= high[:, axis, None])
        return (len(self._own) - within.sum(1)) * self._each

    def look(self, points: ndarray) -> ndarray:
        """The nearest texel's sRGB colour, roughness and metallic. [N, 3] -> [N, 5]"""
        vertices, triangles = self.mesh.vertices.astype(np.float64), self.mesh.triangles.astype(np.int64)
        _, face, nearest = igl.point_mesh_squared_distance(points.astype(np.float64), vertices, triangles)
        return texels_at(self.mesh, face, nearest)


def ious(finished: Finished, targets: list[Target]) -> list[float]:
    """Intersection over union with each, at all its points; what lies outside of its box counts as not shared."""
    made = np.split(finished.inside(np.concatenate([t.points for t in targets])), np.cumsum([len(t.points) for t in targets])[:-1])
    beyond = finished.beyond(np.stack([t.low for t in targets]), np.stack([t.high for t in targets]))
    out = []
    for target, within, more in zip(targets, made, beyond, strict=True):
        either = (within | target.inside).sum() + more * len(target.points) / np.prod(target.high - target.low)
        out.append(float((within & target.inside).sum() / max(either, 1)))
    return out


def look_errors(finished: Finished, targets: list[Target]) -> list[ndarray]:
    """Mean |Δ| of the five channels [5] at each one's surface; NaN where its look is not known."""
    looks = np.split(finished.look(np.concatenate([t.surface for t in targets])), np.cumsum([len(t.surface) for t in targets])[:-1])
    none = np.full(5, np.nan)
    return [np.abs(found - t.look).mean(0) if len(t.look) else none for t, found in zip(targets, looks, strict=True)]


def score(iou: float, error: ndarray) -> float:
    """IoU × (1 − colour error), the IoU alone where the colour is not known. error: [5]"""
    return iou if np.isnan(error[0]) else iou * float(1 - error[:3].mean())


class Gallery:
    """All prepared shapes of a library.

    Every shape is screened with SCREEN of its own points. Where its IoU, with SURE standard deviations on top, stays below the score to
    beat, it is out: no colour could help it. The others, those with the highest IoU first, are scored in full, exactly as the right shape
    is, until it is clear that too many are better. So what is found is exact but for the chance of SURE standard deviations, and
    for libraries of which more than CANDIDATES shapes are that near: then those with the highest screened IoU are scored.
    """

    def __init__(self, prepared: PreparedFolder):
        self.names = prepared.shapes
        self.target = lru_cache(KEPT)(lambda name: Target.of(prepared.shape(name)))
        targets = [self.target(name) for name in self.names]
        count = min(SCREEN, *(len(t.points) for t in targets))
        self._points = np.concatenate([t.points[:count] for t in targets])  # [S · count, 3]
        self._inside = np.stack([t.inside[:count] for t in targets])  # [S, count]
        self._low, self._high = (np.stack([getattr(t, name) for t in targets]) for name in ("low", "high"))

    def rivals(self, finished: Finished, right: set[str], beat: float, most: int = 5) -> list[tuple[float, str]]:
        """Shapes, not among the `right` ones, that score more than `beat`, the best of those that were found first: all, or at least
        `most`."""
        iou, bound = self._screen(finished)
        order = [i for i in np.argsort(-iou) if bound[i] > beat and self.names[i] not in right][:CANDIDATES]
        found: list[tuple[float, str]] = []
        for start in range(0, len(order), TOGETHER):
            names = [self.names[i] for i in order[start : start + TOGETHER]]
            found += [one for one in self._scores(finished, names, beat) if one[0] > beat]
            if len(found) >= most:
                break
        return sorted(found, reverse=True)

    def _scores(self, finished: Finished, names: list[str], beat: float) -> list[tuple[float, str]]:
        """In full, of those whose IoU lets them beat."""
        targets = [self.target(name) for name in names]
        near = [(iou, name, target) for iou, name, target in zip(ious(finished, targets), names, targets, strict=True) if iou > beat]
        errors = look_errors(finished, [target for *_, target in near]) if near else []
        return [(score(iou, error), name) for (iou, name, _), error in zip(near, errors, strict=True)]

    def _screen(self, finished: Finished) -> tuple[ndarray, ndarray]:
        """IoU with every shape, roughly, and what it is at most. [S], [S]"""
        made = finished.inside(self._points).reshape(self._inside.shape)
        volume = np.prod(self._high - self._low, axis=1)
        either = (made | self._inside).sum(1) + finished.beyond(self._low, self._high) * made.shape[1] / volume
        either = np.maximum(either, 1)
        iou = (made & self._inside).sum(1) / either
        return iou, iou + SURE * np.sqrt(np.maximum(iou * (1 - iou), 1 / either) / either)
