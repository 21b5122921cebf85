# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds that move people: car, rocket, boat, truck, airplane, train, bus."""

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    Size,
    box,
    capsule,
    cone,
    cylinder,
    ellipsoid,
    extrude,
    intersect,
    length,
    polygon,
    ring_reach,
    row,
    smooth_intersect,
    smooth_subtract,
    smooth_union,
    subtract,
    torus,
    union,
)


def car(s: Style) -> Model:
    half, w = s.vary(0, 1.45, 1.8), 0.82 * s.wide
    wheel, tread = 0.43 * s.vary(1, 0.88, 1.12), 0.18 * s.thick
    low = wheel * 0.62
    waist = low + 0.68 * s.tall
    top = waist + 0.62 * s.tall * s.vary(2, 0.85, 1.15)
    back, front = -0.72 * half, 0.42 * half  # of the cabin, at the waist
    lean, cabin, axle = 0.28, w * 0.86, 0.62 * half
    hub = w + 0.6 * tread + 0.05

    def side(p: P, out: float, up: float, width: Size):  # the cabin's side view, moved outwards by `out`
        bottom = waist - 0.3
        points = [(back - out, bottom), (front + out + 0.12, bottom), (front + out - lean, top - up), (back - out + lean, top - up)]
        return extrude(polygon(p.x, p.z, points) - 0.1, p.y, width, 0.1)

    def body(p: P):
        lower = box(p.move(z=(low + waist) / 2), half, w, (waist - low) / 2, 0.24)
        return smooth_union(lower, side(p, -0.1, 0.1, cabin), 0.12)

    def glass(p: P):
        band = torch.maximum(p.z - (top - 0.2), waist + 0.06 - p.z)
        panes = union(side(p, -0.22, 0.1, cabin + 0.03), side(p, -0.06, 0.1, cabin - 0.17))
        return intersect(panes, band)

    def wheels(p: P):
        q = p.mirror("xy").move(axle, w - 0.4 * tread, wheel)
        return cylinder(q.along("y"), wheel, tread, 0.08)

    def hubs(p: P):
        q = p.mirror("xy").move(axle, hub - 0.15, wheel)
        return cylinder(q.along("y"), wheel * 0.5, 0.15, 0.04)

    def lamps(p: P):
        return ellipsoid(p.mirror("y").move(half - 0.02, 0.58 * w, low + 0.6 * (waist - low)), 0.1, 0.17, 0.15)

    def bumpers(p: P):
        return box(p.mirror("x").move(half, 0, low + 0.14), 0.12, w * 0.94, 0.11, 0.08)

    parts = [Part(body), Part(glass, "glass"), Part(wheels, "second"), Part(hubs, "steel"), Part(lamps, "yellow"), Part(bumpers, "steel")]
    return Model(parts, (-half - 0.12, -hub, 0.0), (half + 0.12, hub, top))


def rocket(s: Style) -> Model:
    r = 0.52 * s.wide * s.vary(0, 0.88, 1.12)
    base, height = 0.42, 2.5 * s.tall * s.vary(1, 0.9, 1.1)  # of the body
    belly = base + 0.32 * height
    reach, t = r + 0.42 * s.wide * s.vary(2, 0.85, 1.15), 0.1 * s.thick
    nose_at, port = base + 0.7 * height, base + 0.5 * height

    def ogive(p: P, grow: float):  # two arcs about the axis, their tip rounded by `soft`
        soft, h = 0.06, base + height - belly
        w = torch.sqrt(r * r + soft * soft) - soft + grow
        big = (h * h + w * w) / (2 * w)
        rho = length(p.x, p.y, torch.full_like(p.x, soft))
        return length(rho + (big - w - soft), p.z - belly) - big

    def body(p: P):
        return intersect(ogive(p, 0.0), base - p.z)

    def nose(p: P):
        return intersect(ogive(p, 0.03), nose_at - p.z)

    def fins(p: P):
        q = p.around(s.count)
        root, k = r * 0.6, 0.06
        points = [(root, base + 0.38 * height), (r * 0.95, base + 0.34 * height), (reach - k, 0.42 * base + 0.1 * height), (reach - k, k),
                  (reach - 0.22, k), (r * 0.9, base * 0.9), (root, base + 0.05)]  # fmt: skip
        return extrude(polygon(q.x, q.z, points) - k, q.y, t, 0.05)

    def nozzle(p: P):
        return cone(p.move(z=0.3), r * 0.72, r * 0.5, 0.17, 0.03)

    def frame(p: P):
        return torus(p.move(x=r * 0.97, z=port).along("x"), 0.24 * s.wide, 0.09)

    def pane(p: P):
        return ellipsoid(p.move(x=r * 0.9, z=port), 0.14, 0.22 * s.wide, 0.22 * s.wide)

    parts = [Part(body), Part(nose, "second"), Part(fins, "second"), Part(nozzle, "iron"), Part(frame, "steel"), Part(pane, "glass")]
    back, side, front = (torch.maximum(r, ring_reach(s.count, reach, t, turn)) for turn in (torch.pi, torch.pi / 2, 0.0))
    return Model(parts, (-back, -side, 0.0), (front, side, base + height))


def boat(s: Style) -> Model:
    half, w = 1.25 * s.vary(0, 0.92, 1.1), 0.62 * s.wide
    deck, top = 0.5 * s.tall, 2.35 * s.tall * s.vary(1, 0.92, 1.1)
    bow = deck + 0.28 * s.tall
    t, mast = 0.085 * s.thick, 0.085 * s.thick
    swing, foot = 0.42 * s.wide.clamp(max=1), deck + 0.3
    long = half * s.vary(2, 0.72, 0.86)

    def rail(p: P):  # height of the hull's edge: it rises towards the bow
        return deck + (bow - deck) * ((p.x / half).clamp(min=0)) ** 2

    def plan(p: P, inset: float):  # seen from above: two arcs that meet at the bow (rounded by `soft`), narrower below
        k, soft = 0.74 + 0.26 * (p.z / rail(p)).clamp(0, 1.3), 0.07
        x, y = (p.x + 0.3 * half) / k, p.y / k
        reach, wide = 1.3 * half - inset, torch.sqrt((w - inset) ** 2 + soft * soft) - soft
        big = (reach * reach + wide * wide) / (2 * wide)
        side = length(x, length(y, torch.full_like(y, soft)) + big - wide - soft) - big
        return smooth_intersect(side, inset - x - 0.7 * half, 0.08)

    def hull(p: P):
        outer = smooth_intersect(plan(p, 0.0), torch.maximum(p.z - rail(p), -p.z), 0.04)
        return smooth_subtract(outer, torch.maximum(plan(p, 0.17), deck - 0.17 - p.z), 0.05)

    def planks(p: P):
        return torch.maximum(plan(p, 0.12), (p.z - deck + 0.18).abs() - 0.05)

    def pole(p: P):
        return capsule(p, (0.0, 0.0, 0.5 * deck), (0.0, 0.0, top - mast), mast)

    def sails(p: P):
        q = p.rotate("z", -swing)
        k = 0.06
        main = polygon(-q.x, q.z, [(0.0, foot + k), (long - k, foot + k), (0.0, top - 0.2)])
        r = p.rotate("z", -0.2)
        jib = polygon(r.x, r.z, [(0.0, foot + k + 0.05), (half * 0.76 - k, foot + k + 0.05), (0.0, top - 0.5 * s.tall)])
        return union(extrude(main - k, q.y, t, 0.05), extrude(jib - k, r.y, t, 0.05))

    parts = [Part(hull), Part(planks, "light_wood"), Part(pole, "dark_wood"), Part(sails, "second")]
    return Model(parts, (-half + 0.012, -w + 0.008, 0.0), (half - 0.015, w - 0.008, top))


def truck(s: Style) -> Model:
    half, w = 2.1 * s.vary(0, 0.94, 1.06), 0.88 * s.wide
    wheel, tread = 0.46 * s.vary(1, 0.9, 1.1), 0.22 * s.thick
    low, seat = 0.75 * wheel, 0.75 * wheel + 0.35 * s.tall  # undersides of the cab and of the bed
    top = low + 1.75 * s.tall
    bonnet, rail = low + 0.9 * s.tall, seat + s.vary(2, 0.85, 1.15) * s.tall  # upper edges of the bonnet and of the bed
    back, front, t = 0.18 * half, 0.62 * half, 0.26 * s.thick  # the cab along x, the walls of the bed
    hub = w + 0.5 * tread + 0.05

    def side(p: P, out: float, up: float, width: Size):  # the cab's side view, moved outwards by `out`
        rear, fore, floor, roof = back - out, front + out, low + 0.1, top - up
        points = [(rear, floor), (fore, floor), (fore, bonnet), (fore - 0.2, roof), (rear, roof)]
        return extrude(polygon(p.x, p.z, points) - 0.1, p.y, width, 0.1)

    def cab(p: P):
        nose = box(p.move((front + half) / 2 - 0.15, 0, (low + bonnet) / 2), (half - front) / 2 + 0.15, 0.9 * w, (bonnet - low) / 2, 0.16)
        return smooth_union(side(p, -0.1, 0.1, w), nose, 0.06)

    def glass(p: P):
        band = torch.maximum(p.z - (top - 0.22), bonnet + 0.1 - p.z)
        return intersect(union(side(p, -0.26, 0.1, w + 0.04), side(p, -0.06, 0.1, w - 0.2)), band)

    def frame(p: P):
        return box(p.move(0, 0, (low + seat) / 2 + 0.05), half - 0.25, 0.5 * w, (seat - low) / 2 + 0.05, 0.03)

    def bed(p: P):
        a, b = -half, back - 0.26
        q = p.move(x=(a + b) / 2)
        outer = box(q.move(z=(seat + rail) / 2), (b - a) / 2, w * 1.04, (rail - seat) / 2, 0.06)
        return subtract(outer, box(q.move(z=rail), (b - a) / 2 - t, w * 1.04 - t, rail - seat - 0.25 * s.thick, 0.06))

    def wheels(p: P):
        q = p.mirror("xy").move(0.58 * half, w - 0.5 * tread, wheel)
        return cylinder(q.along("y"), wheel, tread, 0.08)

    def hubs(p: P):
        q = p.mirror("xy").move(0.58 * half, hub - 0.15, wheel)
        return cylinder(q.along("y"), wheel * 0.5, 0.15, 0.04)

    def lamps(p: P):
        return ellipsoid(p.mirror("y").move(half - 0.02, 0.6 * w, low + 0.55 * (bonnet - low)), 0.12, 0.18, 0.18)

    def steel(p: P):
        grille = box(p.move(half, 0, low + 0.55 * (bonnet - low)), 0.06, 0.3 * w, 0.26 * (bonnet - low), 0.03)
        return union(grille, box(p.move(half, 0, low + 0.12), 0.14, w, 0.13, 0.06))

    parts = [Part(cab), Part(glass, "glass"), Part(frame, "iron"), Part(bed, "second"), Part(wheels, "rubber"), Part(hubs, "steel"),
             Part(lamps, "yellow"), Part(steel, "steel")]  # fmt: skip
    y = torch.maximum(hub, 1.04 * w)
    return Model(parts, (-half, -y, 0.0), (half + 0.14, y, torch.maximum(top, rail)))


def airplane(s: Style) -> Model:
    r, c, span = 0.3 * (0.5 + 0.5 * s.thick) * s.vary(0, 0.92, 1.08), 0.3 + 0.3 * s.tall, 1.45 * s.wide * s.vary(1, 0.93, 1.07)
    t, tail = 0.055 * s.thick, 0.5 * s.wide
    fin = c + 0.55 * s.tall * s.vary(2, 0.9, 1.1)
    blade, prop = 0.42, 1.2

    def hull(p: P):
        q = p.move(z=c).scale(z=s.tall)
        return smooth_union(capsule(q, (0.85, 0, 0), (-0.3, 0, 0), r), capsule(q, (-0.3, 0, 0), (-1.35, 0, 0.1), r, 0.1), 0.05)

    def wings(p: P):
        y, k = p.y.abs(), 0.04
        main = polygon(p.x, y, [(0.45, -0.2), (0.3, span - k), (0.0, span - k), (-0.2, -0.2)]) - k
        back = polygon(p.x, y, [(-0.95, -0.1), (-1.15, tail - k), (-1.38, tail - k), (-1.38, -0.1)]) - k
        rudder = polygon(p.x, p.z, [(-0.9, c), (-1.22, fin - k), (-1.4, fin - k), (-1.36, c)]) - k
        flat = union(extrude(main, p.z - c + 0.1 * s.tall, t, 0.03), extrude(back, p.z - c - 0.1 * s.tall, 0.8 * t, 0.03))
        return union(flat, extrude(rudder, p.y, 0.8 * t, 0.03))

    def glass(p: P):
        return ellipsoid(p.move(0.3, 0, c + 0.25 * s.tall), 0.34, 0.19, 0.17 * s.tall)

    def iron(p: P):
        front = capsule(p, (0.85, 0, c), (0.85, 0, 0.12), 0.06)
        legs = union(front, capsule(p.mirror("y"), (0.3, 0.15, c - 0.1), (0.35, 0.38, 0.15), 0.06))
        screw = union(ellipsoid(p.move(prop, 0, c), 0.045, 0.07, blade), capsule(p, (1.0, 0, c), (prop, 0, c), 0.1))
        return union(legs, screw)

    def wheels(p: P):
        return union(cylinder(p.mirror("y").move(0.35, 0.38, 0.15).along("y"), 0.15, 0.07, 0.03),
                     cylinder(p.move(0.85, 0, 0.12).along("y"), 0.12, 0.06, 0.03))  # fmt: skip

    parts = [Part(hull), Part(wings, "second"), Part(glass, "glass"), Part(iron, "iron"), Part(wheels, "rubber")]
    top = torch.maximum(fin, torch.maximum(c + blade, c + 0.42 * s.tall))
    return Model(parts, (-1.45, -span, 0.0), (prop + 0.1, span, top))


def train(s: Style) -> Model:
    w, low = 0.46 * s.wide, 0.42
    r = 0.36 * s.vary(0, 0.92, 1.06)
    mid, roof = low + 0.36 * s.tall, low + 1.15 * s.tall * s.vary(1, 0.95, 1.05)
    pipe, wheel, t = mid + 0.76 * s.tall, 0.26, 0.07 * s.thick
    out, x0 = 0.78 * w, (0.78 * w).clamp(max=0.4)

    def boiler(p: P):
        q = p.move(0.4, 0, mid).scale(y=s.wide, z=s.tall)
        drum = cylinder(q.along("x"), r, 0.72, 0.04)
        dome = ellipsoid(p.move(0.35, 0, mid + r * s.tall), 0.15, 0.15 * s.wide, 0.17 * s.tall)
        cab = box(p.move(-0.68, 0, (low + roof) / 2), 0.42, w, (roof - low) / 2, 0.03)
        return union(drum, dome, cab)

    def black(p: P):
        frame = box(p.move(0, 0, 0.36), 1.1, out, 0.1, 0.02)
        funnel = cone(p.move(0.88, 0, (mid + pipe) / 2), 0.1, 0.17, (pipe - mid) / 2, 0.02)
        plough = extrude(polygon(p.x, p.z, [(1.02, 0.1), (1.32, 0.1), (1.02, 0.42)]) - 0.03, p.y, out, 0.03)
        rod = capsule(p.mirror("y"), (-0.62, w + t, wheel), (0.62, w + t, wheel), 0.035)
        return union(frame, funnel, plough, rod)

    def top(p: P):
        return box(p.move(-0.68, 0, roof + 0.03), 0.52, w + 0.07, 0.05, 0.04)

    def glass(p: P):
        side = box(p.mirror("y").move(-0.68, w, roof - 0.3 * s.tall), 0.22, 0.025, 0.16 * s.tall, 0.02)
        return union(side, box(p.mirror("y").move(-0.26, 0.7 * w, roof - 0.22 * s.tall), 0.025, 0.2 * w, 0.11 * s.tall, 0.02))

    def wheels(p: P):
        return cylinder(P(row(p.x, 0.62, -1.0, 1.0), p.y.abs() - w + 0.04, p.z - wheel).along("y"), wheel, t + 0.04, 0.03)

    def lamp(p: P):
        return cylinder(p.move(1.14, 0, mid + 0.1 * s.tall).along("x"), 0.12 * x0 / 0.36, 0.06, 0.02)

    parts = [Part(boiler), Part(wheels, "second"), Part(black, "iron"), Part(top, "roof"), Part(glass, "glass"), Part(lamp, "yellow")]
    y = torch.maximum(w + 0.07, w + t + 0.035)
    return Model(parts, (-1.2, -y, 0.0), (1.35, y, torch.maximum(roof + 0.08, pipe)))


def bus(s: Style) -> Model:
    half, w = 1.5 * s.vary(0, 0.88, 1.12), 0.5 * s.wide
    low, top = 0.2, 1.25 * s.tall * s.vary(1, 0.95, 1.05)
    wheel, t = 0.25 * s.vary(2, 0.9, 1.1), 0.1
    mid, pane = low + 0.63 * (top - low), 0.19 * (top - low)

    def body(p: P):
        return box(p.move(z=(low + top) / 2), half, w, (top - low) / 2, 0.13)

    def glass(p: P):
        side = box(P(row(p.x + 0.12 * half, 0.36 * half, -2.0, 2.0), p.y.abs() - w, p.z - mid), 0.145 * half, 0.02, pane, 0.02)
        return union(side, box(p.move(half, 0, mid - 0.04), 0.02, 0.78 * w, 1.15 * pane, 0.02))

    def wheels(p: P):
        return cylinder(p.mirror("xy").move(0.62 * half, w - 0.06, wheel).along("y"), wheel, t, 0.04)

    def hubs(p: P):
        return cylinder(p.mirror("xy").move(0.62 * half, w - 0.03, wheel).along("y"), 0.45 * wheel, t, 0.02)

    def lamps(p: P):
        return ellipsoid(p.mirror("y").move(half - 0.01, 0.66 * w, low + 0.18 * (top - low)), 0.05, 0.09, 0.08)

    def bumpers(p: P):
        return box(p.mirror("x").move(half - 0.01, 0, low + 0.05), 0.05, 0.92 * w, 0.06, 0.04)

    parts = [Part(body), Part(glass, "glass"), Part(wheels, "second"), Part(hubs, "steel"), Part(lamps, "yellow"), Part(bumpers, "steel")]
    y = torch.maximum(w + 0.02, w - 0.03 + t)
    return Model(parts, (-half - 0.04, -y, 0.0), (half + 0.04, y, top))


KINDS = [
    Kind("car", "vehicles", car, Second("wheels", "black"), ("natural", "metal", "wood", "plastic", "gold"), ("red", "blue"),
         ("automobile", "sedan"), ("stripes", "checks", "spots")),
    Kind("rocket", "vehicles", rocket, Second("fins", "red", counts=(4, 3, 5, 6)),
         ("natural", "metal", "plastic", "wood", "gold"), ("white", "gray"), ("spaceship", "rocket ship", "space rocket"),
         ("stripes", "checks", "spots")),
    Kind("truck", "vehicles", truck, Second("bed", "gray"), ("natural", "metal", "plastic", "wood", "gold"), ("yellow", "red"),
         ("pickup truck", "lorry", "dump truck"), ("stripes", "checks", "spots")),
    Kind("boat", "vehicles", boat, Second("sail", "white"), ("wood", "natural", "plastic", "metal"), ("brown", "blue"),
         ("ship", "yacht", "sailboat", "sailing boat", "dinghy"), ("stripes", "checks", "grain")),
    Kind("airplane", "vehicles", sized(airplane, 2.5), Second("wings", "white"), ("natural", "metal", "wood", "plastic", "gold"),
         ("red", "blue"), ("aeroplane", "plane"), ("stripes", "checks", "spots")),
    Kind("train", "vehicles", sized(train, 2.2), Second("wheels", "red"), ("natural", "metal", "wood", "plastic", "gold"),
         ("green", "blue"), ("steam train", "locomotive", "steam engine"), ("stripes", "checks", "spots")),
    Kind("bus", "vehicles", sized(bus, 2.6), Second("wheels", "black"), ("natural", "metal", "wood", "plastic", "gold"), ("yellow", "red"),
         ("coach", "school bus"), ("stripes", "checks", "spots"), ("tall", "short", "wide", "narrow")),
]  # fmt: skip
