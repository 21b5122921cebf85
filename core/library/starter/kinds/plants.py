# SPDX-License-Identifier: GPL-3.0-or-later
"""Plants and stones of the starter library: mushroom, tree, pine, palm, cactus, rock, flower."""

import math

import torch
from torch import Tensor

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    Size,
    capsule,
    cylinder,
    ellipsoid,
    extrude,
    lathe,
    length,
    polygon,
    smooth_subtract,
    smooth_union,
    sphere,
    union,
)


def _above(d: Tensor, p: P, k: Size) -> Tensor:
    """The part of a solid above z = 0, the edge rounded by about k."""
    return smooth_subtract(d, p.z, k)


def _support(*reach: Size) -> Tensor:
    """Half width of a turned ellipsoid along a direction: each radius times the cosine between its axis and the direction."""
    return torch.sqrt(sum(torch.as_tensor(r) ** 2 for r in reach))


def _waves(p: P, count: int, depth: Size) -> P:
    """Space pressed in and out around z: a solid of revolution gets `count` ribs, the crests on +x."""
    angle = torch.atan2(p.y, p.x + 1e-9)
    f = 1 + depth * (torch.cos(count * angle) - 1) / 2
    return P(p.x / f, p.y / f, p.z)


def mushroom(s: Style) -> Model:
    cap, dome = 0.165 * s.wide * s.vary(0, 0.9, 1.1), 0.15 * s.tall * s.vary(3, 0.85, 1.15)
    neck = 0.066 * s.thick * s.wide * s.vary(1, 0.88, 1.12)
    rim, at = 0.06 * s.tall * (0.6 + 0.4 * s.thick), 0.195 * s.tall * s.vary(2, 0.9, 1.1)  # the rim's droop, height of the widest place

    def cap_distance(p: P):
        q = p.move(z=at)
        return _above(ellipsoid(q, cap, cap, dome), q.move(z=-rim), rim)

    def stem_distance(p: P):
        t = (p.z / at).clamp(0, 1)
        radius = neck * (1 + 0.5 * (1 - t) ** 2 * (1 + 0.6 * t))  # a bulb at the foot
        column = _above(torch.maximum(length(p.x, p.y) - radius, p.z - at), p, 0.04)
        gills = ellipsoid(p.move(z=at - rim), cap * 0.74, cap * 0.74, 0.02 * s.tall)
        return smooth_union(column, gills, 0.03)

    return Model([Part(cap_distance), Part(stem_distance, "second")], (-cap, -cap, 0.0), (cap, cap, at + dome))


def tree(s: Style) -> Model:
    r, ring = 0.58 * (0.4 + 0.6 * s.wide) * s.vary(0, 0.92, 1.08), 0.5 * s.wide * s.vary(1, 0.9, 1.1)  # five lobes around, one on top
    crown = 1.5 * s.tall * s.vary(2, 0.9, 1.1)  # height of the lobes
    up, top, trunk = 0.5 * s.tall, 0.72 * (0.5 + 0.5 * s.wide), 0.2 * s.thick * (0.5 + 0.5 * s.wide) * s.vary(3, 0.85, 1.15)
    half = r * (0.4 + 0.6 * s.tall)  # lobes grow with the height
    turns = [math.radians(35 + 72 * i) for i in range(5)]
    lobes = [(ring * math.cos(t), ring * math.sin(t), half * lift, size)
             for t, lift, size in zip(turns, (-0.12, 0.1, 0.0, 0.12, 0.02), (1.06, 0.95, 1.05, 1.0, 1.0), strict=True)]  # fmt: skip
    fruit = [
        (x + r * 0.88 * size * math.cos(t + turn), y + r * 0.88 * size * math.sin(t + turn), z + half * lift * size)
        for (x, y, z, size), t, turn, lift in zip(lobes, turns, (-0.5, 0.3, 0.2, -0.3, 0.4), (0.4, -0.2, 0.3, 0.4, -0.1), strict=True)
    ]
    fruit += [(top * 0.85 * math.cos(t), top * 0.85 * math.sin(t), up + top * s.tall * 0.5) for t in (0.25, 2.3, 4.4)]
    apple = 0.16

    def leaves(p: P):
        q = p.move(z=crown)
        d = union(ellipsoid(q.move(z=up), top, top, top * s.tall), ellipsoid(q.move(z=-half * 0.22), ring, ring, half * 0.74))
        for x, y, z, size in lobes:
            d = smooth_union(d, ellipsoid(q.move(x, y, z), r * size, r * size, half * size), 0.07)
        return d

    def wood(p: P):
        t = (p.z / crown).clamp(0, 1)
        return _above(torch.maximum(length(p.x, p.y) - trunk * (0.8 + 0.75 * (1 - t) ** 4 + 0.6 * t**3), p.z - crown), p, 0.06)

    def apples(p: P):
        return union(*(sphere(p.move(x, y, crown + z), apple) for x, y, z in fruit))

    def reach(axis: int, sign: int) -> Tensor:
        crown_reach = torch.stack([sign * lobe[axis] + r * lobe[3] for lobe in lobes]).amax(0)
        with_fruit = torch.stack([sign * f[axis] + apple for f in fruit]).amax(0)
        return torch.where(s.second, torch.maximum(crown_reach, with_fruit), crown_reach)

    return Model([Part(leaves), Part(wood, "bark"), Part(apples, "second", s.second)], (-reach(0, -1), -reach(1, -1), 0.0),
                 (reach(0, 1), reach(1, 1), crown + up + top * s.tall))  # fmt: skip


def pine(s: Style) -> Model:
    wide, tall = 0.72 * s.wide * s.vary(0, 0.9, 1.1), 1.0 * s.tall
    foot, trunk = 0.5 * tall * s.vary(1, 0.8, 1.2), 0.15 * s.thick * (0.5 + 0.5 * s.wide)
    taper, k = s.vary(2, 0.66, 0.78), 0.07 * (0.4 + 0.6 * s.thick)
    floors = [(0.0, 0.95), (0.5, 0.85), (0.95, 0.8)]  # bottom and height of each skirt

    def needles(p: P):
        q = _waves(p, 8, 0.13 * s.vary(3, 0.7, 1.3))
        skirts = []
        for i, (bottom, height) in enumerate(floors):
            low, r = foot + bottom * tall, wide * taper**i
            skirts.append(lathe(q, [(0, low + k), (r - k, low + k), (0.04, low + height * tall - k), (0, low + height * tall - k)], k))
        return smooth_union(smooth_union(skirts[0], skirts[1], 0.03), skirts[2], 0.03)

    def wood(p: P):
        return _above(cylinder(p, trunk * (1.15 - 0.3 * p.z.clamp(0, 1)), foot + 0.2), p, 0.03)

    size, peak = 0.27 * (0.5 + 0.5 * s.wide), foot + 1.75 * tall

    def star(p: P):
        q = p.move(z=peak + 0.55 * size)
        reach = [(size - 0.04) * (1.0 if i % 2 == 0 else 0.52) for i in range(10)]
        corners = [(r * math.sin(i * math.pi / 5), r * math.cos(i * math.pi / 5)) for i, r in enumerate(reach)]
        return extrude(polygon(q.y, q.z, corners) - 0.04, q.x, 0.085, 0.04)

    high = torch.where(s.second, peak + 1.55 * size, peak)
    return Model([Part(needles), Part(wood, "bark"), Part(star, "second", s.second)], (-wide, -wide, 0.0), (wide, wide, high))


def palm(s: Style) -> Model:
    h, bend = 1.7 * s.tall * s.vary(0, 0.93, 1.07), 0.62 * s.wide * s.vary(1, 0.93, 1.07)  # of the crown; of a leaf's arc
    wide, t, stem = 0.16 * (0.4 + 0.6 * s.thick), 0.05 * s.thick, 0.12 * s.thick
    rise, turn = 0.5, s.vary(2, 1.6, 2.0)  # the leaf's slope at its foot and how far it bends down, in radians
    middle_x, middle_z = bend * math.sin(rise), -bend * math.cos(rise)
    half, bud, nut = bend * turn / 2, 0.17, 0.12

    def leaves(p: P):
        q = p.move(z=h).around(8)
        x, z = q.x - middle_x, q.z - middle_z
        along, side = bend * (torch.atan2(x, z) + rise) - half, (half**2 + wide**2) / (2 * wide)  # outline: two arcs of radius `side`
        outline = length(along, q.y.abs() + side - wide) - side
        return union(extrude(outline, length(x, z) - bend, t, 0.02), sphere(p.move(z=h), bud))

    def trunk(p: P):
        knee = (0, -0.1, 0.55 * h)
        lower, upper = capsule(p, (0, -0.24, 0), knee, 1.5 * stem, 1.1 * stem), capsule(p, knee, (0, 0, h), 1.1 * stem, 0.9 * stem)
        return torch.maximum(smooth_union(lower, upper, 0.05), -p.z)

    def coconuts(p: P):
        return sphere(p.around(s.count).move(x=0.2, z=h - 0.17), nut)

    reach = middle_x + (bend + t - 0.01) * torch.sin(turn - rise)
    parts = [Part(leaves), Part(trunk, "bark"), Part(coconuts, "second", s.second)]
    return Model(parts, (-reach, -reach, 0.0), (reach, reach, h + bud))


def cactus(s: Style) -> Model:
    r, h = 0.15 * s.thick * (0.4 + 0.6 * s.wide) * s.vary(0, 0.9, 1.1), 0.78 * s.tall
    arm, out = r * 0.62, r + 0.16 * s.wide * s.vary(1, 0.85, 1.15)  # thickness and reach of the arms
    left, right = 0.3 * s.tall * s.vary(2, 0.9, 1.2), 0.4 * s.tall * s.vary(3, 0.85, 1.1)  # heights of the elbows
    pot, depth = r * 1.5, 0.24 * (0.5 + 0.5 * s.tall)

    def body(p: P):
        q = _waves(p, 8, 0.16)
        column = _above(capsule(q, (0, 0, 0), (0, 0, h - r), r), p, 0.04)
        arms = []
        for side, z, rise in ((-1, left, 0.25 * s.tall), (1, right, 0.2 * s.tall)):
            bend = capsule(p, (0, 0, z), (0, side * out, z), arm)
            arms.append(union(bend, capsule(p, (0, side * out, z), (0, side * out, z + rise), arm)))
        return smooth_union(column, union(*arms), 0.04)

    def clay(p: P):
        q = p.move(z=-depth)
        cup = lathe(q, [(0, 0.02), (pot * 0.7 - 0.02, 0.02), (pot * 0.92 - 0.02, depth - 0.02), (0, depth - 0.02)], 0.02)
        return union(cup, cylinder(p.move(z=-0.035), pot, 0.05, 0.02))

    def soil(p: P):
        return cylinder(p, pot - 0.05, 0.028, 0.01)

    wide, y = torch.maximum(r, torch.where(s.second, pot, r)), torch.maximum(out + arm, torch.where(s.second, pot, r))
    low = torch.where(s.second, -depth, 0 * depth)
    return Model([Part(body), Part(clay, "second", s.second), Part(soil, "soil", s.second)], (-wide, -y, low), (wide, y, h))


def _boulder(p: P, hx: Size, hy: Size, hz: Size, cuts: list[tuple[float, float, float, Size]], soft: Size) -> Tensor:
    """Box of half sizes hx, hy with top hz and its ground at 0, corners cut by planes (normal, share of the box's reach left), softened."""
    sides = [p.x - hx, -p.x - hx, p.y - hy, -p.y - hy, p.z - hz, -p.z]
    for nx, ny, nz, share in cuts:
        n = math.sqrt(nx * nx + ny * ny + nz * nz)
        reach = (abs(nx) * hx + abs(ny) * hy + abs(nz) * hz) / n
        sides.append((nx * p.x + ny * p.y + nz * p.z) / n - share * reach)
    return torch.logsumexp(torch.stack(sides) / soft, 0) * soft


def rock(s: Style) -> Model:
    x, y = 0.34 * s.wide * (0.5 + 0.5 * s.thick) * s.vary(0, 0.88, 1.12), 0.42 * s.wide * s.vary(1, 0.9, 1.1)
    z, a, b = 0.52 * s.tall * s.vary(2, 0.88, 1.12), s.vary(3, -0.05, 0.05), s.vary(4, -0.05, 0.05)
    lean = [(1, 0.1, 0.4, 0.76), (-1, 0.1, 0.4, 0.66), (0.1, 1, 0.4, 0.76), (-0.1, -1, 0.4, 0.75)]
    cuts = [*lean, (1, 0.5, 0.9, 0.68 + a), (-1, 0.6, 0.9, 0.66 + b), (0.3, -1, 1.1, 0.64 - a), (1, -0.9, 0.1, 0.74 - b),
            (0.8, 1, -0.1, 0.76), (-0.9, 0.8, -0.1, 0.76 + a)]  # fmt: skip
    small = [(1, 0.7, 1, 0.7), (1, -0.8, 0.8, 0.7), (-0.6, -1, 1, 0.7), (0.2, -1, 1, 0.72), (1, 1, -0.1, 0.78), (1, -1, 0.1, 0.78)]

    def stone(p: P):
        pebble = _boulder(p.move(x=x * 0.85, y=-y * 0.7), x * 0.5, y * 0.45, z * 0.4, small, 0.012)
        return union(_boulder(p, x, y, z, cuts, 0.012), pebble)

    def moss(p: P):
        edge = z * (0.72 + 0.07 * torch.sin(p.y / y * 6 + 1) + 0.05 * torch.sin(p.x / x * 6))
        return smooth_subtract(_boulder(p, x, y, z, cuts, 0.012) - 0.03, p.z - edge, 0.03)

    return Model([Part(stone), Part(moss, "second", s.second)], (-x, -y * 1.15, 0.0), (x * 1.35, y, z + 0.03 * s.second))


def flower(s: Style) -> Model:
    h, tilt = 0.33 * s.tall * s.vary(0, 0.9, 1.1), 0.4  # height of the head, how far it looks up (radians)
    grow = (0.35 + 0.65 * s.wide) * (0.5 + 0.5 * s.tall) * s.vary(1, 0.92, 1.08)
    c, a, b = 0.098 * grow, 0.08 * grow, 0.073 * grow * s.vary(2, 0.85, 1.1)  # petals: distance of their middle, half length, half width
    e, eye, stem = 0.036 * s.thick, 0.066 * grow * s.vary(3, 0.88, 1.12), 0.024 * s.thick
    sin, cos = math.sin(tilt), math.cos(tilt)

    def head(p: P) -> P:
        return p.move(z=h).rotate("y", math.pi / 2 - tilt)

    def petals(p: P):
        return ellipsoid(head(p).around(5, math.pi).move(x=c), a, b, e)

    def center(p: P):
        return ellipsoid(head(p).move(z=e * 0.6), eye, eye, e + 0.014)

    leaf_x, leaf_y, leaf_z, turn = 0.04 * s.wide, 0.075 * grow, 0.09 * s.tall, 0.5  # half width, place of the middle, rise

    def green(p: P):
        stick = capsule(p, (0, 0, stem), (0, 0, h), stem)
        q = p.mirror("y").move(x=-leaf_x * 0.4, y=leaf_y, z=leaf_z).rotate("x", turn)
        return smooth_union(stick, ellipsoid(q, leaf_x, 0.08 * grow, 0.022 * s.thick), 0.015)

    up, side = h + c * cos + _support(a * cos, e * sin), 0.4 * math.pi
    y = c * math.sin(side) + _support(a * math.sin(side), b * math.cos(side))
    leaf = leaf_y + _support(0.08 * grow * math.cos(turn), 0.022 * s.thick * math.sin(turn))
    back = torch.maximum(c * sin + _support(a * sin, e * cos), leaf_x * 1.4)
    k = math.pi / 5
    front = c * math.cos(k) * sin + _support(a * math.cos(k) * sin, b * math.sin(k) * sin, e * cos)
    front = torch.maximum(front, e * 0.6 * cos + _support((e + 0.014) * cos, eye * sin))
    y = torch.maximum(y, leaf)
    return Model([Part(petals), Part(center, "second"), Part(green, "leaf")], (-back, -y, 0.0), (front, y, up))


KINDS = [
    Kind(
        "mushroom",
        "plants",
        mushroom,
        Second("stem", "cream"),
        ("natural", "ceramic", "clay", "wood", "gold"),
        ("red", "brown"),
        ("toadstool",),
        ("spots", "stripes"),
    ),
    Kind(
        "tree",
        "plants",
        tree,
        Second("apples", "red", optional=True),
        ("natural", "fabric", "plastic", "gold"),
        ("green", "orange"),
        ("oak", "oak tree", "leafy tree", "maple"),
        ("spots",),
    ),
    Kind(
        "pine",
        "plants",
        pine,
        Second("star", "yellow", optional=True),
        ("natural", "fabric", "plastic", "gold"),
        ("green", "teal"),
        ("fir", "spruce"),
        ("spots", "stripes"),
    ),
    Kind(
        "cactus",
        "plants",
        cactus,
        Second("pot", "orange", optional=True),
        ("natural", "ceramic", "fabric", "plastic", "gold"),
        ("green", "teal"),
        ("saguaro",),
        ("spots", "stripes"),
    ),
    Kind(
        "rock",
        "plants",
        rock,
        Second("moss", "green", optional=True),
        ("stone", "marble", "clay", "metal", "gold"),
        ("gray", "brown"),
        ("boulder",),
        ("spots", "stripes"),
        ("tall", "short", "wide", "narrow"),
    ),
    Kind(
        "palm",
        "plants",
        sized(palm, 2.2),
        Second("coconuts", "brown", optional=True, counts=(3, 4, 5)),
        ("natural", "fabric", "plastic", "gold"),
        ("green", "teal"),
        ("palm tree", "coconut palm"),
        ("stripes",),
    ),
    Kind(
        "flower",
        "plants",
        flower,
        Second("center", "yellow"),
        ("natural", "ceramic", "fabric", "plastic", "gold"),
        ("pink", "red"),
        ("daisy", "bloom", "blossom"),
        ("spots", "stripes"),
    ),
]
