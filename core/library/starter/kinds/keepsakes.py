# SPDX-License-Identifier: GPL-3.0-or-later
"""Small precious things with thin parts and holes: key, trophy, crown, bell, umbrella."""

import math

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    box,
    capsule,
    cone,
    curve,
    ellipsoid,
    extrude,
    length,
    polygon,
    rectangle,
    ring_reach,
    row,
    smooth_subtract,
    sphere,
    subtract,
    torus,
    turned,
    union,
)


def key(s: Style) -> Model:
    r, tube, shaft = 0.17 * s.wide**0.5 * s.vary(0, 0.9, 1.1), 0.055 * s.thick, 0.05 * s.thick
    at, tooth = 0.66 * s.tall + 0.17, 0.25 * s.wide * s.vary(1, 0.88, 1.12)
    pitch = 0.125 * s.tall * s.vary(2, 0.92, 1.08)

    def metal(p: P):
        bow = torus(p.move(z=at).along("x"), r, tube)
        collar = ellipsoid(p.move(z=at - r - 0.08), 1.6 * shaft, 1.6 * shaft, 0.05)
        return union(bow, collar, capsule(p, (0, 0, shaft), (0, 0, at - r), shaft))

    def teeth(p: P):
        z = row(p.z - 0.09, pitch, 0.0, s.count - 1)
        return box(P(p.x, p.y - 0.5 * tooth, z), 0.8 * shaft, 0.5 * tooth, 0.036, 0.012)

    side, x = r + tube, torch.maximum(tube, 1.6 * shaft)
    return Model([Part(metal), Part(teeth, "second")], (-x, -side, 0.0), (x, torch.maximum(side, tooth), at + r + tube))


def trophy(s: Style) -> Model:
    a, foot = 0.21 * s.wide * s.vary(0, 0.92, 1.08), 0.16
    low, high = 0.46 * s.tall, 0.98 * s.tall
    lip, wall, tube = 0.29 * s.wide * s.vary(1, 0.92, 1.08), 0.035 * s.thick, 0.036 * s.thick
    loop = 0.17 * s.vary(2, 0.88, 1.12)

    def radius(t):
        return curve(t, (0.0, 0.08 * s.wide), (0.35, 0.74 * lip), (1.0, lip))

    def cup(p: P):
        stem = union(cone(p.move(z=foot + 0.05), 0.8 * a, 0.06, 0.06, 0.02), capsule(p, (0, 0, foot), (0, 0, low + 0.05), 0.055 * s.thick))
        floor, end = low + 2 * wall, high + 0.1
        inner = turned(p, floor, end, lambda t: radius(((floor + t * (end - floor) - low) / (high - low)).clamp(max=1)) - wall, 0.02)
        bowl = smooth_subtract(union(turned(p, low, high, radius, 0.01), torus(p.move(z=high), lip - 0.5 * wall, 0.8 * wall)), inner, 0.01)
        knot = ellipsoid(p.move(z=0.5 * (foot + low)), 0.085, 0.085, 0.05)
        return union(stem, knot, bowl)

    def handles(p: P):
        ring = length(rectangle(p.y.abs() - lip + 0.03, p.z - 0.74 * s.tall, loop, 0.16 * s.tall, 0.1), p.x) - tube
        return torch.maximum(ring, radius(((p.z - low) / (high - low)).clamp(0, 1)) - 0.7 * wall - length(p.x, p.y))

    def base(p: P):
        return box(p.move(z=foot / 2), a, a, foot / 2, 0.02)

    x = torch.maximum(lip + 0.3 * wall, a)
    parts = [Part(lambda p: union(cup(p), handles(p))), Part(base, "second")]
    y = torch.maximum(x, lip - 0.03 + loop + tube)
    return Model(parts, (-x, -y, 0.0), (x, y, high + 0.8 * wall))


def crown(s: Style) -> Model:
    r, band, t = 0.4 * s.wide, 0.22 * s.tall * s.vary(0, 0.88, 1.12), 0.038 * s.thick
    high, ball = 0.56 * s.tall * s.vary(1, 0.88, 1.12), 0.055 * (0.4 + 0.6 * s.thick)
    gem = 0.075 * (0.4 + 0.6 * s.thick) * s.vary(2, 0.85, 1.1)

    def gold(p: P):
        rho = length(p.x, p.y)
        hoop = rectangle(rho - r, p.z - band / 2, t, band / 2, 0.015)
        edges = union(torus(p.move(z=0.045), r, 0.045), torus(p.move(z=band), r, 0.045))
        q = p.around(s.count)
        along, half = r * torch.atan2(q.y, q.x), 0.97 * r * math.pi / s.count  # the band unrolled
        point = extrude(polygon(along, p.z, [(-half, 0.8 * band), (half, 0.8 * band), (0 * half, high)]), length(q.x, q.y) - r, t)
        return union(hoop, edges, point, sphere(q.move(x=r, z=high), ball))

    def jewels(p: P):
        return sphere(p.around(s.count).move(x=r + 0.02, z=0.5 * band + 0.02), gem)

    def out(toward: float):
        stones = torch.maximum(ring_reach(s.count, r + 0.02, 0.0, toward) + gem, ring_reach(s.count, r, 0.0, toward) + ball)
        return torch.maximum(stones, r + torch.maximum(t, torch.full_like(t, 0.045)))

    return Model([Part(gold), Part(jewels, "second")], (-out(math.pi), -out(math.pi / 2), 0.0), (out(0.0), out(math.pi / 2), high + ball))


def bell(s: Style) -> Model:
    r, h, wall = 0.38 * s.wide * s.vary(0, 0.93, 1.07), 0.55 * s.tall * s.vary(1, 0.93, 1.07), 0.05 * s.thick
    lip, grip = 0.038 * s.thick, 0.062 * (0.4 + 0.6 * s.thick)
    top = h + 0.4 * s.vary(2, 0.85, 1.15)

    def radius(t):
        return curve(t, (0.0, r), (0.25, 0.72 * r), (0.7, 0.55 * r), (1.0, 0.3 * r))

    def metal(p: P):
        inner = turned(p, 0 * h - 0.1, 0.85 * h, lambda t: radius(((t * (0.85 * h + 0.1) - 0.1) / h).clamp(min=0)) - wall, 0.03)
        skin = union(turned(p, 0 * h, h, radius, 0.03), torus(p.move(z=lip), r - 0.02, lip))
        return subtract(skin, inner)

    def clapper(p: P):
        return union(capsule(p, (0, 0, 0.1), (0, 0, 0.95 * h), 0.035), sphere(p.move(z=0.085), 0.085))

    def handle(p: P):
        ferrule = ellipsoid(p.move(z=h + 0.02), 1.5 * grip, 1.5 * grip, 0.04)
        return union(capsule(p, (0, 0, h - 0.02), (0, 0, top - grip), 0.8 * grip, grip), ferrule)

    side = r + lip - 0.02
    return Model([Part(metal), Part(handle, "second"), Part(clapper, "iron")], (-side, -side, 0.0), (side, side, top))


def umbrella(s: Style) -> Model:
    r, rise, t = 0.6 * s.wide * s.vary(0, 0.94, 1.06), 0.36 * s.tall * s.vary(1, 0.9, 1.1), 0.03 + 0.025 * s.thick
    rim, ring, tube = 0.2 + 0.56 * s.tall, 0.11, 0.042 * s.thick
    hook, pole = ring + tube, 0.032 * s.thick
    top = rim + rise + 0.1

    def canopy(p: P):
        panels = torch.cos(8 * torch.atan2(p.y, p.x + 1e-9))  # 1 on the ribs, -1 between them
        f = 1 + 0.05 * (panels - 1) / 2
        q = P(p.x / f, p.y / f, p.z - rim)
        skin = subtract(ellipsoid(q, r, r, rise), ellipsoid(q, r - t, r - t, rise - t))
        return smooth_subtract(skin, q.z - 0.05 * (1 - panels), 0.01)

    def stick(p: P):
        return union(capsule(p, (0, 0, hook + 0.1), (0, 0, top - 0.04), pole), sphere(p.move(z=top - 0.04), 0.04))

    def handle(p: P):
        q = p.move(y=ring, z=hook)
        bow = torch.maximum(torus(q.along("x"), ring, tube), q.z)
        return union(bow, sphere(q.move(y=ring), tube), capsule(p, (0, 0, hook), (0, 0, hook + 0.18), tube))

    parts = [Part(canopy), Part(handle, "second"), Part(stick, "iron")]
    return Model(parts, (-r, -r, 0.0), (r, r, top))


KINDS = [
    Kind("key", "keepsakes", sized(key, 0.12), Second("teeth", "gray", counts=(3, 2)), ("metal", "gold", "wood", "plastic"),
         ("yellow", "gray"), ("skeleton key", "door key"), ("stripes",)),
    Kind("trophy", "keepsakes", sized(trophy, 0.4), Second("base", "black"), ("gold", "metal", "wood", "ceramic", "plastic"),
         ("yellow", "gray"), ("award cup", "prize cup"), ("stripes", "spots")),
    Kind("crown", "keepsakes", sized(crown, 0.25), Second("jewels", "red", counts=(6, 5, 8)), ("gold", "metal", "plastic", "wood"),
         ("yellow", "gray"), ("royal crown", "diadem", "coronet"), ("stripes", "checks")),
    Kind("bell", "keepsakes", sized(bell, 0.18), Second("handle", "brown"), ("metal", "gold", "ceramic", "wood"), ("yellow", "gray"),
         ("handbell", "hand bell"), ("stripes", "spots")),
    Kind("umbrella", "keepsakes", umbrella, Second("handle", "brown"), ("fabric", "plastic", "leather", "gold"), ("red", "blue"),
         ("parasol", "brolly"), ("stripes", "spots", "checks")),
]  # fmt: skip
