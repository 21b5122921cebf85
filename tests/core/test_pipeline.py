# SPDX-License-Identifier: GPL-3.0-or-later
"""From prompts to meshes: sound meshes, the same arrays every time, clear refusals, and a cancel that is heard."""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.canvas import Canvas
from core.errors import BadRequest, Cancelled, MissingWeights, Unfamiliar
from core.frame import style_of
from core.language import encoder as text
from core.library.source import Sampling
from core.library.starter.objects import Description, ExactObjects
from core.limits import DETAILS
from core.mesh import TexturedMesh
from core.outcome import Failed, Made
from core.pipeline import CARD_TOO_SMALL, Latte3DPipeline
from core.surface import textured
from core.surface.extract import EmptySurfaceError
from core.surface.topology import mesh_health
from core.training.settings import TrainSettings
from core.training.stages.reading import ReadingSettings
from core.training.stages.reconstruction import ReconstructionSettings
from core.training.train import train

ALL_STAGES = ("text", "networks", *textured.STAGES)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Latte3DPipeline:
    """A real, if small, model: a minute's tenth of training."""
    folder = tmp_path_factory.mktemp("model")
    quick = Sampling(kept_points=1024, kept_surface=1024, step_points=512, step_surface=256)
    how = ReconstructionSettings(steps=30, batch=4, sampling=quick)
    small = {"device": "cpu", "pictures": False, "reading": ReadingSettings(steps=0, pool=64), "reconstruction": how}
    train(TrainSettings(folder, preset="tiny", kinds=("mushroom", "rock"), **small))
    return Latte3DPipeline.from_pretrained(folder, "cpu")


def make(pipeline: Latte3DPipeline, prompts: list[str], **settings) -> list[TexturedMesh]:
    return pipeline(prompts, **({"detail": "full", "resolution": 64, "texture_size": 256} | settings))


def test_a_mesh_is_sound_and_tells_where_it_comes_from(pipeline) -> None:
    stages = []
    (mesh,) = make(pipeline, ["a red mushroom"], seeds=5, progress=lambda stage, done, total: stages.append((stage, done, total)))
    health = mesh_health(mesh.vertices, mesh.triangles)
    assert health["closed"] and health["manifold"] and health["oriented"]
    assert mesh.prompt == "a red mushroom" and mesh.seed == 5 and mesh.model == pipeline.model_id and mesh.height_m > 0
    assert stages == [(stage, done, 7) for done, stage in enumerate(ALL_STAGES)]
    assert list(mesh.timings_ms) == list(ALL_STAGES) and mesh.style is None
    assert mesh.to_glb()[:4] == b"glTF"


def test_an_object_painted_as_it_was_made_looks_as_it_did(pipeline) -> None:
    """Its own mesh, prompt and seed, and its own UVs, give its own images; but not where the model is told to follow that shape."""
    (made,) = make(pipeline, ["a red mushroom"], seeds=5)
    canvas = Canvas(made.vertices * np.float32(3), made.triangles, made.uvs, follow=False)
    stages, how = [], {"detail": "full", "resolution": 64, "texture_size": 256}
    again = pipeline.retexture("a red mushroom", canvas, seed=5, progress=lambda stage, done, total: stages.append((stage, done)), **how)
    assert stages == list(zip(ALL_STAGES, range(7), strict=True)) and again.seed == 5 and again.model == pipeline.model_id
    one, other = (np.asarray(Image.open(io.BytesIO(mesh.base_color))).astype(int) for mesh in (made, again))
    assert np.abs(one - other).mean() < 1.5
    followed = pipeline.retexture("a red mushroom", replace(canvas, follow=True), seed=5, **how)
    assert not np.array_equal(np.asarray(Image.open(io.BytesIO(followed.base_color))), other)
    with pytest.raises(BadRequest, match="no extent"):
        pipeline.retexture("a red mushroom", replace(canvas, vertices=0 * made.vertices))


def test_a_mesh_says_how_well_its_prompt_was_known(pipeline) -> None:
    usual, strange = make(pipeline, ["a red mushrom", "a portrait of an old man"])
    assert usual.familiarity["read_as"] == {"mushrom": "mushroom"} and usual.familiarity["familiar"]
    assert usual.notes == ["Read “mushrom” as “mushroom”."]
    assert not strange.familiarity["familiar"] and set(strange.familiarity["things"]) == {"mushroom", "rock"}
    assert strange.familiarity["set_aside"] == ["portrait of"] and "“an old man” is not one" in strange.notes[0]


def test_glass_and_glow_are_the_material_s(pipeline) -> None:
    plain, glass, glowing = make(pipeline, ["a mushroom", "a glass mushroom", "a glowing mushroom"])
    assert (plain.transmission, plain.emission) == (0.0, 0.0)
    assert glass.transmission == 1.0 and (glass.roughness, glass.metallic, glass.metallic_roughness) == (0.05, 0.0, None)
    assert glowing.emission > 1 and glowing.base_color == plain.base_color  # what it is painted with is the model's
    assert glass.familiarity["familiar"] and not glass.notes and not glowing.notes and glass.prompt == "a glass mushroom"


def test_strictness_refuses_before_the_networks_run(pipeline) -> None:
    stages = []
    with pytest.raises(Unfamiliar, match="“a dragon” is not one of the things"):
        make(pipeline, ["a dragon", "a rock"], strict=True, progress=lambda stage, *_: stages.append(stage))
    assert stages == ["text"]


def stream(pipeline: Latte3DPipeline, prompts: list[str], **settings) -> Iterator[Made | Failed]:
    return pipeline.stream(prompts, **({"detail": "draft", "resolution": 64, "texture_size": 256} | settings))


def test_what_cannot_be_made_fails_alone(pipeline, monkeypatch) -> None:
    """A strange thing, a prompt without words, an empty surface, no memory, an error that nobody foresaw; the rest is made."""
    faults = {"a green rock": EmptySurfaceError("nothing"), "a big rock": MemoryError(), "a red rock": ZeroDivisionError("x / 0")}

    def make_surface(*given, **named):
        if fault := faults.get(prompts[seen[-1]]):
            raise fault
        return genuine(*given, **named)

    genuine, seen = textured.make_surface, []
    monkeypatch.setattr(textured, "make_surface", make_surface)
    prompts = ["a rock", "a dragon", "🍄", *faults, "a mushroom"]
    done = []
    count = lambda stage, steps, total: (seen.append(steps // 7), done.append((steps, total)))  # noqa: E731
    outcomes = list(stream(pipeline, prompts, strict=True, progress=count))
    assert [outcome.index for outcome in outcomes] == list(range(7))
    assert [outcome.mesh.prompt for outcome in outcomes if isinstance(outcome, Made)] == ["a rock", "a mushroom"]
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    assert [error.code for error in errors] == ["unfamiliar", "bad_request", "internal", "out_of_memory", "internal"]
    assert errors[2].cause == "Its surface is empty." and all(error.message and error.remedy for error in errors)
    assert done == sorted(done) and done[-1] == (48, 49)


def test_what_a_graphics_card_cannot_hold_is_made_by_the_processor(pipeline, monkeypatch, capsys) -> None:
    """Once more and no oftener, and each object anew: the card may have room for the next."""
    plain = make(pipeline, ["a red mushroom", "a rock"])
    made, asked = pipeline.made, []

    def full_the_first_time(*given):
        asked.append(given)
        if len(asked) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore words")
        return made(*given)

    monkeypatch.setattr(pipeline, "made", full_the_first_time)
    first, second = make(pipeline, ["a red mushroom", "a rock"])
    assert first.notes == [CARD_TOO_SMALL, *plain[0].notes] and second.notes == plain[1].notes and len(asked) == 2
    for one, other in zip((first, second), plain, strict=True):
        assert np.array_equal(one.vertices, other.vertices) and one.base_color == other.base_color and one.model == other.model
    assert capsys.readouterr().err.strip() == "The card has too little memory: CUDA out of memory. Tried to allocate 2.00 GiB."
    spare = pipeline._spare
    assert spare.generator is not pipeline.generator and spare.device.type == "cpu"
    (failed,) = fails_with(pipeline, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 B."), monkeypatch)
    assert failed.error.code == "out_of_memory" and pipeline._spare is spare  # the processor's own memory: there is no other
    monkeypatch.setattr(spare, "made", full_the_first_time)
    asked.clear()
    (failed,) = fails_with(pipeline, RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), monkeypatch)
    assert failed.error.code == "out_of_memory" and len(asked) == 1


def fails_with(pipeline: Latte3DPipeline, error: Exception, monkeypatch) -> list[Made | Failed]:
    def made(*given):
        raise error

    monkeypatch.setattr(pipeline, "made", made)
    return list(stream(pipeline, ["a rock"]))


def test_the_first_object_comes_before_the_second_is_begun(pipeline) -> None:
    begun = []
    outcomes = stream(pipeline, ["a rock", "a mushroom"], progress=lambda stage, *_: begun.append(stage))
    assert isinstance(next(outcomes), Made) and begun == list(ALL_STAGES)
    with pytest.raises(BadRequest):
        stream(pipeline, ["a rock"], resolution=100)  # before anybody asks for the first object


def test_a_style_is_z_itself(pipeline) -> None:
    z = style_of([5])[0].tolist()
    styles = [z, None, [0.0] * 8]
    by_style, by_seed, typical = (outcome.mesh for outcome in stream(pipeline, ["a rock"] * 3, seeds=[0, 5, 5], styles=styles))
    assert np.array_equal(by_style.vertices, by_seed.vertices) and by_style.style == tuple(z) and by_seed.style is None
    assert not np.array_equal(typical.vertices, by_seed.vertices)
    assert np.array_equal(typical.vertices, next(stream(pipeline, ["a rock"])).mesh.vertices)
    with pytest.raises(BadRequest, match="8 numbers"):
        stream(pipeline, ["a rock"], styles=[[1.0]])


def test_a_strange_thing_is_made_as_the_nearest_known_one(pipeline) -> None:
    (guessed,), (meant,) = (make(pipeline, [prompt], seeds=1) for prompt in ("a red mountain", "a red rock"))
    assert guessed.familiarity["read_as"] == {"mountain": "rock"}
    assert guessed.prompt == "a red mountain" and np.array_equal(guessed.vertices, meant.vertices)


def test_the_same_request_gives_the_same_bits(pipeline) -> None:
    a, b = (make(pipeline, ["a red mushroom", "a rock"], seeds=[1, 2]) for _ in range(2))
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one.vertices, other.vertices) and np.array_equal(one.uvs, other.uvs)
        assert one.base_color == other.base_color and one.height_m == other.height_m


def test_another_batch_gives_the_same_object(pipeline) -> None:
    together, alone = make(pipeline, ["a red mushroom", "a tall gray rock"])[1], make(pipeline, ["a tall gray rock"])[0]
    assert together.height_m == pytest.approx(alone.height_m, rel=1e-4)
    np.testing.assert_allclose(together.vertices.min(0), alone.vertices.min(0), atol=1e-3)


def test_seeds_and_shapes_change_the_object(pipeline) -> None:
    (typical,), (other,) = make(pipeline, ["a rock"]), make(pipeline, ["a rock"], seeds=4)
    assert not np.array_equal(typical.vertices, other.vertices)
    exact = ExactObjects([Description("mushroom")], torch.zeros(1, 8))
    cloud = torch.cat(exact.sample_surface(2048, torch.Generator().manual_seed(0)), -1)
    (restyled,) = make(pipeline, ["a rock"], clouds=cloud)
    assert not np.array_equal(typical.vertices, restyled.vertices)


def test_clouds_that_do_not_fit_are_refused(pipeline) -> None:
    for shape in ((2, 64, 6), (1, 64, 3), (64, 6)):
        with pytest.raises(BadRequest, match="do not fit 1 prompts"):
            make(pipeline, ["a rock"], clouds=torch.zeros(shape))


def test_a_model_of_another_text_encoder_is_refused(pipeline, tmp_path) -> None:
    pipeline.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["generator"]["text_width"] = 512
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingWeights, match="does not fit"):
        Latte3DPipeline.from_pretrained(tmp_path, "cpu")


def test_a_triangle_target_is_kept(pipeline) -> None:
    (mesh,) = make(pipeline, ["a red mushroom"], triangles=600)
    assert len(mesh.triangles) <= 660 and mesh_health(mesh.vertices, mesh.triangles)["closed"]
    assert not any("triangles" in note for note in mesh.notes)


def test_a_triangle_target_that_is_missed_is_a_note() -> None:
    """Of the shipped model, whose chair has legs that would go first."""
    shipped = Latte3DPipeline.from_pretrained(Path(__file__).parents[2] / "core" / "weights" / "starter", "cpu")
    (mesh,) = shipped(["a wooden chair"], detail="draft", triangles=16)
    assert mesh.notes == [f"{len(mesh.triangles)} triangles instead of 16: fewer would have lost parts of its shape."]


@pytest.mark.parametrize(
    ("prompt", "says"), [("", "empty"), ("🍄", "no words"), ("x" * 513, "513 characters"), ("a red\0 mushroom", "no text")]
)
def test_unusable_prompts_are_refused(pipeline, prompt: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        pipeline(["a rock", prompt])


def test_a_detail_gives_the_sizes_and_each_size_that_is_given_overrides_it(pipeline) -> None:
    meshes = {detail: pipeline(["a red mushroom"], detail=detail, resolution=96)[0] for detail in DETAILS}
    (untold,), (overridden,) = pipeline(["a red mushroom"], resolution=96), pipeline(["a red mushroom"], detail="draft", triangles=500)
    assert np.array_equal(untold.vertices, meshes["standard"].vertices) and untold.detail == "standard"
    counts = [len(mesh.triangles) for mesh in meshes.values()]
    assert 2500 < counts[0] <= 3200 < counts[1] <= 12_600 < counts[-1] and len(overridden.triangles) <= 530
    sizes = [Image.open(io.BytesIO(mesh.base_color)).width for mesh in meshes.values()]
    assert sizes == [detail.texture_size for detail in DETAILS.values()]


@pytest.mark.parametrize("sizes", [{"resolution": 100}, {"texture_size": 0}, {"triangles": 3}, {"detail": "finest"}])
def test_impossible_sizes_are_refused(pipeline, sizes: dict) -> None:
    with pytest.raises(BadRequest, match=next(iter(sizes)).replace("_", " ")):
        make(pipeline, ["a rock"], **sizes)


def test_emoji_and_foreign_words_are_no_crash(pipeline) -> None:
    (mesh,) = make(pipeline, ["ein roter Pilz 🍄 赤いキノコ"])
    assert len(mesh.triangles)


def test_wrong_seeds_and_devices_are_refused(pipeline) -> None:
    for seeds in ([1], -1):
        with pytest.raises(BadRequest):
            pipeline(["a rock", "a rock"], seeds=seeds)
    with pytest.raises(BadRequest, match="toaster"):
        Latte3DPipeline.from_pretrained("nowhere", "toaster")
    with pytest.raises(MissingWeights, match="nowhere"):
        Latte3DPipeline.from_pretrained("nowhere", "cpu")


def test_warming_up_leaves_nothing_behind_and_can_be_ended(pipeline) -> None:
    asked = []
    pipeline.warm_up(lambda: bool(asked.append(1)))
    assert len(asked) > 5 and "fast_simplification" in sys.modules  # what a click at the default uses
    asked.clear()
    pipeline.warm_up(lambda: not asked.append(1))
    assert len(asked) == 1


@pytest.mark.parametrize("wanted", ALL_STAGES[:-1])
def test_a_cancel_is_heard_after_every_stage(pipeline, wanted: str) -> None:
    reached = []
    with pytest.raises(Cancelled):
        make(pipeline, ["a rock"], progress=lambda stage, *_: reached.append(stage), cancelled=lambda: wanted in reached)
    assert reached[-1] == wanted


@pytest.mark.parametrize("stage", ["decode", "bake"])
@pytest.mark.parametrize("detail", ["draft", "standard", "full"])
def test_a_cancel_is_heard_in_every_stage(stage: str, detail: str) -> None:
    """Within the stages that ask a field for many points: it is asked no more, once somebody wants to stop."""
    asked = {"decode": 0, "bake": 0}

    def distance(points: torch.Tensor) -> torch.Tensor:
        asked["decode"] += 1
        return points.norm(dim=-1) - 0.4

    def look(points: torch.Tensor) -> torch.Tensor:
        asked["bake"] += 1
        return (20 * torch.cat((points, points[:, :2]), -1)).sin() / 2 + 0.5

    watch = textured.Watch(cancelled=lambda: asked[stage] > 0)
    with pytest.raises(Cancelled):
        textured.textured_mesh(distance, look, DETAILS[detail], height_m=1.0, watch=watch)
    assert asked[stage] == 1


def test_a_foreign_text_encoder_is_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"not the published weights")
    monkeypatch.syspath_prepend(tmp_path.parent)
    monkeypatch.setattr(text, "EMBEDDED", tmp_path.name)
    with pytest.raises(MissingWeights, match="SHA-256"):
        text.TextEncoder()
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(MissingWeights, match="incomplete"):
        text.TextEncoder()


def test_embeddings_do_not_depend_on_company() -> None:
    encoder = text.TextEncoder()
    alone = encoder(["a red mushroom"])[0]
    encoder.forget()
    tokens, mask = encoder(["a very tall and thin wooden chair with a cushion", "A red mushroom "])
    assert mask.sum(1).tolist()[1] == alone.shape[1]
    torch.testing.assert_close(tokens[1, mask[1]], alone[0], atol=1e-5, rtol=1e-4)


def test_two_prompts_are_blended(pipeline) -> None:
    """Of nothing and of all of another prompt come the two objects themselves, of half something else."""
    red, rock = make(pipeline, ["a red mushroom", "a rock"])
    none, half, all_of_it = (make(pipeline, ["a red mushroom"], blend=("a rock", share))[0] for share in (0.0, 0.5, 1.0))
    assert np.array_equal(none.vertices, red.vertices) and np.allclose(all_of_it.height_m, rock.height_m)
    assert half.vertices.shape != red.vertices.shape or not np.array_equal(half.vertices, red.vertices)
    for wrong in (-0.1, 1.5, "much"):
        with pytest.raises(BadRequest, match="not a number from 0 to 1"):
            make(pipeline, ["a rock"], blend=("a red mushroom", wrong))


def test_adherence_is_asked_of_models_that_know_it_with_a_shape(pipeline) -> None:
    cube = torch.rand(1, 512, 6) - 0.5
    loose, close = (make(pipeline, ["a rock"], clouds=cube, adherence=alpha)[0] for alpha in (0.0, 1.0))
    assert loose.vertices.shape != close.vertices.shape or not np.array_equal(loose.vertices, close.vertices)
    with pytest.raises(BadRequest, match="needs a shape"):
        make(pipeline, ["a rock"], adherence=0.5)
    with pytest.raises(BadRequest, match="adherence '2'.*from 0 to 1"):
        make(pipeline, ["a rock"], clouds=cube, adherence=2)
    knowing, pipeline.generator.adherence = pipeline.generator.adherence, None
    try:
        with pytest.raises(BadRequest, match="trained without adherence"):
            make(pipeline, ["a rock"], clouds=cube, adherence=0.5)
    finally:
        pipeline.generator.adherence = knowing
