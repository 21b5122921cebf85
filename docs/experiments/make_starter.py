# SPDX-License-Identifier: GPL-3.0-or-later
"""How the shipped model is made from nothing: `python docs/experiments/make_starter.py --out FOLDER [--processes 2]`.

Four trainings, each from the one before; the last one's folder, FOLDER/starter, is the model. What is finished stays: the same command
goes on where it was interrupted. Eleven hours and a half of two cores with `--processes 2`. The model of experiment 20 came about in
eleven runs, with detours (ten kinds first, waves that ran away, no metal); this is what they found best, in order, and the order as a
whole has not been run yet. What follows `--` is added to each training's own flags.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.networks.storage import read_card
from core.training.checkpoint import Checkpoint
from core.training.cli import main as train
from core.training.start import CHECKPOINT

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    "mushroom,barrel,chest,tree,cactus,rock,house,tower,car,duck,chair,table,lamp,vase,mug,teapot,apple,pumpkin,boat,truck,rocket,robot,"
    "snowman,sword,shield,crate,bench,crown,cake,fish,flower,tent"
)
THIN = "boat,boat,bench,bench,mug,mug,crown,crown,chair,chair,vase,flower,truck,cactus,robot,table,tower,house,crate"  # weak in shape
FLAT = "crate,crate,house,tent,crown,chest,tower,robot"  # weak in what is drawn on them


@dataclass(frozen=True)
class Training:
    """One `core train`: its folder, how long it learns from objects, and its flags."""

    folder: str
    minutes: float
    flags: str
    why: str


TRAININGS = (
    Training("both", 300, "--rate 8e-4 --reading-steps 1500 --reading-rate 8e-4",
             "reads first (experiment 6), then all kinds alike; patterns twice in five (8), small parts often (12), clouds annealed"),
    Training("weak", 160, f"--rate 7e-4 --reading-steps 100 --more {THIN}",
             "both networks, weak kinds more often, from the falling end of another rate (17, 18)"),
    Training("shapes", 200, f"--parts g --rate 6e-4 --more {THIN} --seed 4",
             "G alone is worth more than both at equal time, and a step costs two thirds (19, 20)"),
    Training("starter", 30, f"--parts t --rate 4e-4 --more {FLAT} --seed 5", "T alone, mostly on patterns (16, 20)"),
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    a = arguments(__doc__, argv)
    return train_all(a.library, TRAININGS, ["--preset", a.preset, "--kinds", KINDS, "--batch", "4"], a)


def arguments(what: str, argv: list[str] | None) -> argparse.Namespace:
    """The flags of a script that makes a model by several trainings."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="starter", help="a prepared folder, where the model learns from one")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the models")
    parser.add_argument("--preset", default="starter")
    parser.add_argument("--processes", type=int, default=1, help="on this machine, one thread each; batches are theirs (experiment 4)")
    parser.add_argument("--minutes-scale", type=float, default=1.0, help="of all trainings' minutes")
    parser.add_argument("--dry-run", action="store_true", help="print the commands alone")
    parser.add_argument("more", nargs="*", metavar="-- FLAG", help="flags of core train")
    return parser.parse_args(argv)


def train_all(library: str, trainings: Sequence[Training], common: list[str], a: argparse.Namespace, before: Path | None = None) -> int:
    """Each training from the model of the one before, the first from `before`; those that are finished stay. Returns the exit status."""
    for one in trainings:
        folder = a.out / one.folder
        flags = [library, "--out", str(folder), *common, "--minutes", f"{one.minutes * a.minutes_scale:g}", *one.flags.split()]
        flags += [*(["--from", str(before)] if before else []), *a.more]
        print(f"# {one.why}\n{shlex.join(['python', '-m', 'core', 'train', *flags])}", flush=True)
        if not a.dry_run and not finished(folder):
            run(flags, a.processes)
            if not finished(folder):
                print(f"Stopped in {folder}: the same command goes on from there.")
                return 1
        before = folder
    return 0


def finished(folder: Path) -> bool:
    """Whether a training has come to its end, and its model's folder says what it makes."""
    return Checkpoint(folder / CHECKPOINT, {}).position() == ("reconstruction", True) and bool(read_card(folder)[1].one_piece)


def run(flags: list[str], processes: int) -> None:
    """Train: here, or in several processes that average their gradients."""
    if processes == 1:
        train(flags)
    else:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m", "core", "train"]
        subprocess.run([*launch, *flags], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
