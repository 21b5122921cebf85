# SPDX-License-Identifier: GPL-3.0-or-later
"""Food of the starter library: apple, pear, donut, cupcake, cake, ice cream, cheese, pumpkin."""

import math

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    Size,
    box,
    capsule,
    cylinder,
    ellipsoid,
    extrude,
    groove,
    intersect,
    lathe,
    length,
    polygon,
    smooth_subtract,
    smooth_union,
    sphere,
    torus,
    union,
)


def _ribs(p: P, count: int, depth: float) -> P:
    """Space pressed in and out around z: a solid of revolution gets `count` ribs, the crests at full size, one of them on +x."""
    f = 1 + depth * (torch.cos(count * torch.atan2(p.y, p.x + 1e-9)) - 1) / 2
    return P(p.x / f, p.y / f, p.z)


def apple(s: Style) -> Model:
    tube, ring = 0.025 * s.vary(0, 0.92, 1.06), 0.0165 * s.vary(1, 0.85, 1.15)  # a fat ring that closes in the middle, with dimples
    wide, tall = s.wide, 1.3 * s.tall * s.vary(2, 0.92, 1.06)
    narrowing = s.vary(3, 0.18, 0.32)
    dip = torch.sqrt(tube**2 - ring**2) * tall  # height of the dimple
    stem, tip = 0.0036 * (0.4 + 0.6 * s.thick), tube * tall + 0.01
    r = (tube + ring) * wide

    def flesh(p: P):
        low = (-p.z / (tube * tall)).clamp(0, 1.2)
        f = wide * (1 - narrowing * low * low)
        skin = length(length(p.x / f, p.y / f) - ring, p.z / tall) - tube
        return smooth_union(skin, cylinder(p.move(z=dip / 2), 0.009, dip / 2 + 0.0035), 0.008)  # no crack around the stalk

    def stalk(p: P):
        return capsule(p, (0, 0, dip - 0.008), (0.004, -0.003, tip), stem * 0.85, stem)

    def leaf(p: P):
        q = p.move(x=0.004, y=0.013, z=tip).rotate("x", 0.5)
        return ellipsoid(q, 0.009 * (0.5 + 0.5 * s.thick), 0.017, 0.0042 * (0.4 + 0.6 * s.thick))

    top = tip + torch.sqrt((0.017 * math.sin(0.5)) ** 2 + (0.0042 * (0.4 + 0.6 * s.thick) * math.cos(0.5)) ** 2)
    tip_y = 0.013 + torch.sqrt((0.017 * math.cos(0.5)) ** 2 + (0.0042 * (0.4 + 0.6 * s.thick) * math.sin(0.5)) ** 2)
    return Model([Part(flesh), Part(stalk, "dark_wood"), Part(leaf, "second")], (-r, -r, -tube * tall),
                 (r, torch.maximum(r, tip_y), torch.maximum(top, tip + stem)))  # fmt: skip


def donut(s: Style) -> Model:
    ring, tube = 0.038 * s.wide * s.vary(0, 0.94, 1.06), 0.0165 * (0.3 + 0.7 * s.thick) * (0.5 + 0.5 * s.wide) * s.vary(1, 0.92, 1.06)
    tall, coat = s.tall * s.vary(2, 0.9, 1.05), 0.0035

    def dough(p: P):
        return torus(p.scale(z=tall), ring, tube)

    def icing(p: P):
        angle = torch.atan2(p.y, p.x + 1e-9)
        drips = (length(p.x, p.y) / ring).clamp(0, 1) ** 4  # none in the hole
        edge = tube * (0.08 - drips * (0.3 * torch.cos(8 * angle) + 0.15 * torch.cos(4 * angle)))
        q = p.scale(z=tall)
        return -smooth_union(-torus(q, ring, tube + coat), q.z - edge, 0.003)

    def sprinkles(p: P):
        q = p.scale(z=tall)
        sticks = []
        for count, phase, out, turn in ((8, 0.2, 0.45, 0.9), (6, 0.5, -0.25, -0.5)):
            u = q.around(count, phase).move(x=ring + out * (tube + coat), z=(tube + coat) * math.sqrt(1 - out * out)).rotate("z", turn)
            sticks.append(capsule(u, (-0.0048, 0, 0), (0.0048, 0, 0), 0.0042))
        return union(*sticks)

    r, top = ring + tube + coat, (tube + coat) * tall
    high = torch.where(s.second, ((tube + coat) * math.sqrt(1 - 0.25**2) + 0.0042) * tall, top)
    return Model([Part(icing), Part(dough, "dough"), Part(sprinkles, "second", s.second)], (-r, -r, -tube * tall), (r, r, high))


def cupcake(s: Style) -> Model:
    r, cup = 0.036 * s.wide * s.vary(0, 0.94, 1.06), 0.036 * s.tall * s.vary(1, 0.88, 1.1)  # radius of the frosting, height of the cup
    swirl, foot = 0.0165 * s.tall * (0.5 + 0.5 * s.thick) * s.vary(2, 0.92, 1.08), s.vary(3, 0.6, 0.72)
    k = swirl * 0.5

    def wrapper(p: P):
        q = _ribs(p, 14, 0.11)
        return lathe(q, [(0, 0.002), (r * foot, 0.002), (r * 0.92 - 0.002, cup), (0, cup)], 0.002)

    def frosting(p: P):
        d = cylinder(p.move(z=cup + 0.3 * swirl), r, swirl * 0.62, k)
        for i, share in ((1, 0.78), (2, 0.54)):
            tier = p.move(x=0.02 * r * (3 - 2 * i), z=cup + (0.3 + 0.92 * i) * swirl)
            d = smooth_union(d, cylinder(tier, r * share, swirl * 0.6, k), 0.1 * swirl)
        return smooth_union(d, capsule(p, (0, 0, cup + 2.6 * swirl), (0, 0, peak - r * 0.1), r * 0.28, r * 0.1), 0.3 * swirl)

    peak, ball = cup + 3.75 * swirl, 0.0125 * (0.5 + 0.5 * s.wide)

    def cherry(p: P):
        return sphere(p.move(z=peak - 0.5 * ball), ball)

    high = torch.where(s.second, peak + 0.5 * ball, peak)
    return Model([Part(frosting), Part(wrapper, "dough"), Part(cherry, "second", s.second)], (-r, -r, 0.0), (r, r, high))


def pumpkin(s: Style) -> Model:
    a, c = 0.115 * s.wide * s.vary(0, 0.94, 1.06), 0.075 * s.wide * s.vary(1, 0.85, 1.12)  # ribs: radius, distance of their middle
    h, stem = 0.135 * s.tall * s.vary(2, 0.88, 1.1), 0.026 * (0.5 + 0.5 * s.wide) * (0.3 + 0.7 * s.thick)
    rise, carve = 0.06 * (0.5 + 0.5 * s.tall), 0.011
    r = a + c

    def body(p: P):
        return ellipsoid(p.around(8).move(x=c), a, a * 0.8, h)

    def stalk(p: P):
        top = capsule(p, (0, 0, h * 0.7), (0, 0, h * 0.95 + rise * 0.3), stem * 1.3, stem)
        return union(top, capsule(p, (0, 0, h * 0.95 + rise * 0.3), (0.012, 0.02, h * 0.95 + rise), stem, stem * 0.85))

    def face(p: P):
        u, v = p.y.abs() / s.wide, p.z / h
        eye = polygon(u, v * 0.13, [(0.02, 0.02), (0.072, 0.03), (0.048, 0.078)])
        nose = polygon(u, v * 0.13, [(-0.016, -0.012), (0.016, -0.012), (0.0, 0.014)])
        mouth = polygon(u, v * 0.13, [(-0.01, -0.085), (0.045, -0.075), (0.08, -0.045), (0.094, -0.012), (0.055, -0.036), (-0.01, -0.046)])
        return intersect(intersect(body(p) - carve, union(eye, nose, mouth) - 0.004), -p.x)

    top = h * 0.95 + rise + stem * 0.85
    return Model([Part(body), Part(stalk, "leaf"), Part(face, "second", s.second)], (-r, -r, -h), (r + carve * s.second, r, top))


def pear(s: Style) -> Model:
    r, low = 0.36 * s.wide * s.vary(0, 0.93, 1.07), 0.36 * s.tall
    neck, head = 0.2 * s.wide * s.vary(1, 0.88, 1.12), 0.74 * s.tall * s.vary(2, 0.96, 1.06)
    soft = 0.4 + 0.6 * s.thick
    tip, turn = head + 0.3 * s.tall, 0.5

    def flesh(p: P):
        return smooth_union(ellipsoid(p.move(z=low), r, r, low), ellipsoid(p.move(z=head), neck, neck, 0.2 * s.tall), 0.2)

    def stalk(p: P):
        return capsule(p, (0, 0, head + 0.14 * s.tall), (0.02, 0.03, tip), 0.028 * soft, 0.034 * soft)

    def leaf(p: P):
        return ellipsoid(p.move(0.02, 0.17, tip - 0.04).rotate("x", turn), 0.09, 0.17, 0.045 * soft)

    sin, cos = math.sin(turn), math.cos(turn)
    side = torch.maximum(r, 0.17 + torch.sqrt((0.17 * cos) ** 2 + (0.045 * soft * sin) ** 2))
    top = torch.maximum(tip + 0.034 * soft, tip - 0.04 + torch.sqrt((0.17 * sin) ** 2 + (0.045 * soft * cos) ** 2))
    return Model([Part(flesh), Part(stalk, "dark_wood"), Part(leaf, "second")], (-r, -r, 0.0), (r, side, top))


def ice_cream(s: Style) -> Model:
    r, high = 0.29 * s.wide * s.vary(0, 0.94, 1.06), 0.58 * s.tall * s.vary(1, 0.9, 1.1)
    grow = 0.5 + 0.5 * s.tall
    skirt, drop, upper = 0.235 * s.wide, 0.075 * s.vary(2, 0.85, 1.15), high + 0.4 * grow

    def cone(p: P):
        turn, slant = torch.atan2(p.y, p.x + 1e-9) * (9 / (2 * math.pi)), p.z * (3.5 / high)
        waffle = 0.012 * (p.z / high).clamp(0, 1) * (groove(turn + slant) + groove(turn - slant))
        return lathe(p, [(0, 0.04), (0.02, 0.04), (0.24 * s.wide - 0.04, high), (0, high)], 0.04) + waffle

    def scoops(p: P):
        lower = ellipsoid(p.move(z=high + 0.1 * grow), r, r, 0.25 * grow)
        drips = sphere(p.around(8).move(x=skirt, z=high - 0.01), drop)
        return union(smooth_union(lower, drips, 0.05), ellipsoid(p.move(z=upper), 0.8 * r, 0.8 * r, 0.22 * grow))

    def cherry(p: P):
        return sphere(p.move(z=upper + 0.22 * grow + 0.03), 0.075)

    side = torch.maximum(r, skirt + drop)
    return Model([Part(scoops), Part(cone, "second"), Part(cherry, "red")], (-side, -side, 0.0), (side, side, upper + 0.22 * grow + 0.105))


def cake(s: Style) -> Model:
    r, low, high = 0.42 * s.wide * s.vary(0, 0.94, 1.06), 0.04, 0.04 + 0.4 * s.tall * s.vary(1, 0.88, 1.12)
    wax, stick = 0.036 * (0.3 + 0.7 * s.thick), 0.24 * s.vary(2, 0.85, 1.15)
    flame, plate = high + 0.03 + stick + 0.03, r + 0.1

    def sponge(p: P):
        return cylinder(p.move(z=(low + high) / 2), r, (high - low) / 2, 0.03)

    def icing(p: P):
        edge = high - 0.1 * s.tall - 0.045 * torch.cos(10 * torch.atan2(p.y, p.x + 1e-9))
        coat = smooth_subtract(cylinder(p.move(z=high - 0.12), r + 0.025, 0.15, 0.04), p.z - edge, 0.02)
        return union(coat, sphere(p.around(10).move(x=r - 0.05, z=high + 0.03), 0.05))

    def candles(p: P):
        return cylinder(p.around(s.count).move(x=0.55 * r, z=high + 0.02 + stick / 2), wax, stick / 2, 0.008)

    def flames(p: P):
        return ellipsoid(p.around(s.count).move(x=0.55 * r, z=flame), 0.03, 0.03, 0.06)

    def dish(p: P):
        return cylinder(p.move(z=0.025), plate, 0.025, 0.02)

    parts = [Part(sponge), Part(icing, "cream"), Part(candles, "second"), Part(flames, "yellow"), Part(dish, "white")]
    return Model(parts, (-plate, -plate, 0.0), (plate, plate, flame + 0.06))


def cheese(s: Style) -> Model:
    tip, back, half = 0.55, 0.4, 0.4 * s.wide * s.vary(0, 0.9, 1.1)
    h, rind = 0.42 * s.tall * s.vary(1, 0.9, 1.1), 0.05 * s.thick
    size = s.vary(2, 0.85, 1.15)

    def hole(p: P, x: float, y: Size, z: Size, r: float):
        return sphere(p.move(x, y, z), r * size)

    def edge(x: float):
        return half * (tip - x) / (tip + back)

    def wedge(p: P):
        k = 0.02
        flat = polygon(p.x, p.y, [(tip - 3 * k, 0 * half), (k - back, half - k), (k - back, k - half)]) - k
        block = extrude(flat, p.z - h / 2, h / 2, 0.02)
        holes = [hole(p, 0.1, 0.0, h, 0.1), hole(p, -0.2, 0.4 * half, h, 0.13), hole(p, -0.2, -0.55 * half, h, 0.09),
                 hole(p, 0.22, edge(0.22), 0.45 * h, 0.08), hole(p, -0.1, edge(-0.1), 0.35 * h, 0.12),
                 hole(p, -0.28, edge(-0.28), 0.75 * h, 0.07), hole(p, 0.05, -edge(0.05), 0.5 * h, 0.11),
                 hole(p, -0.25, -edge(-0.25), 0.4 * h, 0.09)]  # fmt: skip
        return smooth_subtract(block, union(*holes), 0.015)

    def crust(p: P):
        return box(p.move(x=-back - rind + 0.03, z=h / 2), rind, half, h / 2, 0.02)

    return Model([Part(wedge), Part(crust, "second")], (-back - 2 * rind + 0.03, -half, 0.0), (tip - 0.04, half, h))


KINDS = [
    Kind("apple", "food", apple, Second("leaf", "green"), ("natural", "ceramic", "wood", "plastic", "gold"), ("red", "green"), (),
         ("stripes", "spots"), ("tall", "short", "wide", "narrow", "chunky")),
    Kind("donut", "food", donut, Second("sprinkles", "white", optional=True), ("natural", "ceramic", "plastic", "gold"), ("pink", "brown"),
         ("doughnut",), ("stripes", "spots")),
    Kind("cupcake", "food", cupcake, Second("cherry", "red", optional=True), ("natural", "ceramic", "plastic", "gold"), ("pink", "cream"),
         ("muffin", "fairy cake"), ("spots", "stripes")),
    Kind("pumpkin", "food", pumpkin, Second("face", "yellow", optional=True), ("natural", "ceramic", "wood", "fabric", "gold"),
         ("orange", "white"), ("gourd", "squash"), ("spots", "stripes")),
    Kind("pear", "food", sized(pear, 0.11), Second("leaf", "green"), ("natural", "ceramic", "wood", "plastic", "gold"),
         ("green", "yellow"), (), ("stripes", "spots"), ("tall", "short", "wide", "narrow")),
    Kind("ice cream", "food", sized(ice_cream, 0.17), Second("cone", "orange"), ("natural", "ceramic", "plastic", "gold"),
         ("pink", "cream"), ("gelato", "icecream"), ("spots", "stripes"), ("tall", "short", "wide", "narrow")),
    Kind("cake", "food", sized(cake, 0.32), Second("candles", "pink", counts=(5, 3, 4, 6, 8)), ("natural", "ceramic", "plastic", "gold"),
         ("pink", "brown"), ("birthday cake", "party cake", "layer cake"),
         ("stripes", "checks", "spots"), ("tall", "short", "wide", "narrow")),
    Kind("cheese", "food", sized(cheese, 0.2), Second("rind", "orange"), ("natural", "plastic", "wood", "gold"), ("yellow", "cream"),
         ("cheese wedge", "wedge of cheese"), ("stripes", "spots"), ("tall", "short", "wide", "narrow")),
]  # fmt: skip
