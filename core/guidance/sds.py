# SPDX-License-Identifier: GPL-3.0-or-later
"""Score distillation: how a picture should change so that a diffusion prior finds it likelier. Plain torch, whatever the prior.

A prior sees x_t = a·x + s·ε and predicts the noise ε̂, with a² + s² = 1; x̂0 = (x_t − s·ε̂) / a is the clean picture that it has in mind.
"""

import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.draws import Draws, draw
from core.errors import BadRequest
from core.rendering.cameras import Viewpoints

LOSSES = ("x0", "sds")
WEIGHTINGS = ("variance", "one")


def option(default: Any, help: str, *, choices: tuple = (), above: float | None = None, least: float | None = None):
    """A dataclass field that a command can have as a flag (core/training/options.py reads its metadata)."""
    return field(default=default, metadata={"help": help, "flag": "", "choices": choices, "above": above, "least": least})


class Text(NamedTuple):
    """Embeddings [B, L, C] of the prompts, and of what the pictures should not be: [B, L, C], or [1, L, C] for all."""

    prompt: Tensor
    negative: Tensor


class Blend(NamedTuple):
    """Other prompts' embeddings [B, L, C], and how much of each is in an object's picture: [B], 0 … 1."""

    other: Tensor
    share: Tensor


@dataclass(frozen=True)
class Distillation:
    """How a prior teaches. t_max, t_min: bounds of the noise level, as shares of the prior's steps, at the start and the end of a stage.

    The gradient at the prior's own pictures x is (x − x̂0) / n with the loss "x0", w(t)·(ε̂ − ε) / n with "sds"; n is the number of pictures.
    weighting, of "sds": w(t) = s² ("variance") or 1 ("one").
    """

    loss: str = option("x0", "x0: pull towards the prior's own picture; sds: the classic gradient", choices=LOSSES)
    scale: float = option(50.0, "how much the prompt outweighs the negative prompt (classifier-free guidance)", least=0)
    rescale: float = option(0.5, "0 … 1: how far the guided picture's contrast goes back to the unguided one's", least=0)
    weighting: str = option("variance", "weight of the classic gradient by noise level", choices=WEIGHTINGS)
    t_max: tuple[float, float] = (0.98, 0.5)
    t_min: tuple[float, float] = (0.5, 0.02)

    def __post_init__(self):
        if self.loss not in LOSSES or self.weighting not in WEIGHTINGS:
            problem = f"There is no loss {self.loss!r} with the weighting {self.weighting!r}."
            raise BadRequest(problem, "", f"Losses are {', '.join(LOSSES)}; weightings {', '.join(WEIGHTINGS)}.")
        if not (self.scale >= 0 and 0 <= self.rescale <= 1):
            raise BadRequest(
                f"A guidance of scale {self.scale} with rescale {self.rescale} cannot be.", "", "Rescale lies between 0 and 1."
            )
        if not all(0 <= low <= high <= 1 for low, high in zip(self.t_min, self.t_max, strict=True)):
            raise BadRequest(
                f"Noise levels from {self.t_min} to {self.t_max} cannot be drawn.", "", "They are shares: 0 ≤ t_min ≤ t_max ≤ 1."
            )

    def bounds(self, share: float) -> tuple[float, float]:
        """The lowest and the highest noise level at `share` 0 … 1 of the stage."""
        low, high = ((1 - share) * start + share * end for start, end in (self.t_min, self.t_max))
        return low, high

    def times(self, count: int, steps: int, share: float, generator: Draws | None) -> Tensor:
        """Noise levels [count] of 0 … steps − 1, drawn on the CPU: the same on every device."""
        low, high = (min(int(bound * steps), steps - 1) for bound in self.bounds(share))
        return draw(partial(torch.randint, low, high + 1), (count,), generator)

    def gradient(self, step: "Step") -> tuple[Tensor, Tensor]:
        """What the loss's gradient is at the pictures of a step [N, C, h, w], and the loss's value."""
        noise = step.noise_guided(self.scale)
        if self.loss == "sds" and not self.rescale:  # without a detour by x̂0, which would cost digits
            gradient = self._weight(step) * (noise - step.noise)
        else:
            picture = step.rescaled(step.picture(noise), self.rescale)
            gradient = step.clean - picture
            if self.loss == "sds":
                gradient = self._weight(step) * (step.a / step.s) * gradient  # ε̂ − ε, of an ε̂ that has this x̂0
        gradient = gradient / len(step.clean)
        return gradient, 0.5 * gradient.square().sum() * len(step.clean)

    def _weight(self, step: "Step") -> Tensor | float:
        return step.s**2 if self.weighting == "variance" else 1.0


@dataclass
class Step:
    """One look of a prior at noisy pictures. All [N, C, h, w]; a, s: [N, 1, 1, 1]; the pictures of one object follow one another.

    clean: the pictures as they are; prompted, unprompted: the prior's noise for the prompt and for the negative prompt.
    """

    clean: Tensor
    noise: Tensor
    prompted: Tensor
    unprompted: Tensor
    a: Tensor
    s: Tensor
    views: int = 1

    @property
    def noisy(self) -> Tensor:
        return self.a * self.clean + self.s * self.noise

    def noise_guided(self, scale: float) -> Tensor:
        """Classifier-free guidance: 0 is the negative prompt, 1 the prompt, more overdoes what the prompt changes."""
        return self.unprompted + scale * (self.prompted - self.unprompted)

    def picture(self, noise: Tensor) -> Tensor:
        """x̂0 of a predicted noise."""
        return (self.noisy - self.s * noise) / self.a

    def rescaled(self, picture: Tensor, share: float) -> Tensor:
        """x̂0 with its spread, over all views of an object, brought by `share` to that of the x̂0 without guidance."""
        if not share:
            return picture
        plain = self.picture(self.prompted)
        spread = [p.reshape(-1, self.views, *p.shape[1:]).flatten(1).std(1) + 1e-8 for p in (plain, picture)]
        factor = (spread[0] / spread[1]).repeat_interleave(self.views)[:, None, None, None]
        return picture * (share * factor + 1 - share)


def attach(pictures: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
    """A scalar with this value, whose gradient at the pictures is exactly `gradient`."""
    carrier = (pictures * gradient.detach()).sum()
    return value.detach() + (carrier - carrier.detach())


def _own_precision(device: str) -> contextlib.AbstractContextManager:
    """What a training does in half precision is for its own networks: a prior has the number format that it was loaded in."""
    return contextlib.nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def signal_shares(start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> Tensor:
    """a² [steps] of Stable Diffusion's own schedule ("scaled linear")."""
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


class Guidance:
    """Teaches pictures by a prior. A prior of its own kind gives `latents` and `predict`.

    signal: a² of each noise level [T], on the device that the prior runs on.
    """

    views: int | None = None  # that an object must have; None: as many as it has cameras
    viewpoints: Viewpoints | None = None  # that the prior has learnt from, where that is known

    def __init__(self, settings: Distillation, signal: Tensor):
        self.settings, self.signal = settings, signal

    def latents(self, images: Tensor) -> Tensor:
        """images [N, 3, H, W] in 0 … 1 -> the prior's own pictures [N, C, h, w], float32, with gradient."""
        raise NotImplementedError

    def predict(self, noisy: Tensor, times: Tensor, text: Text, cameras: Tensor, depth: Tensor | None) -> tuple[Tensor, Tensor]:
        """The noise in [N, C, h, w] at levels [N], for the prompt and for the negative prompt, float32; called without gradient."""
        raise NotImplementedError

    def loss(
        self,
        images: Tensor,
        text: Text,
        cameras: Tensor,
        share: float,
        *,
        generator: Draws | None = None,
        depth: Tensor | None = None,
        blend: Blend | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the prior thinks of rendered images, as a loss, and facts for the report.

        Args:
            images: [B·V, 3, H, W], sRGB in 0 … 1; the V views of an object follow one another.
            text: of the B prompts.
            cameras: camera-to-world [B, V, 4, 4]; right, up and backward are its axes; Z is up in the world.
            share: 0 … 1 of the stage; noise levels fall with it.
            generator: draws noise levels (one an object) and noise, on the CPU; with the same one, the loss is the same.
            depth: [B·V, 1, H, W], distances from the camera, 0 where there is nothing; for priors that are led by it.
            blend: of objects between two prompts; the prior's noise for the one and for the other is mixed (ATT3D).
        """
        self.check(images, text, cameras)
        if blend is not None:
            self.check(images, Text(blend.other, text.negative), cameras)
        with _own_precision(images.device.type):
            return self._loss(images.float(), text, cameras, share, generator, depth, blend)

    def _loss(
        self, images: Tensor, text: Text, cameras: Tensor, share: float, generator: Draws | None, depth: Tensor | None, blend: Blend | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        objects, views = cameras.shape[:2]
        latents = self.latents(images)
        times = self.settings.times(objects, len(self.signal), share, generator).repeat_interleave(views).to(latents.device)
        noise = draw(torch.randn, latents.shape, generator).to(latents.device)
        with torch.no_grad():
            a, s = ((x.sqrt())[times][:, None, None, None] for x in (self.signal, 1 - self.signal))
            noisy = a * latents.detach() + s * noise
            prompted, unprompted = self.predict(noisy, times, text, cameras, depth)
            if blend is not None:
                prompted = self._between(prompted, noisy, times, text, cameras, depth, blend)
            step = Step(latents.detach(), noise, prompted, unprompted, a, s, views)
            gradient, value = self.settings.gradient(step)
        facts = {"t": times.float().mean() / len(self.signal), "guidance_gradient": gradient.norm()}
        return attach(latents, gradient, value), facts

    def _between(
        self, prompted: Tensor, noisy: Tensor, times: Tensor, text: Text, cameras: Tensor, depth: Tensor | None, blend: Blend
    ) -> Tensor:
        """The noise [N, C, h, w] for prompts, mixed with that for the others; the prior is asked again where there is something of them."""
        objects, views = (blend.share > 0).nonzero()[:, 0], cameras.shape[1]
        if not len(objects):
            return prompted
        rows = (objects[:, None] * views + torch.arange(views, device=objects.device)).flatten()
        negative = text.negative if len(text.negative) == 1 else text.negative[objects.to(text.negative.device)]
        also = Text(blend.other[objects.to(blend.other.device)], negative)
        other, _ = self.predict(noisy[rows], times[rows], also, cameras[objects], None if depth is None else depth[rows])
        share = blend.share[objects].repeat_interleave(views)[:, None, None, None].to(prompted)
        return prompted.index_copy(0, rows, torch.lerp(prompted[rows], other, share))

    def check(self, images: Tensor, text: Text, cameras: Tensor) -> None:
        """Raise BadRequest where the parts of a batch do not belong together."""
        objects, views = cameras.shape[:2]
        if images.ndim != 4 or images.shape[1] != 3 or len(images) != objects * views or len(text.prompt) != objects:
            found = f"images {tuple(images.shape)}, prompts {len(text.prompt)}, cameras {tuple(cameras.shape)}"
            raise BadRequest("Images, prompts and cameras of a batch do not belong together.", f"There are: {found}.")
        if self.views not in (None, views):
            raise BadRequest(f"This prior sees {self.views} views of an object at once.", f"There are {views}.", "Render as many.")
