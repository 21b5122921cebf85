# SPDX-License-Identifier: GPL-3.0-or-later
"""What the made-up studio has for the outdoors, and odd things that are hard to import."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
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
    save,
    scattered,
    sheet,
)

# The street -------------------------------------------------------------------------------------------------------------------------------


@asset("street/traffic_cone.obj", "a traffic cone", "an orange and white road cone", other="a pylon that closes a street")
def traffic_cone(path: Path):
    orange, white = material("orange", "#f2641f"), material("white", "#f5f5f0")
    box((0.4, 0.4, 0.04), (0, 0, 0.02), orange, bevel=0.01)
    radius = lambda z: 0.15 - 0.2 * (z - 0.04)  # noqa: E731
    for low, high, mat in ((0.04, 0.2, orange), (0.2, 0.34, white), (0.34, 0.48, orange), (0.48, 0.58, white), (0.58, 0.68, orange)):
        rod(radius(low), high - low, (0, 0, (low + high) / 2), mat, top=radius(high), sides=32)


@asset("street/hydrant.fbx", "a red fire hydrant", "a hydrant, red with yellow caps", other="a water outlet for firemen")
def hydrant(path: Path):
    red, yellow = material("red", "#c4261d", 0.4), material("yellow", "#e7b92c", 0.4)
    rod(0.2, 0.06, (0, 0, 0.03), red)
    rod(0.14, 0.5, (0, 0, 0.3), red)
    ball(0.15, (0, 0, 0.56), red)
    ring(0.15, 0.02, (0, 0, 0.54), red)
    rod(0.04, 0.08, (0, 0, 0.72), yellow, sides=6)
    for way in (-1, 1):
        rod(0.06, 0.1, (0.17 * way, 0, 0.4), red, turn=(0, 90, 0))
        rod(0.07, 0.04, (0.23 * way, 0, 0.4), yellow, turn=(0, 90, 0))
    rod(0.08, 0.12, (0, -0.16, 0.38), yellow, turn=(90, 0, 0))


@asset("street/mailbox.glb", "a blue mailbox", "a round-topped letter box, blue", other="a box to post letters in", split="unseen")
def mailbox(path: Path):
    blue, dark = material("blue", "#2c5fb3", 0.4), material("dark", "#1c2b45")
    box((0.5, 0.45, 0.7), (0, 0, 0.55), blue)
    rod(0.25, 0.44, (0, 0, 0.9), blue, turn=(90, 0, 0), sides=48)
    box((0.36, 0.03, 0.06), (0, -0.22, 0.88), dark)
    for x in (-0.2, 0.2):
        array(box((0.07, 0.07, 0.22), (x, -0.17, 0.11), dark), 2, (0, 0.34, 0))


@asset("street/clock.blend", "a street clock on a pole", "a green station clock", other="a public clock that shows the time")
def clock(path: Path):
    def face(u, v):
        x, y = 2 * u - 1, 2 * v - 1
        r, angle = np.hypot(x, y), np.arctan2(y, x)
        marks = (r > 0.7) & (r < 0.85) & (np.abs(angle * 6 / np.pi - np.rint(angle * 6 / np.pi)) < 0.13)
        hands = (np.abs(x) < 0.05) & (y > 0) & (y < 0.6) | (np.abs(y) < 0.06) & (x > 0) & (x < 0.42)
        return np.where((marks | hands)[..., None], 0.08, rgb("#f4efdf"))

    green = material("green", "#1f5a45", 0.4, 0.5)
    rod(0.22, 0.16, (0, 0, 0.08), green, top=0.14)
    rod(0.08, 2.3, (0, 0, 1.15), green)
    rod(0.46, 0.24, (0, 0, 2.6), green, turn=(90, 0, 0), sides=48)
    side = painted("face", face)
    for way in (-1, 1):
        sheet("Face", 1, 1, lambda u, v, w=way: (-0.4 * w * (2 * u - 1) * 0.98, 0.125 * w, 2.6 + 0.39 * (2 * v - 1)), side)


@asset("street/lighthouse.blend", "a red and white striped lighthouse", "a tall lighthouse", other="a tower that warns the ships")
def lighthouse(path: Path):
    """A hundred metres tall."""
    red, white, dark, glass = (
        material(n, c) for n, c in (("red", "#c93a34"), ("white", "#f2efe8"), ("iron", "#2c2f36"), ("light", "#ffe27a"))
    )
    radius = lambda z: 14 - 0.07 * z  # noqa: E731
    for i in range(5):
        rod(radius(16 * i), 16, (0, 0, 8 + 16 * i), (red, white)[i % 2], top=radius(16 * i + 16), sides=48)
    rod(11, 2, (0, 0, 81), dark)
    rod(6, 10, (0, 0, 87), glass)
    rod(8, 8, (0, 0, 96), dark, top=0.0)


@asset("street/banner.blend", "a purple banner with a yellow star", "a hanging flag with a star", other="a violet pennant on a pole")
def banner(path: Path):
    def star(u, v):
        x, y = 2 * u - 1, 3 * v - 1.7
        fifth = np.pi / 5
        turn = np.abs((np.arctan2(x, y) + fifth) % (2 * fifth) - fifth)  # from the nearest point of the star
        inside = np.hypot(x, y) * (0.27 * np.sin(fifth - turn) + 0.65 * np.sin(turn)) < 0.27 * 0.65 * np.sin(fifth)
        edge = (np.abs(u - 0.5) > 0.45) | (v < 0.035)
        return np.where((inside | edge)[..., None], rgb("#f0c52e"), rgb("#5b2c83"))

    wood = material("pole", "#6b4526")
    rod(0.05, 2.2, (-0.42, 0.05, 1.1), wood)
    rod(0.035, 1.0, (0, 0, 2.1), wood, turn=(0, 90, 0))
    sheet("Cloth", 12, 20, lambda u, v: (0.8 * (u - 0.45), 0.06 * np.sin(9 * u + 4 * v) * (1 - v), 0.7 + 1.4 * v), painted("star", star))


@asset("street/market_stall.blend", "a market stall with pumpkins", "a fruit stand under a striped roof", other="a farmer's booth")
def market_stall(path: Path):
    """The pumpkins are linked from another file."""
    wood = material("boards", "#9c7446")
    box((1.6, 0.7, 0.7), (0, 0, 0.35), wood, bevel=0.01)
    for x in (-0.76, 0.76):
        array(box((0.06, 0.06, 1.9), (x, -0.3, 0.95), wood), 2, (0, 0.6, 0))
    awning = painted("awning", lambda u, v: np.where((u * 6 % 1 < 0.5)[..., None], rgb("#2f8f57"), 0.95))
    roof = sheet("Roof", 6, 6, lambda u, v: (1.8 * (u - 0.5), -0.55 + 1.0 * v, 1.75 + 0.35 * v**0.7), awning)
    modified(roof, "SOLIDIFY", thickness=0.03)
    with bpy.data.libraries.load(str(path.parents[1] / "shared" / "parts.blend"), link=True, relative=False) as (_, wanted):
        wanted.collections = ["Pumpkin"]
    for i in range(6):
        item = instance(bpy.data.collections["Pumpkin"], (-0.55 + 0.55 * (i % 3), -0.16 + 0.34 * (i // 3), 0.7))
        item.scale = (0.75 + 0.1 * (i % 2),) * 3
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True, relative_remap=True)
    return True


@asset("street/poster_stand.blend", "a poster stand", "an advertising board", other="a sandwich board in front of a shop")
def poster_stand(path: Path):
    """The picture that it shows is lost."""
    frame = material("frame", "#494f57", 0.4, 1)
    box((0.9, 0.08, 1.5), (0, 0, 0.95), frame, bevel=0.02)
    poster = painted("poster", lambda u, v: np.stack((u, v, 1 - u), -1))
    sheet("Poster", 1, 1, lambda u, v: (0.78 * (u - 0.5), -0.045, 0.3 + 1.3 * v), poster)
    box((1.0, 0.5, 0.1), (0, 0, 0.05), frame)
    box((0.12, 0.08, 0.2), (0, 0, 0.15), frame)
    image = bpy.data.images["poster"]
    image.unpack(method="REMOVE")
    image.source, image.filepath = "FILE", "//textures/summer_sale.png"


# Plants -----------------------------------------------------------------------------------------------------------------------------------


def leaf_at(name: str, length: float, width: float, mat, bend: float = 0.25) -> bpy.types.Object:
    """A leaf as a bent plane that grows along +x from the origin."""

    def place(u, v):
        return length * v, width * (u - 0.5) * np.sin(np.pi * (0.08 + 0.92 * v)) ** 0.7, -bend * length * v**2 + 0.15 * length * v

    return sheet(name, 2, 6, place, mat)


@asset("shared/parts.blend:Pumpkin", "a pumpkin", "an orange pumpkin with a stalk", other="a round squash for halloween")
def parts(path: Path):
    """A file that another one links; the pumpkin is one collection of it."""
    rind = noise("rind", "#d9701a", "#ef9332", 5)
    rib = ball(0.13, (0.07, 0, 0.12), rind, scale=(0.8, 0.62, 1))
    around(rib, 8)
    stalk = rod(0.03, 0.1, (0, 0, 0.25), material("stalk", "#5c7a34"), top=0.018, turn=(0, 12, 0), sides=8)
    inside = collected("Pumpkin", [rib, stalk])
    bpy.context.scene.collection.children.link(inside)
    box((0.1, 0.1, 0.1), (2, 0, 0.05), material("spare", "#888888"))


@asset("plants/planter.blend", "a planter full of leaves", "a clay pot with a leafy plant", other="potted greenery")
def planter(path: Path):
    """Leaves as planes, put there by geometry nodes."""
    clay = material("clay", "#b5603c", 0.9)
    lathe("Pot", [(0.0, 0.0), (0.2, 0.0), (0.28, 0.36), (0.32, 0.36), (0.32, 0.44), (0.27, 0.44), (0.26, 0.38), (0.0, 0.38)], clay)
    crown = ball(0.24, (0, 0, 0.62), material("inner", "#2d5a2a"))
    scattered(crown, leaf_at("Leaf", 0.22, 0.13, material("leaf", "#4f9440", 0.8)), 130, 1.0)


@asset("plants/palm.blend", "a palm tree", "a tall palm with green fronds", other="a tree on a tropical beach")
def palm(path: Path):
    bark = noise("bark", "#6b4a2c", "#9a7448", 2, (1, 1, 6))
    bend = lambda t: 0.35 * t**2  # noqa: E731
    for i in range(10):
        t = i / 10
        rod(0.17 - 0.007 * i, 0.36, (bend(t), 0, 0.16 + 3.0 * t), bark, top=0.2 - 0.007 * i, turn=(0, 40 * t * 0.35, 0), sides=12)
    green = material("frond", "#3f8a3a", 0.8)
    for i in range(9):
        frond = leaf_at("Frond", 1.3, 0.42, green, 0.6)
        frond.location, frond.rotation_euler = (0.33, 0, 3.1), (0, -0.35 + 0.25 * (i % 2), i * 2 * np.pi / 9)
    for i in range(3):
        ball(0.12, (0.33 + 0.16 * np.cos(2.1 * i), 0.16 * np.sin(2.1 * i), 3.0), material("nut", "#5a3a1e"))


@asset("plants/pine.glb", "a pine tree with snow", "a green fir with white tips", other="a christmas tree in winter", split="unseen")
def pine(path: Path):
    """Colours of its corners."""
    rod(0.16, 0.6, (0, 0, 0.3), material("trunk", "#5c3d24"))
    mat = by_attribute()
    for i in range(3):
        cone = rod(0.9 - 0.2 * i, 1.0, (0, 0, 0.95 + 0.6 * i), mat, top=0.02)
        modified(cone, "SUBSURF", subdivision_type="SIMPLE", levels=2, render_levels=2)
        bpy.context.view_layer.objects.active = cone
        bpy.ops.object.modifier_apply(modifier=cone.modifiers[0].name)
        colored(cone.data, lambda p: np.where((p[:, 2:] > 0.2), rgb("#eef4f7"), rgb("#28613c")))


@asset("plants/sunflower.usdc", "a sunflower", "a tall yellow flower with a brown heart", other="a bloom that turns to the sun")
def sunflower(path: Path):
    green = material("stem", "#4c8a35")
    rod(0.035, 1.3, (0, 0, 0.65), green)
    ball(0.2, (0, -0.05, 1.35), material("heart", "#5b3717"), scale=(1, 0.35, 1))
    petals = material("petal", "#f4bf1d")
    for i in range(16):
        petal = leaf_at("Petal", 0.24, 0.12, petals, 0.0)
        petal.data.transform(Matrix.Translation((0.17, 0, 0)))
        petal.rotation_euler = (np.pi / 2, -i * np.pi / 8, 0)
        petal.location = (0, -0.02, 1.35)
    for z, way in ((0.5, 0), (0.75, np.pi)):
        leaf = leaf_at("Leaf", 0.4, 0.24, green, 0.3)
        leaf.location, leaf.rotation_euler = (0, 0, z), (0, -0.4, way)


@asset("plants/fern.glb", "a fern", "a green fern in the woods", other="a plant with feathery leaves")
def fern(path: Path):
    """Fronds cut out of planes by their image's alpha."""

    def frond(u, v):
        teeth = np.abs(u - 0.5) < (0.46 * np.sin(np.pi * (0.1 + 0.9 * v)) ** 0.6) * np.where(v * 5 % 1 < 0.6, 1, 0.18)
        green = np.where((np.abs(u - 0.5) < 0.04)[..., None], rgb("#8fb04e"), rgb("#3b7d36"))
        return np.concatenate((green, (teeth | (np.abs(u - 0.5) < 0.04))[..., None]), -1)

    mat = painted("frond", frond, 256)
    for i in range(9):
        around_z, lift = i * 2 * np.pi / 9, 0.5 + 0.25 * (i % 3)
        item = sheet("Frond", 2, 8, lambda u, v, k=lift: (0.6 * v, 0.3 * (u - 0.5), 0.05 + k * v - 0.75 * k * v**2), mat)
        item.rotation_euler = (0, 0, around_z)


# Vehicles ---------------------------------------------------------------------------------------------------------------------------------


def wheel(at, radius: float = 0.32, width: float = 0.2) -> list[bpy.types.Object]:
    tyre = rod(radius, width, at, material("tyre", "#22242a", 0.9), turn=(0, 90, 0), sides=32)
    return [tyre, rod(radius * 0.55, width * 1.1, at, material("hub", "#c9ced3", 0.3, 1), turn=(0, 90, 0))]


@asset("vehicles/van.blend", "a yellow delivery van", "a small yellow van with a white roof", other="a bus that brings parcels")
def van(path: Path):
    """Half of it, and a mirror."""
    yellow, white, glass = material("yellow", "#f0b429", 0.3), material("white", "#f4f2ea", 0.3), material("glass", "#7fb3cf", 0.1)
    for size, at, mat in (
        ((0.9, 3.6, 0.9), (0.45, 0, 0.85), yellow), ((0.86, 3.3, 0.6), (0.43, 0.1, 1.55), yellow),
        ((0.88, 3.3, 0.14), (0.44, 0.1, 1.9), white), ((0.7, 0.05, 0.42), (0.38, -1.56, 1.55), glass),
        ((0.03, 0.8, 0.4), (0.87, -0.9, 1.55), glass), ((0.92, 3.7, 0.12), (0.46, 0, 0.5), white),
    ):  # fmt: skip
        modified(mirrored(box(size, at, mat)), "BEVEL", width=0.02, segments=2)
    mirrored(ball(0.13, (0.6, -1.8, 0.9), material("lamp", "#fff3c4", 0.1), scale=(1, 0.4, 1)))
    for y in (-1.1, 1.1):
        for item in wheel((0.8, y, 0.34)):
            mirrored(item)


@asset("vehicles/balloon.blend", "a hot-air balloon with rainbow stripes", "a colourful balloon", other="an airship that floats")
def balloon(path: Path):
    colors = np.array([rgb(c) for c in ("#d8433a", "#ee8f2e", "#f2cf3b", "#4aa25a", "#3f78c4", "#7a4ba3")])
    silk = painted("silk", lambda u, v: colors[(u * 12).astype(int) % 6])

    def envelope(u, v):
        r = 2.6 * np.sin(np.pi * np.clip(v, 0, 1) ** 0.62) ** 0.8 + 0.45 * (1 - v) ** 6
        return r * np.cos(2 * np.pi * u), r * np.sin(2 * np.pi * u), 2.2 + 5.6 * v

    sheet("Envelope", 48, 32, envelope, silk)
    box((1.0, 1.0, 0.8), (0, 0, 0.4), noise("wicker", "#8a5c2e", "#b58247", 20), bevel=0.03)
    around(rod(0.04, 1.6, (0.5, 0.5, 1.5), material("rope", "#c9b48a"), sides=8), 4)


@asset("vehicles/submarine.usdc", "a yellow submarine", "a small submarine with round windows", other="a boat that dives, yellow")
def submarine(path: Path):
    """Its normals point inwards."""
    yellow, dark = material("hull", "#f2c230", 0.4), material("window", "#2c5f86", 0.1)
    ball(1.0, (0, 0, 1.0), yellow, scale=(0.75, 1.7, 0.8))
    box((0.4, 0.8, 0.6), (0, 0, 1.9), yellow, bevel=0.08)
    rod(0.06, 0.7, (0, -0.1, 2.4), material("scope", "#8b9097", 0.3, 1))
    for y in (-0.8, 0, 0.8):
        rod(0.2, 1.5 - 0.25 * abs(y), (0, y, 1.1), dark, turn=(0, 90, 0))
    box((1.5, 0.35, 0.08), (0, 1.5, 1.0), material("fin", "#d8502c"))
    box((0.08, 0.35, 1.3), (0, 1.5, 1.0), material("rudder", "#d8502c"))
    for item in bpy.context.scene.objects:
        item.data.flip_normals()


@asset("vehicles/sailboat.obj", "a sailing boat with a white sail", "a small wooden sailboat", other="a yacht on the lake")
def sailboat(path: Path):
    """An OBJ with an image beside it; sails are single sheets."""
    planks = painted("planks", lambda u, v: np.where((v * 8 % 1 < 0.12)[..., None], rgb("#5a3a20"), rgb("#a5713c")))

    def hull(u, v):
        angle, y = np.pi * u, 3.2 * (v - 0.5)
        wide = 0.62 * np.sqrt((1 - (2 * v - 1).clip(-1, 0) ** 4 * 0.15 - (1 - 2 * v).clip(0) ** 2).clip(0))
        return -wide * np.cos(angle), y, 0.62 - 0.6 * np.sin(angle) ** 0.8

    modified(sheet("Hull", 16, 24, hull, planks), "SOLIDIFY", thickness=0.08)
    rod(0.05, 3.4, (0, -0.2, 2.0), material("mast", "#7a5530"))
    white = material("sail", "#f3efe4", 0.9)
    meshed("Main sail", [(0, -0.1, 0.9), (0, 1.4, 0.95), (0, -0.1, 3.6)], [(0, 1, 2)], white)
    meshed("Jib", [(0, -0.3, 0.9), (0, -1.5, 0.75), (0, -0.28, 3.0)], [(0, 1, 2)], material("jib", "#d8433a", 0.9))


# Odd ones ---------------------------------------------------------------------------------------------------------------------------------


@asset("odd/die.blend", "a white die with black dots", "a small dice", other="a cube with numbers for a board game")
def die(path: Path):
    """A centimetre tall. Its six sides lie side by side in one image."""
    spots = {1: [(0, 0)], 2: [(-1, -1), (1, 1)], 3: [(-1, -1), (0, 0), (1, 1)], 4: [(-1, -1), (1, 1), (-1, 1), (1, -1)]}
    spots |= {5: [*spots[4], (0, 0)], 6: [*spots[4], (-1, 0), (1, 0)]}

    def sides(u, v):
        number, color = (u * 6).astype(int) + 1, np.full((*u.shape, 3), 0.95)
        for n, places in spots.items():
            for x, y in places:
                dot = np.hypot(u * 6 % 1 - 0.5 - 0.27 * x, v - 0.5 - 0.27 * y) < 0.1
                color[dot & (number == n)] = 0.06
        return color

    item = box((0.01, 0.01, 0.01), (0, 0, 0.005), painted("dots", sides, 384))
    flat = np.array([((i + x) / 6, y) for i in (0, 1, 5, 4, 2, 3) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], np.float32)
    item.data.uv_layers[0].uv.foreach_set("vector", flat.ravel())


@asset("odd/boulder.blend", "a mossy boulder", "a big grey rock with moss", other="a stone that nobody can lift")
def boulder(path: Path):
    """Two million triangles."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=1, radius=1)
    item = bpy.context.object
    modified(item, "SUBSURF", levels=8, render_levels=8)
    texture = bpy.data.textures.new("lumps", "CLOUDS")
    texture.noise_scale, texture.noise_depth = 0.7, 3
    modified(item, "DISPLACE", texture=texture, strength=0.5, mid_level=0.5)
    item.location.z, item.scale = 0.6, (1.2, 1, 0.8)
    item.data.materials.append(noise("moss", "#6f7276", "#5b7a3c", 3))


@asset("odd/vase.stl", "a vase", "a slender vase", other="a vessel for cut flowers")
def vase(path: Path):
    """A format without colours."""
    profile = [(0.0, 0.0), (0.08, 0.0), (0.13, 0.1), (0.14, 0.18), (0.07, 0.33), (0.06, 0.38), (0.09, 0.44), (0.075, 0.44), (0.045, 0.38)]
    lathe("Vase", [*profile, (0.055, 0.33), (0.12, 0.18), (0.0, 0.03)], material("none", "#ffffff"), 48)


@asset("odd/skateboard.blend", "a skateboard", "a red skateboard with green wheels", other="a plank on four rollers")
def skateboard(path: Path):
    """Its other half has a negative scale."""
    deck, metal, green = material("deck", "#b8342c"), material("truck", "#9aa0a6", 0.3, 1), material("wheel", "#5fc46a")
    board = sheet("Deck", 8, 24, lambda u, v: (0.2 * (u - 0.5) * (1 - 0.9 * (2 * v - 1) ** 8), 0.8 * (v - 0.5),
                                               0.12 + 0.35 * (np.abs(v - 0.5) - 0.36).clip(0)), deck)  # fmt: skip
    modified(board, "SOLIDIFY", thickness=0.02)
    for way in (1, -1):
        pivot = bpy.data.objects.new("Half", None)
        bpy.context.scene.collection.objects.link(pivot)
        pieces = [box((0.18, 0.04, 0.03), (0, 0.24, 0.07), metal), box((0.06, 0.06, 0.05), (0, 0.24, 0.09), metal)]
        pieces += [rod(0.04, 0.045, (x, 0.24, 0.04), green, turn=(0, 90, 0)) for x in (-0.09, 0.09)]
        for item in pieces:
            item.parent = pivot
        pivot.scale.y = way


@asset("odd/robot.glb", "a broken robot", other="a machine that fell apart")
def robot(path: Path):
    """A file that was cut off in the middle."""
    box((0.5, 0.3, 0.6), (0, 0, 0.6), material("tin", "#8a9299", 0.3, 1))
    save(path)
    path.write_bytes(path.read_bytes()[:700])
    return True


@asset("odd/nothing.blend", "nothing at all")
def nothing(path: Path):
    """An object without a face."""
    meshed("Empty", np.zeros((1, 3)), [], material("air", "#ffffff"))
