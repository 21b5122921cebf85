# SPDX-License-Identifier: GPL-3.0-or-later
"""Animals: fish, snail, cat, penguin. They look towards +x."""

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import P, capsule, ellipsoid, extrude, length, polygon, smooth_union, sphere, torus, union


def fish(s: Style) -> Model:
    ry, rz = 0.17 * s.wide * (0.5 + 0.5 * s.thick) * s.vary(0, 0.9, 1.1), 0.27 * s.tall * s.vary(1, 0.92, 1.08)
    t, k, tail = 0.04 * s.thick, 0.025, 0.29 * s.tall * s.vary(2, 0.88, 1.12)
    top = rz + 0.15 * s.tall
    fin_y, turn = ry + 0.05, 0.7

    def body(p: P):
        stalk = capsule(p, (-0.25, 0, 0), (-0.55, 0, 0), 0.12, 0.06)
        return smooth_union(ellipsoid(p, 0.42, ry, rz), stalk, 0.1)

    def fins(p: P):
        fork = [(-0.48, 0 * tail), (-0.78 + k, tail - k), (-0.68, 0 * tail), (-0.78 + k, k - tail)]
        back = [(0.14, 0.5 * rz), (-0.06, top - k), (-0.24, top - k), (-0.3, 0.4 * rz)]
        under = [(-0.02, -0.7 * rz), (-0.2, -rz - 0.1 * s.tall), (-0.26, -0.5 * rz)]
        flat = union(*(polygon(p.x, p.z, points) - k for points in (fork, back, under)))
        side = ellipsoid(p.mirror("y").move(0.03, fin_y, -0.3 * rz).rotate("x", -turn), 0.1, 0.13, 0.035 * s.thick)
        return union(extrude(flat, p.y, t, 0.02), side)

    def eyes(p: P, grow: float, out: float):
        return sphere(p.mirror("y").move(0.26 + out, 0.72 * ry + out, 0.25 * rz), grow)

    parts = [Part(body), Part(fins, "second"), Part(lambda p: eyes(p, 0.065, 0.0), "white"), Part(lambda p: eyes(p, 0.045, 0.03), "black")]
    side = fin_y + torch.sqrt((0.13 * torch.cos(torch.tensor(turn))) ** 2 + (0.035 * s.thick * torch.sin(torch.tensor(turn))) ** 2)
    low = torch.maximum(tail, rz + 0.1 * s.tall + k)
    return Model(parts, (-0.78, -side, -low), (0.42, side, torch.maximum(top, tail)))


def snail(s: Style) -> Model:
    r, flat = 0.34 * (0.4 + 0.6 * s.tall) * s.vary(0, 0.9, 1.1), 0.23 * s.wide * (0.5 + 0.5 * s.thick)
    stalk, eye, up = 0.034 * s.thick, 0.055, 0.74 * s.tall * s.vary(1, 0.93, 1.07)
    head, at = 0.44 * s.tall, -s.vary(2, 0.06, 0.18)

    def body(p: P):
        q = p.scale(y=s.wide)
        sole = union(capsule(q, (-0.62, 0, 0.05), (0.1, 0, 0.1), 0.05, 0.12), capsule(q, (0.1, 0, 0.1), (0.44, 0, 0.12), 0.12, 0.11))
        neck = smooth_union(capsule(q, (0.43, 0, 0.14), (0.53, 0, head), 0.11, 0.09), sphere(q.move(0.54, 0, head), 0.115), 0.04)
        horns = capsule(q.mirror("y"), (0.56, 0.04, head), (0.62, 0.13, up), stalk)
        return torch.maximum(union(smooth_union(sole, neck, 0.06), horns), -p.z)

    def shell(p: P):
        q = p.move(at, 0, 0.1 + 0.95 * r)
        swirl = length(q.x, q.z) * (2.4 / r) - torch.atan2(q.z, q.x) / (2 * torch.pi)
        return ellipsoid(q, r, flat, r) + 0.012 * (1 + torch.cos(2 * torch.pi * swirl))

    def eyes(p: P):
        return sphere(p.scale(y=s.wide).mirror("y").move(0.62, 0.13, up), eye)

    side = torch.maximum((0.13 + eye) * s.wide, flat)
    back = torch.maximum(r - at, torch.full_like(r, 0.67))
    return Model([Part(body), Part(shell, "second"), Part(eyes, "black")], (-back, -side, 0.0),
                 (0.62 + eye, side, torch.maximum(up + eye, 0.1 + 1.95 * r)))  # fmt: skip


def cat(s: Style) -> Model:
    w, head = s.wide * s.vary(0, 0.93, 1.07), 0.88 * s.tall
    skull, limb, tail = 0.22 * s.vary(1, 0.93, 1.07), 0.068 * (0.4 + 0.6 * s.thick), 0.06 * (0.3 + 0.7 * s.thick)
    ear = head + 0.3 * s.vary(2, 0.92, 1.1)

    def fur(p: P):
        q = p.mirror("y")
        trunk = smooth_union(ellipsoid(p.move(-0.05, 0, 0.36 * s.tall), 0.26, 0.23 * w, 0.37 * s.tall),
                             ellipsoid(p.move(0.07, 0, 0.45 * s.tall), 0.17, 0.17 * w, 0.33 * s.tall), 0.08)  # fmt: skip
        haunch = union(ellipsoid(q.move(-0.04, 0.19 * w, 0.17), 0.2, 0.1 * w, 0.17),
                       ellipsoid(q.move(0.14, 0.23 * w, 0.05), 0.11, 0.065, 0.055))  # fmt: skip
        legs = union(capsule(q, (0.17, 0.09 * w, 0.07), (0.12, 0.09 * w, 0.5 * s.tall), limb),
                     ellipsoid(q.move(0.21, 0.09 * w, 0.05), 0.09, 0.065, 0.055))  # fmt: skip
        skin = ellipsoid(p.move(0.11, 0, head), 0.2, skull, 0.185)
        ears = capsule(q, (0.09, 0.55 * skull, head + 0.1), (0.08, 0.8 * skull, ear - 0.03), 0.09, 0.03)
        curl = union(capsule(p, (-0.22, 0.0, 0.1), (-0.36, 0.2, tail), tail), capsule(p, (-0.36, 0.2, tail), (-0.24, 0.36 * w, tail), tail),
                     capsule(p, (-0.24, 0.36 * w, tail), (0.04, 0.39 * w, tail), tail))  # fmt: skip
        whole = smooth_union(smooth_union(trunk, union(haunch, legs), 0.04), smooth_union(skin, ears, 0.03), 0.06)
        return torch.maximum(smooth_union(whole, curl, 0.03), -p.z)

    def muzzle(p: P):
        return union(ellipsoid(p.mirror("y").move(0.28, 0.045, head - 0.06), 0.06, 0.06, 0.05), sphere(p.move(0.27, 0, head - 0.1), 0.045))

    def dark(p: P):
        eyes = ellipsoid(p.mirror("y").move(0.265, 0.42 * skull, head + 0.04), 0.04, 0.035, 0.05)
        return union(eyes, ellipsoid(p.move(0.335, 0, head - 0.03), 0.022, 0.032, 0.022))

    def collar(p: P):
        return torus(p.move(0.09, 0, head - 0.17).rotate("y", 0.25).scale(y=w), 0.155, 0.045)

    def bell(p: P):
        return sphere(p.move(0.26, 0, head - 0.24), 0.05)

    parts = [Part(fur), Part(muzzle, "cream"), Part(dark, "black"), Part(collar, "second", s.second), Part(bell, "brass", s.second)]
    right = torch.maximum(0.29 * w, 0.23 * w + 0.065)
    side = torch.maximum(right, skull)
    return Model(parts, (-0.36 - tail, -side, 0.0), (0.357, torch.maximum(side, 0.39 * w + tail), ear))


def penguin(s: Style) -> Model:
    ry, rz = 0.29 * s.wide * s.vary(0, 0.93, 1.07), 0.45 * s.tall
    head, skull = 0.93 * s.tall, 0.2 * s.vary(1, 0.93, 1.07)
    wing, reach = 0.065 * s.thick, ry + 0.17 * s.vary(2, 0.7, 1.3)
    beak = 0.11 + skull + 0.14

    def coat(p: P):
        trunk = smooth_union(ellipsoid(p.move(z=rz), 0.26, ry, rz), sphere(p.move(0.02, 0, head), skull), 0.08)
        arms = capsule(p.mirror("y"), (0, 0.75 * ry, 0.72 * s.tall), (0.0, reach - 0.8 * wing, 0.34 * s.tall), 1.2 * wing, 0.8 * wing)
        return union(trunk, arms)

    def belly(p: P):
        face = ellipsoid(p.mirror("y").move(0.1, 0.36 * skull, head + 0.02), 0.6 * skull, 0.45 * skull, 0.5 * skull)
        return union(ellipsoid(p.move(0.06, 0, 0.93 * rz), 0.225, 0.82 * ry, 0.84 * rz), face)

    def orange(p: P):
        bill = capsule(p, (0.16, 0, head - 0.03), (beak - 0.02, 0, head - 0.05), 0.065, 0.025)
        return union(bill, ellipsoid(p.mirror("y").move(0.13, 0.5 * ry, 0.04), 0.17, 0.1, 0.045))

    def eyes(p: P):
        return sphere(p.mirror("y").move(0.09 + 0.55 * skull, 0.42 * skull, head + 0.05), 0.035)

    parts = [Part(coat), Part(belly, "white"), Part(orange, "second"), Part(eyes, "black")]
    return Model(parts, (-0.26, -reach, -0.005), (torch.maximum(beak + 0.005, torch.full_like(beak, 0.3)), reach, head + skull))


KINDS = [
    Kind("fish", "animals", sized(fish, 0.3), Second("fins", "yellow"), ("natural", "ceramic", "plastic", "wood", "gold"),
         ("orange", "blue"), ("tropical fish", "reef fish"), ("stripes", "spots", "checks")),
    Kind("snail", "animals", sized(snail, 0.2), Second("shell", "brown"), ("natural", "ceramic", "clay", "plastic", "gold"),
         ("cream", "orange"), ("garden snail",), ("spots", "stripes")),
    Kind("cat", "animals", sized(cat, 0.42), Second("collar", "red", optional=True), ("natural", "ceramic", "fabric", "wood", "gold"),
         ("orange", "gray"), ("kitten", "kitty"), ("stripes", "spots", "checks")),
    Kind("penguin", "animals", sized(penguin, 0.7), Second("beak", "orange"), ("natural", "ceramic", "fabric", "plastic", "gold"),
         ("black", "blue"), ("emperor penguin",), ("spots", "stripes")),
]  # fmt: skip
