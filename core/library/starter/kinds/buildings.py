# SPDX-License-Identifier: GPL-3.0-or-later
"""Buildings: house, tower, well, tent."""

import torch
from torch import Tensor

from core.library.starter.kind import Kind, Model, Part, Second, Style
from core.library.starter.shapes import (
    P,
    Size,
    box,
    capsule,
    cone,
    cylinder,
    extrude,
    lathe,
    length,
    polygon,
    smooth_union,
    subtract,
    union,
)


def _arch(p: P, thick: Size, half: Size, height: Size) -> Tensor:
    """A door with a round head: a slab of half thickness `thick` along x that stands on z = 0."""
    flat = length(p.y, torch.maximum(p.z - height + half, torch.zeros_like(p.z))) - half
    return extrude(torch.maximum(flat, -p.z), p.x, thick, 0.03)


def house(s: Style) -> Model:
    w, d = 1.2 * s.wide * s.vary(0, 0.9, 1.1), 1.1 * s.wide * s.vary(1, 0.88, 1.12)  # half width along y, half depth along x
    wall, rise = 1.55 * s.tall, 1.1 * s.tall * s.vary(2, 0.82, 1.18)
    out, t, k = 0.22, 0.17 * s.thick, 0.05  # the roof's overhang, thickness, rounding
    slope = rise / w
    steep = torch.sqrt(1 + slope * slope)
    low, high = wall - slope * out - 0.04, wall + rise - 0.04
    top = high + t * steep + k

    def walls(p: P):
        return extrude(polygon(p.y, p.z, [(-w, 0.0), (w, 0.0), (w, wall), (0.0, wall + rise), (-w, wall)]), p.x, d, 0.02)

    def roof(p: P):
        e = w + out - k
        points = [(-e, low), (0.0, high), (e, low), (e, low + t * steep), (0.0, high + t * steep), (-e, low + t * steep)]
        return extrude(polygon(p.y, p.z, points) - k, p.x, d + out, 0.05)

    def chimney(p: P):
        lower = wall + 0.2 * rise
        stack = box(p.move(-0.45 * d, 0.55 * w, (lower + top) / 2), 0.2 * s.thick, 0.2 * s.thick, (top - lower) / 2, 0.03)
        return union(stack, box(p.move(-0.45 * d, 0.55 * w, top - 0.09), 0.2 * s.thick + 0.06, 0.2 * s.thick + 0.06, 0.09, 0.03))

    def door(p: P):
        return _arch(p.move(x=d), 0.1, 0.3, 0.66 * wall)

    def knob(p: P):
        return length(p.x - d - 0.1, p.y + 0.17, p.z - 0.3 * wall) - 0.07

    def windows(p: P, grow: float, out: float):
        q = p.mirror("y").move(d, 0.66 * w, 0.5 * wall)
        r = p.mirror("xy").move(0.48 * d, w, 0.5 * wall)
        a, b = 0.16 * w + grow, 0.2 * wall + grow
        return union(box(q, out, a, b, 0.02), box(r, a, out, b, 0.02))

    parts = [Part(walls), Part(roof, "second"), Part(chimney, "stone"), Part(door, "dark_wood"), Part(knob, "brass"),
             Part(lambda p: windows(p, 0.08, 0.06), "white"), Part(lambda p: windows(p, 0.0, 0.09), "glass")]  # fmt: skip
    return Model(parts, (-d - out, -w - out, 0.0), (d + out, w + out, top))


def tower(s: Style) -> Model:
    foot = 1.0 * s.wide
    crown, neck = foot * s.vary(0, 0.86, 0.96), foot * s.vary(1, 0.66, 0.76)
    h = 2.7 * s.tall
    merlon, t = 0.34 * s.tall, 0.26 * s.thick  # height and thickness of the battlements
    rest, peak = h + merlon, h + merlon + 1.3 * s.tall * s.vary(2, 0.85, 1.15)

    def shaft(p: P):
        k = 0.03
        profile = [(0.0, k), (foot - k, k), (foot - k, 0.14), (neck + 0.05, 0.5), (neck, 0.74 * h), (crown - k, 0.86 * h),
                   (crown - k, h - k), (0.0, h - k)]  # fmt: skip
        return lathe(p, profile, k)

    def battlements(p: P):
        ring = lathe(p, [(crown - t, h - 0.1), (crown, h - 0.1), (crown, rest), (crown - t, rest)])
        gap = box(p.around(8, torch.pi / 8).move(crown, 0, rest), 2 * t, 0.16 * s.wide, merlon)
        return subtract(ring, gap)

    def roof(p: P):
        core = cylinder(p.move(z=h), crown - 0.6 * t, merlon + 0.03)
        return union(core, cone(p.move(z=(rest + peak) / 2), crown + 0.12 * s.wide, 0.09, (peak - rest) / 2, 0.05))

    def door(p: P):
        return _arch(p.move(x=foot - 0.28), 0.26, 0.26 * s.wide, 0.85 * s.tall)

    def windows(p: P):
        q = p.around(4).move(neck, 0, 0.46 * h)
        return _arch(q, 0.07, 0.13 * s.wide, 0.2 * h)

    side = torch.where(s.second, torch.maximum(foot, crown + 0.12 * s.wide), foot)
    parts = [Part(lambda p: smooth_union(shaft(p), battlements(p), 0.01)), Part(roof, "second", s.second), Part(door, "dark_wood"),
             Part(windows, "black")]  # fmt: skip
    return Model(parts, (-side, -side, 0.0), (side, side, torch.where(s.second, peak, rest)))


def well(s: Style) -> Model:
    r, wall = 0.78 * s.wide, 0.2 * s.thick
    rim, height = 0.78 * s.tall * s.vary(0, 0.85, 1.15), 2.2 * s.tall
    post = 0.09 * s.thick
    eave, rise, k = height - 0.62 * s.tall, 0.42 * s.tall * s.vary(1, 0.8, 1.2), 0.05
    e, side = 0.72 * s.wide, r + 0.12  # half depth and half width of the roof
    t = 0.14 * s.thick
    top = eave + rise + t + k
    axle = rim + 0.62 * (eave - rim)

    def ring(p: P):
        outer = smooth_union(cylinder(p.move(z=rim / 2), r - 0.06, rim / 2, 0.04), cylinder(p.move(z=rim - 0.12), r, 0.12, 0.05), 0.05)
        return subtract(outer, cylinder(p.move(z=rim), r - wall - 0.06, 0.3))

    def water(p: P):
        return cylinder(p.move(z=rim - 0.27), r - wall, 0.08)

    def frame(p: P):
        low, high = rim - 0.2, eave + rise + 0.03
        legs = box(p.mirror("y").move(0, r - 0.06 - wall / 2, (low + high) / 2), post, post, (high - low) / 2, 0.03)
        return union(legs, capsule(p.mirror("y"), (0.0, 0.0, axle), (0.0, r, axle), 0.075 * s.thick))

    def roof(p: P):
        points = [(-e + k, eave), (0.0, eave + rise), (e - k, eave), (e - k, eave + t), (0.0, eave + rise + t), (k - e, eave + t)]
        return extrude(polygon(p.x, p.z, points) - k, p.y, side, 0.05)

    def bucket(p: P):
        pail = cone(p.move(z=axle - 0.42), 0.16, 0.2, 0.14, 0.03)
        return union(pail, capsule(p, (0.0, 0.0, axle - 0.4), (0.0, 0.0, axle), 0.07))

    parts = [Part(ring), Part(water, "glass"), Part(frame, "dark_wood"), Part(roof, "second"), Part(bucket, "light_wood")]
    x = torch.maximum(r, e)
    return Model(parts, (-x, -side, 0.0), (x, side, top))


def tent(s: Style) -> Model:
    w, d, h = 1.1 * s.wide, 1.2 * s.wide * s.vary(0, 0.85, 1.15), 1.75 * s.tall * s.vary(1, 0.9, 1.1)
    stick, cross = 0.075 * s.thick, 0.3 * s.tall  # poles and how far they go on above the ridge
    door, high = 0.5 * w * s.vary(2, 0.85, 1.15), 0.66 * h

    def cloth(p: P):
        k = 0.05
        body = extrude(polygon(p.y, p.z, [(k - w, k), (w - k, k), (0.04, h - k), (-0.04, h - k)]) - k, p.x, d, 0.03)
        return subtract(body, extrude(polygon(p.y, p.z, [(-door, -0.2), (door, -0.2), (0.0, high)]), p.x - d, 0.35))

    def dark(p: P):
        return extrude(polygon(p.y, p.z, [(-door, 0.02), (door, 0.02), (0.0, high)]) - 0.02, p.x - d + 0.42, 0.1)

    def flaps(p: P):
        return capsule(p.mirror("y"), (d + 0.02, door + 0.06, 0.14 * s.thick), (d - 0.02, 0.03, high), 0.14 * s.thick, 0.08 * s.thick)

    def poles(p: P):
        q = p.mirror("x")
        lean = w / h
        ends = [((d, -y * (w - 0.02), stick), (d, y * lean * cross, h + cross - stick), stick) for y in (1.0, -1.0)]
        return union(*(capsule(q, *end) for end in ends))

    parts = [Part(cloth), Part(dark, "black"), Part(flaps, "second"), Part(poles, "light_wood")]
    x = torch.maximum(d + 0.02 + 0.14 * s.thick, d + stick)
    side = torch.maximum(w, w - 0.02 + stick)
    return Model(parts, (-d - stick, -side, 0.0), (x, side, h + cross))


KINDS = [
    Kind("house", "buildings", house, Second("roof", "red"), ("natural", "wood", "stone", "clay"), ("cream", "yellow"),
         ("cottage", "cabin", "hut"), ("bricks", "stripes", "checks")),
    Kind("tower", "buildings", tower, Second("roof", "blue", optional=True), ("stone", "wood", "marble", "gold"), ("gray", "cream"),
         ("castle tower", "watchtower", "turret"), ("bricks", "stripes", "checks")),
    Kind("well", "buildings", well, Second("roof", "red"), ("stone", "clay", "marble", "wood"), ("gray", "brown"),
         ("wishing well", "water well"), ("bricks", "stripes")),
    Kind("tent", "buildings", tent, Second("flaps", "cream"), ("fabric", "leather", "gold"), ("green", "orange"),
         ("camping tent",), ("stripes", "checks", "spots")),
]  # fmt: skip
