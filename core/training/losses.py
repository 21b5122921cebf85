# SPDX-License-Identifier: GPL-3.0-or-later
"""What is learnt from exact objects: losses of distances and of looks at points, and how much each of them weighs."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.networks.generator import TextureField


@dataclass(frozen=True)
class LossWeights:
    """sdf: per unit of the frame; slope: per unit of the distance's gradient; overlap: per unit of IoU, where G learns alone; color and
    roughness: per unit of their value; residual: per unit of the colours that no paint has; metallic: per nat; height: per unit of log
    metres; words: per nat of a prompt's attributes;
    paints: per unit of their value, paints_metallic: per nat; stretch: per unit of its log; shares: per nat of which paint is where;
    captions: per nat of which shape a caption means; kept: per unit of what an earlier model made of its prompts."""

    sdf: float = 20.0
    slope: float = 2.0
    overlap: float = 1.0
    color: float = 2.0
    roughness: float = 0.25
    metallic: float = 0.1
    height: float = 0.1
    words: float = 1.0
    paints: float = 4.0
    paints_metallic: float = 0.2
    stretch: float = 1.0
    shares: float = 0.2
    residual: float = 0.1
    captions: float = 0.3
    kept: float = 2.0
    band: float = 0.1  # distances are learnt up to here, beyond it only that they are larger

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of those that have a weight."""
        return sum(getattr(self, name) * value for name, value in losses.items() if hasattr(self, name))


def look_losses(texture: TextureField, map: Tensor, condition: Tensor, look: Tensor) -> dict[str, Tensor]:
    """Of a texture's map [B, N, ..], against the exact look [B, N, 5]; where that is NaN, nothing is known of it."""
    known = look[..., 0].isfinite()
    each = known / known.sum().clamp(min=1)  # [B, N] weights of a mean
    error = ((texture.mixed(map, condition) - look.nan_to_num()).abs() * each[..., None]).sum((0, 1))
    metallic = metallic_loss(map[..., : texture.count], texture.palette_logits(condition)[..., 4], look[..., 4].nan_to_num())
    losses = {"color": error[:3].mean(), "roughness": error[3], "metallic": (metallic * each).sum()}
    return losses | ({"residual": map[..., texture.count :].tanh().abs().mean()} if map.shape[-1] > texture.count else {})


def metallic_loss(logits: Tensor, metal: Tensor, exact: Tensor) -> Tensor:
    """Cross-entropy of what is metal: as a distance it is best at "nothing is" for as long as few things are, and a sigmoid stays there.

    logits: [B, N, paints] of which paint is where, metal: [B, paints] of which paints are metallic, exact: [B, N] -> [B, N]
    """
    shares, metal = logits.log_softmax(-1), metal[:, None]
    yes, no = ((shares + F.logsigmoid(sign * metal)).logsumexp(-1) for sign in (1, -1))
    return -(exact * yes + (1 - exact) * no)


def shares_loss(logits: Tensor, exact: Tensor) -> Tensor:
    """Cross-entropy of which paint is where: the first ones are those that prompts name, the others together are the rest. Zeros say that
    nobody knows.

    logits: [B, N, paints], exact: [B, N, named + 1]
    """
    named, log_shares = exact.shape[-1] - 1, logits.log_softmax(-1)
    grouped = torch.cat((log_shares[..., :named], log_shares[..., named:].logsumexp(-1, keepdim=True)), -1)
    return -(exact * grouped).sum(-1).mean()


def sdf_loss(predicted: Tensor, exact: Tensor, band: float) -> Tensor:
    """Mean |error| up to the band, points at the surface weighted up; no error where both lie beyond the band on one side."""
    target = exact.clamp(-band, band)
    same_side = (predicted.abs() > band) & (exact.abs() > band) & (predicted.sign() == exact.sign())
    weight = 1 + 2 * torch.exp(-exact.abs() / 0.02)
    error = (predicted - target).abs() * weight
    return torch.where(same_side, torch.zeros_like(error), error).mean()


def slope_loss(error: Tensor, exact: Tensor, points: Tensor, pairs: int, band: float = 0.03) -> Tensor:
    """How much the distance's error changes over the short steps between paired points near the surface, per unit of the way: what the
    eye sees as ripples is small in distance and large here (Czarnecki et al. 2017, Sobolev training, by differences)."""
    step = (points[:, :pairs] - points[:, pairs : 2 * pairs]).norm(dim=-1).clamp(min=0.005)
    near = torch.maximum(exact[:, :pairs].abs(), exact[:, pairs : 2 * pairs].abs()) < band
    change = (error[:, :pairs] - error[:, pairs : 2 * pairs]).abs() / step
    return (change * near).sum() / near.sum().clamp(min=1)


def overlap_loss(predicted: Tensor, exact: Tensor, width: float = 0.004) -> Tensor:
    """One minus the IoU of soft insides, mean over objects: an error of a distance weighs more the less there is inside, so thin things
    count as much as thick ones. No slope beyond a few `width`s from the surface. predicted, exact: [B, N]"""
    a, b = torch.sigmoid(-predicted / width), torch.sigmoid(-exact / width)
    return ((a - b).abs().sum(1) / torch.maximum(a, b).sum(1)).mean()


def occupancy_iou(predicted: Tensor, exact: Tensor) -> Tensor:
    """Intersection over union of the insides, mean over objects, on the training points (many near the surface: lower than in the box)."""
    a, b = predicted < 0, exact < 0
    return ((a & b).sum(1) / (a | b).sum(1).clamp(min=1)).mean()
