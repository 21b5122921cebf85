# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a distilled object in order: the mask of its prompt's shape (L_reg, the paper's Eq. 2), and a distance that is one."""

import torch
from torch import Tensor

from core.draws import Draws, draw
from core.rendering.volume import Field, Volume, gradient

JITTER = 0.02  # around the surface that rays see, for points that the slope is asked at


def mask_loss(opacity: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean square between opacities [B, V, H, W], of each object by its weight [B]."""
    return ((opacity - target).square().mean((1, 2, 3)) * weight).mean()


def picture_losses(made: Volume, exact: Volume, there: Tensor) -> tuple[Tensor, Tensor]:
    """Of opacity and of colour, mean squares over rays (the paper's Eq. 1); no colour is learnt where the exact one is not known, and
    nothing of objects that are not there [B]."""
    known = exact.look.isfinite() & there[:, None, None]
    error = (made.look[..., :3] - exact.look.nan_to_num()).square() * known
    return ((made.opacity - exact.opacity).square() * there[:, None]).mean(), error.sum() / known.sum().clamp(min=1)


def slope_points(origin: Tensor, direction: Tensor, depth: Tensor, opacity: Tensor, count: int, rng: Draws) -> Tensor:
    """Half of the points around the surfaces that rays [B, R, 3] see, half anywhere in the frame: [B, count, 3]. No gradients."""
    near, device = count // 2, origin.device
    share = (opacity.detach() + 1e-4).double().cumsum(1)
    wanted = draw(torch.rand, (len(share), near), rng).to(share) * share[:, -1:]
    rays = torch.searchsorted(share, wanted, right=True).clamp(max=share.shape[1] - 1)
    along = rays[..., None].expand(-1, -1, 3)
    on = origin.gather(1, along) + direction.gather(1, along) * depth.detach().gather(1, rays)[..., None]
    off = JITTER * draw(torch.randn, on.shape, rng).to(device)
    anywhere = (draw(torch.rand, (len(on), count - near, 3), rng) - 0.5).to(device)
    return torch.cat(((on + off).clamp(-0.5, 0.5), anywhere), 1)


def eikonal_loss(distance: Field, points: Tensor) -> Tensor:
    """How far the distance's slope is from 1 at points [B, N, 3], mean square."""
    return (gradient(distance, points).norm(dim=-1) - 1).square().mean()


def share_gradient(values: Tensor, share: Tensor) -> Tensor:
    """The same values [B, …], with `share` [B] of their gradient."""
    share = share.view(-1, *[1] * (values.ndim - 1))
    return values * share + (values * (1 - share)).detach()


def tapped(values: Tensor) -> tuple[Tensor, Tensor]:
    """The same values [B, …], and a number that will be the norm of their gradient once there is one: of an object's own loss, mean over
    the batch."""
    norm = torch.zeros((), device=values.device)

    def see(gradient: Tensor) -> None:
        norm.copy_(gradient.float().flatten(1).norm(dim=1).sum())  # a batch's loss is the mean of its objects'

    copy = values * 1
    if copy.requires_grad:
        copy.register_hook(see)
    return copy, norm
