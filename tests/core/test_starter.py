# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded model keeps what its card promises, on a few prompts that every user tries first."""

import pytest

from core.evaluation.measure import measure
from core.library.prompt import Prompt
from core.library.starter.parser import parse
from core.pipeline import Latte3DPipeline
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def starter() -> Latte3DPipeline:
    return Latte3DPipeline.from_pretrained(ROOT / "core" / "weights" / "starter", "cpu")


@pytest.mark.parametrize("text", ["a red mushroom with white spots", "a wooden barrel", "a golden duck"])
def test_a_first_prompt_gives_what_it_names(starter, text) -> None:
    row = measure(starter, Prompt(text, "train", 0, parse(text)), 0, resolution=96, texture_size=512).row
    assert row["sound"] and row["kind_found"] == row["kind"] and row["iou"] > 0.8
    assert row["base_color_error"] < 0.1 and row["roughness_error"] < 0.1 and row["metallic_error"] < 0.1
