# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody's own mesh, to be painted with the look of a generated object while its shape stays. Without torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import BadRequest
from core.frame import SPAN
from core.limits import CANVAS_TRIANGLES

SAME = 1e-6  # of the longest side: nothing shorter is an extent
FAR = 1e18  # no vertex is so far away
ARRAYS = {"vertices": np.float32, "triangles": np.int32, "uvs": np.float32, "faces": np.int32, "box": np.float32}


@dataclass(frozen=True, eq=False)
class Canvas:
    """vertices [V, 3] f32: Z up, front +X, in any place and of any size; triangles [F, 3] i32. uvs [F, 3, 2] f32, origin bottom left: into
    which it is painted; None: it gets an atlas. faces [F] i32: the number of the face that each triangle is a part of, which no atlas cuts;
    None: each is one. box [2, 3] f32: the lowest and highest corner of the shape that the mesh is, or is a part of; None: its own. follow:
    whether the object whose look it gets shall keep to its shape, as far as the model can; not where it is that object's own."""

    vertices: np.ndarray
    triangles: np.ndarray
    uvs: np.ndarray | None = None
    faces: np.ndarray | None = None
    box: np.ndarray | None = None
    follow: bool = True

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray], follow: bool = True) -> "Canvas":
        """The canvas of these arrays, by their names. Raises BadRequest with one sentence on what is wrong."""
        if unknown := sorted(arrays.keys() - ARRAYS.keys()):
            raise BadRequest(f"The engine does not know the array {unknown[0][:40]!r}.", "", "Update the engine.")
        if missing := [name for name in ("vertices", "triangles") if name not in arrays]:
            raise BadRequest(f"There is no mesh to paint: it has no {missing[0]}.", "", "Choose an object with faces.")
        made = Canvas(**arrays, follow=follow)
        made.check()
        return made

    def check(self) -> None:
        """Raises BadRequest where this is no mesh that can be painted."""
        count = len(self.triangles)
        shapes = {"vertices": (None, 3), "triangles": (None, 3), "uvs": (count, 3, 2), "faces": (count,), "box": (2, 3)}
        for name, wanted in shapes.items():
            array = getattr(self, name)
            if array is None:
                continue
            fits = array.ndim == len(wanted) and all(size in (None, have) for have, size in zip(array.shape, wanted, strict=True))
            if array.dtype != ARRAYS[name] or not fits:
                raise BadRequest(f"The mesh's {name} are {array.dtype} {list(array.shape)}, which does not fit {count} triangles.")
            if array.dtype == np.float32 and not (np.abs(array) < FAR).all():  # nor is NaN
                raise BadRequest(f"The mesh's {name} are not all finite numbers.", "", "Remove vertices that have no place.")
        if not count or not len(self.vertices):
            raise BadRequest("The mesh has no faces.", "", "Choose an object with a surface.")
        if count > CANVAS_TRIANGLES:
            cause = f"It has {count:,}; the engine paints up to {CANVAS_TRIANGLES:,}."
            raise BadRequest("The mesh has too many triangles.", cause, "Decimate it, or paint a part of it.")
        if self.triangles.min() < 0 or self.triangles.max() >= len(self.vertices):
            raise BadRequest("The mesh's triangles name vertices that it does not have.")
        if float(np.ptp(self.vertices, axis=0).max()) <= 0 or (self.box is not None and not (np.ptp(self.box, axis=0) > 0).any()):
            raise BadRequest("The mesh has no extent: all its vertices are in one place.")

    def fitted(self, box: np.ndarray) -> np.ndarray:
        """Its vertices [V, 3] f32, stretched along each axis from its own box into another one [2, 3]; along one in which it is flat, they
        lie in the middle."""
        own = np.stack((self.vertices.min(0), self.vertices.max(0))) if self.box is None else np.sort(self.box, axis=0)
        low, size = own[0].astype(np.float64), np.ptp(own.astype(np.float64), axis=0)
        scale = np.where(size > SAME * size.max(), np.ptp(box, axis=0) / np.maximum(size, 1e-30), 0.0)
        return ((self.vertices - (low + size / 2)) * scale + (box[0] + box[1]) / 2).astype(np.float32)

    def framed(self) -> np.ndarray:
        """Its vertices [V, 3] f32 in the frame, in its own proportions: centred, the longest side SPAN."""
        low, high = (pick(self.vertices.astype(np.float64), axis=0) for pick in (np.min, np.max))
        return ((self.vertices - (low + high) / 2) * (SPAN / (high - low).max())).astype(np.float32)

    def welded(self) -> tuple[np.ndarray, np.ndarray]:
        """Which of its vertices are to be kept [W], and its triangles [F, 3] of these: those in the same place are one, as importers cut
        meshes apart where their faces meet."""
        cell = max(float(np.ptp(self.vertices, axis=0).max()) * SAME, 1e-30)
        places = np.round((self.vertices - self.vertices.min(0)) / cell).astype(np.int64)
        _, kept, which = np.unique(places, axis=0, return_index=True, return_inverse=True)
        return kept, which.reshape(-1)[self.triangles].astype(np.int32)
