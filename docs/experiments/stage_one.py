# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of stage 1 are worth where there are shapes: annealing of point clouds, pretraining by the paper's Eq. 1.

    python docs/experiments/stage_one.py PRIOR --out FOLDER [ARM ...]

Prompts, measures and the arm without shapes ("sharp", looked for in FOLDER) are those of score_distillation.py. Measured beside
them is what each prompt comes to where the network sees a real cloud of its kind instead of the dummy: told α = 0, and α = 0.9.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_distillation import COLORS, LACKING, TOLD, Arm, Domain, centres, exact_pictures, groups, measure, run, spread, stages

from core.language.encoder import TextEncoder
from core.library.starter.objects import ExactObjects
from core.networks.generator import Generator
from core.networks.pointnet import fibonacci_sphere
from core.rendering.cameras import Viewpoints
from core.rendering.volume import Sampling, render_rays
from core.training.regularise import picture_losses
from core.training.stage import Stage, StageSettings
from core.training.stages.geometry import Geometry
from core.training.subjects import Subjects
from core.training.views import fields_of, full_precision, some_rays

SHAPES = {"alpha": 0.9, "missing": LACKING}
SHARP = {"sharpness": (60.0, 300.0)}
ARMS = {
    "annealed": Arm("shapes by α, two kinds have none, 1/β from 60 to 300", **SHAPES, more=SHARP),
    "unannealed": Arm("the same without annealing: real clouds to the end", **SHAPES, more=SHARP | {"anneal_from": 1.0}),
    "imitated": Arm("the first after 200 steps of Eq. 1", **SHAPES, more=SHARP),
}  # fmt: skip
OTHERS = {"sharp": "without regularisation and shapes (α = 0)"}
CLOUDS = {"iou_cloud": 0.0, "iou_cloud_alpha": 0.9}  # α that is told with a real cloud
RAYS, BETA, LAID = 256, 1 / 100, Sampling(24, 12, 4)  # of each object in a step of Eq. 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"{', '.join(ARMS)} (all, one after the other)")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(seed=0)  # of score_distillation.py
    parser.add_argument("--steps", type=int, default=500, help="of four objects, an arm")
    parser.add_argument("--scale", type=float, default=3.0, help="of the guidance")
    a = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    encoder = TextEncoder(device="cpu")
    exact = exact_pictures(Domain(encoder, fibonacci_sphere(16)), a.out)
    for name in a.arms or ARMS:
        if name not in ARMS:
            parser.error(f"There is no arm {name!r}.")
        run(name, a, encoder, exact, ARMS[name], made=imitating if name == "imitated" else stages, measured=measure_with_clouds)
    print(table(a.out))
    return 0


@dataclass(frozen=True)
class ImitationSettings(StageSettings):
    steps: int | None = 200
    batch: int = 4
    rate: float = 2e-3
    prompt_rate: float = 0.2


class Imitation(Stage):
    """The paper's Eq. 1: pictures of what is made are those of the prompt's shape, opacity and colour; the shape's own colour, not the
    prompt's. Half of the objects see the shape's cloud and hear an α, half the dummy."""

    name, shown, rates = "imitation", ("opacity", "rgb"), Geometry.rates

    def __init__(self, generator: Generator, domain: Domain, viewpoints: Viewpoints):
        self.settings, self.generator, self.domain, self.viewpoints = ImitationSettings(), generator, domain, viewpoints

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator}

    def batch(self, step: int, share: float) -> tuple[Subjects, torch.Generator]:
        count = self.settings.batch
        return self.domain.draw(step, range(step * count, (step + 1) * count)), torch.Generator().manual_seed(step)

    def losses(self, batch: tuple[Subjects, torch.Generator]) -> dict[str, Tensor]:
        of, rng = batch
        bare = [self.domain.shapes[self.domain.shape_of[self.domain.prompts.index(prompt)]] for prompt in of.prompts]
        looks = ExactObjects(bare, torch.zeros(len(bare), 8))
        real = (torch.arange(len(of.z)) % 2 == 0) & of.shaped
        cloud = torch.where(real[:, None, None], of.cloud, self.generator.dummy)
        fields, whole = full_precision(self.generator(of.tokens, of.mask, of.z, cloud, torch.rand(len(of.z), generator=rng) * real))
        with whole:
            rays = some_rays(self.viewpoints.draw(len(of.z), rng), 64, RAYS, rng)
            with torch.no_grad():
                exact = render_rays(of.distance, lambda points: looks.appearance(points)[..., :3], *rays, beta=BETA, sampling=LAID)
            made = render_rays(*fields_of(self.generator, fields), *rays, beta=BETA, sampling=LAID)
            opacity, rgb = picture_losses(made, exact, of.shaped)
        return {"total": opacity + rgb, "opacity": opacity, "rgb": rgb}


def imitating(arm: Arm, a: argparse.Namespace, generator: Generator, domain: Domain, encoder: TextEncoder) -> Iterator[Stage]:
    for stage in stages(arm, a, generator, domain, encoder):
        if stage.name == "geometry":
            yield Imitation(generator, domain, stage.settings.viewpoints)
        yield stage


@torch.no_grad()
def measure_with_clouds(generator: Generator, domain: Domain, exact: Tensor, sheet_at: Path) -> list[dict]:
    """The rows of `measure`, and the IoU of each prompt's object by a real cloud of its shape."""
    rows, turned = measure(generator, domain, exact, sheet_at), domain.turned()[0]
    z, y, x = torch.meshgrid(*[centres()] * 3, indexing="ij")
    grid = torch.stack((x, y, z), -1).reshape(1, -1, 3).expand(len(COLORS), -1, -1)
    for start in range(0, len(rows), len(COLORS)):
        some = list(range(start, start + len(COLORS)))
        of, true = domain.subjects(some), turned[domain.shape_of[some]]
        on = domain.clouds[domain.shape_of[some]]
        for name, alpha in CLOUDS.items():
            fields = generator(of.tokens, of.mask, of.z, on, torch.full((len(some),), alpha))
            inside = (generator.sdf(fields.geometry, fields.condition, grid) < 0).float()
            both = (inside * true).sum(1)
            iou = both / (inside.sum(1) + true.sum(1) - both).clamp(min=1)
            color = generator.texture(fields.texture, fields.condition, on[..., :3])[..., :3]
            error = (color - of.color(on[..., :3])).abs().mean((1, 2))
            for i, n in enumerate(some):
                rows[n] |= {name: float(iou[i]), name.replace("iou", "color"): float(error[i])}
    return rows


def table(out: Path) -> str:
    """Markdown: means over prompts with 95 % bootstrap intervals; the differences are those of the same prompts in the first arm."""
    found = {name: out / name / "rows.json" for name in (*ARMS, *OTHERS)}
    told = {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}
    first = {row["prompt"]: row for row in told.get("annealed", {"rows": ()})["rows"]}
    lines = [f"| arm | prompts | {' | '.join((*TOLD, *CLOUDS))} | IoU − the first's | colour error − the first's |", "|" + "---|" * 13]
    for name, of in told.items():
        rows = [row | {"shapeless": first[row["prompt"]]["shapeless"]} if first else row for row in of["rows"]]
        for group, some in groups(name, rows).items():
            cells = [spread([row[figure] for row in some if figure in row]) for figure in (*TOLD, *CLOUDS)]
            for figure in ("iou", "color_error"):
                apart = [row[figure] - first[row["prompt"]][figure] for row in some] if first and name != "annealed" else []
                cells.append(spread(apart, "+"))
            lines.append(f"| {OTHERS.get(name, of['title'])} | {group}, {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
