# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: the draft follows the panel, only the newest wish counts, and nothing of it is left when it ends; kept as one step."""

import time

import bpy
import pytest

from tests.blender import answers


@pytest.fixture
def live(addon, engine_of, monkeypatch):
    """Live mode in a Blender without a window: drafts are shown in the open scene."""
    engine_of()
    module, jobs = addon("live"), addon("session")
    module.detach()
    monkeypatch.setattr(module, "_show", lambda: module.show_in(bpy.context))
    wanted = bpy.context.scene.latte3d
    wanted.prompt, wanted.seed = "a red cube", 7
    assert bpy.ops.latte3d.live() == {"FINISHED"}
    while jobs.SESSION.engine.state != "READY":
        jobs.SESSION.engine.poll(wait_s=0.05)
    yield module
    module.detach()


def follow(addon, live, until=None, seconds: float = 10.0) -> bpy.types.Object | None:
    """What the timer does, until the draft shows what the panel asks for."""
    end, session = time.monotonic() + seconds, addon("session").SESSION
    until = until or (lambda: live.LIVE.shown and not live.LIVE.job and live.LIVE.asked == live.wish_of(bpy.context.scene))
    while not until() and time.monotonic() < end:
        session.engine.poll(wait_s=0.01)
        if session.engine.state == "STOPPED" and session.engine.jobs:  # after a first crash
            addon("session").start()
        live.follow(session)
    assert until()
    return live.LIVE.draft


def test_the_draft_follows_the_panel(addon, live):
    wanted = bpy.context.scene.latte3d
    first = follow(addon, live)
    assert (first["latte3d_prompt"], first["latte3d_seed"]) == ("a red cube", 7) and "draft" in first["latte3d_settings"]
    first.location = (1, 2, 3)
    for wanted.seed in (8, 9):
        item = follow(addon, live)
        assert item == first and item["latte3d_seed"] == wanted.seed and tuple(item.location) == (1, 2, 3)
    wanted.use_blend, wanted.blend_prompt, wanted.blend = True, "a die", 0.25
    assert addon("scene.origin").of(follow(addon, live)).blend == ("a die", 0.25)
    assert [len(kind) for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.images)] == [1, 1, 1, 2]


def test_only_the_newest_wish_counts(addon, live, monkeypatch):
    """Each letter is a wish; what is out of date is not waited for."""
    wanted, engine = bpy.context.scene.latte3d, addon("session").SESSION.engine
    asked, submit = [], engine.submit
    monkeypatch.setattr(engine, "submit", lambda prompts, *given, **more: (asked.append(prompts[0]), submit(prompts, *given, **more))[1])
    follow(addon, live)
    for end in range(5, len("a blue ball") + 1):
        wanted.prompt = "a blue ball"[:end]
        live.follow(addon("session").SESSION)
    assert follow(addon, live)["latte3d_prompt"] == "a blue ball"
    assert asked[-1] == "a blue ball" and len(asked) < 6, asked


def test_what_is_no_prompt_or_not_known_leaves_the_draft(addon, live, drawn):
    wanted = bpy.context.scene.latte3d
    item = follow(addon, live)
    wanted.prompt = "  "
    live.follow(addon("session").SESSION)
    assert not live.LIVE.job and live.LIVE.draft == item and live.LIVE.note == "The prompt is empty."
    wanted.prompt = "a red cube"
    follow(addon, live)
    assert not live.LIVE.note
    wanted.prompt = "a dragon"
    follow(addon, live, until=lambda: live.LIVE.note)
    assert live.LIVE.draft["latte3d_prompt"] == "a red cube" and not addon("session").SESSION.question
    assert "not one of the things" in drawn(addon("panels.main").draw_live).texts()


def test_off_leaves_nothing(addon, live):
    follow(addon, live)
    assert bpy.ops.latte3d.live() == {"FINISHED"}
    for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.images):
        assert not len(kind)
    assert not live.LIVE.on and not addon("session").SESSION.engine.jobs


def test_kept_in_the_detail_of_the_panel_in_its_place(addon, live, drawn):
    assert not bpy.ops.latte3d.keep_live.poll()
    draft = follow(addon, live)
    draft.location = (3, 0, 0)
    assert "latte3d.keep_live" in drawn(addon("panels.main").draw_generate).of("operator")
    bpy.context.view_layer.update()
    assert bpy.ops.latte3d.keep_live() == {"FINISHED"}
    (item,) = bpy.data.objects
    assert '"standard"' in item["latte3d_settings"] and tuple(item.location) == (3, 0, 0) and "latte3d_live" not in item
    assert not live.LIVE.on and "latte3d.generate" in drawn(addon("panels.main").draw_generate).of("operator")


def test_what_undo_brings_back_of_drafts_is_taken_away(addon, live):
    follow(addon, live)
    stale = live.LIVE.draft.copy()
    bpy.context.scene.collection.objects.link(stale)
    other = answers.cube()
    live.forget_drafts()
    assert sorted(bpy.data.objects.keys()) == sorted([live.LIVE.name, other.name])
    bpy.ops.latte3d.live()
    assert list(bpy.data.objects) == [other]


def test_a_click_comes_first(addon, live):
    """Generate waits for no draft."""
    follow(addon, live)
    jobs, wanted = addon("session"), bpy.context.scene.latte3d
    wanted.seed = 20
    live.follow(jobs.SESSION)
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), ["a blue ball"], [0], {})
    live.follow(jobs.SESSION)
    (made,) = jobs.run_now(job)
    jobs.SESSION.to_place.clear()
    assert made.prompt == "a blue ball" and follow(addon, live)["latte3d_seed"] == 20


def test_another_file_ends_it(addon, live):
    follow(addon, live)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not live.LIVE.on and not live.LIVE.used


def test_an_engine_that_crashes_says_so(addon, live):
    follow(addon, live)
    bpy.context.scene.latte3d.prompt = "an explosive cube"
    follow(addon, live, until=lambda: live.LIVE.note)
    assert "stopped unexpectedly" in live.LIVE.note and live.LIVE.draft
