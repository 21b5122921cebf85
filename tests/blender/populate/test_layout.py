# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things stand: evenly, apart, on the ground, and the same every time; measured by other means than the layout's own."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree

from latte3d_blender.populate import assets, check, layout, run, scatter, targets
from latte3d_blender.populate.assets import Asset, Assets
from latte3d_blender.populate.job import Job
from latte3d_blender.populate.layout import Option
from tests.blender.populate.scenes import mesh_object, prism, terrain, written


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_homefile(use_empty=True)


def lay(recipe, items: dict[str, list], **more) -> tuple[layout.Layout, Assets]:
    """Lay a recipe out with objects by the layers' names."""
    found = Assets()
    for name, objects in items.items():
        found.options[name] = [Option(len(found.found) + i) for i in range(len(objects))]
        found.found += [Asset(one, assets.footprint_of(one, 1.0)) for one in objects]
    grounds = {one.name: targets.ground(one, recipe.targets_of(one), 1.0) for one in recipe.layers if not one.on}
    return layout.lay_out(recipe, found.options, found.shapes, grounds, targets.scenery(recipe, 1.0), **more), found


def test_even_over_a_curved_surface_of_uneven_triangles():
    """Chi-square over 64 parts of the ground, at the 0.1 % level."""
    terrain()
    recipe = written(Seeds={"things": ["x"], "count": 6000, "sink": 1})
    made, _ = lay(recipe, {"Seeds": [prism("tiny", radius=0.002, height=0.004)]})
    surface = targets.ground(recipe.layers[0], ("Terrain",), 1.0).surface
    tree = BVHTree.FromPolygons(surface.corners.reshape(-1, 3).tolist(), np.arange(3 * len(surface.area)).reshape(-1, 3).tolist())
    part = np.minimum((np.cumsum(surface.area) / surface.total * 64).astype(int), 63)
    found = [tree.find_nearest(place)[2] for place in made.bodies.position.tolist()]
    counted, expected = np.bincount(part[found], minlength=64), np.bincount(part, surface.area, 64) / surface.total * len(made)
    assert len(made) == 6000 and ((counted - expected) ** 2 / expected).sum() < 103.4


def test_apart_and_on_the_ground():
    """2,000 things of four shapes: no surfaces cross, the distance holds, nothing floats, nothing sinks in too deep."""
    ground = terrain()
    shapes = [
        prism("post", 8, 0.12, 0.9),
        prism("bar", 4, 0.1, 0.2, stretch=6),
        prism("tree", 12, 0.08, 1.6, top=6),
        prism("rock", 7, 0.25, 0.3, 0.6),
    ]
    rules = {"things": ["x"], "count": 2000, "distance": 0.2, "scale": [0.7, 1.3], "align": 0.5, "tilt": 5, "sink": 0.3}
    made, found = lay(written(Things=rules), {"Things": shapes})
    assert len(made) == 2000 and not made.notes
    findings = check.crossing(found, made, 1.0)
    assert findings.crossing == [] and findings.looked_at > 500
    positions = made.bodies.position
    flat = ((positions[:, None] - positions[None]) ** 2).sum(-1) + 9 * np.eye(len(made))
    assert math.sqrt(flat.min()) > 0.17  # 0.2 on the surface; each went down by its own sink
    worst_gap, worst_sink = -1.0, 0.0
    for row in range(0, len(made), 7):
        item = shapes[made.bodies.asset[row]]
        matrix = Matrix.Translation(positions[row]) @ Matrix(made.bodies.rotation[row].tolist()).to_4x4()
        matrix = matrix @ Matrix.Scale(made.bodies.scale[row], 4)
        up, height = matrix.to_3x3() @ Vector((0, 0, 1)), item.data.vertices[-1].co.z * made.bodies.scale[row]
        up.normalize()
        low = [vertex.co for vertex in item.data.vertices if vertex.co.z < 1e-6]
        gaps = []
        for co in low:
            start = matrix @ co + up * 2
            hit, place, *_ = ground.ray_cast(start, -up)
            assert hit
            gaps.append(((start - place).length - 2) / height)
        worst_gap, worst_sink = max(worst_gap, max(gaps)), max(worst_sink, -min(gaps))
        assert -0.01 <= max(gaps) <= 1e-4, "the last point of the base is on the surface or at most 1 % below"
    assert worst_sink <= 0.3 + 0.01


def test_the_same_again_and_another_seed():
    terrain(cells=24)
    box = prism("box")
    rules = {"things": ["x"], "count": 150, "masks": [{"kind": "noise", "size": 4}, {"kind": "slope", "range": [0, 20], "falloff": 5}]}
    first, second = (lay(written(Boxes=rules), {"Boxes": [box]})[0] for _ in range(2))
    other = lay(written(Boxes={**rules, "seed": 1}), {"Boxes": [box]})[0]
    assert first.sha256() == second.sha256() != other.sha256()
    assert first.sha256() == "d58bd9069d3f54d06c83cb37f86fbedaea51cdfa01585fde7966eded44f08e3e", "the layout has changed"


def test_rolling_one_layer_again_leaves_those_before_it():
    terrain(cells=24)
    box, post = prism("box"), prism("post", radius=0.1)
    layers = {"A": {"things": ["x"], "count": 60}, "B": {"things": ["x"], "count": 60, "seed": 0}}
    first = lay(written(**layers), {"A": [box], "B": [post]})[0]
    layers["B"]["seed"] = 9
    second = lay(written(**layers), {"A": [box], "B": [post]})[0]
    same = np.array_equal(first.bodies.position[:60], second.bodies.position[:60])
    assert same and not np.array_equal(first.bodies.position[60:], second.bodies.position[60:])


def test_masks():
    """Each kind keeps things where it says."""
    ground = terrain()
    group = ground.vertex_groups.new(name="East")
    group.add([vertex.index for vertex in ground.data.vertices if vertex.co.x > 0.5], 1.0, "REPLACE")
    painted = ground.data.color_attributes.new("North", "FLOAT_COLOR", "POINT")
    painted.data.foreach_set("color", np.repeat([[float(v.co.y > 0.5)] for v in ground.data.vertices], 4, 1).ravel().astype(np.float32))
    image = bpy.data.images.new("left.png", 8, 8)
    image.pixels.foreach_set(np.tile(np.repeat([1.0, 0.0], 4)[None, :, None], (8, 1, 4)).astype(np.float32).ravel())
    curve = bpy.data.curves.new("Way", "CURVE")
    curve.dimensions = "3D"
    line = curve.splines.new("POLY")
    line.points.add(1)
    line.points.foreach_set("co", [-20, 4, 0, 1, 20, 4, 0, 1])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Way", curve))
    ring = mesh_object("Ring", [(-5, -5, 0), (5, -5, 0), (5, 5, 0), (-5, 5, 0)], [(0, 1, 2, 3)])
    ground.data.update()
    bpy.context.view_layer.update()
    seed = prism("seed", radius=0.02, height=0.05)

    def places(*masks) -> np.ndarray:
        made, _ = lay(written(S={"things": ["x"], "count": 300, "sink": 1, "masks": masks}), {"S": [seed]})
        assert len(made) == 300
        return made.bodies.position

    assert (places({"kind": "height", "range": [1, None]})[:, 2] > 0.98).all()
    assert (places({"kind": "vertex_group", "name": "East"})[:, 0] > 0).all()
    assert (places({"kind": "attribute", "name": "North", "invert": True})[:, 1] < 1).all()
    assert (places({"kind": "image", "file": "left.png", "range": [0.5, 1]})[:, 0] < 0.1).all()
    near = places({"kind": "curves", "names": "Way", "range": [0, 2]})
    assert (np.hypot(near[:, 1] - 4, near[:, 2]) < 2.01).all()
    assert (np.abs(places({"kind": "inside", "names": "Ring", "invert": True})[:, :2]).max(1) > 5).all()
    assert (np.abs(places({"kind": "inside", "names": "Ring"})[:, :2]) < 5).all() and ring
    noisy = places({"kind": "noise", "size": 6, "cover": 0.2})
    cells = np.unique(np.floor(noisy[:, :2] / 2), axis=0)
    assert len(cells) < 150, "patches leave most of the ground free"


def test_another_layer_attracts_and_repels():
    terrain()
    tree, shroom = prism("tree", radius=0.2, height=3), prism("shroom", radius=0.05, height=0.1)
    near = {"kind": "layer", "layer": "Trees", "range": [0, 1.5]}
    layers = {
        "Trees": {"things": ["x"], "count": 20, "distance": 4},
        "Near": {"things": ["x"], "count": 100, "masks": [near], "sink": 1},
        "Far": {"things": ["x"], "count": 100, "masks": [{**near, "invert": True}], "sink": 1},
    }
    made, _ = lay(written(**layers), {"Trees": [tree], "Near": [shroom], "Far": [shroom]})
    trees, others, far = (made.bodies.position[made.layer == number] for number in range(3))
    distance = [np.sqrt(((some[:, None] - trees[None]) ** 2).sum(-1).min(1)) for some in (others, far)]
    assert len(trees) == 20 and (distance[0] < 1.52).all() and (distance[1] > 1.48).all()


def test_rows_borders_and_things_on_and_around_others():
    """Tables in rows, away from the border; chairs around them that look at them; mugs on them, none over an edge."""
    terrain(size=20, cells=20, height=0)
    table, chair, mug = prism("table", 4, 0.5, 0.8), prism("chair", 4, 0.2, 0.9), prism("mug", 8, 0.05, 0.1)
    rows = [{"kind": "grid", "spacing": [2, 3], "range": [0, 0.2]}, {"kind": "border", "range": [2, None]}]
    around = {"kind": "layer", "layer": "Tables", "range": [0, 1]}
    layers = {
        "Tables": {"things": ["x"], "count": 30, "distance": 1, "turn": 45, "masks": rows},
        "Chairs": {"things": ["x"], "each": 2, "face": "Tables", "turn": 0, "masks": [around]},
        "Mugs": {"things": ["x"], "each": 1.5, "on": "Tables"},
    }
    made, found = lay(written(**layers), {"Tables": [table], "Chairs": [chair], "Mugs": [mug]})
    tables, chairs, mugs = (made.bodies.take(made.layer == number) for number in range(3))
    assert (len(tables), len(chairs), len(mugs)) == (30, 60, 45), made.notes
    aside = (tables.position[:, :2] / (2, 3) - 0.5) % 1.0
    aside = np.minimum(aside, 1 - aside) * (2, 3)
    assert (np.hypot(*aside.T) < 0.2001).all() and (np.abs(tables.position[:, :2]) <= 8.0001).all()
    nearest = tables.position[((chairs.position[:, None] - tables.position) ** 2).sum(-1).argmin(1)]
    way = (nearest - chairs.position)[:, :2]
    fronts = -chairs.rotation[:, :2, 1]
    assert ((way * fronts).sum(1) / np.linalg.norm(way, axis=1) > 0.999).all()
    assert np.allclose(mugs.position[:, 2], 0.8, atol=0.01)
    offset = np.abs(mugs.position[:, None, :2] - tables.position[:, :2]).max(-1).min(1)
    assert (offset < 0.5 / np.sqrt(2) - 0.04).all() and check.crossing(found, made, 1.0).crossing == []


def test_what_cannot_be_reached_is_told():
    terrain(size=6, cells=12, height=0)
    made, _ = lay(written(Boxes={"things": ["x"], "count": 400}), {"Boxes": [prism("box")]})
    assert 40 < len(made) < 200 and "found places for" in made.notes[0] and "where something else stands" in made.notes[0]
    steep = written(Boxes={"things": ["x"], "count": 5, "masks": [{"kind": "slope", "range": [60, 90]}]})
    assert "its masks leave nothing" in lay(steep, {"Boxes": [prism("box")]})[0].notes[0]


@pytest.mark.parametrize("scale", [(1, 1, 1), (-1, 1, 1), (2, 0.5, 1.5)])
def test_scaled_and_mirrored_targets(scale):
    ground = terrain(size=20, cells=20)
    ground.scale = scale
    bpy.context.view_layer.update()
    made, _ = lay(written(Boxes={"things": ["x"], "count": 40, "sink": 1}), {"Boxes": [prism("box", radius=0.1)]})
    assert len(made) == 40 and (made.bodies.rotation[:, 2, 2] > 0.99).all()


@pytest.mark.parametrize(
    "vertices, faces, told",
    [
        ([(0, 0, 0), (1, 0, 0)], [], "has no faces"),
        ([(0, 0, 0), (1, 0, 0), (2, 0, 0)], [(0, 1, 2)], "have no area"),
    ],
)
def test_useless_targets(vertices, faces, told):
    mesh_object("Terrain", vertices, faces)
    with pytest.raises(targets.SceneError, match=told):
        lay(written(Boxes={"things": ["x"], "count": 4}), {"Boxes": [prism("box")]})
    with pytest.raises(targets.SceneError, match="no object or collection “Nowhere”"):
        targets.objects_of(("Nowhere",), "")


def test_what_settles_falls_and_lies(tmp_path):
    """Leaning posts fall over; what stands stays; no surfaces cross; the scene has nothing more than what was asked."""
    terrain(size=12, cells=40, height=2)
    for item in (prism("post", 8, 0.05, 0.6), prism("box", 4, 0.2, 0.3)):
        bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    posts = {"things": [{"object": "post"}], "count": 25, "tilt": 70, "sink": 1}
    boxes = {"things": [{"object": "box"}], "count": 15}
    plain = run.put(run.plan(written(Boxes=boxes, Posts=posts)), Job(tmp_path))
    scatter.clear(plain.collection)
    made = run.put(run.plan(written(Boxes=boxes, Posts={**posts, "settle": 0.3})), Job(tmp_path))
    before, after, falls = plain.layout.bodies, made.layout.bodies, made.layout.layer == 1
    moved = np.linalg.norm(after.position - before.position, axis=1)
    lost = falls & (moved == 0)
    assert (moved[~falls] == 0).all() and lost.sum() <= 2 and lost.any() == any("fell off the ground" in note for note in made.notes)
    falls &= ~lost
    upright = np.abs(after.rotation[falls][:, 2, 2])
    assert (upright < 0.6).sum() > 8, "many have fallen over"
    assert check.crossing(made.assets, made.layout, 1.0).crossing == []
    ground = targets.ground(written(Posts=posts).layers[0], ("Terrain",), 1.0)
    corners = after.take(falls).world(made.assets.shapes.hulls[after.asset[falls], 0])
    down = ground.cast(corners + np.array((0, 0, 2)), np.tile((0.0, 0.0, -1.0), (len(corners), 1)), np.full(len(corners), 9.0)) - 2
    lowest = down.min(1)  # of each above the ground: one may lie across a hump, or on another
    assert lowest.min() > -0.01 and np.median(lowest) < 0.005 and lowest.max() < 0.3
    assert len(bpy.data.scenes) == 1 and not [item for item in bpy.data.objects if item.rigid_body]
