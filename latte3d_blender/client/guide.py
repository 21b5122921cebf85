# SPDX-License-Identifier: GPL-3.0-or-later
"""What shapes an object beside its prompt and seed: a second prompt, a given shape, how closely it is kept to, and the planes that it was
refined to. Knows nothing of bpy."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .job import EngineFault, Fault

STYLE_SIZE, STYLE_LIMIT = 8, 10.0  # numbers of z, and how large each may be
SPAN = 0.96  # largest side of every object in the engine's frame, which is centred
POINTS = (64, 65_536)  # fewest and most of a cloud
TRIANGLES = 500_000  # most of a mesh that is painted
PLANES = ("geometry", "texture", "condition", "height_m")  # the arrays of a refined object, as its file and the wire have them


@dataclass(frozen=True, eq=False)
class Guide:
    """blend: another prompt, and how much of it, 0 to 1. cloud: a shape to start from, points and outward normals [N, 6] f32 in the
    engine's frame. adherence: how closely the object keeps to it, 0 to 1; for models that know it. planes: what the object was refined
    to, f32 by the names of PLANES: of them it is made, and the rest says where it came from. canvas: a mesh that gets the look and keeps
    its shape, as the engine takes it (core/canvas.py): arrays by their names. follow: whether the object with that look shall keep to the
    canvas's shape, where the model can; not where that look was made for it."""

    blend: tuple[str, float] | None = None
    adherence: float | None = None
    cloud: np.ndarray | None = None
    planes: dict[str, np.ndarray] | None = None
    canvas: dict[str, np.ndarray] | None = None
    follow: bool = True

    @staticmethod
    def of(params: dict, arrays: dict[str, np.ndarray]) -> "Guide | None":
        """What `params` and `arrays` stand for; None where nothing was asked for. Raises TypeError, ValueError for anything else."""
        blend, planes = params.get("blend"), {name: arrays[name] for name in PLANES if name in arrays}
        blend = (str(blend[0]), float(blend[1])) if blend else None
        made = Guide(blend, params.get("adherence"), arrays.get("cloud"), planes or None)
        return made if made.facts else None

    @property
    def method(self) -> str:
        """What the engine is asked to do."""
        return "generate" if self.canvas is None else "retexture"

    @property
    def params(self) -> dict:
        """What a request says of it; nothing where nothing is asked for, so that older engines understand the rest."""
        blend = ({"blend": list(self.blend)} if self.blend else {}) | ({} if self.follow else {"follow": False})
        return blend if self.adherence is None else blend | {"adherence": self.adherence}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What goes with the request."""
        return ({} if self.cloud is None else {"cloud": self.cloud}) | (self.planes or {}) | (self.canvas or {})

    @cached_property
    def facts(self) -> dict:
        """The same as text and numbers, for an object to carry: arrays by their hashes."""
        given = {"cloud": None if self.cloud is None else {"cloud": self.cloud}, "planes": self.planes, "canvas": self.canvas}
        return self.params | {what: hash_of(*(arrays[name] for name in sorted(arrays))) for what, arrays in given.items() if arrays}

    def check(self) -> None:
        """Raises EngineFault with one sentence on what cannot be asked for."""
        for name, share in (("blend", self.blend[1] if self.blend else 0.0), ("adherence", self.adherence or 0.0)):
            if not (isinstance(share, int | float) and 0 <= share <= 1):
                raise _wrong(f"The {name} {share} is not a number from 0 to 1.")
        if self.blend and not self.blend[0].strip():
            raise _wrong("The second prompt is empty.", "Type what to blend with.")
        if self.adherence is not None and self.cloud is None:
            raise _wrong("An adherence needs a shape to keep to.", "Choose an object.")
        if self.cloud is not None:
            _check_cloud(self.cloud)
        if self.planes and (set(self.planes) != set(PLANES) or any(array.dtype != np.float32 for array in self.planes.values())):
            raise _wrong("The planes of this refined object are damaged.", "Refine it again.")
        if self.canvas is not None:
            check_triangles(len(self.canvas["triangles"]))


def check_triangles(count: int) -> None:
    """Raises EngineFault where a mesh has more than can be painted."""
    if count > TRIANGLES:
        cause = f"The mesh has {count:,}; the engine paints up to {TRIANGLES:,}."
        raise EngineFault(Fault("There are too many triangles.", cause, "Decimate it, or paint a part of it.", "bad_request"))


def _check_cloud(cloud: np.ndarray) -> None:
    if cloud.dtype != np.float32 or cloud.ndim != 2 or cloud.shape[1] != 6 or not POINTS[0] <= len(cloud) <= POINTS[1]:
        raise _wrong(f"The shape is {cloud.dtype} {list(cloud.shape)}, not {POINTS[0]} to {POINTS[1]:,} points with normals.")
    if not np.isfinite(cloud).all() or np.abs(cloud[:, :3]).max() > SPAN / 2 + 1e-3:
        raise _wrong("The shape does not lie in the model's frame.", "Choose an object whose vertices have finite places.")


def _wrong(message: str, remedy: str = "") -> EngineFault:
    return EngineFault(Fault(message, "", remedy, "bad_request"))


def hash_of(*arrays: np.ndarray) -> str:
    """A short text that stands for a cloud, for planes, or for a mesh."""
    found = hashlib.sha1(usedforsecurity=False)
    for array in arrays:
        found.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
    return found.hexdigest()


def style_of(seed: int) -> np.ndarray:
    """The style numbers z [8] of a seed, as the engine draws them: 0 is the typical object."""
    draw = np.random.Generator(np.random.PCG64(seed)).standard_normal(STYLE_SIZE)
    return draw * (seed != 0)


def styles_near(style: np.ndarray, count: int, spread: float, seed: int) -> list[list[float]]:
    """So many styles around one, `spread` away from it in each number as a rule; the same for the same seed."""
    steps = np.random.Generator(np.random.PCG64(seed)).standard_normal((count, STYLE_SIZE))
    return np.clip(np.asarray(style) + spread * steps, -STYLE_LIMIT, STYLE_LIMIT).round(4).tolist()
