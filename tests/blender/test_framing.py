# SPDX-License-Identifier: GPL-3.0-or-later
"""The view after an object was made: it is seen; the view moves only where it must, and never out of a camera's."""

from contextlib import contextmanager

import bpy
import numpy as np
import pytest
from mathutils import Euler, Quaternion, Vector

from tests.blender.answers import answer, cube, place


@contextmanager
def viewport():
    """The factory scene's 3D viewport as the context; bpy has the layout of a window, though it draws none."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        yield bpy.context


@contextmanager
def outside():
    """The context that bpy has by itself."""
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=None, region=None):
        yield


@pytest.fixture
def factory(addon):
    """Blender's own first scene."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    return addon


def seen(addon, context, objects) -> tuple[np.ndarray, np.ndarray]:
    """The box [2, 2] that objects take in the view, -1 to 1, and the view's free space [2, 2]."""
    framing, space = addon("scene.framing"), context.space_data
    eye = framing.eye_of(context.area, context.region, space.region_3d, space.lens)
    context.view_layer.update()
    points = np.array([item.matrix_world @ Vector(corner) for item in objects for corner in item.bound_box])
    places, depth = eye.project(points)
    assert eye.flat or ((depth > space.clip_start).all() and (depth < space.clip_end).all())
    return np.stack([places.min(0), places.max(0)]), eye.space


def made_and_shown(addon, context, *items):
    """What the timer does with a finished job; the operator itself takes a real window to be called in a viewport: tests/window."""
    towards = addon("scene.framing").towards_viewer(context)
    with outside():
        made = place(addon, *items, towards=towards)
    addon("scene.placing").show(context, made)
    return made


def test_first_click_is_seen(factory):
    """The mushroom of 0.34 m in the factory scene: 18 pixels before, now at least a quarter of the view's height, in its free part."""
    with viewport() as context:
        before = context.space_data.region_3d.view_rotation.copy()
        made = made_and_shown(factory, context, answer("a red mushroom with white spots"))
        (low, high), free = seen(factory, context, made)
        assert (high - low)[1] / 2 > 0.25 and (low > free[0]).all() and (high < free[1]).all()
        assert context.space_data.region_3d.view_rotation == before
        framing, boxes = factory("scene.framing"), factory("scene.clearance").world_boxes([(one, one.matrix_world) for one in made])
        eye = framing.eye_of(context.area, context.region, context.space_data.region_3d, context.space_data.lens)
        assert not framing.is_hidden(context, eye, boxes, made)


def test_second_click_is_seen(factory):
    """Beside the first; both objects in one view would be nice, but the view must not jump when the new one is seen well."""
    with viewport() as context:
        made_and_shown(factory, context, answer())
        view = context.space_data.region_3d
        before = view.view_location.copy(), view.view_distance
        (second,) = made_and_shown(factory, context, answer())
        (low, high), _ = seen(factory, context, [second])
        assert (low > -1).all() and (high < 1).all() and (high - low)[1] / 2 > 1 / 8
        assert (view.view_location, view.view_distance) == before


def poor(context, how):
    view = context.space_data.region_3d
    if how == "tiny":
        view.view_distance = 60
    elif how == "outside":
        view.view_location = (30, 0, 0)
    elif how == "behind the eye":
        view.view_location = view.view_rotation @ Vector((0, 0, -30))
    elif how == "hidden":
        cube(0.6, view.view_rotation @ Vector((0, 0, 1.2)))
    else:
        view.view_location = view.view_rotation @ Vector((2.05, 0, 0))  # at the left edge, below the toolbar


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
@pytest.mark.parametrize("how", ["tiny", "outside", "behind the eye", "hidden", "at the edge"])
def test_what_is_seen_poorly_is_framed(addon, kind, how):
    made = place(addon, answer())
    with viewport() as context:
        view = context.space_data.region_3d
        view.view_rotation, view.view_location, view.view_distance = Euler((1.1, 0, 0.8)).to_quaternion(), (0, 0, 0), 3
        view.view_perspective = kind
        assert not addon("scene.framing").frame_new(context, made)  # it is seen well
        poor(context, how)
        moved = addon("scene.framing").frame_new(context, made)
        assert moved or (kind, how) == ("ORTHO", "behind the eye")  # a view without perspective has no eye to be behind
        (low, high), free = seen(addon, context, made)
        if moved:
            assert (low > free[0]).all() and (high < free[1]).all() and (high - low)[1] / 2 > 0.2
            assert ((low + high) / 2)[0] == pytest.approx(free[:, 0].mean(), abs=0.06)


def test_the_last_of_a_row_is_seen(addon):
    """Four chairs, of which the last stood below the sidebar: of all together three quarters were seen."""
    made = [place(addon, answer("a chair", seed, size=(0.5, 0.5, 0.9)), location=(seed, 0, 0))[0] for seed in range(4)]
    with viewport() as context:
        view = context.space_data.region_3d
        view.view_rotation, view.view_location, view.view_distance = Euler((1.5708, 0, 0)).to_quaternion(), (1.5, 0, 0.45), 6
        assert not addon("scene.framing").frame_new(context, made)
        (low, high), free = seen(addon, context, made)
        last = seen(addon, context, made[3:])[0].mean(0)
        view.view_location.x -= 1.1 * (free[1, 0] - last[0]) * 3 / (last[0] - seen(addon, context, made[:1])[0].mean(0)[0])
        (low, high), free = seen(addon, context, made)
        assert (min(high[0], free[1, 0]) - low[0]) > 0.76 * (high - low)[0]
        assert addon("scene.framing").frame_new(context, made)
        (low, high), free = seen(addon, context, made)
        assert (low > free[0]).all() and (high < free[1]).all()


def test_objects_of_every_size_are_framed(addon):
    """From a ring to a mountain, and a scene of millimetres: within the view's clipping, too."""
    with viewport() as context:
        for scale, size in ((1, 0.02), (1, 800), (0.001, 0.34)):
            context.scene.unit_settings.scale_length = scale
            context.space_data.region_3d.view_rotation = Quaternion((0.7, 0.4, 0.3, 0.5)).normalized()
            made = made_and_shown(addon, context, answer(f"a cube of {size}", size=(size, size, size)))
            (low, high), _ = seen(addon, context, made)
            assert (low > -1).all() and (high < 1).all() and (high - low)[1] / 2 > 1 / 8


def lock(context, how, preferences):
    space, view = context.space_data, context.space_data.region_3d
    if how == "camera":
        view.view_perspective = "CAMERA"
    elif how == "locked to an object":
        space.lock_object = cube(1, (5, 5, 5))
    elif how == "locked to the cursor":
        space.lock_cursor = True
    else:
        preferences.frame_new = False


@pytest.mark.parametrize("how", ["camera", "locked to an object", "locked to the cursor", "not wanted"])
def test_views_that_stay(factory, package, how):
    preferences = bpy.context.preferences.addons[package].preferences
    with viewport() as context:
        lock(context, how, preferences)
        view = context.space_data.region_3d
        before = view.view_location.copy(), view.view_distance, view.view_rotation.copy(), view.view_perspective
        try:
            made_and_shown(factory, context, answer())
        finally:
            preferences.frame_new = True
        assert before == (view.view_location, view.view_distance, view.view_rotation, view.view_perspective)


def test_the_largest_viewport_is_taken(factory):
    """The one that the artist looks at, whichever comes first in the screen; other editors where there is none."""
    jobs, placing = factory("session"), factory("scene.placing")
    window = bpy.context.window_manager.windows[0]
    here = jobs.Place(bpy.context.scene.session_uid, (0, 0, 0))
    large = max(window.screen.areas, key=lambda area: area.width * area.height)
    assert large.type == "VIEW_3D" and placing.window_for(here)[1] == large
    small = min(window.screen.areas, key=lambda area: area.width * area.height)
    kind, small.type = small.type, "VIEW_3D"
    assert placing.window_for(here)[1] == large
    small.type, large.type = kind, "CONSOLE"
    try:
        assert placing.window_for(here)[0] == window
    finally:
        large.type = "VIEW_3D"
