# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny diffusion priors of random weights in the real folder layouts, a checkpoint in MVDream's original one, and a guidance that knows
the right answer."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from core.guidance.convert import PARTS, read_merges, write_json
from core.guidance.sds import Distillation, Guidance, Text, signal_shares

WIDTH, TEXT_WIDTH, SIZE, IMAGE = 32, 32, 8, 16  # of the U-Net's first level, of the text, a side of its pictures, a side of images
SCHEDULER = {"_class_name": "DDPMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
UNET = {
    "sample_size": SIZE, "block_out_channels": (WIDTH, 2 * WIDTH), "layers_per_block": 1, "cross_attention_dim": TEXT_WIDTH,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": (2, 4), "use_linear_projection": True,
}  # fmt: skip
CAMERA = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 16}


def unet(seed: int = 0, **more):
    from diffusers import UNet2DConditionModel

    return _seeded(lambda: UNet2DConditionModel(**(UNET | more)), seed)


def vae(seed: int = 1, channels: int = 4):
    from diffusers import AutoencoderKL

    config = {"block_out_channels": (32, 32), "layers_per_block": 1, "latent_channels": channels, "sample_size": IMAGE}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return _seeded(lambda: AutoencoderKL(**config, **blocks), seed)


def text_encoder(seed: int = 2, width: int = TEXT_WIDTH, layers: int = 1):
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(vocab_size=515, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
                            num_attention_heads=2, max_position_embeddings=77, hidden_act="gelu", projection_dim=width, bos_token_id=513,
                            eos_token_id=514, pad_token_id=0)  # fmt: skip
    return _seeded(lambda: CLIPTextModel(config), seed)


def tokenizer(folder: Path) -> None:
    """CLIP's tokenizer with one merge: words are letters."""
    folder.mkdir(parents=True)
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    write_json(read_merges(folder / "merges.txt")[0], folder / "vocab.json")
    write_json({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!"}, folder / "tokenizer_config.json")


def prior(
    folder: Path, *, camera: bool = False, latent: bool = True, controlnet: bool = False, scheduler: dict | None = None, **more
) -> Path:
    """A folder as diffusers has it. camera: a multi-view prior, as MVDream; latent: with a VAE; more: of the U-Net."""
    channels = {} if latent else {"in_channels": 3, "out_channels": 6, "sample_size": IMAGE}  # it gives its doubt as well
    net = unet(**(channels | (CAMERA if camera else {}) | more))
    net.save_pretrained(folder / "unet")
    if latent:
        vae().save_pretrained(folder / "vae")
    text_encoder().save_pretrained(folder / "text_encoder")
    tokenizer(folder / "tokenizer")
    if controlnet:
        depth_network(net).save_pretrained(folder / "controlnet")
    write_json(SCHEDULER | (scheduler or {}), folder / "scheduler" / "scheduler_config.json")
    there = {part: classes for part, classes in PARTS.items() if (folder / part).is_dir()}
    write_json({"_class_name": "StableDiffusionPipeline"} | there, folder / "model_index.json")
    return folder


def depth_network(net, seed: int = 3):
    """A ControlNet for a U-Net, whose residuals are not the zeros that it would begin with."""
    from diffusers import ControlNetModel

    made = _seeded(lambda: ControlNetModel.from_unet(net, conditioning_embedding_out_channels=(16, 32)), seed)
    with torch.no_grad(), torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        made.controlnet_mid_block.weight.normal_(0, 0.1)
        made.controlnet_cond_embedding.conv_out.weight.normal_(0, 0.1)
    return made


def _seeded(make: Callable, seed: int):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        return make().eval()


def cameras(objects: int = 1, views: int = 4, elevation: float = 15.0, distance: float = 2.5) -> Tensor:
    """Camera-to-world [B, V, 4, 4] around the object; the first one on +x."""
    angles, e = torch.arange(views) * (2 * math.pi / views), torch.tensor(math.radians(elevation))
    backward = torch.stack([e.cos() * angles.cos(), e.cos() * angles.sin(), e.sin().expand(views)], -1)
    right = torch.stack([-angles.sin(), angles.cos(), torch.zeros(views)], -1)
    matrix = torch.eye(4).repeat(views, 1, 1)
    matrix[:, :3] = torch.stack([right, torch.linalg.cross(backward, right), backward, distance * backward], -1)
    return matrix.repeat(objects, 1, 1, 1)


def text(objects: int = 1, length: int = 5, seed: int = 4) -> Text:
    made = torch.randn(2, objects, length, TEXT_WIDTH, generator=torch.Generator().manual_seed(seed))
    return Text(made[0], made[1, :1])


class ExactDenoiser(Guidance):
    """A prior that knows what the pictures should be: its x̂0 is `target(text, cameras)`, [B·V, 3, H, W] in 0 … 1, whatever it is shown."""

    def __init__(self, target: Callable[[Text, Tensor], Tensor], settings: Distillation | None = None):
        super().__init__(settings or Distillation(scale=1.0, rescale=0.0), signal_shares())
        self.target = target

    def latents(self, images: Tensor) -> Tensor:
        return images.float() * 2 - 1

    def predict(self, noisy: Tensor, times: Tensor, text: Text, cameras: Tensor, depth: Tensor | None) -> tuple[Tensor, Tensor]:
        a, s = ((x.sqrt())[times][:, None, None, None] for x in (self.signal, 1 - self.signal))
        noise = (noisy - a * self.latents(self.target(text, cameras))) / s
        return noise, noise


# MVDream's original layout ------------------------------------------------------------------------------------------------------


def checkpoint(folder: Path) -> dict[str, Tensor]:
    """The tensors of a prior's folder under the names of the original code, as MVDream's checkpoint has them."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    net = UNet2DConditionModel.from_pretrained(folder / "unet")
    layers = net.config.layers_per_block
    state = {f"model.diffusion_model.{_ldm_unet(k, layers)}": v for k, v in net.state_dict().items()}
    coder = AutoencoderKL.from_pretrained(folder / "vae")
    for name, value in coder.state_dict().items():
        conv = ".attentions.0.to_" in name and name.endswith("weight")
        state["first_stage_model." + _ldm_vae(name, len(coder.config.block_out_channels))] = value[:, :, None, None] if conv else value
    return state | _open_clip(text_encoder(layers=2)) | {"betas": torch.zeros(1000)}


def _ldm_unet(name: str, layers: int) -> str:
    heads = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
             "class_embedding.linear_1": "camera_embed.0", "class_embedding.linear_2": "camera_embed.2",
             "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}  # fmt: skip
    for ours, theirs in heads.items():
        if name.startswith(ours + "."):
            return name.replace(ours, theirs, 1)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)", name):
        number = 1 if found[1] == "attentions" else 2 * int(found[2])
        return _ldm_layer(name.replace(found[0], f"middle_block.{number}", 1))
    side, level, what, layer = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)", name).groups()
    whole = f"{side}_blocks.{level}.{what}.{layer}"
    first = int(level) * (layers + 1)
    if what == "downsamplers":
        return name.replace(f"{whole}.conv", f"input_blocks.{first + layers + 1}.0.op")
    if what == "upsamplers":
        return name.replace(whole, f"output_blocks.{first + layers}.{2 if level != '0' else 1}")  # the first level has no attention
    block = f"input_blocks.{1 + first + int(layer)}" if side == "down" else f"output_blocks.{first + int(layer)}"
    return _ldm_layer(name.replace(whole, f"{block}.{1 if what == 'attentions' else 0}"))


def _ldm_layer(name: str) -> str:
    if "transformer_blocks" in name or re.search(r"\.1\.(norm|proj_in|proj_out)\.", name):
        return name
    parts = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
             "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}  # fmt: skip
    return re.sub(r"\b(" + "|".join(parts) + r")\b", lambda m: parts[m[1]], name)


def _ldm_vae(name: str, levels: int) -> str:
    name = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", r"encoder.down.\1.block.\2", name)
    name = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"decoder.up.{levels - 1 - int(m[1])}.block.{m[2]}", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"decoder.up.{levels - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    for ours, theirs in (("mid_block.attentions.0", "mid.attn_1"), ("group_norm", "norm"), ("to_out.0", "proj_out"), ("to_q", "q"),
                         ("to_k", "k"), ("to_v", "v"), ("conv_norm_out", "norm_out"), ("conv_shortcut", "nin_shortcut")):  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def _open_clip(model) -> dict[str, Tensor]:
    """A text model under OpenCLIP's names; its last layer is the one that nobody reads."""
    own, out, prefix = {k.removeprefix("text_model."): v for k, v in model.state_dict().items()}, {}, "cond_stage_model.model."
    plain = {"embeddings.token_embedding.weight": "token_embedding.weight", "embeddings.position_embedding.weight": "positional_embedding",
             "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias"}  # fmt: skip
    out = {prefix + theirs: own[ours] for ours, theirs in plain.items()}
    names = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    for layer in range(model.config.num_hidden_layers):
        ours, theirs = f"encoder.layers.{layer}.", f"{prefix}transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            out |= {f"{theirs}{t}.{kind}": own[f"{ours}{o}.{kind}"] for o, t in names.items()}
            out[f"{theirs}attn.in_proj_{kind}"] = torch.cat([own[f"{ours}self_attn.{x}_proj.{kind}"] for x in "qkv"])
    return out | {prefix + "text_projection": torch.eye(model.config.hidden_size), prefix + "logit_scale": torch.zeros(())}


def edit(path: Path, **changes) -> None:
    """Change entries of a JSON file; None takes one out."""
    content = {k: v for k, v in (json.loads(path.read_text()) | changes).items() if v is not None}
    path.write_text(json.dumps(content))
