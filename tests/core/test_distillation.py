# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's two stages without five gigabytes of weights: priors that know the answer, each term switched off, tiny priors end to end."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

pytest.importorskip("diffusers")

from core.errors import BadRequest, EngineError
from core.guidance.sds import Distillation
from core.networks.generator import Fields, Generator
from core.networks.presets import PRESETS
from core.networks.storage import ModelCard, read_card, save_generator
from core.training.checkpoint import Checkpoint
from core.training.regularise import mask_loss, share_gradient, tapped
from core.training.run import STRIKES, Run, accelerator_on, learning_rate
from core.training.settings import TrainSettings, complete
from core.training.stage import Stage, StageSettings
from core.training.stages.distilling import VolumeSettings
from core.training.stages.geometry import Geometry, GeometrySettings
from core.training.stages.texture import Teacher, Texture, TextureSettings
from tests.conftest import ROOT
from tests.core import exact
from tests.core.boxes import make_boxes
from tests.core.exact import EIGHT, ExactDrawing, Numbers, Thing, exact_prior
from tests.core.guidance import tiny

QUICK = {"size": exact.SIZE, "warmup": 20, "average": 0.0, "prompts": 8, "rate": 1e-3}
SOFT = {"size": 8, "sharpness": (30.0, 80.0)}  # few pixels, and a surface that more of their rays feel
VOLUME = {"rays": VolumeSettings(20, 10, 4), "viewpoints": exact.VIEWPOINTS, "slopes": 128, "prompt_rate": 1.0}


def fresh(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(PRESETS["tiny"])


def teach(stage: Stage, steps: int) -> None:
    """As a Run does, without its files."""
    s = stage.settings
    groups = [{"params": list(parameters), "of_rate": share} for parameters, share in stage.rates()]
    optimizer = torch.optim.AdamW(groups, s.rate, betas=s.betas, weight_decay=s.weight_decay)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["of_rate"] * learning_rate(s.rate, s.final_rate, s.warmup, step, step / steps)
        stage.losses(stage.batch(step, step / steps))["total"].backward()
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def made(generator: Generator, drawing: ExactDrawing, rows: list[int], alpha: float | None = None) -> Fields:
    """What a generator makes of prompts: out of the dummy or, with an α, out of their clouds."""
    subjects = drawing.subjects(torch.tensor(rows))
    if alpha is None:
        return generator(subjects.tokens, subjects.mask, subjects.z)
    return generator(subjects.tokens, subjects.mask, subjects.z, subjects.cloud, torch.full((len(rows),), alpha))


@pytest.fixture(scope="module")
def distilled() -> tuple[Generator, ExactDrawing]:
    """A generator after stage 1 with the exact prior, from a sphere, eight prompts at once."""
    generator, drawing = fresh(), ExactDrawing(EIGHT, 512)
    settings = GeometrySettings(**QUICK, **VOLUME, batch=4, alpha=0.0, alpha_least=0.0)
    teach(Geometry(settings, generator, exact_prior(EIGHT), Numbers(), drawing, seed=0), 240)
    return generator, drawing


@pytest.mark.slow
def test_stage_1_finds_eight_shapes_at_once(distilled) -> None:
    generator, drawing = distilled
    iou, slope, error = exact.measured(generator, made(generator, drawing, list(range(8))), EIGHT)
    assert iou.mean() >= 0.85, iou
    assert ((slope > 0.7) & (slope < 2)).all(), "the distance is one: neither flat nor steep"
    assert error.mean() < 0.12, "colours come along"


@pytest.mark.slow
def test_stage_2_finds_the_colours_on_surfaces_that_stand_still(distilled) -> None:
    generator, drawing = distilled
    other = [replace(thing, color=EIGHT[(i + 3) % 8].color) for i, thing in enumerate(EIGHT)]  # not those of stage 1
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    settings = TextureSettings(**QUICK | {"size": 24, "rate": 2e-3}, batch=4, cells=32, views=2, real=0.0, viewpoints=exact.VIEWPOINTS)
    stage = Texture(settings, generator, [Teacher(exact_prior(other, 24), Numbers())], drawing, seed=0)
    shapes = made(generator, drawing, list(range(8))).geometry
    teach(stage, 80)
    fields = made(generator, drawing, list(range(8)))
    assert exact.measured(generator, fields, other)[2].mean() <= 0.05
    assert fields.texture.shape[-1] == 2 * fields.geometry.shape[-1] and torch.equal(fields.geometry, shapes)
    frozen = [k for k in before if not k.startswith(("T.", "texture.", "upsampler."))]
    assert all(torch.equal(generator.state_dict()[k], before[k]) for k in frozen)


LARGE, SMALL = (Thing((half,) * 3, exact.COLORS[0], round=True) for half in (0.42, 0.22))


def test_an_object_keeps_to_its_shape_by_alpha() -> None:
    """The prior wants a large ball, the library's shape is a small one. Fails without L_reg, and where the network is not told of α."""
    generator, drawing = fresh(), ExactDrawing([LARGE], 512, shapes=[SMALL])
    settings = GeometrySettings(**QUICK | SOFT | {"rate": 2e-3}, **VOLUME, batch=4, alpha=1.0, anneal_from=1.0)
    teach(Geometry(settings, generator, exact_prior([LARGE], 8), Numbers(), drawing, seed=0), 80)
    own = {alpha: made(generator, drawing, [0], alpha) for alpha in (0.0, 0.95)}
    large, small = ({a: float(exact.measured(generator, f, [thing])[0]) for a, f in own.items()} for thing in (LARGE, SMALL))
    assert large[0.0] > 0.5 and large[0.0] > large[0.95] + 0.25, (large, small)
    assert small[0.95] > 0.5 and small[0.95] > small[0.0] + 0.25, (large, small)


@pytest.mark.slow
def test_annealing_makes_the_dummy_enough() -> None:
    """Two prompts that read nearly alike, and clouds that tell them apart: whoever has only seen real clouds does not make the objects out
    of the sphere. By the classic gradient of score distillation."""
    ious, things = {}, [LARGE, replace(SMALL, color=exact.COLORS[1])]
    for anneal_from in (0.3, 1.0):
        generator, drawing = fresh(), ExactDrawing(things, 512, shapes=things)
        drawing.tokens = drawing.tokens[:1] + 0.12 * drawing.tokens
        settings = GeometrySettings(**QUICK | SOFT, **VOLUME, batch=2, alpha=0.0, anneal_from=anneal_from, real=0.0)
        prior = exact_prior(things, 8, Distillation("sds", scale=1.0, rescale=0.0))
        teach(Geometry(settings, generator, prior, Numbers(), drawing, seed=0), 140)
        ious[anneal_from] = [float(exact.measured(generator, made(generator, drawing, [0, 1], a), things)[0].mean()) for a in (None, 0.0)]
    (annealed, _), (dummy, cloud) = ious[0.3], ious[1.0]
    assert annealed > 0.7 and cloud > 0.7 and annealed > dummy + 0.15, ious


def test_a_batch_follows_from_its_step_and_the_seed() -> None:
    drawing = ExactDrawing(EIGHT, 512, shapes=EIGHT)
    settings = GeometrySettings(**QUICK, **VOLUME, batch=4)
    one, two = (Geometry(settings, fresh(seed), exact_prior(EIGHT), Numbers(), drawing, seed=3) for seed in (0, 1))
    a, b, other = one.batch(7, 0.7), two.batch(7, 0.7), one.batch(8, 0.7)
    assert a.drawn.subjects.prompts == b.drawn.subjects.prompts
    assert torch.equal(a.alpha, b.alpha) and torch.equal(a.views.azimuth, b.views.azimuth)
    assert not torch.equal(a.views.azimuth, other.views.azimuth)
    seeds = [[rng.initial_seed() for rng in batch.rngs()] for batch in (a, b, other)]
    assert seeds[0] == seeds[1] and not set(seeds[0]) & set(seeds[2]) and len(set(seeds[0])) == 4
    shares = [one.batch(0, share).dummies for share in (0.0, 0.5, 0.7, 0.9, 1.0)]
    assert shares[0] == shares[1] == 0 and shares == sorted(shares) and shares[-1] == pytest.approx(0.9), "a floor of real clouds stays"


def test_prompts_without_a_shape_are_not_kept_to_one() -> None:
    stage = Geometry(
        GeometrySettings(**QUICK, **VOLUME, alpha_least=0.9), fresh(), exact_prior(EIGHT), Numbers(), ExactDrawing(EIGHT, 512), 0
    )
    assert not stage.batch(0, 0.0).alpha.any() and not stage.batch(0, 0.0).heard.any()


def test_alpha_follows_how_well_a_shape_is_said_to_fit() -> None:
    drawing = ExactDrawing(EIGHT, 512, shapes=EIGHT)
    settings = GeometrySettings(**QUICK, **VOLUME, batch=4, alpha=0.8, alpha_least=0.2, alpha_by="texts", anneal_from=1.0)
    stage = Geometry(settings, fresh(), exact_prior(EIGHT), Numbers(), drawing, 0)
    by_chance = Geometry(replace(settings, alpha_by="chance"), fresh(), exact_prior(EIGHT), Numbers(), drawing, 0).batch(0, 0.0).alpha
    assert torch.equal(stage.batch(0, 0.0).alpha, by_chance) and by_chance.std() > 0, "replayed objects have no names: it is drawn"
    fit, own = torch.tensor([0.0, 0.5, 1.0, 0.25]), drawing.draw
    drawing.draw = lambda step, numbers: replace(own(step, numbers), fit=lambda: fit)
    batch = stage.batch(0, 0.0)
    assert batch.alpha.tolist() == batch.heard.tolist() == pytest.approx([0.2, 0.5, 0.8, 0.35])
    drawing.draw = lambda step, numbers: replace(own(step, numbers), fit=lambda: fit, shaped=fit > 0.3)
    assert stage.batch(0, 0.0).alpha.tolist() == pytest.approx([0.0, 0.5, 0.8, 0.0]), "without a shape there is no α"


def test_gradients_are_shared_out_and_measured() -> None:
    """(1 − α) of the prior's, α of the mask's, each with its own norm for the report."""
    values, alpha = torch.rand(2, 1, 4, 4, requires_grad=True), torch.tensor([0.25, 1.0])
    shared, norm = tapped(share_gradient(values, 1 - alpha))
    torch.testing.assert_close(shared, values)
    shared.sum((1, 2, 3)).mean().backward()
    torch.testing.assert_close(values.grad, (1 - alpha).view(2, 1, 1, 1).expand_as(values) / 2)
    assert float(norm) == pytest.approx(4), "of each object's own loss"
    assert float(mask_loss(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), alpha)) == pytest.approx(0.625)


class Shaky(Stage):
    """A stage whose losses are no numbers at some steps."""

    name, shown = "shaky", ()

    def __init__(self, wrong: set[int], steps: int):
        self.settings, self.wrong, self.part = StageSettings(steps=steps), wrong, nn.Linear(2, 1)

    def parts(self) -> dict[str, nn.Module]:
        return {"part": self.part}

    def batch(self, step: int, share: float) -> Tensor:
        return torch.full((1, 2), float("nan") if step in self.wrong else 1.0)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        return {"total": self.part(batch).square().sum()}


def test_steps_of_no_numbers_are_skipped_and_stop_a_training_that_has_only_such(tmp_path) -> None:
    facts = []
    run = Run(Shaky({2, 5}, 8), accelerator_on("cpu"), Checkpoint(tmp_path / "a.safetensors", {}), keep=lambda parts, f: facts.append(f))
    assert run.go() and facts[-1]["skipped"] == 2 and run.progress.step == 8
    assert all(p.isfinite().all() for p in run.parts["part"].parameters())
    path = tmp_path / "b.safetensors"
    run = Run(Shaky(set(range(3, 99)), 99), accelerator_on("cpu"), Checkpoint(path, {}), checkpoint_minutes=0)
    with pytest.raises(EngineError, match=f"stopped at step {3 + STRIKES}.*total") as caught:
        run.go()
    assert caught.value.code == "internal" and all(v.isfinite().all() for v in load_file(path).values())


def test_losses_and_pictures_go_to_tensorboard(tmp_path) -> None:
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def keep(parts: dict[str, nn.Module], facts: dict) -> Path:
        Image.new("RGB", (8, 4), "red").save(tmp_path / "so far.png")
        return tmp_path / "so far.png"

    drawing = ExactDrawing(EIGHT, 512, shapes=EIGHT)
    few = QUICK | VOLUME | {"size": 4, "rays": VolumeSettings(6, 3, 2), "slopes": 16, "steps": 2, "batch": 2}
    stage = Geometry(GeometrySettings(**few), fresh(), exact_prior(EIGHT, 4), Numbers(), drawing, seed=0)
    Run(stage, accelerator_on("cpu"), Checkpoint(tmp_path / "c.safetensors", {}), keep=keep, logs=tmp_path / "logs").go()
    events = EventAccumulator(str(tmp_path / "logs")).Reload()
    named = ("total", "guidance", "mask", "eikonal", "gradient_guidance", "gradient_mask", "alpha", "dummy")
    assert {f"geometry/{name}" for name in named} <= set(events.Tags()["scalars"]) and events.Tags()["images"] == ["geometry/preview"]
    found = {name: events.Scalars(f"geometry/{name}")[-1].value for name in ("gradient_guidance", "gradient_mask", "alpha")}
    assert all(value > 0 for value in found.values()), "norms are those of the step that is reported"
    (image,) = events.Images("geometry/preview")
    assert (image.step, image.width, image.height) == (2, 8, 4)


# Tiny priors, end to end ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("priors")
    (home / "boxes").mkdir()
    return {
        "library": make_boxes(home / "boxes", cloud=1024),
        "multiview": tiny.prior(home / "multiview", camera=True),
        "depth": tiny.prior(home / "depth", controlnet=True),
    }


FLAGS = ["--preset", "tiny", "--device", "cpu", "--batch", "2", "--steps", "2",
         "--geometry-batch", "2", "--geometry-steps", "4", "--geometry-size", "12",
         "--geometry-rays-coarse", "8", "--geometry-rays-fine", "4", "--geometry-rays-looks", "2",
         "--texture-batch", "2", "--texture-steps", "3", "--texture-size", "16", "--texture-cells", "16"]  # fmt: skip


def command(folders: dict[str, Path], out: Path, *more: str) -> list[str]:
    priors = ["--multiview", str(folders["multiview"]), "--depth", str(folders["depth"])]
    return [str(folders["library"]), "--out", str(out), "--stages", "reconstruction,geometry,texture", *priors, *FLAGS, *more]


def position(out: Path) -> tuple[str, int]:
    from safetensors import safe_open

    try:
        with safe_open(out / "checkpoint" / "state.safetensors", "pt") as file:
            head = json.loads(file.metadata()["run"])
        return head["stage"], head["progress"]["step"]
    except (OSError, KeyError, RuntimeError):  # RuntimeError: it was replaced between two looks of safetensors at it
        return "", 0


QUIETLY = "import sys; from tests.core.test_distillation import quietly; quietly(sys.argv[1:], None)"


def quietly(arguments: list[str], tell) -> Path:
    """A training of these arguments, without the pictures that take longer than it."""
    from core.training.cli import parse
    from core.training.train import train

    return train(replace(parse(arguments), pictures=False), tell)


@pytest.mark.slow
def test_all_stages_end_to_end_killed_and_resumed(folders, tmp_path) -> None:
    """The plan is told first, embeddings are kept in the run's folder, a model comes out; killed in the middle, it ends where an unbroken
    one does, bit for bit."""
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}
    often = command(folders, broken, "--checkpoint-minutes", "0")
    killed = subprocess.Popen([sys.executable, "-c", QUIETLY, *often], cwd=ROOT, env=environment)
    end = time.monotonic() + 600
    while position(broken)[0] != "geometry" or position(broken)[1] < 2:
        assert killed.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert position(broken)[0] == "geometry", "in the middle of it"
    events: list[dict] = []
    for out in (broken, whole):
        quietly(command(folders, out), events.append)
    assert [e["stage"] for e in events if e["event"] == "plan"] == ["geometry", "texture"] * 2
    last = {e["stage"]: e["losses"] for e in events if e["event"] == "progress" and e.get("losses")}
    assert last["reconstruction"]["opacity"] > 0 and last["reconstruction"]["rgb"] > 0, "the paper's Eq. 1 is a part of it"
    a, b = (load_file(out / "checkpoint" / "state.safetensors") for out in (whole, broken))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    sizes, card = read_card(whole)
    assert sizes.texture_upsampling and set(card.training["stages"]) == {"reconstruction", "geometry", "texture"}
    assert list((whole / "embeddings").rglob("*.safetensors"))
    assert card.training["command"].count("--multiview multiview") == 1, "paths of this machine stay here"


def test_what_a_distilled_stage_lacks_is_said_first(folders, tmp_path) -> None:
    plain = TrainSettings(tmp_path, library=str(folders["library"]), preset="tiny", device="cpu")
    for wrong, words in (
        ({"stages": ("geometry",)}, "needs a multiview prior"),
        ({"stages": ("texture",)}, "needs a depth prior"),
        ({"stages": ("geometry",), "multiview": folders["multiview"], "geometry": GeometrySettings(alpha=0.2, alpha_least=0.5)}, "α"),
    ):
        with pytest.raises(BadRequest) as caught:
            complete(replace(plain, **wrong))
        assert words in str(caught.value)
    both = {"stages": ("geometry",), "image": folders["depth"], "multiview": folders["multiview"]}
    with pytest.raises(BadRequest, match="Give one of them"):
        complete(replace(plain, **both))
    from core.training.train import train

    for wrong in (
        {"multiview": folders["depth"], "stages": ("geometry",)}, {"image": folders["multiview"], "stages": ("geometry",)},
        {"depth": folders["multiview"], "stages": ("texture",)},
    ):  # fmt: skip
        with pytest.raises(BadRequest, match=r"no multi-view prior|single pictures"):
            train(replace(plain, **wrong))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_names_that_tell_nothing_are_said_before_any_training(folders, tmp_path) -> None:
    """α by the texts needs names: the starter library has none, and a folder's may be none or all alike."""
    from core.training.train import train

    own = TrainSettings(tmp_path / "model", preset="tiny", device="cpu", stages=("reconstruction", "geometry"),
                        multiview=folders["multiview"], geometry=GeometrySettings(alpha_by="texts"))  # fmt: skip
    told: list[dict] = []
    with pytest.raises(BadRequest, match="--geometry-alpha-by texts goes by the names of a folder's assets. The starter library has none"):
        complete(own)
    for called, words in ((("0001", "0002", "0003", "0004"), "No asset has words in its path"),
                          (("blob_1", "blob_2", "blob_3", "blob_4"), "All names are about as near to any prompt")):  # fmt: skip
        library = make_boxes(tmp_path / called[0], called, cloud=1024)
        with pytest.raises(BadRequest, match=words) as caught:
            train(replace(own, library=str(library)), told.append)
        assert "chance" in caught.value.remedy
    assert not (tmp_path / "model" / "checkpoint").exists() and "reconstruction" not in {event.get("stage") for event in told}


def test_plain_stable_diffusion_is_the_2d_baseline_of_stage_1(folders, tmp_path) -> None:
    few = [flag for name in ("coarse", "fine", "looks") for flag in (f"--geometry-rays-{name}", "4")]
    out = quietly([str(folders["library"]), "--out", str(tmp_path), "--stages", "geometry", "--image", str(folders["depth"]), "--preset",
                   "tiny", "--device", "cpu", "--geometry-batch", "2", "--geometry-steps", "1", "--geometry-size", "8", *few,
                   "--geometry-blend", "0.9"], None)  # fmt: skip
    card = read_card(out)[1]
    assert set(card.training["stages"]) == {"geometry"} and "--image depth" in card.training["command"]


def test_what_is_drawn_depends_on_its_number_alone(folders) -> None:
    """Not on whom it is drawn with: of a folder, of the starter library, and of a mixture."""
    from core.language.encoder import TextEncoder
    from core.library.folder import PreparedFolder
    from core.library.folder_source import FolderSource
    from core.library.source import Sampling
    from core.library.starter.source import StarterSource
    from core.training.subjects import FolderSubjects, MixedSubjects, StarterSubjects

    encoder, dummy = TextEncoder(), fresh().dummy
    folder = FolderSource(PreparedFolder.open(folders["library"]), encoder, Sampling(), 3, torch.device("cpu"), 1.0)
    starter = StarterSource(("rock", "mushroom"), encoder, Sampling(), 3, torch.device("cpu"))
    own, other = FolderSubjects(folder, encoder, dummy, 3), StarterSubjects(starter, encoder, len(dummy), 3, 16)
    points = torch.rand(2, 50, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    for drawing in (own, other, MixedSubjects(own, other, 0.5, 3)):
        four, two = drawing.draw(5, range(20, 24)), drawing.draw(5, range(22, 24))
        assert four.prompts[2:] == two.prompts and torch.equal(four.z[2:], two.z) and torch.equal(four.shaped[2:], two.shaped)
        torch.testing.assert_close(four.cloud[2:], two.cloud, atol=1e-5, rtol=0)
        torch.testing.assert_close(four.distance(torch.cat((points, points)))[2:], two.distance(points), atol=1e-5, rtol=0)
        assert not torch.equal(four.z[0], four.z[2]) or four.prompts[0] != four.prompts[2]


@pytest.mark.slow
def test_an_object_is_refined_kept_and_made_again(folders, tmp_path, capsys) -> None:
    from core.training.refine_cli import main

    generator = fresh()
    with torch.no_grad():
        generator.texture.mlp.last.weight.normal_(0, 0.3)
    save_generator(generator, ModelCard("tiny", ("rock",)), tmp_path / "model")
    out = tmp_path / "rock.glb"
    flags = ["--device", "cpu", "--detail", "draft", "--json"]
    quick = ["--steps", "3", "--size", "16", "--cells", "16", "--rays-coarse", "8", "--rays-fine", "4"]
    priors = ["--multiview", str(folders["multiview"]), "--depth", str(folders["depth"])]
    assert main([str(tmp_path / "model"), "a rock", "--out", str(out), *flags, *quick, *priors]) == 0
    *events, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert {e["event"] for e in events} == {"progress", "preview"} and last["steps"] == 3 and out.is_file()
    assert not list(tmp_path.glob("*.checkpoint.*"))
    kept = load_file(last["planes"])
    assert kept["texture"].shape[-1] == 2 * kept["geometry"].shape[-1]
    again = tmp_path / "again.glb"
    assert main([str(tmp_path / "model"), "--planes", last["planes"], "--out", str(again), *flags]) == 0
    assert again.read_bytes() == out.read_bytes()
    with pytest.raises(BadRequest, match="not clear"):
        main([str(tmp_path / "model"), "--out", str(again)])
