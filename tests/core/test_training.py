# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: it learns, it resumes as if never interrupted, and training objects come from the train split only."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields, replace

import pytest
import torch
from safetensors.torch import load_file

from core.errors import BadRequest
from core.familiarity import FILE
from core.library.objects import Description, ExactObjects
from core.library.parser import parse
from core.library.splits import split_of, trained_kinds
from core.networks.generator import TextureField
from core.networks.presets import PRESETS
from core.networks.storage import load_generator
from core.text import TextEncoder
from core.training import bank, loop
from core.training.annealing import anneal, dummy_share
from core.training.attributes import AttributeHeads, PromptPool, reading_losses, vocabularies
from core.training.bank import Sampling
from core.training.cli import main
from core.training.reconstruction import look_losses, overlap_loss, sdf_loss, shares_loss, slope_loss
from tests.conftest import ROOT

QUICK = Sampling(kept_points=1024, kept_surface=1024, step_points=512, step_surface=256, cloud_points=512)


def settings(tmp_path, **changes) -> loop.TrainingSettings:
    plain = loop.TrainingSettings(
        tmp_path / "model", "tiny", ("mushroom", "rock"), steps=8, batch=4, prompt_pool=64, device="cpu", sampling=QUICK, pictures=False
    )
    return replace(plain, **changes)


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path, monkeypatch) -> None:
    whole = loop.train(settings(tmp_path / "whole"))

    class StopAfter(list):
        checks = 0

        def __len__(self) -> int:
            self.checks += 1
            return self.checks > 4

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_stop_signal", lambda: contextlib.nullcontext(StopAfter()))
        loop.train(settings(tmp_path / "broken"))
    assert load_file(tmp_path / "broken/model/checkpoint/state.safetensors")["progress"][0] == 4
    broken = loop.train(settings(tmp_path / "broken"))
    a, b = (load_file(folder / "checkpoint" / "state.safetensors") for folder in (whole, broken))
    assert a["progress"][0] == b["progress"][0] == 8
    for name in a.keys() - {"progress"}:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0, msg=name)


def test_training_learns(tmp_path) -> None:
    """From the untrained sphere, sixty steps on one kind must take a third off the distance error."""
    folder = loop.train(settings(tmp_path, kinds=("mushroom",), steps=60, batch=8))
    generator, card = load_generator(folder)
    assert card.kinds == ("mushroom",) and card.training["steps"] == 60
    block = bank.make_block(99, ["mushroom"], TextEncoder(), QUICK, 1, torch.device("cpu"))
    with torch.no_grad():
        fields = generator(block.tokens, block.mask, block.z)
        learnt = sdf_loss(generator.sdf(fields.geometry, fields.condition, block.points), block.sdf, 0.1)
        sphere = sdf_loss(block.points.norm(dim=-1) - 0.35, block.sdf, 0.1)
    assert learnt < 0.66 * sphere
    assert (fields.height_m / block.height_m).log().abs().mean() < 0.7


def test_the_texture_phase_starts_where_the_first_ended_and_changes_the_texture_alone(tmp_path) -> None:
    first = loop.train(settings(tmp_path / "first", reading_steps=100, prompt_pool=512))  # its paints are what T will mix
    fine = loop.train(settings(tmp_path / "second", phase="upsampler", start_from=first, steps=1, warmup=10**9))  # a rate of nothing
    taught = loop.train(settings(tmp_path / "third", phase="upsampler", start_from=first, steps=60, warmup=1))
    block = bank.make_block(99, ["mushroom"], TextEncoder(), QUICK, 1, torch.device("cpu"))
    looks, colors = [], []
    for folder in (first, fine, taught):
        generator, _ = load_generator(folder)
        with torch.no_grad():
            f = generator(block.tokens, block.mask, block.z)
            looks.append((f.geometry, f.condition, f.height_m, generator.texture(f.texture, f.condition, block.surface)))
        colors.append((looks[-1][-1] - block.look).abs().mean())
    torch.testing.assert_close(looks[1], looks[0], atol=2e-2, rtol=0)  # twice as fine planes are read at twice as many places
    assert f.texture.shape[-1] == 2 * f.geometry.shape[-1]
    assert all(torch.equal(a, b) for a, b in zip(looks[0][:3], looks[2][:3], strict=True))
    assert colors[2] < 0.95 * colors[0]
    with pytest.raises(BadRequest, match="needs a model to go on from"):
        loop.train(settings(tmp_path, phase="texture"))
    third = loop.train(settings(tmp_path / "alone", phase="texture", start_from=first, steps=2))
    alone, _ = load_generator(third)
    assert alone.upsampler is None and torch.equal(alone.texture.palette.weight, load_generator(first)[0].texture.palette.weight)
    assert torch.equal(*(load_file(run / "checkpoint" / "state.safetensors")["heads.style.weight"] for run in (first, third)))


def test_the_geometry_phase_gives_G_more_blocks_and_changes_the_shape_alone(tmp_path, monkeypatch) -> None:
    plain = loop.train(settings(tmp_path / "plain", steps=20, seed=7))
    first = loop.train(settings(tmp_path / "first", phase="upsampler", start_from=plain, steps=1))
    monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], geometry_blocks=(1, 1, 1)))
    deeper = loop.train(settings(tmp_path / "second", phase="geometry", start_from=first, steps=1, warmup=10**9))  # a rate of nothing
    taught = loop.train(settings(tmp_path / "third", phase="geometry", start_from=first, steps=40, warmup=1))
    block = bank.make_block(99, ["mushroom"], TextEncoder(), QUICK, 1, torch.device("cpu"))
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
    textured, _ = load_generator(loop.train(settings(tmp_path / "fourth", phase="texture", start_from=first, steps=1)))
    assert textured.config.geometry_blocks == (0, 0, 0)  # T's phase leaves G as it is
    with pytest.raises(BadRequest, match="cannot be resumed.*of the phase geometry, not texture"):
        loop.train(settings(tmp_path / "third", phase="texture", start_from=first, steps=80))
    with pytest.raises(BadRequest, match="the kinds of its model"):
        loop.train(settings(tmp_path / "fifth", phase="geometry", start_from=first, kinds=("mushroom",)))


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
    monkeypatch.setattr(loop, "anneal", lambda cloud, dummy, share, rng: shares.append(share) or anneal(cloud, dummy, share, rng))
    first = loop.train(settings(tmp_path / "first", steps=1))
    loop.train(settings(tmp_path / "second", steps=1, start_from=first))
    assert shares == pytest.approx([0.4, 0.9])


def test_training_never_sees_a_held_out_split() -> None:
    prompts = []

    class Recorder(TextEncoder):
        def __call__(self, texts):
            prompts.extend(texts)
            return super().__call__(texts)

    encoder = Recorder()
    for number in range(8):
        bank.make_block(number, ["mushroom", "barrel"], encoder, QUICK, 5, torch.device("cpu"))
    PromptPool(trained_kinds(), encoder, 5, torch.device("cpu"), 300)
    assert len(prompts) == 8 * bank.BLOCK + 300
    assert {split_of(parse(prompt), prompt) for prompt in prompts} == {"train"}
    with pytest.raises(BadRequest, match="Unknown kinds: pear"):
        main(["starter", "--kinds", "mushroom,pear", "--out", "unused"])


def test_a_block_depends_on_its_number_alone() -> None:
    encoder, cpu = TextEncoder(), torch.device("cpu")
    a, b = (bank.make_block(3, ["mushroom", "barrel"], encoder, QUICK, 5, cpu) for _ in range(2))
    assert torch.equal(a.points, b.points) and torch.equal(a.look, b.look) and torch.equal(a.tokens, b.tokens)
    assert not torch.equal(a.points, bank.make_block(5, ["mushroom", "barrel"], encoder, QUICK, 5, cpu).points)


def test_weak_kinds_are_seen_more_often(tmp_path, monkeypatch) -> None:
    made, make = [], bank.make_block

    def recorded(number, kinds, *rest):
        made.append(kinds[number % len(kinds)])
        return make(number, kinds, *rest)

    monkeypatch.setattr(bank, "make_block", recorded)
    _, card = load_generator(loop.train(settings(tmp_path, kinds=("mushroom", "barrel"), more=("barrel",), steps=1, batch=2)))
    assert made[:3].count("barrel") == 2 and card.kinds == ("mushroom", "barrel")
    assert "--kinds mushroom,barrel --more barrel" in card.training["command"]


def test_small_parts_are_looked_at_often() -> None:
    """Half of a duck's points are shared out among its four parts, so an eighth lies on the eyes, which are a hundredth of it."""
    duck = ExactObjects([Description("duck")] * 2, torch.zeros(2, 8))
    rng = torch.Generator().manual_seed(1)
    parts = duck.part_at(duck.sample_surface(4096, rng)[0])
    eyes = [(parts.gather(1, bank.share_out(parts, share, rng)) == 3).float().mean() for share in (0.0, 0.5)]
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
        look_losses(texture, torch.zeros(8, 16, PRESETS["tiny"].paints), condition, look)["metallic"].backward()
        optimizer.step()
    torch.testing.assert_close(texture.paints(condition)[..., 4].mean(1), metal, atol=0.1, rtol=0)


def test_reading_comes_before_the_objects(tmp_path) -> None:
    """A hundred steps on prompts alone must take a third off the error of the paints that they name."""
    kinds = ("mushroom", "rock")
    fresh, _ = load_generator(loop.train(settings(tmp_path / "fresh", steps=1, batch=1)))
    reader, _ = load_generator(loop.train(settings(tmp_path / "reader", steps=1, batch=1, reading_steps=100, prompt_pool=512)))
    pool = PromptPool(kinds, TextEncoder(), 99, torch.device("cpu"), 64)
    with torch.no_grad():
        before, after = (reading_losses(g, AttributeHeads(g.config, kinds), pool.batch(0, 64))["paints"] for g in (fresh, reader))
    assert after < 0.7 * before


def test_reading_can_be_stopped_and_comes_once(tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_stop_signal", lambda: contextlib.nullcontext([signal.SIGTERM]))
        folder = loop.train(settings(tmp_path, steps=1, reading_steps=5))
    assert not (folder / "config.json").exists(), "stopped before there was a model"
    loop.train(settings(tmp_path, steps=1, reading_steps=5))
    monkeypatch.setattr(loop, "_learn_to_read", lambda *_: pytest.fail("it has learnt to read"))
    assert load_file(loop.train(settings(tmp_path, steps=2, reading_steps=5)) / "checkpoint/state.safetensors")["progress"][0] == 2


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
    cloud, dummy = torch.ones(4000, 8, 6), torch.zeros(8, 6)
    kept = anneal(cloud, dummy, 0.85, torch.Generator().manual_seed(0))[:, 0, 0].mean()
    assert 0.12 < kept < 0.18
    assert anneal(cloud, dummy, 1.0, torch.Generator()) is None, "the generator reads the dummy once, not once an object"


def test_clouds_are_as_large_as_the_input(tmp_path) -> None:
    """A preset may read more points than the bank keeps by default."""
    few = replace(QUICK, cloud_points=128, kept_surface=256)
    loop.train(settings(tmp_path, steps=1, sampling=few))


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with loop._stop_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


RUN = """
import sys; from pathlib import Path
from core.training import loop; from core.training.bank import Sampling
quick = Sampling(1024, 1024, 256, 128, 512)
loop.train(loop.TrainingSettings(Path(sys.argv[1]), "tiny", ("rock",), minutes=0.05, batch=2, prompts=4, prompt_pool=32, device="cpu",
                                 checkpoint_minutes=0, sampling=quick, pictures=False))
"""


@pytest.mark.slow
def test_processes_end_together(tmp_path) -> None:
    """The main process alone spends time on checkpoints: by its own clock the other one would be done first, and leave it waiting."""
    (tmp_path / "run.py").write_text(RUN)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", tmp_path / "run.py", tmp_path / "model"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr[-2000:]
    progress = json.loads((tmp_path / "model" / "checkpoint" / "progress.json").read_text())
    assert progress["seconds"] >= 3 and load_generator(tmp_path / "model")[1].training["processes"] == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": None, "minutes": -1.0}, "minutes is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"reading_steps": -1}, "reading steps is -1"),
        ({"kinds": ()}, "no kinds"),
        ({"device": "cuda:99"}, "no device"),
    ],
)
def test_settings_that_cannot_train_are_refused(tmp_path, changes, says) -> None:
    with pytest.raises(BadRequest, match=says):
        loop.train(settings(tmp_path, **changes))
    assert not list(tmp_path.iterdir())


def test_a_run_with_other_settings_is_not_resumed(tmp_path) -> None:
    folder = loop.train(settings(tmp_path, steps=1))
    for changes in ({"kinds": ("rock",)}, {"preset": "starter"}):
        with pytest.raises(BadRequest, match="cannot be resumed") as caught:
            loop.train(settings(tmp_path, **changes))
        assert str(folder) in str(caught.value)
    (folder / "checkpoint" / "state.safetensors").write_bytes(b"cut")
    with pytest.raises(BadRequest, match="cannot be resumed"):
        loop.train(settings(tmp_path))
    with pytest.raises(BadRequest, match="does not fit the preset starter"):
        loop.train(settings(tmp_path / "new", preset="starter", start_from=folder))
    with pytest.raises(BadRequest, match="checkpoint beside the model .* is damaged"):
        loop.train(settings(tmp_path / "new", start_from=folder))


def test_unknown_presets_and_kinds_are_named(tmp_path) -> None:
    with pytest.raises(BadRequest, match="tiny"):
        loop.train(settings(tmp_path, preset="gigantic"))
    with pytest.raises(BadRequest, match="unicorn"):
        loop.parse_kinds("mushroom,unicorn", ["mushroom"])
