# SPDX-License-Identifier: GPL-3.0-or-later
"""Quad remesh: a second Blender makes the quads, the engine paints them, and the object has both at once; what cannot be done is said."""

import errno
import json
import tempfile

import bpy
import numpy as np
import pytest

from tests.blender import answers


def world(item) -> np.ndarray:
    return np.array([item.matrix_world @ vertex.co for vertex in item.data.vertices])


@pytest.fixture
def made(addon, engine_of) -> bpy.types.Object:
    engine_of()
    bpy.context.scene.latte3d.prompt, bpy.context.scene.latte3d.seed = "a red cube", 4
    bpy.ops.latte3d.generate()
    item = bpy.context.view_layer.objects.active
    item.location, item.rotation_euler, item.scale = (1, 2, 3), (0.3, 0.2, 1.0), (1, 2, 0.5)
    bpy.context.view_layer.update()
    return item


def test_an_object_becomes_quads_with_a_texture(addon, made):
    before, old = world(made), made.data.name
    assert bpy.ops.latte3d.quad_remesh(faces=200) == {"FINISHED"}
    mesh, after = made.data, world(made)
    assert len(mesh.polygons) > 60 and all(len(face.vertices) == 4 for face in mesh.polygons)
    assert np.abs(after.min(0) - before.min(0)).max() < 0.1 > np.abs(after.max(0) - before.max(0)).max()
    assert [layer.name for layer in mesh.uv_layers] == ["LATTE3D"] and len(mesh.materials) == 1 and mesh.materials[0].node_tree
    uvs = np.array([corner.vector for corner in mesh.uv_layers[0].uv]).reshape(-1, 4, 2)
    assert len(np.unique(uvs[:, :, 0])) > 50  # the stand-in's numbers
    found = addon("scene.origin").of(made)
    assert (found.prompt, found.seed) == ("a red cube", 4) and "latte3d_texture" not in made
    assert mesh.name == old and len(bpy.data.meshes) == 1 and len(bpy.data.materials) == 1 and len(bpy.data.images) == 2
    assert addon("quads").RUN is None


def test_what_the_engine_is_asked_for_is_what_the_object_was(addon, made, monkeypatch):
    """Its prompt, seed, model and sizes; its shape in the frame in which it was made, wherever it stands now."""
    asked, session = [], addon("session")
    submit = session.submit
    monkeypatch.setattr(session, "submit", lambda *given, **named: asked.append((given, named)) or submit(*given, **named))
    old = np.array([vertex.co for vertex in made.data.vertices])
    bpy.ops.latte3d.quad_remesh(faces=200)
    (_, prompts, seeds, settings), named = asked[0]
    assert (prompts, seeds) == (["a red cube"], [4]) and settings["detail"] == "standard" and settings["model"] == "fake"
    canvas = named["guide"].canvas
    assert named["guide"].params == {"follow": False}
    assert canvas["box"] == pytest.approx(np.array([(-old.max(0)[1], old.min(0)[0], 0), (-old.min(0)[1], old.max(0)[0], old.max(0)[2])]))
    assert len(canvas["triangles"]) == 2 * (canvas["faces"].max() + 1)


def test_an_object_of_a_shape_is_painted_of_that_shape_again(addon, made, monkeypatch):
    made.select_set(True)
    bpy.context.scene.latte3d.adherence = 0.75
    bpy.ops.latte3d.restyle()
    item, asked, session = bpy.context.view_layer.objects.active, [], addon("session")
    submit = session.submit
    monkeypatch.setattr(session, "submit", lambda *given, **named: asked.append(named["guide"]) or submit(*given, **named))
    assert bpy.ops.latte3d.quad_remesh(faces=200) == {"FINISHED"} and len(item.data.polygons) > 60
    assert asked[0].adherence == 0.75 and asked[0].cloud.shape == (2048, 6) and asked[0].method == "retexture"


def test_a_painted_mesh_keeps_its_paint(addon, engine_of):
    engine_of()
    bpy.context.scene.latte3d.prompt = "a blue cube"
    item = answers.cube(2.0)
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    assert not bpy.ops.latte3d.quad_remesh.poll()  # nobody knows what its look is made of
    bpy.ops.latte3d.retexture()
    about = json.loads(item["latte3d_texture"])
    assert bpy.ops.latte3d.quad_remesh(faces=200) == {"FINISHED"} and len(item.data.polygons) > 60
    assert json.loads(item["latte3d_texture"])["prompt"] == about["prompt"] == "a blue cube"
    for value in ("{", "[]", '{"prompt": "a"}', 5):
        item["latte3d_texture"] = value
        assert addon("scene.painting").about(item) is None


def test_what_encloses_nothing_is_said(addon, made):
    made.data.clear_geometry()
    made.data.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, 1), (1, 2, 3)], [], [(0, 1, 2), (0, 1, 3), (1, 0, 4)])
    with pytest.raises(RuntimeError, match="No quads could be made of it"):
        bpy.ops.latte3d.quad_remesh(faces=100)
    assert len(made.data.polygons) == 3 and addon("quads").RUN is None


def test_a_mesh_that_changed_meanwhile_stays_as_it_is(addon, made):
    quads = addon("quads")
    quads.begin(bpy.context.scene, made, 100)
    made.data.clear_geometry()
    with pytest.raises(addon("client.job").EngineFault, match="quads are of no use. This object's mesh has no faces"):
        quads.run_now()
    assert quads.RUN is None


def test_vertices_that_move_meanwhile_are_not_lost(addon, made):
    """While the quads are made, and while they are painted."""
    quads, session, fault = addon("quads"), addon("session"), addon("client.job").EngineFault
    quads.begin(bpy.context.scene, made, 100)
    made.data.vertices[0].co.z += 5
    with pytest.raises(fault, match="quads are of no use. Its mesh was changed meanwhile. Remesh it again"):
        quads.run_now()
    quads.begin(bpy.context.scene, made, 100)
    (result,) = quads.run_now()
    made.data.vertices[0].co.z += 2
    moved, faces = world(made), len(made.data.polygons)
    with pytest.raises(fault, match="quads are of no use. Its mesh was changed meanwhile. Remesh it again"):
        addon("scene.placing").place(result)
    assert np.array_equal(world(made), moved) and len(made.data.polygons) == faces
    made.data.vertices[0].co.z -= 2
    made.vertex_groups.new(name="Bone")
    with pytest.raises(fault, match="Vertex groups would be lost"):
        addon("scene.placing").place(result)
    made.vertex_groups.clear()
    session.SESSION.to_place.clear()
    addon("scene.placing").place(result)
    assert len(made.data.polygons) != faces


def test_who_looks_at_it_in_edit_mode_meanwhile_loses_nothing(addon, made):
    """There, Blender has no attributes of a mesh to read."""
    quads, faces = addon("quads"), len(made.data.polygons)
    quads.begin(bpy.context.scene, made, 100)
    bpy.ops.object.mode_set(mode="EDIT")
    (result,) = quads.run_now()
    with pytest.raises(ValueError, match="Switch to Object Mode first"):
        addon("scene.painting").put_on(result)
    bpy.ops.object.mode_set(mode="OBJECT")
    addon("scene.placing").place(result)
    assert len(made.data.polygons) != faces


def test_what_is_no_mesh_any_more_is_said(addon, made):
    quads, fault = addon("quads"), addon("client.job").EngineFault
    quads.begin(bpy.context.scene, made, 100)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.delete(type="ONLY_FACE")
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.object.convert(target="CURVE")
    assert made.type == "CURVE"
    with pytest.raises(fault, match="quads are of no use. The object is no mesh any more"):
        quads.run_now()
    assert quads.RUN is None


@pytest.mark.parametrize("what", ["full", "nowhere"])
def test_a_disk_that_takes_nothing_is_a_sentence(addon, made, monkeypatch, tmp_path, what):
    folder = tmp_path / "temp"
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    if what == "full":
        folder.mkdir()

        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(np, "savez", full)
    with pytest.raises(RuntimeError, match="Quads cannot be begun.*(No space left on device|No such file).*Free some space"):
        bpy.ops.latte3d.quad_remesh(faces=100)
    assert addon("quads").RUN is None and not list(tmp_path.glob("temp/*"))


def test_it_can_be_stopped(addon, made):
    quads = addon("quads")
    made.shape_key_add()
    assert "shape keys" in quads.reason(made)
    made.shape_key_clear()
    quads.begin(bpy.context.scene, made, 100)
    run = quads.RUN
    assert "being made" in quads.reason(made) and bpy.ops.latte3d.cancel_quads() == {"FINISHED"}
    assert run.process.poll() is not None and not run.folder.exists() and not bpy.ops.latte3d.cancel_quads.poll()


def test_a_refined_object_is_painted_of_its_planes(addon, made, monkeypatch):
    """Planes that its own model made, which take the place of what the prompt alone would give."""
    planes = {name: np.full((2, 2), 0.5, np.float32) for name in addon("client.guide").PLANES}
    monkeypatch.setattr(addon("kept"), "guide_of", lambda item: addon("client.guide").Guide(planes=planes))
    session = addon("session")
    asked, submit = [], session.submit
    monkeypatch.setattr(session, "submit", lambda *given, **named: asked.append(named) or submit(*given, **named))
    assert bpy.ops.latte3d.quad_remesh(faces=200) == {"FINISHED"} and len(made.data.polygons) > 60
    assert asked[0]["model"] == "fake" and asked[0]["guide"].arrays.keys() == {*planes, "vertices", "triangles", "faces", "box"}


def test_the_artists_own_materials_stay_in_the_file(addon, made):
    made.data.materials.append(bpy.data.materials.new("Mine"))
    assert bpy.ops.latte3d.quad_remesh(faces=200) == {"FINISHED"} and len(made.data.materials) == 1
    assert bpy.data.materials["Mine"].use_fake_user, "it outlives saving and loading"


def test_weights_are_not_lost(addon, made):
    made.vertex_groups.new(name="Bone")
    assert not bpy.ops.latte3d.quad_remesh.poll() and "Vertex groups" in addon("quads").reason(made)
