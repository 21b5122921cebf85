# SPDX-License-Identifier: GPL-3.0-or-later
"""Refine from the panel: a long command beside Blender, whose planes become the object in its place; and what goes wrong with it."""

import json
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

ENGINE = ROOT / ".venv" / "bin" / "python"
SIZES = {"geometry": (1, 3, 2, 4, 4), "texture": (1, 3, 2, 8, 8), "condition": (1, 5), "height_m": (1,)}
STAND_IN = """
import json, shutil, signal, sys, time
from pathlib import Path
folder, words = Path(sys.argv[1]), sys.argv[2:]
(folder / "words.json").write_text(json.dumps(words))
out = Path(next(word for word in words if word.startswith("--out=")).removeprefix("--out="))
def say(**event): print(json.dumps(event), flush=True)
def stop(*_): sys.exit(130)
signal.signal(signal.SIGTERM, stop)
say(event="progress", stage="refine", done=150, total=600, eta_s=90.0)
say(event="preview", picture=str(folder / "000150.png"))
while not (folder / "go").exists():
    time.sleep(0.05)
if (folder / "fail").exists():
    print((folder / "fail").read_text(), file=sys.stderr)
    sys.exit(1)
shutil.copy(folder / "planes", out.with_suffix(".planes.safetensors"))
say(mesh=str(out), planes="", model="fake", prompt="a red cube", seed=7, steps=600)
"""


def prior(folder: Path, *, camera: bool = False, controlnet: bool = False) -> str:
    """What a quick look takes for a prior."""
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text(json.dumps({"class_embed_type": "projection" if camera else None}))
    if controlnet:
        (folder / "controlnet").mkdir()
    return str(folder)


def planes_file(addon, path: Path) -> dict[str, np.ndarray]:
    """A file of planes, as the engine's refine leaves it."""
    rng = np.random.default_rng(0)
    planes = {name: rng.normal(size=size).astype(np.float32) for name, size in SIZES.items()}
    blob = addon("client.protocol").encode({"model": "fake", "prompt": "a red cube", "seed": 7, "steps": 600}, planes)
    length = int.from_bytes(blob[:8], "little")
    head = blob[8 : 8 + length].replace(b'{"rpc"', b'{"refined"')
    path.write_bytes(len(head).to_bytes(8, "little") + head + blob[8 + length :])
    return planes


@pytest.fixture
def chosen(addon, package, tmp_path):
    """The preferences, with two priors."""
    preferences = bpy.context.preferences.addons[package].preferences
    preferences.prior_multiview = prior(tmp_path / "views", camera=True)
    preferences.prior_depth = prior(tmp_path / "pictures", controlnet=True)
    yield preferences
    addon("refining").shutdown()
    addon("refining").STATE.__init__()
    preferences.prior_multiview = preferences.prior_depth = preferences.prior_controlnet = ""
    preferences.keep_training = False
    addon("library_session").forget()


@pytest.fixture
def stand_in(addon, chosen, engine_of, monkeypatch, tmp_path):
    """A program in place of the long command; returns its folder: go and fail are files that tell it what to do."""
    engine_of()
    folder = tmp_path / "refining"
    folder.mkdir()
    (folder / "000150.png").write_bytes(png((10, 200, 10), 64))
    planes_file(addon, folder / "planes")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"id": "fake", "generator": {}}')
    bpy.context.preferences.addons[addon("machine").PACKAGE].preferences.model_folder = str(folder)
    monkeypatch.setattr(addon("library_session"), "command", lambda *words: [sys.executable, "-c", STAND_IN, str(folder), *words])
    monkeypatch.setattr(addon("library_session"), "work_folder", lambda name: tmp_path / "work" / name)
    return folder


def until(addon, condition, seconds: float = 30.0, *, place: bool = True):
    """Let the timers look until something holds; what the engine makes meanwhile is placed, unless not."""
    end, state, session = time.monotonic() + seconds, addon("refining").STATE, addon("session")
    while not condition(state):
        assert time.monotonic() < end, f"it took too long: {state.fault} {state.work and state.work.fault}"
        addon("refining").step()
        if session.SESSION.engine.jobs and session.SESSION.engine.state == "STOPPED":  # after a first crash
            session.start()
        session.collect()
        while place and session.SESSION.to_place:
            addon("scene.placing").place(session.SESSION.to_place.pop(0))
        time.sleep(0.02)
    return state


def made(addon, prompt: str = "a red cube", seed: int = 7, **place) -> bpy.types.Object:
    """An object of the engine in the scene."""
    wanted = bpy.context.scene.latte3d
    wanted.prompt, wanted.seed = prompt, seed
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def words_of(stand_in: Path) -> list[str]:
    return json.loads((stand_in / "words.json").read_text())


def test_an_object_is_refined_in_its_place_and_made_again(addon, stand_in, drawn):
    item = made(addon)
    item.location, item.name = (1, 2, 3), "My Cube"
    assert bpy.ops.latte3d.refine(steps=600, shape=True) == {"FINISHED"}
    state, panel = until(addon, lambda state: state.work.picture), addon("panels.refine").draw_refining
    words = words_of(stand_in)
    assert words[-3:] == ["--", str(stand_in / "model"), "a red cube"]
    assert {"--seed=7", "--steps=600", "--detail=draft", "--json"} <= set(words)
    assert any(word.startswith("--multiview=") for word in words) and any(word.startswith("--depth=") for word in words)
    assert not any(word.startswith("--start=") for word in words) and words[words.index("--engine") + 1]
    seen = drawn(panel)
    assert "25 % · 90 s left" in seen.texts() and "150 of 600 steps" in seen.texts() and "latte3d.stop_refining" in seen.of("operator")
    with pytest.raises(RuntimeError, match="is being refined: one at a time"):
        bpy.ops.latte3d.refine()
    before = (item.data.name, [one.name for one in bpy.data.objects])
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    assert state.fault is None and [one.name for one in bpy.data.objects] == ["My Cube"] == before[1]
    found = addon("scene.origin").of(item)
    assert found.planes and not found.plain and found.seed == 7 and tuple(item.location) == (1, 2, 3)
    assert "planes: condition, geometry, height_m, texture" in found.notes
    assert not drawn(panel) and "Made from a Prompt, Refined" in drawn(addon("panels.main").draw_object).texts()
    history = addon("kept").history()
    history.finish()
    entry = history.get(item.data["latte3d_key"])
    assert entry.shaped == "refined" and "refined" in addon("panels.history").facts_of(entry)
    bpy.context.scene.latte3d.detail = "draft"
    assert bpy.ops.latte3d.regenerate() == {"FINISHED"}  # without a prior
    again = addon("scene.origin").of(item)
    assert again.planes == found.planes and again.detail == "draft" and again.notes[-1].startswith("planes")
    assert bpy.ops.latte3d.more_like_this() == {"FINISHED"}
    assert not addon("scene.origin").of(bpy.context.view_layer.objects.active).planes, "others of its kind are made anew"


def test_what_cannot_be_placed_yet_is_not_forgotten(addon, stand_in, drawn):
    """The engine is done and the artist in another mode, when another file is opened: there it can be placed."""
    made(addon)
    bpy.ops.latte3d.refine()
    (stand_in / "go").touch()
    session, refining = addon("session"), addon("refining")
    until(addon, lambda state: session.SESSION.to_place or (state.job and state.job.over), place=False)
    for _ in range(3):
        session.collect()
        refining.step()
    assert session.SESSION.to_place and refining.STATE.job, "it is being placed, as far as the panel knows"
    bpy.ops.wm.read_homefile(use_empty=True)
    refining.step()
    assert not refining.STATE.job and "latte3d.place_refined" in drawn(addon("panels.refine").draw_refining).of("operator")
    assert bpy.ops.latte3d.place_refined() == {"FINISHED"}
    until(addon, lambda state: state.work is None)
    assert bpy.data.objects[0]["latte3d_planes"]


def test_one_thing_at_a_time_for_all_cores(addon, stand_in, package, tmp_path):
    """Prepare and Train say why they wait for Refine, as Refine does for them."""
    made(addon)
    bpy.context.preferences.addons[package].preferences.library_folder = str(tmp_path)
    bpy.ops.latte3d.refine()
    until(addon, lambda state: state.work.picture)
    for start in (bpy.ops.latte3d.prepare_library, bpy.ops.latte3d.train, bpy.ops.latte3d.resume_work, bpy.ops.latte3d.work_anyway):
        with pytest.raises(RuntimeError, match="“a red cube” is being refined: one at a time"):
            start()
    bpy.ops.latte3d.stop_refining()
    until(addon, lambda state: state.work.over)
    assert bpy.ops.latte3d.train.poll()
    bpy.ops.latte3d.train()
    with pytest.raises(RuntimeError, match="Training is running"):
        bpy.ops.latte3d.resume_refining()
    addon("library_session").shutdown()
    bpy.context.preferences.addons[package].preferences.library_folder = ""


def test_an_open_question_stays_open(addon, stand_in):
    """What the artist has asked for stands, whatever comes of earlier work."""
    item = made(addon)
    bpy.ops.latte3d.refine()
    bpy.context.scene.latte3d.prompt = "a dragon"
    with pytest.raises(RuntimeError, match="is not one of the things"):
        bpy.ops.latte3d.generate()
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    assert item["latte3d_planes"] and addon("session").SESSION.question.prompt == "a dragon"


def test_a_look_that_fails_is_not_the_last(addon, stand_in, monkeypatch, drawn):
    item, refining = made(addon), addon("refining")
    bpy.ops.latte3d.refine()
    work = until(addon, lambda state: state.work.picture).work
    with monkeypatch.context() as broken:
        broken.setattr(type(work), "poll", lambda self: 1 / 0)
        pause = refining.TIMER.turn()
        assert pause and refining.TIMER.turn() == pause and "division by zero" in drawn(addon("panels.refine").draw_refining).texts()
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    assert item["latte3d_planes"] and refining.TIMER.turn() is None


def test_what_is_lost_by_dismissing_is_said(addon, stand_in):
    made(addon)
    bpy.ops.latte3d.refine()
    said = addon("operators.refine").LATTE3D_OT_dismiss_refining.description
    bpy.ops.latte3d.stop_refining()
    until(addon, lambda state: state.work.over)
    assert "goes on from there" in said(bpy.context, None)
    bpy.ops.latte3d.resume_refining()
    bpy.ops.wm.read_homefile(use_empty=True)
    (stand_in / "go").touch()
    until(addon, lambda state: state.work.finished)
    assert "begins anew" in said(bpy.context, None) and "goes on" not in said(bpy.context, None)


def test_undo_brings_the_object_back(addon, stand_in):
    item = made(addon)
    bpy.ops.ed.undo_push(message="made")
    bpy.ops.latte3d.refine()
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    assert item["latte3d_planes"]
    bpy.ops.ed.undo()
    (item,) = bpy.data.objects
    assert "latte3d_planes" not in item and item["latte3d_prompt"] == "a red cube"
    bpy.ops.ed.redo()
    assert bpy.data.objects[0]["latte3d_planes"]


def test_what_shaped_it_goes_with_it(addon, stand_in):
    guide = addon("client.guide").Guide(blend=("a blue ball", 0.25))
    session = addon("session")
    style = [0.5, -1.0, 0.25, 2.0, -0.75, 1.0, 0.0, 1.5]
    job = session.submit(session.at_cursor(bpy.context.scene), ["a red cube"], [7], {"detail": "draft"}, guide=guide, styles=[style])
    (result,) = session.run_now(job)
    session.SESSION.to_place.clear()
    bpy.ops.latte3d.place_result(result=result.number)
    item = bpy.context.view_layer.objects.active
    bpy.ops.latte3d.refine(steps=5, shape=False)
    until(addon, lambda state: state.work.picture)
    start = Path(next(word for word in words_of(stand_in) if word.startswith("--start=")).removeprefix("--start="))
    with open(start, "rb") as file:
        assert addon("client.protocol").read(file) == ({"blend": ["a blue ball", 0.25], "style": style}, {})
    assert not any(word.startswith("--multiview=") for word in words_of(stand_in)), "the texture alone"
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    found = addon("scene.origin").of(item)
    assert found.blend == ("a blue ball", 0.25) and found.style == style and found.planes and found.detail == "draft"
    (stand_in / "go").unlink()
    bpy.ops.latte3d.refine(steps=5)  # once more: it goes on from its planes
    until(addon, lambda state: state.work.picture)
    with open(next(word for word in words_of(stand_in) if word.startswith("--start=")).removeprefix("--start="), "rb") as file:
        assert set(addon("client.protocol").read(file)[1]) == set(SIZES)


def test_stopped_it_is_found_again_and_resumed(addon, stand_in, drawn):
    item, refining = made(addon), addon("refining")
    bpy.ops.latte3d.refine(steps=300)
    until(addon, lambda state: state.work.picture)
    assert bpy.ops.latte3d.stop_refining() == {"FINISHED"}
    state = until(addon, lambda state: state.work.over)
    assert not state.work.fault and not item.get("latte3d_planes")
    refining.STATE.__init__()  # as in another Blender
    state = until(addon, lambda state: state.attached)
    seen = drawn(addon("panels.refine").draw_refining)
    assert "It was stopped" in seen.texts() and "latte3d.resume_refining" in seen.of("operator")
    assert bpy.ops.latte3d.resume_refining() == {"FINISHED"}
    until(addon, lambda state: state.work.picture)
    assert "--steps=300" in words_of(stand_in)
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    assert item["latte3d_planes"]
    refining.STATE.__init__()
    assert until(addon, lambda state: state.attached).work is None, "what is placed is not offered again"


@pytest.mark.parametrize("keep", [True, False])
def test_it_ends_with_blender_unless_it_shall_go_on(addon, chosen, stand_in, keep):
    chosen.keep_training = keep
    made(addon)
    bpy.ops.latte3d.refine()
    work = until(addon, lambda state: state.work.picture).work
    addon("refining").shutdown()
    if keep:
        time.sleep(0.5)
        assert work.job.running and not work.job.cancelled
        work.job.cancel()
    until(addon, lambda state: state.work.over)
    assert work.job.status == 130


def test_an_object_that_is_deleted_meanwhile_stands_where_it_stood(addon, stand_in):
    item = made(addon)
    item.location = (4, 0, 0)
    bpy.context.view_layer.update()
    bpy.ops.latte3d.refine()
    bpy.data.objects.remove(item)
    other = made(addon, "a blue ball", 1)
    (stand_in / "go").touch()
    until(addon, lambda state: state.work is None)
    (refined,) = (one for one in bpy.data.objects if one != other)
    assert refined["latte3d_planes"] and tuple(refined.location) == (4, 0, 0)


def test_a_renamed_object_is_found_and_another_files_is_left_alone(addon, stand_in, drawn, tmp_path):
    item = made(addon)
    bpy.ops.latte3d.refine()
    item.name = "Something Else"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    (stand_in / "go").touch()
    state = until(addon, lambda state: state.work.over)
    assert not bpy.data.objects and not state.job, "another file"
    seen = drawn(addon("panels.refine").draw_refining)
    assert "It is refined" in seen.texts() and "latte3d.place_refined" in seen.of("operator")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "mine.blend"))
    assert bpy.ops.latte3d.place_refined() == {"FINISHED"}
    until(addon, lambda state: state.work is None)
    (item,) = bpy.data.objects
    assert item["latte3d_planes"]


def test_placed_in_a_file_without_it(addon, stand_in):
    made(addon)
    bpy.ops.latte3d.refine()
    bpy.ops.wm.read_homefile(use_empty=True)
    (stand_in / "go").touch()
    until(addon, lambda state: state.work.over)
    bpy.context.scene.cursor.location = (1, 1, 0)
    assert bpy.ops.latte3d.place_refined() == {"FINISHED"}
    until(addon, lambda state: state.work is None)
    assert tuple(bpy.data.objects[0].location) == (1, 1, 0) and bpy.data.objects[0]["latte3d_planes"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("error: There is no memory left. Close other programs.", "There is no memory left"),
        ("error: No module named 'diffusers'. Run it through build.py.", "core/requirements/train.txt"),
    ],
)
def test_what_fails_says_why_and_can_be_resumed(addon, stand_in, drawn, said, shown):
    item = made(addon)
    (stand_in / "fail").write_text(said)
    (stand_in / "go").touch()
    bpy.ops.latte3d.refine()
    until(addon, lambda state: state.work.over)
    seen = drawn(addon("panels.refine").draw_refining)
    assert shown in seen.texts() and {"latte3d.resume_refining", "wm.path_open"} <= set(seen.of("operator"))
    assert "latte3d_planes" not in item
    assert bpy.ops.latte3d.dismiss_refining() == {"FINISHED"} and not drawn(addon("panels.refine").draw_refining)


def test_planes_that_are_gone_are_a_sentence(addon, stand_in, drawn):
    item = made(addon)
    bpy.ops.latte3d.refine()
    (stand_in / "planes").write_bytes(b"\x40" + bytes(7) + b"torn")
    (stand_in / "go").touch()
    state = until(addon, lambda state: state.work.over)
    assert "gone or damaged" in str(state.fault) and "Refine it again" in drawn(addon("panels.refine").draw_refining).texts()
    bpy.ops.latte3d.dismiss_refining()
    planes_file(addon, stand_in / "planes")
    bpy.ops.latte3d.refine()
    until(addon, lambda state: state.work is None)
    history = addon("kept").history()
    history.finish()
    history.delete(item.data["latte3d_key"])
    with pytest.raises(RuntimeError, match="refined to are no longer in the history"):
        bpy.ops.latte3d.regenerate()


def test_an_engine_that_crashes_leaves_what_was_learnt(addon, chosen, stand_in, engine_of):
    item = made(addon)
    bpy.ops.latte3d.refine()
    engine_of("crash")
    (stand_in / "go").touch()
    state = until(addon, lambda state: state.work.over and not state.job and state.fault, 60.0)
    assert "latte3d_planes" not in item and state.work.finished
    engine_of()
    assert bpy.ops.latte3d.place_refined() == {"FINISHED"}
    assert state.job and not state.fault, "what went wrong before is over"
    until(addon, lambda state: state.work is None)
    assert item["latte3d_planes"]


def test_priors_are_looked_at(addon, chosen, stand_in, drawn, tmp_path):
    made(addon)
    refining = addon("refining")
    views, pictures, lonely = chosen.prior_multiview, chosen.prior_depth, prior(tmp_path / "lonely")
    for changes, said in (
        ({"prior_depth": str(tmp_path / "gone")}, "There is no folder"),
        ({"prior_depth": str(tmp_path)}, "holds no diffusion model"),
        ({"prior_depth": views}, "draws several views"),
        ({"prior_multiview": pictures}, "draws single pictures"),
        ({"prior_depth": lonely}, "has no ControlNet"),
        ({"prior_multiview": "", "prior_depth": "", "prior_controlnet": str(tmp_path)}, "config.json"),
    ):
        for name, value in ({"prior_multiview": views, "prior_depth": pictures, "prior_controlnet": ""} | changes).items():
            setattr(chosen, name, value)
        assert said in refining.STATE.wrong
        with pytest.raises(RuntimeError, match=said):
            bpy.ops.latte3d.refine()
    chosen.prior_multiview, chosen.prior_depth, chosen.prior_controlnet = views, pictures, ""
    assert not refining.STATE.wrong
    assert "latte3d.refine" in drawn(addon("panels.main").draw_object).of("operator")
    chosen.prior_multiview = chosen.prior_depth = ""
    assert "latte3d.refine" not in drawn(addon("panels.main").draw_object).of("operator")
    with pytest.raises(RuntimeError, match="Name a diffusion prior in the add-on's preferences first"):
        bpy.ops.latte3d.refine()


def test_folders_are_few(addon, stand_in):
    made(addon)
    for steps in range(1, 12):
        bpy.ops.latte3d.refine(steps=steps)
        addon("refining").STATE.work.job.cancel()
        until(addon, lambda state: state.work.over)
    assert len(list((addon("library_session").work_folder("refine")).iterdir())) == addon("refining").MOST


# With the real command ------------------------------------------------------------------------------------------------------------------

MAKE = """
import sys
from pathlib import Path
import torch
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.networks.storage import ModelCard, save_generator
from tests.core.guidance import tiny
home = Path(sys.argv[1])
torch.manual_seed(3)
generator = Generator(PRESETS["tiny"])
with torch.no_grad():
    for parameter in generator.parameters():
        parameter += 0.03 * torch.randn_like(parameter)
save_generator(generator, ModelCard("tiny", ("rock",)), home / "tiny")
tiny.prior(home / "views", camera=True)
"""


@pytest.mark.slow
def test_with_the_real_command_and_a_tiny_prior(addon, package, tmp_path, monkeypatch):
    if not ENGINE.exists() or subprocess.run([ENGINE, "-c", "import diffusers"], capture_output=True).returncode:
        pytest.skip("this checkout has no engine that can train")
    subprocess.run([ENGINE, "-c", MAKE, tmp_path], cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, check=True)
    refining, library, chosen = addon("refining"), addon("library_session"), bpy.context.preferences.addons[package].preferences
    chosen.engine_python, chosen.model_folder, chosen.prior_multiview = str(ENGINE), str(tmp_path), str(tmp_path / "views")
    monkeypatch.setattr(library, "work_folder", lambda name: tmp_path / "work" / name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = refining.RefineWish.words
    few = ["--size=16", "--rays-coarse=8", "--rays-fine=4"]
    monkeypatch.setattr(refining.RefineWish, "words", lambda self, folder, model, *more: words(self, folder, model, *more, *few))
    bpy.context.scene.latte3d.detail, bpy.context.scene.latte3d.model = "draft", "tiny"
    try:
        item = made(addon, "a red rock", 5)
        before = np.array([vertex.co for vertex in item.data.vertices])
        assert bpy.ops.latte3d.refine(steps=4) == {"FINISHED"}
        state = until(addon, lambda state: state.work is None or state.work.fault or state.fault, 300.0)
        assert not state.work and not state.fault, (state.work and state.work.fault, state.fault)
        found = addon("scene.origin").of(item)
        assert found.planes and (found.prompt, found.seed, found.model) == ("a red rock", 5, "tiny")
        after = np.array([vertex.co for vertex in item.data.vertices])
        assert before.shape != after.shape or not np.array_equal(before, after), "its shape has learnt"
        key = item.data["latte3d_key"]
        shutil.rmtree(tmp_path / "views")
        assert bpy.ops.latte3d.regenerate() == {"FINISHED"} and item.data["latte3d_key"] == key, "the same again, without the prior"
        assert len(item.data.vertices) == len(after)
    finally:
        refining.shutdown()
        refining.STATE.__init__()
        chosen.prior_multiview = ""
