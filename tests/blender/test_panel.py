# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows and offers: details, the question before debris, pictures, origins, and the ways to it."""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from mathutils import Matrix

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fake_engine import png


@pytest.fixture
def wanted(addon, engine_of):
    """The scene's choices, with an engine at hand."""
    engine_of()
    return bpy.context.scene.latte3d


def generate(prompt: str = "a red cube", seed: int = 7) -> bpy.types.Object:
    bpy.context.scene.latte3d.prompt, bpy.context.scene.latte3d.seed = prompt, seed
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def ask(addon, prompt: str = "a dragon"):
    """Generate something that the model does not know; returns the question."""
    bpy.context.scene.latte3d.prompt = prompt
    with pytest.raises(RuntimeError, match="(?i)not one of the things"):
        bpy.ops.latte3d.generate()
    return addon("session").SESSION.question


def settings_of(item: bpy.types.Object) -> dict:
    return json.loads(item["latte3d_settings"])


# Detail -------------------------------------------------------------------------------------------------------------------------


def test_detail_is_asked_for_and_kept(addon, wanted, package, tmp_path):
    assert wanted.detail == "standard"
    for item in wanted.bl_rna.properties["detail"].enum_items:
        assert re.search("triangle", item.description) and re.search(r"\d+ pixels", item.description)
    wanted.detail = "draft"
    asked = settings_of(generate())
    assert asked["detail"] == "draft" and asked["resolution"] is asked["texture_size"] is asked["triangles"] is None
    preferences = bpy.context.preferences.addons[package].preferences
    preferences.texture_size = "2048"
    try:
        assert settings_of(generate(seed=8))["texture_size"] == 2048
    finally:
        preferences.texture_size = "DETAIL"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert bpy.context.scene.latte3d.detail == "draft"


# The question before debris -----------------------------------------------------------------------------------------------------


def test_it_asks_before_it_makes_what_the_model_does_not_know(addon, wanted, drawn):
    asked = ask(addon)
    assert asked.things == ["cube", "die"] and not bpy.data.objects and not addon("session").SESSION.fault
    seen = drawn(addon("panels.main").draw_question)
    assert "Not one of the things this model knows" in seen.texts() and "“a dragon”" in seen.texts()
    assert seen.of("operator") == ["latte3d.dismiss", *["latte3d.use_thing"] * 2, "latte3d.place_anyway"]
    assert bpy.ops.latte3d.place_anyway() == {"FINISHED"}
    item = bpy.context.view_layer.objects.active
    assert item["latte3d_prompt"] == "a dragon" and not addon("session").SESSION.question
    seen = drawn(addon("panels.main").draw_object)
    assert "Read “drgon” as “dragon”." in seen.texts() and "not one of the things that this model knows" in seen.texts()
    assert not bpy.ops.latte3d.place_anyway.poll()


def test_a_near_thing_instead(addon, wanted):
    ask(addon)
    assert bpy.ops.latte3d.use_thing(prompt="a red die", make=True) == {"FINISHED"}
    assert wanted.prompt == "a red die" and bpy.context.view_layer.objects.active["latte3d_prompt"] == "a red die"
    assert addon("session").SESSION.question is None


def test_the_question_goes_with_what_it_speaks_of(addon, wanted):
    assert ask(addon)
    wanted.prompt = "a red cube"
    assert addon("session").SESSION.question is None
    assert ask(addon)
    bpy.ops.latte3d.dismiss()
    assert addon("session").SESSION.question is None and wanted.prompt == "a dragon"


def test_a_script_can_decide_beforehand(addon, wanted):
    wanted.prompt = "a dragon"
    assert bpy.ops.latte3d.generate(anyway=True) == {"FINISHED"}
    assert not bpy.context.view_layer.objects.active["latte3d_familiar"]


# What it can make ---------------------------------------------------------------------------------------------------------------


def greet(addon, things: list[dict]) -> None:
    """An engine has said hello."""
    engine = addon("client.engine").Engine()
    engine.hello = {"models": [{"id": "fake", "things": things}]}
    addon("panels.gallery").show(engine)


def test_pictures_are_loaded_for_a_moment_at_a_time(addon, wanted, tmp_path, monkeypatch):
    """All at once would hold Blender up: on a slow disk, or where they are large, so would four."""
    monkeypatch.setattr(addon("timer"), "MOMENT_S", 0.0)
    gallery, names = addon("panels.gallery"), [f"thing {number}" for number in range(20)]
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(png((200, 40, 30), 64))
    greet(addon, [{"name": name, "group": "", "example": name, "picture": str(tmp_path / f"{name}.png")} for name in names])
    assert len(gallery.things()) == 20 and sum(map(gallery.has_picture, names)) == 1 and gallery.wanted()
    engine = addon("session").SESSION.engine
    assert gallery.show(engine) and sum(map(gallery.has_picture, names)) == 2
    monkeypatch.setattr(addon("timer"), "MOMENT_S", 60.0)
    assert gallery.show(engine) and all(map(gallery.has_picture, names)) and not gallery.wanted() and not gallery.show(engine)


def test_thumbnails_are_loaded_for_a_moment_at_a_time(addon, tmp_path, monkeypatch):
    monkeypatch.setattr(addon("timer"), "MOMENT_S", 0.0)
    thumbnails, paths = addon("panels.thumbnails"), [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(png((200, 40, 30), 64))
    thumbnails.clear()  # what other panels have missed
    assert [thumbnails.icon(path) for path in paths] == [None] * 3
    assert thumbnails.load() and sum(thumbnails.icon(path) is not None for path in paths) == 1
    while thumbnails.load():
        pass
    assert all(thumbnails.icon(path) is not None for path in paths) and not thumbnails.wanted()


def test_pictures_of_what_it_can_make(addon, wanted, drawn, tmp_path):
    gallery, panels = addon("panels.gallery"), addon("panels.main")
    (tmp_path / "cube.png").write_bytes(png((200, 40, 30), 64))
    things = [
        {"name": "cube", "group": "Solids", "example": "a red cube", "picture": str(tmp_path / "cube.png")},
        {"name": "ring", "group": "Jewels", "example": "a gold ring", "picture": str(tmp_path / "missing.png")},
        {"name": "die", "group": "Solids", "example": "a white die", "picture": ""},
    ]
    greet(addon, things)
    assert [gallery.has_picture(name) for name in ("cube", "ring", "die", "dragon")] == [True, False, False, False]
    seen = drawn(panels.draw_gallery, unfold=True)
    assert "What It Can Make (3)" in seen.texts() and seen.texts().index("Solids") < seen.texts().index("Jewels")
    assert seen.of("operator") == ["latte3d.use_thing"] * 5 and len(seen.of("template_icon")) == 2  # pictures can be clicked, and names
    assert drawn(panels.draw_gallery).of("operator") == []  # folded at first
    os.remove(tmp_path / "cube.png")
    assert drawn(panels.draw_gallery, unfold=True).of("template_icon")  # drawing reads no file
    bpy.ops.latte3d.use_thing(prompt="a gold ring")
    assert wanted.prompt == "a gold ring" and not bpy.data.objects


def test_names_where_there_are_no_pictures(addon, engine_of, drawn):
    greet(addon, [{"name": "cube", "group": "", "example": "a red cube", "picture": ""}])
    seen = drawn(addon("panels.main").draw_gallery, unfold=True)
    assert seen.of("operator") == ["latte3d.use_thing"] and not seen.of("template_icon")
    engine = addon("client.engine").Engine()
    engine.hello = {"models": [{"id": "old", "kinds": ["round_tree"]}]}
    assert engine.things() == [{"name": "round tree", "group": "", "example": "a round tree", "picture": ""}]


def test_the_handshake_fills_the_gallery(addon, wanted):
    generate()
    addon("session")._step()
    assert list(addon("panels.gallery").things()) == ["cube", "die"]
    addon("session").SESSION.engine.hello = {}  # as while it starts again
    addon("session")._step()
    assert addon("panels.gallery").things()


# From an object -----------------------------------------------------------------------------------------------------------------


def test_the_panel_says_what_the_active_object_was_made_of(addon, wanted, drawn):
    wanted.detail = "high"
    item = generate("a red cube", 7)
    seen = drawn(addon("panels.main").draw_object, unfold=True)
    texts = seen.texts()
    assert "“a red cube”" in texts and "High" in texts and "fake" in texts
    order = [texts.index(part) for part in ("12 tris", "80 cm", "seed 7", "Detail", "Total", "Surface")]
    assert order == sorted(order), texts  # what an artist asks first comes first, timings last
    wanted.prompt, wanted.seed, wanted.detail = "other", 0, "draft"
    bpy.ops.latte3d.use_prompt()
    assert (wanted.prompt, wanted.seed, wanted.detail) == ("a red cube", 7, "high")
    item.select_set(False)
    bpy.context.view_layer.objects.active = None
    assert addon("scene.origin").of(bpy.context.active_object) is None
    with pytest.raises(RuntimeError, match="Select an object that was made from a prompt"):
        bpy.ops.latte3d.use_prompt()


def test_properties_that_somebody_has_changed_do_not_hurt(addon, wanted, drawn):
    item = generate()
    item["latte3d_settings"], item["latte3d_notes"], item["latte3d_timings_ms"], item["latte3d_seed"] = "{", 5, "[1]", "seven"
    assert "“a red cube”" in drawn(addon("panels.main").draw_object, unfold=True).texts()
    item["latte3d_prompt"] = 3
    assert addon("scene.origin").of(item) is None


def test_a_new_seed_takes_the_place_of_the_old_one(addon, wanted):
    """Transform, parent, collection, modifiers and references stay; what only the old one used goes."""
    item, parent = generate(), bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    item.parent = parent
    item.matrix_world = Matrix.LocRotScale((1, 2, 3), None, (2, 2, 2)) @ Matrix.Rotation(0.5, 4, "Z")
    item.modifiers.new("Bevel", "BEVEL")
    before, mesh, image = item.matrix_world.copy(), item.data.name, len(bpy.data.images)
    wanted.prompt = "something else"
    assert bpy.ops.latte3d.new_seed_here() == {"FINISHED"}
    new = bpy.context.view_layer.objects.active
    assert new == item and len(bpy.data.objects) == 2 and new.select_get()
    assert new["latte3d_prompt"] == "a red cube" and new["latte3d_seed"] not in (0, 7)
    assert new.matrix_world == before and new.parent == parent and new.modifiers and new.users_collection[0].name == "Generated"
    assert new.data.name != mesh and mesh not in bpy.data.meshes and len(bpy.data.images) == image and len(bpy.data.materials) == 1
    assert new.name == f"a red cube {new['latte3d_seed']}" and wanted.prompt == "something else"


def test_a_new_seed_keeps_the_height_and_the_detail(addon, wanted):
    wanted.detail = "draft"
    generate()
    bpy.ops.latte3d.place_result(result=addon("session").SESSION.last.number, height=3.0)
    wanted.detail = "high"
    bpy.ops.latte3d.new_seed_here()
    new = bpy.context.view_layer.objects.active
    assert new.dimensions.z == pytest.approx(3.0) and settings_of(new)["detail"] == "draft"


def test_a_new_seed_in_a_scene_of_centimetres(addon, wanted):
    bpy.context.scene.unit_settings.scale_length = 0.01
    high = generate().dimensions.z
    bpy.ops.latte3d.new_seed_here()
    assert bpy.context.view_layer.objects.active.dimensions.z == pytest.approx(high)


def test_a_new_seed_for_what_was_deleted_meanwhile_still_arrives(addon, wanted):
    item = generate()
    item.location = (4, 5, 6)
    bpy.context.view_layer.update()
    jobs = addon("session")
    place = jobs.at_cursor(bpy.context.scene)
    place.location, place.replaces = tuple(item.location), item.name
    job = jobs.submit(place, ["a red cube"], [9], {})
    bpy.data.objects.remove(item)
    (result,) = jobs.run_now(job)
    bpy.ops.latte3d.place_result(result=result.number, **place.properties())
    assert bpy.context.view_layer.objects.active["latte3d_seed"] == 9


# Where it is said ---------------------------------------------------------------------------------------------------------------


def test_remarks_do_not_stand_under_the_next_one(addon, wanted, drawn):
    wanted.prompt = "a dragon"
    bpy.ops.latte3d.generate(anyway=True)
    jobs, panels = addon("session"), addon("panels.main")
    assert "Read “drgon”" in drawn(panels.draw_object).texts()
    jobs.submit(jobs.at_cursor(bpy.context.scene), ["a red cube"], [0], {})
    assert "Read “drgon”" not in drawn(panels.draw_object).texts()
    generate_other = bpy.data.objects.new("other", None)
    bpy.context.scene.collection.objects.link(generate_other)
    bpy.context.view_layer.objects.active = generate_other
    assert addon("scene.origin").of(bpy.context.active_object) is None  # the section goes with its object


def test_the_status_bar_speaks_where_no_panel_does(addon, wanted, drawn, monkeypatch):
    jobs, panels = addon("session"), addon("panels.main")

    def status(layout, context):
        panels.draw_status(SimpleNamespace(layout=layout), context)

    monkeypatch.setattr(jobs, "panel_visible", lambda: False)
    assert not drawn(status)
    jobs.SESSION.hold = "Switch to Object Mode to place it"
    assert jobs.SESSION.hold in drawn(status).texts() and drawn(status).of("operator") == ["latte3d.show_panel"]
    jobs.SESSION.hold = ""
    ask(addon)
    assert "Not one of the things this model knows" in drawn(status).texts()
    monkeypatch.setattr(jobs, "panel_visible", lambda: True)
    assert not drawn(status)


def test_found_in_the_add_menu_and_by_searching(addon, drawn):
    prompts = addon("operators.prompt")
    assert prompts.draw_menu in bpy.types.VIEW3D_MT_mesh_add._dyn_ui_initialize()
    assert prompts.draw_object_menu in bpy.types.VIEW3D_MT_object._dyn_ui_initialize()
    entries = [
        drawn(lambda layout, context, draw=draw: draw(SimpleNamespace(layout=layout), context))
        for draw in (prompts.draw_menu, prompts.draw_object_menu)
    ]
    assert [entry.of("operator") for entry in entries] == [["latte3d.from_prompt"]] * 2
    texts = ["Add Mesh " + prompts.LATTE3D_OT_from_prompt.bl_label, "Object " + prompts.SEARCHED]
    assert texts[0].endswith("From Prompt…")
    for search in ("generate", "prompt", "text to 3d"):
        assert any(set(search.split()) <= set(re.findall(r"\w+", text.lower())) for text in texts)


def test_from_prompt_makes_what_is_typed(addon, wanted, drawn):
    assert drawn(addon("panels.main").draw_popup).of("prop") == ["prompt", "detail", "seed", "count"]
    with pytest.raises(RuntimeError, match="Type a prompt first"):
        bpy.ops.latte3d.from_prompt()
    wanted.prompt = "a red cube"
    assert bpy.ops.latte3d.from_prompt() == {"FINISHED"}
    assert bpy.context.view_layer.objects.active["latte3d_prompt"] == "a red cube"


def test_the_manifest_names_where_help_is(extension_zip):
    import tomllib
    import zipfile

    with zipfile.ZipFile(extension_zip) as archive:
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert manifest["website"].startswith("https://")


def test_a_part_that_fails_passes_its_sentence_on(addon, wanted, capfd):
    """Python's error of an operator within another would be a traceback to the artist."""
    wanted.prompt = "a cube " * 100
    with pytest.raises(RuntimeError) as caught:  # what bpy.ops makes of an error report
        bpy.ops.latte3d.from_prompt()
    assert "too long" in str(caught.value) and "Traceback" not in str(caught.value) + capfd.readouterr().err
    addon("session").SESSION.setup = object()
    assert not bpy.ops.latte3d.from_prompt.poll()
    addon("session").SESSION.setup = None
