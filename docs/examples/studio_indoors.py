# SPDX-License-Identifier: GPL-3.0-or-later
"""The made-up studio's furniture, equipment and food."""

from pathlib import Path

import numpy as np
from studio_tools import (  # fmt: skip
    around,
    array,
    asset,
    ball,
    box,
    by_attribute,
    collected,
    colored,
    instance,
    lathe,
    material,
    meshed,
    mirrored,
    modified,
    noise,
    painted,
    rgb,
    ring,
    rod,
    scattered,
    sheet,
)

# Furniture --------------------------------------------------------------------------------------------------------------------------------


@asset("furniture/stool.blend", "a wooden stool with three legs", "a round three-legged stool", other="a small milking stool of wood")
def stool(path: Path):
    wood = noise("wood", "#7a4a20", "#b98046", 3, (1, 1, 8))
    modified(rod(0.22, 0.06, (0, 0, 0.47), wood), "BEVEL", width=0.015, segments=3)
    around(rod(0.035, 0.48, (0.13, 0, 0.23), wood, turn=(0, -8, 0)), 3)


@asset("furniture/bench.glb", "a park bench with green slats", "a green garden bench", other="an outdoor seat, green, for two people")
def bench(path: Path):
    green, iron = material("paint", "#3f7d4a"), material("iron", "#2b2d31", 0.4, 1)
    array(box((1.6, 0.1, 0.04), (0, -0.2, 0.45), green, bevel=0.01), 4, (0, 0.13, 0))
    array(box((1.6, 0.04, 0.1), (0, 0.27, 0.6), green, turn=(-12, 0, 0), bevel=0.01), 3, (0, 0.03, 0.14))
    for size, at in (
        ((0.07, 0.07, 0.44), (0.68, -0.2, 0.22)),
        ((0.07, 0.07, 0.95), (0.68, 0.28, 0.47)),
        ((0.06, 0.56, 0.05), (0.68, 0, 0.4)),
    ):
        mirrored(box(size, at, iron))


@asset("furniture/armchair.blend", "a striped armchair", "a soft armchair with orange and cream stripes", other="a comfy stripy easy chair")
def armchair(path: Path):
    cloth = painted("stripes", lambda u, v: np.where((u * 6 % 1 < 0.5)[..., None], rgb("#d9772e"), rgb("#f3e3c3")))
    for size, at in (((0.7, 0.7, 0.32), (0, 0, 0.3)), ((0.9, 0.26, 0.95), (0, 0.36, 0.55))):
        modified(modified(box(size, at, cloth), "BEVEL", width=0.08, segments=3), "SUBSURF", levels=1, render_levels=1)
    arm = mirrored(box((0.22, 0.8, 0.55), (0.42, 0, 0.36), cloth))
    modified(arm, "BEVEL", width=0.07, segments=3)
    mirrored(rod(0.04, 0.1, (0.36, -0.3, 0.05), material("feet", "#3a2414")))


@asset("furniture/bookshelf.blend", "a bookshelf full of books", "a tall wooden bookcase", other="shelves stuffed with coloured books")
def bookshelf(path: Path):
    wood = material("oak", "#8c6239")
    mirrored(box((0.04, 0.3, 1.8), (0.43, 0, 0.9), wood))
    array(box((0.86, 0.3, 0.04), (0, 0, 0.05), wood), 5, (0, 0, 0.43))
    box((0.86, 0.02, 1.76), (0, 0.14, 0.9), wood)
    colors = ("#b03a2e", "#2e6da4", "#e0b13c", "#3c8c5a", "#6d3f8c")
    books = [collected(f"Book {i}", [box((0.1, 0.2, 0.3), (0, 0, 0.15), material(f"book {i}", c))]) for i, c in enumerate(colors)]
    for shelf in range(4):
        for i in range(7):
            high = 0.85 + 0.25 * ((3 * shelf + 2 * i) % 4) / 3
            instance(books[(i * 2 + shelf) % 5], (-0.34 + 0.11 * i, 0, 0.07 + 0.43 * shelf), scale=(1, 1, high))


@asset("furniture/floor_lamp.blend", "a floor lamp with a yellow shade", "a standing lamp, yellow and brass", other="a tall reading light")
def floor_lamp(path: Path):
    brass = material("brass", "#b08d3c", 0.3, 1)
    rod(0.2, 0.06, (0, 0, 0.03), brass)
    rod(0.03, 1.35, (0, 0, 0.7), brass)
    modified(lathe("Shade", [(0.32, 1.15), (0.2, 1.6)], material("shade", "#f0c64a", 0.9)), "SOLIDIFY", thickness=0.045)
    ball(0.09, (0, 0, 1.38), material("bulb", "#fff6d8", 0.2))


@asset(
    "furniture/table.blend", "a round table with a checked tablecloth", "a small table under a red and white cloth", other="a bistro table"
)
def table(path: Path):
    """An open cloth, a single sheet."""
    wood = noise("walnut", "#4a2f1b", "#6f4a2c", 3, (8, 1, 1))
    rod(0.5, 0.04, (0, 0, 0.72), wood, sides=48)
    rod(0.05, 0.7, (0, 0, 0.35), wood)
    rod(0.28, 0.05, (0, 0, 0.025), wood)
    check = painted(
        "checks", lambda u, v: np.where((((u * 12).astype(int) + (v * 12).astype(int)) % 2 == 0)[..., None], rgb("#c8322f"), 0.95)
    )

    def drape(u, v):
        x, y = 1.3 * (u - 0.5), 1.3 * (v - 0.5)
        r, angle = np.maximum(np.hypot(x, y), 1e-6), np.arctan2(y, x)
        over = (r - 0.52).clip(0)
        kept = np.minimum(r, 0.52) + 0.25 * over * (1 + 0.5 * np.cos(8 * angle))
        return kept * x / r, kept * y / r, 0.752 - 0.95 * over

    sheet("Cloth", 40, 40, drape, check)


@asset(
    "furniture/directors_chair.blend",
    "a red director's chair",
    "a folding chair of red cloth",
    other="the chair of a film director",
)
def directors_chair(path: Path):
    red, wood = material("canvas", "#c0272d", 0.9), material("beech", "#c69a62")
    sheet("Seat", 8, 4, lambda u, v: (0.56 * (u - 0.5), 0.44 * (v - 0.5), 0.45 - 0.05 * np.sin(np.pi * u)), red)
    sheet("Back", 8, 4, lambda u, v: (0.56 * (u - 0.5), 0.22 + 0.05 * np.sin(np.pi * u), 0.7 + 0.22 * v), red)
    for turn in (35, -35):
        array(box((0.72, 0.05, 0.05), (0, -0.2, 0.23), wood, turn=(0, turn, 0)), 2, (0, 0.4, 0))
    mirrored(box((0.05, 0.46, 0.05), (0.28, 0, 0.46), wood))
    mirrored(box((0.05, 0.05, 0.5), (0.28, 0.22, 0.7), wood))
    mirrored(box((0.07, 0.44, 0.04), (0.28, 0, 0.66), wood))


# The studio -------------------------------------------------------------------------------------------------------------------------------


@asset("studio/camera.blend", "a film camera on a tripod", "a black cinema camera", other="a movie camera standing on three legs")
def camera(path: Path):
    black, grey, glass = material("black", "#26282c", 0.5), material("grey", "#6d7278", 0.4, 1), material("lens", "#24427a", 0.1)
    box((0.24, 0.5, 0.3), (0, 0, 1.3), black, bevel=0.02)
    rod(0.1, 0.22, (0, -0.34, 1.3), grey, turn=(90, 0, 0), top=0.13)
    rod(0.115, 0.02, (0, -0.45, 1.3), glass, turn=(90, 0, 0))
    array(rod(0.17, 0.09, (0, -0.13, 1.6), black, turn=(0, 90, 0)), 2, (0.36, 0, 0)).rotation_euler = (0, np.pi / 2, np.pi / 2)
    around(rod(0.035, 1.2, (0, 0.24, 0.57), grey, turn=(22, 0, 0)), 3)
    box((0.2, 0.2, 0.06), (0, 0, 1.13), grey)


@asset("studio/clapperboard.glb", "a clapperboard", "a black and white film slate", other="a clapper for shooting a scene")
def clapperboard(path: Path):
    def slate(u, v):
        lines = (np.abs(v * 4 % 1 - 0.5) > 0.46) & (v > 0.05) | (np.abs(u - 0.5) < 0.02) & (v > 0.5)
        return np.where(lines[..., None], 0.92, rgb("#22262b"))

    stripes = painted("sticks", lambda u, v: np.where(((u * 5 + v * 0.7) % 1 < 0.5)[..., None], 0.95, rgb("#17191c")))
    box((0.34, 0.04, 0.26), (0, 0, 0.15), painted("slate", slate), bevel=0.004)
    box((0.36, 0.05, 0.05), (0, 0, 0.3), stripes)
    box((0.36, 0.05, 0.05), (0.01, 0, 0.39), stripes, turn=(0, -14, 0))


@asset("studio/loudspeaker.obj", "a loudspeaker", "a black speaker box", other="a big audio speaker", split="unseen")
def loudspeaker(path: Path):
    box((0.4, 0.36, 0.75), (0, 0, 0.375), material("case", "#3b2a20"), bevel=0.02)
    for radius, z in ((0.15, 0.24), (0.08, 0.55)):
        ring(radius, 0.02, (0, -0.19, z), material("rim", "#9aa0a6", 0.3, 1), turn=(90, 0, 0))
        ball(radius, (0, -0.18, z), material("cone", "#15171a"), scale=(1, 0.25, 1))


@asset("studio/signpost.glb", "a wooden signpost with three arrows", "a post with coloured arrow signs", other="signs that point the way")
def signpost(path: Path):
    box((0.12, 0.12, 2.0), (0, 0, 1.0), material("post", "#7a5836"))
    for color, z, way in (("#d8433a", 1.75, 1), ("#3f7fc4", 1.4, -1), ("#e3b53a", 1.05, 1)):
        border = painted(f"sign {z}", lambda u, v, c=color: np.where(((u - 0.5) ** 2 + (v - 0.5) ** 2 < 0.14)[..., None], rgb(c), 0.96))
        outline = np.array(((-0.4, 0), (0.35, 0), (0.55, 0.13), (0.35, 0.26), (-0.4, 0.26))) * (way, 1)
        order = list(range(5))[:: -1 if way < 0 else 1]
        item = meshed("Arrow", [(x, -0.08, z + y) for x, y in outline], [order], border, outline * way / (0.95, 0.26) + (0.42, 0))
        modified(item, "SOLIDIFY", thickness=0.05)


# Food -------------------------------------------------------------------------------------------------------------------------------------


@asset("food/burger.blend", "a hamburger", "a burger with cheese and salad", other="fast food in a sesame bun")
def burger(path: Path):
    bun = material("bun", "#c98a45", 0.7)
    lathe("Lower", [(0.0, 0.0), (0.11, 0.0), (0.125, 0.015), (0.12, 0.035), (0.0, 0.035)], bun)
    rod(0.125, 0.03, (0, 0, 0.055), noise("meat", "#3d2115", "#5f3823", 60), sides=32)
    box((0.19, 0.19, 0.008), (0, 0, 0.074), material("cheese", "#f2b632"), turn=(0, 0, 20))
    green = material("salad", "#7bb040")
    sheet("Salad", 40, 2, lambda u, v: ((0.1 + 0.035 * v) * np.cos(6.2832 * u), (0.1 + 0.035 * v) * np.sin(6.2832 * u),
                                        0.084 + 0.012 * v * np.sin(75 * u)), green)  # fmt: skip
    rod(0.115, 0.014, (0, 0, 0.088), material("tomato", "#c8322a"), sides=32)
    top = ball(0.125, (0, 0, 0.1), bun, scale=(1, 1, 0.65))
    scattered(top, ball(0.006, (0, 0, 0), material("sesame", "#f3e4bd"), scale=(1, 0.7, 0.6)), 500, 1.0)


@asset("food/pizza.glb", "a pizza with pepperoni slices", "a round pizza", other="an italian pie with salami")
def pizza(path: Path):
    def top(u, v):
        x, y = 2 * u - 1, 2 * v - 1
        color = np.where((np.sin(19 * x + 3) * np.sin(23 * y) > 0.3)[..., None], rgb("#f6d884"), rgb("#e9b44c"))
        for r, a in ((0.0, 0.0), *((0.52, 1.05 * k) for k in range(6))):
            near = np.hypot(x - r * np.cos(a), y - r * np.sin(a)) < 0.17
            color = np.where(near[..., None], rgb("#b4281e"), color)
        return np.where((np.hypot(x, y) > 0.9)[..., None], rgb("#c98f4a"), color)

    crust = material("crust", "#c98f4a", 0.9)
    rod(0.155, 0.016, (0, 0, 0.008), crust, sides=48)
    ring(0.15, 0.014, (0, 0, 0.016), crust)
    angles = np.arange(48) * 2 * np.pi / 48
    circle = np.stack((np.cos(angles), np.sin(angles)), -1)
    meshed("Top", np.column_stack((0.15 * circle, np.full(48, 0.0175))), [list(range(48))], painted("pizza", top, 256), circle / 2 + 0.5)


@asset("food/donut.blend", "a donut with pink icing", "a pink doughnut with sprinkles", other="a sweet ring of dough, glazed")
def donut(path: Path):
    ring(0.04, 0.022, (0, 0, 0.022), noise("dough", "#b9783c", "#d29a58", 30))
    icing = ring(0.04, 0.0225, (0, 0, 0.027), material("icing", "#f08bb4", 0.3), scale=(1, 1, 0.9))
    bits = collected("Sprinkles", [rod(0.0016, 0.009, (0, 0, 0.001), material("sprinkle", "#3aa0d8"), turn=(90, 0, 0), sides=6)])
    sprinkle = bits.objects[0]
    upper = sheet("Upper", 24, 3, lambda u, v: ((0.033 + 0.015 * v) * np.cos(6.2832 * u), (0.033 + 0.015 * v) * np.sin(6.2832 * u),
                                                 np.full_like(u, 0.0462)), icing.data.materials[0])  # fmt: skip
    scattered(upper, sprinkle, 9000, 1.0, upright=True)


@asset("food/ice_cream.ply", "an ice cream cone", "two scoops of ice cream in a waffle", other="a frozen dessert, strawberry and mint")
def ice_cream(path: Path):
    """One mesh whose colours are an attribute."""
    mat = by_attribute()
    parts = [rod(0.004, 0.13, (0, 0, 0.065), mat, top=0.038), ball(0.042, (0, 0, 0.15), mat), ball(0.036, (0, 0, 0.2), mat)]
    colors = [lambda p: np.where(((p[:, :1] * 90 + p[:, 2:] * 90).astype(int) % 2 == 0), rgb("#d69a4e"), rgb("#c07f34"))]
    colors += [lambda p: np.tile(rgb("#f2a0b5"), (len(p), 1)), lambda p: np.tile(rgb("#a9dcb4"), (len(p), 1))]
    for item, color in zip(parts, colors, strict=True):
        colored(item.data, color)


@asset("food/cake.blend", "a birthday cake with candles", "a white cake with red cherries", other="a party tart with lights on it")
def cake(path: Path):
    cream, red = material("cream", "#f7eedd", 0.8), material("cherry", "#b8182c", 0.2)
    modified(rod(0.15, 0.1, (0, 0, 0.06), cream, sides=48), "BEVEL", width=0.012, segments=3)
    rod(0.19, 0.012, (0, 0, 0.006), material("plate", "#8fb7d9", 0.2), sides=48)
    ring(0.15, 0.014, (0, 0, 0.02), material("chocolate", "#5a3320"))
    around(ball(0.02, (0.115, 0, 0.118), red), 9)
    around(rod(0.008, 0.07, (0.06, 0, 0.145), material("candle", "#5fa8dc"), sides=12), 5)
    around(ball(0.009, (0.06, 0, 0.188), material("flame", "#ffb52b"), scale=(1, 1, 1.5)), 5)
