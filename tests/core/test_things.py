# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's folder says of the things that it can make: written by training, told in the handshake, used on loose parts."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.__main__ import main
from core.library.source import Sampling
from core.library.starter import examples
from core.library.starter.kind import Kind, Model, Part, Second
from core.library.starter.kinds import KINDS
from core.library.starter.parser import parse
from core.networks.storage import load_generator
from core.pipeline import Latte3DPipeline
from core.service.models import Models, find_models
from core.service.worker import hello
from core.surface.topology import mesh_health
from core.training import pictures
from core.training.settings import TrainSettings
from core.training.stages.reading import ReadingSettings
from core.training.stages.reconstruction import ReconstructionSettings
from core.training.train import train
from tests.conftest import ROOT

STARTER = ROOT / "core" / "weights" / "starter"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a training that came to its end."""
    folder = tmp_path_factory.mktemp("trained") / "mine"
    quick = Sampling(kept_points=1024, kept_surface=1024, step_points=512, step_surface=256, cloud_points=512)
    how = ReconstructionSettings(steps=2, batch=2, sampling=quick)
    reading = ReadingSettings(steps=0, pool=64)
    return train(TrainSettings(folder, preset="tiny", kinds=("mushroom", "rock"), device="cpu", reading=reading, reconstruction=how))


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "mine", ignore=shutil.ignore_patterns("checkpoint", "tensorboard"))


def things_told(folder: Path) -> list[dict]:
    """The things in the handshake of an engine with this model."""
    return hello(Models(find_models([], alone=folder), "cpu"))["params"]["models"][0]["things"]


def test_a_training_ends_with_the_things_that_its_model_makes(start_engine, trained) -> None:
    config = json.loads((trained / "config.json").read_text())
    assert [thing["name"] for thing in config["things"]] == config["one_piece"] == ["mushroom", "rock"]
    rpc, _ = start_engine([sys.executable, "-m", "core.service.worker", "--model", str(trained), "--device", "cpu"]).receive()
    things = rpc["params"]["models"][0]["things"]
    assert [{k: v for k, v in thing.items() if k != "picture"} for thing in things] == config["things"]
    for thing in things:
        assert Path(thing["picture"]) == trained.absolute() / "pictures" / f"{thing['name']}.png"
        image = Image.open(thing["picture"]).convert("RGBA")
        alpha = np.asarray(image)[..., 3]
        assert image.size == (128, 128) and alpha.max() == 255 and not alpha[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        rows, columns = (np.flatnonzero(alpha.any(axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) > 115  # as large as fits


def test_older_folders_load_and_have_less_to_tell(folder) -> None:
    shutil.rmtree(folder / "pictures")
    things = things_told(folder)
    assert [thing["name"] for thing in things] == ["mushroom", "rock"] and {thing["picture"] for thing in things} == {""}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k not in ("things", "one_piece")}))
    assert things_told(folder) == []
    card = load_generator(folder)[1]
    assert card.kinds == ("mushroom", "rock") and card.things == card.one_piece == () and not card.several_pieces("rock")
    assert main(["pictures", str(folder)]) == 0
    assert json.loads((folder / "config.json").read_text()) == config
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == ["mushroom.png", "rock.png"]


def test_a_thing_of_which_nothing_is_made_has_no_picture(folder, monkeypatch) -> None:
    pipeline = Latte3DPipeline.from_pretrained(folder, "cpu")
    monkeypatch.setattr(pipeline.generator.sdf, "of", lambda fields: lambda points: points.norm(dim=-1) + 1)
    pictures.write_picture(pipeline, pipeline.things[0], folder / "pictures" / "mushroom.png")
    assert not (folder / "pictures" / "mushroom.png").exists()


def test_every_kind_has_a_heading_and_an_example_of_itself() -> None:
    assert examples.EXAMPLES.keys() == KINDS.keys()
    for kind in KINDS:
        assert parse(examples.example_of(kind)).kind == kind and examples.group_of(kind)


def test_pieces_are_counted_on_the_objects(monkeypatch) -> None:
    def balls(style) -> Model:
        distances = [lambda p, x=x: ((p.x - x) ** 2 + p.y**2 + p.z**2).sqrt() - 0.2 for x in (-0.3, 0.3)]
        present = (None, style.second)  # the other ball is there where a prompt names it
        return Model([Part(d, present=there) for d, there in zip(distances, present, strict=True)], (-0.5, -0.2, -0.2), (0.5, 0.2, 0.2))

    monkeypatch.setitem(KINDS, "pair", Kind("pair", "toys", balls, Second("other", "red", optional=True), ("natural",), ("red",)))
    assert pictures.one_piece(("mushroom", "pair")) == ("mushroom",)


def test_the_starter_shows_all_that_it_makes() -> None:
    card = load_generator(STARTER)[1]
    assert tuple(thing.name for thing in card.things) == card.kinds and set(card.one_piece) <= set(card.kinds)
    assert [(t.group, t.example) for t in card.things] == [(t.group, t.example) for t in pictures.things_of(card.kinds)]
    sizes = [Path(thing.picture).stat().st_size for thing in card.things]
    assert max(sizes) <= 12_000 and sum(sizes) <= 400_000


def test_loose_parts_go_where_a_thing_is_of_one_piece(folder, monkeypatch) -> None:
    """A ball and, beside it, balls of 1.6 % and 0.4 % of its volume, and a crumb of 0.04 %."""
    pipeline = Latte3DPipeline.from_pretrained(folder, "cpu")
    balls = torch.tensor([(0.0, 0, 0, 0.3), (0.4, 0, 0, 0.075), (0, 0.4, 0, 0.048), (0, 0, 0.4, 0.022)])
    monkeypatch.setattr(
        pipeline.generator.sdf, "of", lambda fields: lambda points: (torch.cdist(points, balls[:, :3]) - balls[:, 3]).amin(1)
    )

    def pieces(prompt: str) -> int:
        (mesh,) = pipeline([prompt], resolution=128, texture_size=64)
        return mesh_health(mesh.vertices, mesh.triangles)["components"]

    assert pieces("a red mushroom with white spots") == pieces("a zebra") == 2
    pipeline.card = replace(pipeline.card, one_piece=("rock",))
    assert [pieces(prompt) for prompt in ("a red mushroom with white spots", "a gray rock", "a zebra")] == [3, 2, 2]
