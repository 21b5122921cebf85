# SPDX-License-Identifier: GPL-3.0-or-later
"""Reconstruction of exact objects: the paper's model initialisation, with points in space instead of images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.generator import Generator, TextureField
from core.training.attributes import AttributeHeads, PromptBatch, reading_losses
from core.training.bank import Batch


@dataclass(frozen=True)
class LossWeights:
    """sdf: per unit of the frame; slope: per unit of the distance's gradient; overlap: per unit of IoU, in G's own phase; color, roughness:
    per unit of their value; metallic: per nat; height: per unit of log metres; words: per nat of a prompt's attributes; paints: per unit of
    their value, paints_metallic: per nat; stretch: per unit of its log; shares: per nat of which paint is where."""

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
    band: float = 0.1  # distances are learnt up to here, beyond it only that they are larger

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of those that have a weight."""
        return sum(getattr(self, name) * value for name, value in losses.items() if hasattr(self, name))


class Reconstruction(nn.Module):
    """The generator and its losses as one module, so that a distributed wrapper sees one forward pass."""

    def __init__(self, generator: Generator, heads: AttributeHeads, weights: LossWeights):
        super().__init__()
        self.generator, self.heads, self.weights = generator, heads, weights

    def forward(self, batch: Batch, cloud: Tensor | None, prompts: PromptBatch) -> dict[str, Tensor]:
        """Losses by name, "total" among them. cloud: [B, P, 6], real or dummy, None for the dummy alone;
        prompts: what the attribute heads read."""
        g = self.generator
        fields = g(batch.tokens, batch.mask, batch.z, cloud)
        losses = {
            **self.shape_losses(g.sdf(fields.geometry, fields.condition, batch.points), batch),
            "height": F.smooth_l1_loss(fields.height_m.float().log(), batch.height_m.log(), beta=0.1),
            **self.look_losses(fields.texture, fields.condition, batch),
            **reading_losses(g, self.heads, prompts),
        }
        return losses | {"total": self.weights.total(losses)}

    def shape_losses(self, sdf: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of the distances [B, N] at the batch's points, and their IoU for the report."""
        return {
            "sdf": sdf_loss(sdf, batch.sdf, self.weights.band),
            "slope": slope_loss(sdf - batch.sdf, batch.sdf, batch.points, batch.pairs),
            "iou": occupancy_iou(sdf.detach(), batch.sdf),
        }

    def look_losses(self, planes: Tensor, condition: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of T's planes at points of the surface."""
        texture = self.generator.texture
        logits = texture.logits(planes, condition, batch.surface)
        return look_losses(texture, logits, condition, batch.look) | {"shares": shares_loss(logits, batch.shares)}


class Phase(Reconstruction):
    """One of the two networks goes on alone: what `learning` names; everything else is frozen, what is read from the prompt as well."""

    def __init__(self, generator: Generator, heads: AttributeHeads, weights: LossWeights):
        super().__init__(generator, heads, weights)
        self.requires_grad_(False)
        for part in self.learning():
            part.requires_grad_(True)
        for part in generator.readers:
            part.requires_grad_(False)

    def learning(self) -> list[nn.Module]:
        raise NotImplementedError

    def losses(self, condition: Tensor, queries: Tensor, levels: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """By name, of what the frozen encoder gave."""
        raise NotImplementedError

    def forward(self, batch: Batch, cloud: Tensor | None, prompts: PromptBatch) -> dict[str, Tensor]:
        """Losses by name, "total" among them. Prompts without objects have nothing to teach here."""
        with torch.no_grad():
            encoded = self.generator.encode(batch.tokens, batch.mask, batch.z, cloud)
        losses = self.losses(*encoded, batch)
        return losses | {"total": self.weights.total(losses)}


class GeometryPhase(Phase):
    """G and its distance learn, the height does not, and T says of every point what it said before. Shapes are near enough here to learn
    from what their insides share."""

    def learning(self) -> list[nn.Module]:
        return [self.generator.G, self.generator.sdf]

    def losses(self, condition: Tensor, queries: Tensor, levels: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        sdf = self.generator.sdf(self.generator.G(levels, condition, queries), condition, batch.points)
        return self.shape_losses(sdf, batch) | {"overlap": overlap_loss(sdf, batch.sdf)}


class TexturePhase(Phase):
    """T, its upsampler and its map of paints learn."""

    def learning(self) -> list[nn.Module]:
        g = self.generator
        return [part for part in (g.T, g.upsampler, g.texture) if part is not None]

    def losses(self, condition: Tensor, queries: Tensor, levels: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        return self.look_losses(self.generator.texture_planes(condition, queries, levels), condition, batch)


def look_losses(texture: TextureField, logits: Tensor, condition: Tensor, look: Tensor) -> dict[str, Tensor]:
    """Of a mixture of paints, [B, N, paints] before its softmax, against the exact look [B, N, 5]."""
    error = (texture.mixed(logits, condition) - look).abs()
    metallic = metallic_loss(logits, texture.palette_logits(condition)[..., 4], look[..., 4])
    return {"color": error[..., :3].mean(), "roughness": error[..., 3].mean(), "metallic": metallic}


def metallic_loss(logits: Tensor, metal: Tensor, exact: Tensor) -> Tensor:
    """Cross-entropy of what is metal: as a distance it is best at "nothing is" for as long as few things are, and a sigmoid stays there.

    logits: [B, N, paints] of which paint is where, metal: [B, paints] of which paints are metallic, exact: [B, N]
    """
    shares, metal = logits.log_softmax(-1), metal[:, None]
    yes, no = ((shares + F.logsigmoid(sign * metal)).logsumexp(-1) for sign in (1, -1))
    return -(exact * yes + (1 - exact) * no).mean()


def shares_loss(logits: Tensor, exact: Tensor) -> Tensor:
    """Cross-entropy of which paint is where: the first ones are those that prompts name, the others together are the rest.

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
