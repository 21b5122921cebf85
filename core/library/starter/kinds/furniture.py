# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in rooms: chair, table, stool, sofa, bookshelf, bed, lamp."""

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
    ellipsoid,
    extrude,
    rectangle,
    ring_reach,
    smooth_union,
    sphere,
    torus,
    union,
)


def _legs(p: P, foot: tuple[Size, Size], top: tuple[Size, Size, Size], r: Size, r_top: Size) -> Tensor:
    """Four tapered legs that stand on z = 0, `foot` (x, y) and `top` (x, y, z) of the one at positive coordinates."""
    return capsule(p.mirror("xy"), (*foot, r), top, r, r_top)


def chair(s: Style) -> Model:
    half_x, half_y = 0.225 * s.wide**0.5, 0.235 * s.wide
    seat, slab = 0.42 * s.tall * s.vary(0, 0.88, 1.1), 0.042 * s.thick
    back, t = 0.50 * s.tall * s.vary(1, 0.85, 1.2), 0.034 * s.thick
    lean, k = s.vary(2, 0.04, 0.22), 0.022 * s.thick
    foot, hinge = 0.030 * s.thick, half_x - 0.045

    def frame(p: P) -> Tensor:
        legs = _legs(p, (half_x - 0.03, half_y - 0.03), (half_x - 0.065, half_y - 0.065, seat), foot, 0.040 * s.thick)
        return smooth_union(box(p.move(z=seat), half_x, half_y, slab, slab * 0.75), legs, 0.012)

    def backrest(p: P) -> Tensor:
        q = p.move(x=-hinge, z=seat).rotate("y", -lean)
        posts = box(q.mirror("y").move(y=half_y - t * 1.05, z=back / 2), t, t * 1.05, back / 2, k)
        rail = box(q.move(z=back - 0.072), t, half_y, 0.072, k)
        splat = box(q.move(z=back / 2), t * 0.85, 0.068 * s.wide, back / 2 - 0.02, k)
        return union(posts, rail, splat)

    def cushion(p: P) -> Tensor:
        return box(p.move(x=0.035, z=seat + slab + 0.03), half_x * 0.82, half_y * 0.86, 0.052, 0.045)

    c, sn = torch.cos(lean), torch.sin(lean)
    rear = torch.maximum(hinge + (t - k) * c + (back - k) * sn + k, half_x - 0.03 + foot)
    wide, front = torch.maximum(half_y, half_y - 0.03 + foot), torch.maximum(half_x, half_x - 0.03 + foot)
    high = seat + (back - k) * c + (t - k) * sn + k
    parts = [Part(frame), Part(backrest), Part(cushion, "second", s.second)]
    return Model(parts, (-rear, -wide, 0.0), (front, wide, high))


def table(s: Style) -> Model:
    half_x, half_y = 0.40 * s.wide**0.5 * s.vary(0, 0.88, 1.12), 0.60 * s.wide
    high, slab = 0.72 * s.tall * s.vary(1, 0.9, 1.1), 0.048 * s.thick
    foot, corner = 0.046 * s.thick, s.vary(2, 0.06, 0.26)

    def top(p: P) -> Tensor:
        plate = extrude(rectangle(p.x, p.y, half_x, half_y, corner), p.z - high + slab, slab, slab * 0.6)
        return union(plate, box(p.move(z=high - 2 * slab - 0.03), half_x - 0.11, half_y - 0.11, 0.08, 0.02))

    def legs(p: P) -> Tensor:
        return _legs(p, (half_x - 0.09, half_y - 0.09), (half_x - 0.13, half_y - 0.13, high - 1.8 * slab), foot, 0.066 * s.thick)

    return Model([Part(top), Part(legs, "second")], (-half_x, -half_y, 0.0), (half_x, half_y, high))


def stool(s: Style) -> Model:
    r, high = 0.20 * s.wide * s.vary(0, 0.9, 1.1), 0.46 * s.tall
    puff, foot = 0.062 * s.thick, 0.024 * s.thick
    spread, ring = r * s.vary(1, 0.9, 1.08), s.vary(2, 0.26, 0.42)

    def seat(p: P) -> Tensor:
        return cylinder(p.move(z=high - puff), r, puff, puff * 0.85)

    def legs(p: P) -> Tensor:
        top = 0.56 * r
        legs = capsule(p.around(s.count, torch.pi / s.count), (spread, 0, foot), (top, 0, high - 1.4 * puff), foot, 0.032 * s.thick)
        return smooth_union(legs, torus(p.move(z=ring * high), spread + (top - spread) * ring, 0.019 * s.thick), 0.015)

    edge = torch.maximum(r, spread + (0.56 * r - spread) * ring + 0.019 * s.thick)
    turns = (torch.pi, torch.pi / 2, 0.0)  # to the back, the sides, the front
    back, side, front = (torch.maximum(edge, ring_reach(s.count, spread, 0.0, turn, torch.pi / s.count) + foot) for turn in turns)
    return Model([Part(seat), Part(legs, "second")], (-back, -side, 0.0), (front, side, high))


def sofa(s: Style) -> Model:
    half_y, half_x = 0.82 * s.wide * s.vary(0, 0.85, 1.1), 0.43 * s.wide**0.5
    seat, back = 0.38 * s.tall, 0.80 * s.tall * s.vary(1, 0.92, 1.1)
    arm, arm_high = 0.125 * s.thick, 0.56 * s.tall * s.vary(2, 0.9, 1.1)
    rest, lift = 0.13 * s.thick, 0.09
    start = -half_x + 2 * rest - 0.02  # back end of the seat cushions

    def upright(p: P, x: tuple[Size, Size], y: Size, top: Size, k: Size) -> Tensor:
        """A rounded block from the lift to `top`, between two x, half width y."""
        return box(p.move(x=(x[0] + x[1]) / 2, z=(lift + top) / 2), (x[1] - x[0]) / 2, y, (top - lift) / 2, k)

    def body(p: P) -> Tensor:
        arms = upright(p.mirror("y").move(y=half_y - arm), (-half_x, half_x), arm, arm_high, arm * 0.8)
        base = upright(p, (-half_x + 0.05, half_x - 0.05), half_y - arm, seat + 0.035, 0.03)
        return union(arms, base, upright(p, (-half_x, -half_x + 2 * rest), half_y - arm * 0.6, back, rest * 0.75))

    def seats(p: P) -> Tensor:
        half = (half_y - 2 * arm) / 2 + 0.014
        q = p.mirror("y").move(y=half - 0.014)
        depth = (half_x + 0.005 - start) / 2
        low = box(q.move(x=start + depth, z=seat - 0.03), depth, half, 0.11, 0.06)
        return union(low, box(q.move(x=start + 0.05, z=(seat + back) / 2 - 0.01), 0.12, half, (back - seat) / 2 + 0.02, 0.07))

    def cushions(p: P) -> Tensor:
        half = (half_y - 2 * arm) * 0.34
        q = p.mirror("y").move(x=start + 0.215, y=half_y - 2 * arm - half + 0.02, z=seat + 0.24).rotate("y", -0.15).rotate("z", -0.25)
        return box(q, 0.075, half, 0.19, 0.07)

    def feet(p: P) -> Tensor:
        return cylinder(p.mirror("xy").move(x=half_x - 0.13, y=half_y - 0.13, z=0.08), 0.07, 0.08, 0.02)

    parts = [Part(body), Part(seats), Part(cushions, "second"), Part(feet, "dark_wood")]
    return Model(parts, (-half_x, -half_y, 0.0), (half_x + 0.005, half_y, torch.maximum(back + 0.01, seat + 0.434)))


def bookshelf(s: Style) -> Model:
    half_y, half_x = 0.46 * s.wide * s.vary(0, 0.9, 1.1), 0.20 * s.wide**0.5
    high, t = 1.30 * s.tall, 0.040 * s.thick
    slots, rows = 5, 3
    pitch, slot = (high - 2 * t) / rows, (2 * half_y - 4 * t) / slots
    grown = s.vary(1, 0.62, 0.76)

    def case(p: P) -> Tensor:
        sides = box(p.mirror("y").move(y=half_y - t, z=high / 2), half_x, t, high / 2, 0.022)
        back = box(p.move(x=-half_x + t, z=high / 2), t, half_y - t, high / 2 - t, 0.01)
        row = torch.round((p.z - t) / pitch).clamp(0, rows)
        return union(sides, back, box(P(p.x, p.y, p.z - t - row * pitch), half_x, half_y - t * 0.5, t, 0.022))

    def books(p: P, color: int) -> Tensor:
        """The books of one of three colours, which take turns along a shelf and start differently on every shelf."""
        row = torch.floor((p.z - t) / pitch).clamp(0, rows - 1)
        first = torch.remainder(color - row * 2, 3)
        at = p.y / slot + (slots - 1) / 2
        i = (first + 3 * torch.round((at - first) / 3)).clamp(min=0)
        i = torch.where(i < first, first, torch.where(i > slots - 1, i - 3, i))
        tall = (pitch - 2 * t) * (grown + 0.13 * torch.cos(2.4 * i + 1.7 * row)) / 2
        q = P(p.x + 0.015, p.y - (i - (slots - 1) / 2) * slot, p.z - 2 * t - row * pitch - tall + 0.01)
        return box(q, half_x - 0.05, slot / 2 + 0.002, tall + 0.01, 0.02)

    def inside(p: P) -> Tensor:
        """A block within every row of books, so that the distance is not near zero where books touch each other and the case."""
        row = torch.floor((p.z - t) / pitch).clamp(0, rows - 1)
        lowest = (pitch - 2 * t) * (grown - 0.13) - 0.025
        q = P(p.x - (t - 0.085) / 2, p.y, p.z - t - row * pitch - (lowest + t) / 2)
        return box(q, half_x - (t + 0.085) / 2, half_y - t, (lowest + t) / 2, 0.02)

    rows_of_books = [Part(lambda p, i=i: books(p, i), paint) for i, paint in enumerate(("second", "leaf", "cream"))]
    parts = [Part(case), Part(inside, "cream"), *rows_of_books]
    return Model(parts, (-half_x, -half_y, 0.0), (half_x, half_y, high))


def bed(s: Style) -> Model:
    half_y, half_x = 0.62 * s.wide * s.vary(0, 0.85, 1.12), 0.98
    rail, head = 0.34 * s.tall, 0.92 * s.tall * s.vary(1, 0.86, 1.14)
    t, post = 0.062 * s.thick, 0.078 * s.thick
    foot_high, knob = 0.52 * s.tall * s.vary(2, 0.92, 1.12), 0.098 * s.thick
    soft = rail + 0.16  # top of the mattress

    def frame(p: P) -> Tensor:
        q = p.mirror("y")
        board = box(p.move(x=-half_x + post, z=(head - 0.06 + 0.16) / 2), t, half_y - post, (head - 0.06 - 0.16) / 2, 0.045)
        end = box(p.move(x=half_x - post, z=(foot_high - 0.05 + 0.16) / 2), t, half_y - post, (foot_high - 0.05 - 0.16) / 2, 0.045)
        posts = union(*(box(q.move(x=x, y=half_y - post, z=z / 2), post, post, z / 2, 0.03) for x, z in places()))
        return union(board, end, posts, box(p.move(z=rail - 0.08), half_x - post, half_y - 0.03, 0.10, 0.03))

    def places() -> tuple[tuple[Size, Size], ...]:
        return (-half_x + post, head), (half_x - post, foot_high)

    def knobs(p: P) -> Tensor:
        return union(*(sphere(p.mirror("y").move(x=x, y=half_y - post, z=z + knob * 0.5), knob) for x, z in places()))

    def mattress(p: P) -> Tensor:
        return box(p.move(z=soft - 0.12), half_x - post - t + 0.02, half_y - 0.06, 0.12, 0.06)

    def pillows(p: P) -> Tensor:
        return ellipsoid(p.mirror("y").move(x=-half_x + 0.42, y=half_y * 0.46, z=soft + 0.04), 0.22, half_y * 0.42, 0.12)

    def blanket(p: P) -> Tensor:
        start, stop = -half_x + 0.72, half_x - post - t - 0.005
        sheet = box(p.move(x=(start + stop) / 2, z=soft - 0.07), (stop - start) / 2, half_y, 0.14, 0.075)
        return union(sheet, box(p.move(x=start + 0.10, z=soft - 0.045), 0.13, half_y + 0.02, 0.145, 0.07))

    edge = torch.maximum(half_y + 0.02, half_y - post + knob)
    ends = half_x - post + torch.maximum(post, knob)
    parts = [Part(frame), Part(blanket, "second"), Part(mattress, "cloth"), Part(pillows, "white"), Part(knobs)]
    return Model(parts, (-ends, -edge, 0.0), (ends, edge, head + 1.5 * knob))


def lamp(s: Style) -> Model:
    r, high = 0.122 * s.wide * s.vary(0, 0.88, 1.12), 0.25 * s.tall
    wide, narrow = 0.18 * s.wide * s.vary(1, 0.9, 1.1), 0.105 * s.wide * s.vary(2, 0.8, 1.2)
    shade, neck, ball = 0.102 * s.tall, 0.026 * s.thick, 0.026 * s.thick
    low = high + 0.025  # lower edge of the shade

    def base(p: P) -> Tensor:
        body = ellipsoid(p.move(z=high * 0.52), r, r, high * 0.46)
        plate = cylinder(p.move(z=0.024 * s.thick), r * 0.86, 0.024 * s.thick, 0.016 * s.thick)
        solid = smooth_union(smooth_union(body, plate, 0.03), cylinder(p.move(z=high), neck, high * 0.4), 0.03)
        return torch.maximum(solid, -p.z)

    def cover(p: P) -> Tensor:
        solid = cone(p.move(z=low + shade), wide, narrow, shade, 0.014)
        inner = cone(p.move(z=low - 0.005), wide - 0.036 * s.thick, narrow - 0.03 * s.thick, shade * 1.1, 0.004)
        return torch.maximum(solid, -inner)

    def rod(p: P) -> Tensor:
        return capsule(p, (0, 0, high), (0, 0, low + 2 * shade), neck)

    def finial(p: P) -> Tensor:
        return sphere(p.move(z=low + 2 * shade + ball * 0.6), ball)

    edge = torch.maximum(wide, r)
    parts = [Part(base), Part(cover, "second"), Part(rod, "brass"), Part(finial, "brass")]
    return Model(parts, (-edge, -edge, 0.0), (edge, edge, low + 2 * shade + 1.6 * ball))


KINDS = [
    Kind("chair", "furniture", chair, Second("cushion", "red", optional=True), ("wood", "metal", "plastic", "gold"), ("brown", "cream"),
         ("kitchen chair", "dining chair"), ("stripes", "grain", "spots")),
    Kind("table", "furniture", table, Second("legs", "cream"), ("wood", "marble", "stone", "metal", "plastic"), ("brown", "orange"),
         ("kitchen table", "dining table", "desk"), ("grain", "stripes", "checks")),
    Kind("stool", "furniture", stool, Second("legs", "brown", counts=(4, 3, 5)), ("leather", "wood", "fabric", "metal", "plastic"),
         ("red", "teal"), ("bar stool", "footstool"), ("stripes", "spots", "checks")),
    Kind("sofa", "furniture", sofa, Second("cushions", "cream"), ("fabric", "leather", "plastic", "gold"), ("teal", "red"),
         ("couch", "settee"), ("stripes", "spots", "checks")),
    Kind("bookshelf", "furniture", bookshelf, Second("books", "red"), ("wood", "metal", "plastic", "stone"), ("brown", "teal"),
         ("shelf", "bookcase", "book rack"), ("grain", "stripes", "spots")),
    Kind("bed", "furniture", bed, Second("blanket", "blue"), ("wood", "metal", "plastic", "gold"), ("brown", "cream"),
         ("cot", "bunk"), ("grain", "stripes", "spots")),
    Kind("lamp", "furniture", lamp, Second("shade", "cream"), ("ceramic", "metal", "wood", "gold", "marble"), ("teal", "red"),
         ("table lamp", "desk lamp", "bedside lamp"), ("stripes", "spots", "checks")),
]  # fmt: skip
