# SPDX-License-Identifier: GPL-3.0-or-later
"""Toys and figures: snowman."""
import torch

from core.library.kind import Kind, Model, Part, Second, Style
from core.library.shapes import P, box, capsule, cylinder, ellipsoid, intersect, smooth_union, sphere, torus, union


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


KINDS = [
    Kind("snowman", "toys", snowman, Second("scarf", "red"), ("natural", "clay", "wood", "gold"), ("white", "white"),
         ("snow figure",), ("stripes", "spots")),
]  # fmt: skip
