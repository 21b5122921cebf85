# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling a scene from the panel, with an engine that makes boxes: the recipe on both sides, preview, populate, cancel, resume, convert."""

import contextlib
import gc
import json
import time
import weakref
from types import SimpleNamespace

import bpy
import pytest

from tests.blender.conftest import ROOT
from tests.blender.populate.scenes import prism, terrain

YARD = {
    "name": "Yard",
    "about": "A note",
    "target": ["Terrain"],
    "seed": 2,
    "quality": "draft",
    "cap": 90,
    "layers": [
        {
            "name": "Cubes",
            "things": [{"prompt": "a {red|blue} cube", "variants": 2, "share": 3}, {"object": "post", "count": 5, "height": [0.4, 0.5]}],
            "count": 30,
            "height": [0.3, 0.5],
            "turn": [-45, 45],
            "tint": 0.2,
            "masks": [
                {"kind": "slope", "range": [0, 40], "falloff": 5},
                {"kind": "grid", "range": [0, 0.8], "spacing": [2, 0]},
                {"kind": "noise", "size": 3, "cover": 0.9, "seed": 4, "strength": 0.5},
            ],
        },
        {
            "name": "Hats",
            "things": ["a green cube"],
            "each": 0.2,
            "height": 0.1,
            "on": "Cubes",
            "face": "Cubes",
            "clumps": {"count": 9, "radius": 4},
            "masks": [{"kind": "layer", "layer": "Cubes", "range": [None, 3], "invert": True, "strength": 0.1}],
        },
    ],
}
RECIPES = [YARD, json.loads((ROOT / "docs" / "examples" / "hillside.json").read_text())]
RECIPES += [json.loads(path.read_text()) for path in sorted((ROOT / "latte3d_blender" / "populate" / "presets").glob("*.json"))]


@pytest.fixture
def yard(addon, engine_of, tmp_path, monkeypatch):
    """A terrain, a post and the recipe in the panel; `yard.objects()` counts what stands."""
    terrain(size=20, cells=16, height=0.5)
    bpy.context.scene.collection.objects.link(prism("post", 8, 0.05, 0.5))
    bpy.context.view_layer.update()
    populating = addon("population_session")
    populating.STATE.__init__()
    monkeypatch.setattr(populating.library_session, "work_folder", lambda name: tmp_path / "work" / name)
    engine_of()
    scene = bpy.context.scene
    fill = populating.form_of(scene).fill
    fill(populating.of(scene), YARD)

    def objects() -> int:
        bpy.context.view_layer.update()
        return sum(one.is_instance for one in bpy.context.evaluated_depsgraph_get().object_instances)

    return SimpleNamespace(state=populating.STATE, module=populating, wanted=populating.of(scene), objects=objects, scene=scene)


@pytest.mark.parametrize("value", RECIPES, ids=lambda value: value["name"])
@pytest.mark.parametrize("unit_m", [1.0, 0.01])
def test_a_recipe_survives_the_panel(addon, value, unit_m):
    recipe, form = addon("populate.recipe"), addon("populate.form").Form(unit_m)
    made = bpy.context.scene.latte3d_population
    form.fill(made, value)
    assert recipe.read(form.text(made)) == recipe.read(json.dumps(value))


def test_preview_then_populate(yard, addon, drawn):
    assert bpy.ops.latte3d.preview_population() == {"FINISHED"}
    assert yard.state.result.counts == {"Cubes": 30, "Hats": 6} and yard.state.result.preview and yard.objects() == 36
    yard.module.look(yard.scene)
    assert (yard.state.figures.objects, yard.state.figures.kinds, yard.state.figures.missing) == (36, 5, 5)
    panels = addon("panels.populate")
    seen = drawn(panels.draw_panel, yard.wanted, unfold=True)
    assert "36 objects would stand" in seen.texts() and "5 to be made: about" in seen.texts()
    assert {"latte3d.populate", "latte3d.preview_population", "latte3d.reroll_layer"} <= set(seen.of("operator"))
    assert bpy.ops.latte3d.populate() == {"FINISHED"}
    result = yard.state.result
    assert result.counts == {"Cubes": 30, "Hats": 6} and result.overlaps == 0 and not result.failed and yard.objects() == 36
    assert not [one for one in bpy.data.collections if "latte3d_preview" in one], "the preview is gone"
    assert yard.wanted.collection.name == "Yard" and json.loads(yard.wanted.collection["latte3d_recipe"])["about"] == "A note"
    hats = next(item for item in yard.wanted.collection.objects if item.name == "Hats")
    lowest = min(vertex.co.z for vertex in hats.data.vertices)
    assert lowest > -0.5 + 0.25, "they stand on cubes, not on the ground"


def test_another_recipe_starts_without_the_counts_of_the_one_before(yard, addon, drawn):
    """Layers of both are called alike: a forest's trees were said to be as many as the market's."""
    other = json.loads(json.dumps(YARD))
    other["layers"] = [{"name": "Cubes", "things": ["a red cube"], "density": 0.5, "height": 0.4}]
    yard.module.form_of(yard.scene).fill(yard.wanted, other)
    assert bpy.ops.latte3d.preview_population() == {"FINISHED"}
    yard.module.look(yard.scene)
    assert yard.state.result and yard.state.figures.objects and not yard.state.figures.open
    assert bpy.ops.latte3d.use_recipe(preset="forest_floor.json") == {"FINISHED"}
    addon("operators.populate").use(bpy.context, json.dumps(other), "other")
    yard.module.look(yard.scene)
    assert yard.state.result is None and yard.state.figures.open and not yard.state.figures.objects
    panels = addon("panels.populate")
    texts = drawn(panels.draw_panel, yard.wanted).texts()
    assert "Objects by density" in texts and "0 objects" not in texts and "would stand" not in texts


def test_what_a_failed_look_leaves_is_taken_back(yard, monkeypatch):
    """What was half built for it would stay in the file, and a thread would go on."""
    ended = []
    yard.state.work = SimpleNamespace(over=False, cancel=lambda: ended.append(True))
    monkeypatch.setattr(yard.module, "_go_on", lambda work: {}["nothing"])
    assert yard.module.TIMER.turn() is None and ended and yard.state.work is None and "KeyError" in yard.state.fault.cause


@pytest.mark.parametrize("how", ["in a sentence", "by a mistake of ours", "as it is placed", "with its scene", "cancelled", "well"])
def test_however_it_ends_it_lets_its_grounds_go(yard, addon, monkeypatch, how):
    """At once: nobody knows when Python looks for what is in circles."""
    module, run = yard.module, addon("populate.run")
    errors = {"in a sentence": ValueError("No room."), "by a mistake of ours": KeyError("mistake")}

    def lay_out(recipe, options, shapes, grounds, *rest, **named):
        held = [*grounds.values()]  # as the layout's own frames hold them
        raise errors[how] if held else AssertionError

    def place(work):
        if how == "as it is placed":
            raise RuntimeError("Cannot be placed.")
        bpy.ops.latte3d.place_population()

    if how in errors:
        monkeypatch.setattr(run.layout, "lay_out", lay_out)
    module.begin(yard.scene, module.wanted(yard.scene), make=False)
    work = yard.state.work
    grounds = [weakref.ref(ground) for ground in work.chosen.grounds.values()] + [weakref.ref(work.chosen.scenery)]
    gc.collect()
    gc.disable()
    try:
        if how == "with its scene":
            work.step()
            work.scene = -1
            module._go_on(work)
        elif how == "cancelled":
            module.cancel()
        else:
            with contextlib.nullcontext() if how in ("in a sentence", "well") else pytest.raises((KeyError, RuntimeError)):
                module.run_now(place)
            errors.clear()
        end = time.monotonic() + 30
        while any(ref() for ref in grounds) and time.monotonic() < end:  # until the thread has seen it
            time.sleep(0.01)
        assert work.over and not module.busy() and [ref() for ref in grounds] == [None] * len(grounds)
        assert (yard.objects() == 5) == (how == "well") and bool(yard.state.fault) == (how in ("in a sentence", "with its scene"))
    finally:
        gc.enable()


def test_headless_is_the_same(yard, addon):
    bpy.ops.latte3d.populate()
    work = yard.state.work
    run, job = addon("populate.run"), addon("populate.job")
    made = {item.name: [tuple(vertex.co) for vertex in item.data.vertices] for item in yard.wanted.collection.objects}
    bpy.ops.latte3d.clear_population()
    outcome = run.put(run.plan(work.chosen.recipe), job.Job(work.kept.folder))
    assert made == {item.name: [tuple(vertex.co) for vertex in item.data.vertices] for item in outcome.collection.objects}


def test_edit_reroll_reseed_convert_clear(yard):
    bpy.ops.latte3d.populate()
    places = lambda: {one.name: [tuple(v.co) for v in one.data.vertices] for one in yard.wanted.collection.objects}  # noqa: E731
    first, blocks = places(), (len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.collections))
    yard.wanted.layer = 1
    assert bpy.ops.latte3d.reroll_layer() == {"FINISHED"} and yard.wanted.layers["Hats"].seed == 1
    second = places()
    assert second["Cubes"] == first["Cubes"] and second["Hats"] != first["Hats"]
    assert yard.state.work.chosen.missing == [], "nothing is made twice"
    assert (len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.collections)) == blocks, "the old one is gone"
    assert bpy.ops.latte3d.reseed_population() == {"FINISHED"} and yard.wanted.seed == 3 and places()["Cubes"] != first["Cubes"]
    assert bpy.ops.latte3d.convert_population() == {"FINISHED"} and yard.objects() == 0
    assert sum(len(one.objects) for one in yard.wanted.collection.children if "latte3d_layer" in one) == 36
    assert bpy.ops.latte3d.convert_population() == {"FINISHED"} and yard.objects() == 36
    yard.wanted.layers["Hats"].amount = "COUNT"
    yard.wanted.layers["Hats"].count = 3
    assert bpy.ops.latte3d.populate() == {"FINISHED"} and yard.objects() == 33
    assert bpy.ops.latte3d.clear_population() == {"FINISHED"} and yard.objects() == 0 and yard.wanted.collection is None
    assert {item.name for item in bpy.data.objects} == {"Terrain", "post"}


def test_cancelled_and_resumed(yard, engine_of, drawn, addon):
    """The timer's way, by hand: Cancel keeps what is finished, and the next one goes on with it."""
    engine_of("slow")
    module, seen = yard.module, []
    found = module.wanted(yard.scene)
    module.begin(yard.scene, found)
    work = yard.state.work
    while work.done < 2:
        work.step()
        seen.append(work.done)
        time.sleep(0.01)
    module.cancel()
    assert work.stopped and len(seen) > 10 and yard.objects() == 0 and not yard.wanted.collection
    module.look(yard.scene)
    figures = yard.state.figures
    assert 2 <= figures.kept <= 4 and figures.missing == 5 - figures.kept
    seen = drawn(addon("panels.populate").draw_buttons, yard.wanted)
    assert seen.of("operator") == ["latte3d.preview_population", "latte3d.populate", "latte3d.populate"]
    state = json.loads((work.kept.folder / "job.json").read_text())
    assert state["made"] == figures.kept and state["wanted"] == 5
    assert bpy.ops.latte3d.populate(make=False) == {"FINISHED"} and yard.objects() > 25, "with what is made"
    times = {path.name: path.stat().st_mtime_ns for path in work.kept.folder.glob("*.latte3d")}
    engine_of()
    assert bpy.ops.latte3d.populate() == {"FINISHED"} and yard.objects() == 36
    assert all((work.kept.folder / name).stat().st_mtime_ns == when for name, when in times.items())
    bpy.ops.wm.save_as_mainfile(filepath=str(work.kept.folder.parent.parent / "saved.blend"))
    assert not work.kept.folder.exists(), "the file has it now"


def test_an_undo_in_between_builds_again(yard):
    module = yard.module
    module.begin(yard.scene, module.wanted(yard.scene))
    work, undone = yard.state.work, False
    while not work.over:
        work.step()
        if work.stage == "Placing" and not undone:
            undone, work.stale = True, True
        if work.ready is not None:
            bpy.ops.latte3d.place_population()
        time.sleep(0.005)
    assert undone and not work.fault and yard.objects() == 36


@pytest.mark.parametrize("word", ["impossible", "explosive"])
def test_what_fails_is_told_and_the_rest_stands(yard, word):
    """Also where it takes the engine down."""
    yard.wanted.layers[0].things[0].prompt = f"a {{red|{word}}} cube"
    assert bpy.ops.latte3d.populate() == {"FINISHED"}
    assert len(yard.state.result.failed) == 2 and word in yard.state.result.failed[0] and yard.objects() == 36


def test_an_engine_that_does_not_start(yard, engine_of):
    engine_of("load")
    with pytest.raises(RuntimeError, match="There is no model"):
        for layer in yard.wanted.layers:
            for number in reversed(range(len(layer.things))):
                if layer.things[number].kind == "OBJECT":
                    layer.things.remove(number)
        bpy.ops.latte3d.populate()
    assert yard.objects() == 0 and {item.name for item in bpy.data.objects} == {"Terrain", "post"}


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda wanted: wanted.targets.clear(), "“target” is missing"),
        (lambda wanted: setattr(wanted.layers[0].things[0], "prompt", "a {red"), "“Cubes”, thing 1, prompt: “a {red” has a brace"),
        (lambda wanted: setattr(wanted.layers[1].masks[0], "source", "Nope"), "“Hats”, mask 1, layer: there is no layer “Nope” before"),
        (lambda wanted: (setattr(wanted, "use_cap", False), setattr(wanted.layers[0], "count", 200_000)), "240,000 objects"),
    ],
)
def test_refusals(yard, change, told):
    change(yard.wanted)
    before = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match=told.replace("(", r"\(").replace("{", r"\{")):
        bpy.ops.latte3d.populate()
    yard.module.look(yard.scene)
    assert len(bpy.data.objects) == before and (yard.state.wrong or told == "240,000 objects")


def test_lists(yard):
    wanted = yard.wanted

    def change(what: str, action: str, **more) -> None:
        assert bpy.ops.latte3d.recipe_list(what=what, action=action, **more) == {"FINISHED"}

    change("LAYERS", "DUPLICATE")
    assert [layer.name for layer in wanted.layers] == ["Cubes", "Cubes 2", "Hats"] and wanted.layer == 1
    assert len(wanted.layers[1].masks) == 3 and wanted.layers[1].things[1].object.name == "post"
    wanted.layers[0].name = "Boxes"
    assert wanted.layers[2].on == "Boxes" == wanted.layers[2].masks[0].source, "references follow a new name"
    change("LAYERS", "DOWN")
    change("MASKS", "ADD", kind="layer")
    assert wanted.layers[2].masks[-1].source == "Hats" and [layer.name for layer in wanted.layers] == ["Boxes", "Hats", "Cubes 2"]
    change("THINGS", "ADD", kind="COLLECTION")
    change("TARGETS", "REMOVE", index=0)
    change("LAYERS", "REMOVE")
    assert len(wanted.layers) == 2 and not len(wanted.targets) and wanted.layer == 1


def test_recipes_as_files(yard, tmp_path):
    path = tmp_path / "yard.json"
    assert bpy.ops.latte3d.save_recipe(filepath=str(path)) == {"FINISHED"}
    assert json.loads(path.read_text())["layers"][1]["on"] == "Cubes"
    yard.wanted.layers.clear()
    assert bpy.ops.latte3d.load_recipe(filepath=str(path)) == {"FINISHED"} and len(yard.wanted.layers) == 2
    path.write_text('{"target": "Elsewhere",\n "layers": [{"things": ["a cube"], "cont": 3}]}')
    with pytest.raises(RuntimeError, match="line 2, column 36"):
        bpy.ops.latte3d.load_recipe(filepath=str(path))
    path.write_text('{"target": "Elsewhere", "layers": [{"things": ["a cube"], "count": 3}]}')
    bpy.ops.latte3d.load_recipe(filepath=str(path))
    assert [one.object.name for one in yard.wanted.targets] == ["Terrain"], "the ground that is there stays"
