# SPDX-License-Identifier: GPL-3.0-or-later
"""Food of the starter library: apple, donut, cupcake, pumpkin."""
import math

import torch

from core.library.kind import Kind, Model, Part, Second, Style
from core.library.shapes import P, capsule, cylinder, ellipsoid, intersect, lathe, length, polygon, smooth_union, sphere, torus, union


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


KINDS = [
    Kind("apple", "food", apple, Second("leaf", "green"), ("natural", "ceramic", "wood", "plastic", "gold"), ("red", "green"), (),
         ("stripes", "spots"), ("tall", "short", "wide", "narrow", "chunky")),
    Kind("donut", "food", donut, Second("sprinkles", "white", optional=True), ("natural", "ceramic", "plastic", "gold"), ("pink", "brown"),
         ("doughnut",), ("stripes", "spots")),
    Kind("cupcake", "food", cupcake, Second("cherry", "red", optional=True), ("natural", "ceramic", "plastic", "gold"), ("pink", "cream"),
         ("muffin", "fairy cake"), ("spots", "stripes")),
    Kind("pumpkin", "food", pumpkin, Second("face", "yellow", optional=True), ("natural", "ceramic", "wood", "fabric", "gold"),
         ("orange", "white"), ("gourd", "squash"), ("spots", "stripes")),
]  # fmt: skip
