# SPDX-License-Identifier: GPL-3.0-or-later
"""Where new objects stand: free of what is there, beside copies, on the ground; in scenes as artists have them."""

import time

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Vector

from tests.blender.answers import answer, apart, box, cube, place


def test_beside_the_default_cube(addon):
    """In the scene that Blender starts with, the object stands beside the cube, on the cursor's height, near it."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    (made,) = place(addon, answer())
    assert apart(made, bpy.data.objects["Cube"]) and made.location.z == 0
    assert 1.1 < made.location.length < 1.5


def test_at_the_cursor_where_it_is_free(addon):
    cube(location=(3, 0, 0))
    bpy.context.scene.cursor.location = (1.8, 0.2, 0.1)  # 7 cm away from the cube
    (made,) = place(addon, answer())
    assert made.location == Vector((1.8, 0.2, 0.1))


def test_generating_twice_stands_side_by_side(addon):
    made = [place(addon, answer())[0] for _ in range(5)]
    assert all(apart(one, other) for index, one in enumerate(made) for other in made[:index])
    assert max(one.location.length for one in made) < 0.5 and all(one.location.z == 0 for one in made)


def test_the_same_scene_gives_the_same_spot(addon):
    spots = []
    for _ in range(2):
        bpy.ops.wm.read_homefile(use_factory_startup=True)
        spots.append([place(addon, answer(seed=seed))[0].location[:] for seed in range(3)])
    assert spots[0] == spots[1]


@pytest.mark.parametrize("towards", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)])
def test_not_behind_what_it_makes_way_for(addon, towards):
    cube()
    (made,) = place(addon, answer(), towards=towards)
    assert made.location.dot(Vector(towards)) > 1


def test_the_objects_of_a_batch_stand_beside_one_another(addon):
    """Each finds its own free spot near the cursor, on the same ground, however many there are."""
    cube()
    made = place(addon, *[answer(f"cube number {number}", number) for number in range(40)])
    assert all(apart(one, other) for one in made for other in (*made, bpy.data.objects["Cube"]) if one != other)
    assert {one.location.z for one in made} == {0.0} and max(one.location.length for one in made) < 4


def test_exactly_there_when_asked(addon):
    cube()
    (made,) = place(addon, answer(), clear=False)
    assert made.location == Vector((0, 0, 0))


def hidden(item, how):
    if how == "hide_viewport":
        item.hide_viewport = True
    elif how == "eye":
        item.hide_set(True)
    elif how == "excluded":
        away = bpy.data.collections.new("Away")
        bpy.context.scene.collection.children.link(away)
        away.objects.link(item)
        bpy.context.scene.collection.objects.unlink(item)
        bpy.context.view_layer.layer_collection.children["Away"].exclude = True
    else:
        item.display_type = "BOUNDS"


@pytest.mark.parametrize("how", ["hide_viewport", "eye", "excluded", "a cutter"])
def test_what_is_not_seen_is_not_in_the_way(addon, how):
    hidden(cube(), how)
    assert place(addon, answer())[0].location == Vector((0, 0, 0))


def test_lights_cameras_and_empties_are_not_in_the_way(addon):
    bpy.ops.object.light_add(type="AREA")
    bpy.ops.object.camera_add()
    bpy.ops.object.empty_add()
    bpy.ops.mesh.primitive_plane_add(size=4)
    bpy.context.object.data.clear_geometry()
    assert place(addon, answer())[0].location == Vector((0, 0, 0))


def test_collection_instances_and_curves_are_in_the_way(addon):
    kept = bpy.data.collections.new("Kept")
    kept.objects.link(bpy.data.objects.new("Inside", cube().data))
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    instance = bpy.data.objects.new("Instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", kept
    instance.location = (0.5, 0, 0)
    bpy.context.scene.collection.objects.link(instance)
    (made,) = place(addon, answer())
    (low, high) = box(made)
    assert high[0] <= -0.5 or low[0] >= 1.5 or low[1] >= 1 or high[1] <= -1
    bpy.ops.object.text_add(location=(10, 0, 0), rotation=(1.57, 0, 0))
    bpy.context.scene.cursor.location = (10.5, 0, 0.1)
    (made,) = place(addon, answer("a blue cube"))
    assert apart(made, bpy.data.objects["Text"])


def test_modifiers_count(addon):
    item = cube(0.2, (-1, 0, 0))
    item.modifiers.new("Array", "ARRAY").count = 20  # from -1.1 to 2.9
    (made,) = place(addon, answer())
    assert not np.isclose(made.location.y, 0)


def hills() -> bpy.types.Object:
    """A terrain of 40 × 40 m, 3 m up and down."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=80, y_subdivisions=80, size=40)
    item = bpy.context.object
    for vertex in item.data.vertices:
        vertex.co.z = 3 * np.sin(vertex.co.x / 4) * np.cos(vertex.co.y / 5)
    item.data.update()
    return item


def test_terrain_is_ground(addon):
    """The cursor on its surface, above it, and (as when nobody has moved it) below: the object is never inside the hill."""
    item = hills()
    bpy.context.view_layer.update()
    for x, y in ((6, 0), (3, 2), (-8, 5)):
        _, spot, _, _ = item.ray_cast((x, y, 10), (0, 0, -1))
        bpy.context.scene.cursor.location = spot
        assert place(addon, answer(f"a cube at {x}"))[0].location == spot
    bpy.context.scene.cursor.location = (6, 6, 4)
    assert place(addon, answer("a bird"))[0].location == Vector((6, 6, 4))
    bpy.context.scene.cursor.location = (6, 0, 0)  # 3 m under the hill's top
    (made,) = place(addon, answer("a mole"))
    assert made.location.z >= 2.9 and (made.location - Vector((6, 0, 3))).length < 0.5


def test_inside_a_room_and_under_a_table(addon):
    room = cube(6, (0, 0, 3), "Room")
    mesh = bmesh.new()
    mesh.from_mesh(room.data)
    bmesh.ops.reverse_faces(mesh, faces=mesh.faces)  # seen from inside
    mesh.to_mesh(room.data)
    assert place(addon, answer("a chair"))[0].location == Vector((0, 0, 0))
    (second,) = place(addon, answer("a chair"))
    assert apart(second, bpy.data.objects["a chair"]) and second.location.length < 1
    table = cube(1, (10, 0, 1), "Table", (3, 2, 0.1))
    bpy.context.scene.cursor.location = (10, 0, 0)
    assert place(addon, answer("a ball"))[0].location == Vector((10, 0, 0)) and table


def test_on_what_the_cursor_lies_on(addon):
    """A cursor on top of something, as snapped there, means: stand on it, flat or round."""
    cube()
    bpy.context.scene.cursor.location = (0.3, 0.2, 1)
    assert place(addon, answer())[0].location.z == 1
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.3, location=(5, 0, 0), segments=64, ring_count=32)
    ball = bpy.context.object
    _, spot, _, _ = ball.ray_cast((0.05, 0.05, 1), (0, 0, -1))
    bpy.context.scene.cursor.location = spot + ball.location
    assert (place(addon, answer("a hat"))[0].location - spot - ball.location).length < 1e-5


def test_on_top_where_all_around_is_taken(addon):
    """Where the next free spot is far away, it stands on top."""
    cube(200, (0, 0, 0))
    assert place(addon, answer())[0].location.z == pytest.approx(100)


def test_a_large_scene_costs_little(addon):
    """Among 2,500 objects a spot is found in less time than Blender takes to update such a scene."""
    item = cube(1)
    for index in range(2500):
        other = bpy.data.objects.new("Other", item.data)
        other.location = (index % 50 - 25, index // 50 - 25, 0)
        bpy.context.scene.collection.objects.link(other)
    begun = time.perf_counter()
    bpy.context.view_layer.update()
    updated, took = time.perf_counter() - begun, []
    for _ in range(5):
        begun = time.perf_counter()
        spot = addon("scene.clearance").free_spot(bpy.context, Vector((0.2, 0.1, 0)), np.array([(-0.1, -0.1, 0), (0.1, 0.1, 0.3)]))
        took.append(time.perf_counter() - begun)
    assert spot.z == pytest.approx(0.5)  # on top: the floor of cubes has no gap near
    assert min(took) < updated, (took, updated)


def test_drop_looks_through_older_copies(addon):
    """Generate with Drop to Ground twice: the second stands on the floor too, not on the first; so do a job's objects and other things."""
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, 0, -0.5))
    made = [place(addon, answer(), drop=True, clear=clear)[0] for clear in (True, True, False)]
    made += place(addon, answer("a blue cube"), answer("a blue cube", 1), drop=True, location=(0, 0, -0.5))
    assert [round(one.location.z, 5) for one in made] == [-0.5] * 5


def test_drop_onto_a_copy_under_the_cursor(addon):
    """The cursor on top of an older copy means a stack; in the air above another thing means down to that."""
    bpy.ops.mesh.primitive_plane_add(size=20)
    (first,) = place(addon, answer())
    (second,) = place(addon, answer(), location=(0, 0, 0.34), drop=True)
    assert second.location.z == pytest.approx(0.34) and first.location.z == 0
    (lamp,) = place(addon, answer("a lamp"), location=(0, 0, 1.2), drop=True)
    assert lamp.location.z == pytest.approx(0.68)


@pytest.mark.parametrize("scale", [0.01, 0.001, 100.0])
def test_scene_units(addon, scale):
    """Objects are metres whatever a unit is, as Blender's own glTF import has it; the cursor's place is the scene's."""
    bpy.context.scene.unit_settings.scale_length = scale
    bpy.context.scene.cursor.location = (5, 6, 7)
    (made,) = place(addon, answer())
    assert made.dimensions.z == pytest.approx(0.34 / scale, rel=1e-5)
    assert made.location == Vector((5, 6, 7)) and made.scale == Vector((1, 1, 1))
    (twice,) = place(addon, answer("another"), height=0.68 / scale, location=(500 / scale, 0, 0))
    assert twice.dimensions.x == pytest.approx(0.5 / scale, rel=1e-5)
    assert '"height_m": 0.68' in twice["latte3d_settings"]


def test_scene_units_as_blenders_own_import(addon, tmp_path):
    """The same object through Blender's glTF export and import has the same size in a scene of centimetres."""
    (made,) = place(addon, answer())
    bpy.ops.export_scene.gltf(filepath=str(tmp_path / "one.glb"), use_selection=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.scene.unit_settings.scale_length = 0.01
    (made,) = place(addon, answer())
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "one.glb"))
    np.testing.assert_allclose(np.array(bpy.context.object.dimensions), np.array(made.dimensions), rtol=1e-5)
