# SPDX-License-Identifier: GPL-3.0-or-later
"""Variations: in rows as they come, kept and rejected, more like one of them, blended; placed again from what is kept."""

import gc
import weakref

import bpy
import numpy as np
import pytest

from tests.blender import answers


@pytest.fixture
def wanted(addon, engine_of):
    engine_of()
    found = bpy.context.scene.latte3d
    found.prompt, found.seed, found.count = "a red cube", 7, 5
    return found


def generated() -> list[bpy.types.Object]:
    bpy.context.view_layer.update()
    return sorted((item for item in bpy.data.objects if "latte3d_prompt" in item), key=lambda item: item["latte3d_seed"])


def tiles(addon) -> list[int]:
    return list(addon("session").SESSION.batch.results)


def test_so_many_seeds_stand_side_by_side(addon, wanted):
    answers.cube(location=(0.5, 0, 0))
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    items = generated()
    assert [item["latte3d_seed"] for item in items] == [7, 8, 9, 10, 11] and all(item.select_get() for item in items)
    everything = [*items, bpy.data.objects["Cube"]]
    assert all(answers.apart(one, other) for one in everything for other in everything if one is not other)
    first, last = items[0].location, items[4].location
    assert [round(item.location.y - first.y, 4) for item in items[:4]] == [0] * 4 and last.y > first.y and last.x == pytest.approx(first.x)
    assert addon("session").SESSION.batch.stepped


def test_each_is_placed_as_it_comes_and_none_moves_later(addon, wanted):
    """As the timer does; a failure among them leaves the others."""
    jobs, placing = addon("session"), addon("scene.placing")
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), ["a red cube"] * 6, [*range(1, 7)], {"detail": "draft"})
    while not job.over:
        jobs.SESSION.engine.poll(wait_s=0.05)
    jobs.collect()
    batch, places, other = jobs.SESSION.batch, {}, answers.cube(location=(9, 0, 0))
    for number, result in enumerate(list(jobs.SESSION.to_place), 1):
        assert not batch.stepped
        placing.place_batch(batch, result)
        if number == 3:  # somebody goes on working meanwhile
            batch.shown(result.number).location.z = 5
            addon("scene.placement").select_only(bpy.context, [other])
        found = {item.name: tuple(item.location) for item in generated()}
        assert len(found) == number and places.items() <= found.items()
        places = found
    assert batch.stepped and len({item.data.name for item in generated()}) == 6
    assert bpy.context.selected_objects == [other] and generated()[2].location.z == 5


def test_rows_never_move_what_stands_already(addon):
    rows, sizes = addon("scene.rows"), np.random.default_rng(0).uniform(0.2, 2.0, (16, 2))
    whole = rows.in_rows(sizes, 4, 0.2)
    for count in range(1, 16):
        assert np.allclose(rows.in_rows(sizes[:count], 4, 0.2), whole[:count])
    low, high = whole - sizes / 2, whole + sizes / 2
    for i in range(16):
        for j in range(i):
            assert ((high[i] <= low[j] + 1e-9) | (high[j] <= low[i] + 1e-9)).any()


@pytest.mark.parametrize("degrees", [0, 45, 90, 135, 180, -45])
def test_rows_in_every_direction_keep_their_boxes_apart(addon, degrees):
    rows, sizes = addon("scene.rows"), np.random.default_rng(1).uniform(0.1, 2.0, (9, 2))
    places = rows.across(sizes, 3, 0.1, np.radians(degrees))
    low, high = places - sizes / 2, places + sizes / 2
    for i in range(9):
        for j in range(i):
            assert ((high[i] <= low[j] + 1e-9) | (high[j] <= low[i] + 1e-9)).any()
    way, ahead = places[1] - places[0], np.array((np.cos(np.radians(degrees)), np.sin(np.radians(degrees))))
    assert way @ ahead > 0.85 * np.linalg.norm(way)  # fronts are in line, centres nearly
    box = rows.box_of(np.array([1.0, 0.5, 2.0]), 5, 3, 0.1, np.radians(degrees))
    assert (box[0] < 0.01).all() and (box[1] > -0.01).all() and np.prod((box[1] - box[0])[:2]) > 5 * 0.5


def test_rows_go_from_left_to_right_for_who_looks(addon):
    facing = addon("scene.rows").facing
    looks = {(0, -1): 0, (1, 0): 90, (0, 1): 180, (-1, 0): -90, (0.7, -0.7): 45, (0.73, -0.6): 45, (0, 0): 0}
    for towards, degrees in looks.items():
        assert np.degrees(facing(np.array(towards))) == pytest.approx(degrees)


def test_keep_reject_and_bring_back(addon, wanted):
    bpy.ops.latte3d.generate()
    numbers, batch = tiles(addon), addon("session").SESSION.batch
    places = {number: tuple(batch.shown(number).location) for number in numbers}
    assert not bpy.ops.latte3d.remove_others.poll()
    bpy.ops.latte3d.reject_variation(number=numbers[1])
    assert len(generated()) == 4 and len(bpy.data.meshes) == 4 and len(bpy.data.images) == len(bpy.data.materials) * 2
    bpy.ops.latte3d.keep_variation(number=numbers[0])
    bpy.ops.latte3d.keep_variation(number=numbers[3])
    assert bpy.ops.latte3d.remove_others() == {"FINISHED"}
    assert [item["latte3d_seed"] for item in generated()] == [7, 10]
    assert [item["latte3d_seed"] for item in bpy.context.selected_objects] == [7, 10], "what was kept goes on being worked with"
    bpy.ops.latte3d.show_variation(number=numbers[1])
    assert [item["latte3d_seed"] for item in generated()] == [7, 8, 10]
    assert {number: tuple(batch.shown(number).location) for number in (numbers[0], numbers[1], numbers[3])}.items() <= places.items()
    assert bpy.context.selected_objects == [batch.shown(numbers[1])]


def test_an_object_that_was_renamed_or_copied_is_no_variation_twice(addon, wanted):
    bpy.ops.latte3d.generate()
    number, batch = tiles(addon)[0], addon("session").SESSION.batch
    item = batch.shown(number)
    name, item.name = item.name, "Mine"
    assert batch.shown(number) is None
    answers.cube(name=name)
    assert batch.shown(number) is None
    bpy.ops.latte3d.reject_variation(number=number)
    assert "Mine" in bpy.data.objects and name in bpy.data.objects


def test_more_like_this_of_a_variation_and_of_any_object(addon, wanted):
    bpy.ops.latte3d.generate()
    first = addon("session").SESSION.batch.results[tiles(addon)[0]]
    wanted.count, wanted.spread = 3, 0.3
    assert bpy.ops.latte3d.more_like_this(number=first.number) == {"FINISHED"}
    batch, near = addon("session").SESSION.batch, addon("client.guide").style_of(7)
    styles = [np.array(result.style) for result in batch.results.values()]
    assert len(styles) == 3 and all(0.05 < np.abs(style - near).mean() < 0.6 for style in styles)
    addon("session").SESSION.batch = None
    wanted.count = 1
    bpy.context.view_layer.objects.active = item = next(one for one in generated() if one.get("latte3d_style"))
    assert bpy.ops.latte3d.more_like_this() == {"FINISHED"}
    batch = addon("session").SESSION.batch
    assert len(batch.results) == 4 and batch.prompt == "a red cube"
    assert np.abs(np.array([result.style for result in batch.results.values()]) - list(item["latte3d_style"])).mean() < 0.6


def test_what_the_model_does_not_know_is_asked_once_for_all(addon, wanted, drawn):
    wanted.prompt = "a dragon"
    with pytest.raises(RuntimeError, match="(?i)not one of the things"):
        bpy.ops.latte3d.generate()
    assert addon("session").SESSION.question and not generated()
    assert bpy.ops.latte3d.place_anyway() == {"FINISHED"}
    assert [item["latte3d_seed"] for item in generated()] == [7, 8, 9, 10, 11]


def test_a_cancel_keeps_what_is_there_as_one_step(addon, wanted, engine_of):
    engine_of("slow")
    jobs, placing = addon("session"), addon("scene.placing")
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), ["a red cube"] * 6, [*range(6)], {"detail": "draft"})
    while len(job.answered) < 2:
        jobs.SESSION.engine.poll(wait_s=0.05)
    jobs.collect()
    batch = jobs.SESSION.batch
    placing.place_batch(batch, jobs.SESSION.to_place.pop(0))
    assert bpy.ops.latte3d.cancel() == {"FINISHED"}
    while not job.over:
        jobs.SESSION.engine.poll(wait_s=0.05)
    jobs.collect()
    assert batch.unfinished and jobs.SESSION.to_do and not jobs.SESSION.to_place
    placing.place_batch(batch)
    assert batch.stepped and not jobs.SESSION.to_do and len(generated()) == len(batch.results)
    wanted.prompt, wanted.count = "an empty cube", 3
    with pytest.raises(RuntimeError):
        bpy.ops.latte3d.generate()
    assert jobs.SESSION.batch is None  # of three that failed there is nothing to show


def test_a_blend_of_two_prompts(addon, wanted):
    wanted.use_blend, wanted.count = True, 2
    assert not bpy.ops.latte3d.generate.poll()
    wanted.blend_prompt, wanted.blend = "a blue ball", 0.25
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    for item in generated():
        assert addon("scene.origin").of(item).blend == ("a blue ball", 0.25) and "blend: ('a blue ball', 0.25)" in item["latte3d_notes"]


def test_the_panel_shows_a_tile_for_each(addon, wanted, drawn, tmp_path):
    panel, thumbnails = addon("panels.variations"), addon("panels.thumbnails")
    bpy.ops.latte3d.generate()
    drawn(panel.draw_variations)
    addon("kept").history().finish()
    assert thumbnails.wanted()
    while thumbnails.load():
        pass
    seen = drawn(panel.draw_variations, width=400)
    assert "Variations (5)" in seen.texts() and len(seen.of("template_icon")) == 5
    assert seen.of("operator").count("latte3d.keep_variation") == seen.of("operator").count("latte3d.reject_variation") == 5
    bpy.ops.latte3d.reject_variation(number=tiles(addon)[0])
    assert drawn(panel.draw_variations).of("operator").count("latte3d.reject_variation") == 4
    bpy.ops.latte3d.close_variations()
    assert addon("session").SESSION.batch is None and len(generated()) == 4


def test_in_a_scene_of_centimetres_and_at_another_height(addon, wanted):
    bpy.context.scene.unit_settings.scale_length = 0.01
    bpy.ops.latte3d.generate()
    assert [round(item.dimensions.z) for item in generated()] == [80] * 5
    batch = addon("session").SESSION.batch
    for number in tiles(addon):
        bpy.data.objects.remove(batch.shown(number))
    bpy.ops.latte3d.place_variations(**batch.more(), height=200.0, columns=2)
    assert [round(item.dimensions.z) for item in generated()] == [200] * 5
    assert len({round(item.location.x, 2) for item in generated()}) == 2


def test_another_file_forgets_them(addon, wanted):
    bpy.ops.latte3d.generate()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert addon("session").SESSION.batch is None
    with pytest.raises(RuntimeError, match="no longer kept"):
        bpy.ops.latte3d.place_variations(results="1,2", location=(0, 0, 0))


@pytest.mark.parametrize("next_one", ["variations", "closed", "another file"])
def test_variations_that_are_shown_no_more_take_no_memory(addon, wanted, next_one):
    """Without waiting for Python's search for circles."""
    gc.disable()
    try:
        assert bpy.ops.latte3d.generate() == {"FINISHED"}
        state = addon("session").SESSION
        old = [weakref.ref(result) for result in state.batch.results.values()]
        state.results.clear()
        state.last = None
        assert len(old) == 5 and all(one() for one in old)
        if next_one == "variations":
            wanted.seed = 100
            bpy.ops.latte3d.generate()
        elif next_one == "closed":
            bpy.ops.latte3d.close_variations()
        else:
            bpy.ops.wm.read_homefile(use_empty=True)
        addon("kept").close()  # what is written holds them until then
        assert not any(one() for one in old)
    finally:
        gc.enable()
