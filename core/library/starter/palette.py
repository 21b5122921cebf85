# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours (sRGB-encoded, 0..1), materials and patterns that a prompt can name."""

from dataclasses import dataclass

import torch
from torch import Tensor

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.78, 0.13, 0.11), "orange": (0.93, 0.49, 0.13), "yellow": (0.95, 0.80, 0.20), "green": (0.25, 0.58, 0.24),
    "teal": (0.13, 0.60, 0.60), "blue": (0.16, 0.36, 0.76), "purple": (0.50, 0.25, 0.66), "pink": (0.94, 0.55, 0.68),
    "brown": (0.48, 0.30, 0.17), "white": (0.93, 0.93, 0.91), "gray": (0.52, 0.53, 0.55), "black": (0.13, 0.13, 0.14),
    "cream": (0.93, 0.87, 0.72),
}  # fmt: skip


@dataclass(frozen=True)
class Finish:
    """Roughness and metallic (linear, 0..1) of a material, and its colour when the prompt names none (sRGB)."""

    roughness: float
    metallic: float
    color: tuple[float, float, float] | None = None


MATERIALS: dict[str, Finish] = {
    "natural": Finish(0.60, 0.0),  # nothing named, nothing usual: skin, leaves, paint
    "wood": Finish(0.65, 0.0, (0.55, 0.36, 0.20)),
    "stone": Finish(0.90, 0.0, (0.58, 0.57, 0.55)),
    "marble": Finish(0.25, 0.0, (0.90, 0.89, 0.87)),
    "metal": Finish(0.35, 1.0, (0.62, 0.63, 0.65)),
    "gold": Finish(0.25, 1.0, (0.95, 0.75, 0.33)),
    "ceramic": Finish(0.15, 0.0, (0.92, 0.91, 0.88)),
    "clay": Finish(0.80, 0.0, (0.72, 0.40, 0.26)),
    "fabric": Finish(0.95, 0.0, (0.70, 0.62, 0.52)),
    "leather": Finish(0.50, 0.0, (0.42, 0.24, 0.14)),
    "plastic": Finish(0.40, 0.0, (0.85, 0.85, 0.83)),
}

# What a shade does to the main colour: it moves towards another one (sRGB), by how much.
SHADES: dict[str, tuple[tuple[float, float, float], float]] = {"dark": ((0.0, 0.0, 0.0), 0.45), "pale": ((1.0, 1.0, 1.0), 0.5)}
FINISHES = {"glossy": 0.08, "matte": 0.95}  # the roughness of the main part, whatever its material


def mix(color: tuple[float, float, float], target: tuple[float, float, float], amount: float) -> tuple[float, float, float]:
    """The colour moved towards another one."""
    return tuple(c + (t - c) * amount for c, t in zip(color, target, strict=True))


# Paint of parts that prompts do not name: (colour, roughness, metallic).
FIXED: dict[str, tuple[tuple[float, float, float], float, float]] = {
    "dark_wood": ((0.33, 0.21, 0.12), 0.70, 0.0), "light_wood": ((0.72, 0.54, 0.34), 0.65, 0.0), "bark": ((0.38, 0.27, 0.18), 0.90, 0.0),
    "leaf": ((0.28, 0.52, 0.20), 0.70, 0.0), "iron": ((0.30, 0.30, 0.32), 0.45, 1.0), "steel": ((0.70, 0.71, 0.73), 0.30, 1.0),
    "brass": ((0.82, 0.62, 0.28), 0.30, 1.0), "stone": ((0.55, 0.54, 0.52), 0.90, 0.0), "soil": ((0.25, 0.17, 0.11), 0.95, 0.0),
    "rubber": ((0.12, 0.12, 0.13), 0.80, 0.0), "glass": ((0.55, 0.75, 0.85), 0.10, 0.0), "paper": ((0.95, 0.93, 0.86), 0.85, 0.0),
    "rope": ((0.74, 0.62, 0.42), 0.95, 0.0), "black": ((0.10, 0.10, 0.11), 0.50, 0.0), "white": ((0.93, 0.93, 0.91), 0.50, 0.0),
    "cream": ((0.93, 0.86, 0.70), 0.60, 0.0), "orange": ((0.95, 0.52, 0.12), 0.50, 0.0), "red": ((0.80, 0.15, 0.12), 0.50, 0.0),
    "yellow": ((0.97, 0.82, 0.30), 0.50, 0.0), "straw": ((0.85, 0.70, 0.38), 0.95, 0.0), "dough": ((0.83, 0.60, 0.33), 0.75, 0.0),
    "roof": ((0.62, 0.26, 0.18), 0.80, 0.0), "cloth": ((0.85, 0.82, 0.76), 0.95, 0.0),
}  # fmt: skip

PATTERNS = ("stripes", "spots", "checks", "bricks", "grain")


def pattern_mask(name: str, x: Tensor, y: Tensor, z: Tensor, scale: Tensor) -> Tensor:
    """How much of the pattern's ink lies at points of the object's own frame (size 0.96): 0 … 1, edges a texel soft. [B, N]

    scale: [B, 1], about 1: larger is coarser.
    """

    def wave(t: Tensor, period: float) -> Tensor:  # 1 for half the period, 0 for the other half
        return _step(torch.sin(2 * torch.pi * t / (period * scale)), 0.15)

    if name == "stripes":
        return wave(z, 0.20)
    if name == "checks":
        a, b, c = (wave(t, 0.30) * 2 - 1 for t in (x + 0.075, y + 0.075, z + 0.075))
        return (a * b * c + 1) / 2
    if name == "spots":  # balls on a body-centred lattice cut the surface in round dots
        cell = 0.24 * scale
        d = torch.minimum(_lattice(x, y, z, cell), _lattice(x + cell / 2, y + cell / 2, z + cell / 2, cell))
        return _step(0.30 - d / cell, 0.03)
    if name == "bricks":  # mortar lines
        h = 0.12 * scale
        row = torch.floor(z / h)
        along = (x + y) / (2 * h) + 0.5 * torch.remainder(row, 2)
        joint = torch.minimum(_saw(z / h) * h, _saw(along) * 2 * h)
        return _step(0.013 - joint, 0.008)
    if name == "grain":
        rings = torch.sqrt(x * x + y * y + 1e-9) + 0.05 * torch.sin(5 * z) + 0.02 * torch.sin(11 * y + 4 * z)
        return 0.5 + 0.5 * torch.sin(2 * torch.pi * rings / (0.13 * scale))
    raise KeyError(name)


def _step(t: Tensor, soft: float) -> Tensor:
    return (t / (2 * soft) + 0.5).clamp(0, 1)


def _saw(t: Tensor) -> Tensor:
    """Distance to the nearest whole number."""
    return (t - torch.round(t)).abs()


def _lattice(x: Tensor, y: Tensor, z: Tensor, cell: Tensor) -> Tensor:
    d2 = sum((t - cell * torch.round(t / cell)) ** 2 for t in (x, y, z))
    return torch.sqrt(d2 + 1e-12)
