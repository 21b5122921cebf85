# SPDX-License-Identifier: GPL-3.0-or-later
"""Both distilled stages with a prior that knows the answer, on a grid of shapes and colours: what amortising is worth where it is tested.

    python docs/experiments/exact_denoiser.py --out FOLDER [--minutes 100]

Eight shapes in four colours are 32 prompts ("a red pillar"). 24 of them are learnt, 8 pairs of a shape and a colour are not: each of
their words is in others. The prior's x̂0 is a ray-traced picture of the thing; the networks start from random weights, have never seen
a shape, and are told the prompt alone. Printed after each stage, and written to FOLDER/result.json: IoU, slope at the surface and colour
error of the prompts seen and unseen. The same command resumes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.language.encoder import TextEncoder
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training.captions import CaptionTask
from core.training.checkpoint import Checkpoint
from core.training.losses import LossWeights
from core.training.run import Run, accelerator_on
from core.training.stages.distilling import VolumeSettings
from core.training.stages.geometry import Geometry, GeometrySettings
from core.training.stages.reading import ReadingSettings, ReadingStage
from core.training.stages.texture import Teacher, Texture, TextureSettings
from core.training.subjects import Subjects
from tests.core.exact import COLORS, VIEWPOINTS, ExactDrawing, Numbers, Thing, exact_prior, measured

NAMES = ("red", "green", "blue", "yellow")
SHAPES = {
    "cube": Thing((0.42, 0.42, 0.42), (0, 0, 0)), "pillar": Thing((0.18, 0.18, 0.46), (0, 0, 0)),
    "tile": Thing((0.46, 0.46, 0.12), (0, 0, 0)), "beam": Thing((0.46, 0.18, 0.18), (0, 0, 0)),
    "ball": Thing((0.44, 0.44, 0.44), (0, 0, 0), round=True), "egg": Thing((0.3, 0.3, 0.46), (0, 0, 0), round=True),
    "pebble": Thing((0.46, 0.4, 0.2), (0, 0, 0), round=True), "cigar": Thing((0.46, 0.16, 0.16), (0, 0, 0), round=True),
}  # fmt: skip
SHARE = {"reading": 0.05, "geometry": 0.7, "texture": 0.25}  # of the time


class Grid(ExactDrawing):
    """All 32 things; drawn are those that are learnt, each in words that the text model reads."""

    def __init__(self, encoder: TextEncoder, points: int):
        shapes = list(SHAPES.items())
        pairs = [(i, j) for i in range(len(shapes)) for j in range(len(NAMES))]
        things = [replace(shapes[i][1], color=COLORS[j]) for i, j in pairs]
        super().__init__(things, points)
        self.things, self.texts = things, [f"a {NAMES[j]} {shapes[i][0]}" for i, j in pairs]
        self.unseen = [n for n, (i, j) in enumerate(pairs) if (i + j) % 4 == 0]
        self.seen = [n for n in range(len(pairs)) if n not in self.unseen]
        self.tokens, self.mask = encoder(self.texts)

    def draw(self, step: int, numbers: Sequence[int]) -> Subjects:
        """Those that are learnt, all as often, each round in another order."""
        rows = []
        for number in numbers:
            turn, place = divmod(number, len(self.seen))
            rows.append(self.seen[int(torch.randperm(len(self.seen), generator=torch.Generator().manual_seed(turn))[place])])
        return self.subjects(torch.tensor(rows))

    def subjects(self, rows: Tensor) -> Subjects:
        return replace(super().subjects(rows), mask=self.mask[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=100.0, help="of training, all stages together")
    parser.add_argument("--preset", default="tiny", choices=tuple(PRESETS))
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    accelerator, results = accelerator_on(a.device), {}
    torch.manual_seed(0)
    generator = Generator(PRESETS[a.preset])
    grid = Grid(TextEncoder(generator.config.text_encoder, "cpu"), generator.config.points)
    print(f"{len(grid.seen)} prompts are learnt, such as {grid.texts[grid.seen[0]]!r}; unseen: {[grid.texts[n] for n in grid.unseen]}")
    for stage in stages(generator, grid, a.minutes):
        state = Checkpoint(a.out / f"{stage.name}.checkpoint.safetensors", {"preset": a.preset})
        if not Run(stage, accelerator, state).go():
            return
        if stage.name != "reading":
            results[stage.name] = report(generator, grid)
            print(stage.name, json.dumps(results[stage.name], indent=1), flush=True)
            (a.out / "result.json").write_text(json.dumps(results, indent=1) + "\n")


def stages(generator: Generator, grid: Grid, minutes: float):
    """One after another, over the same networks: each is made when the one before has ended."""
    time = {name: share * minutes for name, share in SHARE.items()}
    captions = [(grid.texts[n], None) for n in grid.seen]
    task = CaptionTask(captions, TextEncoder(generator.config.text_encoder, "cpu"), generator.config, 0, torch.device("cpu"))
    yield ReadingStage(ReadingSettings(minutes=time["reading"], batch=24), generator, [task], LossWeights(), 1)
    common = {"batch": 8, "rate": 1e-3, "size": 10, "average": 0.0, "viewpoints": VIEWPOINTS}
    rays = VolumeSettings(20, 10, 4)
    shapes = GeometrySettings(**common, minutes=time["geometry"], alpha=0.0, slopes=128, rays=rays)
    yield Geometry(shapes, generator, exact_prior(grid.things), Numbers(), grid, seed=0)
    colors = TextureSettings(**common | {"size": 24}, minutes=time["texture"], cells=32, views=2)
    yield Texture(colors, generator, [Teacher(exact_prior(grid.things, 24), Numbers())], grid, seed=0)


@torch.no_grad()
def report(generator: Generator, grid: Grid) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    for name, rows in (("seen", grid.seen), ("unseen", grid.unseen)):
        of = grid.subjects(torch.tensor(rows))
        fields = generator(of.tokens, of.mask, of.z)
        iou, slope, color = measured(generator, fields, [grid.things[n] for n in rows])
        out[name] = {
            "iou": float(iou.mean()),
            "worst_iou": float(iou.min()),
            "slope": float(slope.mean()),
            "color_error": float(color.mean()),
        }
    return out


if __name__ == "__main__":
    main()
