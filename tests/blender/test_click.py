# SPDX-License-Identifier: GPL-3.0-or-later
"""Generating where the artist clicks: what is under the mouse, and standing on it, upright or along it."""

import math

import bpy
import pytest
from mathutils import Matrix, Vector

from tests.blender import answers


class View:
    """How a viewport looks straight down on the scene from ten metres, as view3d_utils asks it."""

    is_perspective = False
    view_matrix = Matrix.Translation((0, 0, -10))
    window_matrix = Matrix.Diagonal((0.25, 0.25, -0.01, 1.0))
    perspective_matrix = window_matrix @ view_matrix
    view_perspective = "ORTHO"


class Region:
    width = height = 400


def test_under_the_mouse_is_what_is_seen_else_the_floor(addon):
    click = addon("operators.click")
    top = answers.cube(2.0, (2, 0, 1))
    place, normal = click.under(bpy.context, Region, View, (300, 200))
    assert place[:] == pytest.approx((2, 0, 2), abs=1e-4) and normal[:] == pytest.approx((0, 0, 1), abs=1e-4)
    top.data.flip_normals()
    bpy.context.view_layer.update()
    assert click.under(bpy.context, Region, View, (300, 200))[1].z == pytest.approx(1, abs=1e-4)  # towards who looks at it
    place, normal = click.under(bpy.context, Region, View, (100, 300))
    assert place[:] == pytest.approx((-2, 2, 0), abs=1e-4) and normal[:] == (0, 0, 1)


def test_it_stands_where_the_click_was(addon, engine_of):
    engine_of()
    bpy.context.scene.latte3d.prompt = "a red cube"
    assert bpy.ops.latte3d.generate_here(location=(1, 2, 3)) == {"FINISHED"}
    item = bpy.context.view_layer.objects.active
    assert tuple(item.location) == (1, 2, 3) and tuple(item.rotation_euler) == (0, 0, 0)


def test_along_the_surface_or_upright(addon, engine_of):
    engine_of()
    bpy.context.scene.latte3d.prompt = "a red cube"
    slope = Vector((0, -1, 1)).normalized()
    bpy.ops.latte3d.generate_here(location=(0, 0, 1), normal=slope, align=True)
    item = bpy.context.view_layer.objects.active
    bpy.context.view_layer.update()
    assert (item.matrix_world.to_3x3() @ Vector((0, 0, 1)))[:] == pytest.approx(slope[:], abs=1e-4)
    assert item.rotation_euler.x == pytest.approx(math.radians(45), abs=1e-4)


def test_aligned_in_the_redo_panel(addon):
    """Without a click, the surface below the place says how it lies."""
    ground = answers.cube(4.0, (0, 0, -2), name="Ground")
    ground.rotation_euler.x = math.radians(20)
    bpy.context.view_layer.update()
    (item,) = answers.place(addon, answers.answer(), location=(0, 0, 2), drop=True, align=True, clear=False)
    assert item.rotation_euler.x == pytest.approx(math.radians(20), abs=1e-3) and abs(item.location.z) < 0.5
    (flat,) = answers.place(addon, answers.answer(seed=2), location=(50, 0, 2), align=True)
    assert tuple(flat.rotation_euler) == (0, 0, 0)


def test_only_in_object_mode_and_with_a_prompt(addon, engine_of):
    engine_of()
    assert not bpy.ops.latte3d.generate_here.poll()
    bpy.context.scene.latte3d.prompt = "a red cube"
    assert bpy.ops.latte3d.generate_here.poll()
    bpy.context.view_layer.objects.active = answers.cube()
    bpy.ops.object.mode_set(mode="EDIT")
    assert not bpy.ops.latte3d.generate_here.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
