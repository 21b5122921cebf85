# SPDX-License-Identifier: GPL-3.0-or-later
"""The text encoder: the quick default equals the library's model, and what is damaged or foreign is refused by name."""

import shutil
import subprocess
import sys

import pytest
import torch

from core.errors import MissingWeights
from core.language import encoder as text

PROMPTS = ["a red mushroom with white spots", "Ünïcode! 🍄 赤いキノコ", "x", "a very tall, thin " * 28, "a very tall, thin " * 120]


def test_the_default_equals_the_library() -> None:
    quick, plain = text.TextEncoder(), text.TextEncoder(str(text._embedded_folder(verify=False)))
    assert quick.width == plain.width == 384
    for prompt in PROMPTS:
        (one, _), (other, _) = quick([prompt]), plain([prompt])
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)  # and so as many tokens
    assert quick(PROMPTS[-1:])[0].shape[1] == 512  # its places


def test_what_is_beyond_the_longest_text_is_told() -> None:
    quick, plain = text.TextEncoder(), text.TextEncoder(str(text._embedded_folder(verify=False)))
    for encoder in (quick, plain):
        assert encoder.beyond("a very tall, thin " * 28) == ""  # as long as a prompt may be
        assert encoder.beyond("word " * 510) == "" and encoder.beyond("word " * 513) == "word word word"
        assert encoder.beyond("キ " * 600).count("キ") == 90


def test_a_numbered_processor_is_one() -> None:
    """What runs of several processes call theirs."""
    assert text.TextEncoder(device="cpu:0")(["a"])[0].isfinite().all()


def test_loading_it_leaves_the_slow_library_alone() -> None:
    """Importing transformers would double the engine's cold start."""
    code = "import sys, core.pipeline as p; p.TextEncoder(); print(*{'transformers', 'torch._dynamo', 'sympy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize("damage", ["no tokenizer", "truncated"])
def test_a_damaged_encoder_is_named(tmp_path, damage) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(text._embedded_folder(verify=False), folder, ignore=shutil.ignore_patterns("*.safetensors", "1_Pooling"))
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    if damage == "no tokenizer":
        (folder / "tokenizer.json").write_text("{")
    with pytest.raises(MissingWeights, match="cannot be loaded") as caught:
        text.TextEncoder(str(folder))
    assert str(folder) in str(caught.value) and caught.value.remedy
