# SPDX-License-Identifier: GPL-3.0-or-later
"""The ablations of the paper that one CPU core can repeat: `python docs/experiments/ablations.py --out FOLDER [ARM ...]`.

All arms have the same compute on one core, the same seed and the same 512 unseen prompts. What is finished stays in FOLDER: the same
command goes on where it was interrupted, arms that are named run alone (one process an arm), and at the end the table is printed.
Figures are those of the fields, before any mesh is made: the IoU in the exact object's box, and mean |Δ| of sRGB colour on its surface.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.evaluation.summary import interval
from core.files import replace_file
from core.frame import style_of
from core.language.encoder import TextEncoder
from core.library.prompt import Prompt
from core.library.source import Sampling, pairs_among
from core.library.starter.objects import ExactObjects
from core.library.starter.prompts import StarterPrompts
from core.library.starter.source import draw_prompt, points_around
from core.networks.generator import Generator, GeometryField, TextureField
from core.networks.presets import PRESETS
from core.networks.storage import load_generator
from core.training.losses import LossWeights, look_losses, sdf_loss, slope_loss
from core.training.settings import TrainSettings
from core.training.stages.reading import ReadingSettings
from core.training.stages.reconstruction import ReconstructionSettings
from core.training.train import train

KINDS = ("mushroom", "barrel", "chest", "tree", "cactus", "rock", "house", "tower", "car", "duck")
COUNT = 512  # prompts measured
PER_KIND = 1000  # different prompts of each kind in training, where an arm does not say otherwise
ARMS: dict[str, tuple[str, dict]] = {  # name -> title, what is changed
    "annealed": ("10,000 prompts, annealed", {}),
    "real": ("real clouds only", {"dummy": (0.0, 0.0)}),
    "dummy": ("dummy only", {"dummy": (1.0, 1.0)}),
    "1000": ("1,000 prompts", {"per_kind": 100}),
    "100": ("100 prompts", {"per_kind": 10}),
}
ALONE = "alone"  # each prompt by itself, instead of all by one network
WAITING = ("101,608 prompts", "triplane upsampler", "a specialist for one family of kinds")  # for a GPU
RACE = 64  # prompts whose own optimisation is timed until it is as good as the amortised one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"{', '.join((*ARMS, ALONE))} (all, one after the other)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000, help="of 16 objects an arm: 20 minutes on one core of an AMD EPYC")
    parser.add_argument("--seconds", type=float, default=1200, help="CPU time of all prompts together where each is optimised by itself")
    a = parser.parse_args()
    torch.set_num_threads(1)
    unseen = list(StarterPrompts(COUNT, "unseen", 1, KINDS))
    for arm in a.arms or (*ARMS, ALONE):
        if arm == ALONE:
            for count in (COUNT, PER_KIND * len(KINDS)):
                path = a.out / ALONE / f"unseen, {count} prompts' share of the time.jsonl"
                keep(path, lambda n=count: optimise_each(unseen, a.seconds / n))
            keep(a.out / ALONE / "race.jsonl", lambda: race(unseen[:RACE], a.out))
        elif arm in ARMS:
            run(arm, a.out, a.steps, unseen)
        else:
            parser.error(f"There is no arm {arm!r}.")
    print(table(a.out))
    return 0


def run(arm: str, out: Path, steps: int, unseen: list[Prompt]) -> None:
    """Train one arm, and measure it with both clouds on unseen prompts and on those that it saw, in new styles."""
    _, what = ARMS[arm]
    sampling = Sampling(patterned=0, prompts_per_kind=what.get("per_kind", PER_KIND), step_points=1536, step_surface=512)
    how = ReconstructionSettings(steps=steps, batch=16, sampling=sampling, dummy=what.get("dummy", (0.4, 0.9)), average=0.99)
    settings = TrainSettings(out / arm, preset="tiny", kinds=KINDS, device="cpu", checkpoint_minutes=2, pictures=False,
                             reading=ReadingSettings(steps=500), reconstruction=how)  # fmt: skip
    generator, _ = load_generator(train(settings))
    for split, prompts in (("unseen", unseen), ("seen", list(seen_prompts(sampling.prompts_per_kind)))):
        for cloud in ("dummy", "real"):
            keep(out / arm / f"{split}, {cloud} cloud.jsonl", lambda p=prompts, c=cloud: measure(generator, p, c == "real"))


def seen_prompts(per_kind: int) -> Iterator[Prompt]:
    rng = random.Random("seen")
    for number in range(COUNT):
        description, text = draw_prompt(rng, [KINDS[number % len(KINDS)]], per_kind)
        yield Prompt(text, "train", rng.randrange(1, 2**31), description)


def keep(path: Path, rows: Callable[[], list[dict]]) -> None:
    """Write the rows to a file, unless it is there."""
    if not path.exists():
        text = "".join(json.dumps(row) + "\n" for row in rows())
        replace_file(path, lambda name: Path(name).write_text(text))


@torch.no_grad()
def measure(generator: Generator, prompts: list[Prompt], real: bool) -> list[dict]:
    encoder, rows = TextEncoder(), []
    for start in range(0, len(prompts), 32):
        part = prompts[start : start + 32]
        exact, points, on, normals = examples(part)
        cloud = torch.cat((on, normals), -1)[:, : generator.config.points] if real else None
        fields = generator(*encoder([p.text for p in part]), exact.z, cloud)
        sdf = generator.sdf(fields.geometry, fields.condition, points)
        look = generator.texture(fields.texture, fields.condition, on)
        rows += figures(part, exact, points, on, sdf, look)
    return rows


def examples(prompts: list[Prompt]) -> tuple[ExactObjects, Tensor, Tensor, Tensor]:
    """Exact objects, points in their boxes [B, 8192, 3], on their surfaces [B, 2048, 3] and normals there: the same ones in every arm."""
    rng = torch.Generator().manual_seed(prompts[0].seed)
    exact = ExactObjects([p.description for p in prompts], style_of([p.seed for p in prompts]))
    points = (torch.rand(len(prompts), 8192, 3, generator=rng) * 2 - 1) * exact.half_size[:, None] * 1.1
    return exact, points, *exact.sample_surface(2048, rng)


def figures(prompts: list[Prompt], exact: ExactObjects, points: Tensor, on: Tensor, sdf: Tensor, look: Tensor) -> list[dict]:
    truth = exact.sdf(points)
    a, b = sdf < 0, truth < 0
    iou = (a & b).sum(1) / (a | b).sum(1).clamp(min=1)
    color = (look - exact.appearance(on))[..., :3].abs().mean((1, 2))
    loss = torch.stack([sdf_loss(*pair, LossWeights().band) for pair in zip(sdf, truth, strict=True)])
    columns = zip(prompts, iou.tolist(), color.tolist(), loss.tolist(), strict=True)
    return [{"prompt": p.text, "kind": p.description.kind, "iou": i, "color": c, "sdf": s} for p, i, c, s in columns]


class OwnPlanes(nn.Module):
    """One object's planes and fields of the tiny model, free to be optimised: no text, no network before them."""

    def __init__(self):
        super().__init__()
        config = PRESETS["tiny"]
        size = (1, 3, config.plane_channels, config.resolution, config.resolution)
        self.geometry, self.look = (nn.Parameter(0.1 * torch.randn(size)) for _ in range(2))
        self.condition = nn.Parameter(0.1 * torch.randn(1, config.condition))
        self.sdf, self.texture = GeometryField(config), TextureField(config)


class Optimisation:
    """One prompt's own optimisation against its exact object, with the losses of the training."""

    def __init__(self, prompt: Prompt):
        self.prompt, self.rng = prompt, torch.Generator().manual_seed(prompt.seed)
        torch.default_generator.manual_seed(0)
        self.own = OwnPlanes()
        self.optimizer = torch.optim.Adam(self.own.parameters(), 1e-2, betas=(0.9, 0.95))
        self.exact = ExactObjects([prompt.description], style_of([prompt.seed]))
        self.on, self.normals = self.exact.sample_surface(4096, self.rng)
        self.points = points_around(self.exact, self.on, 8192, self.rng)
        self.truth, self.look = self.exact.sdf(self.points), self.exact.appearance(self.on)

    def step(self, share: float) -> None:
        own, w, pairs = self.own, LossWeights(), pairs_among(8192)
        for group in self.optimizer.param_groups:
            group["lr"] = 1e-2 * max(0.03, 1 - share)
        first = torch.randint(pairs, (307,), generator=self.rng)
        p = torch.cat((first, first + pairs, torch.randint(8192, (922,), generator=self.rng)))
        s = torch.randint(4096, (512,), generator=self.rng)
        sdf = own.sdf(own.geometry, own.condition, self.points[:, p])
        map = own.texture.map(own.look, own.condition, self.on[:, s])
        losses = {
            "sdf": sdf_loss(sdf, self.truth[:, p], w.band),
            "slope": slope_loss(sdf - self.truth[:, p], self.truth[:, p], self.points[:, p], 307),
            **look_losses(own.texture, map, own.condition, self.look[:, s]),
        }
        w.total(losses).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def row(self) -> dict:
        _, points, on, _ = examples([self.prompt])
        sdf = self.own.sdf(self.own.geometry, self.own.condition, points)
        look = self.own.texture(self.own.look, self.own.condition, on)
        return figures([self.prompt], self.exact, points, on, sdf, look)[0]


def optimise_each(prompts: list[Prompt], seconds: float) -> list[dict]:
    """Each prompt by itself, for so many seconds of CPU time; those that its exact object takes are not counted."""
    rows = []
    for prompt in prompts:
        run, steps = Optimisation(prompt), 0
        begun = time.process_time()
        while (spent := time.process_time() - begun) < seconds:
            run.step(spent / seconds)
            steps += 1
        rows.append(run.row() | {"steps": steps})
    return rows


def race(prompts: list[Prompt], out: Path, longest: float = 60.0) -> list[dict]:
    """How many seconds of CPU time each prompt needs by itself until it is as good as the amortised model made it."""
    goals = read(out / "annealed" / "unseen, dummy cloud.jsonl")
    rows = []
    for prompt, goal in zip(prompts, goals[: len(prompts)], strict=True):
        assert prompt.text == goal["prompt"]
        run, spent, row, steps = Optimisation(prompt), 0.0, {}, 0
        while spent < longest and not (row and row["sdf"] <= goal["sdf"] and row["color"] <= goal["color"]):
            begun = time.process_time()
            for _ in range(10):
                run.step(0.5)
            spent, steps = spent + time.process_time() - begun, steps + 10
            row = run.row()
        rows.append(row | {"seconds": spent, "steps": steps, "reached": spent < longest})
    return rows


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(out: Path) -> str:
    """Markdown: mean (95 % interval over prompts) of every finished arm, and its paired difference to the first one."""
    base = out / "annealed" / "unseen, dummy cloud.jsonl"
    lines = ["| Arm | prompts, cloud | IoU (95 %) | against the first line | colour error (95 %) |", "|---|---|---|---|---|"]
    for arm, title in [(arm, title) for arm, (title, _) in ARMS.items()] + [(ALONE, "each prompt by itself")]:
        for path in sorted((out / arm).glob("*seen*.jsonl"), key=lambda path: (not path.stem.startswith("unseen"), path.stem)):
            rows, difference = read(path), ""
            if path.stem.startswith("unseen") and path != base and base.exists():
                values = [own["iou"] - other["iou"] for own, other in zip(rows, read(base), strict=True)]
                low, high = interval(values)
                difference = f"{np.mean(values):+.3f} ({low:+.3f} to {high:+.3f})"
            lines.append(f"| {title} | {path.stem} | {shown(rows, 'iou')} | {difference} | {shown(rows, 'color')} |")
    lines += [f"| {title} | | waits for a GPU | | |" for title in WAITING]
    if (out / ALONE / "race.jsonl").exists():
        rows = read(out / ALONE / "race.jsonl")
        reached = [r["seconds"] for r in rows if r["reached"]]
        lines += ["", f"By itself a prompt is as good as with the first arm after {np.median(reached):.1f} s (median of the "
                      f"{len(reached)} of {len(rows)} that got there within a minute)."]  # fmt: skip
    return "\n".join(lines)


def shown(rows: list[dict], name: str) -> str:
    values = [r[name] for r in rows]
    low, high = interval(values)
    return f"{np.mean(values):.3f} ({low:.3f}–{high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
