# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core train LIBRARY --out FOLDER`: train a model on the starter library, or on a prepared folder of your own; the same command
resumes it."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from core.training.options import add_flags, from_flags
from core.training.settings import STARTER, TrainSettings


def main(argv: list[str]) -> int:
    a = arguments(argv)
    settings, as_json = settings_of(a), a.json
    from core.training.train import finished, train  # takes seconds: wrong flags are reported before

    try:
        folder = train(settings, tell if as_json else None)
    except KeyboardInterrupt:  # among the pictures, after the last step
        if as_json:
            tell(result(settings.out, (settings.out / "config.json").exists(), False))
        raise
    there, done = (folder / "config.json").exists(), finished(settings)
    if as_json:
        tell(result(folder, there, done))
    elif done:
        print(f"The model is in {folder}." if there else f"All stages are done; {folder} holds their checkpoint, and no model yet.")
    else:
        print(f"Stopped; {f'the model so far is in {folder}' if there else 'there is no model yet'}. The same command goes on from here.")
    return 0 if done else 130


def tell(event: dict) -> None:
    """One event of a long command, as one line."""
    print(json.dumps(event), flush=True)


def result(folder: Path, there: bool, done: bool) -> dict:
    """The last line of --json. model: None where there is none yet."""
    from core.networks.storage import read_card

    training = read_card(folder)[1].training if there else {}
    minutes = round(60 * training.get("hours", 0.0), 1)
    return {"model": str(folder.absolute()) if there else None, "finished": done, "minutes": minutes, "steps": training.get("steps", 0)}


def parse(argv: Sequence[str]) -> TrainSettings:
    """The settings of a command line. Exits with usage where it is wrong."""
    return settings_of(arguments(argv))


def settings_of(arguments: argparse.Namespace) -> TrainSettings:
    return from_flags(TrainSettings, arguments, out=arguments.out, library=arguments.library)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core train", description=__doc__)
    parser.add_argument("library", help=f'"{STARTER}", or the folder of a prepared library (docs/prompt-libraries.md)')
    parser.add_argument("--out", type=Path, required=True, help="the model's folder; what it holds is resumed")
    parser.add_argument("--json", action="store_true", help="print progress and the result as JSON, an object a line")
    add_flags(parser, TrainSettings)
    return parser.parse_args(argv)
