# SPDX-License-Identifier: GPL-3.0-or-later
"""Multi-view guidance: MVDream's U-Net sees several views of an object at once, each with its camera, and so no object has two faces.

It is Stable Diffusion's U-Net with two changes: self-attention goes over all views of an object, and the camera is a second time embedding.
"""

from pathlib import Path

import torch
from torch import Tensor

from core.errors import BadRequest
from core.guidance.folder import read_config
from core.guidance.prior import PriorGuidance, read_viewpoints
from core.guidance.sds import Distillation

VIEWS = 4  # that MVDream was trained on; a prior of one's own says its number itself
CAMERA = 16  # numbers: a matrix


def share_views(unet, views: int) -> int:
    """Let a U-Net's self-attention go over `views` rows at a time, the views of one object. Returns how many layers it does that in."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    class ViewAttention(AttnProcessor2_0):
        """Stock attention of tokens [B·V, L, C], as if they were [B, V·L, C]."""

        def __call__(self, attn, hidden_states: Tensor, *args, **more) -> Tensor:
            rows, length, width = hidden_states.shape
            return super().__call__(attn, hidden_states.reshape(-1, views * length, width), *args, **more).reshape(rows, length, width)

    own = [name for name in unet.attn_processors if name.endswith("attn1.processor")]
    unet.set_attn_processor(unet.attn_processors | {name: ViewAttention() for name in own})
    return len(own)


def camera_numbers(cameras: Tensor) -> Tensor:
    """MVDream's camera input [B·V, 16] of camera-to-world matrices [B, V, 4, 4] (OpenGL's axes, Z up): row by row, at distance 1."""
    matrices = cameras.float().clone()
    matrices[..., :3, 3] /= matrices[..., :3, 3].norm(dim=-1, keepdim=True).clamp_min(1e-8)
    return matrices.flatten(2).flatten(0, 1)


def views_of(folder: Path) -> int:
    """How many views of an object a multi-view prior has learnt to see at once."""
    known = read_viewpoints(folder)
    return known.views if known else VIEWS


class MultiviewGuidance(PriorGuidance):
    """Guidance by MVDream, or another prior with its two changes, from a diffusers folder."""

    kinds = ("multiview",)
    usual = Distillation(loss="x0", scale=50.0, rescale=0.5)
    flat = False  # whether views are pictures of their own

    def __init__(self, folder: Path, *args, **more):
        takes = read_config(folder, "unet").get("projection_class_embeddings_input_dim")
        if takes != CAMERA:
            cause = f"Its camera input takes {takes} numbers; a camera has {CAMERA}."
            raise BadRequest(
                f"The prior in {folder} does not know cameras as MVDream does.", cause, "Use MVDream, or a prior trained as it was."
            )
        super().__init__(folder, *args, **more)
        self.views = None if self.flat else views_of(folder)
        if not share_views(self.unet, self.views or 1):
            raise BadRequest(f"The prior in {folder} has no self-attention that views could share.", "", "Use MVDream.")

    def leads(self, cameras: Tensor, depth: Tensor | None) -> list[Tensor]:
        return [camera_numbers(cameras).to(self.device)]

    def noise_of(self, noisy: Tensor, times: Tensor, text: Tensor, *leads: Tensor) -> Tensor:
        return self.unet(noisy, times, text, class_labels=leads[0].to(self.dtype)).sample

    def check(self, images: Tensor, text, cameras: Tensor) -> None:
        super().check(images, text, cameras)
        rotation = cameras[..., :3, :3].float().cpu()
        turned = (rotation @ rotation.transpose(-1, -2) - torch.eye(3)).abs().amax()
        if cameras.shape[2:] != (4, 4) or turned > 1e-2:
            raise BadRequest("The cameras are no camera-to-world matrices.", f"Their axes are off by {float(turned):.2g}.")


class FlatGuidance(MultiviewGuidance):
    """The 2D baseline of the very same weights: views do not see one another, and no camera is told. For priors that have learnt single
    pictures too, as MVDream has and those of `core train-prior`, with a camera of zeros."""

    flat = True

    def leads(self, cameras: Tensor, depth: Tensor | None) -> list[Tensor]:
        return [torch.zeros_like(lead) for lead in super().leads(cameras, depth)]
