# SPDX-License-Identifier: GPL-3.0-or-later
"""Vessels with handles and spouts: teapot, pitcher, cauldron, basket, watering can. Spouts point to +y, so that the front shows them."""

import math

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    capsule,
    cone,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    intersect,
    length,
    rectangle,
    smooth_subtract,
    smooth_union,
    sphere,
    subtract,
    torus,
    turned,
    union,
)


def teapot(s: Style) -> Model:
    r, c, rz = 0.40 * s.wide * s.vary(0, 0.93, 1.07), 0.31 * s.tall, 0.35 * s.tall * s.vary(1, 0.94, 1.06)
    top, knob, tube = c + rz, 0.07 * s.thick, 0.055 * s.thick
    hy, hz = 0.25 * s.vary(2, 0.9, 1.1), 0.21 * s.tall  # half sides of the handle's loop
    out, soft = r + 0.27, 0.5 + 0.5 * s.thick

    def body(p: P):
        belly = union(ellipsoid(p.move(z=c), r, r, rz), cylinder(p.move(z=0.03), 0.62 * r, 0.03, 0.015))
        elbow = (0.0, r + 0.1, 0.38 * s.tall)
        spout = union(capsule(p, (0.0, 0.6 * r, 0.2 * s.tall), elbow, 0.12 * soft, 0.085 * soft),
                      capsule(p, elbow, (0.0, out, 0.66 * s.tall), 0.085 * soft, 0.055 * soft))  # fmt: skip
        loop = length(rectangle(p.y + r, p.z - 0.34 * s.tall, hy, hz, hz * 0.8), p.x) - tube
        return intersect(union(smooth_union(belly, spout, 0.06), loop), -p.z)

    def lid(p: P):
        cap = ellipsoid(p.move(z=top - 0.05 * s.tall), 0.25 * s.wide, 0.25 * s.wide, 0.1 * s.tall)
        return union(cap, sphere(p.move(z=top + 0.08 * s.tall), knob))

    def hole(p: P):
        return sphere(p.move(y=out + 0.012, z=0.66 * s.tall + 0.02), 0.043 * soft)

    parts = [Part(body), Part(lid, "second"), Part(hole, "black")]
    return Model(parts, (-r, -r - hy - tube, 0.0), (r, out + 0.055 * soft, top + 0.08 * s.tall + knob))


def pitcher(s: Style) -> Model:
    high, wall = 0.95 * s.tall, 0.055 * s.thick
    belly, neck, lip = 0.3 * s.wide * s.vary(0, 0.92, 1.08), 0.19 * s.wide * s.vary(1, 0.9, 1.15), 0.24 * s.wide
    tube, hy, at = 0.055 * s.thick, 0.27 * s.vary(2, 0.9, 1.1), neck + 0.02
    beak = ((0.0, 0.4 * lip, high - 0.2 * s.tall), (0.0, lip + 0.12, high - 0.02))

    def radius(t):
        return curve(t, (0.0, 0.2 * s.wide), (0.33, belly), (0.8, neck), (1.0, lip))

    def body(p: P):
        solid = smooth_union(turned(p, 0.0, high, radius, 0.02), capsule(p, *beak, 0.12, 0.08), 0.06)
        floor, end = 1.4 * wall, 1.1 * high
        inner = turned(p, floor, end, lambda t: radius(((floor + t * (end - floor)) / high).clamp(max=1)) - wall, 0.02)
        channel = capsule(p.move(z=0.05), *beak, (0.13 - wall).clamp(min=0.05), (0.09 - wall).clamp(min=0.02))
        return smooth_subtract(torch.maximum(solid, p.z - high), smooth_union(inner, channel, 0.05), 0.02)

    def handle(p: P):
        loop = length(rectangle(p.y + at, p.z - 0.55 * high, hy, 0.28 * s.tall, hy * 0.7), p.x) - tube
        return torch.maximum(loop, radius((p.z / high).clamp(0, 1)) - 0.7 * wall - length(p.x, p.y))

    wide = radius(torch.linspace(0, 1, 101, device=belly.device)[None]).amax(1, keepdim=True)
    return Model([Part(body), Part(handle, "second")], (-wide, -at - hy - tube, 0.0), (wide, lip + 0.2, high))


def cauldron(s: Style) -> Model:
    r, hz = 0.42 * s.wide * s.vary(0, 0.93, 1.07), 0.38 * s.tall * s.vary(1, 0.93, 1.07)
    c, wall = hz + 0.13, 0.06 * s.thick
    rim, brew = c + 0.66 * hz, c + 0.36 * hz
    foot, ear = 0.06 * s.thick, 0.036 * s.thick

    def pot(p: P):
        q = p.move(z=c)
        solid = union(torch.maximum(ellipsoid(q, r, r, hz), p.z - rim), torus(p.move(z=rim), 0.77 * r, 0.05 * s.thick))
        ears = torus(p.mirror("y").move(y=0.98 * r, z=c + 0.2 * hz).along("x"), 0.13, ear)
        mouth = cylinder(p.move(z=rim), 0.77 * r - 0.5 * wall, 0.2)
        hollow = torch.maximum(union(ellipsoid(q, r - wall, r - wall, hz - wall), mouth), brew - p.z)
        return union(subtract(solid, hollow), torch.maximum(ears, 0.9 * r - length(p.x, p.y)))

    def soup(p: P):
        return torch.maximum(ellipsoid(p.move(z=c), r - 0.8 * wall, r - 0.8 * wall, hz - 0.8 * wall), (p.z - brew + 0.03).abs() - 0.04)

    def legs(p: P):
        return capsule(p.around(s.count), (0.55 * r, 0.0, c - 0.6 * hz), (0.72 * r, 0.0, foot), foot * 1.4, foot)

    side = torch.maximum(0.98 * r + 0.13 + ear, r)
    parts = [Part(pot), Part(legs, "second"), Part(soup, "leaf")]
    return Model(parts, (-r, -side, 0.0), (r, side, rim + 0.05 * s.thick))


def basket(s: Style) -> Model:
    r, high, wall = 0.33 * s.wide * s.vary(0, 0.94, 1.06), 0.34 * s.tall, 0.05 * s.thick
    foot, bead, band = r * s.vary(1, 0.68, 0.82), 0.034 * s.thick, 0.06 * s.thick
    pivot, rise = high - 0.06, s.vary(2, 0.95, 1.2) * (0.4 + 0.6 * s.tall)

    def radius(t):
        return foot + (r - foot) * t

    def weave(p: P):
        turn = torch.atan2(p.y, p.x + 1e-9)
        return 0.011 * torch.cos(14 * turn) * torch.cos(p.z * (math.pi / 0.055))

    def body(p: P):
        floor, end = wall, 1.1 * high
        inner = turned(p, floor, end, lambda t: radius((floor + t * (end - floor)) / high) - wall, 0.01)
        sides = smooth_subtract(turned(p, 0.0, high, radius, 0.015) - weave(p), inner, 0.01)
        return union(torch.maximum(sides, -p.z), torus(p.move(z=high), r - 0.4 * wall, bead))

    def handle(p: P):
        bow = length(p.y, (p.z - pivot) / rise) - (r - 0.4 * wall)
        return torch.maximum(extrude(bow.abs() - 0.026 * s.thick, p.x, band, 0.012), pivot - p.z)

    side = r - 0.4 * wall + bead
    top = pivot + rise * (r - 0.4 * wall + 0.026 * s.thick)
    return Model([Part(body), Part(handle, "second")], (-side, -side, 0.0), (side, side, top))


def watering_can(s: Style) -> Model:
    r, h = 0.28 * s.wide * s.vary(0, 0.93, 1.07), 0.5 * s.tall * s.vary(1, 0.93, 1.07)
    tube, soft, ring = 0.045 * s.thick, 0.5 + 0.5 * s.thick, 0.75 * r + 0.05  # the handle's tube and loop
    tip_y, tip_z = r + 0.42, h + 0.12 * s.tall
    lean = torch.atan2(tip_y - 0.7 * r, tip_z - 0.12 * s.tall)
    sin, cos = torch.sin(lean), torch.cos(lean)

    def body(p: P):
        can = union(cylinder(p.move(z=h / 2), r, h / 2, 0.03), torus(p.move(z=h - 0.03), r - 0.01, 0.03))
        mouth = torch.maximum(cylinder(p.move(z=h), r - 0.05, 0.09, 0.01), 0.4 * r - p.y)
        loop = length(length(p.y + 0.75 * r, p.z - h) - ring, p.x) - tube
        return union(subtract(can, mouth), loop)

    def spout(p: P):
        stick = capsule(p, (0.0, 0.7 * r, 0.12 * s.tall), (0.0, tip_y, tip_z), 0.07 * soft, 0.048 * soft)
        rose = p.move(y=tip_y, z=tip_z).rotate("x", -lean)
        return union(stick, cone(rose, 0.06, 0.13, 0.05, 0.015))

    y = tip_y + 0.05 * sin + 0.13 * cos - 0.006
    return Model([Part(body), Part(spout, "second")], (-r - 0.02, -0.75 * r - ring - tube, 0.0), (r + 0.02, y, h + ring + tube))


KINDS = [
    Kind("teapot", "kitchen", sized(teapot, 0.22), Second("lid", "cream"), ("ceramic", "clay", "metal", "plastic", "gold"),
         ("blue", "red"), ("tea kettle", "kettle"), ("spots", "stripes", "checks")),
    Kind("pitcher", "kitchen", sized(pitcher, 0.26), Second("handle", "cream"), ("ceramic", "clay", "metal", "plastic", "gold"),
         ("blue", "cream"), ("jug", "water jug"), ("stripes", "spots", "checks")),
    Kind("cauldron", "kitchen", sized(cauldron, 0.6), Second("legs", "gray", counts=(3, 4)), ("metal", "clay", "stone", "gold"),
         ("black", "gray"), ("witch cauldron", "cooking pot"), ("stripes", "spots")),
    Kind("basket", "kitchen", sized(basket, 0.6), Second("handle", "brown"), ("wood", "plastic", "fabric", "gold"), ("cream", "orange"),
         ("picnic basket", "wicker basket", "hamper"), ("stripes", "checks")),
    Kind("watering can", "kitchen", sized(watering_can, 0.5), Second("spout", "gray"), ("metal", "plastic", "ceramic", "gold"),
         ("green", "teal"), ("sprinkler can", "garden can"), ("stripes", "spots", "checks")),
]  # fmt: skip
