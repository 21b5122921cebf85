# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: it learns, it resumes as if never interrupted, and training objects come from the train split only."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from core.errors import BadRequest
from core.library.grammar import split_of
from core.library.objects import Description
from core.library.parser import parse
from core.networks.storage import load_generator
from core.text import TextEncoder
from core.training import bank, loop
from core.training.annealing import anneal, dummy_share
from core.training.attributes import PromptPool, vocabularies
from core.training.bank import Sampling
from core.training.reconstruction import sdf_loss

QUICK = Sampling(kept_points=1024, kept_surface=1024, step_points=512, step_surface=256, cloud_points=512)


def settings(tmp_path, **changes) -> loop.TrainingSettings:
    plain = loop.TrainingSettings(
        tmp_path / "model", "tiny", ("mushroom", "rock"), steps=8, batch=4, prompt_pool=64, device="cpu", sampling=QUICK
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
        patch.setattr(loop, "_stop_signal", StopAfter)
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


def test_training_never_sees_the_unseen_split(monkeypatch) -> None:
    prompts = []

    class Recorder(TextEncoder):
        def __call__(self, texts):
            prompts.extend(texts)
            return super().__call__(texts)

    encoder = Recorder()
    for number in range(8):
        bank.make_block(number, ["mushroom", "barrel"], encoder, QUICK, 5, torch.device("cpu"))
    assert len(prompts) == 8 * bank.BLOCK
    assert {split_of(parse(prompt)) for prompt in prompts} == {"train"}


def test_a_block_depends_on_its_number_alone() -> None:
    encoder, cpu = TextEncoder(), torch.device("cpu")
    a, b = (bank.make_block(3, ["mushroom", "barrel"], encoder, QUICK, 5, cpu) for _ in range(2))
    assert torch.equal(a.points, b.points) and torch.equal(a.look, b.look) and torch.equal(a.tokens, b.tokens)
    assert not torch.equal(a.points, bank.make_block(5, ["mushroom", "barrel"], encoder, QUICK, 5, cpu).points)


def test_attributes_of_prompts_are_labelled_right() -> None:
    kinds = ("mushroom", "barrel")
    pool = PromptPool(kinds, TextEncoder(), 3, torch.device("cpu"), 24)
    values = vocabularies(kinds)
    tokens, mask, labels = pool.batch(5, 16)
    assert tokens.shape[:2] == mask.shape and labels.shape == (16, len(values))
    for own, length in zip(labels.tolist(), mask.sum(1).tolist(), strict=True):
        description = Description(**{name: values[name][i] for name, i in zip(values, own, strict=True)})
        assert split_of(description) == "train" and length > 2
    assert all(torch.equal(a, b) for a, b in zip(pool.batch(5, 16), (tokens, mask, labels), strict=True))


def test_distances_beyond_the_band_on_the_right_side_cost_nothing() -> None:
    exact = torch.tensor([[0.5, -0.3, 0.5, 0.02]])
    assert sdf_loss(torch.tensor([[0.2, -0.9, 0.11, 0.02]]), exact, 0.1) == 0
    assert sdf_loss(torch.tensor([[-0.2, -0.9, 0.11, 0.02]]), exact, 0.1) > 0
    assert sdf_loss(torch.tensor([[0.05, -0.9, 0.11, 0.02]]), exact, 0.1) > 0


def test_real_clouds_give_way_to_the_sphere_down_to_the_floor() -> None:
    assert dummy_share(0.0) == pytest.approx(0.4) and dummy_share(0.4) == dummy_share(1.0) == pytest.approx(0.9)
    cloud, dummy = torch.ones(4000, 8, 6), torch.zeros(8, 6)
    kept = anneal(cloud, dummy, 0.85, torch.Generator().manual_seed(0))[:, 0, 0].mean()
    assert 0.12 < kept < 0.18


def test_unknown_presets_and_kinds_are_named(tmp_path) -> None:
    with pytest.raises(BadRequest, match="tiny"):
        loop.train(settings(tmp_path, preset="gigantic"))
    with pytest.raises(BadRequest, match="unicorn"):
        loop.parse_kinds("mushroom,unicorn", ["mushroom"])
