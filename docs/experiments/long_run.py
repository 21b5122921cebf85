# SPDX-License-Identifier: GPL-3.0-or-later
"""A long training of stage 1 by a small prior on complex prompts, watched: does quality drift, does anything leak?

    python docs/experiments/long_run.py PRIOR --out FOLDER

PRIOR is that of score_distillation.py. Learnt are 10,000 prompts of three and more attributes that one sees (colour, material, pattern,
second part, proportion) about its eight kinds. Every so many steps a line is added to FOLDER/watch.jsonl: figures of 120 of them and of
120 that say both of a pair that nobody learns (HELD_OUT_PAIRS), and memory, open files and bytes on disk. Ctrl-C, a kill or a power cut:
the same command goes on at the last checkpoint, with the same numbers. `--table` prints what there is. Linux only: memory is read
from /proc.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from library_size import memory_mb
from prompt_counts import NAMES, SEED, Library, measure, save_weights, stages
from score_distillation import WEIGHTS, spread

from core.language.encoder import TextEncoder
from core.library.prompt import Prompt
from core.library.starter.objects import Description
from core.library.starter.prompts import StarterPrompts
from core.networks.generator import Generator
from core.networks.presets import PRESETS
from core.training.checkpoint import Checkpoint
from core.training.run import Run, accelerator_on
from core.training.stages.geometry import Geometry, GeometryBatch

LEARNT, EACH = 10_000, 15  # prompts; of each kind that are measured, learnt and not
SEEN_IN_PICTURES = ("color", "material", "pattern", "second", "proportion")
FIGURES = ("iou", "color_error", "kind_right")


class Watched(Geometry):
    """Stage 1 that calls `watch` before every step."""

    watch: Callable[[int], None]

    def batch(self, step: int, share: float) -> GeometryBatch:
        self.watch(step)
        return super().batch(step, share)


class Watch:
    """Adds a line to the file at every so many steps, once for each: what is made, and what it costs."""

    def __init__(self, out: Path, every: int, generator: Generator, library: Library, groups: dict[str, list[int]]):
        self.path, self.out, self.every, self.run = out / "watch.jsonl", out, every, None
        self.generator, self.library, self.groups = generator, library, groups
        self.turned = library.turned()[:1]
        last = [{"step": -1, "session": 0, "processor_h": 0.0}, *lines_in(self.path)][-1]
        self.last, self.session, self.before = last["step"], last["session"] + 1, last["processor_h"]

    def __call__(self, step: int) -> None:
        if step % self.every or step <= self.last:
            return
        self.last, resident = step, memory_mb()
        told = {
            "step": step, "session": self.session, "hours": round(self.run.progress.seconds / 3600, 4),
            "processor_h": round(self.before + time.process_time() / 3600, 4), "skipped": self.run.progress.skipped,
            "memory_mb": round(resident[0], 1), "most_mb": round(resident[1], 1), "objects": len(gc.get_objects()),
            "open_files": len(os.listdir("/proc/self/fd")), "disk_mb": round(bytes_in(self.out) / 2**20, 2),
        }  # fmt: skip
        for group, some in self.groups.items():
            rows = measure(self.generator, self.library, some, self.turned)
            told[group] = {figure: [round(float(row[figure]), 4) for row in rows] for figure in FIGURES}
        with self.path.open("a") as file:
            file.write(json.dumps(told) + "\n")


def lines_in(path: Path) -> list[dict]:
    """Those that are whole: the last one may be cut off."""
    if not path.exists():
        return []
    text = path.read_text()
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        path.write_text(text)
    return [json.loads(line) for line in text.splitlines()]


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def complex_prompts(count: int, split: str, kinds: Sequence[str]) -> list[Prompt]:
    """The first so many of a split that name three attributes and more that pictures show."""
    found = []
    for prompt in StarterPrompts(1 << 30, split, SEED, kinds):
        if named(prompt.description) >= 3:
            found.append(prompt)
        if len(found) == count:
            break
    return found


def named(d: Description) -> int:
    return sum(bool(getattr(d, name)) for name in SEEN_IN_PICTURES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100_000, help="of four objects; 100,000 are about twelve hours of a core")
    parser.add_argument("--every", type=int, default=500, help="steps between two measurements")
    parser.add_argument("--table", action="store_true", help="train nothing, print what there is")
    a = parser.parse_args()
    if not a.table:
        go(a.prior, a.out, a.steps, a.every)
    print(table(lines_in(a.out / "watch.jsonl")))
    return 0


def go(prior: Path, out: Path, steps: int, every: int) -> None:
    torch.set_num_threads(1)
    encoder, accelerator = TextEncoder(device="cpu"), accelerator_on("cpu")
    torch.manual_seed(0)
    generator = Generator(PRESETS["tiny"])
    learnt = complex_prompts(LEARNT, "train", NAMES)
    seen = [n for kind in NAMES for n in [n for n, p in enumerate(learnt) if p.description.kind == kind][:EACH]]
    pairs = [prompt for kind in NAMES for prompt in complex_prompts(EACH, "pairs", [kind])]
    groups = {"learnt": seen, "pairs": list(range(LEARNT, LEARNT + len(pairs)))}
    library = Library(encoder, generator.dummy, learnt, pairs, [*seen, *groups["pairs"]])
    watch = Watch(out, every, generator, library, groups)
    for stage in stages(prior, out / "texts", steps, generator, library, Watched):
        state = Checkpoint(out / f"{stage.name}.checkpoint.safetensors", {"steps": steps})
        run = Run(stage, accelerator, state, logs=None if stage.name == "reading" else out / "tensorboard")
        if stage.name == Geometry.name:
            stage.watch, watch.run = watch, run
        if not run.go():
            sys.exit(130)
    watch(steps)
    save_weights(generator, out / WEIGHTS)


def table(lines: list[dict]) -> str:
    """Markdown: a dozen of the lines, the best one for each group, and how far the last lies from that, prompt by prompt."""
    out = ["| step | hours of training | of the processor | IoU, learnt | IoU, unseen pairs | colour error, learnt | unseen pairs "
           "| memory, MB | open files | on disk, MB |", "|" + "---|" * 10]  # fmt: skip
    for i in sorted({round(n) for n in np.linspace(0, len(lines) - 1, min(len(lines), 12))}) if lines else []:
        line = lines[i]
        cells = [spread(line[group][figure]) for figure in ("iou", "color_error") for group in ("learnt", "pairs")]
        facts = [f"{line['step']:,}", f"{line['hours']:.2f}", f"{line['processor_h']:.2f}"]
        costs = [f"{line['memory_mb']:.0f}", line["open_files"], f"{line['disk_mb']:.0f}"]
        out.append(f"| {' | '.join(map(str, (*facts, *cells, *costs)))} |")
    for group in ("learnt", "pairs") if lines else ():
        best = max(lines, key=lambda line: np.mean(line[group]["iou"]))
        apart = (np.array(lines[-1][group]["iou"]) - np.array(best[group]["iou"])).tolist()
        out.append(f"\n{group}: best at step {best['step']:,}, {spread(best[group]['iou'])}; the last against it {spread(apart, '+')}")
    return "\n".join(out)


if __name__ == "__main__":
    sys.exit(main())
