# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools and arms of the starter library: sword, axe, hammer, shield, anvil. They stand upright, the broad side to the front."""

import math

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    Size,
    box,
    capsule,
    cylinder,
    extrude,
    length,
    polygon,
    smooth_intersect,
    smooth_subtract,
    smooth_union,
    sphere,
    union,
)


def sword(s: Style) -> Model:
    w, x = 0.1 * s.wide * (0.5 + 0.5 * s.thick) * s.vary(0, 0.88, 1.12), 0.05 * s.thick  # half width and half thickness of the blade
    guard, cross = 0.24 * s.wide * s.vary(1, 0.85, 1.1), 0.053 * (0.4 + 0.6 * s.thick)
    knob, hilt, top = 0.075 * (0.4 + 0.6 * s.thick), 0.31 * (0.5 + 0.5 * s.tall), 0.98 * s.tall * s.vary(2, 0.94, 1.06)
    point, k = 0.19 * s.tall * s.vary(3, 0.75, 1.2), 0.018 * s.thick

    def blade(p: P):
        v = w - k
        flat = polygon(p.y, p.z, [(-v, hilt), (-v, top - point), (0 * v, top - k), (v, top - point), (v, hilt)]) - k
        ridge = p.x.abs() + 0.24 * p.y.abs() - x  # bevelled to both edges
        return smooth_intersect(flat, ridge, 0.012)

    def handle(p: P):
        return capsule(p, (0, 0, knob), (0, 0, hilt), cross * 0.92)

    def brass(p: P):
        bar = capsule(p.mirror("y"), (0, 0, hilt), (0, guard - cross * 1.15, hilt + 0.01), cross, cross * 1.15)
        return union(sphere(p.move(z=knob), knob), bar)

    depth = torch.maximum(knob, cross * 1.15)
    return Model([Part(blade), Part(handle, "second"), Part(brass, "brass")], (-depth, -guard, 0.0), (depth, guard, top))


def axe(s: Style) -> Model:
    r, top = 0.038 * (0.2 + 0.8 * s.thick) * s.vary(0, 0.92, 1.1), 0.82 * s.tall * s.vary(1, 0.94, 1.06)
    reach, back = 0.3 * s.wide * s.vary(2, 0.9, 1.08), 0.1 * s.wide
    x, spread = 0.055 * s.thick, 0.21 * (0.4 + 0.6 * s.tall) * s.vary(3, 0.88, 1.1)  # half thickness of the head, half length of the edge
    at, k = top - 0.2 * (0.4 + 0.6 * s.tall), 0.02

    def head(p: P):
        z = p.z - at
        v, e = spread - k, reach - k
        rim = [(e - 0.045, v), (e - 0.008, v * 0.55), (e, 0 * v), (e - 0.008, -v * 0.55), (e - 0.045, -v)]
        neck, h = 0.07 * s.wide, 0.085 - k
        flat = polygon(p.y, z, [(-back + k, h), (neck, h), *rim, (neck, -h), (-back + k, -h)]) - k
        wedge = p.x.abs() + 0.06 * (p.y + back) / s.wide - x
        return smooth_intersect(flat, wedge, 0.015)

    def shaft(p: P):
        return capsule(p, (0, 0, r * 1.25), (0, 0, top - r), r * 1.25, r)

    depth = torch.maximum(r * 1.25, x)
    low = (-depth, -torch.maximum(back, r * 1.25), 0.0)
    return Model([Part(head), Part(shaft, "second")], low, (depth, reach, torch.maximum(top, at + spread)))


def hammer(s: Style) -> Model:
    r, top = 0.024 * (0.2 + 0.8 * s.thick) * s.vary(0, 0.92, 1.1), 0.34 * s.tall * s.vary(1, 0.94, 1.06)
    face, left, right = 0.047 * (0.3 + 0.7 * s.thick) * s.vary(2, 0.9, 1.1), 0.12 * s.wide, 0.15 * s.wide * s.vary(3, 0.88, 1.1)
    at = top - face

    def head(p: P):
        q = p.move(z=at)
        lying = q.rotate("x", math.pi / 2)  # its z is our -y
        drum = cylinder(lying.move(z=left - 0.03), face, 0.03, 0.01)
        neck = cylinder(lying.move(z=left * 0.5 - 0.01), face * 0.72, left * 0.5, 0.006)
        return smooth_union(union(drum, neck, box(q, face * 0.85, face * 0.85, face * 0.8, 0.012)), claw(q), 0.01)

    def claw(q: P):
        k, h = 0.008, face * 0.62
        low, tip = -face * 0.8, 0.012
        flat = polygon(q.y, q.z, [(0 * h, h - k), (right * 0.55, h * 0.9 - k), (right - k, low + k), (right - k - tip, low + k),
                                  (right * 0.5, -h * 0.35), (0 * h, -h + k)]) - k  # fmt: skip
        slot = length(q.x, (right - q.y).clamp(min=0) * 0.22) - face * 0.2
        return smooth_subtract(extrude(flat, q.x, face * 0.85, 0.008), slot, 0.004)

    def grip(p: P):
        return capsule(p, (0, 0, r * 1.2), (0, 0, at), r * 1.2, r * 0.9)

    return Model([Part(head), Part(grip, "second")], (-face, -left, 0.0), (face, right, top))


def shield(s: Style) -> Model:
    w, top, low = 0.29 * s.wide * s.vary(0, 0.92, 1.08), 0.34 * s.tall, 0.42 * s.tall * s.vary(1, 0.9, 1.08)  # half width, heights over 0
    bend, x, k = 0.55 / s.wide * s.vary(2, 0.75, 1.2), 0.032 * s.thick, 0.018 * s.thick
    rim, front = 0.06 * (0.3 + 0.7 * s.thick), 0.048 * s.thick
    start = 0.06 * s.tall * s.vary(3, 0.0, 2.0)  # height where the sides begin to close
    v, drop = w - k, low - k + start
    arc = (v * v + drop * drop) / (2 * v)  # radius of the sides, they meet at the tip

    def bent(p: P) -> P:
        return P(p.x + bend * p.y * p.y, p.y, p.z)

    def outline(p: P):
        u = p.y.abs()
        side = length(u + arc - v, (p.z - start).clamp(max=0)) - arc
        return torch.maximum(side, p.z - top + k)

    def board(p: P):
        q = bent(p)
        return extrude(outline(q) + 0.02, q.x, x, 0.01)

    def edge(p: P):
        q = bent(p)
        d = outline(q)
        return extrude((d + rim / 2 - k).abs() - rim / 2 + k, q.x, front - k) - k

    def cross(p: P):
        q = bent(p)
        arm = 0.042 * (0.3 + 0.7 * s.thick) * (0.5 + 0.5 * s.wide)
        d = torch.minimum(torch.maximum(q.y.abs() - arm, (q.z + 0.01).abs() - 0.3 * s.tall),
                          torch.maximum(q.y.abs() - 0.2 * s.wide, (q.z - 0.08 * s.tall).abs() - arm))  # fmt: skip
        return torch.maximum(torch.maximum(d, outline(q)), (q.x - front * 0.5).abs() - front * 0.45)

    turn = torch.linspace(0, math.pi / 2, 16, device=s.z.device)
    back = (front - k + k * torch.cos(turn) + bend * (v + k * torch.sin(turn)) ** 2).amax(1, keepdim=True)
    tip = torch.sqrt((arc + k) ** 2 - (arc - v) ** 2) - start
    return Model([Part(board), Part(edge, "steel"), Part(cross, "second", s.second)], (-back, -w, -tip), (front, w, top))


def anvil(s: Style) -> Model:
    x, y, top = 0.16 * s.wide * (0.5 + 0.5 * s.thick) * s.vary(0, 0.92, 1.08), s.wide**0.5, 0.62 * s.tall
    waist, horn = 0.1 * s.thick, 0.66 * y * s.vary(1, 0.92, 1.08)
    face, heel = top - 0.2 * s.tall * s.vary(2, 0.85, 1.15), 0.36 * y
    stump, deep = 0.4 * y, 0.4

    def iron(p: P):
        foot = box(p.move(z=0.07 * s.tall), 1.35 * x, 0.32 * y, 0.07 * s.tall, 0.03)
        middle = box(p.move(z=0.5 * face), waist, 0.17 * y, 0.5 * face, 0.03)
        head = box(p.move(0, 0.5 * (0.24 * y - heel), 0.5 * (top + face)), x, 0.5 * (0.24 * y + heel), 0.5 * (top - face), 0.025)
        beak = capsule(p, (0, 0.2 * y, top - 0.14 * s.tall), (0, horn - 0.035, top - 0.06 * s.tall), 0.13, 0.035)
        body = smooth_union(smooth_union(foot, middle, 0.08), smooth_union(head, beak, 0.03), 0.08)
        return torch.maximum(body, torch.maximum(-p.z, p.z - top))

    def block(p: P):
        return cylinder(p.move(z=-0.5 * deep), stump, 0.5 * deep + 0.01, 0.03)

    def either(bare: Size, standing: Size):
        return torch.where(s.second, torch.maximum(bare, standing), bare)

    parts = [Part(iron), Part(block, "second", s.second)]
    side, low = either(1.35 * x, stump), torch.where(s.second, -deep - 0.01, 0.0)
    return Model(parts, (-side, -either(heel, stump), low), (side, horn, top))


KINDS = [
    Kind("sword", "tools", sword, Second("handle", "brown"), ("metal", "gold", "wood", "stone", "plastic"), ("gray", "white"),
         ("blade", "broadsword", "longsword"), ("stripes", "grain")),
    Kind("axe", "tools", axe, Second("handle", "brown"), ("metal", "stone", "gold", "wood", "plastic"), ("gray", "red"),
         ("hatchet", "battle axe"), ("stripes", "spots")),
    Kind("hammer", "tools", hammer, Second("handle", "brown"), ("metal", "wood", "stone", "gold", "plastic"), ("gray", "black"),
         ("claw hammer",), ("stripes", "spots")),
    Kind("shield", "tools", shield, Second("cross", "white", optional=True), ("wood", "metal", "leather", "gold", "plastic"),
         ("red", "blue"), ("buckler",), ("stripes", "checks", "grain")),
    Kind("anvil", "tools", sized(anvil, 0.6), Second("stump", "brown", optional=True), ("metal", "stone", "wood", "gold"),
         ("gray", "black"), ("forge anvil",), ("stripes", "spots")),
]  # fmt: skip
