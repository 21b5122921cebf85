# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in gardens, on roads and in fields: fence, bridge, windmill, bench, signpost, wagon wheel, ladder."""

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style
from core.library.starter.shapes import (
    P,
    box,
    capsule,
    circle,
    cone,
    cylinder,
    ellipsoid,
    extrude,
    length,
    polygon,
    rectangle,
    ring_reach,
    row,
    sphere,
    union,
)


def fence(s: Style) -> Model:
    pitch, h, t = 0.3 * s.wide, 1.0 * s.tall * s.vary(0, 0.92, 1.08), 0.042 * s.thick
    a, point, k = 0.1 * s.wide * (0.4 + 0.6 * s.thick) * s.vary(1, 0.88, 1.08), 0.17 * s.vary(2, 0.6, 1.3), 0.015
    side, behind = 2 * pitch + a, 1.7 * t

    def pickets(p: P):
        board = [(k - a, k), (a - k, k), (a - k, h - point), (0 * a, h - k), (k - a, h - point)]
        return extrude(polygon(row(p.y, pitch, -2.0, 2.0), p.z, board) - k, p.x, t, 0.012)

    def rails(p: P):
        return union(*(box(p.move(x=-behind, z=z * h), t, side, 0.065, 0.012) for z in (0.28, 0.68)))

    return Model([Part(pickets), Part(rails, "second")], (-behind - t, -side, 0.0), (t, side, h))


def bridge(s: Style) -> Model:
    half, d = 1.6 * s.wide**0.5 * s.vary(0, 0.93, 1.07), 0.45 * s.wide
    top, start = 0.9 * s.tall * s.vary(1, 0.93, 1.07), 0.25 * s.tall  # heights of the road in the middle and at its ends
    rise, post, rail = top - start, 0.06 * s.thick, 0.34
    big = (half * half + rise * rise) / (2 * rise)  # radius of the road's arc
    step = torch.asin(0.93 * half / (big + rail)) / 3
    open_y, open_z = 0.6 * half, 0.66 * top

    def stones(p: P):
        k0, k1 = length(p.y / open_y, p.z / open_z), length(p.y / open_y**2, p.z / open_z**2)
        side = torch.maximum(circle(p.y, p.z - top + big, big), torch.maximum(p.y.abs() - half, -p.z))
        return extrude(torch.maximum(side, -k0 * (k0 - 1) / k1), p.x, d, 0.03)

    def railings(p: P):
        rho, turn = length(p.y, p.z - top + big), torch.atan2(p.y, p.z - top + big)
        q = P(p.x.abs() - d + 0.08, rho * torch.sin(row(turn, step, -3.0, 3.0)), rho * torch.cos(row(turn, step, -3.0, 3.0)) - big)
        posts = capsule(q, (0, 0, -0.1), (0, 0, rail), post)
        bar = torch.maximum(length(rho - big - rail, q.x) - 1.1 * post, p.y.abs() - half)
        return union(posts, bar)

    x = torch.maximum(d, d - 0.08 + 1.1 * post)
    return Model([Part(stones), Part(railings, "second")], (-x, -half, 0.0), (x, half, top + rail + 1.1 * post))


def windmill(s: Style) -> Model:
    foot, neck, h = 0.78 * s.wide * s.vary(0, 0.93, 1.07), 0.52 * s.wide, 2.0 * s.tall
    reach = 1.3 * (0.5 + 0.5 * s.tall) * s.vary(1, 0.92, 1.08)
    spar, width, t = 0.075 * s.thick, 0.2 * (0.4 + 0.6 * s.thick), 0.06 * s.thick
    cap, hub_x, hub_z = 0.6 * s.wide, 0.6 * s.wide + 0.16, h + 0.12
    phase = torch.pi / 2 + torch.pi / s.count

    def tower(p: P):
        return cone(p.move(z=h / 2), foot, neck, h / 2, 0.03)

    def roof(p: P):
        return torch.maximum(ellipsoid(p.move(z=h), cap, cap, 0.62 * s.tall), h - 0.06 - p.z)

    def sails(p: P):
        q = P(p.y, p.z - hub_z, p.x - hub_x).around(s.count, phase)
        u, pitch = q.x - 0.63 * reach, 0.21 * reach
        gap = rectangle(row(u, pitch, -1.0, 1.0), q.y.abs() - 0.5 * width, 0.07 * reach, 0.2 * width)
        blade = extrude(torch.maximum(rectangle(u, q.y, 0.35 * reach, width), -gap), q.z, t)
        return union(blade, capsule(q, (0, 0, 0), (reach - spar, 0, 0), spar))

    def axle(p: P):
        return union(sphere(p.move(hub_x, 0, hub_z), 0.15), capsule(p, (0, 0, hub_z), (hub_x, 0, hub_z), 0.1))

    def door(p: P):
        q = p.move(x=foot - 0.12)
        flat = length(q.y, (q.z - 0.4).clamp(min=0)) - 0.2
        return extrude(torch.maximum(flat, -q.z), q.x, 0.14, 0.02)

    def window(p: P):
        return box(p.move(0.5 * (foot + neck), 0, 0.55 * h), 0.09, 0.13, 0.17, 0.02)

    def out(toward: float):
        frame = ring_reach(s.count, 0.98 * reach, width, toward, phase)
        return torch.maximum(frame, ring_reach(s.count, reach - spar, 0.0, toward, phase) + spar)

    side = torch.maximum(torch.maximum(out(0.0), out(torch.pi)), torch.maximum(foot, cap))
    top, back = torch.maximum(hub_z + out(torch.pi / 2), h + 0.62 * s.tall), torch.maximum(foot, cap)
    parts = [Part(tower), Part(sails, "second"), Part(roof, "roof"), Part(axle, "dark_wood"), Part(door, "dark_wood"),
             Part(window, "glass")]  # fmt: skip
    return Model(parts, (-back, -side, 0.0), (torch.maximum(hub_x + 0.15, foot + 0.02), side, top))


def bench(s: Style) -> Model:
    half, seat, high = 0.75 * s.wide * s.vary(0, 0.92, 1.08), 0.45 * s.tall, 0.88 * s.tall * s.vary(1, 0.94, 1.06)
    t, leg, place = 0.032 * s.thick, 0.042 * s.thick, 0.74
    lean = s.vary(2, 0.06, 0.16)

    def slats(p: P):
        board = box(P(row(p.x, 0.17, -1.0, 1.0), p.y, p.z - seat), 0.075, half, t, 0.015)
        rest = (p.z - seat) / (high - seat)
        q = P(p.x + 0.235 + lean * rest, p.y, p.z - high + 0.085)
        return union(board, box(P(q.x, q.y, row(q.z, 0.19 * s.tall, -1.0, 0.0)), t, half, 0.075 * s.tall.clamp(max=1), 0.015))

    def legs(p: P):
        q = p.mirror("y").move(y=place * half)
        low = seat - t - 0.5 * leg
        front, back = capsule(q, (0.24, 0, leg), (0.19, 0, low), leg), capsule(q, (-0.27, 0, leg), (-0.2, 0, low), leg)
        under = capsule(q, (0.19, 0, low), (-0.2, 0, low), leg)
        return union(front, back, under, capsule(q, (-0.2, 0, low), (-0.25 - 0.8 * lean - t, 0, high - 0.12 * s.tall), leg))

    back = torch.maximum(0.235 + lean + t, torch.maximum(0.27 + leg, 0.25 + 0.8 * lean + t + leg))
    front = torch.maximum(0.24 + leg, torch.full_like(leg, 0.245))
    return Model([Part(slats), Part(legs, "second")], (-back, -half, 0.0), (front, half, high - 0.085 + 0.075 * s.tall.clamp(max=1)))


def signpost(s: Style) -> Model:
    h, post, t = 2.0 * s.tall, 0.085 * s.thick, 0.05 * s.thick
    long, a = 0.85 * s.wide * s.vary(0, 0.9, 1.1), 0.15 * s.tall * s.vary(1, 0.92, 1.05)
    tail, pitch, first = 0.24 * s.wide, 0.37 * s.tall, h - 0.24
    front = 0.5 * post + t

    def pole(p: P):
        return union(capsule(p, (0, 0, post), (0, 0, h), post), sphere(p.move(z=h), 1.45 * post))

    def signs(p: P):
        i = torch.minimum(torch.round((first - p.z) / pitch).clamp(min=0), s.count - 1)
        side = 1 - 2 * torch.remainder(i, 2)  # they point to both sides in turn
        arrow = [(-tail, -a), (long - a, -a), (long, 0 * a), (long - a, a), (-tail, a)]
        return extrude(polygon(p.y * side, p.z - first + i * pitch, arrow), p.x - front, t, 0.01)

    def heap(p: P):
        low, high = ellipsoid(p.around(4).move(x=0.16), 0.12, 0.12, 0.14), ellipsoid(p.around(3, 0.6).move(x=0.07), 0.12, 0.12, 0.24)
        return torch.maximum(union(low, high), -p.z)

    x = 0.28
    parts = [Part(pole), Part(signs, "second"), Part(heap, "stone")]
    return Model(parts, (-x, -long, 0.0), (torch.maximum(front + t, torch.full_like(t, x)), long, h + 1.45 * post))


def wagon_wheel(s: Style) -> Model:
    r, w = 0.5, 0.065 * s.wide * s.vary(1, 0.9, 1.1)
    rim, spoke, hub = 0.085 * s.thick * s.vary(0, 0.88, 1.12), 0.034 * s.thick, 0.115 * (0.5 + 0.5 * s.thick) * s.vary(2, 0.9, 1.1)

    def wood(p: P):
        q = P(p.y, p.z, p.x)
        ring = rectangle(length(q.x, q.y) - r + rim / 2, q.z, rim / 2, w, 0.02)
        return union(ring, cylinder(q, hub, 1.7 * w, 0.02))

    def spokes(p: P):
        return capsule(P(p.y, p.z, p.x).around(s.count, torch.pi / 2), (0.05, 0, 0), (r - 0.6 * rim, 0, 0), 1.15 * spoke, spoke)

    def axle(p: P):
        return cylinder(p.along("x"), 0.5 * hub, 2.1 * w, 0.01)

    return Model([Part(wood), Part(spokes, "second"), Part(axle, "iron")], (-2.1 * w, -r, -r), (2.1 * w, r, r))


def ladder(s: Style) -> Model:
    half, h = 0.27 * s.wide * s.vary(0, 0.9, 1.1), 1.7 * s.tall
    t, rung = 0.062 * (0.4 + 0.6 * s.thick), 0.048 * (0.4 + 0.6 * s.thick)
    taper = s.vary(1, 0.75, 0.95)  # closer together at the top
    low, high = 0.2 * s.tall * s.vary(2, 0.85, 1.15), h - 0.2 * s.tall
    pitch = (high - low) / (s.count - 1)

    def rails(p: P):
        lean = half * (1 - (1 - taper) * p.z / h)
        return box(P(p.x, p.y.abs() - lean, p.z - h / 2), 0.95 * t, t, h / 2, 0.015)

    def rungs(p: P):
        z = p.z - low
        q = P(p.x, p.y, row(z, pitch, 0.0, s.count - 1))
        bar = cylinder(q.along("y"), rung, half)
        return torch.maximum(bar, p.y.abs() - half * (1 - (1 - taper) * p.z / h))

    return Model([Part(rails), Part(rungs, "second")], (-0.95 * t, -half - t, 0.0), (0.95 * t, half + t, h))


KINDS = [
    Kind("fence", "outdoors", fence, Second("rails", "cream"), ("wood", "natural", "metal", "plastic", "gold"), ("white", "brown"),
         ("picket fence", "garden fence"), ("grain", "stripes", "checks")),
    Kind("bridge", "outdoors", bridge, Second("railings", "brown"), ("stone", "wood", "metal", "marble"), ("gray", "brown"),
         ("arch bridge", "footbridge"), ("bricks", "stripes", "checks")),
    Kind("windmill", "outdoors", windmill, Second("sails", "brown", counts=(4, 3, 5, 6)), ("natural", "stone", "wood", "clay"),
         ("cream", "white"), ("mill",), ("bricks", "stripes", "checks")),
    Kind("bench", "outdoors", bench, Second("legs", "black"), ("wood", "metal", "plastic", "stone"), ("brown", "green"),
         ("park bench", "garden bench"), ("grain", "stripes", "checks")),
    Kind("signpost", "outdoors", signpost, Second("signs", "cream", counts=(2, 3)), ("wood", "metal", "stone", "plastic"),
         ("brown", "gray"), ("road sign", "guidepost"), ("grain", "stripes")),
    Kind("wagon wheel", "outdoors", wagon_wheel, Second("spokes", "cream", counts=(8, 6, 10, 12)), ("wood", "metal", "gold", "plastic"),
         ("brown", "red"), ("cartwheel", "spoked wheel"), ("grain", "stripes", "checks"), ("wide", "narrow", "chunky", "thin")),
    Kind("ladder", "outdoors", ladder, Second("rungs", "cream", counts=(5, 4, 6, 7)), ("wood", "metal", "plastic", "gold"),
         ("brown", "gray"), ("rung ladder",), ("grain", "stripes", "checks")),
]  # fmt: skip
