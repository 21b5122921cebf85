# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of preparing a library: what artists' files look like as triangles, looks and pictures."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from latte3d_blender import library
from latte3d_blender.client import protocol

RED, BLUE = (0.6, 0.05, 0.02), (0.03, 0.1, 0.7)  # linear
FORMATS = ("blend", "glb", "gltf", "obj", "fbx", "ply", "stl", "usdc")


@pytest.fixture
def scene():
    """An empty file."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    return bpy.context.scene


def material(name: str, color, roughness: float = 0.3, metallic: float = 0.0) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1)
    shader.inputs["Roughness"].default_value, shader.inputs["Metallic"].default_value = roughness, metallic
    return made


def link(made: bpy.types.Material, output, name: str = "Base Color") -> None:
    made.node_tree.links.new(output, made.node_tree.nodes["Principled BSDF"].inputs[name])


def cube(name: str = "Cube", size=(1, 1, 1), at=(0, 0, 0), *materials) -> bpy.types.Object:
    x, y, z = (np.array(size) / 2).tolist()
    corners = [(a * x, b * y, c * z) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    layer = mesh.uv_layers.new(name="UVMap")
    layer.uv.foreach_set("vector", np.tile(np.array((0, 0, 1, 0, 1, 1, 0, 1), np.float32), 6))
    for one in materials:
        mesh.materials.append(one)
    item = bpy.data.objects.new(name, mesh)
    item.location = at
    bpy.context.scene.collection.objects.link(item)
    return item


def export(path: Path, part: str = "", front: str = "-y", picture: int = 0):
    """(answer, facts, arrays) of one asset."""
    out = path.parent / "export.safetensors"
    out.unlink(missing_ok=True)
    answer = library.export_asset({"asset": str(path), "part": part, "front": front, "picture": picture, "out": str(out)})
    if not answer["ok"]:
        return answer, {}, {}
    with open(out, "rb") as file:
        return answer, *protocol.read(file)


def saved(path: Path) -> Path:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    return path


def areas(arrays) -> np.ndarray:
    a, b, c = arrays["vertices"].astype(np.float64)[arrays["triangles"]].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def mean_looks(facts, arrays) -> dict[tuple, float]:
    """(sRGB colour rounded, roughness, metallic) of constants and corner colours: share of the area."""
    shares = {}
    for number, look in enumerate(facts["looks"]):
        rows = arrays["look"] == number
        color = np.array(look["color"]["factor"]) * (arrays["corner"][rows].mean((0, 1)) if rows.any() else 1)
        key = (*np.round(color, 2).tolist(), round(look["roughness"]["factor"][0], 2), look["metallic"]["factor"][0], look["known"])
        shares[key] = shares.get(key, 0) + areas(arrays)[rows].sum() / areas(arrays).sum()
    return shares


def save_as(kind: str, path: Path) -> None:
    {
        "blend": lambda: saved(path),
        "glb": lambda: bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB", export_apply=True),
        "gltf": lambda: bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLTF_SEPARATE", export_apply=True),
        "obj": lambda: bpy.ops.wm.obj_export(filepath=str(path), export_pbr_extensions=True),
        "fbx": lambda: bpy.ops.export_scene.fbx(filepath=str(path)),
        "ply": lambda: bpy.ops.wm.ply_export(filepath=str(path), export_colors="LINEAR"),
        "stl": lambda: bpy.ops.wm.stl_export(filepath=str(path)),
        "usda": lambda: bpy.ops.wm.usd_export(filepath=str(path)),
        "usdc": lambda: bpy.ops.wm.usd_export(filepath=str(path)),
    }[kind]()


def test_one_object_in_every_format_is_one_shape_with_one_look(scene, tmp_path):
    body = cube("Body", (1, 2, 0.5), (0, 0, 0.25), material("red", RED, 0.25))
    body.modifiers.new("Bevel", "BEVEL").width = 0.05
    cube("Nose", (0.3, 0.4, 0.3), (0.2, -1.1, 0.6), material("blue", BLUE, 0.7))
    for kind in FORMATS:
        save_as(kind, tmp_path / f"asset.{kind}")
    told = {kind: export(tmp_path / f"asset.{kind}") for kind in FORMATS}
    _, facts, arrays = told["blend"]
    assert facts["height"] == pytest.approx(0.75, abs=1e-6)
    for kind, (answer, other_facts, other) in told.items():
        assert answer["ok"], (kind, answer)
        apart = np.linalg.norm(other["vertices"][:, None] - arrays["vertices"][None], axis=-1)
        assert max(apart.min(0).max(), apart.min(1).max()) < 0.002 * 0.96, kind
        assert areas(other).sum() == pytest.approx(areas(arrays).sum(), rel=1e-3), kind
        assert other_facts["height"] == pytest.approx(0.75, rel=2e-3), kind
        if kind == "ply":  # faces without a material, and no colours in this one
            assert not any(look["known"] for look in other_facts["looks"])
        elif kind == "stl":
            assert not any(look["known"] for look in other_facts["looks"]) and "not known" in other_facts["notes"][0]
        else:
            looks = mean_looks(other_facts, other)
            assert set(looks) == {(*RED, 0.25, 0.0, True), (*BLUE, 0.7, 0.0, True)}, kind
            assert looks[(*RED, 0.25, 0.0, True)] == pytest.approx(mean_looks(facts, arrays)[(*RED, 0.25, 0.0, True)], abs=1e-3)


def test_corner_colours_are_read_from_ply(scene, tmp_path):
    item = cube()
    layer = item.data.color_attributes.new("Col", "FLOAT_COLOR", "POINT")
    layer.data.foreach_set("color", np.tile(np.array((*BLUE, 1), np.float32), 8))
    item.data.color_attributes.active_color = layer
    bpy.ops.wm.ply_export(filepath=str(tmp_path / "a.ply"), export_colors="SRGB")
    _, facts, arrays = export(tmp_path / "a.ply")
    assert facts["looks"][0]["known"] and np.abs(arrays["corner"] - BLUE).max() < 0.01


def test_a_colour_attribute_without_a_name_is_the_one_that_renders(scene, tmp_path):
    """As glTF files with colours at their corners are imported."""
    made = material("painted", RED)
    link(made, made.node_tree.nodes.new("ShaderNodeVertexColor").outputs["Color"])
    item = cube("Cube", (1, 1, 1), (0, 0, 0), made)
    for name, color in (("other", RED), ("shown", BLUE)):
        layer = item.data.color_attributes.new(name, "FLOAT_COLOR", "POINT")
        layer.data.foreach_set("color", np.tile((*color, 1), 8))
    item.data.color_attributes.active_color_name, item.data.color_attributes.render_color_index = "other", 1
    _, facts, arrays = export(saved(tmp_path / "a.blend"))
    assert not facts["notes"] and np.abs(arrays["corner"] - BLUE).max() < 1e-3


@pytest.mark.parametrize(("front", "turn"), [("-y", 0), ("+x", 90), ("+y", 180), ("-x", 270)])
def test_the_front_becomes_plus_x(scene, tmp_path, front, turn):
    a = math.radians(turn)
    cube("Body", (1, 1, 1))
    cube("Nose", (0.2, 0.2, 0.2), (0.9 * math.sin(a), -0.9 * math.cos(a), 0.2))
    _, _, arrays = export(saved(tmp_path / "a.blend"), front=front)
    v = arrays["vertices"]
    assert np.ptp(v[:, 0]) == pytest.approx(0.96, abs=1e-6) and np.abs(v).max() == pytest.approx(0.48, abs=1e-6)
    tip = v[v[:, 0] > 0.47]
    assert np.abs(tip[:, 1]).max() < 0.1 and tip[:, 2].mean() > 0.05  # the nose is in front, above the middle


def test_modifiers_instances_and_rest_pose_are_evaluated(scene, tmp_path):
    item = cube("Row", (1, 1, 1), (0, 0, 0), material("red", RED))
    array = item.modifiers.new("Array", "ARRAY")
    array.count, array.relative_offset_displace = 3, (1.5, 0, 0)
    hidden = cube("Cutter", (9, 9, 9))
    hidden.hide_render = True
    group = bpy.data.collections.new("Group")
    inner = cube("Inner", (0.5, 0.5, 0.5))
    scene.collection.objects.unlink(inner)
    group.objects.link(inner)
    for x in (-3, -5):
        empty = bpy.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection, empty.location, empty.scale = "COLLECTION", group, (x, 0, 0), (1, -2, 1)
        scene.collection.objects.link(empty)
    _, facts, arrays = export(saved(tmp_path / "a.blend"))
    assert len(arrays["triangles"]) == 12 * (3 + 2)
    assert facts["size"] == pytest.approx([3.5 + 5.25, 1, 1])
    a, b, c = arrays["vertices"].astype(float)[arrays["triangles"]].transpose(1, 0, 2)
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6 * (8.75 / 0.96) ** 3
    assert volume == pytest.approx(3 + 2 * 0.25, rel=1e-4)  # mirrored instances keep their outside outside


def test_geometry_nodes_instances_are_there(scene, tmp_path):
    item = cube("Points", (4, 4, 1))
    tree = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    begin, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    place, small = tree.nodes.new("GeometryNodeInstanceOnPoints"), tree.nodes.new("GeometryNodeMeshCube")
    small.inputs["Size"].default_value = (0.5, 0.5, 0.5)
    tree.links.new(begin.outputs[0], place.inputs["Points"])
    tree.links.new(small.outputs["Mesh"], place.inputs["Instance"])
    tree.links.new(place.outputs[0], end.inputs[0])
    item.modifiers.new("Scatter", "NODES").node_group = tree
    _, facts, arrays = export(saved(tmp_path / "a.blend"))
    assert len(arrays["triangles"]) == 12 * 8 and facts["size"] == pytest.approx([4.5, 4.5, 1.5])


def test_an_armature_rests(scene, tmp_path):
    item = cube("Arm", (1, 1, 4))
    armature = bpy.data.armatures.new("Bones")
    rig = bpy.data.objects.new("Rig", armature)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("Bone")
    bone.tail = (0, 0, 2)
    bpy.ops.object.mode_set(mode="OBJECT")
    item.vertex_groups.new(name="Bone").add(list(range(8)), 1, "REPLACE")
    item.modifiers.new("Armature", "ARMATURE").object = rig
    rig.pose.bones["Bone"].rotation_mode = "XYZ"
    rig.pose.bones["Bone"].rotation_euler = (1.0, 0, 0)
    _, facts, _ = export(saved(tmp_path / "a.blend"))
    assert facts["size"] == pytest.approx([1, 1, 4])


def test_one_object_or_collection_of_a_file(scene, tmp_path):
    parent = cube("Lamp", (1, 1, 1))
    child = cube("Shade", (1, 1, 1), (0, 0, 1))
    child.parent = parent
    cube("Other", (8, 8, 8))
    path = saved(tmp_path / "a.blend")
    assert export(path, "Lamp")[1]["size"] == pytest.approx([1, 1, 2])
    answer, *_ = export(path, "Lampe")
    assert not answer["ok"] and "'Lampe'" in answer["reason"] and "Lamp, Other, Shade" in answer["reason"]


def test_images_are_read_through_their_own_uvs(scene, tmp_path):
    image = bpy.data.images.new("two", 4, 4)
    pixels = np.zeros((4, 4, 4), np.float32)
    pixels[:2], pixels[2:] = (1, 0, 0, 1), (0, 0.5, 1, 1)  # below red, above blue, as sRGB
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(tmp_path / "two.png"), "PNG"
    image.save()
    made = material("pictured", RED)
    node, uv = made.node_tree.nodes.new("ShaderNodeTexImage"), made.node_tree.nodes.new("ShaderNodeUVMap")
    node.image, uv.uv_map = bpy.data.images.load(str(tmp_path / "two.png")), "Second"
    made.node_tree.links.new(uv.outputs[0], node.inputs["Vector"])
    link(made, node.outputs["Color"])
    item = cube("Cube", (1, 1, 1), (0, 0, 0), made)
    second = item.data.uv_layers.new(name="Second")
    second.uv.foreach_set("vector", np.full(48, 0.9, np.float32))
    _, facts, arrays = export(saved(tmp_path / "a.blend"))
    look = facts["looks"][0]["color"]
    assert np.allclose(arrays[f"uv{look['uv']}"], 0.9)
    assert arrays[f"picture{look['picture']}"][3, 3].tolist() == [0, 128, 255]
    (tmp_path / "two.png").unlink()
    answer, facts, arrays = export(tmp_path / "a.blend")
    assert answer["missing"] and "two.png" in answer["missing"][0] and str(tmp_path / "two.png") in answer["files"]
    assert not facts["looks"][0]["known"]  # its colour is not known: no default takes its place


@pytest.mark.parametrize("kind", ["gltf", "obj", "fbx", "usda"])
def test_an_image_that_is_missing_is_told_whatever_the_format(scene, tmp_path, kind):
    image = bpy.data.images.new("green", 4, 4)
    image.filepath_raw, image.file_format = str(tmp_path / "green.png"), "PNG"
    image.save()
    made = material("pictured", RED)
    node = made.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(tmp_path / "green.png"))
    link(made, node.outputs["Color"])
    cube("Cube", (1, 1, 1), (0, 0, 0), made)
    save_as(kind, tmp_path / f"a.{kind}")
    answer, facts, _ = export(tmp_path / f"a.{kind}")
    assert not answer["missing"] and facts["looks"][0]["known"]
    for file in tmp_path.rglob("*.png"):
        file.unlink()
    answer, facts, _ = export(tmp_path / f"a.{kind}")
    assert answer["missing"] and not any(look["known"] for look in facts["looks"])


def test_an_obj_without_its_mtl_has_no_known_colours(scene, tmp_path):
    cube("Cube", (1, 1, 1), (0, 0, 0), material("red", RED))
    save_as("obj", tmp_path / "a.obj")
    (tmp_path / "a.mtl").unlink()
    answer, facts, _ = export(tmp_path / "a.obj")
    assert answer["missing"] == ["a.mtl"] and not facts["looks"][0]["known"] and str(tmp_path / "a.mtl") in answer["files"]


def test_a_linked_library_that_is_missing_is_told(scene, tmp_path):
    cube("Linked", (1, 1, 1), (0, 0, 0), material("red", RED))
    saved(tmp_path / "lib.blend")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with bpy.data.libraries.load(str(tmp_path / "lib.blend"), link=True) as (_, wanted):
        wanted.objects = ["Linked"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["Linked"])
    cube("Own", (1, 1, 1), (2, 0, 0))
    path = saved(tmp_path / "a.blend")
    answer, _, arrays = export(path)
    assert len(arrays["triangles"]) == 24 and str(tmp_path / "lib.blend") in answer["files"]
    (tmp_path / "lib.blend").unlink()
    answer, facts, arrays = export(path)
    assert len(arrays["triangles"]) == 12 and "is missing" in facts["notes"][0]


def test_other_node_trees_are_baked(scene, tmp_path):
    made = material("noise", RED)
    ramp, where = made.node_tree.nodes.new("ShaderNodeValToRGB"), made.node_tree.nodes.new("ShaderNodeTexCoord")
    split = made.node_tree.nodes.new("ShaderNodeSeparateXYZ")
    made.node_tree.links.new(where.outputs["Object"], split.inputs[0])
    made.node_tree.links.new(split.outputs["Z"], ramp.inputs[0])
    ramp.color_ramp.interpolation = "CONSTANT"
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*RED, 1), (*BLUE, 1)
    ramp.color_ramp.elements[1].position = 0.0001  # blue above the object's middle
    link(made, ramp.outputs["Color"])
    cube("Cube", (1, 1, 1), (0, 0, 3), made)
    _, facts, arrays = export(saved(tmp_path / "a.blend"))
    assert "was baked" in facts["notes"][0]
    look = facts["looks"][0]["color"]
    picture, uv = arrays[f"picture{look['picture']}"], arrays[f"uv{look['uv']}"]
    for way, color in ((1, BLUE), (-1, RED)):
        normals = np.cross(*(arrays["vertices"][arrays["triangles"]][:, i] - arrays["vertices"][arrays["triangles"]][:, 0] for i in (1, 2)))
        (row, *_) = np.flatnonzero(normals[:, 2] * way > 1e-3)
        u, v = uv[row].mean(0) * len(picture)
        encoded = [12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in color]
        assert np.abs(picture[int(v), int(u)] / 255 - encoded).max() < 0.02
    rough = facts["looks"][0]["roughness"]
    assert abs(int(np.median(arrays[f"picture{rough['picture']}"])) - 0.3 * 255) < 4


@pytest.mark.parametrize(("kind", "way"), [("blend", "alpha"), ("glb", "alpha"), ("glb", "above"), ("blend", "shaders")])
def test_a_leaf_is_cut_out_of_its_plane(scene, tmp_path, kind, way):
    """A disc of alpha 0.8 on 0.3."""
    v, u = (np.mgrid[0:64, 0:64] + 0.5) / 64 - 0.5
    image = bpy.data.images.new("leaf", 64, 64, alpha=True)
    pixels = np.zeros((64, 64, 4), np.float32)
    pixels[..., 1] = 0.5
    pixels[..., 3] = np.where(np.hypot(u, v) < 0.4, 0.8, 0.3)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    made = material("leaf", (1, 1, 1))
    nodes, links = made.node_tree.nodes, made.node_tree.links
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    link(made, node.outputs["Color"])
    out = node.outputs["Alpha"]
    if way == "above":
        math_node = nodes.new("ShaderNodeMath")
        math_node.operation = "GREATER_THAN"
        math_node.inputs[1].default_value = 0.6
        links.new(out, math_node.inputs[0])
        out = math_node.outputs[0]
    if way == "shaders":
        mix, end = nodes.new("ShaderNodeMixShader"), nodes["Material Output"]
        links.new(out, mix.inputs[0])
        links.new(nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
        links.new(nodes["Principled BSDF"].outputs[0], mix.inputs[2])
        links.new(mix.outputs[0], end.inputs["Surface"])
    else:
        link(made, out, "Alpha")
    plain = bpy.data.meshes.new("Plane")
    plain.from_pydata([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)], [], [(0, 1, 2, 3)])
    plain.uv_layers.new(name="UVMap").uv.foreach_set("vector", np.array((0, 0, 1, 0, 1, 1, 0, 1), np.float32))
    plain.materials.append(made)
    item = bpy.data.objects.new("Plane", plain)
    scene.collection.objects.link(item)
    cube("Cube", (0.2, 0.2, 0.2), (0, 0, 1), material("red", RED))
    save_as(kind, tmp_path / f"a.{kind}")
    _, facts, arrays = export(tmp_path / f"a.{kind}")
    assert any("cut out" in note for note in facts["notes"]) and not any("solid" in note for note in facts["notes"])
    corners = arrays["vertices"][arrays["triangles"]].mean(1)
    leaf = corners[:, 2] < 0
    unit = facts["size"][2] / 0.96
    assert areas(arrays)[leaf].sum() * unit**2 == pytest.approx(math.pi * 0.4**2, rel=0.03)
    assert (np.hypot(*(corners[leaf, :2] * unit).T) < 0.41).all() and (~leaf).sum() == 12
    rows = np.flatnonzero(leaf)
    look = facts["looks"][arrays["look"][rows[0]]]["color"]
    where = corners[rows] * unit  # x is -y in Blender's axes
    assert np.abs(arrays[f"uv{look['uv']}"][rows].mean(1) - 0.5 - np.stack((where[:, 1], -where[:, 0]), 1)).max() < 1e-3


def test_scripts_in_files_never_run(scene, tmp_path):
    mark = tmp_path / "ran"
    text = bpy.data.texts.new("run.py")
    text.write(f"open({str(mark)!r}, 'w').close()")
    text.use_module = True
    item = cube()
    driver = item.driver_add("location", 0).driver
    driver.expression = f"open({str(mark)!r}, 'w').close() or 1.0"
    path = saved(tmp_path / "a.blend")
    mark.unlink(missing_ok=True)
    bpy.context.preferences.filepaths.use_scripts_auto_execute = True
    assert export(path)[0]["ok"] and not mark.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.glb", b"glTF no", ""), ("a.blend", b"BLENDER no", "cannot read"), ("a.obj", b"v 0 0 0\n", "surface"), ("a.stl", b"x", "")],
)
def test_broken_files_say_why(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    answer, *_ = export(tmp_path / name)
    assert not answer["ok"] and answer["reason"].endswith(".") and words in answer["reason"]


def test_sizes_from_a_centimetre_to_a_hundred_metres(scene, tmp_path):
    for size in (0.01, 100.0):
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        cube("Cube", (size, size / 2, size), (1000 * size, 0, 0))
        _, facts, arrays = export(saved(tmp_path / "a.blend"))
        assert facts["height"] == pytest.approx(size, rel=1e-4)
        assert np.ptp(arrays["vertices"], axis=0) == pytest.approx([0.48, 0.96, 0.96], rel=1e-3)


def test_the_worker_answers_line_by_line_and_keeps_its_stdout(scene, tmp_path):
    cube("Cube", (1, 1, 1), (0, 0, 0), material("red", RED))
    path = saved(tmp_path / "a.blend")
    from latte3d_blender import library_commands

    request = {"asset": str(path), "part": "", "front": "-y", "picture": 32, "out": str(tmp_path / "e")}
    text = "".join(json.dumps(r) + "\n" for r in (request, request | {"part": "x"}))
    done = subprocess.run(library_commands.blender_command(), input=text, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    said = done.stdout.splitlines()
    answers = said[next(number for number, line in enumerate(said) if "ready" in line) :]  # Blender 5.2 names its colours before
    lines = [json.loads(line) for line in answers]
    assert [line.get("ready", line.get("ok")) for line in lines] == [True, True, False] and done.returncode == 0
    with open(tmp_path / "e", "rb") as file:
        _, arrays = protocol.read(file)
    red = arrays["preview"].astype(int)
    assert (red[..., 0] > red[..., 2] + 60).mean() > 0.1 and arrays["preview"].shape == (32, 32, 3)


def test_check_needs_no_engine(tmp_path, capfd):
    from latte3d_blender import library_commands

    (tmp_path / "library.toml").write_text('licence = "CC0-1.0"\nunits = 1.0\n')
    (tmp_path / "prompts.csv").write_text("prompt,shape,split\na,gone.glb,train\n")
    assert library_commands.main(["check", str(tmp_path), "--json"]) == 2  # nothing in it can be used
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(f["line"], f["shape"]) for f in lines[:-1]] == [(0, ""), (2, "gone.glb")] and lines[-1]["errors"] == 2
    assert library_commands.main(["prepare"]) == 2


def test_from_a_folder_to_prepared_shapes(scene, tmp_path, capfd):
    from latte3d_blender import library_commands

    engine = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "python"
    if not engine.exists() or subprocess.run([engine, "-c", "import igl"], capture_output=True).returncode:
        pytest.skip("there is no engine with the packages of train.txt")
    item = cube("Lamp", (1, 2, 1), (0, 0, 0), material("red", RED))
    item.modifiers.new("Bevel", "BEVEL").width = 0.05
    saved(tmp_path / "props.blend")
    (tmp_path / "broken.glb").write_bytes(b"no")
    (tmp_path / "spare_lamp.glb").write_bytes(b"no")
    (tmp_path / "library.toml").write_text('licence = "CC0-1.0"\nunits = 2.0\n')
    (tmp_path / "prompts.csv").write_text("prompt,shape,split\na red lamp,props.blend:Lamp,train\na wreck,broken.glb,train\n")
    assert library_commands.main(["prepare", str(tmp_path), "--engine", str(engine), "--json", "--workers", "1"]) == 1
    *progress, result = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert result["prepared"] == 1 and [r["asset"] for r in result["rejected"]] == ["broken.glb"] and result["rejected"][0]["reason"]
    assert [event["done"] for event in progress] == [0, 1, 2]
    report = json.loads((tmp_path / ".prepared" / "report.json").read_text())
    (asset,) = report["assets"]
    assert asset["height_m"] == pytest.approx(2.0) and asset["closed"] == 1 and asset["known"] == 1
    picture = bpy.data.images.load(str(tmp_path / ".prepared" / asset["picture"]))
    pixels = np.array(picture.pixels[:]).reshape(picture.size[1], picture.size[0], -1)
    for half in np.split(pixels, 2, axis=1):  # Blender's and the engine's picture both show something red
        assert (half[..., 0] > half[..., 2] + 0.2).mean() > 0.1
    assert library_commands.main(["suggest", str(tmp_path), "--engine", str(engine), "--json"]) == 1
    assert (tmp_path / "suggested.csv").read_text() == "prompt,shape,split\n"  # spare_lamp.glb is broken too


def test_the_working_folder_shadows_nothing(tmp_path):
    """A person's own package of the same name beside them is not what runs."""
    engine, root = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "python", Path(__file__).resolve().parents[2]
    if not engine.is_file():
        pytest.skip("no engine")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    command = [sys.executable, "-m", "latte3d_blender", "library", "prepare", "nowhere", "--engine", str(engine)]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "nowhere" in done.stderr and "the wrong one" not in done.stderr, done.stderr
