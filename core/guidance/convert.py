# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core convert mvdream CKPT OUT`: MVDream's original checkpoint as a diffusers folder that guidance can load.

All sizes are read from the tensors, whatever the width; only the heads' is not to be seen in them. Weights go from the mapped
checkpoint straight into safetensors files: no copy of the model is made in memory.
"""

import argparse
import gzip
import json
import pickle
import re
import shutil
import struct
import sys
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from core.errors import BadRequest
from core.files import replace_file
from core.guidance import layout

State = dict[str, Tensor]
UNET, TEXT, VAE = "model.diffusion_model.", "cond_stage_model.model.", "first_stage_model."
SCHEDULER = {
    "_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "prediction_type": "epsilon", "clip_sample": False,
}  # fmt: skip
PARTS = {
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "DDPMScheduler"],
}  # fmt: skip
LONGEST = 77  # tokens of CLIP


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core convert", description=__doc__)
    parser.add_argument("kind", choices=["mvdream"])
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="the original checkpoint: .pt, .ckpt or .safetensors")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument("--head-width", type=int, default=64, help="width of an attention head (64)")
    parser.add_argument("--image-size", type=int, default=256, help="pixels, a side, of the images it was trained on (256)")
    about = "CLIP's tokenizer, which no checkpoint holds: a folder with vocab.json and merges.txt, or the package open_clip's file"
    parser.add_argument("--tokenizer", type=Path, help=f"{about} bpe_simple_vocab_16e6.txt.gz")
    parser.add_argument("--json", action="store_true", help="print the last line as JSON")
    a = parser.parse_args(argv)
    result = convert(a.checkpoint, a.out, a.head_width, a.image_size, a.tokenizer)
    if a.json:
        print(json.dumps(result))
        return 0
    print(f"{a.out}: {', '.join(result['written'])}; U-Net of {result['parameters'] / 1e6:.2f} M parameters")
    for part, remedy in result["missing"].items():
        print(f"missing: {part}/. {remedy}")
    return 0


def convert(checkpoint: Path, out: Path, head_width: int = 64, image_size: int = 256, tokenizer: Path | None = None) -> dict:
    """Write the parts that a checkpoint holds to the folder `out`; each file appears whole or not at all.

    Returns {"written": [part, …], "missing": {part: what to do}, "parameters": of the U-Net}. Raises BadRequest for a checkpoint that is
    none of MVDream's architecture.
    """
    if head_width < 1:
        raise BadRequest(f"An attention head cannot be {head_width} wide.", "", "64 is usual.")
    state = read_checkpoint(checkpoint)
    unet_state = unet_of(state, checkpoint)
    vae_config = layout.vae_config(state, image_size) if has(state, VAE) else None
    factor = 2 ** (len(vae_config["block_out_channels"]) - 1) if vae_config else 8
    unet_config = layout.unet_config(unet_state, head_width, image_size // factor)
    parameters = write_unet(unet_state, unet_config, out / "unet")
    write_json(SCHEDULER, out / "scheduler" / "scheduler_config.json")
    written = ["unet", "scheduler"]
    if vae_config:
        write_vae(state, vae_config, out / "vae")
        written.append("vae")
    if has(state, TEXT):
        write_text(state, layout.text_config(state, TEXT, head_width), out / "text_encoder")
        written.append("text_encoder")
    if write_tokenizer(tokenizer, out / "tokenizer"):
        written.append("tokenizer")
    write_json({"_class_name": "StableDiffusionPipeline"} | {part: PARTS[part] for part in written}, out / "model_index.json")
    return {"written": written, "missing": {part: REMEDIES[part] for part in REMEDIES if part not in written}, "parameters": parameters}


REMEDIES = {
    "vae": "The checkpoint has none: copy that of Stable Diffusion 2.1 here; guidance cannot start without it.",
    "text_encoder": "The checkpoint has none: copy that of Stable Diffusion 2.1 here; prompts cannot be encoded without it.",
    "tokenizer": "No checkpoint holds it: give --tokenizer, or copy that of Stable Diffusion 2.1 here.",
}


def has(state: State, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state)


def read_checkpoint(path: Path) -> State:
    """The tensors of a checkpoint, mapped and not read. Raises BadRequest where it is no file of tensors."""
    if not path.is_file():
        raise BadRequest(f"There is no file {path}.", "", "Name the checkpoint, such as sd-v2.1-base-4view.pt.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError, struct.error) as error:
        cause = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        problem = f"{path} cannot be read as a checkpoint of tensors."
        raise BadRequest(problem, f"{cause.rstrip('.')}.", "Get it again, or one that holds nothing but tensors.") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not any(isinstance(value, Tensor) for value in state.values()):
        raise BadRequest(f"{path} holds no named tensors.", f"It is a {type(state).__name__}.", "Name the checkpoint of a whole model.")
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def unet_of(state: State, path: Path) -> State:
    """The U-Net's tensors under the names that diffusers' converter knows. Raises BadRequest where it is none of MVDream's."""
    own = {name: value for name, value in state.items() if name.startswith(UNET)}
    own = own or {UNET + name: value for name, value in state.items() if not name.startswith((TEXT, VAE))}
    if UNET + "input_blocks.0.0.weight" not in own:
        kind = "a U-Net that is in diffusers' layout already" if any("down_blocks." in name for name in own) else "something else"
        names = ", ".join(list(state)[:3])
        remedy = "MVDream's original checkpoints have model.diffusion_model.input_blocks.0.0.weight."
        raise BadRequest(f"{path} is no checkpoint in MVDream's original layout.", f"It is {kind}: it has {names} …", remedy)
    if UNET + "camera_embed.0.weight" not in own:
        cause = "It has no camera_embed: it is a prior of single pictures."
        raise BadRequest(f"{path} is no multi-view checkpoint.", cause, "Use MVDream's, such as sd-v2.1-base-4view.pt.")
    return {name.replace(f"{UNET}camera_embed.", f"{UNET}label_emb.0."): value for name, value in own.items()}


def write_unet(state: State, config: dict, folder: Path) -> int:
    """Returns how many parameters it has. Raises BadRequest where the tensors are not those of its config."""
    from diffusers import UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    with torch.device("meta"):
        model = UNet2DConditionModel(**config)
    try:
        tensors = convert_ldm_unet_checkpoint(state, dict(model.config))
    except (KeyError, IndexError, AttributeError) as error:
        raise BadRequest("The U-Net of the checkpoint lacks a part.", f"{error} is missing.", "Get the checkpoint again.") from error
    check_complete(model, tensors, "U-Net")
    write_part({"_class_name": "UNet2DConditionModel"} | config, tensors, folder, "diffusion_pytorch_model")
    return sum(tensor.numel() for tensor in tensors.values())


def write_vae(state: State, config: dict, folder: Path) -> None:
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    with torch.device("meta"):
        model = AutoencoderKL(**config)
    tensors = convert_ldm_vae_checkpoint({name: value for name, value in state.items() if name.startswith(VAE)}, config)
    tensors = {name: value for name, value in tensors.items() if not name.startswith(("loss.", "model_ema."))}
    check_complete(model, tensors, "VAE")
    write_part({"_class_name": "AutoencoderKL"} | config, tensors, folder, "diffusion_pytorch_model")


def write_text(state: State, config: dict, folder: Path) -> None:
    """OpenCLIP's text tower without its last layer, as Stable Diffusion 2 reads it."""
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(**config))
    last = f"{TEXT}transformer.resblocks.{config['num_hidden_layers']}."
    kept = {k: v for k, v in state.items() if k.startswith(TEXT) and not k.startswith((last, TEXT + "text_projection"))}
    tensors = convert_open_clip_checkpoint(model, kept)
    wrapped = any(name.startswith("text_model.") for name in model.state_dict())
    named = {name if wrapped else name.removeprefix("text_model."): value for name, value in tensors.items()}
    check_complete(model, named, "text encoder", ignore=("position_ids", "text_projection.weight"))
    kept = {name: value for name, value in tensors.items() if name.startswith("text_model.")}  # the names that all versions read
    write_part({"architectures": ["CLIPTextModel"]} | config, kept, folder, "model")


def check_complete(model: torch.nn.Module, tensors: State, what: str, ignore: tuple[str, ...] = ()) -> None:
    """Raise BadRequest unless the tensors are exactly those of a model."""
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if not name.endswith(ignore or ("\0",))}
    given = {name: tuple(value.shape) for name, value in tensors.items() if not name.endswith(ignore or ("\0",))}
    if wrong := sorted(wanted.items() ^ given.items()):
        missing, strange = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
        cause = f"{len(missing)} tensors are missing ({', '.join(missing[:2])}), {len(strange)} are strange ({', '.join(strange[:2])})."
        if not missing and not strange:
            cause = f"{wrong[0][0]} has another shape: {given[wrong[0][0]]}, not {wanted[wrong[0][0]]}."
        raise BadRequest(f"The {what} of the checkpoint is not of MVDream's architecture.", cause, "Use MVDream's original checkpoint.")


def write_part(config: dict, tensors: State, folder: Path, name: str) -> None:
    replace_file(folder / f"{name}.safetensors", lambda path: write_tensors(tensors, Path(path)))
    write_json(config, folder / "config.json")


def write_json(content: dict, path: Path) -> None:
    replace_file(path, lambda name: Path(name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8"))


def write_tensors(tensors: State, path: Path) -> None:
    """A safetensors file, tensor by tensor: the library's own writer refuses tensors that lie in one mapped file."""
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64"}
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        head[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def write_tokenizer(source: Path | None, folder: Path) -> bool:
    """CLIP's tokenizer, from a folder that has it or from open_clip's list of merges. Returns whether there is one."""
    if source is None:
        return False
    if not source.exists():
        raise BadRequest(f"There is no {source}.", "", "Name a folder with vocab.json and merges.txt, or bpe_simple_vocab_16e6.txt.gz.")
    if source.is_dir():
        for name in ("vocab.json", "merges.txt"):
            if not (source / name).is_file():
                raise BadRequest(
                    f"{source} holds no CLIP tokenizer.", f"{name} is missing.", "Name a folder with vocab.json and merges.txt."
                )
            replace_file(folder / name, lambda path, name=name: shutil.copyfile(source / name, path))
    else:
        vocabulary, merges = read_merges(source)
        write_json(vocabulary, folder / "vocab.json")
        text = "#version: 0.2\n" + "\n".join(merges) + "\n"
        replace_file(folder / "merges.txt", lambda path: Path(path).write_text(text, encoding="utf-8"))
    first = next(iter(json.loads((folder / "vocab.json").read_text(encoding="utf-8"))))  # OpenCLIP pads with token 0
    write_json({"tokenizer_class": "CLIPTokenizer", "model_max_length": LONGEST, "pad_token": first, "bos_token": "<|startoftext|>",
                "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}, folder / "tokenizer_config.json")  # fmt: skip
    return True


def read_merges(path: Path) -> tuple[dict[str, int], list[str]]:
    """The vocabulary and the merges of open_clip's file: 256 bytes, the same at a word's end, one token a merge, and two for the ends."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise BadRequest(f"{path} cannot be read as CLIP's merges.", f"{error}", "Name bpe_simple_vocab_16e6.txt.gz.") from error
    merges = [line for line in lines[1 : 49152 - 256 - 2 + 1] if re.fullmatch(r"\S+ \S+", line)]
    if not merges:
        raise BadRequest(f"{path} holds no merges.", "", "Name bpe_simple_vocab_16e6.txt.gz.")
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = [chr(code) for code in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}, merges


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
