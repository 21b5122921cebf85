# SPDX-License-Identifier: GPL-3.0-or-later
"""A layout in the scene: instances of computed points, plain objects, each made of the other, and what glTF and USD keep."""

import bpy
import numpy as np
import pytest

from latte3d_blender.populate import nodes, recipe, run, scatter
from latte3d_blender.populate.job import Job
from tests.blender.populate.scenes import prism, terrain


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_homefile(use_empty=True)


TEXT = """{"name": "Field", "target": "Terrain", "seed": 3, "layers": [
  {"name": "Posts", "things": [{"object": "post"}, {"object": "bar", "height": [0.5, 0.8]}], "count": 60, "align": 0.4, "tint": 0.3},
  {"name": "Rocks", "things": [{"object": "rock"}], "count": 40, "scale": [0.5, 1.5]}]}"""


@pytest.fixture
def filled(tmp_path):
    """`filled(linked=True)`: a scene with 100 objects of three kinds, and their placement matrices before."""

    def fill(**how) -> run.Outcome:
        terrain(cells=24)
        for item in (prism("post", 8, 0.1, 0.9), prism("bar", 4, 0.1, 0.2, stretch=4), prism("rock", 7, 0.25, 0.3, 0.6)):
            item.rotation_euler, item.scale = (0, 0, 0.5), (1.5, 1.0, 1.0)  # they keep their own turn and scale
            item.data.materials.append(bpy.data.materials.new("Paint"))
            item.data.materials[0].use_nodes = True
        return run.put(run.plan(recipe.read(TEXT)), Job(tmp_path / "job"), **how)

    return fill


def shown() -> np.ndarray:
    """The matrices [N, 4, 4] of all instances and plain objects of the population, in a fixed order."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    found = [
        np.array(one.matrix_world)
        for one in graph.object_instances
        if one.object.type == "MESH" and one.object.name.split(" ")[-1].split(".")[0] in ("post", "bar", "rock")
    ]
    return np.array(sorted(found, key=lambda matrix: tuple(np.round(matrix[:3, 3], 3)))).reshape(-1, 4, 4)


def test_points_are_shown_as_the_layout_says(filled):
    made = filled()
    matrices = shown()
    assert len(matrices) == len(made.layout) == 100
    own = np.array(made.assets.found[0].item.matrix_basis)[:3, :3]
    bodies = made.layout.bodies
    row = int(np.lexsort(np.round(bodies.position, 3).T[::-1])[0])
    asset = made.assets.found[bodies.asset[row]].item
    expected = bodies.rotation[row] @ np.array(asset.matrix_basis)[:3, :3] * bodies.scale[row]
    assert np.allclose(matrices[0][:3, :3], expected, atol=1e-5) and np.allclose(matrices[0][:3, 3], bodies.position[row], atol=1e-4)
    assert own.shape == (3, 3) and len(made.collection.objects) == 2


def test_live_inputs(filled):
    made = filled()
    modifiers = [item.modifiers[0] for item in made.collection.objects]
    for modifier in modifiers:
        nodes.set_input(modifier, "Viewport Share", 0.25)
        modifier.id_data.update_tag()
    assert 10 < len(shown()) < 45
    for modifier in modifiers:
        nodes.set_input(modifier, "Viewport Share", 1.0)
        nodes.set_input(modifier, "Show as Boxes", True)
        modifier.id_data.update_tag()
    assert len(shown()) == 0
    graph = bpy.context.evaluated_depsgraph_get()
    boxes = [one.object.data.name for one in graph.object_instances if one.object.name.endswith("Box")]
    assert len(boxes) == 100 and len(set(boxes)) == 1


def test_only_in_view(filled):
    made = filled()
    eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    bpy.context.scene.collection.objects.link(eye)
    bpy.context.scene.camera = eye
    eye.location, eye.rotation_euler = (0, 0, 2), (np.pi / 2, 0, 0)  # towards +Y
    for item in made.collection.objects:
        nodes.set_input(item.modifiers[0], "Only in View", True)
        nodes.set_input(item.modifiers[0], "View Margin", 1.0)
        item.update_tag()
    matrices = shown()
    away = matrices[:, :3, 3] - (0, 0, 2)
    ahead = away[:, 1] / np.linalg.norm(away, axis=1)
    assert 5 < len(matrices) < 60 and (ahead > np.cos(np.radians(40)) - 1e-3).all()


def test_to_objects_and_back(filled):
    made = filled()
    before, meshes = shown(), len(bpy.data.meshes)
    assert scatter.to_objects(made.collection) == 100
    after = shown()
    assert np.allclose(before, after, atol=1e-4) and len(bpy.data.meshes) == meshes - 2
    moved = next(item for group in made.collection.children if "latte3d_layer" in group for item in group.objects)
    moved.location.z += 5
    bpy.context.view_layer.update()
    assert scatter.to_scatter(made.collection) == (100, 0)
    again = shown()
    assert len(again) == 100 and abs(again[:, 2, 3].sum() - after[:, 2, 3].sum() - 5) < 1e-2


def test_objects_that_became_others_stay(filled):
    made = filled(linked=True)
    item = next(item for group in made.collection.children if "latte3d_layer" in group for item in group.objects)
    item.data = item.data.copy()
    assert scatter.to_scatter(made.collection) == (99, 1) and len(shown()) == 100


@pytest.mark.parametrize("kind", ["gltf", "usd"])
def test_exports_keep_every_object(filled, tmp_path, kind):
    made = filled(linked=True)
    before = shown()
    for item in bpy.context.view_layer.objects:
        item.select_set(any("latte3d_layer" in one for one in item.users_collection))
    path = str(tmp_path / "field") + (".glb" if kind == "gltf" else ".usdc")
    if kind == "gltf":
        bpy.ops.export_scene.gltf(filepath=path, use_selection=True)
    else:
        bpy.ops.wm.usd_export(filepath=path, selected_objects_only=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    if kind == "gltf":
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        bpy.ops.wm.usd_import(filepath=path)
    bpy.context.view_layer.update()
    items = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    places = np.array(sorted((tuple(item.matrix_world.translation) for item in items), key=lambda at: tuple(np.round(at, 3))))
    assert len(items) == 100 and np.allclose(places, before[:, :3, 3], atol=1e-3)
    assert kind == "usd" or len({item.data for item in items}) == 3, "meshes are shared"
    assert made


def test_clear_leaves_the_scene_as_it_was(filled):
    made = filled()
    scatter.clear(made.collection)
    assert {item.name for item in bpy.context.scene.objects} == {"Terrain"} and not scatter.populations()
    assert {"post", "bar", "rock"} <= {item.name for item in bpy.data.objects}
