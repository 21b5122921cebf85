# SPDX-License-Identifier: GPL-3.0-or-later
"""`train DIR`, `evaluate MODEL DIR` and `refine MODEL PROMPT`: what it takes is said, what a library lacks is prepared, then the engine
does the work."""

import argparse
import json
import sys
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

from . import arguments, library_commands, machine, naming, packages, running
from .arguments import STARTER
from .client.engine import Launch
from .running import Output

NOTHING = "none"  # --from
EXACT = "exact"  # as a model of evaluate: the starter library's own objects


def train(argv: list[str], out: TextIO | None = None) -> int:
    """Train a model; return the exit status: 0 done, 1 failed, 2 nothing was begun, 130 stopped."""
    return _main(arguments.train_parser("latte3d train"), argv, out, _train)


def evaluate(argv: list[str], out: TextIO | None = None) -> int:
    """Measure a model; return the exit status: 0 done, 1 failed, 2 nothing was begun, 130 stopped."""
    return _main(arguments.evaluate_parser("latte3d evaluate"), argv, out, _evaluate)


def refine(argv: list[str], out: TextIO | None = None) -> int:
    """Refine one object; return the exit status: 0 done, 1 failed, 2 nothing was begun, 130 stopped."""
    return _main(arguments.refine_parser("latte3d refine"), argv, out, _refine)


def _main(parser: argparse.ArgumentParser, argv: list[str], out: TextIO | None, work) -> int:
    out = out or sys.stdout
    try:
        with redirect_stdout(out):
            options, options.more = parser.parse_known_intermixed_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    return library_commands.begun(options, out, work)


def _train(options: argparse.Namespace, output: Output) -> int:
    launch = _ready(options, output)
    python, own = str(launch.python), options.library != STARTER
    library = str(Path(options.library).resolve()) if own else STARTER
    start = _start(options, launch)
    about = [library, "--out", str(_home(options)), *start, *arguments.passed_on(options, arguments.TRAIN_OPTIONS), *options.more]
    status = _say_what_it_takes([python, "-m", "core", "plan", *about], launch, output, options) if own else 0
    status = status or (_prepare(options, launch, output) if own else 0)
    return status or running.run([python, "-m", "core", "train", *about, *["--json"] * options.json], launch.source, output)


def _ready(options: argparse.Namespace, output: Output) -> Launch:
    """The engine; it computes on the preferences' device, where no other is named."""
    launch = packages.ready(options.engine, options.device or "", options.offline, output)
    options.device = None if launch.device == "auto" else launch.device
    return launch


def _home(options: argparse.Namespace) -> Path:
    """The folder of the model."""
    if options.out:
        return Path(options.out).expanduser().resolve()
    return home_of(Path(options.library)) if options.library != STARTER else machine.trained_models() / STARTER


def home_of(library: Path) -> Path:
    """Where the model of a library goes that nobody has named a place for: into a folder that the panel's chooser reads."""
    folders = [folder for folder in machine.chosen_folders() if folder.is_dir() and not (folder / "config.json").exists()]
    return (folders[0] if folders else machine.trained_models()) / naming.slug(name_of(library))


def name_of(library: Path) -> str:
    """What its library.toml calls it, else its folder."""
    try:
        name = tomllib.loads((library / "library.toml").read_text(encoding="utf-8-sig")).get("name", "")
    except (OSError, ValueError):
        name = ""
    return (name.strip() if isinstance(name, str) else "") or library.resolve().name


def _start(options: argparse.Namespace, launch: Launch) -> list[str]:
    """The option that names the model to begin with."""
    if not options.start_from and options.library != STARTER:  # the shipped one, whatever lies in the working folder
        return ["--from", str(launch.source / "core" / "weights" / STARTER)]
    chosen = options.start_from or NOTHING
    return [] if chosen == NOTHING else ["--from", str(machine.model_folder(chosen, launch.source))]


def _say_what_it_takes(command: list[str], launch: Launch, output: Output, options: argparse.Namespace) -> int:
    """Say how long a training will take and what it needs. Returns an exit status: 0, or why it is not begun."""
    refused = []

    def hear(line: str) -> None:
        event = _event(line)
        if event.get("event") != "plan":
            return output.say(line)
        output.line(line if output.as_json else event["text"])
        if event["refusal"]:
            refused.append(event["refusal"])

    status = running.run([*command, "--json"], launch.source, output, hear)
    if status or not refused:
        return status
    if options.yes:
        output.say(f"latte3d: {refused[0]} It goes on all the same.")
        return 0
    output.say(f"latte3d: {refused[0]} Make room, or go on all the same with --yes.")
    return 2


def _prepare(options: argparse.Namespace, launch: Launch, output: Output) -> int:
    """Prepare what is missing or has changed. Returns an exit status: 0 where there is something to learn from."""
    wanted = argparse.Namespace(command="prepare", folder=options.library, workers=options.workers, yes=options.yes, json=True)
    done: dict = {}

    def hear(line: str) -> None:
        event = _event(line)
        if "prepared" in event:
            done.update(event)
        elif output.as_json:
            output.line(line)
        elif event.get("event") == "progress":
            _tell(event, output)

    status = running.run(library_commands.command_line(wanted, launch), launch.source, output, hear)
    if not done:  # it was stopped, or has failed and said why
        return status or 1
    output.event(event="prepared", **done)
    if not output.as_json:
        for one in done["rejected"]:
            output.line(f"not used: {one['asset']}: {one['reason']}")
        output.line(f"{done['prepared']} prepared, {len(done['rejected'])} not used, {done['seconds']:.0f} s")
    if not done["prepared"]:
        output.say(f"latte3d: Nothing of {options.library} could be prepared: there is nothing to learn from. Correct what is named above.")
        return 2
    return status if status > 1 else 0


def _tell(event: dict, output: Output) -> None:
    """Every 25th asset, the last one, and each that could not be used."""
    done, total, left = event["done"], event["total"], event.get("eta_s")
    if done and (done % 25 == 0 or done == total or event.get("rejected")):
        output.say(f"preparing: {done} of {total}{f', {left / 60:.1f} minutes left' if left else ''}  {event.get('asset', '')}")


def _event(line: str) -> dict:
    """What a line of JSON holds; of any other line nothing."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _evaluate(options: argparse.Namespace, output: Output) -> int:
    launch = _ready(options, output)
    model = options.model if options.model == EXACT else str(machine.model_folder(options.model, launch.source))
    library = [str(Path(options.library).resolve())] if options.library else []
    more = [*arguments.passed_on(options, arguments.EVALUATE_OPTIONS), *options.more, *["--json"] * options.json]
    return running.run([str(launch.python), "-m", "core", "evaluate", model, *library, *more], launch.source, output)


def _refine(options: argparse.Namespace, output: Output) -> int:
    launch = _ready(options, output)
    model = str(machine.model_folder(options.model, launch.source))
    more = [*arguments.passed_on(options, arguments.REFINE_OPTIONS), *options.more, *["--json"] * options.json]
    return running.run([str(launch.python), "-m", "core", "refine", *more, "--", model, options.prompt], launch.source, output)
