# SPDX-License-Identifier: GPL-3.0-or-later
"""Distillation on several processes, in parts of a step, and between prompts: the same as in one piece, and what is meant."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

pytest.importorskip("diffusers")

from core.draws import draw
from core.guidance.sds import Blend, Distillation, Text
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training import run as runs
from core.training.checkpoint import Checkpoint
from core.training.run import Run, accelerator_on
from core.training.stages.distilling import VolumeSettings, mixtures
from core.training.stages.geometry import Geometry, GeometrySettings
from core.training.subjects import ALONE, Place
from tests.conftest import ROOT
from tests.core import exact
from tests.core.exact import EIGHT, ExactDrawing, Numbers, exact_prior
from tests.core.guidance.tiny import ExactDenoiser, cameras

FEW = {"size": 6, "rate": 1e-3, "warmup": 2, "average": 0.0, "slopes": 32, "viewpoints": exact.VIEWPOINTS,
       "rays": VolumeSettings(8, 4, 2), "regularise": 2.0}  # fmt: skip
STEPS, CURVE = 6, ("total", "guidance", "mask", "gradient_guidance", "gradient_mask", "alpha", "dummy", "t")


def stage(batch: int, place: Place = ALONE, **more) -> Geometry:
    """With real and dummy clouds, α and L_reg, so that each draws."""
    torch.manual_seed(0)
    settings = GeometrySettings(**FEW | {"batch": batch, "steps": STEPS, "anneal_from": 0.0} | more)
    drawing = ExactDrawing(EIGHT, 512, shapes=EIGHT[::-1])
    return Geometry(settings, Generator(PRESETS["tiny"]), exact_prior(EIGHT, 6), Numbers(), drawing, 5, place)


def trained(out: Path, own: Geometry, accelerator) -> list[dict]:
    """The losses of each step, and at the end the weights."""
    runs.REPORT, events = 1, []
    run = Run(own, accelerator, Checkpoint(out / "state.safetensors", {}), tell=events.append)
    run._tell = lambda losses: events.append(losses)  # all of them, unrounded
    run.go()
    return events


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(runs, "REPORT", 1)


def close(one: list[dict], two: list[dict]) -> None:
    """The first step's losses are the same to float noise; Adam's first step makes much of noise in gradients that are nearly 0."""
    assert len(one) == len(two) == STEPS and one[0]["total"] > 0
    assert one[0] == {name: pytest.approx(value, rel=1e-5, abs=1e-7) for name, value in two[0].items()}
    for a, b in zip(one, two, strict=True):
        assert {name: a[name] for name in CURVE} == {name: pytest.approx(b[name], rel=1e-3) for name in CURVE}
        assert a["gradient"] == pytest.approx(b["gradient"], rel=0.03)


def weights(out: Path) -> Tensor:
    return torch.cat([v.flatten() for k, v in sorted(load_file(out / "state.safetensors").items()) if k.startswith("generator.")])


def test_processes_draw_together_what_one_would_draw() -> None:
    whole, halves = stage(4).batch(3, 0.6), [stage(2, Place(n, 2)).batch(3, 0.6) for n in (0, 1)]
    for read in (
        lambda b: b.alpha, lambda b: b.heard, lambda b: b.views.azimuth, lambda b: b.views.distance, lambda b: b.drawn.dummy.float(),
        lambda b: draw(torch.rand, (len(b.alpha), 5), b.rngs()),
    ):  # fmt: skip
        assert torch.equal(read(whole), torch.cat([read(half) for half in halves]))
    assert whole.drawn.subjects.prompts == [p for half in halves for p in half.drawn.subjects.prompts]
    assert len(set(draw(torch.rand, (4, 1), whole.rngs()).flatten().tolist())) == 4


def test_gradients_of_parts_of_a_step_make_the_whole(tmp_path, every_step) -> None:
    one = trained(tmp_path / "one", stage(4), accelerator_on("cpu"))
    parts = trained(tmp_path / "parts", stage(2, accumulate=2), accelerator_on("cpu"))
    close(one, parts)
    assert (weights(tmp_path / "one") - weights(tmp_path / "parts")).abs().mean() < 1e-5


@pytest.mark.slow
def test_two_processes_learn_as_one_with_twice_the_batch(tmp_path, every_step) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, json, pathlib, torch\nfrom core.training.run import accelerator_on\nfrom core.training.subjects import Place\n"
        "from tests.core.test_distillation_scale import stage, trained\n"
        "accelerator, out = accelerator_on('cpu'), pathlib.Path(sys.argv[1])\n"
        "losses = trained(out, stage(2, Place(accelerator.process_index, accelerator.num_processes)), accelerator)\n"
        "if accelerator.is_main_process:\n"
        "    (out / 'losses.json').write_text(json.dumps({'processes': accelerator.num_processes, 'losses': losses}))\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script, tmp_path / "two"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "two" / "losses.json").read_text())
    assert found["processes"] == 2
    close(trained(tmp_path / "one", stage(4), accelerator_on("cpu")), found["losses"])
    assert (weights(tmp_path / "one") - weights(tmp_path / "two")).abs().mean() < 1e-5


# Between prompts ------------------------------------------------------------------------------------------------------------------


def test_mixtures_are_drawn_for_a_share_of_objects() -> None:
    drawn = mixtures(0.5, 1.0, 3, range(4000))
    mixed = drawn[drawn > 0]
    assert 0.45 < len(mixed) / 4000 < 0.55 and 0.47 < mixed.mean() < 0.53 and mixed.min() < 0.05 and mixed.max() > 0.95
    assert torch.equal(mixtures(0.5, 1.0, 3, range(100, 200)), drawn[100:200])
    ends = mixtures(1.0, 0.1, 3, range(1000))
    assert ((ends < 0.1) | (ends > 0.9)).float().mean() > 0.7, "little of both"
    assert mixtures(0.0, 1.0, 3, range(8)) is None and mixtures(0.5, 1.0, 3, range(1)) is None


def test_a_blend_is_made_of_both_prompts_and_kept_to_no_shape() -> None:
    own = stage(4, blend=1.0, alpha_least=0.5)
    batch = own.batch(0, 0.0)
    drawn, g = batch.drawn, own.generator
    assert (drawn.mixture > 0).all() and drawn.cloud is None and not batch.alpha.any() and not batch.heard.any()
    mixed = drawn.condition(g)
    plain = [replace(drawn, mixture=torch.full((4,), share)).condition(g) for share in (0.0, 1.0)]
    of = drawn.subjects
    for got, expected in zip(plain[0], g.condition(of.tokens, of.mask, of.z), strict=True):
        torch.testing.assert_close(got, expected)
    share = drawn.mixture[:, None]
    torch.testing.assert_close(mixed[0], (1 - share) * plain[0][0] + share * plain[1][0])
    torch.testing.assert_close(plain[1][0][1:], plain[0][0][:-1])  # z is 0 here: the prompt before
    text, blend = drawn.texts(Numbers())
    assert torch.equal(blend.other[:, 0, 0], text.prompt[:, 0, 0].roll(1))
    assert stage(4, blend=0.0).batch(0, 0.0).drawn.mixture is None
    assert own.losses(batch)["total"].isfinite()


def test_a_prior_pulls_a_blend_to_what_it_thinks_of_both() -> None:
    """Guidance interpolation: the noise for one prompt and for the other, mixed; objects that are no blends are as without."""
    pictures = torch.rand(12, 3, 6, 6, generator=torch.Generator().manual_seed(1))

    def target(text: Text, cameras: Tensor) -> Tensor:
        return text.prompt[:, 0, 0].repeat_interleave(cameras.shape[1])[:, None, None, None].expand(-1, 3, 6, 6)

    prior = ExactDenoiser(target, Distillation("x0", scale=1.0, rescale=0.0))
    first, second = (torch.tensor(v)[:, None, None] for v in ([0.2, 0.4, 0.6], [0.8, 0.9, 1.0]))
    text, share = Text(first, torch.zeros(1, 1, 1)), torch.tensor([0.0, 0.25, 1.0])

    def gradient(blend: Blend | None) -> Tensor:
        images = pictures.clone().requires_grad_()
        prior.loss(images, text, cameras(3), 0.5, generator=torch.Generator().manual_seed(2), blend=blend)[0].backward()
        return images.grad

    found, without = gradient(Blend(second, share)), gradient(None)
    wanted = (torch.tensor([0.2, 0.75 * 0.4 + 0.25 * 0.9, 1.0])).repeat_interleave(4)[:, None, None, None]
    torch.testing.assert_close(found, 4 * (pictures - wanted) / 12, atol=1e-5, rtol=1e-4)
    assert torch.equal(found[:4], without[:4]) and not torch.allclose(found[4:8], without[4:8])

