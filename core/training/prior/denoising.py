# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage in which a prior learns to take noise off pictures: several views of an object at once, or single ones led by their depth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.guidance.depth import depth_hint
from core.library.source import BLOCK
from core.training.prior.album import Album
from core.training.prior.folder import predict
from core.training.prior.settings import DenoisingSettings
from core.training.stage import Stage

FIRST = 8  # blocks that a training begins with


@dataclass
class Noisy:
    """N = B · V pictures [N, 3, S, S] in -1 … 1, their noise, its levels [N], text [N, L, W], what leads them [B, V, …], and how many views
    see one another."""

    clean: Tensor
    noise: Tensor
    times: Tensor
    text: Tensor
    lead: Tensor
    shared: int


class Denoising(Stage):
    """signal: a² of each level [T]; text(prompts) -> [B, L, W], of "" as well; blocks: how many of the album's are read, at most."""

    name, shown = "denoising", ("total", "flat")

    def __init__(
        self, settings: DenoisingSettings, parts: Mapping[str, nn.Module], album: Album, text: Callable[[list[str]], Tensor],
        signal: Tensor, seed: int, blocks: int,
    ):  # fmt: skip
        self.settings, self.networks, self.album, self.text = settings, dict(parts), album, text
        self.signal, self.seed, self.blocks = signal, seed, blocks

    def parts(self) -> dict[str, nn.Module]:
        return self.networks

    def batch(self, step: int, share: float) -> Noisy:
        s, rng = self.settings, torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        there = min(FIRST + step * s.batch // (BLOCK * s.reuse), self.blocks)
        for number in range(there):
            self.album.ensure(number)
        numbers, rows = (torch.randint(n, (s.batch,), generator=rng).tolist() for n in (there, BLOCK))
        shots = self.album.read(list(zip(numbers, rows, strict=True)))
        chance = torch.rand(s.batch + 1, generator=rng).tolist()
        prompts = ["" if left < s.unprompted else prompt for prompt, left in zip(shots.prompts, chance[1:], strict=True)]
        images, views = shots.images.flatten(0, 1), shots.images.shape[1]
        depth, flat = "controlnet" in self.networks, chance[0] < s.flat
        lead = depth_hint(shots.depth.flatten(0, 1), images.shape[-1]).unflatten(0, (-1, views)) if depth else shots.cameras
        times = torch.randint(len(self.signal), (s.batch,), generator=rng).repeat_interleave(views)
        if depth or flat:  # pictures of their own have levels of their own
            times = torch.randint(len(self.signal), (len(images),), generator=rng)
        noise = torch.randn(images.shape, generator=rng)
        text = self.text(prompts).repeat_interleave(views, 0)
        device = next(self.networks["unet"].parameters()).device
        return Noisy(*(t.to(device) for t in (images * 2 - 1, noise, times, text, lead)), 1 if depth or flat else views)

    def losses(self, batch: Noisy) -> dict[str, Tensor]:
        """total: mean square error of the velocity a·ε − s·x (Salimans and Ho 2022), which weighs all levels alike."""
        a, s = ((x.to(batch.clean.device).sqrt())[batch.times][:, None, None, None] for x in (self.signal, 1 - self.signal))
        found = predict(self.networks, a * batch.clean + s * batch.noise, batch.times, batch.text, batch.lead, batch.shared)
        loss = F.mse_loss(found.float(), a * batch.noise - s * batch.clean)
        return {"total": loss, "flat": torch.tensor(float(batch.shared == 1))}
