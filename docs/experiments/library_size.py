# SPDX-License-Identifier: GPL-3.0-or-later
"""What a larger library costs: memory, time before the first step, and time of a step, of the same training on few and on many prompts.

    python docs/experiments/library_size.py --out FOLDER [--prompts 1000 101608]

Prompts are those of the starter library's grammar, written to a folder library of four prepared boxes and of prompts without a shape
(half of them); the prior is a tiny one of random weights. Times are the processor's, one thread, which other work on the machine changes
little; the counts train side by side. Printed, and written to FOLDER/result.json. Linux only: memory is read from /proc.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

STAGES = ("reading", "reconstruction", "geometry")
FLAGS = ["--preset", "tiny", "--device", "cpu", "--batch", "4", "--reading-batch", "32",
         "--geometry-batch", "4", "--geometry-size", "12",
         "--geometry-rays-coarse", "8", "--geometry-rays-fine", "4", "--geometry-rays-looks", "2"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, nargs="+", default=[1000, 101608])
    parser.add_argument("--steps", type=int, default=60, help="of each stage")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # in a process of its own
    a = parser.parse_args()
    if a.one:
        one(a.out / str(a.one), a.steps)
        return
    from tests.core.guidance import tiny

    if not (a.out / "prior").is_dir():
        tiny.prior(a.out / "prior", camera=True)
    for count in a.prompts:
        write_library(a.out / str(count) / "library", count)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--out", str(a.out), "--steps", str(a.steps), "--one"]
    running = [subprocess.Popen([*command, str(count)], env=environment) for count in a.prompts]
    if any([process.wait() for process in running]):
        sys.exit("A training failed.")
    results = {count: json.loads((a.out / str(count) / "measured.json").read_text()) for count in a.prompts}
    (a.out / "result.json").write_text(json.dumps(results, indent=1) + "\n")
    for count, measured in results.items():
        for stage, figures in measured.items():
            print(f"{count:>7} prompts  {stage:<15} " + "  ".join(f"{name} {value:.2f}" for name, value in figures.items()))


def write_library(folder: Path, count: int) -> None:
    """A prepared library with so many different prompts, every other one of a box."""
    from core.library.starter.prompts import StarterPrompts
    from tests.core.boxes import ASSETS, make_boxes

    if (folder / "prompts.csv").exists():
        return
    folder.mkdir(parents=True)
    make_boxes(folder, cloud=1024)
    rows, shapes = ["split,prompt,shape"], [f"{name}.glb" for name in ASSETS]
    for i, prompt in enumerate(StarterPrompts(count, "train", 0)):
        rows.append(f'train,"{prompt.text}",{shapes[i // 2 % len(shapes)] if i % 2 else ""}')
    (folder / "prompts.csv").write_text("\n".join(rows) + "\n")


def one(home: Path, steps: int) -> None:
    """Train on one library, and write what it took: seconds until a stage's first step, of a step (median), and memory."""
    from core.training import run
    from core.training.cli import parse
    from core.training.train import train

    run.REPORT, times = 1, {stage: [] for stage in STAGES}
    memory = {stage: (0.0, 0.0) for stage in STAGES}

    def tell(event: dict) -> None:
        if event.get("event") == "progress" and event.get("stage") in times:
            times[event["stage"]].append(time.process_time())
            memory[event["stage"]] = memory_mb()

    lengths = [flag for name in ("--reading-steps", "--steps", "--geometry-steps") for flag in (name, str(steps))]
    stages = ["--stages", ",".join(STAGES), "--multiview", str(home.parent / "prior")]
    begun = time.process_time()
    train(replace(parse([str(home / "library"), "--out", str(home / "model"), *stages, *FLAGS, *lengths]), pictures=False), tell)
    measured, before = {}, begun
    for stage in STAGES:
        own = times[stage]
        between = [b - a for a, b in itertools.pairwise(own)]
        resident, most = memory[stage]
        measured[stage] = {"first_step_s": own[0] - before, "step_s": statistics.median(between), "memory_mb": resident, "most_mb": most}
        before = own[-1]
    (home / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")


def memory_mb() -> tuple[float, float]:
    """This process's own memory now, without mapped files, and the most that it has held with them."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "VmHWM"))


if __name__ == "__main__":
    main()
