# SPDX-License-Identifier: GPL-3.0-or-later
"""Attribute probes: is what the prompt calls red, striped, tall or golden so?

For each attribute that a prompt names, exact objects with every value of that attribute, and with none named, all else and the style
being equal, are held against the mesh; the value whose object fits best is what was found. Values whose objects nobody could tell apart
(a "brown" barrel and one whose colour is left open; painted wood and painted plaster) share the place, and the named one takes it.
A pattern counts where it lies as the exact object's does, whose place follows from the style numbers.
"""

from dataclasses import replace

import numpy as np
import torch

from core.evaluation.metrics import SurfaceSamples, inside
from core.library.starter.grammar import INKLESS
from core.library.starter.kinds import KINDS
from core.library.starter.objects import COUNTS, PROPORTIONS, SIZES, Description, ExactObjects
from core.library.starter.palette import COLORS, FINISHES, MATERIALS, PATTERNS, SHADES
from core.mesh import TexturedMesh

LOOKS: dict[str, tuple[str, ...]] = {
    "color": tuple(COLORS), "material": tuple(m for m in MATERIALS if m != "natural"), "pattern": PATTERNS,
    "pattern_color": tuple(COLORS), "second_color": tuple(COLORS), "shade": tuple(SHADES), "finish": tuple(FINISHES),
}  # fmt: skip
LOOK_POINTS = 4_096
BOX_POINTS = 32_768  # drawn; those about which the candidates agree are not looked up in the mesh
SURE_POINTS = 8_192  # looked up at most
TIE = 1e-6
ALIKE = 0.06  # looks that differ less, in every channel at every point: less than from wood's roughness to plain paint's


def candidates(d: Description) -> dict[str, list]:
    """The attributes that can be probed in a description, each with its candidates, None or False for what is not named."""
    out: dict[str, list] = {name: [None, *values] for name, values in LOOKS.items() if getattr(d, name)}
    second = KINDS[d.kind].second
    if d.count:  # one of the numbers that the kind can have; none named is one of them too
        out["count"] = [name for name, number in COUNTS.items() if number in second.counts]
    if d.proportion:
        out["proportion"] = [None, *PROPORTIONS]
    if d.size:
        out["size"] = [None, *SIZES]
    if second.optional:  # where it is not named, it should not be there
        out["second" if d.second else "no_second"] = [False, True]
    return out


def probe(mesh: TexturedMesh, d: Description, z: torch.Tensor, samples: SurfaceSamples, rng: torch.Generator) -> dict[str, dict]:
    """For each attribute that can be probed: {"named": …, "found": …, "chance": of finding the named one by guessing}."""
    out = {}
    for name, values in candidates(d).items():
        own = field_of(name)
        exact = ExactObjects([replace(d, **_with(d, own, value)) for value in values], z.expand(len(values), -1))
        wanted = values.index(getattr(d, own))
        alike = np.arange(len(values)) == wanted
        if name in LOOKS:
            cost, alike = look_costs(exact, samples, wanted)
        elif name == "size":
            cost = height_costs(mesh, exact)
        else:
            cost = shape_costs(mesh, exact, rng) + (height_costs(mesh, exact) if name == "proportion" else 0)
        right = cost[alike].min() <= cost.min() + TIE
        out[name] = {"named": values[wanted], "found": values[wanted if right else int(np.argmin(cost))], "chance": float(alike.mean())}
    return out


def of_no_mesh(d: Description) -> dict[str, dict]:
    """The answer for a mesh that does not exist."""
    return {name: {"named": getattr(d, field_of(name)), "found": "", "chance": 1 / len(values)} for name, values in candidates(d).items()}


def field_of(name: str) -> str:
    """The description's field that a probe asks about."""
    return "second" if name == "no_second" else name


def look_costs(exact: ExactObjects, samples: SurfaceSamples, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean |Δ| of colour, roughness and metallic between the mesh's texels and each candidate, and which candidates look like the wanted
    one: [K] each. The candidates share one shape."""
    looks = exact.appearance(samples.points[:LOOK_POINTS].expand(len(exact.descriptions), -1, -1)).numpy()
    alike = np.abs(looks - looks[wanted]).max((1, 2)) < ALIKE
    return np.abs(looks - samples.look[None, :LOOK_POINTS]).mean((1, 2)), alike


def shape_costs(mesh: TexturedMesh, exact: ExactObjects, rng: torch.Generator) -> np.ndarray:
    """The volume that is in the mesh or in the candidate but not in both, over the candidates' mean volume, up to a constant: [K].

    Measured only at points about which the candidates differ: the others are no evidence, and small parts need many points."""
    half = exact.half_size.amax(0) * 1.05
    points = (torch.rand(BOX_POINTS, 3, generator=rng) * 2 - 1) * half
    occupied = (exact.raw(points.expand(len(exact.descriptions), -1, -1)) < 0).numpy()
    volume = max(occupied.sum(1).mean(), 1.0)
    differ = np.flatnonzero(occupied.any(0) & ~occupied.all(0))
    chosen = differ[:SURE_POINTS]
    if not len(chosen):
        return np.zeros(len(occupied))
    made = inside(mesh, points[chosen].numpy())
    return (made != occupied[:, chosen]).mean(1) * len(differ) / volume


def height_costs(mesh: TexturedMesh, exact: ExactObjects) -> np.ndarray:
    """|log of the ratio of heights in metres|: [K]. In the frame a tall object and a narrow one are nearly the same; their heights are not.

    Weighs as the shape does: of a box stretched by s, the volume outside its candidate is s − 1 ≈ log s."""
    return np.abs(np.log(max(mesh.height_m, 1e-6) / exact.height_m.numpy()))


def _with(d: Description, name: str, value: str | bool | None) -> dict:
    """The fields of a candidate: an attribute's value, and the fields that depend on it."""
    fields: dict = {name: value}
    if name == "second" and not value:
        fields["second_color"] = None
    if name == "pattern" and (value is None or value in INKLESS):
        fields["pattern_color"] = None
    return fields
