# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core train starter --out FOLDER`: train a model on the starter library; the same command resumes it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.training.options import add_flags, from_flags
from core.training.settings import TrainSettings


def main(argv: list[str]) -> int:
    settings = parse(argv)
    from core.training.train import finished, train  # takes seconds: wrong flags are reported before

    folder = train(settings)
    there = (folder / "config.json").exists()
    if finished(settings):
        print(f"The model is in {folder}." if there else f"All stages are done; {folder} holds their checkpoint, and no model yet.")
        return 0
    print(f"Stopped; {f'the model so far is in {folder}' if there else 'there is no model yet'}. The same command goes on from here.")
    return 130


def parse(argv: Sequence[str]) -> TrainSettings:
    """The settings of a command line. Exits with usage where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m core train", description=__doc__)
    parser.add_argument("library", help='"starter", the only library so far')
    parser.add_argument("--out", type=Path, required=True, help="the model's folder; what it holds is resumed")
    add_flags(parser, TrainSettings)
    a = parser.parse_args(argv)
    return from_flags(TrainSettings, a, out=a.out, library=a.library)
