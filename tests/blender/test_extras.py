# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh extras: what they make is lighter, closed, apart, and where it was."""

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Matrix

from tests.blender.answers import answer, place


def select(*items) -> None:
    for other in bpy.context.selected_objects:
        other.select_set(False)
    for item in items:
        item.select_set(True)
    bpy.context.view_layer.objects.active = items[-1]
    bpy.context.view_layer.update()


def world(item) -> np.ndarray:
    return np.array([item.matrix_world @ vertex.co for vertex in item.data.vertices])


def is_closed(mesh) -> bool:
    found = bmesh.new()
    found.from_mesh(mesh)
    closed = all(len(edge.link_faces) == 2 for edge in found.edges)
    found.free()
    return closed


def test_levels_of_detail_get_lighter_and_keep_their_look(addon):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24, location=(1, 2, 3))
    ball = bpy.context.active_object
    ball.name, material = "ball", bpy.data.materials.new("paint")
    ball.data.materials.append(material)
    assert bpy.ops.latte3d.make_lods(count=2, share=0.25) == {"FINISHED"}
    bpy.context.view_layer.update()
    assert ball.name == "ball_LOD0"
    sizes = [2 * len(ball.data.polygons) - 96]
    for level in (1, 2):
        copy = bpy.data.objects[f"ball_LOD{level}"]
        sizes.append(sum(len(face.vertices) - 2 for face in copy.data.polygons))
        assert copy.matrix_world == ball.matrix_world and list(copy.data.materials) == [material] and copy.data.uv_layers
        assert not copy.modifiers and copy.hide_get() and np.abs(world(copy).mean(0) - (1, 2, 3)).max() < 0.05
    assert sizes[1] == pytest.approx(sizes[0] / 4, rel=0.15) and sizes[2] == pytest.approx(sizes[0] / 16, rel=0.15)


def test_a_hull_is_closed_convex_and_goes_along(addon):
    (item,) = place(addon, answer("a red cube", 0, (1.0, 2.0, 3.0)))
    bpy.ops.mesh.primitive_monkey_add(location=(4, 0, 1), rotation=(0.3, 0.2, 1.0), scale=(1, 2, 0.5))
    monkey = bpy.context.active_object
    select(item, monkey)
    assert bpy.ops.latte3d.make_hull() == {"FINISHED"}
    bpy.context.view_layer.update()
    for source in (item, monkey):
        made = bpy.data.objects[f"UCX_{source.name}_00"]
        assert is_closed(made.data) and made.parent == source and made.hide_render and not made.data.uv_layers
        hull, points = world(made), world(source)
        for face in made.data.polygons:  # everything lies behind every face
            normal = (made.matrix_world.to_3x3().inverted().transposed() @ face.normal).normalized()
            assert ((points - np.array(made.matrix_world @ face.center)) @ np.array(normal)).max() < 1e-3
        assert np.allclose([hull.min(0), hull.max(0)], [points.min(0), points.max(0)], atol=1e-4)
    before = world(bpy.data.objects[f"UCX_{monkey.name}_00"])
    monkey.location.x += 1
    bpy.context.view_layer.update()
    assert np.allclose(world(bpy.data.objects[f"UCX_{monkey.name}_00"]) - before, (1, 0, 0), atol=1e-4)


def test_parts_come_apart_where_they_are(addon):
    bpy.ops.mesh.primitive_monkey_add(location=(1, 2, 3), scale=(2, 1, 1))  # a head and two eyes
    monkey = bpy.context.active_object
    points = world(monkey)
    assert bpy.ops.latte3d.separate_parts() == {"FINISHED"}
    bpy.context.view_layer.update()
    made = bpy.context.selected_objects
    assert len(made) == 3 and monkey in made and len(monkey.data.vertices) == max(len(one.data.vertices) for one in made)
    together = np.concatenate([world(one) for one in made])
    assert np.allclose(sorted(map(tuple, together.round(4))), sorted(map(tuple, points.round(4))), atol=2e-4)
    assert all(one.data.uv_layers for one in made)
    select(monkey)
    assert bpy.ops.latte3d.separate_parts() == {"FINISHED"} and bpy.context.selected_objects == [monkey]


def test_origin_to_base_moves_nothing(addon):
    bpy.ops.mesh.primitive_monkey_add(location=(1, 2, 3), rotation=(0.3, 0.2, 1.0))
    monkey = bpy.context.active_object
    twin = bpy.data.objects.new("twin", monkey.data)
    bpy.context.scene.collection.objects.link(twin)
    monkey.scale = (2, -1, 0.5)
    bpy.context.view_layer.update()
    before, others = world(monkey), world(twin)
    select(monkey)
    assert bpy.ops.latte3d.stand_on_base() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert np.allclose(world(monkey), before, atol=1e-4) and np.allclose(world(twin), others)
    assert np.allclose(monkey.scale, 1) and min(vertex.co.z for vertex in monkey.data.vertices) == pytest.approx(0, abs=1e-5)
    assert monkey.matrix_world.determinant() == pytest.approx(1) and monkey.matrix_world != Matrix()
    volume = bmesh.new()
    volume.from_mesh(monkey.data)
    assert volume.calc_volume(signed=True) > 0
    volume.free()


def test_what_cannot_be_worked_on_is_said(addon):
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    bpy.ops.object.light_add()
    with pytest.raises(RuntimeError, match="Select an object with a mesh"):
        bpy.ops.latte3d.make_hull()


def test_an_override_of_a_linked_object_is_left_alone(addon, tmp_path):
    """Its mesh belongs to the other file: what is changed of it here is gone when this file is opened again."""
    (made,) = place(addon, answer())
    made.name = "Theirs"
    bpy.data.libraries.write(str(tmp_path / "other.blend"), {made})
    with bpy.data.libraries.load(str(tmp_path / "other.blend"), link=True) as (_, there):
        there.objects = ["Theirs"]
    own = there.objects[0].override_create()
    bpy.context.scene.collection.objects.link(own)
    select(own)
    for name in ("make_lods", "make_hull", "separate_parts", "stand_on_base"):
        assert not getattr(bpy.ops.latte3d, name).poll(), name
    select(made)
    assert bpy.ops.latte3d.stand_on_base.poll()
