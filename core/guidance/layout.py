# SPDX-License-Identifier: GPL-3.0-or-later
"""The configs of diffusers that belong to the tensors of an original checkpoint: every size that can be seen in them is read there."""

import re

from torch import Tensor

from core.errors import BadRequest

UNET, VAE = "model.diffusion_model.", "first_stage_model."


def unet_config(state: dict[str, Tensor], head_width: int, size: int) -> dict:
    """Of a U-Net with the prefix UNET, camera_embed as label_emb.0. size: a side of its pictures.

    Raises BadRequest where heads do not fit, or a tensor is missing.
    """
    blocks = 1 + max(int(m[1]) for name in state if (m := re.match(re.escape(UNET) + r"input_blocks\.(\d+)\.", name)))
    downs = [i for i in range(blocks) if f"{UNET}input_blocks.{i}.0.op.weight" in state]
    layers = (downs[0] if downs else blocks) - 1
    firsts = [1, *(i + 1 for i in downs)]  # block of each level's first layer
    widths = [_shape(state, f"{UNET}input_blocks.{i}.0.out_layers.3.weight")[0] for i in firsts]
    attended = [f"{UNET}input_blocks.{i}.1.norm.weight" in state for i in firsts]
    for width in widths:
        if width % head_width:
            cause = f"A level is {width} wide, and a head {head_width}."
            raise BadRequest(
                "The U-Net's width is no multiple of a head's.", cause, "Give the width that it was trained with: --head-width N."
            )
    inner = f"{UNET}input_blocks.{firsts[attended.index(True)] if True in attended else 1}.1."
    depth = len({name.split(".")[6] for name in state if name.startswith(inner + "transformer_blocks.")}) or 1
    return {
        "sample_size": size,
        "in_channels": _shape(state, f"{UNET}input_blocks.0.0.weight")[1],
        "out_channels": _shape(state, f"{UNET}out.2.weight")[0],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attended],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attended)],
        "cross_attention_dim": _shape(state, f"{inner}transformer_blocks.0.attn2.to_k.weight")[1],
        "attention_head_dim": [width // head_width for width in widths],  # diffusers' name for the number of heads
        "transformer_layers_per_block": depth,
        "use_linear_projection": len(_shape(state, f"{inner}proj_in.weight")) == 2,
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": _shape(state, f"{UNET}label_emb.0.0.weight")[1],
    }


def vae_config(state: dict[str, Tensor], image_size: int) -> dict:
    levels = 1 + max(int(m[1]) for name in state if (m := re.match(re.escape(VAE) + r"encoder\.down\.(\d+)\.", name)))
    layers = 1 + max(int(m[1]) for name in state if (m := re.match(re.escape(VAE) + r"encoder\.down\.0\.block\.(\d+)\.", name)))
    return {
        "in_channels": _shape(state, f"{VAE}encoder.conv_in.weight")[1],
        "out_channels": _shape(state, f"{VAE}decoder.conv_out.weight")[0],
        "latent_channels": _shape(state, f"{VAE}decoder.conv_in.weight")[1],
        "block_out_channels": [_shape(state, f"{VAE}encoder.down.{i}.block.0.conv1.weight")[0] for i in range(levels)],
        "layers_per_block": layers,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "sample_size": image_size,
        "scaling_factor": 0.18215,
    }


def text_config(state: dict[str, Tensor], prefix: str, head_width: int) -> dict:
    """Of OpenCLIP's text tower without its last layer, which Stable Diffusion 2 does not read."""
    layers = 1 + max(int(m[1]) for name in state if (m := re.match(re.escape(prefix) + r"transformer\.resblocks\.(\d+)\.", name)))
    width = _shape(state, prefix + "ln_final.weight")[0]
    words = _shape(state, prefix + "token_embedding.weight")[0]
    if width % head_width:
        cause = f"It is {width} wide, and a head {head_width}."
        raise BadRequest(
            "The text encoder's width is no multiple of a head's.", cause, "Give the width that it was trained with: --head-width N."
        )
    return {
        "model_type": "clip_text_model",
        "hidden_size": width,
        "intermediate_size": _shape(state, prefix + "transformer.resblocks.0.mlp.c_fc.weight")[0],
        "num_hidden_layers": layers - 1,
        "num_attention_heads": width // head_width,
        "vocab_size": words,
        "max_position_embeddings": _shape(state, prefix + "positional_embedding")[0],
        "hidden_act": "gelu",
        "projection_dim": width,
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": 0,
    }


def _shape(state: dict[str, Tensor], name: str) -> tuple[int, ...]:
    """Raises BadRequest where a checkpoint lacks a tensor."""
    if name not in state:
        raise BadRequest("The checkpoint is not of MVDream's architecture.", f"{name} is missing.", "Use MVDream's original checkpoint.")
    return tuple(state[name].shape)
