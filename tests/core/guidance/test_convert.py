# SPDX-License-Identifier: GPL-3.0-or-later
"""MVDream's original layout → a diffusers folder."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.__main__ import main
from core.errors import BadRequest
from core.guidance.convert import convert, read_checkpoint, read_merges
from core.guidance.multiview import MultiviewGuidance
from core.guidance.prompts import PriorText
from tests.core.guidance import tiny

HEADS = {"head_width": 16, "image_size": tiny.IMAGE}


@pytest.fixture(scope="module")
def state(folders):
    return {name: value.clone() for name, value in tiny.checkpoint(folders["multiview"]).items()}


@pytest.mark.parametrize("suffix", ["pt", "ckpt", "safetensors"])
def test_a_checkpoint_becomes_the_prior_that_it_is(folders, state, tmp_path, suffix, capsys) -> None:
    """The same weights under diffusers' names, none missing, none more; the same noise; the text encoder without its last layer."""
    checkpoint, out = tmp_path / f"mvdream.{suffix}", tmp_path / "out"
    if suffix == "safetensors":
        save_file(state, checkpoint)
    else:
        torch.save({"state_dict": state, "global_step": 7} if suffix == "ckpt" else state, checkpoint)
    flags = ["--head-width", "16", "--image-size", str(tiny.IMAGE), "--tokenizer", str(folders["multiview"] / "tokenizer"), "--json"]
    assert main(["convert", "mvdream", str(checkpoint), str(out), *flags]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["written"]) == {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} and not result["missing"]
    for part in ("unet", "vae"):
        a, b = (load_file(folder / part / "diffusion_pytorch_model.safetensors") for folder in (folders["multiview"], out))
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    guidance, noise = [MultiviewGuidance.load(folder, "cpu") for folder in (folders["multiview"], out)], torch.randn(4, 4, 8, 8)
    with torch.no_grad():
        a, b = (g.predict(noise, torch.full((4,), 500), tiny.text(), tiny.cameras(), None)[0] for g in guidance)
    assert torch.equal(a, b) and guidance[0].sizes == guidance[1].sizes
    read = PriorText(out, torch.device("cpu"))
    tokens = read.tokenizer(["a box"], padding="max_length", max_length=77, return_tensors="pt").input_ids
    hidden = tiny.text_encoder(layers=2)(tokens, output_hidden_states=True).hidden_states[-2]
    original = tiny.text_encoder(layers=2).state_dict()
    norm = [next(v for k, v in original.items() if k.endswith(f"final_layer_norm.{kind}")) for kind in ("weight", "bias")]
    expected = torch.nn.functional.layer_norm(hidden, hidden.shape[-1:], *norm)
    assert torch.allclose(read(["a box"]), expected, atol=1e-5)


def test_a_unet_alone_is_converted_and_what_is_missing_is_named(state, tmp_path, capsys) -> None:
    prefix = "model.diffusion_model."
    alone = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    torch.save(alone, tmp_path / "unet.pt")
    assert main(["convert", "mvdream", str(tmp_path / "unet.pt"), str(tmp_path / "out"), "--head-width", "16", "--image-size", "64"]) == 0
    said = capsys.readouterr().out
    assert all(f"missing: {part}/" in said for part in ("vae", "text_encoder", "tokenizer")) and "missing: unet" not in said
    assert (tmp_path / "out" / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    with pytest.raises(BadRequest, match="vae/ is missing"):
        MultiviewGuidance.load(tmp_path / "out", "cpu")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda s: {k: v for k, v in s.items() if "camera_embed" not in k}, "no multi-view checkpoint"),
        (lambda s: {"down_blocks.0.resnets.0.conv1.weight": torch.zeros(1)}, "diffusers' layout already"),
        (lambda s: {"layer.weight": torch.zeros(1)}, "something else"),
        (lambda s: {k: v for k, v in s.items() if k != "model.diffusion_model.out.2.bias"}, "1 tensors are missing .conv_out.bias"),
        (lambda s: s | {"model.diffusion_model.input_blocks.1.0.more": torch.zeros(1)}, "1 are strange"),
        (lambda s: s | {"model.diffusion_model.time_embed.0.weight": torch.zeros(3, 3)}, "has another shape"),
        (lambda s: {k: v for k, v in s.items() if "attn2.to_k" not in k}, "attn2.to_k.weight is missing"),
        (lambda s: [1, 2, 3], "holds no named tensors"),
    ],
)
def test_a_file_that_is_something_else_is_refused(state, tmp_path, spoil, says) -> None:
    torch.save(spoil(state), tmp_path / "other.pt")
    with pytest.raises(BadRequest, match=says):
        convert(tmp_path / "other.pt", tmp_path / "out", **HEADS)
    assert not (tmp_path / "out" / "unet").exists()


def test_no_code_in_a_checkpoint_is_run(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("code of the checkpoint was run",))

    with open(tmp_path / "trap.pt", "wb") as file:
        pickle.dump({"state_dict": Trap()}, file, protocol=2)
    torch.save({"state_dict": Trap()}, tmp_path / "trap.ckpt")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.safetensors").write_text("no tensors at all")
    for name in ("trap.pt", "trap.ckpt", "empty.pt", "text.safetensors"):
        with pytest.raises(BadRequest, match="cannot be read as a checkpoint"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(BadRequest, match="no file"):
        read_checkpoint(tmp_path / "nothing.pt")


def test_heads_that_do_not_divide_the_width_are_refused(state, tmp_path) -> None:
    torch.save(state, tmp_path / "mvdream.pt")
    with pytest.raises(BadRequest, match="--head-width"):
        convert(tmp_path / "mvdream.pt", tmp_path / "out", image_size=tiny.IMAGE)


def test_merges_of_open_clip_are_clips_vocabulary(tmp_path) -> None:
    (tmp_path / "bpe.txt").write_text('"bpe_simple_vocab_16e6.txt#version: 0.2\ni n\nt h\na n</w>\n')
    vocabulary, merges = read_merges(tmp_path / "bpe.txt")
    assert merges == ["i n", "t h", "a n</w>"] and len(vocabulary) == 512 + 3 + 2
    assert (vocabulary["!"], vocabulary["a"], vocabulary["!</w>"], vocabulary["in"], vocabulary["<|endoftext|>"]) == (0, 64, 256, 512, 516)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(BadRequest, match="no merges"):
        read_merges(tmp_path / "empty.txt")
