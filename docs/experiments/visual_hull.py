# SPDX-License-Identifier: GPL-3.0-or-later
"""The most that outlines can say of the shapes of score_distillation.py: IoU of each kind with its visual hull, from where a prior looks.

    python docs/experiments/visual_hull.py [--elevation 30]

Outlines are exact, of 48² pixels, from 16 sides at three heights up to --elevation; cells are those that the arms are measured on (32³).
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import NAMES, Domain, centres

from core.language.encoder import TextEncoder
from core.library.starter.objects import ExactObjects
from core.networks.pointnet import fibonacci_sphere
from core.rendering.cameras import Camera, Views
from core.training.prior.album import pictures

SIDE = 48  # pixels of an outline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elevation", type=float, default=30.0, help="degrees, of the highest views")
    a = parser.parse_args()
    torch.set_num_threads(1)
    domain = Domain(TextEncoder(device="cpu"), fibonacci_sphere(16))
    z, y, x = torch.meshgrid(*[centres()] * 3, indexing="ij")
    points, found = torch.stack((x, y, z), -1).reshape(-1, 3), []
    for kind in NAMES:
        number = next(n for n in domain.plain if domain.descriptions[n].kind == kind)
        one = domain.subjects([number])
        one = replace(one, distance=ExactObjects(domain.described(one.prompts), one.z).sdf)
        full = torch.ones(len(points), dtype=torch.bool)
        for share in (0.0, 0.5, 1.0):
            views = Views.of([Camera(22.5 * i, share * a.elevation, 30.0, 2.35) for i in range(16)])
            masks = pictures(one, views, SIDE)[1][0, :, 0] > 0  # [V, S, S]
            full &= covered(masks, views, points)
        inside = domain.grids[domain.shape_of[number], 0].flatten() < 0
        found.append(float((inside & full).sum() / (inside | full).sum()))
        print(f"{kind:10} {found[-1]:.3f}", flush=True)
    print(f"mean       {sum(found) / len(found):.3f}")
    return 0


def covered(masks: torch.Tensor, views: Views, points: torch.Tensor) -> torch.Tensor:
    """Which points [P] lie within the outlines [V, S, S] of all views."""
    clip = views.clip(points)[0]  # [V, P, 4]
    column, row = (((1 + way * clip[..., axis] / clip[..., 3]) / 2 * SIDE).long() for axis, way in ((0, 1), (1, -1)))
    within = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    cell = row.clamp(0, SIDE - 1) * SIDE + column.clamp(0, SIDE - 1)
    return (masks.flatten(1).gather(1, cell) & within).all(0)


if __name__ == "__main__":
    sys.exit(main())
