# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that hold things: barrel, chest, crate, mug, vase, bucket."""

import math

import torch
from torch import Tensor

from core.library.starter.kind import Kind, Model, Part, Second, Style
from core.library.starter.shapes import (
    P,
    Size,
    box,
    capsule,
    circle,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    groove,
    length,
    rectangle,
    smooth_subtract,
    smooth_union,
    sphere,
    torus,
    turned,
    union,
)


def barrel(s: Style) -> Model:
    r, h = 0.33 * s.wide * s.vary(2, 0.92, 1.08), 0.45 * s.tall
    end = r * s.vary(0, 0.70, 0.84)
    hoop, out = 0.052 * s.thick, 0.026 * s.thick
    at = s.vary(1, 0.46, 0.62) * h
    bend = ((r - end) ** 2 + h**2) / (2 * (r - end))  # radius of the arc that the staves follow

    def side(p: P) -> Tensor:
        return circle(length(p.x, p.y) - (r - bend), p.z, bend)

    def body(p: P) -> Tensor:
        staves = side(p) + 0.016 * groove(torch.atan2(p.y, p.x) * (12 / (2 * math.pi)))
        return smooth_subtract(extrude(staves, p.z, h, 0.035), cylinder(p.move(z=h), end * 0.72, 0.06, 0.015), 0.03)

    def hoops(p: P) -> Tensor:
        return extrude(side(p) - out, p.z.abs() - at, hoop, 0.016)

    near = (at - hoop).clamp(min=0)
    widest = torch.maximum(r, r - bend + torch.sqrt((bend + out) ** 2 - near**2) - 0.002)
    return Model([Part(body), Part(hoops, "second")], (-widest, -widest, -h), (widest, widest, h))


def chest(s: Style) -> Model:
    half_y, half_x = 0.40 * s.wide * s.vary(0, 0.9, 1.1), 0.26 * s.wide**0.5
    seam, dome = 0.32 * s.tall * s.vary(1, 0.88, 1.12), 0.21 * s.tall * s.vary(2, 0.8, 1.2)
    strap, out = 0.055 * s.thick, 0.026 * s.thick
    place = half_y * s.vary(3, 0.55, 0.72)

    def outline(p: P) -> Tensor:
        k0 = length(p.x / half_x, (p.z - seam) / dome)
        k1 = length(p.x / half_x**2, (p.z - seam) / dome**2)
        lower = rectangle(p.x, p.z - seam / 2, half_x, seam / 2)
        return union(lower, k0 * (k0 - 1) / k1)

    def body(p: P) -> Tensor:
        return extrude(outline(p), p.y, half_y, 0.03)

    def bands(p: P) -> Tensor:
        straps = extrude(outline(p) - out, p.y.abs() - place, strap, 0.016)
        return union(straps, box(p.move(z=seam), half_x + out, half_y + out, strap * 0.9, 0.016))

    def lock(p: P) -> Tensor:
        return box(p.move(x=half_x, z=seam - 0.02), out + 0.035, 0.085, 0.10, 0.03)

    def keyhole(p: P) -> Tensor:
        x = half_x + out + 0.025
        return union(capsule(p, (x, 0, seam), (x, 0, seam - 0.055), 0.021), sphere(p.move(x=x - 0.01, z=seam), 0.034))

    parts = [Part(body), Part(bands, "second"), Part(lock, "brass"), Part(keyhole, "black")]
    front = half_x + out + 0.049
    return Model(parts, (-half_x - out, -half_y - out, -out), (front, half_y + out, seam + dome + out))


def crate(s: Style) -> Model:
    a, h = 0.30 * s.wide, 0.29 * s.tall * s.vary(0, 0.85, 1.12)
    t = 0.048 * s.thick * s.vary(1, 0.88, 1.15)
    deep = 0.034 * s.thick  # of the planks behind the frame
    angle, reach = torch.atan2(h - t, a - t), torch.sqrt((a - t) ** 2 + (h - t) ** 2) - t * 0.6

    def planks(p: P) -> Tensor:
        on_top = p.z.abs() - h > torch.maximum(p.x.abs(), p.y.abs()) - a
        joint = torch.where(on_top, groove(1.5 * p.y / (a - t) + 0.5), groove(1.5 * p.z / (h - t) + 0.5))
        return box(p, a - deep, a - deep, h - deep) + 0.018 * joint

    def frame(p: P) -> Tensor:
        q, k = p.mirror("xyz"), t * 0.4
        along_x, along_y = box(q.move(y=a - t, z=h - t), a, t, t, k), box(q.move(x=a - t, z=h - t), t, a, t, k)
        posts = box(q.move(x=a - t, y=a - t), t, t, h, k)
        brace = box(p.around(4).move(x=a - t).rotate("x", angle), t - 0.008, reach, t * 0.9, k)
        return union(along_x, along_y, posts, brace)

    return Model([Part(planks), Part(frame, "second")], (-a, -a, -h), (a, a, h))


def mug(s: Style) -> Model:
    r, high = 0.044 * s.wide * s.vary(0, 0.9, 1.12), 0.10 * s.tall
    wall = 0.0088 * s.thick
    foot = r * s.vary(1, 0.78, 1.0)
    tube, half_y = 0.0085 * s.thick, 0.029 * s.wide**0.5 * s.vary(2, 0.88, 1.14)
    half_z = 0.030 * s.tall

    def radius(t: Tensor) -> Tensor:
        return foot + (r - foot) * torch.sin(t * (math.pi / 2))

    def hollow(p: P, skin: Size) -> Tensor:
        return turned(p, skin * 1.2, high * 1.2, lambda t: radius((t * 1.2).clamp(max=1)) - skin, 0.008)

    def body(p: P) -> Tensor:
        return smooth_subtract(turned(p, 0.0, high, radius, wall * 0.5), hollow(p, wall), wall * 0.4)

    def lining(p: P) -> Tensor:
        solid = turned(p, wall * 0.5, high - wall * 0.5, lambda t: radius(t) - wall * 0.5, 0.0)
        return smooth_subtract(solid, hollow(p, wall * 1.05), wall * 0.2)  # a hair inside the body's wall, so that it is the nearest part

    def handle(p: P) -> Tensor:
        loop = rectangle(p.y - r, p.z - high * 0.5, half_y, half_z, half_y * 0.8)
        return torch.maximum(length(loop, p.x) - tube, foot - 0.7 * wall - length(p.x, p.y))

    return Model([Part(body), Part(handle, "second"), Part(lining, "cream")], (-r, -r, 0.0), (r, r + half_y + tube, high))


def vase(s: Style) -> Model:
    high = 0.40 * s.tall
    belly, neck = 0.145 * s.wide * s.vary(0, 0.88, 1.1), 0.072 * s.wide * s.vary(1, 0.9, 1.15)
    lip, foot = 0.105 * s.wide * s.vary(2, 0.92, 1.1), 0.085 * s.wide
    wall = 0.026 * s.thick

    def radius(t: Tensor) -> Tensor:
        return curve(t, (0.0, foot), (0.36, belly), (0.82, neck), (1.0, lip))

    def hollow(p: P) -> Tensor:
        floor, top = wall * 1.5, high * 1.1
        return turned(p, floor, top, lambda t: radius(((floor + t * (top - floor)) / high).clamp(max=1)) - wall, 0.02)

    def body(p: P) -> Tensor:
        solid = turned(p, 0.0, high, radius, 0.011)
        return torch.where(s.second, solid, smooth_subtract(solid, hollow(p), wall * 0.45))  # no cavity stays under the flowers

    def green(p: P) -> Tensor:
        plug = cylinder(p.move(z=high - 0.002), lip - wall * 0.5, 0.014)
        return smooth_union(plug, ellipsoid(p.move(z=high + 0.055), 0.135, 0.135, 0.09), 0.02)

    def heads(p: P) -> tuple[P, P]:
        return p.move(z=high + 0.05).around(4).rotate("y", 1.0).move(z=0.14), p.move(z=high + 0.165)

    def flowers(p: P) -> Tensor:
        return union(*(ellipsoid(q.around(5).move(x=0.05), 0.044, 0.042, 0.032) for q in heads(p)))

    def hearts(p: P) -> Tensor:
        return union(*(sphere(q.move(z=0.016), 0.036) for q in heads(p)))

    wide = radius(torch.linspace(0, 1, 101, device=belly.device)[None]).amax(1, keepdim=True)
    wide = torch.where(s.second, wide.clamp(min=0.181), wide)
    parts = [Part(body), Part(flowers, "second", s.second), Part(green, "leaf", s.second), Part(hearts, "yellow", s.second)]
    return Model(parts, (-wide, -wide, 0.0), (wide, wide, torch.where(s.second, high + 0.217, high)))


def bucket(s: Style) -> Model:
    high, r = 0.30 * s.tall, 0.165 * s.wide * s.vary(0, 0.92, 1.08)
    foot = r * s.vary(1, 0.66, 0.84)
    wall, bead, tube = 0.029 * s.thick, 0.021 * s.thick, 0.016 * s.thick
    ring, pivot = r + bead, high - 0.045
    rise = s.vary(2, 0.85, 1.1)  # the bail is a half ellipse

    def radius(t: Tensor) -> Tensor:
        return foot + (r - foot) * t

    def body(p: P) -> Tensor:
        lip = torus(p.move(z=high - bead), r - bead * 0.4, bead)
        belt = torus(p.move(z=high * 0.36), foot + (r - foot) * 0.36 - bead * 0.4, bead * 0.9)
        outer = union(turned(p, 0.0, high - bead, radius, 0.015), lip, belt)
        floor, top = wall, high * 1.1
        inner = turned(p, floor, top, lambda t: radius((floor + t * (top - floor)) / high) - wall, 0.02)
        return smooth_subtract(outer, inner, wall * 0.3)

    def bow(p: P) -> Tensor:
        z = (p.z - pivot) / rise
        return length(length(p.y, z) - ring, p.x)

    def handle(p: P) -> Tensor:
        return torch.maximum(bow(p) - tube, pivot - p.z)

    def grip(p: P) -> Tensor:
        return torch.maximum(extrude(bow(p) - tube * 1.6, p.y, 0.065 * s.wide, 0.01), pivot - p.z)

    def ears(p: P) -> Tensor:
        return sphere(p.mirror("y").move(y=ring - 0.006, z=pivot), 0.032 * s.thick)

    side, top = ring - 0.006 + 0.032 * s.thick, pivot + rise * (ring + tube * 1.6)
    edge = r + bead * 0.6
    return Model([Part(body), Part(handle, "second"), Part(grip, "dark_wood"), Part(ears, "iron")], (-edge, -side, 0.0), (edge, side, top))


KINDS = [
    Kind("barrel", "containers", barrel, Second("hoops", "gray"), ("wood", "metal", "gold", "plastic"), ("brown", "orange"),
         ("cask", "keg"), ("grain", "stripes")),
    Kind("chest", "containers", chest, Second("bands", "yellow"), ("wood", "metal", "stone", "gold"), ("brown", "red"),
         ("treasure chest", "treasure box", "coffer"), ("grain", "stripes", "checks")),
    Kind("crate", "containers", crate, Second("frame", "brown"), ("wood", "metal", "plastic", "gold"), ("cream", "orange"),
         ("box", "packing crate", "cargo box", "shipping box"), ("grain", "stripes")),
    Kind("mug", "containers", mug, Second("handle", "cream"), ("ceramic", "clay", "metal", "plastic", "gold"), ("red", "teal"),
         ("cup", "coffee mug", "coffee cup", "teacup"), ("stripes", "spots", "checks")),
    Kind("vase", "containers", vase, Second("flowers", "pink", optional=True), ("ceramic", "clay", "marble", "metal", "gold"),
         ("blue", "white"), ("flower vase", "urn"), ("stripes", "spots", "checks")),
    Kind("bucket", "containers", bucket, Second("handle", "black"), ("metal", "wood", "plastic", "gold"), ("gray", "red"),
         ("pail",), ("stripes", "spots", "grain")),
]  # fmt: skip
