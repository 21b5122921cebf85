# SPDX-License-Identifier: GPL-3.0-or-later
"""From a folder of assets to prepared shapes: skipping, resuming, faults, the report, and reading it again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

pytest.importorskip("igl")

from core.errors import BadRequest, EngineError
from core.library import cli, suggest
from core.library import prepare as preparing
from core.library.folder import PreparedFolder
from core.library.looks import look_at, sample
from core.library.prepare import prepare, prepared_file
from core.library.shape import Settings, Shape, read_facts

ROOT = Path(__file__).resolve().parent.parent.parent
FAKE = [sys.executable, str(ROOT / "tests" / "fake_blender.py")]
SMALL = Settings(points=1024, surface=512, cloud=256, cells=16, picture=16)


@pytest.fixture
def library(tmp_path):
    """`library(a="box", b="crash")` writes a folder of such assets, with a prompt each."""

    def write(**assets: str) -> Path:
        (tmp_path / "library.toml").write_text('name = "Props"\nlicence = "CC0-1.0"\nunits = 0.5\n')
        rows = [f"a {name},{name}.glb,{'unseen' if name == 'last' else 'train'}" for name in assets]
        (tmp_path / "prompts.csv").write_text("\n".join(["prompt,shape,split", *rows]) + "\n")
        for name, kind in assets.items():
            (tmp_path / f"{name}.glb").write_text(f"{kind} {name}")
        return tmp_path

    return write


def run(folder: Path, workers: int = 1):
    """(result, events, names of the assets that Blender was asked for)"""
    asked, events = folder / "asked.txt", []
    asked.unlink(missing_ok=True)
    done = prepare(folder, FAKE, workers, events.append, SMALL)
    return done, events, asked.read_text().split() if asked.exists() else []


def bits(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for kind in ("shapes", "pictures") for file in (folder / ".prepared" / kind).iterdir()}


def test_every_asset_is_prepared_or_reported_and_nothing_is_done_twice(library):
    folder = library(a="box", b="reject", c="crash", d="box", last="box")
    done, events, asked = run(folder, workers=2)
    assert done.prepared == 3 and sorted(asked) == ["a.glb", "b.glb", "c.glb", "d.glb", "last.glb"]
    assert done.rejected == [("b.glb", "It has no size."), ("c.glb", "Blender crashed on it (exit status 7).")]
    assert events[-1]["done"] == events[-1]["total"] == 5 and events[-1]["eta_s"] == 0
    assert {"event", "stage", "done", "total", "eta_s"} <= set(events[1])
    before = bits(folder)
    again, _, asked = run(folder)
    assert asked == ["c.glb"] and again.rejected == done.rejected and bits(folder) == before  # a crash may have had other reasons
    (folder / "a.glb").write_text("box changed")
    (folder / "d.png").write_bytes(b"an image that was missing")
    assert run(folder)[2] == ["a.glb", "c.glb", "d.glb"]
    after = bits(folder)
    assert {name for name in after if after[name] != before[name]} == {prepared_file(folder, s).name for s in ("a.glb", "d.glb")}
    (folder / "prompts.csv").write_text("prompt,shape,split\na,a.glb,train\n")
    run(folder)
    assert set(bits(folder)) == {prepared_file(folder, "a.glb", ending).name for ending in (".safetensors", ".png")}


def test_what_was_made_before_leaves_were_cut_out_is_made_anew(library):
    folder = library(a="box", b="box")
    run(folder)
    shape = Shape.load(prepared_file(folder, "a.glb"))
    old = json.dumps(shape.facts | {"notes": ["The material 'leaf' is see-through; it is taken as solid."]})
    save_file(shape.arrays, prepared_file(folder, "a.glb"), {"facts": old})
    assert run(folder)[2] == ["a.glb"] and run(folder)[2] == []


def test_the_report_says_what_became_of_each(library):
    folder = library(a="box", b="reject")
    (folder / "prompts.csv").write_text("prompt,shape,split\na box,a.glb,train\nb,b.glb,train\n<c>,gone.glb,train\na,a.glb,tests\n")
    run(folder)
    report = json.loads((folder / ".prepared" / "report.json").read_text())
    rejected = {"b.glb": "It has no size.", "gone.glb": "There is no file gone.glb."}
    rejected |= {"prompts.csv:5": "The split is 'tests'; it is one of train, paraphrases, unseen."}
    assert report["rejected"] == [{"asset": asset, "reason": reason} for asset, reason in rejected.items()]
    (asset,) = report["assets"]
    assert (asset["asset"], asset["triangles"], asset["closed"], asset["prompts"]) == ("a.glb", 12, 1, ["a box"])
    assert asset["height_m"] == pytest.approx(1.0)
    page = (folder / ".prepared" / "report.html").read_text()
    assert asset["picture"] in page and "It has no size." in page and (folder / ".prepared" / asset["picture"]).is_file()


def test_a_prepared_folder_is_read(library):
    folder = library(a="box", b="reject", last="box")
    with pytest.raises(BadRequest, match="library prepare"):
        PreparedFolder.open(folder)
    run(folder)
    prepared = PreparedFolder.open(folder)
    assert prepared.shapes == ["a.glb", "last.glb"] and prepared.missing == ["b.glb"]
    assert [p.text for p in prepared.prompts("train")] == ["a a"] and [p.shape for p in prepared.prompts("unseen")] == ["last.glb"]
    assert prepared.height_m("a.glb") == pytest.approx(1.0)  # 2 units of half a metre
    shape = prepared.shape("a.glb")
    half = np.array((0.48, 0.3, 0.2))
    q = np.abs(shape.points) - half
    exact = np.linalg.norm(q.clip(0), axis=1) + q.max(1).clip(max=0)
    assert np.abs(shape.sdf - exact).max() < 1e-5 and shape.pairs == 192
    assert np.linalg.norm(shape.points[:192] - shape.points[192:384], axis=1).max() < 0.06
    assert np.abs(np.abs(shape.surface / half).max(1) - 1).max() < 1e-5 and shape.normal.shape == (512, 3)
    encoded = [1.055 * c ** (1 / 2.4) - 0.055 for c in (0.6, 0.05, 0.02)]
    assert np.abs(shape.look[:, :3] / 255 - encoded).max() < 0.02 and np.abs(shape.look[:, 3] / 255 - 0.5).max() < 0.02
    assert np.abs(shape.distance(np.zeros((1, 3))) + 0.2) < 0.01
    assert shape.cloud.shape == (256, 6) and shape.facts["shape"] == "a.glb"
    prepared_file(folder, "a.glb").write_bytes(b"broken")
    assert PreparedFolder.open(folder).missing == ["a.glb", "b.glb"]


def test_a_full_disk_stops_it_and_what_was_made_stays(library):
    folder = library(a="box", b="full", c="box")
    with pytest.raises(EngineError, match="The disk is full"):
        run(folder)
    assert read_facts(prepared_file(folder, "a.glb"))
    (folder / "b.glb").write_text("box b")
    done, _, asked = run(folder)
    assert done.prepared == 3 and "a.glb" not in asked


def test_a_blender_that_does_not_start_is_told_once(library):
    folder = library(a="box", b="box")
    for blender in (["/nowhere/blender"], [sys.executable, "-c", "raise SystemExit(1)"]):
        with pytest.raises(EngineError, match="does not start"):
            prepare(folder, blender, 2, lambda event: None, SMALL)
    assert "/nowhere/blender" in (folder / ".prepared" / "prepare.log").read_text()
    assert run(folder)[0].prepared == 2


def test_an_asset_that_takes_too_long_is_reported(library, monkeypatch):
    monkeypatch.setattr(preparing, "TIMEOUT_S", 20.0)
    folder = library(a="box")
    run(folder)
    (folder / "a.glb").write_text("hang")
    monkeypatch.setattr(preparing, "TIMEOUT_S", 1.0)
    assert run(folder)[0].rejected == [("a.glb", "It took longer than 1 seconds.")]


def test_a_library_that_cannot_be_read_is_refused_before_any_work(library):
    folder = library(a="box")
    (folder / "library.toml").write_text('front = "north"')
    with pytest.raises(BadRequest, match="north"):
        run(folder)
    assert not (folder / ".prepared").exists()


def test_a_second_run_in_the_same_folder_is_kept_out(library):
    folder = library(a="box")
    with preparing.only_one(folder / ".prepared"), pytest.raises(BadRequest, match="another process"):
        run(folder)


def test_killed_at_any_moment_it_gives_the_same_bits(library):
    folder = library(**{f"n{i}": "box" for i in range(6)})
    code = f"from tests.core.test_prepare import *; prepare(Path({str(folder)!r}), FAKE, 2, print, SMALL)"
    draw, runs = random.Random(5), 0
    for _ in range(5):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
        time.sleep(draw.uniform(0.5, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        runs += bool(list((folder / ".prepared").glob("shapes/*.safetensors")))
    for _ in range(50):  # what the killed runs started ends with the asset at hand
        try:
            done, *_ = run(folder, 2)
            break
        except BadRequest:
            time.sleep(0.2)
    killed = bits(folder)
    for file in (folder / ".prepared").glob("*/*"):
        file.unlink()
    run(folder)
    assert done.prepared == 6 and bits(folder) == killed
    assert not list((folder / ".prepared").glob("tmp-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_a_request_to_end_is_heeded_at_once(library):
    """While a program hangs on an asset: it is killed, no asset is blamed, and what was prepared stays."""
    folder = library(a="box", b="hang", c="hang")
    command = [sys.executable, "-m", "core", "library", "prepare", str(folder), "--workers", "2", "--json", "--blender", json.dumps(FAKE)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes, env=os.environ | {"PYTHONPATH": str(ROOT)})
    asked, end = folder / "asked.txt", time.monotonic() + 60
    while time.monotonic() < end and not (asked.exists() and len(asked.read_text().split()) == 3):
        time.sleep(0.05)
    begun = time.monotonic()
    process.terminate()
    out, said = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5 and process.returncode == 130 and "stopped." in said and "rejected" not in out
    assert read_facts(prepared_file(folder, "a.glb")) and not list((folder / ".prepared").glob("shapes/*.json"))


def test_the_processes_that_prepare_do_without_torch():
    """It would cost each of them seconds and hundreds of megabytes."""
    code = "import sys; from core.library import looks, portrait, shape, solid; from core import frame; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60).returncode == 0


# Looks and proposals --------------------------------------------------------------------------------------------------------------------


def test_pictures_are_sampled_as_blender_does():
    picture = np.array([[[0], [255]], [[255], [0]]], np.uint8)
    uv = np.array([[0.25, 0.25], [0.75, 0.25], [0.5, 0.25], [1.25, 0.25], [-0.25, 0.25]])
    assert sample(picture, uv, False, "REPEAT")[:, 0] == pytest.approx([0, 1, 0.5, 0, 1], abs=1e-6)
    assert sample(picture, uv, True, "EXTEND")[:, 0] == pytest.approx([0, 1, 1, 1, 0])


def test_a_look_is_factor_times_picture_times_corner():
    color = {"factor": [0.5, 1, 1], "picture": 0, "uv": 0, "interpolation": "Closest", "extension": "REPEAT"}
    rough = {"factor": [0.5], "picture": 1, "uv": 0, "interpolation": "Linear", "extension": "REPEAT"}
    look = {"known": True, "color": color, "roughness": rough}
    facts = {"looks": [look | {"metallic": {"factor": [1.0], "picture": -1}}, {"known": False}]}
    arrays = {"look": np.array([0, 1]), "corner": np.full((2, 3, 3), 0.5), "uv0": np.full((2, 3, 2), 0.5, np.float32),
              "picture0": np.full((2, 2, 3), 255, np.uint8), "picture1": np.full((2, 2), 128, np.uint8)}  # fmt: skip
    told, known = look_at(facts, arrays, np.array([0, 1]), np.full((2, 3), 1 / 3))
    assert known.tolist() == [True, False]
    half, quarter = (1.055 * c ** (1 / 2.4) - 0.055 for c in (0.5, 0.25))
    assert told[0] == pytest.approx([quarter, half, half, 0.25, 1.0], abs=0.002)


def test_proposed_prompts_name_thing_colour_and_proportion(library):
    folder = library(a="box")
    (folder / "Lamp_Post_02a.obj").write_text("box")
    (folder / "broken.obj").write_text("reject")
    result = suggest.suggest(folder, FAKE, folder / "suggested.csv", lambda event: None)
    assert (folder / "suggested.csv").read_text() == "prompt,shape,split\na red lamp post,Lamp_Post_02a.obj,train\n"
    assert result["suggested"] == 1 and result["rejected"] == [{"asset": "broken.obj", "reason": "It has no size."}]


def test_proposals_are_added_to_what_somebody_has_edited(library, capfd):
    """A semicolon for a comma, a column more, Excel's mark and line ends: every byte stays. A file of another kind is refused."""
    folder = library(a="box")
    out = folder / "edited.csv"
    for name, kind in {"lamp": "box", "vase": "box", "broken": "reject"}.items():
        (folder / f"{name}.obj").write_text(kind)
    mine = '\ufeffPrompt;note;shape;split\r\nmy own; words\r\n"my; lamp";x;lamp.obj:Lamp;unseen'.encode()
    out.write_bytes(mine)
    command = ["suggest", str(folder), "--out", str(out), "--blender", json.dumps(FAKE)]
    assert cli.main(command) == 1
    assert out.read_bytes() == mine + b"\r\na red vase;;vase.obj;train\r\n"
    assert "not used: broken.obj: It has no size." in capfd.readouterr().out
    before = out.read_bytes()
    assert cli.main(command) == 1 and out.read_bytes() == before
    for other in (b"prompt,shape,split\na caf\xe9,lamp.obj,train\n", b"a shopping list\n"):
        out.write_bytes(other)
        with pytest.raises(BadRequest, match="edited.csv"):
            cli.main(command)
        assert out.read_bytes() == other


def test_proposing_without_a_blender_is_told_at_once(library):
    folder = library(a="box")
    out = folder / "suggested.csv"
    for name in ("lamp", "vase"):
        (folder / f"{name}.obj").write_text("box")
    events = []
    for blender in (["/nowhere/blender"], [sys.executable, "-c", "raise SystemExit('no display')"]):
        with pytest.raises(EngineError, match="does not start"):
            suggest.suggest(folder, blender, out, events.append)
    log = (folder / ".prepared" / "prepare.log").read_text()
    assert "/nowhere/blender" in log and "no display" in log and not events and not out.exists()


@pytest.mark.parametrize(
    ("asset", "objects", "name"),
    [
        ("props/GardenBench.glb", [], "garden bench"),
        ("table_medium_A.glb", [], "medium table"),
        ("mesh_01.fbx", ["Cube.001", "old_well"], "old well"),
        ("a/b/01.obj", [], "thing"),
    ],
)
def test_names_come_from_where_somebody_wrote_words(asset, objects, name):
    assert suggest.name_of(asset, {"objects": objects, "collections": [], "materials": []}) == name
