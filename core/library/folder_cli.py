# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core library check | prepare | suggest DIR`: a folder of assets and prompts.

Prepare and suggest open the assets in Blender; `--blender` is the command that starts Blender's side. The add-on's own command gives it:
blender --command latte3d library prepare DIR, or python -m latte3d_blender library prepare DIR.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from core.environment import CONSTRAINTS, REQUIREMENTS, installed
from core.errors import BadRequest
from core.library import format as library_format

SHAPE_MB = 2.2  # of a prepared shape


def add_commands(commands: argparse._SubParsersAction) -> None:
    """The three subcommands, each with `run(args)` that returns the exit status."""
    check = commands.add_parser("check", help="list all that is wrong with a library of your own")
    check.set_defaults(run=lambda args: library_format.check(args.folder, args.json))
    prepare = commands.add_parser("prepare", help="make your own assets ready for training")
    prepare.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="assets at a time (one for each core)")
    prepare.add_argument("--yes", action="store_true", help="begin though the disk seems too full")
    prepare.set_defaults(run=_prepare)
    suggest = commands.add_parser("suggest", help="propose prompts for assets that have none")
    suggest.add_argument("--out", type=Path, help="the CSV to write (DIR/suggested.csv)")
    suggest.set_defaults(run=_suggest)
    for command in (check, prepare, suggest):
        command.add_argument("folder", type=Path, metavar="DIR", help="the folder with library.toml and prompts.csv")
        command.add_argument("--json", action="store_true", help="one JSON object a line, the last one the result")
    for command in (prepare, suggest):
        command.add_argument("--blender", type=json.loads, help="JSON list: the command that starts Blender's side")


def _prepare(args: argparse.Namespace) -> int:
    """Exit status 0: all prepared; 1: some could not be used; 2 (a BadRequest): nothing was done."""
    _need_blender(args, "prepare")
    if args.workers < 1:
        raise BadRequest(f"{args.workers} workers cannot work.", "", "Choose 1 or more.")
    need_packages()
    from core.library.prepare import PREPARED, prepare

    if not args.yes:
        _need_disk(args.folder)
    done = prepare(args.folder, args.blender, args.workers, _reporter(args.json))
    if args.json:
        print(json.dumps(done.to_json()), flush=True)
    else:
        _tell_rejected(done.to_json()["rejected"])
        page = args.folder / PREPARED / "report.html"
        print(f"{done.prepared} prepared, {len(done.rejected)} not used, {done.seconds:.0f} s; see {page}")
    return int(bool(done.rejected))


def _suggest(args: argparse.Namespace) -> int:
    _need_blender(args, "suggest")
    need_packages()
    from core.library.suggest import suggest

    result = suggest(args.folder, args.blender, args.out or args.folder / "suggested.csv", _reporter(args.json))
    text = f"{result['suggested']} prompts proposed in {result['out']}; edit them, then add them to prompts.csv"
    if not args.json:
        _tell_rejected(result["rejected"])
    print(json.dumps(result) if args.json else text, flush=True)
    return int(bool(result["rejected"]))


def _tell_rejected(rejected: list[dict]) -> None:
    for one in rejected:
        print(f"not used: {one['asset']}: {one['reason']}")


def _need_blender(args: argparse.Namespace, command: str) -> None:
    if not args.folder.is_dir():
        raise BadRequest(f"There is no folder {args.folder}.", "", "Name the folder that holds library.toml and prompts.csv.")
    if not args.blender:
        remedy = f"Use blender --command latte3d library {command} {args.folder}"
        raise BadRequest("Blender is needed to open assets.", "This is the engine alone.", remedy)


def unprepared(library: library_format.Library) -> int:
    """How many of a library's shapes have no prepared file."""
    from core.library.prepare import prepared_file

    endings = (".safetensors", ".json")  # prepared, or known to be of no use
    return sum(not any(prepared_file(library.folder, shape, ending).is_file() for ending in endings) for shape in library.shapes)


def _need_disk(folder: Path) -> None:
    """Refuse before anything is made where what is to be prepared cannot fit."""
    count, free = unprepared(library_format.read(folder)[0]), shutil.disk_usage(folder).free / 1e6
    if count and free < SHAPE_MB * count:
        what, room = f"{count:,} shape{'s' * (count > 1)}", f"{free:,.0f} MB are free"
        cause = f"Preparing {what} takes about {SHAPE_MB * count:,.0f} MB in {folder}, and {room}."
        raise BadRequest("The disk is too full.", cause, "Make room, or go on all the same with --yes.")


def need_packages() -> None:
    """Raise BadRequest where the packages of train.txt are not there, with the command that adds them."""
    try:
        import igl  # noqa: F401
    except ModuleNotFoundError as error:
        cause = "The package libigl is not installed (core/requirements/train.txt)."
        raise BadRequest("The engine lacks what preparing and training need.", cause, f"Install it: {_install_command()}") from error


def _install_command() -> str:
    """For a shell, in any folder: adds the packages of train.txt to the environment that this engine runs in."""
    if installed(Path(sys.prefix)):
        installer = Path(__file__).resolve().parents[1] / "install.py"
        command = [sys.executable, str(installer), "--target", sys.prefix, "--with", "train.txt"]
    else:  # a Python of the user's own
        command = [sys.executable, "-m", "pip", "install", "-c", str(CONSTRAINTS), "-r", str(REQUIREMENTS / "train.txt")]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def _reporter(as_json: bool):
    """Progress as JSON lines, or as one line on a terminal."""

    def report(event: dict) -> None:
        if as_json:
            print(json.dumps(event), flush=True)
            return
        left = f", {event['eta_s'] / 60:.1f} minutes left" if event["eta_s"] else ""
        text = f"{event['done']} of {event['total']}{left}  {event['asset']}"
        if sys.stderr.isatty():
            print(f"\r{text[:120]}\x1b[K", end="\n" if event["done"] == event["total"] else "", file=sys.stderr, flush=True)
        elif event["done"] % 25 == 0 or event["done"] == event["total"]:
            print(text, file=sys.stderr, flush=True)

    return report
