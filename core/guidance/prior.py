# SPDX-License-Identifier: GPL-3.0-or-later
"""A frozen diffusion prior out of a diffusers folder, and what all kinds of guidance by one have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.errors import BadRequest
from core.guidance.folder import find_folder, kind_of, load_part, read_config, signal_of
from core.guidance.sds import Distillation, Guidance, Text
from core.rendering.cameras import Viewpoints

VIEWPOINTS = "viewpoints.json"  # in the folder of a prior of one's own


def read_viewpoints(folder: Path) -> Viewpoints | None:
    """Where a prior has learnt to look from, of the file that priors of one's own have. Raises BadRequest where it is another's."""
    if not (folder / VIEWPOINTS).is_file():
        return None
    told = read_config(folder, ".", VIEWPOINTS)
    try:
        return Viewpoints(**{name: tuple(value) if isinstance(value, list) else value for name, value in told.items()})
    except TypeError as error:
        raise BadRequest(f"{folder / VIEWPOINTS} says nothing of cameras.", f"{error}.", "Train the prior again, or delete it.") from error


@dataclass(frozen=True)
class Sizes:
    """What the configs of a folder say. size: of the U-Net's pictures, a side; channels: of them; factor: pixels of an image, a side, to
    one of theirs (1: the prior works on pixels); text: width of its embeddings."""

    size: int
    channels: int
    factor: int
    text: int

    @property
    def image(self) -> int:
        """Pixels of an image, a side."""
        return self.size * self.factor

    @staticmethod
    def read(folder: Path) -> "Sizes":
        """Raises BadRequest where the parts of the folder do not fit one another."""
        unet = read_config(folder, "unet")
        size, channels, gives = unet.get("sample_size"), unet.get("in_channels", 4), unet.get("out_channels", 4)
        size = size[0] if isinstance(size, list) and len(set(size)) == 1 else size
        if not isinstance(size, int):
            cause = f"sample_size in unet/config.json is {size}."
            raise BadRequest(
                f"The prior in {folder} does not say how large its pictures are.", cause, "Write the side that it was trained on."
            )
        if gives not in (channels, 2 * channels):
            cause = f"Its U-Net takes {channels} channels and gives {gives}."
            raise BadRequest(
                f"The prior in {folder} is of another kind: it fills in or enlarges pictures.", cause, "Use one from text alone."
            )
        latent = (folder / "vae").is_dir()
        if not latent and channels != 3:
            cause = f"Its U-Net works on {channels} channels, and vae/ is missing."
            raise BadRequest(f"{folder} is not a whole diffusion prior.", cause, "Put the vae/ that it was trained with beside unet/.")
        vae = read_config(folder, "vae") if latent else {}
        if latent and vae.get("latent_channels", 4) != channels:
            cause = f"The VAE gives {vae.get('latent_channels', 4)} channels, the U-Net takes {channels}."
            raise BadRequest(f"vae/ and unet/ in {folder} do not belong together.", cause, "Use those of one model.")
        factor = 2 ** (len(vae.get("block_out_channels", (64,))) - 1) if latent else 1
        text = unet.get("encoder_hid_dim") or unet.get("cross_attention_dim")
        return Sizes(size, channels, factor, _check_text(folder, text[0] if isinstance(text, list) else text))


def _check_text(folder: Path, width: int) -> int:
    """The width of the text that a U-Net reads. Raises BadRequest where the text encoder beside it has another."""
    if (folder / "text_encoder").is_dir():
        config = read_config(folder, "text_encoder")
        given = config.get("hidden_size") or config.get("d_model")
        if given != width:
            cause = f"The text encoder gives embeddings of width {given}, the U-Net reads {width}."
            raise BadRequest(f"text_encoder/ and unet/ in {folder} do not belong together.", cause, "Use those of one model.")
    return width


class PriorGuidance(Guidance):
    """Guidance by a U-Net of diffusers. Kinds of it add what the U-Net is led by, in `leads` and `noise_of`.

    at_once: objects that go through the U-Net, and whose images through the VAE, together; 0: all. Fewer need less memory, and more time.
    """

    kinds: tuple[str, ...] = ()
    usual = Distillation()

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype, settings: Distillation | None = None, at_once: int = 0):
        from diffusers import AutoencoderKL, UNet2DConditionModel

        self.sizes, self.device, self.dtype, self.at_once = Sizes.read(folder), device, dtype, at_once
        signal, self.predicts = signal_of(folder)
        super().__init__(settings or self.usual, signal.to(device))
        self.viewpoints = read_viewpoints(folder)
        self.unet = load_part(UNet2DConditionModel, folder, "unet", dtype, device)
        self.vae = load_part(AutoencoderKL, folder, "vae", dtype, device) if (folder / "vae").is_dir() else None

    @classmethod
    def load(
        cls, name: str | Path, device: torch.device | str, dtype: torch.dtype = torch.float32, *, download: bool = False, **more
    ) -> Self:
        """The guidance of a folder or hub id. more: settings, at_once and what the kind has beside. Raises BadRequest for a prior of
        another kind, or whose parts do not fit; MissingWeights for one that is damaged."""
        folder = find_folder(name, download=download)
        kind = kind_of(folder)
        if kind not in cls.kinds:
            wanted = {"multiview": "a multi-view prior, such as MVDream", "image": "a prior of single pictures, such as Stable Diffusion"}
            has_camera = "has a camera input" if kind == "multiview" else "has no camera input (class_embed_type is not projection)"
            raise BadRequest(f"{folder} is the wrong kind of prior.", f"Its U-Net {has_camera}.", f"Name {wanted[cls.kinds[0]]}.")
        return cls(folder, torch.device(device), dtype, **more)

    def latents(self, images: Tensor) -> Tensor:
        """Of float32 [N, 3, H, W] of any size. The mean of the VAE's distribution: its noise is far below that of any level."""
        size = (self.sizes.image, self.sizes.image)
        if tuple(images.shape[2:]) != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        pixels = images * 2 - 1
        if self.vae is None:
            return pixels
        few = self.at_once or len(pixels)
        if few >= len(pixels):
            return self._encode(pixels)
        return torch.cat([checkpoint(self._encode, part, use_reentrant=False) for part in pixels.split(few)])

    def _encode(self, pixels: Tensor) -> Tensor:
        config = self.vae.config
        mean = self.vae.encode(pixels.to(self.dtype)).latent_dist.mode().float()
        return (mean - (config.shift_factor or 0.0)) * config.scaling_factor

    def predict(self, noisy: Tensor, times: Tensor, text: Text, cameras: Tensor, depth: Tensor | None) -> tuple[Tensor, Tensor]:
        objects, views = cameras.shape[:2]
        prompt, negative = (x.to(self.device, self.dtype).expand(objects, -1, -1).repeat_interleave(views, 0) for x in text)
        leads = self.leads(cameras, depth)
        few = (self.at_once or objects) * views
        parts = []
        for i in range(0, objects * views, few):
            rows = slice(i, i + few)
            of = [(x[rows]).repeat(2, *[1] * (x.ndim - 1)) for x in (noisy, times, *leads)]  # for the prompt, then for the negative one
            noise = self.noise_of(of[0].to(self.dtype), of[1], torch.cat([prompt[rows], negative[rows]]), *of[2:])
            parts.append(self._as_noise(noise.float()[:, : self.sizes.channels], of[0], of[1]).chunk(2))
        prompted, unprompted = (torch.cat(half) for half in zip(*parts, strict=True))
        return prompted, unprompted

    def _as_noise(self, predicted: Tensor, noisy: Tensor, times: Tensor) -> Tensor:
        """Whatever the U-Net predicts, as the noise."""
        if self.predicts == "epsilon":
            return predicted
        a, s = ((x.sqrt())[times][:, None, None, None] for x in (self.signal, 1 - self.signal))
        return a * predicted + s * noisy if self.predicts == "v_prediction" else (noisy - a * predicted) / s

    def leads(self, cameras: Tensor, depth: Tensor | None) -> list[Tensor]:
        """What beside the text leads the U-Net, [N, …] each."""
        return []

    def noise_of(self, noisy: Tensor, times: Tensor, text: Tensor, *leads: Tensor) -> Tensor:
        """The U-Net's answer for pictures [N, C, h, w] at levels [N] with text [N, L, W] and what leads it."""
        return self.unet(noisy, times, text).sample

    def check(self, images: Tensor, text: Text, cameras: Tensor) -> None:
        super().check(images, text, cameras)
        for embeddings in text:
            if embeddings.shape[-1] != self.sizes.text:
                cause = f"They are {embeddings.shape[-1]} wide, and the U-Net reads {self.sizes.text}."
                raise BadRequest("The embeddings are of another text encoder.", cause, "Use those of the prior's own.")

    def modules(self) -> dict[str, Any]:
        """Its networks by name."""
        return {"unet": self.unet} | ({"vae": self.vae} if self.vae is not None else {})
