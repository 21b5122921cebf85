# SPDX-License-Identifier: GPL-3.0-or-later
"""What gives light out of doors and at dinner: lantern, candelabra, lamppost."""

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import P, box, capsule, cone, cylinder, ellipsoid, lathe, ring_reach, smooth_union, sphere, torus, union


def lantern(s: Style) -> Model:
    a, pane = 0.24 * s.wide * s.vary(0, 0.92, 1.08), 0.5 * s.tall * s.vary(1, 0.82, 1.18)
    low, t = 0.1, 0.036 * s.thick
    eave = low + pane
    top = eave + 0.22 * s.tall * s.vary(2, 0.85, 1.15)
    wire = 0.028 * s.thick

    def frame(p: P):
        q = p.mirror("xy")
        square = P(torch.maximum(q.x, q.y), torch.zeros_like(p.x), p.z)
        roof = lathe(square, [(0, eave - 0.02), (a + 0.03, eave - 0.02), (a + 0.03, eave + 0.03), (0.06, top), (0, top)])
        posts = box(q.move(a - t, a - t, (low + eave) / 2), t, t, (eave - low) / 2 + 0.02)
        bars = box(p.around(4).move(a - t, 0.0, (low + eave) / 2), 0.8 * t, 0.5 * t, pane / 2)
        ring = torus(p.move(z=top + 0.08).along("x"), 0.1, wire)
        return union(roof, posts, bars, ring, box(p.move(z=low / 2), a + 0.03, a + 0.03, low / 2, 0.02))

    def glass(p: P):
        return box(p.move(z=(low + eave) / 2), a - 1.2 * t, a - 1.2 * t, pane / 2 + 0.02)

    side = a + 0.03
    return Model([Part(frame), Part(glass, "second")], (-side, -side, 0.0), (side, side, top + 0.18 + wire))


def candelabra(s: Style) -> Model:
    r, h = 0.42 * s.wide * s.vary(0, 0.92, 1.08), 0.75 * s.tall
    cup, tube, wax = 0.66 * h, 0.042 * s.thick, 0.055 * (0.4 + 0.6 * s.thick)
    stick = 0.34 * s.tall * s.vary(1, 0.85, 1.15)
    foot = 0.27 * s.wide * s.vary(2, 0.92, 1.08)
    flame = cup + 0.04 + stick + 0.06

    def body(p: P):
        base = smooth_union(cylinder(p.move(z=0.04), foot, 0.04, 0.025), cone(p.move(z=0.12), 0.6 * foot, tube, 0.07), 0.03)
        stem = union(capsule(p, (0, 0, 0.06), (0, 0, cup), 1.2 * tube), sphere(p.move(z=cup), 0.09), sphere(p.move(z=0.3 * h), 1.9 * tube))
        q = p.around(s.count)
        elbow = (0.75 * r, 0.0, 0.34 * h)
        arm = union(capsule(q, (0.0, 0.0, 0.42 * h), elbow, tube), capsule(q, elbow, (r, 0.0, cup), tube))
        return union(base, stem, arm, cylinder(q.move(x=r, z=cup + 0.02), 0.1, 0.035, 0.02))

    def candles(p: P):
        return cylinder(p.around(s.count).move(x=r, z=cup + 0.04 + stick / 2), wax, stick / 2, 0.012)

    def flames(p: P):
        return ellipsoid(p.around(s.count).move(x=r, z=flame), 0.042, 0.042, 0.09)

    back, front, side = (ring_reach(s.count, r, toward=turn) + 0.1 for turn in (torch.pi, 0.0, torch.pi / 2))
    back, side = torch.maximum(back, foot), torch.maximum(side, foot)
    parts = [Part(body), Part(candles, "second"), Part(flames, "yellow")]
    return Model(parts, (-back, -side, 0.0), (front, side, flame + 0.09))


def lamppost(s: Style) -> Model:
    h, post = 2.5 * s.tall * s.vary(0, 0.95, 1.05), 0.095 * s.thick
    r, ball = 0.52 * s.wide * s.vary(1, 0.92, 1.08), 0.25 * s.vary(2, 0.9, 1.1)
    foot, arm = 0.28 * (0.3 + 0.7 * s.wide), 0.065 * s.thick

    def pole(p: P):
        base = smooth_union(cylinder(p.move(z=0.1), foot, 0.1, 0.04), cone(p.move(z=0.35), 0.6 * foot, post, 0.2), 0.05)
        rod = union(capsule(p, (0, 0, 0.3), (0, 0, h), post), sphere(p.move(z=h), 1.7 * post), sphere(p.move(z=0.6 * h), 1.5 * post))
        q = p.around(s.count)
        arms = union(capsule(q, (0, 0, h - 0.45), (r, 0, h - 0.35), arm), capsule(q, (r, 0, h - 0.35), (r, 0, h - 0.15), 1.2 * arm))
        return union(base, rod, arms)

    def globes(p: P):
        return sphere(p.around(s.count).move(x=r, z=h - 0.18 + ball), ball)

    back, front, side = (ring_reach(s.count, r, toward=turn) + ball for turn in (torch.pi, 0.0, torch.pi / 2))
    back, side = torch.maximum(back, foot), torch.maximum(side, foot)
    top = torch.maximum(h + 1.7 * post, h - 0.18 + 2 * ball)
    return Model([Part(pole), Part(globes, "second")], (-back, -side, 0.0), (front, side, top))


KINDS = [
    Kind("lantern", "lights", sized(lantern, 0.35), Second("glass", "yellow"), ("metal", "wood", "plastic", "gold"), ("black", "red"),
         ("oil lantern", "storm lantern"), ("stripes", "checks")),
    Kind("candelabra", "lights", sized(candelabra, 0.42), Second("candles", "cream", counts=(3, 4, 5, 6)),
         ("metal", "gold", "wood", "ceramic"), ("gray", "black"), ("candle holder", "candleholder"), ("stripes", "spots")),
    Kind("lamppost", "lights", lamppost, Second("globes", "yellow", counts=(3, 2, 4)), ("metal", "wood", "stone", "gold"),
         ("black", "green"), ("street light", "street lamp", "streetlamp"), ("stripes",)),
]  # fmt: skip
