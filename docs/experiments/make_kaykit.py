# SPDX-License-Identifier: GPL-3.0-or-later
"""How the KayKit model is made from nothing: `python docs/experiments/make_kaykit.py --library FOLDER --out FOLDER [--processes 2]`.

LIBRARY is a prepared copy of the KayKit packs with their prompts (CC0, Kay Lousberg). It starts from the starter model, whose objects it
replays, so that it knows both. Each training goes on from the one before; the last one's folder, OUT/kaykit, is the model. What is
finished stays: the same command goes on where it was interrupted. What follows `--` is added to each training's own flags.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from make_starter import ROOT, Training, arguments, train_all

REPLAY = "0.2"
TRAININGS = (
    Training("begun", 20, "--rate 7e-4 --reading-steps 150", "both networks: captions, then shapes and looks, clouds annealed"),
    Training("kaykit", 97, "--rate 7e-4 --reading-steps 200", "both networks, from the falling end of another rate"),
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    a = arguments(__doc__, argv)
    common = ["--preset", a.preset, "--replay", REPLAY]
    return train_all(a.library, TRAININGS, common, a, ROOT / "core" / "weights" / "starter")


if __name__ == "__main__":
    sys.exit(main())
