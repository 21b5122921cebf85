# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a small multi-view prior is, beside exact pictures of what its prompts mean.

    python docs/experiments/prior_quality.py PRIOR --out FOLDER [--views N]

Prompts and cameras are those of score_distillation.py: 8 kinds in four colours, from four sides, or from N. Printed, and written to FOLDER:
- kind, color: the share of prompts whose pictures lie nearest to those of an exact object of that kind, and of that colour.
- hull: the visual hull of the outlines is seen from the same sides again; IoU of its outlines with theirs.
- sides: of the pictures of kinds whose sides differ, the share that looks most like the exact object from there.
- tint: how far the mean colour of a view lies from that of all together, mean |Δ|.
Lines: exact objects; the prior's views together; as many single pictures (the same weights, views and cameras off) in their stead.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import COLORS, FRONT, NAMES, Domain, exact_pictures, page, sides

from core.evaluation.summary import interval
from core.files import replace_file
from core.frame import SPAN
from core.guidance.prompts import text_of
from core.language.encoder import TextEncoder
from core.networks.pointnet import fibonacci_sphere
from core.rendering.cameras import Views
from core.training.prior.album import GROUND
from core.training.prior.folder import sample

STEPS = 25  # of DDIM
ARMS = (("together, scale 3", 3.0, True), ("together, scale 1", 1.0, True), ("single, scale 3", 3.0, False))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=4, help="that an object is shown in; a prior can be asked for others than it learnt")
    parser.add_argument("--lines", type=int, default=len(ARMS), help="beside the exact one, the first so many")
    a = parser.parse_args()
    torch.set_num_threads(1)
    parts = {"unet": UNet2DConditionModel.from_pretrained(a.prior / "unet").float().eval()}
    domain, size = Domain(TextEncoder(device="cpu"), fibonacci_sphere(16)), parts["unet"].config.sample_size
    views = sides(a.views)
    exact = exact_pictures(domain, a.out, size, views)
    rows = torch.arange(len(exact)).unflatten(0, (len(NAMES), -1))[:, ::3].flatten()  # four colours of each kind
    prompts = [domain.prompts[domain.plain[n]] for n in rows]
    text, lines = text_of(a.prior, torch.device("cpu")), {"exact": measured(exact[rows], exact, rows, views)}
    read, nothing, cameras = text(prompts), text([""]), views.matrices().expand(len(prompts), -1, -1, -1)

    def made(scale: float, shared: bool) -> Tensor:
        out = []
        for i, (r, c) in enumerate(zip(read.split(8), cameras.split(8), strict=True)):
            if not shared:
                r, c = r.repeat_interleave(a.views, 0), c.flatten(0, 1)[:, None]
            some = sample(parts, r, nothing, c, steps=STEPS, scale=scale, seed=i)
            out.append(some.unflatten(0, (len(r) // (1 if shared else a.views), -1)))
        return torch.cat(out).flatten(1, 2)

    for name, scale, shared in ARMS[: a.lines]:
        shown = made(scale, shared)
        lines[name] = measured(shown, exact, rows, views)
        if (step := a.views // 4) > 1 and not a.views % 4:
            lines[f"{name}, four of them"] = measured(shown[:, ::step], exact[:, ::step], rows, sides(4))
        if a.views == 4:
            pages(exact[rows], shown, prompts, a.out / f"prior {name}.png")
        replace_file(a.out / "prior.json", lambda path: Path(path).write_text(json.dumps(lines, indent=1)))
        print(name, lines[name], flush=True)
    return 0


def measured(made: Tensor, exact: Tensor, own: Tensor, views: Views) -> dict:
    """Means with 95 % intervals. made: [M, V, 3, S, S]; exact: of all plain prompts, one kind after another; own [M]: which of them."""
    nearest = torch.cdist(made.flatten(1), exact.flatten(1), p=1).argmin(1)
    masks = (made - GROUND).abs().amax(2) > 0.1  # [M, V, S, S]
    hulls = torch.stack([hull_seen(mask, views) for mask in masks])
    iou = (hulls & masks).sum((1, 2, 3)) / (hulls | masks).sum((1, 2, 3)).clamp(min=1)
    weight = masks[:, :, None].float()
    mean = (made * weight).sum((3, 4)) / weight.sum((3, 4)).clamp(min=1)  # [M, V, 3]
    kind, color = own // len(COLORS), own % len(COLORS)
    figures = {
        "kind": (nearest // len(COLORS) == kind).float(), "color": (nearest % len(COLORS) == color).float(), "hull": iou,
        "tint": (mean - mean.mean(1, keepdim=True)).abs().mean((1, 2)), "sides": sides_right(made, exact[own])[fronted(kind)],
    }  # fmt: skip
    told = {name: [round(float(values.mean()), 3), interval(values.tolist())] for name, values in figures.items()}
    kinds = figures["kind"].unflatten(0, (len(NAMES), -1)).mean(1)
    return told | {"kind of each": dict(zip(NAMES, np.round(kinds.numpy(), 2).tolist(), strict=True))}


def sides_right(made: Tensor, exact: Tensor) -> Tensor:
    """Which of each object's pictures look most like the exact one from there, as a share [M]; without a turn: cameras are given."""
    apart = (made[:, :, None] - exact[:, None]).abs().mean((3, 4, 5))  # [M, made, exact]
    return (apart.argmin(2) == torch.arange(made.shape[1])).float().mean(1)


def fronted(kind: Tensor) -> Tensor:
    """Which numbers of kinds are of those whose sides differ."""
    return torch.isin(kind, torch.tensor([NAMES.index(name) for name in FRONT]))


def pages(exact: Tensor, made: Tensor, prompts: Sequence[str], path: Path) -> None:
    """A sheet as those of the arms, of half of the prompts."""
    half = slice(None, None, 2)
    page(list(zip(exact[half], made[half], prompts[half], strict=True)), path)


def hull_seen(masks: Tensor, views: Views) -> Tensor:
    """The outlines [V, S, S] of the visual hull of V outlines."""
    size = masks.shape[-1]
    side = torch.linspace(-SPAN / 2, SPAN / 2, 72)
    points = torch.stack(torch.meshgrid(side, side, side, indexing="ij"), -1).reshape(-1, 3)
    clip = views.clip(points)[0]  # [V, P, 4]
    place = clip[..., :2] / clip[..., 3:]
    column, row = ((place[..., 0] + 1) / 2 * size).long(), ((1 - place[..., 1]) / 2 * size).long()
    within = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    cell = (row.clamp(0, size - 1) * size + column.clamp(0, size - 1))
    full = (masks.flatten(1).gather(1, cell) & within).all(0)
    seen = torch.zeros(len(masks), size * size, dtype=torch.bool)
    return seen.scatter(1, cell[:, full], True).view_as(masks)


if __name__ == "__main__":
    sys.exit(main())
