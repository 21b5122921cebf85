# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures: a mesh of the exact object itself scores almost perfectly, another object does not, and prompt files are read with care."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import BadRequest, EmptySurface, MissingWeights
from core.evaluation import cli, measure, metrics, probes, renders, space, space_stage, starter, summary
from core.language.encoder import TextEncoder
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.parser import parse
from core.library.starter.prompts import StarterPrompts
from core.library.starter.splits import split_of
from core.limits import Detail
from core.mesh import TexturedMesh
from core.rendering.trace import render

MUSHROOM = parse("a red mushroom with white spots")
Z = torch.zeros(1, 8)


def exact(description: Description) -> ExactObjects:
    return ExactObjects([description], Z)


def exact_mesh(prompt: str, resolution: int = 80) -> TexturedMesh:
    return measure.ExactMaker()([prompt], seeds=0, resolution=resolution, texture_size=1024)[0]


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def mushroom() -> TexturedMesh:
    return exact_mesh("a red mushroom with white spots")


def surface(mesh: TexturedMesh, target: ExactObjects) -> dict[str, float]:
    return metrics.surface_measures(mesh, target, metrics.sample_surface(mesh, target, rng()), rng())


def probed(mesh: TexturedMesh, d: Description) -> dict[str, dict]:
    return probes.probe(mesh, d, Z, metrics.sample_surface(mesh, exact(d), rng()), rng())


def wrong(found: dict[str, dict]) -> list[str]:
    return [name for name, p in found.items() if p["found"] != p["named"]]


def test_the_exact_object_scores_almost_perfectly(mushroom) -> None:
    target = exact(MUSHROOM)
    assert metrics.volume_iou(mushroom, target, rng()) > 0.97
    figures = surface(mushroom, target)
    assert figures["f_score_1"] > 0.995 and figures["f_score_2"] > 0.995 and figures["chamfer"] < 0.001  # no floor of sampling
    assert figures["normal_consistency"] > 0.98
    assert figures["base_color_error"] < 0.015 and figures["roughness_error"] < 0.01 and figures["metallic_error"] < 0.01
    assert metrics.kind_found(mushroom, MUSHROOM, Z, rng()) == "mushroom"
    health = metrics.health(mushroom, target, Detail(80, 1024, None))
    assert health == {"sound": True, "pieces": 1, "pieces_exact": 1, "uv_in_range": True, "uv_overlaps": 0}


def test_another_object_scores_badly(mushroom) -> None:
    assert metrics.volume_iou(mushroom, exact(Description("car")), rng()) < 0.6
    car = surface(mushroom, exact(Description("car")))
    assert car["f_score_2"] < 0.6 and car["normal_consistency"] < 0.8 and car["chamfer"] > 0.03
    blue = exact(parse("a blue mushroom with white spots"))
    assert metrics.volume_iou(mushroom, blue, rng()) > 0.97
    assert surface(mushroom, blue)["base_color_error"] > 0.1


def test_distances_to_the_exact_surface_hold_near_and_far() -> None:
    target = exact(Description("mushroom"))
    samples = metrics.SurfaceSamples(*(t[0] for t in target.sample_surface(4096, rng())), *(np.zeros(0),) * 3)
    samples = replace(samples, normals=samples.normals.numpy())
    for away in (0.003, 0.01, 0.05):
        pushed = samples.points.numpy()[:500] + away * samples.normals[:500]
        distance, _ = metrics.distance_to_exact(pushed.astype(np.float64), target, samples)
        assert np.median(np.abs(distance - away)) < 0.05 * away


def test_pictures_of_the_exact_object_and_of_its_mesh_are_alike(mushroom) -> None:
    shown, made = renders.exact_views(exact(MUSHROOM), 64), renders.mesh_views(mushroom, 64)
    same = renders.likeness(made, shown)
    assert same["psnr"] > 25 and same["ssim"] > 0.95  # what differs are pixels on the outline
    blue = renders.likeness(made, renders.exact_views(exact(parse("a blue mushroom")), 64))
    assert blue["psnr"] < same["psnr"] - 8 and blue["ssim"] < same["ssim"] - 0.02
    assert renders.likeness(renders.empty_views(64), shown)["psnr"] < 15
    alone = render(exact(MUSHROOM).solid(), renders.CAMERAS[0], 64)[0]  # a contact sheet's picture is the first of the views
    assert np.abs(alone.numpy() * 255 - shown[0]).max() <= 0.51


def test_the_right_probe_notices(mushroom) -> None:
    assert wrong(probed(mushroom, MUSHROOM)) == []
    assert wrong(probed(mushroom, parse("a blue mushroom with white spots"))) == ["color"]
    assert wrong(probed(mushroom, parse("a red mushroom with blue spots"))) == ["pattern_color"]
    assert "pattern" in wrong(probed(mushroom, parse("a red mushroom with white stripes")))
    assert wrong(probed(mushroom, parse("a golden mushroom"))) == ["material"]
    assert wrong(probed(mushroom, parse("a tall mushroom"))) == ["proportion"]
    plain = exact_mesh("a red mushroom", 64)
    assert wrong(probed(plain, parse("a red wooden mushroom"))) == []  # under paint nobody can tell
    assert wrong(probed(plain, parse("a red golden mushroom"))) == ["material"]
    assert wrong(probed(mushroom, parse("a huge mushroom"))) == ["size"]
    assert "shade" in wrong(probed(plain, parse("a dark red mushroom")))
    assert wrong(probed(plain, parse("a glossy red mushroom"))) == ["finish"]
    cake = exact_mesh("a glossy cake with three candles", 64)
    assert wrong(probed(cake, parse("a glossy cake with three candles"))) == []
    assert probed(cake, parse("a cake with eight candles"))["count"] == {"named": "eight", "found": "three", "chance": 0.2}


def test_tall_is_told_from_narrow_and_a_part_from_none() -> None:
    tower = exact_mesh("a tall golden tower", 64)
    assert wrong(probed(tower, parse("a tall golden tower"))) == []
    assert wrong(probed(tower, parse("a narrow golden tower"))) == ["proportion"]
    assert probed(tower, parse("a tall golden tower with a roof"))["second"] == {"named": True, "found": False, "chance": 0.5}
    assert probed(exact_mesh("a tower with a roof", 64), parse("a tower"))["no_second"] == {"named": False, "found": True, "chance": 0.5}


def test_a_hole_or_a_double_texel_is_seen(mushroom) -> None:
    open_mesh = replace(mushroom, triangles=mushroom.triangles[5:], uvs=mushroom.uvs[5:])
    assert not metrics.health(open_mesh, exact(MUSHROOM), Detail(80, 1024, None))["sound"]
    folded = np.where(mushroom.uvs > 0.5, 1 - mushroom.uvs, mushroom.uvs)  # the image folded twice: charts lie on one another
    assert metrics.health(replace(mushroom, uvs=folded), exact(MUSHROOM), Detail(80, 1024, None))["uv_overlaps"] > 1000


def test_points_are_spread_by_area(mushroom) -> None:
    points, face = metrics.sample_mesh(mushroom, 4000, np.random.default_rng(0))
    assert exact(MUSHROOM).sdf(torch.from_numpy(points[None]).float()).abs().max() < 0.02
    assert np.abs(mushroom.vertices[mushroom.triangles[face]].mean(1) - points).max() < 0.02


def test_intervals_hold_the_mean() -> None:
    low, high = summary.interval([0.7, 0.8, 0.9] * 40)
    assert low < 0.8 < high and high - low < 0.05


@pytest.fixture
def arguments(tmp_path, monkeypatch) -> list[str]:
    """`evaluate exact` on three prompts, one of which comes out empty."""
    make = measure.ExactMaker.__call__

    def some(self, prompts, **settings):
        if "duck" in prompts[0]:
            raise EmptySurface
        return make(self, prompts, **settings)

    monkeypatch.setattr(measure.ExactMaker, "__call__", some)
    (tmp_path / "prompts.txt").write_text("a red mushroom\na duck\na wooden barrel\n")
    options = {"prompts": tmp_path / "prompts.txt", "rows": tmp_path / "rows.jsonl", "resolution": 64, "texture-size": 256}
    return ["exact", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


def test_a_report_shows_everything_and_names_the_worst(tmp_path, capsys, arguments) -> None:
    assert cli.main([*arguments, "--json", "--report", str(tmp_path / "report")]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["prompts"] == 3 and result["worst_kind"] == "duck" and result["iou_by_kind"]["duck"] == 0
    assert result["kind_accuracy"] == result["sound"] == result["pieces_as_exact"] == 0.6667
    assert result["iou_95"][0] <= result["iou"] <= result["iou_95"][1] and result["probes"]["material"]["accuracy"] == 1
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4 and "F-score at 1 %" in page and "http" not in page
    assert re.search(r"The worst 5 %.*?<b>(.*?)</b>", page, re.S)[1] == "a duck"
    assert "kind: duck → nothing" in page


def test_an_interruption_leaves_the_rows_that_were_measured(tmp_path, monkeypatch, arguments) -> None:
    real = starter.measure

    def interrupted(make, prompt, number, detail, **sizes):
        if number == 2:
            raise KeyboardInterrupt
        return real(make, prompt, number, detail, **sizes)

    monkeypatch.setattr(starter, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cli.main(arguments)
    (row,) = map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())
    assert row["prompt"] == "a red mushroom" and row["iou"] > 0.9 and row["probes"]["color"]["found"] == "red"


def test_r_precision_counts_own_prompts_and_each_meaning_once() -> None:
    texts = ("a red mushroom", "a blue car", "a tiny red mushroom", "a striped chair")
    asked, encoder, own = [(text, parse(text)) for text in texts], TextEncoder(), space.Space()
    places = own.texts(space.text_means(encoder, texts)).detach()
    places[2] = places[0]  # the same but for its size
    found = space.r_precision(own, encoder, asked, made=places[[1, 0, 2, 3]], exact=places)
    assert found.pool == 3 and found.made == [False, False, True, True] and found.exact == [True] * 4


def test_the_space_of_r_precision_resumes_exactly(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(space_stage, "KINDS", ["mushroom", "barrel"])
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    settings = space_stage.SpaceSettings(out=whole, steps=3, batch=16, checkpoint_minutes=0.0)
    assert space_stage.train(settings)
    batch = space_stage.SpaceStage.batch

    def interrupted(self, step: int, share: float):
        if step == 2:
            raise KeyboardInterrupt
        return batch(self, step, share)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(space_stage.SpaceStage, "batch", interrupted)
        space_stage.train(replace(settings, out=broken))
    assert not broken.exists()
    with pytest.raises(BadRequest, match="cannot be resumed.*of the batch 16, not 8"):
        space_stage.train(replace(settings, out=broken, batch=8))
    assert space_stage.train(replace(settings, out=broken))
    assert whole.read_bytes() == broken.read_bytes()
    assert whole.stat().st_size < 2 * 2**20
    assert space.Space.load(whole).views(np.zeros((4, 128, 128, 3), np.uint8)).shape == (space.SPACE,)
    with pytest.raises(MissingWeights, match="evaluate-space"):
        space.Space.load(tmp_path / "prompts.txt")


def test_standard_measures_say_what_is_missing(monkeypatch, arguments) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    for option in (["--fid"], ["--clip", "openai/clip-vit-base-patch32"]):
        with pytest.raises(MissingWeights, match="cannot be measured here"):
            cli.main([*arguments, *option])


def test_prompt_files_are_read_with_care(tmp_path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a red mushroom\n\n a wooden barrel \n")
    assert [(p.text, p.seed, p.description.kind) for p in starter.read_prompts(file)] == [
        ("a red mushroom", 1, "mushroom"),
        ("a wooden barrel", 2, "barrel"),
    ]
    file.write_text("a red mushroom\na purple unicorn\n")
    with pytest.raises(BadRequest, match="Line 2"):
        starter.read_prompts(file)
    file.write_text("\n \n")
    with pytest.raises(BadRequest, match="no prompt"):
        starter.read_prompts(file)
    with pytest.raises(BadRequest, match="cannot be read"):
        starter.read_prompts(tmp_path / "nowhere.txt")


def test_matched_prompts_are_seen_and_name_what_the_unseen_ones_name() -> None:
    unseen = list(StarterPrompts(8, "unseen", 3, ["mushroom", "tower"]))
    matched = starter.match(unseen, 3)
    assert len(matched) == 8
    for a, b in zip(unseen, matched, strict=True):
        assert split_of(b.description, b.text) == "train" and a.description.kind == b.description.kind
        assert starter.named(a.description) == starter.named(b.description)
