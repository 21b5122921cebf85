# SPDX-License-Identifier: GPL-3.0-or-later
"""A library from the Blender session: objects go into it and the scene stays; Check, Prepare and Train run beside Blender."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

from tests.blender.conftest import ROOT
from tests.fake_engine import png

STAND_IN = """
import json, signal, sys, time
from pathlib import Path
folder, words = Path(sys.argv[1]), sys.argv[2:]
(folder / "words.json").write_text(json.dumps(words))
def say(**event): print(json.dumps(event), flush=True)
def stop(*_):
    say(model=str(folder / "model"), finished=False, minutes=1.0, steps=5)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print("Blender 4.5.0")
say(event="progress", stage="reconstruction", done=30.0, total=120.0, eta_s=90.0, losses={})
say(event="preview", picture=str(folder / "000001.png"))
if (folder / "small").exists() and "--yes" not in words:
    say(event="plan", text="It takes 60 minutes.", refusal="This takes about 9 GB of disk, and 1 GB are free.")
    sys.exit(2)
while not (folder / "go").exists():
    time.sleep(0.05)
if (folder / "fail").exists():
    print("latte3d: There is no memory left. Close other programs.", file=sys.stderr)
    sys.exit(2)
say(model=str(folder / "model"), finished=True, minutes=2.0, steps=10)
"""


def made(name: str, at=(0, 0, 0), parent=None, size: float = 1.0) -> bpy.types.Object:
    """A pyramid in the scene, selected."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.array([(-1, -1, 0), (1, -1, 0), (0, 1, 0), (0, 0, 2)]) * size / 2, [], [(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)])
    item = bpy.data.objects.new(name, mesh)
    item.location, item.parent = at, parent
    bpy.context.scene.collection.objects.link(item)
    item.select_set(True)
    return item


def textured(item: bpy.types.Object, path: Path) -> bpy.types.Image:
    """Give an object a material with an image that lies outside of the library."""
    path.write_bytes(png((200, 40, 30), 8))
    material = bpy.data.materials.new("Paint")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(path))
    material.node_tree.links.new(node.outputs["Color"], material.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    item.data.materials.append(material)
    return node.image


def state_of_file() -> dict:
    """All data-blocks by name, what is selected, and where images lie."""
    blocks = {kind: sorted(block.name_full for block in getattr(bpy.data, kind)) for kind in ("objects", "scenes", "meshes", "images")}
    selected = [item.name for item in bpy.context.selected_objects]
    users = {item.name: (item.users, item.use_fake_user) for item in bpy.data.objects}
    return {**blocks, "selected": selected, "users": users, "paths": [image.filepath_raw for image in bpy.data.images]}


def checked(folder: Path) -> tuple[list[dict], dict]:
    """Findings and result of the engine's own reader."""
    program = ROOT / "core" / "library" / "format.py"
    done = subprocess.run([sys.executable, program, folder, "--json"], capture_output=True, text=True)
    *findings, result = map(json.loads, done.stdout.splitlines())
    return findings, result


def opened(path: Path) -> dict:
    """What somebody sees who opens an asset."""
    before = bpy.data.filepath
    bpy.ops.wm.open_mainfile(filepath=str(path))
    images = {image.name: Path(bpy.path.abspath(image.filepath)) for image in bpy.data.images if image.source == "FILE"}
    seen = {
        "objects": sorted(item.name for item in bpy.context.scene.objects),
        "images": images,
        "relative": [i.filepath for i in bpy.data.images],
    }
    bpy.ops.wm.open_mainfile(filepath=before) if before else bpy.ops.wm.read_homefile(use_empty=True)
    return seen


# Adding ---------------------------------------------------------------------------------------------------------------------------------


def test_selected_objects_become_a_library_and_the_scene_stays(addon, tmp_path):
    folder = tmp_path / "my studio"
    chair, table = made("Oak_Chair.001", (3, 0, 0)), made("Table")
    made("Cushion", parent=chair)
    made("Leg", parent=table).select_set(False)
    textured(chair, tmp_path / "oak.png")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    before = state_of_file()
    assert bpy.ops.latte3d.add_to_library(folder=str(folder), title="Studio", licence="CC0-1.0", author="Ana “A” Ö") == {"FINISHED"}
    assert state_of_file() == before
    findings, result = checked(folder)
    assert not findings and (result["prompts"], result["shapes"]) == (2, 2)
    assert (folder / "prompts.csv").read_text() == (
        "prompt,shape,split\nan oak chair,assets/oak-chair-001.blend,train\na table,assets/table.blend,train\n"
    )
    seen = opened(folder / "assets" / "oak-chair-001.blend")
    assert seen["objects"] == ["Cushion", "Oak_Chair.001"] and seen["relative"] == ["//textures/oak.png"]
    assert seen["images"]["oak.png"] == folder / "assets" / "textures" / "oak.png" and seen["images"]["oak.png"].is_file()
    assert opened(folder / "assets" / "table.blend")["objects"] == ["Leg", "Table"]
    assert addon("library_session").folder() == folder


def test_what_stands_in_prompts_csv_stays(addon, tmp_path):
    """A BOM, semicolons, other columns in another order, quotes, Windows' line ends, no end of the last line."""
    old = '\ufeffshape;height;prompt;split\r\n"a;b.blend";0,5;"a ""thing""; two";train'.encode()
    (tmp_path / "library.toml").write_text('name = "Studio"\nlicence = "CC0-1.0"\nunits = 0.01\n')
    (tmp_path / "prompts.csv").write_bytes(old)
    made("Chair", size=1.5)
    rows = [{"name": "Chair", "prompt": 'a "Grüne"; chair,\n old'}]
    assert bpy.ops.latte3d.add_to_library(folder=str(tmp_path), assets=rows, split="unseen") == {"FINISHED"}
    new = (tmp_path / "prompts.csv").read_bytes()
    assert new.startswith(old + b"\r\n") and new[len(old) + 2 :].decode() == 'assets/chair.blend;1,5;"a ""Grüne""; chair, old";unseen\r\n'
    assert bpy.ops.latte3d.add_to_library(folder=str(tmp_path), assets=rows) == {"FINISHED"}  # an unsaved file's objects are no one's
    assert (tmp_path / "assets" / "chair-2.blend").is_file()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"prompt,shape,split\n\xfc,,train\n", r"not UTF-8 \(line 2\)"),
        ("prompt,shape,split\n".encode("utf-16"), "UTF-16"),
        (b"prompt;file\n", "no column shape, split"),
        (b'prompt,shape,split\n"a chair,a.blend,train\n', "ends within a quoted cell"),
    ],
)
def test_what_cannot_be_read_is_not_added_to(addon, tmp_path, raw, said):
    (tmp_path / "library.toml").write_text("units = 1.0\n")
    (tmp_path / "prompts.csv").write_bytes(raw)
    made("Chair")
    with pytest.raises(RuntimeError, match=said):
        bpy.ops.latte3d.add_to_library(folder=str(tmp_path))
    assert (tmp_path / "prompts.csv").read_bytes() == raw and not list((tmp_path / "assets").glob("*"))


def test_added_again_an_object_replaces_its_own_asset_alone(addon, tmp_path):
    folder, words = tmp_path / "library", {"licence": "CC0-1.0"}
    item = made("Chair")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "one.blend"))
    bpy.ops.latte3d.add_to_library(folder=str(folder), **words)
    item.name = "Seat"  # its mesh is still called a chair
    item = made("Chair", (5, 0, 0))
    bpy.data.objects["Seat"].select_set(False)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "two.blend"))
    bpy.ops.latte3d.add_to_library(folder=str(folder))
    made("Back", parent=item)
    bpy.ops.latte3d.add_to_library(folder=str(folder))
    assert sorted(path.name for path in (folder / "assets").glob("*")) == ["chair-2.blend", "chair.blend"]
    assert len((folder / "prompts.csv").read_text().splitlines()) == 3
    assert opened(folder / "assets" / "chair-2.blend")["objects"] == ["Back", "Chair"]
    assert opened(folder / "assets" / "chair.blend")["objects"] == ["Chair"]


def test_all_as_one_and_what_was_made_here(addon, engine_of, tmp_path):
    engine_of()
    bpy.context.scene.latte3d.prompt = "a red cube"
    bpy.ops.latte3d.generate()
    cube = bpy.context.active_object
    assert addon("scene.asset_file").suggestion(cube) == "a red cube"
    made("Chair", (3, 0, 0))
    bpy.ops.latte3d.add_to_library(folder=str(tmp_path), together=True, prompt="a table with a chair")
    row = (tmp_path / "prompts.csv").read_text().splitlines()[1]
    assert row == "a table with a chair,assets/a-table-with-a-chair.blend,train"
    assert len(opened(tmp_path / "assets" / "a-table-with-a-chair.blend")["objects"]) == 2


def test_an_image_that_is_nowhere_but_in_memory(addon, tmp_path):
    image = textured(made("Chair"), tmp_path / "oak.png")
    image.pixels[0] = 0.5
    with pytest.raises(RuntimeError, match="changes that are not saved"):
        bpy.ops.latte3d.add_to_library(folder=str(tmp_path / "library"))
    assert not list((tmp_path / "library").glob("assets/*"))


def test_other_units_need_heights(addon, tmp_path):
    (tmp_path / "library.toml").write_text("units = 0.01\n")
    made("Chair")
    with pytest.raises(RuntimeError, match="Add a column named height"):
        bpy.ops.latte3d.add_to_library(folder=str(tmp_path))


def test_an_instance_is_an_object_as_high_as_it_is_seen(addon, tmp_path):
    (tmp_path / "library.toml").write_text('licence = "CC0-1.0"\nunits = 0.01\n')
    (tmp_path / "prompts.csv").write_text("prompt,shape,split,height\n")
    item, kit = made("Part", (0, 0, 5), size=1.5), bpy.data.collections.new("Garden Shed")
    bpy.context.scene.collection.objects.unlink(item)
    kit.objects.link(item)
    empty = bpy.data.objects.new("Empty", None)
    empty.instance_type, empty.instance_collection, empty.scale = "COLLECTION", kit, (2, 2, 2)
    bpy.context.scene.collection.objects.link(empty)
    empty.select_set(True)
    bpy.context.view_layer.update()
    bpy.ops.latte3d.add_to_library(folder=str(tmp_path), assets=[{"name": "Empty", "prompt": "a shed"}])
    assert (tmp_path / "prompts.csv").read_text().splitlines()[1] == "a shed,assets/empty.blend,train,3"
    assert opened(tmp_path / "assets" / "empty.blend")["objects"] == ["Empty"] and not checked(tmp_path)[0]


def test_disabled_buttons_say_why(addon, package):
    bpy.context.preferences.addons[package].preferences.library_folder = ""
    bpy.ops.object.light_add()
    with pytest.raises(RuntimeError, match="Select the objects to add first"):
        bpy.ops.latte3d.add_to_library()
    for name in ("open_library", "check_library", "prepare_library", "train"):
        with pytest.raises(RuntimeError, match="Choose the library's folder first"):
            getattr(bpy.ops.latte3d, name)()
    with pytest.raises(RuntimeError, match="Nothing is running"):
        bpy.ops.latte3d.stop_work()


# Check, and long work -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def library(addon, package, tmp_path):
    """A library that the panel names, with something wrong in it."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "library.toml").write_text("units = 1.0\n")
    (folder / "prompts.csv").write_text("prompt,shape,split\na chair,assets/none.blend,train\na dream,,train\n")
    preferences = bpy.context.preferences.addons[package].preferences
    preferences.library_folder = str(folder)
    yield folder
    addon("library_session").shutdown()
    addon("library_session").forget()
    preferences.library_folder, preferences.keep_training = "", False


@pytest.fixture
def stand_in(addon, library, engine_of, monkeypatch, tmp_path):
    """A program in place of the long command; returns its folder: go and fail are files that tell it what to do."""
    engine_of()
    folder = tmp_path / "training"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text('{"id": "studio"}')
    (folder / "000001.png").write_bytes(png((10, 200, 10), 64))
    monkeypatch.setattr(addon("library_session"), "command", lambda *words: [sys.executable, "-c", STAND_IN, str(folder), *words])
    monkeypatch.setattr(addon("library_session"), "work_folder", lambda name: tmp_path / "work" / name)
    return folder


def until(addon, condition, seconds: float = 20.0):
    """Let the timer look until something holds."""
    end = time.monotonic() + seconds
    while not condition(addon("library_session").STATE):
        assert time.monotonic() < end, "it took too long"
        addon("library_session").step()
        time.sleep(0.02)
    return addon("library_session").STATE


def test_check_lists_lines(addon, library, drawn):
    assert bpy.ops.latte3d.check_library() == {"FINISHED"}
    check = until(addon, lambda state: state.check.over).check
    assert [(one["file"], one["line"], one["level"]) for one in check.findings if one["line"]] == [("prompts.csv", 2, "error")]
    panels = addon("panels.library")
    assert "1 prompts" not in drawn(panels.draw_findings, check.findings, library).texts()
    text = drawn(panels.draw_findings, check.findings, library).texts()
    assert "prompts.csv, line 2" in text and "assets/none.blend" in text and text.index("line 2") < text.index("licence")
    assert "0 shapes" in drawn(panels.draw_library).texts()


def test_training_is_shown_and_its_model_is_taken_in(addon, library, stand_in, drawn, monkeypatch):
    assert bpy.ops.latte3d.train(minutes=2) == {"FINISHED"}
    state, panels = until(addon, lambda state: state.picture), addon("panels.library")
    words = json.loads((stand_in / "words.json").read_text())
    assert words[:7] == ["train", str(library), "--json", "--minutes", "2", "--from", "starter"] and "--engine" in words
    seen = drawn(panels.draw_work, state.work)
    assert "Learning shapes and colours" in seen.texts() and re.search(r"25 % · (90 s|85 s|2 min) left", seen.texts())
    assert seen.of("template_icon") and seen.of("operator") == ["latte3d.stop_work", "wm.path_open"] and "keep_training" in seen.of("prop")
    with pytest.raises(RuntimeError, match="Training is running"):
        bpy.ops.latte3d.prepare_library()
    engine = addon("session").SESSION.engine
    bpy.context.scene.latte3d.prompt = "a red cube"
    bpy.ops.latte3d.generate()
    process = engine.process
    (stand_in / "go").touch()
    until(addon, lambda state: state.model == "studio" and not state.new_model)
    assert engine.process is not process  # started anew, it reads its folders again
    seen = drawn(panels.draw_work, state.work)
    assert "“studio” is ready" in seen.texts() and "latte3d.use_model" not in seen.of("operator")
    monkeypatch.setattr(type(engine), "models", {"studio": {}})
    assert "latte3d.use_model" in drawn(panels.draw_work, state.work).of("operator")
    assert bpy.ops.latte3d.use_model(model="studio") == {"FINISHED"} and bpy.context.scene.latte3d.model == "studio"


def test_stopped_training_is_found_again_and_resumed(addon, library, stand_in, drawn):
    bpy.ops.latte3d.train(minutes=3, start="none", out=str(stand_in / "model"))
    until(addon, lambda state: state.work.total)
    assert bpy.ops.latte3d.stop_work() == {"FINISHED"}
    state = until(addon, lambda state: state.work.over)
    assert not state.work.fault and "It was stopped" in drawn(addon("panels.library").draw_work, state.work).texts()
    addon("library_session").forget()  # as in another Blender
    state = until(addon, lambda state: state.attached)
    assert state.work.resumable and "latte3d.resume_work" in drawn(addon("panels.library").draw_work, state.work).of("operator")
    assert bpy.ops.latte3d.resume_work() == {"FINISHED"}
    until(addon, lambda state: state.work.total)
    words = json.loads((stand_in / "words.json").read_text())
    assert words[:9] == ["train", str(library), "--json", "--minutes", "3", "--from", "none", "--out", str(stand_in / "model")]
    (stand_in / "go").touch()
    assert until(addon, lambda state: state.work.over).work.finished
    bpy.ops.latte3d.dismiss_work()
    addon("library_session").forget()
    assert until(addon, lambda state: state.attached).work is None


@pytest.mark.parametrize("keep", [True, False])
def test_training_ends_with_blender_unless_it_shall_go_on(addon, library, stand_in, package, keep):
    bpy.context.preferences.addons[package].preferences.keep_training = keep
    bpy.ops.latte3d.train()
    work = until(addon, lambda state: state.work.total).work
    addon("library_session").shutdown()
    if keep:
        time.sleep(0.5)
        assert work.job.running and not work.job.cancelled
        work.job.cancel()
    until(addon, lambda state: state.work.over)
    assert work.job.status == 130


def test_a_look_that_fails_is_not_the_last(addon, library, stand_in, monkeypatch, drawn):
    """The work goes on, so it stays in the panel, and can be stopped."""
    bpy.ops.latte3d.train()
    work, session = until(addon, lambda state: state.work.total).work, addon("library_session")
    with monkeypatch.context() as broken:
        broken.setattr(type(work), "poll", lambda self: 1 / 0)
        assert session.TIMER.turn() and session.STATE.work is work and "ZeroDivisionError" in str(session.STATE.fault)
    (stand_in / "go").touch()
    assert until(addon, lambda state: state.work.over).work.finished


def test_who_insists_trains_where_room_is_short(addon, library, stand_in, drawn):
    (stand_in / "small").touch()
    bpy.ops.latte3d.train()
    state = until(addon, lambda state: state.work.over)
    seen = drawn(addon("panels.library").draw_work, state.work)
    assert "9 GB of disk" in seen.texts() and "latte3d.work_anyway" in seen.of("operator")
    assert bpy.ops.latte3d.work_anyway() == {"FINISHED"}
    until(addon, lambda state: state.work.total)
    assert "--yes" in json.loads((stand_in / "words.json").read_text())


def test_what_fails_says_why(addon, library, stand_in, drawn):
    (stand_in / "fail").touch()
    (stand_in / "go").touch()
    bpy.ops.latte3d.train()
    state = until(addon, lambda state: state.work.over)
    seen = drawn(addon("panels.library").draw_work, state.work)
    assert "There is no memory left" in seen.texts() and seen.of("operator")[1:3] == ["latte3d.resume_work", "wm.path_open"]
    shutil.rmtree(library)
    with pytest.raises(RuntimeError, match="There is no folder"):
        bpy.ops.latte3d.train()
