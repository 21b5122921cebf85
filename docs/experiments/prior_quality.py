# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a small multi-view prior is, beside exact pictures of what its prompts mean.

    python docs/experiments/prior_quality.py PRIOR --out FOLDER

Prompts and cameras are those of score_distillation.py: 8 kinds in 12 colours, from four sides. Printed, and written to FOLDER:
- kind, color: the share of prompts whose four pictures lie nearest to those of an exact object of that kind, and of that colour.
- hull: the visual hull of the four outlines is seen from the same four sides again; IoU of its outlines with theirs.
- tint: how far the mean colour of a view lies from that of the four together, mean |Δ|.
Lines: exact objects; the prior's four views together; four single pictures (the same weights, views and cameras off) in their stead.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import COLORS, NAMES, SIDES, Domain, exact_pictures, sheet

from core.evaluation.summary import interval
from core.files import replace_file
from core.frame import SPAN
from core.guidance.prompts import text_of
from core.language.encoder import TextEncoder
from core.networks.pointnet import fibonacci_sphere
from core.training.prior.album import GROUND
from core.training.prior.folder import sample

SCALES = (1.0, 3.0, 6.0)  # of classifier-free guidance


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    torch.set_num_threads(1)
    parts = {"unet": UNet2DConditionModel.from_pretrained(a.prior / "unet").float().eval()}
    domain, size = Domain(TextEncoder(device="cpu"), fibonacci_sphere(16)), parts["unet"].config.sample_size
    exact = exact_pictures(domain, a.out, size)
    text, lines = text_of(a.prior, torch.device("cpu")), {"exact": measured(exact, exact)}
    prompts = [domain.prompts[n] for n in domain.plain]
    read, nothing, cameras = text(prompts), text([""]), SIDES.matrices().expand(len(prompts), -1, -1, -1)
    for scale in SCALES:
        made = torch.cat([sample(parts, r, nothing, c, scale=scale, seed=i)
                          for i, (r, c) in enumerate(zip(read.split(12), cameras.split(12), strict=True))])  # fmt: skip
        lines[f"together, scale {scale:g}"] = measured(made, exact)
        sheet(made, exact, prompts, a.out / f"prior-{scale:g}.png")
    single = [sample(parts, r.repeat_interleave(4, 0), nothing, c.flatten(0, 1)[:, None], scale=3.0, seed=i).unflatten(0, (-1, 4))[:, :, 0]
              for i, (r, c) in enumerate(zip(read.split(12), cameras.split(12), strict=True))]  # fmt: skip
    lines["single, scale 3"] = measured(torch.cat(single), exact)
    sheet(torch.cat(single), exact, prompts, a.out / "prior-single.png")
    text = json.dumps(lines, indent=1)
    replace_file(a.out / "prior.json", lambda path: Path(path).write_text(text))
    print(text)
    return 0


def measured(made: Tensor, exact: Tensor) -> dict:
    """Means with 95 % intervals. Both [N, 4, 3, S, S], of the plain prompts, one kind after another."""
    apart = torch.cdist(made.flatten(1), exact.flatten(1), p=1)
    nearest, own = apart.argmin(1), torch.arange(len(made))
    masks = (made - GROUND).abs().amax(2) > 0.06  # [N, 4, S, S]
    hulls = torch.stack([hull_seen(mask) for mask in masks])
    iou = (hulls & masks).sum((1, 2, 3)) / (hulls | masks).sum((1, 2, 3)).clamp(min=1)
    weight = masks[:, :, None].float()
    mean = (made * weight).sum((3, 4)) / weight.sum((3, 4)).clamp(min=1)  # [N, 4, 3]
    figures = {
        "kind": (nearest // len(COLORS) == own // len(COLORS)).float(), "color": (nearest % len(COLORS) == own % len(COLORS)).float(),
        "hull": iou, "tint": (mean - mean.mean(1, keepdim=True)).abs().mean((1, 2)),
    }  # fmt: skip
    told = {name: [round(float(values.mean()), 3), interval(values.tolist())] for name, values in figures.items()}
    kinds = figures["kind"].unflatten(0, (len(NAMES), -1)).mean(1)
    return told | {"kind of each": dict(zip(NAMES, np.round(kinds.numpy(), 2).tolist(), strict=True))}


def hull_seen(masks: Tensor) -> Tensor:
    """The outlines [4, S, S] of the visual hull of four outlines."""
    size = masks.shape[-1]
    side = torch.linspace(-SPAN / 2, SPAN / 2, 72)
    points = torch.stack(torch.meshgrid(side, side, side, indexing="ij"), -1).reshape(-1, 3)
    clip = SIDES.clip(points)[0]  # [4, P, 4]
    place = clip[..., :2] / clip[..., 3:]
    column, row = ((place[..., 0] + 1) / 2 * size).long(), ((1 - place[..., 1]) / 2 * size).long()
    within = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    cell = (row.clamp(0, size - 1) * size + column.clamp(0, size - 1))
    full = (masks.flatten(1).gather(1, cell) & within).all(0)
    seen = torch.zeros(4, size * size, dtype=torch.bool)
    return seen.scatter(1, cell[:, full], True).view_as(masks)


if __name__ == "__main__":
    sys.exit(main())
