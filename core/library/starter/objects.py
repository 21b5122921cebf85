# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact objects of the starter library: a description and style numbers become distance, colour, roughness, metallic and height.

A batch may mix kinds; objects of one kind are evaluated together. Frame: z up, front +x, the object's largest side spans 0.96, centred.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.frame import SPAN, STYLE_SIZE
from core.library.starter.kind import Kind, Model, Style
from core.library.starter.kinds import KINDS
from core.library.starter.palette import COLORS, FINISHES, FIXED, MATERIALS, SHADES, mix, pattern_mask
from core.library.starter.shapes import P
from core.rendering.trace import Solid

PROPORTIONS = {
    "tall": (1.35, 1.0, 1.0),
    "short": (0.72, 1.0, 1.0),
    "wide": (1.0, 1.35, 1.0),
    "narrow": (1.0, 0.72, 1.0),
    "chunky": (1.0, 1.08, 1.35),
    "thin": (1.0, 1.0, 0.72),
}  # fmt: skip   factors of height, width, thickness
SECOND_FINISH = (0.6, 0.0)  # roughness and metallic of second parts
PAINTS = ("main", "ink", "second")  # what prompts name: the main part's, its pattern's and the second part's; other parts have fixed ones
SIZES = {"tiny": 0.4, "small": 0.7, "large": 1.4, "huge": 2.2}
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "ten": 10, "twelve": 12}


@dataclass(frozen=True)
class Description:
    """What a prompt says; None is what it leaves open."""

    kind: str
    color: str | None = None
    material: str | None = None
    pattern: str | None = None
    pattern_color: str | None = None
    proportion: str | None = None
    second: bool = False  # the second part is named
    second_color: str | None = None
    size: str | None = None
    count: str | None = None  # how many of the second part, where the kind can have several numbers of it
    shade: str | None = None  # of the main colour
    finish: str | None = None  # of the main part's surface


class ExactObjects:
    """A batch of exact objects. `z` is [B, 8] (zeros: the typical object of each description)."""

    def __init__(self, descriptions: list[Description], z: Tensor):
        if z.shape != (len(descriptions), STYLE_SIZE):
            raise ValueError(f"z must be [{len(descriptions)}, {STYLE_SIZE}], got {list(z.shape)}")
        self.descriptions, self.z = descriptions, z
        names = sorted({d.kind for d in descriptions})
        self._groups = [_Group(KINDS[n], [i for i, d in enumerate(descriptions) if d.kind == n], descriptions, z) for n in names]
        self.height_m = torch.zeros(len(descriptions), device=z.device)  # [B] metres
        self.half_size = torch.zeros(len(descriptions), 3, device=z.device)  # [B, 3] half sides of the bounding box in the frame
        self.paints = torch.zeros(len(descriptions), len(PAINTS), 5, device=z.device)  # looks of the paints that prompts name
        self.pattern_scale = torch.ones(len(descriptions), device=z.device)  # [B] about 1: larger is coarser
        for g in self._groups:
            self.height_m[g.rows], self.half_size[g.rows], self.paints[g.rows] = g.height_m, g.half_size, g.paints
            self.pattern_scale[g.rows] = g.pattern_scale[:, 0]

    def raw(self, points: Tensor) -> Tensor:
        """Distance-like values whose sign is exact: negative inside. points: [B, N, 3] -> [B, N]"""
        out = torch.empty(points.shape[:2], device=points.device)
        for g in self._groups:
            out[g.rows] = g.distance(points[g.rows])
        return out

    def sdf(self, points: Tensor) -> Tensor:
        """Signed distance, negative inside, exact sign and unit gradient near the surface. points: [B, N, 3] -> [B, N]"""
        return self.sdf_and_normal(points)[0]

    def sdf_and_normal(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Signed distance [B, N] and outward unit normal [B, N, 3]: the raw value over its gradient's length."""
        with torch.enable_grad():
            points = points.detach().requires_grad_(True)
            value = self.raw(points)
            (gradient,) = torch.autograd.grad(value.sum(), points)
        norm = gradient.norm(dim=-1)
        return (value / norm.clamp(min=0.3)).detach(), gradient / norm.clamp(min=1e-6)[..., None]

    def solid(self) -> Solid:
        """The objects as rendering takes them."""
        return Solid(self.raw, self.half_size, self.appearance, lambda points: self.sdf_and_normal(points)[1])

    def appearance(self, points: Tensor) -> Tensor:
        """sRGB base colour, roughness and metallic of the nearest part. points: [B, N, 3] -> [B, N, 5]"""
        return self.appearance_and_shares(points)[0]

    def appearance_and_shares(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The appearance, and how much of it is each of PAINTS and the rest: [B, N, 5], [B, N, 4]"""
        look = torch.empty(*points.shape[:2], 5, device=points.device)
        shares = torch.empty(*points.shape[:2], len(PAINTS) + 1, device=points.device)
        for g in self._groups:
            look[g.rows], shares[g.rows] = g.appearance_and_shares(points[g.rows])
        return look, shares

    def part_at(self, points: Tensor) -> Tensor:
        """Number of the part that is nearest, in the order of the kind's model. points: [B, N, 3] -> [B, N]"""
        out = torch.empty(points.shape[:2], dtype=torch.long, device=points.device)
        for g in self._groups:
            out[g.rows] = g.part_at(points[g.rows])
        return out

    def sample_surface(self, count: int, generator: torch.Generator, rounds: int = 4) -> tuple[Tensor, Tensor]:
        """Points on the surface [B, count, 3] and their outward normals, drawn about evenly: random points in the box, those nearest to the
        surface kept, then walked onto it along the normal."""
        batch, device = len(self.descriptions), self.z.device
        draw = torch.rand(batch, 6 * count, 3, generator=generator, device=device) * 2 - 1
        points = draw * (self.half_size[:, None] * 1.03 + 0.01)
        distance = self.raw(points).abs()
        nearest = distance.topk(count, dim=1, largest=False).indices
        points = points.gather(1, nearest[..., None].expand(-1, -1, 3))
        for _ in range(rounds):
            d, normal = self.sdf_and_normal(points)
            points = points - d.clamp(-0.1, 0.1)[..., None] * normal
        d, normal = self.sdf_and_normal(points)
        # Points between two parts that overlap inside the object go nowhere: those that arrived take their places.
        arrived = d.abs() < 2e-3
        order = (~arrived).to(torch.int8).argsort(dim=1, stable=True)
        rank = torch.arange(count, device=device) % arrived.sum(1, keepdim=True).clamp(min=1)
        chosen = torch.where(arrived, torch.arange(count, device=device), order.gather(1, rank))[..., None].expand(-1, -1, 3)
        return points.gather(1, chosen), normal.gather(1, chosen)


class _Group:
    """The objects of one kind within a batch, in metres inside and in the model's frame outside."""

    def __init__(self, kind: Kind, rows: list[int], descriptions: list[Description], z: Tensor):
        device, own = z.device, [descriptions[i] for i in rows]
        self.kind, self.rows, self.own = kind, torch.tensor(rows, device=device), own
        factors = torch.tensor([PROPORTIONS.get(d.proportion, (1.0, 1.0, 1.0)) for d in own], device=device)
        second = torch.tensor([[d.second or not kind.second.optional] for d in own], device=device)
        usual = kind.second.counts[0] if kind.second.counts else 0
        count = torch.tensor([[float(COUNTS[d.count] if d.count else usual)] for d in own], device=device)
        self.style = Style(factors[:, 0:1], factors[:, 1:2], factors[:, 2:3], second, count, z[self.rows])
        self.model: Model = kind.model(self.style)
        low, high = (self._stack(corner, device) for corner in (self.model.low, self.model.high))  # [b, 3] metres
        self.center, size = (low + high) / 2, high - low
        self.scale = size.amax(1, keepdim=True) / SPAN  # [b, 1] metres per unit of the frame
        self.half_size = size / 2 / self.scale
        grown = torch.tensor([SIZES.get(d.size, 1.0) for d in own], device=device)
        self.height_m = size[:, 2] * grown
        self.pattern_scale = self.style.vary(5, 0.8, 1.25)  # [b, 1]
        self._paint(device)

    def _stack(self, corner: tuple, device: torch.device) -> Tensor:
        return torch.cat([torch.as_tensor(c, dtype=torch.float32, device=device).expand(len(self.own), 1) for c in corner], 1)

    def _metres(self, points: Tensor) -> P:
        return P(*(points * self.scale[..., None] + self.center[:, None]).unbind(-1))

    def _distances(self, points: Tensor) -> list[Tensor]:
        p = self._metres(points)
        parts = []
        for part in self.model.parts:
            d = part.distance(p) / self.scale
            parts.append(d if part.present is None else torch.where(part.present, d, torch.full_like(d, 4.0)))
        return parts

    def distance(self, points: Tensor) -> Tensor:
        return torch.stack(self._distances(points)).amin(0)

    def _paint(self, device: torch.device) -> None:
        """`paints` [b, 3, 5]: the looks of PAINTS."""
        main, ink, second, finish = [], [], [], []
        light = self.style.vary(6, 0.92, 1.08)
        first = (self.style.z[:, 7] <= 0).tolist()  # one question to the device, not one an object
        for i, d in enumerate(self.own):
            material = MATERIALS[d.material or self.kind.materials[0]]
            usual = COLORS[self.kind.colors[0 if first[i] or len(self.kind.colors) < 2 else 1]]
            base = COLORS[d.color] if d.color else (material.color if d.material and material.color else usual)
            base = mix(base, *SHADES[d.shade]) if d.shade else base
            main.append(base)
            ink.append(COLORS[d.pattern_color] if d.pattern_color else _contrast(base, soft=d.pattern in ("grain", "bricks")))
            second.append((*COLORS[d.second_color or self.kind.second.color], *SECOND_FINISH))
            finish.append((FINISHES[d.finish] if d.finish else material.roughness, material.metallic))
        main, ink, second, finish = (torch.tensor(t, device=device) for t in (main, ink, second, finish))
        main = (main * light).clamp(0, 1)
        self.paints = torch.stack((torch.cat((main, finish), 1), torch.cat((ink, finish), 1), second), 1)

    def part_at(self, points: Tensor) -> Tensor:
        """[b, N, 3] -> [b, N]"""
        return torch.stack(self._distances(points)).argmin(0)

    def appearance_and_shares(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """[b, N, 3] -> [b, N, 5], [b, N, 4]"""
        nearest = self.part_at(points)
        x, y, z = points.unbind(-1)
        inked = torch.zeros_like(x)
        for pattern in sorted({d.pattern for d in self.own if d.pattern}):
            has = torch.tensor([[d.pattern == pattern] for d in self.own], device=points.device)
            inked = torch.where(has, pattern_mask(pattern, x, y, z, self.pattern_scale), inked)
        names = [part.paint for part in self.model.parts]
        is_main, is_second, is_fixed = (
            torch.tensor([test(n) for n in names], device=points.device)[nearest].float()
            for test in (lambda n: n == "main", lambda n: n == "second", lambda n: n not in PAINTS)
        )
        shares = torch.stack((is_main * (1 - inked), is_main * inked, is_second, is_fixed), -1)
        fixed = torch.tensor([(0.0,) * 5 if n in PAINTS else (*FIXED[n][0], *FIXED[n][1:]) for n in names], device=points.device)
        return shares[..., :-1] @ self.paints + fixed[nearest], shares


def _contrast(color: tuple[float, float, float], soft: bool) -> tuple[float, float, float]:
    """The pattern's colour when the prompt names none: lighter on dark, darker on light; `soft` stays close to the base."""
    luma = 0.3 * color[0] + 0.6 * color[1] + 0.1 * color[2]
    target, amount = ((0.95, 0.93, 0.88) if luma < 0.5 else (0.12, 0.10, 0.10)), (0.25 if soft else 0.75)
    return mix(color, target, amount)
