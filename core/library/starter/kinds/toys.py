# SPDX-License-Identifier: GPL-3.0-or-later
"""Toys and figures: snowman, duck, robot, teddy, dice."""

import torch

from core.library.starter.kind import Kind, Model, Part, Second, Style, sized
from core.library.starter.shapes import (
    P,
    box,
    capsule,
    cylinder,
    ellipsoid,
    intersect,
    length,
    smooth_union,
    sphere,
    subtract,
    torus,
    union,
)


def snowman(s: Style) -> Model:
    a, b, c = 0.47 * s.vary(0, 0.92, 1.1), 0.35 * s.vary(1, 0.92, 1.08), 0.27  # radii of the three balls
    low, mid, head = 0.86 * a * s.tall, (1.55 * a + 0.72 * b) * s.tall, (1.55 * a + 1.3 * b + 0.72 * c) * s.tall
    brim = head + 0.72 * c * s.tall
    top = brim + 0.34 * s.tall * s.vary(2, 0.8, 1.2)
    stick, reach = 0.055 * s.thick, b * s.wide + 0.38

    def balls(p: P):
        lower = ellipsoid(p.move(z=low), a * s.wide, a * s.wide, a * s.tall)
        middle = ellipsoid(p.move(z=mid), b * s.wide, b * s.wide, b * s.tall)
        upper = ellipsoid(p.move(z=head), c * s.wide, c * s.wide, c * s.tall)
        return intersect(union(smooth_union(lower, middle, 0.06), upper), -p.z)

    def scarf(p: P):
        z, ring = (mid + head) / 2 + 0.1 * (head - mid), 0.74 * c * s.wide
        end = box(p.move(0.9 * b * s.wide, 0.13 * s.wide, z - 0.16 * s.tall), 0.1, 0.085 * s.thick, 0.2 * s.tall, 0.04)
        return union(torus(p.move(z=z).scale(z=s.tall), ring, 0.1 * s.thick), end)

    def nose(p: P):
        x = c * s.wide
        return capsule(p, (x - 0.05, 0.0, head), (x + 0.24, 0.0, head - 0.02), 0.075 * s.thick, 0.035)

    def coal(p: P):
        eyes = ellipsoid(p.mirror("y").move(0.86 * c * s.wide, 0.105 * s.wide, head + 0.36 * c * s.tall), 0.055, 0.05, 0.055)
        spots = ((0.985 * b, mid + 0.03), (0.94 * b, mid - 0.36 * b * s.tall), (0.97 * a, low + 0.2 * a * s.tall))
        buttons = [sphere(p.move(x * s.wide, 0.0, z), 0.055) for x, z in spots]
        return union(eyes, *buttons)

    def arms(p: P):
        q = p.mirror("y")
        y, z = 0.75 * b * s.wide, mid + 0.1 * b * s.tall
        arm = capsule(q, (0.0, y, z), (0.0, reach - stick, z + 0.26 * s.tall), stick)
        twig = capsule(q, (0.0, reach - 0.2, z + 0.12 * s.tall), (0.0, reach - stick, z + 0.02), stick * 0.9)
        return union(arm, twig)

    def hat(p: P):
        rim = cylinder(p.move(z=brim), 0.3 * s.wide, 0.06 * s.thick, 0.03)
        return union(rim, cylinder(p.move(z=(brim + top) / 2), 0.2 * s.wide, (top - brim) / 2, 0.03))

    parts = [Part(balls), Part(scarf, "second"), Part(nose, "orange"), Part(coal, "black"), Part(arms, "dark_wood"), Part(hat, "black")]
    front = torch.maximum(0.97 * a * s.wide + 0.055, c * s.wide + 0.275)
    return Model(parts, (-a * s.wide, -reach, 0.0), (front, reach, top))


def duck(s: Style) -> Model:
    rx, ry, rz = 0.46 * s.vary(0, 0.92, 1.1), 0.37 * s.wide, 0.3 * s.tall
    head, ball = 0.78 * s.tall, 0.27 * s.vary(1, 0.9, 1.1)
    front, low = 0.17 * rx / 0.46, 0.85 * rz
    bill = front + ball + 0.17
    tail = -rx - 0.1

    def body(p: P):
        trunk = ellipsoid(p.move(z=low), rx, ry, rz)
        tip = capsule(p, (-0.55 * rx, 0.0, low + 0.3 * rz), (tail + 0.07, 0.0, low + 0.95 * rz), 0.17, 0.07)
        neck = capsule(p, (front * 0.9, 0.0, low), (front, 0.0, head), 0.16)
        skull = ellipsoid(p.move(front, 0.0, head), ball, ball * s.wide**0.5, ball)
        whole = smooth_union(smooth_union(trunk, tip, 0.15), neck, 0.1)
        return intersect(smooth_union(whole, skull, 0.08), -p.z)

    def wings(p: P):
        q = p.mirror("y").move(-0.12 * rx, 0.86 * ry, low + 0.3 * rz).rotate("y", 0.25)
        return ellipsoid(q, 0.52 * rx, 0.12 * s.thick, 0.5 * rz)

    def beak(p: P):
        q = p.move(front + ball, 0.0, head - 0.06)
        upper = ellipsoid(q.move(z=0.02).rotate("y", -0.12), 0.17, 0.16 * s.wide, 0.06 * s.thick)
        return union(upper, ellipsoid(q.move(-0.03, 0.0, -0.05).rotate("y", 0.2), 0.15, 0.13 * s.wide, 0.05 * s.thick))

    def eyes(p: P):
        q = p.mirror("y").move(front + 0.74 * ball, 0.5 * ball * s.wide**0.5, head + 0.36 * ball)
        return ellipsoid(q, 0.05, 0.045, 0.065)

    side = torch.maximum(ry, 0.86 * ry + 0.12 * s.thick)
    parts = [Part(body), Part(wings), Part(beak, "second"), Part(eyes, "black")]
    return Model(parts, (tail, -side, 0.0), (torch.maximum(bill, rx), side, head + ball))


def robot(s: Style) -> Model:
    w, d = 0.42 * s.wide * s.vary(0, 0.9, 1.12), 0.32 * s.wide  # half width and depth of the trunk
    hip, chest = 0.42 * s.tall, 1.16 * s.tall
    jaw, top = 1.26 * s.tall, 1.78 * s.tall * s.vary(1, 0.96, 1.05)
    face, mid = 0.88 * w * s.vary(2, 0.88, 1.15), (jaw + top) / 2
    limb, reach, wrist = 0.095 * s.thick, w + 0.36, hip + 0.33 * s.tall
    eye = mid + 0.05

    def shell(p: P):
        trunk = box(p.move(z=(hip + chest) / 2), d, w, (chest - hip) / 2, 0.1)
        return union(trunk, box(p.move(z=mid), d * 0.92, face, (top - jaw) / 2, 0.1))

    def steel(p: P):
        q = p.mirror("y")
        neck = cylinder(p.move(z=(jaw + chest) / 2), 0.17 * s.wide, (jaw - chest) / 2 + 0.05)
        ears = cylinder(P(q.x, q.z - mid, q.y - face), 0.11, 0.08 * s.thick, 0.03)
        legs = cylinder(q.move(0.0, 0.5 * w, (hip + 0.05) / 2), limb, hip / 2 + 0.02)
        arms = capsule(q, (0.0, w - 0.03, chest - 0.18), (0.0, reach - 0.14, wrist), limb)
        return union(neck, ears, legs, arms)

    def hands(p: P):
        q = p.mirror("y")
        ring = P(q.y - reach + 0.11 + 0.06 * s.thick, q.z - wrist + 0.17, q.x)  # open below
        claw = subtract(torus(ring, 0.11, 0.06 * s.thick), box(ring.move(y=-0.14), 0.06, 0.1, 0.3))
        feet = box(q.move(0.06, 0.5 * w, 0.09), 0.24, 0.18 * s.wide, 0.09, 0.06)
        return union(claw, feet)

    def antenna(p: P):
        return union(capsule(p, (0.0, 0.0, top - 0.1), (0.0, 0.0, top + 0.2), 0.055 * s.thick), sphere(p.move(z=top + 0.22), 0.11))

    def screen(p: P):
        return box(p.move(d * 0.92, 0.0, eye - 0.02), 0.05, face * 0.82, (top - jaw) / 2 * 0.66, 0.03)

    def lights(p: P):
        return cylinder(P(p.z - eye, p.y.abs() - 0.42 * face, p.x - d * 0.92), 0.1, 0.09, 0.03)

    def panel(p: P):
        return box(p.move(d, 0.0, (hip + chest) / 2 + 0.03), 0.045, 0.62 * w, 0.24 * s.tall, 0.03)

    def knobs(p: P):
        return sphere(p.mirror("y").move(d + 0.02, 0.3 * w, (hip + chest) / 2 + 0.12 * s.tall), 0.075)

    parts = [Part(shell), Part(steel, "steel"), Part(hands, "iron"), Part(antenna, "second"), Part(screen, "black"), Part(lights, "yellow"),
             Part(panel, "white"), Part(knobs, "red")]  # fmt: skip
    back = torch.maximum(d, torch.full_like(d, 0.18))
    return Model(parts, (-back, -reach, 0.0), (torch.maximum(d + 0.095, torch.full_like(d, 0.3)), reach, top + 0.33))


def teddy(s: Style) -> Model:
    w = 0.29 * s.wide * s.vary(0, 0.92, 1.1)
    low, rz = 0.28 * s.tall, 0.31 * s.tall
    ball = 0.27 * s.vary(1, 0.93, 1.08)
    head, skull = low + 0.78 * rz + 0.78 * ball, ball * s.wide.sqrt()
    ear, limb = 0.115 * s.vary(2, 0.88, 1.15), 0.115 * s.thick
    ear_y, ear_z = 0.78 * skull, head + 0.76 * ball
    foot_y, toe = 0.85 * w + 0.03, 0.5

    def fur(p: P):
        q = p.mirror("y")
        trunk = ellipsoid(p.move(z=low), 0.9 * w, w, rz)
        arms = capsule(q, (0.02, 0.8 * w, low + 0.45 * rz), (0.24, 1.02 * w + 0.06, low - 0.05 * rz), limb * 0.95)
        legs = capsule(q, (0.05, 0.6 * w, limb), (toe - 0.16, foot_y, limb), limb)
        soles = ellipsoid(q.move(toe - 0.12, foot_y, limb * 1.3), 0.1, limb * 1.3, limb * 1.3)
        face = ellipsoid(p.move(0.03, 0.0, head), ball * 0.93, skull, ball * 0.92)
        ears = ellipsoid(q.move(0.0, ear_y, ear_z), 0.075, ear, ear)
        limbs = smooth_union(arms, smooth_union(legs, soles, 0.03), 0.05)
        return intersect(smooth_union(smooth_union(trunk, limbs, 0.05), smooth_union(face, ears, 0.03), 0.09), -p.z)

    def pads(p: P):
        q = p.mirror("y")
        muzzle = ellipsoid(p.move(0.03 + 0.85 * ball, 0.0, head - 0.25 * ball), 0.12, 0.14 * s.wide.sqrt(), 0.11)
        inner = ellipsoid(q.move(0.06, ear_y, ear_z), 0.035, ear * 0.6, ear * 0.6)
        return union(muzzle, inner, ellipsoid(q.move(toe - 0.035, foot_y, limb * 1.3), 0.035, limb * 0.85, limb * 0.85))

    def dots(p: P):
        nose = ellipsoid(p.move(0.13 + 0.85 * ball, 0.0, head - 0.1 * ball), 0.045, 0.06, 0.045)
        return union(nose, sphere(p.mirror("y").move(0.03 + 0.83 * ball, 0.38 * skull, head + 0.22 * ball), 0.042))

    def bow(p: P):
        q = p.mirror("y").move(0.62 * w + 0.05, 0.0, low + 0.7 * rz)
        wing = capsule(q, (0.0, 0.02, 0.0), (0.0, 0.15, 0.0), 0.04, 0.09 * s.thick)
        back = capsule(q, (-0.12, 0.0, 0.0), (-0.06, 0.14, 0.02), 0.11)  # fills the crevices behind the wings
        return union(wing, back, sphere(q, 0.065 * s.thick))

    parts = [Part(fur), Part(pads, "cream"), Part(dots, "black"), Part(bow, "second", s.second)]
    side = torch.maximum(torch.maximum(ear_y + ear, 1.02 * w + 0.06 + limb * 0.95), foot_y + 1.3 * limb)
    return Model(parts, (-torch.maximum(0.9 * w, 0.93 * ball - 0.03), -side, 0.0), (toe, side, ear_z + ear))


def dice(s: Style) -> Model:
    x, y, z = 0.5 * s.wide, 0.5 * s.wide, 0.5 * s.tall
    rounding, pip = s.vary(0, 0.1, 0.2), s.vary(1, 0.09, 0.115)
    depth, off = 0.016, 0.23

    def disc(u, v):
        return length(u, v) - pip

    def faces(p: P):  # pips as prisms that go in from the faces
        a, b, c = p.x / s.wide, p.y / s.wide, p.z / s.tall

        def pair(u, v):  # on the diagonal
            turn = torch.where(u + v < 0, -1.0, 1.0)
            return disc(u * turn - off, v * turn - off)

        def four(u, v):
            return disc(u.abs() - off, v.abs() - off)

        def on(out, flat):
            return torch.maximum(flat, depth - out)

        five, three = torch.minimum(four(a, b), disc(a, b)), torch.minimum(pair(b, c), disc(b, c))
        six = torch.minimum(four(a, c), disc(a.abs() - off, c))
        up = torch.where(p.z > 0, on(p.z - z + 2 * depth, five), on(-p.z - z + 2 * depth, pair(a, b)))
        front = torch.where(p.x > 0, on(p.x - x + 2 * depth, three), on(-p.x - x + 2 * depth, four(b, c)))
        return union(up, front, torch.where(p.y > 0, on(p.y - y + 2 * depth, six), on(-p.y - y + 2 * depth, disc(a, c))))

    def cube(p: P):
        return subtract(box(p, x, y, z, rounding), faces(p))

    def pips(p: P):
        return box(p, x - 0.8 * depth, y - 0.8 * depth, z - 0.8 * depth, rounding)

    return Model([Part(cube), Part(pips, "second")], (-x, -y, -z), (x, y, z))


KINDS = [
    Kind("snowman", "toys", snowman, Second("scarf", "red"), ("natural", "clay", "wood", "gold"), ("white", "cream"),
         ("snow figure",), ("stripes", "spots")),
    Kind("duck", "toys", sized(duck, 0.15), Second("beak", "orange"), ("plastic", "ceramic", "wood", "gold"), ("yellow", "white"),
         ("rubber duck", "duckling", "bath duck"), ("spots", "stripes", "checks")),
    Kind("robot", "toys", sized(robot, 0.5), Second("antenna", "red"), ("metal", "plastic", "wood", "gold"), ("gray", "teal"),
         ("android", "droid", "toy robot"), ("stripes", "checks", "spots")),
    Kind("teddy", "toys", sized(teddy, 0.45), Second("bow", "red", optional=True), ("fabric", "plastic", "wood", "gold"),
         ("brown", "cream"), ("teddy bear", "plush bear"), ("spots", "stripes", "checks")),
    Kind("dice", "toys", sized(dice, 0.1), Second("pips", "black"), ("plastic", "wood", "marble", "gold"), ("white", "red"),
         ("die", "game dice"), ("checks", "grain"), ("tall", "short", "wide", "narrow")),
]  # fmt: skip
