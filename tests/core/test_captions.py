# SPDX-License-Identifier: GPL-3.0-or-later
"""The captions' task: batches repeat, libraries of any kind are learnt from, and what is said of one shape comes together."""

import pytest
import torch

from core.language.encoder import TextEncoder
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training.captions import CaptionSettings, CaptionTask, caption_confusion

CPU, TINY = torch.device("cpu"), PRESETS["tiny"]
CAPTIONS = [
    ("a red wooden chair", "chair"), ("a crimson seat with four legs", "chair"), ("a barrel of oak", "barrel"),
    ("a brown keg with iron hoops", "barrel"), ("a blue tent", "tent"), ("an azure canvas shelter", "tent"), ("a stone well", "well"),
    ("a round well of grey blocks", "well"), ("a taped box", "box"), ("a closed cardboard carton", "box"),
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def test_a_batch_depends_on_the_seed_and_the_step_alone(encoder) -> None:
    settings = CaptionSettings(window=3, lasting=2, cached=4)  # more shapes than a window, more texts than are kept
    first, again = (CaptionTask(CAPTIONS, encoder, TINY, 3, CPU, settings) for _ in range(2))
    earlier = [first.batch(step, 6) for step in range(6)]
    for step in (5, 0):  # as a resumed run, which has not seen the steps before
        for name in ("tokens", "mask", "z", "meaning"):
            assert torch.equal(getattr(earlier[step], name), getattr(again.batch(step, 6), name))
    assert not torch.equal(earlier[0].z, earlier[1].z) and earlier[0].pairs == 3
    assert all(torch.equal(a, b) for a, b in zip(first.head.state_dict().values(), again.head.state_dict().values(), strict=True))


@pytest.mark.parametrize("captions", [[("a red chair", None)], [("a red chair", None), ("a well", None)], [("a", "one"), ("b", "two")]])
def test_few_single_and_shapeless_captions_are_learnt_from(encoder, captions) -> None:
    task, generator = CaptionTask(captions, encoder, TINY, 0, CPU), Generator(TINY)
    losses = task.losses(generator, task.batch(0, 64))
    losses["captions"].backward()
    assert losses["captions"].isfinite() and all(p.grad.isfinite().all() for p in generator.condition.parameters())
    if len(captions) > 1:  # of one alone there is nothing to tell apart
        assert all(p.grad.abs().sum() > 0 for p in generator.condition.vector.parameters())


def test_shapes_that_the_same_is_said_of_are_not_driven_apart(encoder) -> None:
    task = CaptionTask([("a rock", "one"), ("a rock", "two"), ("a tree", "three")], encoder, TINY, 0, CPU)
    batch = task.batch(0, 6)
    row = [batch.words.tolist().count(word) for word in batch.words.tolist()].index(4)
    assert batch.neither().sum(1).tolist() == [3 if count == 4 else 1 for count in (batch.words[:, None] == batch.words).sum(1)]
    assert not batch.neither()[row, batch.twins()[row]] and batch.twins()[row] != row


def test_captions_of_a_shape_come_together(encoder) -> None:
    torch.manual_seed(0)
    generator, task = Generator(TINY), CaptionTask(CAPTIONS, encoder, TINY, 0, CPU)
    learnt, asked = CAPTIONS[::2], CAPTIONS[1::2]
    before = caption_confusion(generator, encoder, learnt, asked)
    optimizer = torch.optim.AdamW([*generator.condition.parameters(), *task.head.parameters()], 1e-3)
    for step in range(60):
        optimizer.zero_grad()
        task.losses(generator, task.batch(step, 10))["captions"].backward()
        optimizer.step()
    after = caption_confusion(generator, encoder, learnt, asked)
    assert (after.prompts, after.top1, after.top5) == (5, 1.0, 1.0) and before.top1 < 1
    assert caption_confusion(generator, encoder, learnt, [("a whale", "whale")]).prompts == 0
