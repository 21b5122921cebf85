# SPDX-License-Identifier: GPL-3.0-or-later
"""Several models in one engine: which are found, which of them makes a prompt, and what a damaged one does."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from core.errors import MissingWeights, Unfamiliar
from core.language.encoder import TextEncoder
from core.library.source import Sampling
from core.outcome import Failed
from core.pipeline import CARD_TOO_SMALL, Latte3DPipeline
from core.service import models as service
from core.service.models import Models, find_models
from core.training.settings import TrainSettings
from core.training.stages.reading import ReadingSettings
from core.training.stages.reconstruction import ReconstructionSettings
from core.training.train import train

QUICK = Sampling(kept_points=1024, kept_surface=1024, step_points=512, step_surface=256, cloud_points=512)
SMALL = {"resolution": 64, "texture_size": 64}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder that holds two models of different kinds, of two steps each."""
    place = tmp_path_factory.mktemp("models")
    for name, kinds in (("garden", ("mushroom", "tree", "rock")), ("garage", ("car", "truck", "barrel"))):
        how, reading = ReconstructionSettings(steps=2, batch=2, sampling=QUICK), ReadingSettings(steps=0, pool=256)
        train(TrainSettings(place / name, preset="tiny", kinds=kinds, device="cpu", pictures=False, reading=reading, reconstruction=how))
        shutil.rmtree(place / name / "checkpoint")
    return place


@pytest.fixture
def place(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "models")


@pytest.fixture
def both(place, monkeypatch) -> Models:
    """The two alone, without those that come with the engine."""
    monkeypatch.setattr(service, "SHIPPED", place)
    return Models(find_models([]), "cpu")


def makers(models: Models, *prompts: str, **request) -> list[str]:
    """The model that made each prompt's object. Raises the first error."""
    outcomes = list(models.stream(prompts, seeds=[0] * len(prompts), **SMALL, **request))
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            raise outcome.error
    assert [(outcome.index, outcome.mesh.prompt) for outcome in outcomes] == [*enumerate(prompts)]
    return [outcome.mesh.model for outcome in outcomes]


def test_what_is_found(place, monkeypatch, tmp_path) -> None:
    other = place / "a text model"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    assert [model.id for model in find_models([place, place / "garage"])] == ["garage", "garden", "starter"]
    assert [model.id for model in find_models([], alone=place / "garden")] == ["garden"]
    gone, starter = find_models([tmp_path / "gone"])
    assert gone.id == "gone" and str(tmp_path / "gone") in str(gone.fault) and starter.id == "starter" and not starter.fault
    shutil.copytree(place / "garage", place / "another")
    shutil.copytree(service.SHIPPED / "starter", place / "copy")
    found = find_models([place])
    assert [(m.folder.name, m.id) for m in found] == [
        ("another", "garage"), ("copy", "starter-2"), ("garage", "garage-2"), ("garden", "garden"), ("starter", "starter")
    ]  # fmt: skip


def test_automatic_takes_the_model_that_knows_the_prompt(both, monkeypatch) -> None:
    prompts = ("a red car", "a red mushroom with white spots", "a gray rock", "a wooden barrel")
    told = []
    assert makers(both, *prompts, progress=lambda *how: told.append(how)) == ["garage", "garden", "garden", "garage"]
    counts = [done for _, done, _ in told]
    assert counts == sorted(counts) and {total for *_, total in told} == {len(told)}
    monkeypatch.setattr(Latte3DPipeline, "from_pretrained", None)  # a prompt is judged without loading anything
    assert [both.best(prompt, strict=True).model_id for prompt in prompts] == ["garage", "garden", "garden", "garage"]


def test_judging_loads_no_networks(place) -> None:
    for path in place.glob("*/*.safetensors"):
        if path.name != "familiar.safetensors":
            path.unlink()
    models = Models(find_models([place]), "cpu")  # the starter is whole
    listed = {model.id: model for model in models.models}
    text, known = models.memory(listed["garden"])
    assert known.read(["a red mushroom"], text)[0].familiar and text is models.memory(listed["starter"])[0]


def test_a_guess_is_made_by_the_model_that_it_is_nearest_to(both) -> None:
    assert makers(both, "a lorry", "a big boulder", "a sequoia") == ["garage", "garden", "garden"]
    assert makers(both, "a red car", "a red car", model="garden") == ["garden", "garden"]  # the one that was asked for


def test_the_question_comes_when_none_knows(both) -> None:
    with pytest.raises(Unfamiliar, match="“a bassoon” is not one of the things that the installed models know") as caught:
        makers(both, "a red car", "a bassoon", strict=True)
    readings = [known.read(["a bassoon"], text)[0] for text, known in map(both.memory, both.models)]
    near = {thing: by for reading in readings for thing, by in reading.nearness.items()}
    assert caught.value.things == sorted(near, key=near.get, reverse=True)[:4]
    assert {thing in ("mushroom", "tree", "rock") for thing in caught.value.things} == {True, False}  # of both models
    assert caught.value.example.keys() == set(caught.value.things)
    makers(both, "a bassoon")


def test_few_stay_in_memory(both, place) -> None:
    third = shutil.copytree(place / "garden", place / "third")
    models = Models(find_models([], alone=place / "garage"), "cpu")
    models.models += find_models([], alone=third) + [model for model in both.models if model.id == "garden"]
    models.models[1].id = "third"
    assert [makers(models, "a gray rock", model=name) for name in ("garage", "third", "garden")] == [["garage"], ["third"], ["garden"]]
    assert list(models._pipelines) == ["third", "garden"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_damaged_model_fails_alone(start_engine, place) -> None:
    cut(place / "garage" / "geometry.safetensors")
    (place / "garden" / "config.json").write_text('{"format": 3,')
    command = [sys.executable, "-m", "core.service.worker", "--models", str(place), "--device", "cpu"]
    engine = start_engine(command)
    garage, garden, starter = engine.receive()[0]["params"]["models"]
    assert (garage["id"], garage["kinds"]) == ("garage", ["car", "truck", "barrel"]) and "geometry.safetensors" in garage["fault"]
    assert garden["id"] == "garden" and garden["kinds"] == garden["things"] == [] and "config.json" in garden["fault"]
    assert starter["id"] == "starter" and "fault" not in starter
    for name in ("garage", "garden"):
        engine.generate(1, ("a red car",), model=name)
        assert engine.receive()[0]["params"]["kind"] == "missing_weights"
        assert engine.receive()[0]["result"] == {"made": 0, "failed": 1}
    engine.generate(2, ("a red car",), model="studio")
    error = engine.receive()[0]["error"]
    assert error["data"]["kind"] == "bad_request" and "garage, garden, starter" in error["data"]["cause"]
    engine.generate(3, ("a red car",), detail="draft")
    assert engine.receive()[0]["params"]["model"] == "starter"
    assert engine.end(30)[0] == 0


def test_automatic_leaves_out_what_turns_out_to_be_damaged(both, place) -> None:
    cut(place / "garden" / "texture.safetensors")
    assert makers(both, "a red car", "a red mushroom") == ["garage", "garage"]
    with pytest.raises(MissingWeights, match="texture.safetensors"):
        makers(both, "a red mushroom", model="garden")


def test_a_model_without_a_memory_is_not_asked(both, place) -> None:
    (place / "garden" / "familiar.safetensors").unlink()
    assert makers(both, "a red mushroom") == ["garage"]


def test_one_model_is_not_judged(place, monkeypatch) -> None:
    models = Models(find_models([], alone=place / "garden"), "cpu")
    reads = []
    monkeypatch.setattr(models, "_read", lambda *what: reads.append(what))
    assert makers(models, "a red mushroom", "a red car") == ["garden", "garden"] and not reads
    with pytest.raises(Unfamiliar, match="this model knows"):
        makers(models, "a red car", strict=True)


def test_text_encoders_are_shared(both) -> None:
    makers(both, "a red car", "a red mushroom")
    texts = {id(pipeline.text) for pipeline in both._pipelines.values()}
    assert len(both._pipelines) == 2 and len(texts) == 1 and isinstance(both._pipelines["garden"].text, TextEncoder)


def test_an_id_is_a_text(place) -> None:
    config = json.loads((place / "garden" / "config.json").read_text())
    (place / "garden" / "config.json").write_text(json.dumps(config | {"id": 7}))
    assert find_models([], alone=place / "garden")[0].id == "7"


def test_what_nobody_foresaw_fails_one_prompt(both, monkeypatch) -> None:
    """An error in judging one prompt, a model that the memory does not hold: the others are made."""
    load, judge = Latte3DPipeline.from_pretrained, both._read

    def too_large(folder, *rest):
        if Path(folder).name == "garage":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return load(folder, *rest)

    monkeypatch.setattr(both, "_read", lambda model, prompt: judge(model, prompt) if "rock" not in prompt else [][0])
    monkeypatch.setattr(Latte3DPipeline, "from_pretrained", too_large)
    both._pipelines.clear()
    outcomes = list(both.stream(["a red mushroom", "a gray rock", "a tree"], seeds=[0] * 3, **SMALL))
    assert [isinstance(outcome, Failed) for outcome in outcomes] == [False, True, False] and outcomes[1].error.code == "internal"
    (failed,) = both.stream(["a red car"], seeds=[0], model="garage", **SMALL)
    assert failed.error.code == "out_of_memory"


def test_a_model_says_its_words_and_pictures_what_it_makes(both, place) -> None:
    """What can be chosen of a thing; words that mean the same together, the usual one first; a damaged file says none."""
    garden = next(model for model in both.models if model.id.startswith("garden"))
    told = garden.to_dict()
    assert ["wooden", "wood"] in told["words"]["material"] and ["gray", "grey"] in told["words"]["color"]
    assert all("pattern" not in group for group in told["words"]["pattern"]) and told["adherence"]
    (made,) = both.stream(["a red mushroom"], seeds=[0], **SMALL)
    assert both.picture(made.mesh, 64).startswith(b"\x89PNG")
    made.mesh.triangles = made.mesh.triangles + 10**6  # nothing that can be drawn: no picture, and no error
    assert both.picture(made.mesh, 64) == b""
    for text in ("{", '{"attributes": []}', '{"attributes": {"red": 5}, "adjectives": {}}'):
        (place / "garden" / "words.json").write_text(text)
        assert service._words_in(place / "garden") == {}


def test_only_models_that_know_shapes_are_asked_to_keep_to_one(both, monkeypatch) -> None:
    import numpy as np

    points = np.random.default_rng(0).uniform(-0.4, 0.4, (64, 3))
    cloud = np.concatenate((points, points / np.linalg.norm(points, axis=1, keepdims=True)), 1).astype(np.float32)
    request = {"seeds": [0], "cloud": cloud, "adherence": 0.5, **SMALL}
    both.models[0].adherence = False
    (made,) = both.stream(["a red mushroom"], **request)
    assert made.mesh.model == both.models[1].id
    both.models[1].adherence = False
    (failed,) = both.stream(["a red mushroom"], **request)
    assert isinstance(failed, Failed) and "No installed model was trained with adherence" in str(failed.error)


def test_a_model_that_a_graphics_card_does_not_hold_is_loaded_for_the_processor(both, monkeypatch) -> None:
    load, tried = Latte3DPipeline.from_pretrained, []

    def too_large(folder, device, *rest):
        tried.append((device, len(both._pipelines)))
        if device != "cpu":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return load(folder, device, *rest)

    both.device = torch.device("cuda")
    monkeypatch.setattr(both, "memory", lambda model: None)
    monkeypatch.setattr(Latte3DPipeline, "from_pretrained", too_large)
    (made,) = both.stream(["a red mushroom"], seeds=[0], model="garden", **SMALL)
    assert tried == [("cuda", 1), ("cuda", 0), ("cpu", 0)]  # what else was in memory made room first
    assert made.mesh.notes[0] == CARD_TOO_SMALL and made.mesh.model == "garden"


def test_a_text_encoder_that_a_graphics_card_does_not_hold_reads_on_the_processor(both, monkeypatch) -> None:
    load, tried = service.load_memory, []

    def too_large(folder, sizes, device, make_text):
        tried.append(device.type)
        if device.type != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 90.00 MiB.")
        return load(folder, sizes, device, make_text)

    garden = next(model for model in both.models if model.id == "garden")
    both._memories.clear()
    both.device = torch.device("cuda")
    monkeypatch.setattr(service, "load_memory", too_large)
    text, known = both.memory(garden)
    assert tried == ["cuda", "cpu"] and text.device.type == "cpu" and known.read(["a red mushroom"], text)[0].familiar
    assert both.memory(garden)[0] is text and len(tried) == 2
