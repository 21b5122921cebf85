# SPDX-License-Identifier: GPL-3.0-or-later
"""`populate` from end to end, with an engine that makes boxes: what it writes, resumes, shares and refuses."""

import json

import bpy
import pytest

from latte3d_blender import commands
from latte3d_blender.populate import scatter
from tests.blender.populate.scenes import terrain

RECIPE = {
    "name": "Yard",
    "target": "Terrain",
    "seed": 2,
    "layers": [{"name": "Cubes", "things": [{"prompt": "a {red|blue} cube", "variants": 2}], "count": 40, "height": [0.3, 0.5]}],
}


@pytest.fixture
def fill(fake_engine, tmp_path, capfd):
    """`fill(recipe, "--yes", fault="oom")` → (exit status, last line, what went to stderr)."""
    bpy.ops.wm.read_homefile(use_empty=True)
    terrain(size=20, cells=16, height=1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))

    def run(recipe=RECIPE, *more, fault: str = "", scene: str = "scene.blend") -> tuple[int, dict, str]:
        (tmp_path / "recipe.json").write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
        usual = [tmp_path / scene, "--recipe", tmp_path / "recipe.json", "--out", tmp_path / "out.blend", "--json"]
        status = commands.main(["populate", *map(str, [*usual, "--engine", fake_engine(fault), *more])])
        said = capfd.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines() if line.startswith("{")]
        return status, lines[-1] if lines else {}, said.err

    return run


def job_files(tmp_path) -> list:
    return sorted((tmp_path / "job").glob("*.latte3d"))


def test_fills_a_scene(fill, tmp_path):
    status, last, said = fill()
    assert (status, last["instances"], last["assets"], last["made"], last["overlaps"]) == (0, 40, 4, 4, 0), said
    assert last["failed"] == [] and last["seconds"] > 0 and len(last["layout_sha256"]) == 64
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    (made,) = scatter.populations()
    graph = bpy.context.evaluated_depsgraph_get()
    assert sum(one.is_instance for one in graph.object_instances) == 40 and json.loads(made["latte3d_recipe"]) == RECIPE
    heights = [one.matrix_world.to_scale().z * one.object.dimensions.z for one in graph.object_instances if one.is_instance]
    assert heights and not list(tmp_path.glob(".out.populate/*"))


def test_the_same_again_and_what_is_there_is_reused(fill, tmp_path):
    first = fill()[1]
    (tmp_path / "out.blend").rename(tmp_path / "filled.blend")
    again = fill()[1]
    assert again["layout_sha256"] == first["layout_sha256"]
    status, last, _ = fill(RECIPE | {"name": "More", "avoid": ["Yard"]}, scene="filled.blend")
    assert status == 0 and last["made"] == 0 and last["reused"] == 4


def test_shards_fill_one_job(fill, tmp_path):
    for number in (1, 2):
        status, last, _ = fill(RECIPE, "--job", tmp_path / "job", "--shard", f"{number}/2")
        assert status == 0 and last["made"] == 2 and len(job_files(tmp_path)) == 2 * number and not (tmp_path / "out.blend").exists()
    status, last, _ = fill(RECIPE, "--job", tmp_path / "job", fault="load")  # the engine is not needed any more
    assert (status, last["made"], last["instances"]) == (0, 0, 40)


def test_goes_on_after_a_crash_and_lists_what_failed(fill, tmp_path):
    recipe = json.loads(json.dumps(RECIPE).replace("red|blue", "red|impossible"))
    status, last, said = fill(recipe, "--job", tmp_path / "job")
    assert status == 1 and len(last["failed"]) == 2 and "There is no a impossible cube" in said
    assert last["instances"] == 40 and last["assets"] == 2 and len(job_files(tmp_path)) == 2, "what is kept serves the next run"
    job_files(tmp_path)[0].write_bytes(b"cut")
    status, last, _ = fill(recipe, "--job", tmp_path / "job")
    assert status == 1 and last["instances"] == 40


@pytest.mark.parametrize(
    "recipe, told",
    [
        ('{"target": "Terrain",\n "layers": [{"things": ["a cube"], "cont": 3}]}', "line 2, column 36: layers[0]: there is no “cont”"),
        (RECIPE | {"target": "Nowhere"}, "no object or collection “Nowhere”"),
        (RECIPE | {"layers": [{"things": ["a cube"], "density": 5000}]}, "would place"),
    ],
)
def test_refusals_leave_nothing(fill, tmp_path, recipe, told):
    status, last, said = fill(recipe)
    assert status == 2 and told in said and last == {} and not (tmp_path / "out.blend").exists()
