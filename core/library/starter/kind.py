# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of object is: a modelling function in metres, and what prompts may say about it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.library.starter.shapes import P, Size


@dataclass(frozen=True)
class Style:
    """What the modelling function may depend on; every tensor is [B, 1], one row per object of the batch.

    tall, wide, thick: factors of the prompt's proportions (1 when not named): height, width and depth, thickness of the parts.
    second: bool, whether the kind's second part is there (always true when it is not optional).
    count: how many of the second part there are, out of the kind's `Second.counts` (0 for kinds that count nothing).
    z: [B, 8], the free style numbers; zero is the typical object.
    """

    tall: Tensor
    wide: Tensor
    thick: Tensor
    second: Tensor
    count: Tensor
    z: Tensor

    def vary(self, i: int, low: float, high: float) -> Tensor:
        """A size that the prompt leaves open: goes from low to high with style number i, the middle at z = 0. [B, 1]"""
        return low + (high - low) * torch.special.ndtr(self.z[:, i : i + 1])


@dataclass(frozen=True)
class Part:
    """One solid of an object: `distance` maps points in metres to signed distances [B, N].

    paint: "main" (the prompt's colour, material and pattern), "second" (the second part's colour) or a name in `palette.FIXED`.
    present: None, or bool [B, 1]: objects of the batch that have this part.
    """

    distance: Callable[[P], Tensor]
    paint: str = "main"
    present: Tensor | None = None


@dataclass(frozen=True)
class Model:
    """The parts of a batch of objects and their tight bounding box in metres (each bound a float or [B, 1])."""

    parts: list[Part]
    low: tuple[Size, Size, Size]
    high: tuple[Size, Size, Size]


@dataclass(frozen=True)
class Second:
    """The part that a prompt may name after "with": its word, its usual colour, and whether it is there when not named.

    counts: the numbers of it that a prompt may ask for ("three legs"), the usual one first; none where it cannot be counted.
    """

    name: str
    color: str
    optional: bool = False
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of object: how it is built and what can be said about it.

    model: Style -> Model, in metres, z up, front towards +x; the frame's place does not matter (objects are centred afterwards).
    materials, patterns: the ones that make sense, the first material is the usual one; colors: usual colours when the prompt names none
    (style number 7 chooses between the first two).
    proportions: words out of "tall short wide narrow chunky thin" that make sense.
    """

    name: str
    family: str
    model: Callable[[Style], Model]
    second: Second
    materials: tuple[str, ...]
    colors: tuple[str, ...]
    synonyms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    proportions: tuple[str, ...] = ("tall", "short", "wide", "narrow", "chunky", "thin")


def sized(model: Callable[[Style], Model], f: float) -> Callable[[Style], Model]:
    """The model made f times as large: small things are modelled about one metre high."""

    def resized(s: Style) -> Model:
        m = model(s)
        parts = [Part(lambda p, d=part.distance: d(p.scale(f, f, f)) * f, part.paint, part.present) for part in m.parts]
        return Model(parts, tuple(c * f for c in m.low), tuple(c * f for c in m.high))

    return resized
