# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidance by Stable Diffusion: plain, the 2D baseline; and led by depth through a ControlNet, so that a texture keeps to its shape."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import BadRequest
from core.guidance.folder import load_part, read_config
from core.guidance.prior import PriorGuidance, Sizes
from core.guidance.sds import Distillation

FARTHEST = 0.2  # brightness of a hint's farthest surface; what is not there is 0, what is nearest 1


class ImageGuidance(PriorGuidance):
    """Guidance by a prior of single pictures: each view for itself."""

    kinds = ("image", "depth")
    usual = Distillation(loss="sds", scale=20.0, rescale=0.0)


class DepthGuidance(ImageGuidance):
    """Guidance by a prior of single pictures, led by the depth of what is in them.

    controlnet: folder of a ControlNetModel; None: controlnet/ in the prior's folder. strength: of its lead.
    """

    def __init__(self, folder: Path, *args, controlnet: str | Path | None = None, strength: float = 1.0, **more):
        self.strength = strength
        where = Path(controlnet) if controlnet else folder / "controlnet"
        check_controlnet(folder, where)
        super().__init__(folder, *args, **more)
        from diffusers import ControlNetModel

        self.controlnet = load_part(ControlNetModel, where.parent, where.name, self.dtype, self.device)

    def leads(self, cameras: Tensor, depth: Tensor | None) -> list[Tensor]:
        if depth is None:
            raise BadRequest("This prior is led by depth, and no depth is given.", "", "Render it beside the images.")
        return [depth_hint(depth.detach().to(self.device), self.sizes.image)]

    def noise_of(self, noisy: Tensor, times: Tensor, text: Tensor, *leads: Tensor) -> Tensor:
        hint = leads[0].to(self.dtype)
        down, middle = self.controlnet(noisy, times, text, hint, conditioning_scale=self.strength, return_dict=False)
        led = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return self.unet(noisy, times, text, **led).sample

    def modules(self) -> dict[str, Any]:
        return super().modules() | {"controlnet": self.controlnet}


def depth_hint(depth: Tensor, size: int) -> Tensor:
    """What a depth ControlNet reads, [N, 3, size, size] in 0 … 1: near is bright, the farthest surface FARTHEST, and nothing 0.

    depth: [N, 1, H, W], distances from the camera, 0 where there is nothing. The brightness is linear in 1/depth, as in the pictures that
    such networks are trained on.
    """
    there = depth > 0
    closeness = torch.where(there, 1 / depth.float().clamp_min(1e-6), 0.0)
    near = closeness.flatten(1).amax(1)[:, None, None, None]
    far = torch.where(there, closeness, torch.inf).flatten(1).amin(1)[:, None, None, None]
    spread = torch.where(near > far, (closeness - far) / (near - far), 1.0).clamp(0, 1)
    hint = torch.where(there, FARTHEST + (1 - FARTHEST) * spread, 0.0)
    if tuple(hint.shape[2:]) != (size, size):
        hint = F.interpolate(hint, (size, size), mode="bilinear", antialias=True)
    return hint.expand(-1, 3, -1, -1)


def check_controlnet(folder: Path, controlnet: Path) -> None:
    """Raise BadRequest where a ControlNet is none, or does not fit a prior's U-Net."""
    if not (controlnet / "config.json").is_file():
        remedy = "Name one with --controlnet, or put it into the prior's folder as controlnet/."
        raise BadRequest(f"There is no ControlNet in {controlnet}.", "", remedy)
    own, unet, sizes = read_config(controlnet, "."), read_config(folder, "unet"), Sizes.read(folder)
    if (name := own.get("_class_name")) != "ControlNetModel":
        raise BadRequest(f"{controlnet} is no ControlNet.", f"It is a {name}.", "Name the folder of a ControlNetModel.")
    for key, what, usual in (
        ("cross_attention_dim", "text width", 1280),
        ("block_out_channels", "widths", [320, 640, 1280, 1280]),
        ("layers_per_block", "layers a block", 2),
        ("in_channels", "picture channels", 4),
    ):
        if own.get(key, usual) != unet.get(key, usual):
            cause = f"Its {what}: {own.get(key, usual)}; the U-Net's: {unet.get(key, usual)}."
            raise BadRequest(f"The ControlNet in {controlnet} does not fit the U-Net in {folder}.", cause, "Use one made for this model.")
    shrinks = 2 ** (len(own.get("conditioning_embedding_out_channels", (16, 32, 96, 256))) - 1)
    if own.get("conditioning_channels", 3) != 3 or shrinks != sizes.factor:
        cause = f"It reads hints {shrinks} times the U-Net's pictures with {own.get('conditioning_channels', 3)} channels; "
        raise BadRequest(f"The ControlNet in {controlnet} does not fit the images of {folder}.", f"{cause}images are {sizes.factor} times.")
