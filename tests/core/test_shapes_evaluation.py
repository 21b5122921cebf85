# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation on a folder library: what makes the shapes themselves scores almost perfectly and finds each, what makes others does not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("igl")

from PIL import Image, ImageFont

from core.errors import BadRequest, EmptySurface
from core.evaluation import cli, gallery, shapes, sheet
from core.evaluation.prepared import PreparedMaker
from core.library.folder import PreparedFolder
from tests.core.boxes import make_boxes


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_boxes(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def prepared(folder) -> PreparedFolder:
    return PreparedFolder.open(folder)


def evaluate(folder: Path, capsys, *options: str) -> dict:
    assert cli.main(["exact", str(folder), "--resolution", "64", "--texture-size", "128", "--json", *options]) == 0
    *events, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(e["event"], e["done"], e["total"]) for e in events] == [("progress", i + 1, len(events)) for i in range(len(events))]
    assert events[-1]["eta_s"] == 0 and result["prompts"] == len(events)
    return result


def wrongly(monkeypatch, instead: dict[str, str]) -> None:
    """Let the maker make other shapes; "" is an empty surface."""
    real = PreparedMaker.__call__

    def other(self, prompts, **given):
        name = self.shape_of(prompts[0]).removesuffix(".glb")
        if not instead.get(name, name):
            raise EmptySurface
        maker = PreparedMaker(self.prepared, lambda _: f"{instead.get(name, name)}.glb")
        return real(maker, prompts, **given)

    monkeypatch.setattr(PreparedMaker, "__call__", other)


def test_the_shapes_themselves_are_found_and_shown(folder, tmp_path, capsys) -> None:
    options = ["--split", "train", "--rows", str(tmp_path / "rows.jsonl"), "--sheet", str(tmp_path / "sheet.png"), "--seeds", "2"]
    result = evaluate(folder, capsys, *options, "--report", str(tmp_path / "page"))
    assert result["library"] == "Boxes" and result["prompts"] == 5 and result["shapes"] == 4  # "something old" stands for two
    assert result["iou"] > 0.93 and result["iou_95"][0] > 0.9 and result["base_color_error"] < 0.02 and result["roughness_error"] < 0.01
    assert result["shape_top1"] == result["shape_top5"] == 1 and result["height_error"] < 0.03
    assert result["chance_top1"] == 0.3 and result["seed_iou"] == 1 and result["text_top1"] is None
    rows = {row["prompt"]: row for row in map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())}
    assert "base_color_error" not in rows["a tile"] and rows["something old"]["shape"] == "post.glb"
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 5 and "Right shape ↑" in page and "something old" in page
    assert result["sheets"] == [str(tmp_path / "sheet.png")] and Image.open(tmp_path / "sheet.png").size[0] > 600


def test_other_shapes_are_wrong_and_an_empty_one_counts_as_the_worst(folder, capsys, monkeypatch) -> None:
    wrongly(monkeypatch, {"red cube": "blue cube", "blue cube": "red cube"})
    result = evaluate(folder, capsys, "--split", "paraphrases")
    assert result["iou"] > 0.9 and result["base_color_error"] > 0.3  # the shape is right, and yet it is the other's
    assert result["shape_top1"] == 0 and result["shape_top5"] == 1 and result["worst"][0]["found"].endswith("cube.glb")
    assert result["text_top5"] == 1  # there are four
    wrongly(monkeypatch, {"red cube": "", "blue cube": "post"})
    result = evaluate(folder, capsys, "--split", "paraphrases")
    assert result["worst"][0] == {"prompt": "a crimson block", "iou": 0, "shape": "red cube.glb", "found": ""} and result["empty"] == 1
    assert result["iou"] < 0.05 and result["shape_top1"] == 0 and result["shape_top5"] == 0.5


def test_what_lies_outside_of_a_shapes_box_is_not_shared(prepared) -> None:
    maker = PreparedMaker(prepared, lambda name: name)
    (cube,) = maker(["red cube.glb"], resolution=64, texture_size=64)
    post, tile = (gallery.Target.of(prepared.shape(name)) for name in ("post.glb", "tile.glb"))
    found = gallery.ious(gallery.Finished(cube), [post, tile])
    assert found == pytest.approx([0.06**2 / 0.48**2, 0.05 / 0.48], rel=0.15)


def test_the_ranking_is_that_of_all_scores(prepared, monkeypatch) -> None:
    """However few points screen, and however few shapes are scored at a time."""
    maker = PreparedMaker(prepared, lambda name: name)
    for screen, together in ((512, 8), (32, 1)):
        monkeypatch.setattr(gallery, "SCREEN", screen)
        monkeypatch.setattr(gallery, "TOGETHER", together)
        shown = gallery.Gallery(prepared)
        for name in ("red cube.glb", "tile.glb"):
            (mesh,) = maker([name], resolution=64, texture_size=64)
            finished = gallery.Finished(replace(mesh, vertices=mesh.vertices * np.float32((0.9, 0.8, 0.9))))
            targets = [shown.target(other) for other in shown.names]
            pairs = zip(gallery.ious(finished, targets), gallery.look_errors(finished, targets), shown.names, strict=True)
            scores = sorted(((gallery.score(iou, error), other) for iou, error, other in pairs), reverse=True)
            assert scores[0][1] == name
            for beat, own in scores:
                assert shown.rivals(finished, {own}, beat) == [one for one in scores if one[0] > beat]
            assert len(shown.rivals(finished, set(), -1.0, most=1)) >= 1


def test_a_small_count_is_spread_over_the_shapes(prepared) -> None:
    requests = [shapes.Request(f"{name} {i}", (name,)) for name in "abcdef" for i in range(3)]
    drawn = shapes.spread(requests, 6, seed=5)
    assert sorted(r.shapes[0] for r in drawn) == list("abcdef") and drawn == sorted(drawn, key=requests.index)
    assert drawn != shapes.spread(requests, 6, seed=6) and shapes.spread(requests, 99, 0) == requests
    assert [r.shapes for r in shapes.requests_of(prepared, "train") if r.text == "something old"] == [("post.glb", "tile.glb")]


def test_sheets_are_nearly_square_and_paged(tmp_path, monkeypatch) -> None:
    blank = sheet.draw(None, tmp_path / "nowhere.png")
    row = {"prompt": "a very " + "long " * 60 + "prompt", "shape_top1": False, "found": "x.glb", "iou": 0.5, "generation_ms": 1.0}
    monkeypatch.setattr(sheet, "MOST", 20)
    paths = sheet.write(tmp_path / "sheet.png", [(row, blank)] * 50)
    assert [p.name for p in paths] == ["sheet-1.png", "sheet-2.png", "sheet-3.png"]
    width, height = Image.open(paths[0]).size
    assert 0.6 < width / height < 1.7
    font = ImageFont.load_default(12)
    lines = sheet.wrap(row["prompt"], font, 200, 2) + sheet.wrap("x" * 200, font, 200, 2)
    assert len(lines) == 3 and all(font.getlength(line) <= 200 for line in lines) and lines[1].endswith("…") and lines[2].endswith("…")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "unseen"], "no prompt in unseen"),
        (["--split", "pairs"], "no split pairs"),
        (["--seeds", "1"], "1 seeds cannot be compared"),
        (["--count", "0"], "0 prompts"),
        (["--sheet", "sheet.jpg"], "no PNG"),
        (["--fid"], "--fid is for the starter's"),
    ],
)
def test_what_cannot_be_measured_is_told_before_any_work(folder, tmp_path, options, message) -> None:
    (tmp_path / ".prepared").symlink_to(folder / ".prepared")
    for name in ("library.toml", "red cube.glb"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "prompts.csv").write_text("prompt,shape,split\na red cube,red cube.glb,train\nanything,,unseen\n")
    with pytest.raises(BadRequest, match=message):
        cli.main(["exact", str(tmp_path), *options])


def test_a_folder_that_is_not_prepared_and_the_starter_are_told_apart(folder, tmp_path) -> None:
    for name in ("library.toml", "prompts.csv", "red cube.glb"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadRequest, match="library prepare"):
        cli.main(["exact", str(tmp_path), "--split", "train"])
    with pytest.raises(BadRequest, match="--sheet is for a folder's"):
        cli.main(["exact", "--sheet", str(tmp_path / "sheet.png")])
