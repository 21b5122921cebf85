# SPDX-License-Identifier: GPL-3.0-or-later
"""Several models in the panel: the chooser, what it asks for, and a scene whose model is gone."""

import json
import time

import bpy
import pytest

from latte3d_blender import commands
from tests.blender.answers import answer, place


@pytest.fixture
def wanted(addon, engine_of):
    """The scene's choices, with an engine of two models (fake: cube, die; jeweller: ring, die) and a damaged one."""
    engine_of("two")
    greet(addon)
    return bpy.context.scene.latte3d


def greet(addon) -> None:
    """Start the engine, and let it say what it has."""
    jobs = addon("session")
    jobs.start()
    end = time.monotonic() + 20
    while jobs.SESSION.engine.state == "STARTING" and time.monotonic() < end:
        jobs.SESSION.engine.poll(wait_s=0.1)
    assert jobs.SESSION.engine.state == "READY"
    addon("panels.gallery").show(jobs.SESSION.engine)


def made_by(prompt: str) -> str:
    bpy.context.scene.latte3d.prompt = prompt
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    return bpy.context.view_layer.objects.active["latte3d_model"]


def choices(addon, scene) -> list[str]:
    return [name for name, *_ in addon("properties")._models(scene, bpy.context)]


def test_the_chooser_is_there_where_there_is_a_choice(addon, engine_of, drawn):
    engine_of()
    greet(addon)
    assert "model_choice" not in drawn(addon("panels.main").draw_prompt).of("prop")
    addon("session").SESSION.engine.stop()
    engine_of("two")
    greet(addon)
    assert "model_choice" in drawn(addon("panels.main").draw_prompt).of("prop")
    assert "model_choice" in drawn(addon("panels.main").draw_popup).of("prop")
    addon("session").SESSION.engine.stop()
    addon("session").start()  # the button below does not jump while it starts again
    assert "model_choice" in drawn(addon("panels.main").draw_prompt).of("prop")


def test_a_request_carries_the_model(addon, wanted, tmp_path):
    assert choices(addon, wanted) == ["AUTO", "fake", "jeweller"]  # not the damaged one
    assert wanted.model_choice == "AUTO" and wanted.model == ""
    assert made_by("a red cube") == "fake" and made_by("a gold ring") == "jeweller"
    wanted.model_choice = "jeweller"
    assert wanted.model == "jeweller" and made_by("a red cube") == "jeweller"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    scene = bpy.context.scene.latte3d
    assert scene.model == scene.model_choice == "jeweller"
    scene.model_choice = "AUTO"
    assert scene.model == "" and made_by("a red cube") == "fake"


def test_a_model_that_is_gone_gives_way_to_automatic(addon, wanted, drawn):
    panels = addon("panels.main")
    assert not drawn(panels.draw_missing_model)
    wanted.model = "studio"
    assert wanted.model_choice == "AUTO" and wanted.model == "studio"  # it may come back
    assert "The model “studio” of this scene is not installed" in drawn(panels.draw_missing_model).texts()
    assert made_by("a gold ring") == "jeweller"
    wanted.model_choice = "AUTO"
    assert not drawn(panels.draw_missing_model)


def test_a_gone_model_is_said_where_one_is_left(addon, engine_of, drawn):
    engine_of()
    bpy.context.scene.latte3d.model = "studio"
    assert not drawn(addon("panels.main").draw_missing_model)  # nobody knows yet
    greet(addon)
    assert drawn(addon("panels.main").draw_missing_model)
    assert "model_choice" in drawn(addon("panels.main").draw_prompt).of("prop")  # the way out


def test_what_it_can_make_is_of_the_chosen_model(addon, wanted, drawn):
    panels, gallery = addon("panels.main"), addon("panels.gallery")
    assert list(gallery.things()) == ["cube", "die", "ring"]
    assert "What It Can Make (3)" in drawn(panels.draw_gallery).texts()
    wanted.model = "jeweller"
    assert list(gallery.things(wanted.model)) == ["ring", "die"] and "What It Can Make (2)" in drawn(panels.draw_gallery).texts()


def test_an_object_goes_on_with_its_own_model(addon, wanted):
    assert made_by("a gold ring") == "jeweller"
    item = bpy.context.view_layer.objects.active
    item["latte3d_prompt"] = "a red cube"
    assert bpy.ops.latte3d.new_seed_here() == {"FINISHED"} and item["latte3d_model"] == "jeweller" and wanted.model == ""
    assert bpy.ops.latte3d.use_prompt() == {"FINISHED"} and wanted.model == "jeweller"
    wanted.model = ""
    (other,) = place(addon, answer(item["latte3d_prompt"], 1, model="studio"))  # of a model that is not here
    assert bpy.ops.latte3d.use_prompt() == {"FINISHED"} and wanted.model == ""
    assert bpy.ops.latte3d.new_seed_here() == {"FINISHED"} and other["latte3d_model"] == "fake"


def test_the_question_is_of_all_models(addon, wanted, drawn):
    wanted.prompt = "a dragon"
    with pytest.raises(RuntimeError, match="(?i)not one of the things"):
        bpy.ops.latte3d.generate()
    assert "Not one of the things the models know" in drawn(addon("panels.main").draw_question).texts()
    assert bpy.ops.latte3d.place_anyway() == {"FINISHED"}
    wanted.model, wanted.prompt = "jeweller", "a dragon"
    with pytest.raises(RuntimeError, match="(?i)not one of the things"):
        bpy.ops.latte3d.generate()
    assert "Not one of the things this model knows" in drawn(addon("panels.main").draw_question).texts()
    assert bpy.ops.latte3d.place_anyway() == {"FINISHED"}
    assert bpy.context.view_layer.objects.active["latte3d_model"] == "jeweller"


def test_the_preferences_name_folders(addon, package, tmp_path, drawn, wanted):
    preferences = bpy.context.preferences.addons[package].preferences
    one, two = tmp_path / "one", tmp_path / "two; three"
    one.mkdir()
    two.mkdir()
    launch = addon("machine").launch
    for text, folders in ((f"{one}", (one,)), (f"{two}", (two,)), (f"{one}; {tmp_path}", (one, tmp_path)), ("", ())):
        preferences.model_folder = text
        assert launch().models == folders and launch().model is None
    assert launch(model=str(one)).model == one and launch(model=str(one)).models == ()
    preferences.model_folder = f"{one};{tmp_path / 'gone'}"
    assert launch().models == (one, tmp_path / "gone")  # a disk that is not mounted: the engine tells, and the others are there
    preferences.model_folder = str(tmp_path / "gone")
    with pytest.raises(addon("client.engine").EngineFault, match="no folder.*gone"):
        launch()
    command = addon("client.engine").Launch(one, one, None, "cpu", one, (one, two)).command
    assert command[3:] == ["--models", str(one), "--models", str(two), "--device", "cpu"]
    seen = drawn(addon("panels.setup").draw_models, addon("session").SESSION.engine.hello["models"])
    assert "Models found: fake, jeweller" in seen.texts() and "torn: The model in torn cannot be read." in seen.texts()


@pytest.mark.parametrize(("model", "maker"), [("jeweller", "jeweller"), ("", "fake"), ("studio", None)])
def test_a_command_names_a_model_by_its_id(fake_engine, tmp_path, capfd, model, maker):
    given = ["--model", model] if model else []
    usual = ["--engine", fake_engine("two"), "--out", str(tmp_path / "out"), "--no-picture", "--json"]
    status = commands.main(["generate", "a red cube", *given, *usual])
    said = capfd.readouterr()
    if maker:
        assert status == 0 and json.loads(said.out.splitlines()[-1])["objects"][0]["model"] == maker
    else:
        assert status == 1 and "no model 'studio'" in said.err and "fake, jeweller" in said.err
