# SPDX-License-Identifier: GPL-3.0-or-later
"""`generate --prompts` from end to end, with an engine that makes boxes: what Blender finds in the library, and what ends a run."""

import json
import os

import bpy
import numpy as np
import pytest

from latte3d_blender import catalogues, commands, files
from latte3d_blender.bulk import shelf
from latte3d_blender.client import batch

ROWS = "prompt,name,tags,catalogue,height,licence\na red cube,Box,\"red, toy\",Toys/Red,0.5,CC0-1.0\na die,,,,,\na cube with a lid,,,,,\n"


@pytest.fixture
def make(fake_engine, tmp_path, capfd):
    """`make(rows, "--shard", "1/2", fault="oom", out="lib")` → (exit status, last line, what went to stderr)."""

    def run(rows=ROWS, *more, fault: str = "", out="lib") -> tuple[int, dict, str]:
        (tmp_path / "list.csv").write_text(rows)
        usual = ["--prompts", tmp_path / "list.csv", "--out", tmp_path / out, "--detail", "draft", "--json", "--engine", fake_engine(fault)]
        status = commands.main(["generate", *map(str, [*usual, *more])])
        said = capfd.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines() if line.startswith("{")]
        return status, lines[-1] if lines else {}, said.err

    return run


def assets(path) -> dict:
    """The marked objects of a file, by name, as Blender's Asset Browser finds them: objects that are assets, and only these."""
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(path), assets_only=True) as (there, here):
        here.objects = there.objects
    return {item.name: item for item in sorted(here.objects, key=lambda item: item.name)}


def library(folder) -> list:
    return sorted(folder.rglob("*.blend"))


def rows(count: int) -> str:
    return "prompt\n" + "".join(f"a number {i} cube\n" for i in range(count))


def test_every_object_is_an_asset_with_all_that_it_needs(make, tmp_path):
    status, last, said = make(ROWS, "--author", "Ada")
    assert (status, last["made"], last["there"], last["failed"]) == (0, 3, 0, []), said
    paths = library(tmp_path / "lib")
    assert len(paths) == 3 and (tmp_path / "lib" / "toys" / "red") in [path.parent for path in paths]
    assert not (tmp_path / "lib" / ".generate").exists(), "what is in the library is kept nowhere else"
    (box,) = (found["Box"] for path in paths if "Box" in (found := assets(path)))
    about = box.asset_data
    numbers = catalogues.ensure(tmp_path / "lib", [])
    assert [tag.name for tag in about.tags] == ["red", "toy"] and about.catalog_id == numbers["Toys/Red"]
    assert (about.description, about.license, about.author) == ("a red cube", "CC0-1.0", "Ada")
    assert abs(box.dimensions.z - 0.5) < 1e-5 and box["latte3d_prompt"] == "a red cube"
    pixels = np.array(box.preview.image_pixels_float).reshape(256, 256, 4)
    red, clear = pixels[128, 128], pixels[2, 2]
    assert red[3] == 1 and red[0] > 2 * red[1] and clear[3] == 0
    bpy.ops.wm.open_mainfile(filepath=str(paths[0]))
    assert len(bpy.context.scene.objects) == 1, "who opens the file sees the object"


def test_one_file_takes_in_what_is_new(make, tmp_path):
    assert make(ROWS, out="all.blend")[1]["made"] == 3
    made = assets(tmp_path / "all.blend")
    assert list(made) == ["Box", "Cube with a lid", "Die"] and (tmp_path / catalogues.FILE).exists()
    status, last, _ = make(ROWS + "a ring,,,,,\n", out="all.blend")
    assert (status, last["made"], last["there"]) == (0, 1, 3) and len(assets(tmp_path / "all.blend")) == 4
    assert not list(tmp_path.glob(".all.generate")) and make(ROWS, out="all.blend", fault="load")[0] == 0


def test_shards_fill_one_library(make, tmp_path):
    for number in (1, 2):
        status, last, _ = make(rows(5), "--shard", f"{number}/2")
        assert status == 0 and last["made"] == (3, 2)[number - 1]
    assert len(library(tmp_path / "lib")) == 5 and make(rows(5), fault="load")[1]["there"] == 5
    for number in (1, 2):
        assert make(rows(3), "--shard", f"{number}/2", out="one.blend")[0] == 0 and not (tmp_path / "one.blend").exists()
    status, last, _ = make(rows(3), out="one.blend", fault="load")
    assert (status, last["made"]) == (0, 3) and len(assets(tmp_path / "one.blend")) == 3


def test_what_fails_is_listed_and_the_rest_is_made(make, tmp_path):
    status, last, said = make("prompt\na red cube\nan impossible cube\nan explosive cube\na die\n")
    assert status == 1 and last["made"] == 2 and [one["prompt"] for one in last["failed"]] == ["an impossible cube", "an explosive cube"]
    assert "There is no an impossible cube" in said and len(library(tmp_path / "lib")) == 2
    state = json.loads((tmp_path / "lib" / ".generate" / "job.json").read_text())
    assert (state["made"], state["wanted"], len(state["failed"])) == (2, 4, 2)


def test_stopped_and_resumed_each_is_made_once(make, tmp_path, monkeypatch):
    """Once as Ctrl-C does, once as a power cut does: after a message was kept, before its file was written."""
    makes, asked = batch.make, []

    def stopping(launch, wanted, *more, **named):
        for number, (wish, outcome) in enumerate(makes(launch, wanted, *more, **named)):
            asked.append(wish.prompt)
            yield wish, outcome
            if number == 3 and len(asked) < 8:
                raise KeyboardInterrupt

    monkeypatch.setattr(batch, "make", stopping)
    status, last, said = make(rows(12))
    assert status == 130 and last["made"] == 4 == len(library(tmp_path / "lib")) and "goes on with the rest" in said
    monkeypatch.setattr(shelf.Shelf, "file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert make(rows(12))[0] == 130 and len(library(tmp_path / "lib")) == 4
    monkeypatch.undo()
    monkeypatch.setattr(batch, "make", stopping)
    before = {path: path.stat().st_mtime_ns for path in library(tmp_path / "lib")}
    status, last, _ = make(rows(12))
    assert (status, last["made"], last["there"]) == (0, 8, 4)
    assert sorted(asked) == sorted(f"a number {i} cube" for i in range(12)) and len(library(tmp_path / "lib")) == 12
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_what_a_cluster_makes_is_filed_as_it_comes(make, tmp_path):
    """The cluster's command with one worker in place of Ray: what it leaves and says, and its end in the middle."""
    rows = "prompt\na red cube\nan impossible cube\na die\n"
    status, last, said = make(rows + "an explosive cube\na ring\n", "--ray", "somewhere:6379")
    assert (status, last["made"], last["device"]) == (1, 2, "") and "goes on with the rest" in said
    status, last, said = make(rows + "a ring\n", "--ray", "somewhere:6379")
    assert (status, last["made"], last["there"], last["device"], last["workers_lost"]) == (1, 1, 2, "cpu", 0), said
    assert "There is no an impossible cube" in said and [one["prompt"] for one in last["failed"]] == ["an impossible cube"]
    paths = library(tmp_path / "lib")
    assert len(paths) == 3 and [item["latte3d_model"] for path in paths for item in assets(path).values()] == ["fake"] * 3


def test_a_full_disk_is_told_and_keeps_what_is_finished(make, small_disk, tmp_path):
    folder = small_disk(400)
    status, last, said = make(rows(40), out=folder / "lib")
    assert status == 1 and "cannot be written" in said and ("full" in said or "No space" in said) and 0 < last["made"] < 40
    assert all(files.whole_blend(path) for path in library(folder)) and len(library(folder)) == last["made"]
    assert not [name for _, _, names in os.walk(folder) for name in names if "partial" in name]


@pytest.mark.parametrize(
    "content, more, told",
    [
        ("prompt,seed\na cube,x\n,1\n", [], ":2: the seed is “x”"),
        ("prompt\na cube\n", ["--texture-size", "512"], "--texture-size is not for lists"),
        ("prompt\na cube\n", ["--listing"], "run there: blender -c asset_listing generate"),
        ("prompt\na cube\n", ["--model", "/nowhere/at-all"], "The model is missing"),
    ],
)
def test_refusals_make_nothing(make, tmp_path, content, more, told):
    status, last, said = make(content, *more)
    assert status == 2 and told in said and last == {} and not library(tmp_path)


def test_prompts_or_a_list(capfd):
    for arguments in ([], ["a cube", "--prompts", "list.csv"]):
        assert commands.main(["generate", *arguments]) == 2 and "PROMPT" in capfd.readouterr().err


def test_names_that_can_be_sorted():
    prompts = {"the red Car.": "Red Car", "a 3D model of an old oak": "Old oak", "model railway": "Model railway", "a": "A", "nut!": "Nut"}
    assert {prompt: shelf.title(prompt) for prompt in prompts} == prompts


def test_catalogues_follow_the_things():
    groups = {"cake": "Food", "birthday cake": "Parties", "candle": "Lights"}
    found = [shelf.catalogue_of(text, groups) for text in ("a Birthday cake with candles", "two candles on a cake", "a pancake")]
    assert found == ["Parties", "Lights", ""]
