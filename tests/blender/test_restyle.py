# SPDX-License-Identifier: GPL-3.0-or-later
"""Restyle: the selected shape in the engine's frame, whatever its modifiers, scale and turn; the result beside it or instead of it."""

import math
import time

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from tests.blender import answers


@pytest.fixture
def wanted(addon, engine_of):
    engine_of()
    found = bpy.context.scene.latte3d
    found.prompt, found.adherence = "a red cube", 0.75
    return found


def select(*items: bpy.types.Object) -> None:
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for item in items:
        item.select_set(True)
        bpy.context.view_layer.objects.active = item
    bpy.context.view_layer.update()


def sample(addon, *items):
    bpy.context.view_layer.update()
    return addon("scene.sampling").sample(bpy.context, items)


def test_a_box_becomes_points_of_the_engine(addon):
    """Two wide, one deep, three high: the engine looks along +X at what Blender looks at along -Y."""
    found = sample(addon, answers.cube(1.0, (5, 6, 7), stretch=(2, 1, 3)))
    points, normals = found.cloud[:, :3], found.cloud[:, 3:]
    assert np.allclose(np.abs(points).max(0), np.array([0.16, 0.32, 0.48]), atol=2e-3) and found.cloud.shape == (2048, 6)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5) and (np.einsum("ij,ij->i", points, normals) > 0).all()
    assert found.base == pytest.approx((5, 6, 5.5)) and found.height == pytest.approx(3) and found.angle == pytest.approx(0)
    on = np.abs(normals).argmax(1)
    shares = np.bincount(on) / len(on)  # by area: two sides of 1 × 3, two of 2 × 3, top and bottom of 2 × 1
    assert np.allclose(shares, np.array([6, 3, 2]) / 11, atol=0.01)
    addon("client.guide").Guide(adherence=0.5, cloud=found.cloud).check()


def test_the_turn_about_the_vertical_is_taken_out_and_any_other_is_not(addon):
    item = answers.cube(1.0, stretch=(2, 1, 3))
    before = sample(addon, item)
    item.rotation_euler.z = math.radians(37)
    turned = sample(addon, item)
    assert turned.angle == pytest.approx(math.radians(37)) and np.allclose(turned.cloud, before.cloud, atol=1e-5)
    item.rotation_euler = (math.radians(90), 0, 0)
    assert np.allclose(np.abs(sample(addon, item).cloud[:, :3]).max(0), np.array([0.48, 0.32, 0.16]), atol=2e-3)


@pytest.mark.parametrize("change", ["mirrored", "inside out"])
def test_normals_point_outwards(addon, change):
    item = answers.cube(1.0)
    if change == "mirrored":
        item.scale.x = -1
    else:
        item.data.flip_normals()
    found = sample(addon, item)
    assert (np.einsum("ij,ij->i", found.cloud[:, :3], found.cloud[:, 3:]) > 0).all()


def test_modifiers_and_several_objects_count(addon):
    one, other = answers.cube(1.0), answers.cube(1.0, (3, 0, 0))
    one.modifiers.new("Array", "ARRAY").count = 4
    one.modifiers["Array"].relative_offset_displace = (0, 0, 1)
    assert sample(addon, one).height == pytest.approx(4)
    both = sample(addon, one, other)
    assert np.allclose(np.abs(both.cloud[:, :3]).max(0), np.array([0.12, 0.48, 0.48]), atol=2e-3)


def test_what_has_no_shape_is_a_sentence(addon, wanted):
    bpy.ops.latte3d.generate()  # the engine has said which of its models knows shapes
    mesh = bpy.data.meshes.new("Points")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])
    wire = bpy.data.objects.new("Wire", mesh)
    bpy.context.scene.collection.objects.link(wire)
    select(wire)
    with pytest.raises(RuntimeError, match="“Wire” cannot be restyled: It has no faces"):
        bpy.ops.latte3d.restyle()
    bad = answers.cube(name="Bad")
    bad.data.vertices[0].co.x = math.nan
    select(bad)
    with pytest.raises(RuntimeError, match="no finite places"):
        bpy.ops.latte3d.restyle()
    select()
    assert not bpy.ops.latte3d.restyle.poll()


def test_beside_the_shape(addon, wanted):
    item = answers.cube(2.0, (1, 1, 1), stretch=(1, 1, 1.5))
    select(item)
    assert bpy.ops.latte3d.restyle() == {"FINISHED"}
    made = bpy.context.view_layer.objects.active
    found = addon("scene.origin").of(made)
    assert found.adherence == 0.75 and found.cloud and made.dimensions.z == pytest.approx(3.0)
    assert made.dimensions.x == pytest.approx(2.0, rel=0.01)  # the stand-in makes what it is given
    bpy.context.view_layer.update()
    assert answers.apart(made, item) and not item.hide_get()


def test_instead_of_the_shape(addon, wanted):
    item = answers.cube(2.0, (1, 1, 1))
    item.rotation_euler.z = 0.5
    select(item)
    wanted.restyle_place, wanted.count = "INSTEAD", 4
    assert bpy.ops.latte3d.restyle() == {"FINISHED"}
    (made,) = [one for one in bpy.data.objects if "latte3d_prompt" in one]
    assert made.location[:] == pytest.approx((1, 1, 0)) and made.rotation_euler.z == pytest.approx(0.5)
    assert item.hide_get() and item.hide_render and item.name in bpy.data.objects


def test_several_seeds_of_one_shape(addon, wanted):
    select(answers.cube(2.0, (1, 1, 1)))
    wanted.count = 3
    assert bpy.ops.latte3d.restyle() == {"FINISHED"}
    made = [one for one in bpy.data.objects if "latte3d_prompt" in one]
    assert len(made) == 3 and len({addon("scene.origin").of(one).cloud for one in made}) == 1
    addon("session").SESSION.batch = None
    wanted.count = 2
    assert bpy.ops.latte3d.more_like_this() == {"FINISHED"}  # the shape comes from the history
    assert addon("scene.origin").of(bpy.context.view_layer.objects.active).cloud == addon("scene.origin").of(made[0]).cloud


def test_only_where_the_model_knows_it(addon, engine_of, drawn):
    engine_of("two")
    wanted, panel = bpy.context.scene.latte3d, addon("panels.shape")
    wanted.prompt = "a red cube"
    bpy.ops.latte3d.generate()
    assert "latte3d.restyle" in drawn(panel.draw_shape, unfold=True).of("operator")
    wanted.model = "jeweller"
    assert "latte3d.restyle" not in drawn(panel.draw_shape, unfold=True).of("operator") and not bpy.ops.latte3d.restyle.poll()


def test_a_dense_mesh_is_quick(addon):
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=6)
    item = bpy.context.active_object
    begun = time.process_time()
    sample(addon, item)
    assert time.process_time() - begun < 0.25 and len(item.data.polygons) == 20_480


def test_a_sheared_parent_is_no_crash(addon, wanted):
    item = answers.cube(1.0)
    item.matrix_world = Matrix.Shear("XY", 4, (0.5, 0.2)) @ Matrix.Rotation(0.4, 4, "Y")
    select(item)
    assert bpy.ops.latte3d.restyle() == {"FINISHED"}
