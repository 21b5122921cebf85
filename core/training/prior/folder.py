# SPDX-License-Identifier: GPL-3.0-or-later
"""A prior of one's own as a folder in the layout of diffusers: networks of stock classes, made, written, and asked for pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import BadRequest
from core.files import replace_file
from core.guidance.convert import write_json
from core.guidance.folder import find_folder, kind_of, load_part
from core.guidance.multiview import CAMERA, camera_numbers, share_views
from core.guidance.prior import VIEWPOINTS
from core.guidance.prompts import SENTENCE, SENTENCE_TOKENS
from core.language.encoder import TextEncoder
from core.rendering.cameras import Viewpoints

HEAD = 16  # channels of an attention head
SCHEDULER = {
    "_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction",
}  # fmt: skip
WIDTHS = "block_out_channels"
ALIKE = (WIDTHS, "in_channels", "cross_attention_dim")  # of U-Nets that can have the same weights
CLASSES = {"unet": "UNet2DConditionModel", "controlnet": "ControlNetModel"}


def unet(size: int, widths: Sequence[int], text_width: int, *, cameras: bool) -> UNet2DConditionModel:
    """A U-Net on pixels. Its first level has no attention: at the full size that would cost more than all the others."""
    down = ["DownBlock2D", *["CrossAttnDownBlock2D"] * (len(widths) - 1)]
    lead = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": CAMERA} if cameras else {}
    return UNet2DConditionModel(
        sample_size=size, in_channels=3, out_channels=3, block_out_channels=tuple(widths), layers_per_block=1, norm_num_groups=16,
        down_block_types=tuple(down), up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        attention_head_dim=[width // HEAD for width in widths], cross_attention_dim=text_width, use_linear_projection=True, **lead,
    )  # fmt: skip


def begin_as(net: UNet2DConditionModel, folder: Path) -> None:
    """Give a U-Net the weights of a multi-view prior of one's own. One without cameras is then what that one is to single pictures: what
    zeros come to as a camera is added to its times. Raises BadRequest where they are no such weights, or of another size."""
    folder = find_folder(folder)
    if kind_of(folder) != "multiview":
        raise BadRequest(f"{folder} is no multi-view prior to start from.", "", "Give --from one that `train-prior` made without --depth.")
    other = load_part(UNet2DConditionModel, folder, "unet", torch.float32, torch.device("cpu"))
    weights = other.state_dict()
    try:
        if net.class_embedding is None:
            with torch.no_grad():
                weights["time_embedding.linear_2.bias"] += other.class_embedding(torch.zeros(1, CAMERA))[0]
            weights = {name: value for name, value in weights.items() if not name.startswith("class_embedding.")}
        net.load_state_dict(weights)
    except RuntimeError as error:
        told, own = ({name: list(c[name]) if name == WIDTHS else c[name] for name in ALIKE} for c in (other.config, net.config))
        if told == own | {WIDTHS: told[WIDTHS]} != own:
            widths = ",".join(map(str, told[WIDTHS]))
            cause = f"Its widths are {widths}."
            raise BadRequest(f"The prior in {folder} is of another size.", cause, f"Give --widths {widths}.") from error
        raise BadRequest(f"The U-Net in {folder} is made otherwise.", "", "Give --from one that this `train-prior` made.") from error


def controlnet(net: UNet2DConditionModel, *, alike: bool = False) -> ControlNetModel:
    """One for a U-Net on pixels, which reads hints of the pictures' own size. alike: it begins with the U-Net's weights."""
    return ControlNetModel.from_unet(net, conditioning_channels=3, conditioning_embedding_out_channels=(16,), load_weights_from_unet=alike)


def write_folder(parts: Mapping[str, nn.Module], folder: Path, encoder: TextEncoder, viewpoints: Viewpoints) -> None:
    """Networks in half precision, and what belongs to them; each file appears whole or not at all."""
    for name, part in parts.items():
        tensors = {key: value.detach().to("cpu", torch.float16).contiguous() for key, value in part.state_dict().items()}
        path = folder / name / "diffusion_pytorch_model.safetensors"
        replace_file(path, lambda name, tensors=tensors: save_file(tensors, name, {"format": "pt"}))
        write_json(dict(part.config) | {"_class_name": CLASSES[name]}, folder / name / "config.json")
    write_json(SCHEDULER, folder / "scheduler" / "scheduler_config.json")
    write_json(asdict(viewpoints), folder / VIEWPOINTS)
    text = {"model_type": SENTENCE, "name": encoder.name, "hidden_size": encoder.width, "length": SENTENCE_TOKENS, "negative": ""}
    write_json(text, folder / "text_encoder" / "config.json")
    model = {"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDPMScheduler"]}
    write_json(model | {name: ["diffusers", CLASSES[name]] for name in parts}, folder / "model_index.json")


@torch.no_grad()
def sample(
    parts: Mapping[str, nn.Module], text: Tensor, nothing: Tensor, lead: Tensor, *, steps: int = 30, scale: float = 3.0, seed: int = 0
) -> Tensor:
    """Pictures of B prompts, [B, V, 3, S, S] of 0 … 1, by stock DDIM. text: [B, L, W]; nothing: [1, L, W], of no prompt.

    lead: cameras [B, V, 4, 4] of a multi-view prior, or hints [B, V, 3, S, S] of one that is led by depth.
    """
    net, (objects, views) = parts["unet"], lead.shape[:2]
    device, size = net.device, net.config.sample_size
    prompts = text.to(device).repeat_interleave(views, 0)
    both = torch.cat((prompts, nothing.to(device).expand_as(prompts)))
    scheduler = DDIMScheduler.from_config(SCHEDULER, clip_sample=True)
    scheduler.set_timesteps(steps, device=device)
    x = torch.randn(objects * views, 3, size, size, generator=torch.Generator().manual_seed(seed)).to(device)
    for t in scheduler.timesteps:
        prompted, unprompted = predict(parts, x.repeat(2, 1, 1, 1), t.expand(len(both)), both, torch.cat((lead, lead)), views).chunk(2)
        x = scheduler.step(unprompted + scale * (prompted - unprompted), t, x).prev_sample
    return (x / 2 + 0.5).clamp(0, 1).unflatten(0, (objects, views)).cpu()


def predict(parts: Mapping[str, nn.Module], noisy: Tensor, times: Tensor, text: Tensor, lead: Tensor, shared: int) -> Tensor:
    """What the networks say of noisy pictures [N, 3, S, S]. lead: as in `sample`, or None for single pictures of a multi-view prior;
    shared: views that see one another."""
    if "controlnet" in parts:
        down, middle = parts["controlnet"](noisy, times, text, lead.flatten(0, 1).to(noisy), return_dict=False)
        led = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return parts["unet"](noisy, times, text, **led).sample
    share_views(parts["unet"], shared)
    cameras = camera_numbers(lead).to(noisy)
    return parts["unet"](noisy, times, text, class_labels=cameras if shared > 1 else torch.zeros_like(cameras)).sample
