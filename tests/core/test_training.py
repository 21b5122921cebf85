# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: it learns, it resumes as if never interrupted, and training objects come from the train split only."""

import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from core.errors import BadRequest
from core.evaluation import space_stage
from core.evaluation.space_stage import SpaceSettings, SpaceStage
from core.language.encoder import TextEncoder
from core.language.familiarity import FILE
from core.language.words import Words
from core.library.source import BLOCK, Examples, Sampling, share_out
from core.library.starter.objects import Description, ExactObjects
from core.library.starter.parser import parse as read_prompt
from core.library.starter.source import StarterSource
from core.library.starter.splits import split_of, trained_kinds
from core.networks.generator import Generator, TextureField
from core.networks.presets import PRESETS
from core.networks.storage import load_generator
from core.training import run as runs
from core.training.annealing import anneal, dummy_share
from core.training.attributes import AttributeHeads, AttributeTask, PromptPool, reading_losses, vocabularies
from core.training.bank import ObjectBank
from core.training.captions import CaptionTask
from core.training.cli import main, parse
from core.training.losses import LossWeights, look_losses, overlap_loss, sdf_loss, shares_loss, slope_loss
from core.training.options import to_flags
from core.training.settings import TrainSettings, complete
from core.training.stages import reading, reconstruction
from core.training.stages.reading import ReadingSettings, ReadingStage
from core.training.stages.reconstruction import PARTS, Reconstruction, ReconstructionSettings
from core.training.subjects import StarterSubjects
from core.training.train import repeat_command, train
from tests.conftest import ROOT

QUICK = Sampling(kept_points=1024, kept_surface=1024, step_points=512, step_surface=256, cloud_points=512)


def settings(tmp_path, **changes) -> TrainSettings:
    """Eight steps of a tiny network without any reading; what is named reading_… is the reading stage's."""
    own = {f.name: changes.pop(f.name) for f in fields(ReconstructionSettings) if f.name in changes}
    read = {f.name: changes.pop(f"reading_{f.name}") for f in fields(ReadingSettings) if f"reading_{f.name}" in changes}
    plain = TrainSettings(
        tmp_path / "model",
        preset="tiny",
        kinds=("mushroom", "rock"),
        device="cpu",
        pictures=False,
        reading=ReadingSettings(**{"steps": 0, "pool": 64} | read),
        reconstruction=ReconstructionSettings(**{"steps": 8, "batch": 4, "sampling": QUICK} | own),
    )
    return replace(plain, **changes)


class Recorder(TextEncoder):
    """texts: all that it has read."""

    def __init__(self):
        super().__init__()
        self.texts: list[str] = []

    def fresh(self, prompts):
        self.texts.extend(prompts)
        return super().fresh(prompts)


def source(*kinds: str, more: tuple[str, ...] = (), seed: int = 1, encoder: TextEncoder | None = None) -> StarterSource:
    return StarterSource(kinds, encoder or TextEncoder(), QUICK, seed, torch.device("cpu"), more)


def state(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint" / "state.safetensors")


def head(folder) -> dict:
    """What a checkpoint says of itself."""
    with safe_open(folder / "checkpoint" / "state.safetensors", "pt") as file:
        return json.loads(file.metadata()["run"])


@contextlib.contextmanager
def stopped_after(steps: int, monkeypatch):
    """Every run is asked to end after so many steps."""

    class Asked(list):
        checks = 0

        def __len__(self) -> int:
            self.checks += 1
            return self.checks > steps

    with monkeypatch.context() as patch:
        patch.setattr(runs, "stop_signal", lambda: contextlib.nullcontext(Asked()))
        yield


@pytest.mark.parametrize("stage", ["reading", "reconstruction"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path, monkeypatch, stage) -> None:
    """Whatever the stage: what it learnt is kept, and what comes after it is the same to the bit."""
    steps = {"reading_steps": 6, "steps": 3} if stage == "reading" else {"steps": 8}
    whole = train(settings(tmp_path / "whole", **steps))
    with stopped_after(4, monkeypatch):
        broken = train(settings(tmp_path / "broken", **steps))
    assert (head(broken)["stage"], head(broken)["finished"], head(broken)["progress"]["step"]) == (stage, False, 4)
    assert (broken / "config.json").exists() == (stage == "reconstruction"), "before it saw an object there is no model"
    train(settings(tmp_path / "broken", **steps))
    a, b = state(whole), state(broken)
    assert head(whole)["finished"] and head(whole)["progress"]["step"] == head(broken)["progress"]["step"] == steps["steps"]
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("drawn", ["block", "subjects", "captions"])
def test_what_a_step_reads_has_the_same_bits_whatever_was_read_before(drawn) -> None:
    """Texts that are read together differ in their last bits from the same ones read alone, as a preview does it: a resumed run, which
    reads nothing twice, would part from an unbroken one."""

    def tokens(encoder: TextEncoder, steps: tuple[int, ...]) -> torch.Tensor:
        """What the last of the steps reads."""
        starter = source("mushroom", "rock", encoder=encoder)
        captions = [(prompt.text, None) for prompt in starter.prompts("train", 64)]
        subjects = StarterSubjects(starter, encoder, 16, 1, 64)
        task = CaptionTask(captions, encoder, PRESETS["tiny"], 0, torch.device("cpu"))
        draw = {"block": starter.examples, "subjects": lambda n: subjects.draw(n, range(16)), "captions": lambda n: task.batch(n, 48)}
        return [draw[drawn](step).tokens for step in steps][-1]

    new, used = Recorder(), TextEncoder()
    expected = tokens(new, (3,))
    for text in new.texts:
        used([text])
    assert torch.equal(tokens(used, (0, 1, 2, 3)), expected)


def test_training_learns(tmp_path) -> None:
    """From the untrained sphere, sixty steps on one kind must take a third off the distance error."""
    folder = train(settings(tmp_path, kinds=("mushroom",), steps=60, batch=8, sampling=replace(QUICK, foreign=0.0)))
    generator, card = load_generator(folder)
    assert card.kinds == ("mushroom",) and card.training["steps"] == 60
    block = source("mushroom").examples(99)
    with torch.no_grad():
        fields = generator(block.tokens, block.mask, block.z)
        learnt = sdf_loss(generator.sdf(fields.geometry, fields.condition, block.points), block.sdf, 0.1)
        sphere = sdf_loss(block.points.norm(dim=-1) - 0.35, block.sdf, 0.1)
    assert learnt < 0.66 * sphere
    assert (fields.height_m / block.height_m).log().abs().mean() < 0.7


def test_the_upsampler_starts_where_both_networks_ended_and_changes_the_texture_alone(tmp_path) -> None:
    first = train(settings(tmp_path / "first", reading_steps=100, reading_pool=512))  # its paints are what T will mix
    fine = train(settings(tmp_path / "second", parts="upsampler", start_from=first, steps=1, warmup=10**9))  # a rate of nothing
    taught = train(settings(tmp_path / "third", parts="upsampler", start_from=first, steps=60, warmup=1))
    block = source("mushroom").examples(99)
    looks, colors = [], []
    for folder in (first, fine, taught):
        generator, _ = load_generator(folder)
        with torch.no_grad():
            f = generator(block.tokens, block.mask, block.z)
            looks.append((f.geometry, f.condition, f.height_m, generator.texture(f.texture, f.condition, block.surface)))
        colors.append((looks[-1][-1] - block.look).abs().mean())
    torch.testing.assert_close(looks[1][:3], looks[0][:3], atol=0, rtol=0)
    apart = (looks[1][3] - looks[0][3]).abs().flatten()  # twice as fine planes are read at twice as many places
    assert apart.mean() < 2e-3 and apart.kthvalue(len(apart) * 999 // 1000).values < 2e-2
    assert f.texture.shape[-1] == 2 * f.geometry.shape[-1]
    assert all(torch.equal(a, b) for a, b in zip(looks[0][:3], looks[2][:3], strict=True))
    assert colors[2] < 0.95 * colors[0]
    with pytest.raises(BadRequest, match="needs a model to go on from"):
        train(settings(tmp_path, parts="t"))
    third = train(settings(tmp_path / "alone", parts="t", start_from=first, steps=2))
    alone, _ = load_generator(third)
    assert alone.upsampler is None and torch.equal(alone.texture.palette.weight, load_generator(first)[0].texture.palette.weight)
    assert torch.equal(*(state(folder)["heads.0.style.weight"] for folder in (first, third)))


def test_G_alone_gets_more_blocks_and_changes_the_shape_alone(tmp_path, monkeypatch) -> None:
    plain = train(settings(tmp_path / "plain", steps=20, seed=7))
    first = train(settings(tmp_path / "first", parts="upsampler", start_from=plain, steps=1))
    monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], geometry_blocks=(1, 1, 1)))
    deeper = train(settings(tmp_path / "second", parts="g", start_from=first, steps=1, warmup=10**9))  # a rate of nothing
    taught = train(settings(tmp_path / "third", parts="g", start_from=first, steps=40, warmup=1))
    block = source("mushroom").examples(99)
    fields_of, shapes = [], []
    for folder in (first, deeper, taught):
        generator, _ = load_generator(folder)
        with torch.no_grad():
            f = generator(block.tokens, block.mask, block.z)
            shapes.append(generator.sdf(f.geometry, f.condition, block.points))
            fields_of.append((f.condition, f.height_m, generator.texture(f.texture, f.condition, block.surface)))
    torch.testing.assert_close(shapes[1], shapes[0], atol=1e-5, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(fields_of[0], fields_of[2], strict=True))
    assert sdf_loss(shapes[2], block.sdf, 0.1) < 0.95 * sdf_loss(shapes[0], block.sdf, 0.1)
    assert f.texture.shape[-1] == 2 * f.geometry.shape[-1]  # the upsampler is kept
    assert (taught / FILE).read_bytes() == (first / FILE).read_bytes()  # nothing was read anew, with another seed
    textured, _ = load_generator(train(settings(tmp_path / "fourth", parts="t", start_from=first, steps=1)))
    assert textured.config.geometry_blocks == (0, 0, 0)  # T alone leaves G as it is
    with pytest.raises(BadRequest, match="cannot be resumed.*of the parts g, not t"):
        train(settings(tmp_path / "third", parts="t", start_from=first, steps=80))
    with pytest.raises(BadRequest, match="the kinds of its model"):
        train(settings(tmp_path / "fifth", parts="g", start_from=first, kinds=("mushroom",)))


def test_what_insides_share_counts_more_where_there_is_little_inside() -> None:
    points = torch.linspace(-0.5, 0.5, 4001)
    thin, thick = points.abs() - 0.02, points.abs() - 0.2  # slabs
    exact = torch.stack((thin, thick))
    assert overlap_loss(exact, exact) == 0
    for own, half in ((thin, 0.02), (thick, 0.2)):
        grown = overlap_loss((own - 0.005)[None], own[None])
        assert grown == pytest.approx(1 - half / (half + 0.005), abs=0.02)
        shrunk = (own + 0.005)[None].requires_grad_()
        overlap_loss(shrunk, own[None]).backward()
        assert shrunk.grad.sum() > 0  # distances are to fall, so that more is inside


def test_clouds_are_annealed_once(tmp_path, monkeypatch) -> None:
    shares = []
    monkeypatch.setattr(reconstruction, "anneal", lambda objects, dummy, share, g: shares.append(share) or anneal(objects, dummy, share, g))
    first = train(settings(tmp_path / "first", steps=1))
    train(settings(tmp_path / "second", steps=1, start_from=first))
    assert shares == pytest.approx([0.4, 0.9])


def test_training_never_sees_a_held_out_split() -> None:
    encoder = Recorder()
    for number in range(8):
        source("mushroom", "barrel", seed=5, encoder=encoder).examples(number)
    PromptPool(trained_kinds(), encoder, 5, torch.device("cpu"), 300)
    assert len(encoder.texts) == 8 * BLOCK + 300
    assert {split_of(read_prompt(prompt), prompt) for prompt in encoder.texts} == {"train"}
    with pytest.raises(BadRequest, match="Unknown kinds: pear"):
        main(["starter", "--kinds", "mushroom,pear", "--out", "unused"])


def test_a_block_depends_on_its_number_alone() -> None:
    of, another = source("mushroom", "barrel", seed=5), source("mushroom", "barrel", seed=5)
    another.examples(2)
    a, b = of.examples(3), another.examples(3)
    assert torch.equal(a.points, b.points) and torch.equal(a.look, b.look) and torch.equal(a.tokens, b.tokens)
    assert not torch.equal(a.points, of.examples(5).points)


def test_the_starter_is_a_source() -> None:
    """What it says of itself is what any source must say: things, prompts of each split, words, and blocks to draw steps from."""
    own = source("mushroom", "lamppost", "rock", more=("rock",))
    assert own.name == "starter" and own.things == ("mushroom", "lamppost", "rock") and own.round == 4
    for split in ("train", "unseen", "paraphrases"):
        prompts = own.prompts(split, 5)
        assert len(prompts) == 5 and {p.split for p in prompts} == {split} and {p.description.kind for p in prompts} <= set(own.things)
    words = own.words()
    assert isinstance(words, Words) and words.nouns["mushroom"] == "mushroom" and words.nouns["toadstool"] == "mushroom"
    assert set(own.things) < set(words.things), "also those that nobody learns: a pear is no rock"
    assert "wooden" in words.qualities or "wood" in words.qualities
    assert {"red", "tall", "two", "tiny"} <= set(words.opposites) and words.nouns.keys().isdisjoint(words.opposites)


def test_the_bank_works_on_any_source() -> None:
    """One that is no grammar: its blocks come in order, a resumed bank makes none that has left the ring, steps are the same."""

    class Folder:
        name, things, round = "folder", ("pizza",), 2

        def __init__(self):
            self.made, self.one = [], source("rock").examples(0)

        def examples(self, number: int) -> Examples:
            self.made.append(number)
            return replace(self.one, height_m=torch.full((BLOCK,), float(number)))

    quick, first, late = replace(QUICK, reuse=1), Folder(), Folder()
    whole, resumed = ObjectBank(first, quick, 3, capacity=4), ObjectBank(late, quick, 3, capacity=4)
    steps = [whole.batch(step, 16) for step in range(9)]
    again = resumed.batch(8, 16)
    assert first.made == list(range(10)) and late.made == [6, 7, 8, 9]
    assert all(torch.equal(getattr(steps[8], f.name), getattr(again, f.name)) for f in fields(again) if f.name != "pairs")
    assert steps[0].points.shape == (16, QUICK.step_points, 3) and set(again.height_m.tolist()) <= {6.0, 7.0, 8.0, 9.0}


def test_weak_kinds_are_seen_more_often(tmp_path, monkeypatch) -> None:
    made, draw = [], StarterSource._draw

    def recorded(self, rng, kind):
        made.append(kind)
        return draw(self, rng, kind)

    monkeypatch.setattr(StarterSource, "_draw", recorded)
    _, card = load_generator(train(settings(tmp_path, kinds=("mushroom", "barrel"), more=("barrel",), steps=1, batch=2)))
    assert made[:3].count("barrel") == 2 and card.kinds == ("mushroom", "barrel")
    assert "--kinds mushroom,barrel --more barrel" in card.training["command"]


def test_small_parts_are_looked_at_often() -> None:
    """Half of a duck's points are shared out among its four parts, so an eighth lies on the eyes, which are a hundredth of it."""
    duck = ExactObjects([Description("duck")] * 2, torch.zeros(2, 8))
    rng = torch.Generator().manual_seed(1)
    parts = duck.part_at(duck.sample_surface(4096, rng)[0])
    eyes = [(parts.gather(1, share_out(parts, share, rng)) == 3).float().mean() for share in (0.0, 0.5)]
    assert eyes[0] == (parts == 3).float().mean() < 0.03
    assert 0.1 < eyes[1] < 0.15


def test_attributes_of_prompts_are_labelled_right() -> None:
    kinds = ("mushroom", "barrel")
    pool = PromptPool(kinds, TextEncoder(), 3, torch.device("cpu"), 24)
    values = vocabularies(kinds)
    assert set(values) == {f.name for f in fields(Description)}
    prompts = pool.batch(5, 16)
    assert prompts.tokens.shape[:2] == prompts.mask.shape and prompts.labels.shape == (16, len(values))
    for own, length, z, paints in zip(prompts.labels.tolist(), prompts.mask.sum(1).tolist(), prompts.z, prompts.paints, strict=True):
        description = Description(**{name: values[name][i] for name, i in zip(values, own, strict=True)})
        assert split_of(description) == "train" and length > 2
        torch.testing.assert_close(ExactObjects([description], z[None]).paints[0], paints)
    assert all(torch.equal(getattr(pool.batch(5, 16), f.name), getattr(prompts, f.name)) for f in fields(prompts))


def test_metal_is_learnt_by_a_network_that_takes_nothing_for_metal() -> None:
    """One object in eight is of metal: a mean distance is least where none is, and a sigmoid that says so has no slope to leave it by."""
    texture = TextureField(PRESETS["tiny"])
    with torch.no_grad():
        texture.palette.bias.view(-1, 5)[:, 4] = -25
    condition, metal = torch.eye(8, PRESETS["tiny"].condition), torch.eye(8)[0]
    optimizer = torch.optim.Adam(texture.palette.parameters(), 0.2)
    look = torch.cat((torch.full((8, 16, 4), 0.5), metal[:, None, None].expand(8, 16, 1)), -1)
    for _ in range(300):
        optimizer.zero_grad()
        look_losses(texture, torch.zeros(8, 16, texture.count + 3), condition, look)["metallic"].backward()
        optimizer.step()
    torch.testing.assert_close(texture.paints(condition)[..., 4].mean(1), metal, atol=0.1, rtol=0)


def test_reading_comes_before_the_objects(tmp_path) -> None:
    """A hundred steps on prompts alone must take a third off the error of the paints that they name."""
    kinds = ("mushroom", "rock")
    fresh, _ = load_generator(train(settings(tmp_path / "fresh", steps=1, batch=1)))
    reader, _ = load_generator(train(settings(tmp_path / "reader", steps=1, batch=1, reading_steps=100, reading_pool=512)))
    pool = PromptPool(kinds, TextEncoder(), 99, torch.device("cpu"), 64)
    with torch.no_grad():
        before, after = (reading_losses(g, AttributeHeads(g.config, kinds), pool.batch(0, 64))["paints"] for g in (fresh, reader))
    assert after < 0.7 * before


def test_reading_comes_once(tmp_path, monkeypatch) -> None:
    folder = train(settings(tmp_path, steps=1, reading_steps=5))
    monkeypatch.setattr(reading, "task_losses", lambda *_: pytest.fail("it has learnt to read"))
    train(settings(tmp_path, steps=2, reading_steps=5))
    assert head(folder)["stage"] == "reconstruction" and head(folder)["progress"]["step"] == 2


def test_the_paints_that_prompts_name_are_told_apart() -> None:
    exact = torch.tensor([[[1.0, 0, 0, 0], [0, 0, 0, 1.0]]])
    right = torch.tensor([[[30.0, 0, 0, 0, 0, 0], [0, 0, 0, 30, 28, 28]]])  # the rest may be any of the other paints
    assert shares_loss(right, exact) < 1e-6 and shares_loss(right.flip(1), exact) > 20


def test_distances_beyond_the_band_on_the_right_side_cost_nothing() -> None:
    exact = torch.tensor([[0.5, -0.3, 0.5, 0.02]])
    assert sdf_loss(torch.tensor([[0.2, -0.9, 0.11, 0.02]]), exact, 0.1) == 0
    assert sdf_loss(torch.tensor([[-0.2, -0.9, 0.11, 0.02]]), exact, 0.1) > 0
    assert sdf_loss(torch.tensor([[0.05, -0.9, 0.11, 0.02]]), exact, 0.1) > 0


def test_ripples_cost_more_than_an_offset() -> None:
    """Errors of one size: a constant one leaves the slopes right, one that changes from point to point does not."""
    points = torch.rand(1, 200, 3) * 0.1
    points[:, 100:] = points[:, :100] + 0.01
    exact, offset = torch.zeros(1, 200), torch.full((1, 200), 0.003)
    rippled = offset * torch.sin(300 * points[..., 0])
    assert slope_loss(offset, exact, points, 100) < 1e-5 < 0.05 < slope_loss(rippled, exact, points, 100)
    assert slope_loss(rippled, exact + 0.1, points, 100) == 0, "far from the surface nobody sees it"


def test_real_clouds_give_way_to_the_sphere_down_to_the_floor() -> None:
    assert dummy_share(0.0) == pytest.approx(0.4) and dummy_share(0.4) == dummy_share(1.0) == pytest.approx(0.9)
    dummy, alpha = torch.zeros(8, 6), torch.full((4000,), 0.5)
    objects = SimpleNamespace(cloud=torch.ones(4000, 8, 6), adherence=alpha, foreign=torch.zeros(4000, dtype=torch.bool))
    clouds, told = anneal(objects, dummy, 0.85, torch.Generator().manual_seed(0))
    assert 0.12 < clouds[:, 0, 0].mean() < 0.18
    assert torch.equal(told, 0.5 * clouds[:, 0, 0]), "the sphere has no shape to keep to"
    assert anneal(objects, dummy, 1.0, torch.Generator())[0] is None, "the generator reads the dummy once, not once an object"
    objects.foreign[:3] = True
    clouds, told = anneal(objects, dummy, 1.0, torch.Generator())
    assert clouds[:3].eq(1).all() and clouds[3:].eq(0).all() and told[:3].eq(0.5).all(), "what they have of others they must see"


def test_clouds_are_as_large_as_the_input(tmp_path) -> None:
    """A preset may read more points than the bank keeps by default."""
    few = replace(QUICK, cloud_points=128, kept_surface=256)
    train(settings(tmp_path, steps=1, sampling=few))


def test_signals_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with runs.stop_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop == [signal.SIGINT]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


RUN = """
import sys; from pathlib import Path
from core.library.source import Sampling
from core.training.settings import TrainSettings
from core.training.stages.reading import ReadingSettings
from core.training.stages.reconstruction import ReconstructionSettings
from core.training.train import train
quick = ReconstructionSettings(minutes=0.05, batch=2, prompts=4, sampling=Sampling(1024, 1024, 256, 128, 512))
train(TrainSettings(Path(sys.argv[1]), preset="tiny", kinds=("rock",), device="cpu", checkpoint_minutes=0, pictures=False,
                    reading=ReadingSettings(steps=3, batch=8, pool=32), reconstruction=quick))
"""


@pytest.mark.slow
def test_processes_end_together(tmp_path) -> None:
    """The main process alone spends time on checkpoints: by its own clock the other one would be done first, and leave it waiting."""
    (tmp_path / "run.py").write_text(RUN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", tmp_path / "run.py", tmp_path / "model"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert head(tmp_path / "model")["finished"] and head(tmp_path / "model")["progress"]["seconds"] >= 3
    assert load_generator(tmp_path / "model")[1].training["processes"] == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": None, "minutes": -1.0}, "minutes is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"reading_steps": -1}, "reading-steps is -1"),
        ({"kinds": ("mushroom", "unicorn")}, "Unknown kinds: unicorn"),
        ({"more": ("barrel",)}, "Unknown kinds: barrel"),
        ({"preset": "gigantic"}, "preset cannot be 'gigantic'.*tiny"),
        ({"device": "cuda:99"}, "device cannot be 'cuda:99'"),
        ({"library": "assets"}, "no such library.*'assets' is no folder"),
        ({"parts": "both of them"}, "parts cannot be"),
        ({"parts": "t"}, "needs a model to go on from"),
        ({"stages": ("reading", "dancing")}, "no stage 'dancing'.*reading, reconstruction"),
        ({"stages": ("reconstruction", "geometry")}, "needs a multiview prior"),
    ],
)
def test_settings_that_cannot_train_are_refused(tmp_path, changes, says) -> None:
    with pytest.raises(BadRequest, match=says):
        train(settings(tmp_path, **changes))
    assert not list(tmp_path.iterdir())


def test_a_run_with_other_settings_is_not_resumed(tmp_path) -> None:
    folder = train(settings(tmp_path, steps=1))
    others = [
        ({"kinds": ("rock",)}, "of the kinds mushroom, rock, not rock"),
        ({"kinds": ("mushroom", "barrel")}, "of the kinds mushroom, rock, not mushroom, barrel"),  # as many: all sizes fit
        ({"kinds": ("rock", "mushroom")}, "of the kinds mushroom, rock, not rock, mushroom"),
        ({"preset": "starter"}, "of the preset tiny, not starter"),
        ({"stages": ("reading",), "reading_steps": 5}, "in the stage reconstruction; asked for: reading"),
    ]
    before = (folder / "checkpoint" / "state.safetensors").read_bytes()
    for changes, says in others:
        with pytest.raises(BadRequest, match=f"cannot be resumed.*{says}") as caught:
            train(settings(tmp_path, **changes))
        assert str(folder) in str(caught.value)
    assert (folder / "checkpoint" / "state.safetensors").read_bytes() == before
    with pytest.raises(BadRequest, match="does not fit the preset starter"):
        train(settings(tmp_path / "new", preset="starter", start_from=folder))
    (folder / "checkpoint" / "state.safetensors").write_bytes(b"cut")
    with pytest.raises(BadRequest, match="cannot be resumed.*damaged"):
        train(settings(tmp_path))
    with pytest.raises(BadRequest, match="checkpoint beside the model .* is damaged"):
        train(settings(tmp_path / "new", start_from=folder))


def test_a_checkpoint_of_an_earlier_version_is_refused_and_its_model_and_heads_are_not(tmp_path) -> None:
    folder = train(settings(tmp_path, steps=1))
    now = state(folder)
    earlier = {k.replace("average.generator.", "average."): v for k, v in now.items() if k.startswith(("average.generator.", "heads."))}
    save_file(earlier | {"progress": torch.zeros(3)}, folder / "checkpoint" / "state.safetensors", {"phase": "both"})
    with pytest.raises(BadRequest, match="cannot be resumed.*Another version.*--from"):
        train(settings(tmp_path, steps=2))
    next_one = train(settings(tmp_path / "next", steps=1, start_from=folder, warmup=10**9))
    assert torch.equal(state(next_one)["heads.0.style.bias"], now["heads.0.style.bias"])


def test_flags_are_the_fields() -> None:
    """Every option is a flag with its default and its help; settings are what the flags give, and give the flags back."""
    plain = parse(["starter", "--out", "model"])
    assert plain == TrainSettings(out=plain.out)
    flags = ["--preset", "tiny", "--stages", "reconstruction", "--from", "earlier", "--kinds", "mushroom,rock", "--seed", "3",
            "--reading-steps", "7", "--minutes", "2.5", "--parts", "t"]  # fmt: skip
    given = parse(["starter", "--out", "model", *flags])
    assert given.kinds == ("mushroom", "rock") and given.reading.steps == 7 and given.reconstruction.parts == "t"
    assert given.reconstruction.steps is None and given.reconstruction.minutes == 2.5 and str(given.start_from) == "earlier"
    assert to_flags(given) == flags
    with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
        parse(["--help"])
    for stage, prefix in ((ReadingSettings, "--reading-"), (ReconstructionSettings, "--")):
        assert all(prefix + f.name.replace("_", "-") in shown.getvalue() for f in fields(stage) if "help" in f.metadata)
    assert repeat_command(given) == "python -m core train starter " + " ".join(flags)


def test_what_is_left_open_is_filled_in(tmp_path) -> None:
    usual = complete(parse(["starter", "--out", "model", "--minutes", "20"]))
    assert usual.stages == ("reading", "reconstruction") and usual.reading.steps == 500 and usual.kinds == tuple(trained_kinds())
    assert complete(parse(["starter", "--out", "model", "--reading-steps", "0"])).stages == ("reconstruction",)
    folder = train(settings(tmp_path, steps=1))
    alone = complete(parse(["starter", "--out", "model", "--preset", "tiny", "--parts", "t", "--from", str(folder)]))
    assert alone.stages == ("reconstruction",) and alone.kinds == ("mushroom", "rock") and alone.reconstruction.sampling.patterned == 0.7
    with pytest.raises(BadRequest, match="been through the stage reading"):
        complete(replace(alone, stages=("reading", "reconstruction")))


@pytest.mark.slow
def test_one_script_makes_a_model_from_nothing(tmp_path, monkeypatch, capsys) -> None:
    """The trainings of the shipped model, in their order, at a tiny scale; stopped in the third, the same call goes on there."""
    spec = importlib.util.spec_from_file_location("make_starter", ROOT / "docs" / "experiments" / "make_starter.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_starter", script)  # where its dataclass looks for itself
    spec.loader.exec_module(script)
    small = "--steps 2 --reading-steps 2 --reading-pool 32 --kinds mushroom,rock --more rock --batch 2 --device cpu"
    call = ["--out", str(tmp_path), "--preset", "tiny", "--", *small.split()]
    order, stopping, made = [], True, script.train

    def recorded(flags) -> int:
        order.append(Path(flags[flags.index("--out") + 1]).name)
        with stopped_after(1, monkeypatch) if stopping and order[-1] == "shapes" else contextlib.nullcontext():
            return made(flags)

    monkeypatch.setattr(script, "train", recorded)
    assert script.main(call) == 1 and order == ["both", "weak", "shapes"]
    stopping = False
    assert script.main(call) == 0 and order == ["both", "weak", "shapes", "shapes", "starter"]
    assert script.main(call) == 0 and len(order) == 5, "all is done"
    card = load_generator(tmp_path / "starter")[1]
    assert card.id == "starter" and card.kinds == ("mushroom", "rock") and "--parts t" in card.training["command"]
    assert script.main([*call[:2], "--dry-run", "--minutes-scale", "0.5"]) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("python -m core train")][-4:]
    asked = [complete(parse(line.split()[4:])) for line in printed[:1]]
    assert asked[0].reconstruction.minutes == 150 and len(asked[0].kinds) == 32 and asked[0].reading.steps == 1500


def stages() -> list:
    """One of each kind of stage, over networks of its own."""
    own, made = source("rock"), []
    for parts in (None, *PARTS):
        config = replace(PRESETS["tiny"], texture_upsampling=parts == "upsampler")
        generator, pool = Generator(config), PromptPool(["rock"], own.encoder, 0, torch.device("cpu"), 16)
        tasks = [AttributeTask(pool, AttributeHeads(config, ["rock"]))]
        if parts is None:
            made.append(ReadingStage(ReadingSettings(batch=4), generator, tasks, LossWeights(), 1))
        else:
            how = ReconstructionSettings(parts=parts, batch=2, prompts=2, sampling=QUICK)
            bank = ObjectBank(own, QUICK, 0)
            made.append(Reconstruction(how, generator, tasks, bank, seed=0, pretrained=True, annealed=False))
    return [*made, SpaceStage(SpaceSettings(batch=8), own.encoder)]


def test_every_stage_keeps_the_contract(monkeypatch) -> None:
    """A batch follows from step and share, losses have a finite total that reaches all that is to learn and nothing else."""
    monkeypatch.setattr(space_stage, "KINDS", ["rock"])
    for stage in stages():
        a, b = stage.batch(3, 0.5), stage.batch(3, 0.5)
        learning = [p for parameters, _ in stage.rates() for p in parameters]
        everything = [p for part in stage.parts().values() for p in part.parameters()]
        assert learning and {id(p) for p in learning} == {id(p) for p in everything if p.requires_grad}
        losses = stage.losses(a)
        assert losses["total"].isfinite() and set(stage.shown) & losses.keys() and torch.equal(losses["total"], stage.losses(b)["total"])
        losses["total"].backward()
        assert all((p.grad is not None) == p.requires_grad for p in everything), stage.name


def test_the_exit_status_says_whether_a_training_came_to_its_end(tmp_path, monkeypatch, capsys) -> None:
    flags = ["starter", "--out", str(tmp_path / "mine"), "--preset", "tiny", "--kinds", "rock", "--device", "cpu", "--reading-pool", "32"]
    assert main([*flags, "--stages", "reading", "--reading-steps", "2"]) == 0
    assert "no model yet" in capsys.readouterr().out and not (tmp_path / "mine" / "config.json").exists()
    monkeypatch.setattr(runs, "stop_signal", lambda: contextlib.nullcontext([signal.SIGTERM]))
    assert main([*flags, "--reading-steps", "2", "--steps", "5"]) == 130
    assert "The same command goes on from here." in capsys.readouterr().out
