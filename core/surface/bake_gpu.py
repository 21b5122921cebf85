# SPDX-License-Identifier: GPL-3.0-or-later
"""The twin of `core.surface.bake` in torch: places, colours and what runs past seams are found on the device; two images come back."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.surface.extract import ExtractionCancelled


def bake_on_device(
    maps: tuple[np.ndarray, list],
    triangle: np.ndarray,
    texel: np.ndarray,
    size: int,
    appearance: Callable[[Tensor], Tensor],
    *,
    spread: int,
    device: torch.device | str,
    batch: int,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The images of `core.surface.bake.bake`, every covered texel evaluated. maps: as `_affine_maps` there gives them; triangle and texel
    [N]: of the atlas. Raises ExtractionCancelled."""
    origin, axes = maps
    table = torch.from_numpy(np.concatenate((origin, *map(np.stack, axes)))).to(device, torch.float32).T.contiguous()  # [F, 11]
    triangle, texel = (torch.from_numpy(a).to(device) for a in (triangle, texel))
    values = torch.full((len(texel) + 1, 6), 255, dtype=torch.uint8, device=device)  # red, green, blue, 255, roughness, metallic
    for start in range(0, len(texel), batch):
        if cancelled is not None and cancelled():
            raise ExtractionCancelled
        of, at = table[triangle[start : start + batch]], texel[start : start + batch]
        x, y = (place + 0.5 - of[:, axis] for axis, place in enumerate((at % size, at // size)))
        look = appearance(of[:, 2::3] + of[:, 3::3] * x[:, None] + of[:, 4::3] * y[:, None])
        look = look.float().mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
        values[start : start + len(at), :3], values[start : start + len(at), 4:] = look[:, :3], look[:, 3:]
    values[-1] = values[:-1:16].double().mean(0).round().to(torch.uint8)  # far from all charts: the mean of one texel in sixteen
    image = values[spread_on_device(texel, size, spread).flip(0)].cpu()
    return image[..., :3].contiguous().numpy(), image[..., 3:].contiguous().numpy()


def spread_on_device(texel: Tensor, size: int, rounds: int) -> Tensor:
    """The twin of `core.surface.bake.spread_texels`: which covered texel gives each texel its colour, [S, S] i64, -1 where none does."""
    framed = torch.full((size + 2, size + 2), -1, dtype=torch.int64, device=texel.device)
    source = framed[1:-1, 1:-1]
    source[texel // size, texel % size] = torch.arange(len(texel), device=texel.device)
    for _ in range(rounds):
        found = framed[1:-1, 2:]  # the neighbour on the right gives least, the one below most
        for neighbour in (framed[1:-1, :-2], framed[2:, 1:-1], framed[:-2, 1:-1]):
            found = torch.where(neighbour >= 0, neighbour, found)
        source.copy_(torch.where(source >= 0, source, found))
    return source
