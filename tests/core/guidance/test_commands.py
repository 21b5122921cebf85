# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core guidance …`, and the plan of a training before it starts."""

import json

import pytest
import torch

from core.__main__ import main
from core.guidance import estimate
from core.guidance.estimate import Cost, Prior, count_cost, plan_training, prior_cost
from core.guidance.multiview import MultiviewGuidance


@pytest.mark.parametrize(("kind", "is_a", "views"), [("multiview", "multiview", 4), ("depth", "depth", 1), ("pixels", "multiview", 4)])
def test_check_says_what_a_prior_is(folders, capsys, kind, is_a, views) -> None:
    assert main(["guidance", "check", str(folders[kind]), "--json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["views"], found["dtype"], found["device"]) == (is_a, views, "float32", "cpu")
    assert found["noise"] == [views, *found["latents"]] and found["text"] == [77, 32] and found["image"] == [3, 16, 16]
    assert (found["denoise_ms"] > 0 and found["memory_mb"] > 0 and "controlnet" in found["parameters"]) or kind != "depth"


def test_check_refuses_what_is_none(folders, capsys, tmp_path) -> None:
    for command, says in (
        ([str(tmp_path)], "not a whole diffusion prior"),
        ([str(folders["image"]), "--device", "toaster"], "device"),
        ([str(folders["image"]), "--batch", "0"], "0 objects"),
        ([str(folders["multiview"]), "--controlnet", str(folders["depth"] / "controlnet")], "Leave it out"),
        (["nobody/has-such-a-prior"], "--download"),
    ):
        assert main(["guidance", "check", *command]) == 2
        assert says in capsys.readouterr().err


def test_a_plan_counts_what_a_step_keeps_and_does() -> None:
    """A chain of matrix products: with a gradient all inputs stay, without one only those at work."""
    weights = [torch.empty(64, 64, device="meta", requires_grad=True) for _ in range(8)]

    def chain() -> torch.Tensor:
        x = torch.empty(32, 64, device="meta")
        for weight in weights:
            x = (x @ weight).tanh()
        return x

    one, products = 32 * 64 * 4, 8 * 2 * 32 * 64 * 64
    kept, operations = count_cost(chain)
    assert operations == products and 8 * one <= kept <= 12 * one
    with torch.no_grad():
        assert count_cost(chain)[0] <= 4 * one


def test_a_plan_that_does_not_fit_says_what_to_lower(folders, monkeypatch, capsys) -> None:
    prior, device = Prior(MultiviewGuidance, folders["multiview"], image=16), torch.device("cpu")
    one, eight, few = (prior_cost(prior, torch.float32, *x) for x in ((1,), (8,), (8, 1)))
    assert one.weights == eight.weights > 0 and 4 * one.working < eight.working < 12 * one.working
    assert few.working < eight.working / 2 and few.operations > eight.operations == pytest.approx(8 * one.operations, rel=0.01)
    settings = {"batch": 8, "device": device, "dtype": torch.float32}
    roomy = plan_training([prior], steps=100, own=Cost(1000, 10, 1e9), **settings)
    assert roomy.fits and roomy.hours > 0 and not roomy.remedies and roomy.memory > eight.memory
    monkeypatch.setattr(estimate, "device_facts", lambda _: ("small", eight.memory))
    monkeypatch.setattr(estimate, "prior_cost", lambda _, dtype, objects, few: Cost(one.weights, one.working * (few or objects), 1e9))
    tight = plan_training([prior], steps=100, **settings)
    assert not tight.fits and len(tight.remedies) == 3 and "batch to 4" in str(tight) and "bfloat16" in str(tight)
    assert main(["guidance", "plan", str(folders["multiview"]), "--batch", "2", "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hours"] > 0
