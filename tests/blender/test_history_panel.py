# SPDX-License-Identifier: GPL-3.0-or-later
"""The history as an artist meets it: filled by clicks, placed again without the engine, searched, deleted, bounded by the preference."""

import bpy
import pytest


@pytest.fixture
def log(addon, engine_of, package):
    """The history of what two clicks have made, in an empty scene."""
    engine_of()
    history = addon("kept").history()
    history.delete(*[entry.key for entry in history.entries])
    wanted = bpy.context.scene.latte3d
    for wanted.prompt, wanted.seed in (("a red cube", 7), ("a blue ball", 0)):
        assert bpy.ops.latte3d.generate() == {"FINISHED"}
    history.finish()
    bpy.ops.wm.read_homefile(use_empty=True)
    chosen = bpy.context.window_manager.latte3d
    chosen.history_search, chosen.history_page, chosen.history_key = "", 0, ""
    return history


def panel(addon, drawn, **more):
    return drawn(addon("panels.history").draw_history, unfold=True, **more)


def test_a_click_fills_it_with_pictures(addon, log):
    assert [(entry.prompt, entry.seed) for entry in log.entries] == [("a blue ball", 0), ("a red cube", 7)]
    assert all(log.picture(entry.key).read_bytes().startswith(b"\x89PNG") for entry in log.entries)


def test_placed_again_without_the_engine(addon, log):
    addon("session").SESSION.engine.stop()
    bpy.context.scene.cursor.location = (3, 0, 0)
    entry = log.find("cube")[0]
    assert bpy.ops.latte3d.place_history(key=entry.key) == {"FINISHED"}
    item = bpy.context.view_layer.objects.active
    assert (item["latte3d_prompt"], item["latte3d_seed"], tuple(item.location)) == ("a red cube", 7, (3, 0, 0))
    assert addon("session").SESSION.engine.process is None and item.data["latte3d_key"] == entry.key


def test_use_its_prompt(addon, log):
    wanted = bpy.context.scene.latte3d
    wanted.detail = "draft"
    bpy.ops.latte3d.use_history(key=log.find("cube")[0].key)
    assert (wanted.prompt, wanted.seed, wanted.detail) == ("a red cube", 7, "standard")


def test_a_blend_comes_back_as_one(addon, log):
    wanted = bpy.context.scene.latte3d
    wanted.prompt, wanted.use_blend, wanted.blend_prompt, wanted.blend = "a red cube", True, "a die", 0.25
    bpy.ops.latte3d.generate()
    log.finish()
    wanted.use_blend, wanted.blend_prompt = False, ""
    bpy.ops.latte3d.use_history(key=log.entries[0].key)
    assert wanted.use_blend and (wanted.blend_prompt, wanted.blend) == ("a die", 0.25)
    bpy.ops.latte3d.use_history(key=log.entries[1].key)
    assert not wanted.use_blend


def test_search_choose_and_delete(addon, log, drawn):
    chosen = bpy.context.window_manager.latte3d
    assert panel(addon, drawn).of("operator").count("latte3d.choose_history") == 2
    chosen.history_search = "cube 7"
    (entry,) = log.find(chosen.history_search)
    bpy.ops.latte3d.choose_history(key=entry.key)
    seen = panel(addon, drawn)
    assert "“a red cube”" in seen.texts() and "seed 7 · Standard · fake" in seen.texts() and "History (2)" in seen.texts()
    assert {"latte3d.place_history", "latte3d.use_history"} <= set(seen.of("operator"))
    bpy.ops.latte3d.delete_history(key=entry.key)
    assert [one.prompt for one in log.entries] == ["a blue ball"] and "Nothing was found" in panel(addon, drawn).texts()
    chosen.history_search = ""
    bpy.ops.latte3d.delete_history(everything=True)
    assert not log.entries and "What you generate will be here" in panel(addon, drawn).texts()


def test_pages(addon, log, drawn):
    wanted, chosen = bpy.context.scene.latte3d, bpy.context.window_manager.latte3d
    wanted.prompt, wanted.count = "a die", 8
    for wanted.seed in (0, 100):
        bpy.ops.latte3d.generate()
    log.finish()
    seen = panel(addon, drawn, width=300)
    assert "1–9 of 18" in seen.texts() and seen.of("operator").count("latte3d.choose_history") == 9
    bpy.ops.latte3d.page_history(page=1)
    assert "10–18 of 18" in panel(addon, drawn, width=300).texts()
    chosen.history_page = 99
    assert "10–18 of 18" in panel(addon, drawn, width=300).texts()  # a page that is not there is the last


def test_its_size_is_shown_and_bounded(addon, log, drawn, package):
    preferences = bpy.context.preferences.addons[package].preferences
    assert "KB of 1.0 GB on the disk" in panel(addon, drawn).texts()
    wanted = bpy.context.scene.latte3d
    wanted.prompt, before = "a die", len(log.entries)
    preferences.history_mb = 0
    try:
        bpy.ops.latte3d.generate()
        log.finish()
        assert addon("kept").shown() is None and not log.entries and before  # nothing is kept, nor what was
    finally:
        preferences.history_mb = 1000


def test_what_is_gone_is_a_sentence(addon, log):
    entry = log.entries[0]
    (log.folder / f"{entry.key}.latte3d").unlink()
    with pytest.raises(RuntimeError, match="damaged or is gone"):
        bpy.ops.latte3d.place_history(key=entry.key)
    with pytest.raises(RuntimeError, match="no longer in the history"):
        bpy.ops.latte3d.place_history(key=entry.key)
