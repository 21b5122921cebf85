# SPDX-License-Identifier: GPL-3.0-or-later
"""Two kinds that show how the others are written."""
from core.library.kind import Kind, Model, Part, Second, Style
from core.library.shapes import P, capsule, cylinder, ellipsoid, lathe, smooth_subtract, subtract, union  # noqa: F401


def mushroom(s: Style) -> Model:
    cap, stem = 0.16 * s.wide * s.vary(0, 0.9, 1.1), 0.055 * s.thick * s.wide * s.vary(1, 0.85, 1.2)
    height, dome = 0.19 * s.tall * s.vary(2, 0.85, 1.15), 0.13 * s.tall

    def cap_distance(p: P):
        q = p.move(z=height)
        return smooth_subtract(ellipsoid(q, cap, cap, dome), ellipsoid(q.move(z=-0.03), cap * 0.93, cap * 0.93, 0.06), 0.02)

    def stem_distance(p: P):
        return lathe(p, [(0, 0), (stem * 1.15, 0), (stem * 0.8, height * 0.6), (stem, height + 0.05), (0, height + 0.05)], 0.012)

    return Model([Part(cap_distance), Part(stem_distance, "second")], (-cap, -cap, -0.012), (cap, cap, height + dome))


def barrel(s: Style) -> Model:
    r, h = 0.3 * s.wide, 0.45 * s.tall
    end = r * s.vary(0, 0.76, 0.88)
    hoop = 0.045 * s.thick

    def bulge(z):  # radius of the staves at height z
        return end + (r - end) * (1 - (z / h) ** 2)

    def body(p: P):
        d = lathe(p, [(0, -h), *((bulge(h * t), h * t) for t in (-1, -0.66, -0.33, 0, 0.33, 0.66, 1)), (0, h)])
        return subtract(d, cylinder(p.move(z=h), end * 0.86, 0.03))

    def hoops(p: P):
        at = s.vary(1, 0.5, 0.62)
        return union(*(cylinder(p.move(z=sign * at * h), bulge(at * h) + 0.018, hoop, 0.01) for sign in (-1, 1)))

    top = bulge(0.56 * h) * 0 + r
    return Model([Part(body), Part(hoops, "second")], (-top, -top, -h), (top, top, h))


KINDS = [
    Kind("mushroom", "plants", mushroom, Second("stem", "cream"), ("natural", "ceramic", "wood", "gold"), ("red", "brown"),
         ("toadstool",), ("spots", "stripes")),
    Kind("barrel", "containers", barrel, Second("hoops", "gray"), ("wood", "metal", "gold", "plastic"), ("brown", "orange"),
         ("cask", "keg"), ("grain", "stripes")),
]
