# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-texture: the selected mesh goes to the engine as it stands, its look comes back on it as one step; what cannot be painted is said."""

import json
import math
import time

import bmesh
import bpy
import numpy as np
import pytest

from tests.blender import answers


@pytest.fixture
def wanted(addon, engine_of):
    engine_of()
    found = bpy.context.scene.latte3d
    found.prompt = "a red cube"
    return found


def select(*items: bpy.types.Object) -> None:
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for item in items:
        item.select_set(True)
    bpy.context.view_layer.objects.active = items[-1] if items else None
    bpy.context.view_layer.update()


def cube(**how) -> bpy.types.Object:
    item = answers.cube(2.0, **how)
    select(item)
    return item


def read(addon, item, **how):
    bpy.context.view_layer.update()
    return addon("scene.painting").read(bpy.context, item, **how)


def test_a_box_is_read_as_it_stands(addon):
    """Two wide, one deep, three high; its turn about the vertical is taken out, and its front can be another side."""
    item = cube(location=(5, 6, 7), stretch=(1, 0.5, 1.5))
    item.rotation_euler.z = math.radians(37)
    arrays, target = read(addon, item)
    assert np.ptp(arrays["vertices"], 0) == pytest.approx([1, 2, 3], abs=1e-5) and "box" not in arrays and "uvs" not in arrays
    assert arrays["triangles"].shape == (12, 3) and sorted(arrays["faces"]) == sorted(list(range(6)) * 2) and not target.note
    assert np.ptp(read(addon, item, turn=1)[0]["vertices"], 0) == pytest.approx([2, 1, 3], abs=1e-5)
    corners = arrays["vertices"][arrays["triangles"]]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = arrays["vertices"].mean(0)
    assert (np.einsum("ij,ij->i", outward, corners.mean(1) - middle) > 0).all()
    item.scale.x *= -1
    arrays, _ = read(addon, item)
    corners = arrays["vertices"][arrays["triangles"]]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("ij,ij->i", outward, corners.mean(1) - arrays["vertices"].mean(0)) > 0).all()


def test_the_side_that_is_the_front_faces_the_engine(addon):
    """A box with a nose at +X: with the front at +X, the nose points to the engine's front."""
    item = cube()
    nose = max(item.data.vertices, key=lambda vertex: (vertex.co.x, vertex.co.y, vertex.co.z))
    nose.co.x = 5
    for turn, (axis, sign) in enumerate(((1, 1), (0, 1), (1, -1), (0, -1))):
        places = read(addon, item, turn=turn)[0]["vertices"]
        far = places[np.abs(places).max(1).argmax()]
        assert far[axis] == pytest.approx(5 * sign), turn


def test_modifiers_that_keep_the_faces_count(addon):
    item = cube()
    item.modifiers.new("Cast", "CAST").factor = 1.0  # a ball
    arrays, target = read(addon, item)
    assert np.ptp(np.linalg.norm(arrays["vertices"], axis=1)) < 1e-5 and "box" not in arrays and not target.note
    item.modifiers.new("Array", "ARRAY").count = 3
    arrays, target = read(addon, item)
    assert len(arrays["vertices"]) == 8 and np.ptp(arrays["vertices"], 0) == pytest.approx([2, 2, 2])
    assert np.ptp(arrays["box"], 0)[1] > 3 and "faces" in target.note


def layers(item) -> dict[str, np.ndarray]:
    found = {}
    for layer in item.data.uv_layers:
        found[layer.name] = np.empty((len(layer.uv), 2), np.float32)
        layer.uv.foreach_get("vector", found[layer.name].ravel())
    return found


def test_new_uvs_and_a_material_of_its_own(addon, wanted):
    item = cube()
    item.data.uv_layers.new(name="Mine")
    item.data.uv_layers["Mine"].uv[3].vector = (0.25, 0.75)
    old = [bpy.data.materials.new(name) for name in ("one", "two")]
    for material in old:
        item.data.materials.append(material)
    item.data.polygons[2].material_index = 1
    before, places = layers(item)["Mine"].copy(), [tuple(vertex.co) for vertex in item.data.vertices]
    assert bpy.ops.latte3d.retexture() == {"FINISHED"}
    found = layers(item)
    assert list(found) == ["Mine", "LATTE3D"] and np.array_equal(found["Mine"], before)
    assert item.data.uv_layers.active.name == "LATTE3D" and item.data.uv_layers["LATTE3D"].active_render
    assert (found["LATTE3D"][:, 0] == found["LATTE3D"][:, 1]).all() and len(np.unique(found["LATTE3D"])) > 5  # the stand-in's numbers
    assert [tuple(vertex.co) for vertex in item.data.vertices] == places and len(item.data.polygons) == 6
    (material,) = item.data.materials
    assert material not in old and {node.label for node in material.node_tree.nodes} >= {"Base Color"}
    assert all(face.material_index == 0 for face in item.data.polygons) and item.material_slots[0].material == material
    assert all(one.use_fake_user and bpy.data.materials.get(one.name) for one in old)  # they stay, beyond saving
    about = json.loads(item["latte3d_texture"])
    assert (about["prompt"], about["seed"], about["model"]) == ("a red cube", 0, "fake") and "latte3d_prompt" not in item
    wanted.seed = 3
    assert bpy.ops.latte3d.retexture() == {"FINISHED"}  # again: nothing piles up
    assert list(layers(item)) == ["Mine", "LATTE3D"] and len(item.data.materials) == 1
    assert len(bpy.data.materials) == 3 and len(bpy.data.images) == 2 and json.loads(item["latte3d_texture"])["seed"] == 3


def test_into_its_own_uvs(addon, wanted):
    item = cube()
    wanted.retexture_uvs = "OWN"
    with pytest.raises(RuntimeError, match="“Cube” cannot be painted: It has no UVs. Choose New UVs"):
        bpy.ops.latte3d.retexture()
    item.data.uv_layers.new(name="Mine")
    before = layers(item)["Mine"].copy()
    arrays, _ = read(addon, item, own=True)
    assert arrays["uvs"].shape == (12, 3, 2)
    assert bpy.ops.latte3d.retexture() == {"FINISHED"}
    assert list(layers(item)) == ["Mine"] and np.array_equal(layers(item)["Mine"], before) and len(item.data.materials) == 1


def test_a_mesh_of_several_objects_becomes_its_own(addon, wanted):
    item = cube()
    twin = bpy.data.objects.new("Twin", item.data)
    bpy.context.scene.collection.objects.link(twin)
    assert bpy.ops.latte3d.retexture() == {"FINISHED"}
    assert item.data != twin.data and not twin.data.materials and not twin.data.uv_layers


def test_faces_of_many_corners(addon, wanted):
    bpy.ops.mesh.primitive_cylinder_add(vertices=12)
    item = bpy.context.active_object
    assert bpy.ops.latte3d.retexture() == {"FINISHED"} and len(item.data.polygons) == 14


def linked_cube(tmp_path) -> bpy.types.Object:
    path = str(tmp_path / "other.blend")
    bpy.data.libraries.write(path, {answers.cube(name="Theirs")})
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.objects = ["Theirs"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    return wanted.objects[0]


def test_what_cannot_be_painted_is_said(addon, wanted, tmp_path):
    paint, reason = bpy.ops.latte3d.retexture, addon("scene.painting").reason
    select()
    assert not paint.poll() and "Select an object with a mesh" in reason(None)
    theirs = linked_cube(tmp_path)
    select(theirs)
    assert not paint.poll() and "another file" in reason(theirs)
    item = cube()
    assert paint.poll()
    bpy.ops.object.mode_set(mode="EDIT")
    assert not paint.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
    empty = bpy.data.objects.new("Empty", bpy.data.meshes.new("Empty"))
    bpy.context.scene.collection.objects.link(empty)
    select(empty)
    assert not paint.poll() and "no faces" in reason(empty)
    select(item)
    item.data.vertices[0].co.x = math.nan
    with pytest.raises(RuntimeError, match="no finite places"):
        paint()
    item.data.vertices[0].co.x = -1
    for number in range(8):
        item.data.uv_layers.new(name=str(number))
    with pytest.raises(RuntimeError, match="eight UV layers"):
        paint()
    wanted.prompt = " "
    assert not paint.poll()


def test_too_many_triangles_are_a_sentence(addon, wanted, monkeypatch):
    item = cube()
    monkeypatch.setattr(addon("client.guide"), "TRIANGLES", 5)
    monkeypatch.setattr(addon("scene.painting"), "triangles_of", None)  # it is not read to find out
    with pytest.raises(RuntimeError, match="The mesh has 12; the engine paints up to 5. Decimate it"):
        bpy.ops.latte3d.retexture()
    assert not item.data.materials


def test_a_mesh_that_changed_meanwhile_stays_as_it_is(addon, wanted):
    item, session = cube(), addon("session")
    arrays, target = read(addon, item)
    place = session.at_cursor(bpy.context.scene)
    place.paints = target
    guide = addon("client.guide").Guide(canvas=arrays)
    (result,) = session.run_now(session.submit(place, ["a red cube"], [0], {"detail": "draft"}, guide=guide))
    changed = bmesh.new()
    changed.from_mesh(item.data)
    bmesh.ops.delete(changed, geom=changed.faces[:1], context="FACES")
    changed.to_mesh(item.data)
    changed.free()
    blocks = len(bpy.data.materials), len(bpy.data.images)
    with pytest.raises(addon("client.job").EngineFault, match="could not be put on. Its mesh was changed meanwhile"):
        addon("scene.placing").place(result)
    bpy.data.objects.remove(item)
    with pytest.raises(addon("client.job").EngineFault, match="deleted meanwhile"):
        addon("scene.placing").place(result)
    assert (len(bpy.data.materials), len(bpy.data.images)) == blocks


def test_it_is_no_object_of_the_history(addon, wanted):
    cube()
    log = addon("kept").history()
    log.finish()
    before = [entry.key for entry in log.entries]
    assert bpy.ops.latte3d.retexture() == {"FINISHED"}
    log.finish()
    assert [entry.key for entry in log.entries] == before


def test_a_thing_that_the_model_does_not_know_is_asked_about(addon, wanted):
    item = cube()
    wanted.prompt = "a dragon"
    with pytest.raises(RuntimeError, match="is not one of the things"):
        bpy.ops.latte3d.retexture()
    assert addon("session").SESSION.question
    before = len(bpy.data.objects)
    assert bpy.ops.latte3d.use_thing(prompt="a cube", make=True) == {"FINISHED"}  # what it offers instead is painted, too
    assert len(bpy.data.objects) == before and json.loads(item["latte3d_texture"])["prompt"] == "a cube"
    wanted.prompt = "a dragon"
    with pytest.raises(RuntimeError):
        bpy.ops.latte3d.retexture()
    assert bpy.ops.latte3d.place_anyway() == {"FINISHED"} and json.loads(item["latte3d_texture"])["prompt"] == "a dragon"
    assert len(bpy.data.objects) == before


def test_the_panel_offers_it_where_the_engine_can(addon, wanted, drawn):
    bpy.ops.latte3d.generate()
    panel = addon("panels.shape")
    assert "latte3d.retexture" in drawn(panel.draw_shape, unfold=True).of("operator")
    assert "Painted" not in drawn(panel.draw_shape, unfold=True).texts()
    bpy.ops.latte3d.retexture()
    assert "Painted as “a red cube”, seed 0" in drawn(panel.draw_shape, unfold=True).texts()
    addon("session").SESSION.engine.hello["features"] = ["generate", "blend"]
    assert "latte3d.retexture" not in drawn(panel.draw_shape, unfold=True).of("operator")
    select(bpy.context.selected_objects[0])
    assert not bpy.ops.latte3d.retexture.poll()


def test_a_dense_mesh_does_not_hold_blender_up(addon):
    """As many triangles as are painted at all, of quads: 60 ms on one machine, ten times that where each number is asked for by itself."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=499, y_subdivisions=499)
    item, took = bpy.context.active_object, []
    for _ in range(3):
        begun = time.process_time()
        arrays, _ = read(addon, item)
        took.append(time.process_time() - begun)
    assert len(arrays["triangles"]) == 498_002 and min(took) < 0.3


def test_a_mesh_is_read_as_blender_says_it(addon):
    """Triangles, quads and more corners together, concave ones too; and none at all."""
    data = addon("scene.mesh_data")
    places = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0.5, 0.5, 0), (0, 2, 0), (1, 3, 1), (-1, 1, 1)]
    for faces in ([(0, 1, 2, 3), (0, 3, 2, 4), (2, 5, 4), (0, 1, 2, 4, 6)], [(0, 1, 2), (2, 5, 4)], []):
        mesh = bpy.data.meshes.new("Mixed")
        mesh.from_pydata(places if faces else [], [], faces)
        mesh.calc_loop_triangles()
        vertex, starts = data.corners_of(mesh)
        assert vertex.tolist() == [loop.vertex_index for loop in mesh.loops]
        assert starts.tolist() == [face.loop_start for face in mesh.polygons]
        loops, owners = data.triangles_of(mesh)
        assert loops.tolist() == [list(one.loops) for one in mesh.loop_triangles]
        assert owners.tolist() == [one.polygon_index for one in mesh.loop_triangles]
        assert data.places_of(mesh) == pytest.approx(np.array(places if faces else np.zeros((0, 3))))
