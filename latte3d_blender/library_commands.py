# SPDX-License-Identifier: GPL-3.0-or-later
"""`library check | prepare | suggest DIR`: starts the engine's command, and tells it how to start Blender for the assets."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

import bpy

from . import arguments, packages, running, terminal
from .client.engine import EngineFault, Fault, Launch, source_folder
from .running import Output


def blender_command() -> list[str]:
    """What starts a Blender that serves `library.main`, with factory settings and without running scripts of files."""
    package = Path(__file__).resolve().parent
    start = f"import sys; sys.path.append({str(package.parent)!r}); from {package.name} import library; library.main()"
    if not bpy.app.binary_path:  # Blender as a Python module
        return [sys.executable, "-c", start]
    options = ["--background", "--factory-startup", "--disable-autoexec", "--python-exit-code", "3"]
    return [bpy.app.binary_path, *options, "--python-expr", start]


def command_line(options: argparse.Namespace, launch: Launch) -> list[str]:
    """What makes the engine prepare a library, or propose its prompts."""
    folder = str(Path(options.folder).resolve())
    command = [str(launch.python), "-m", "core", "library", options.command, folder, "--blender", json.dumps(blender_command())]
    command += ["--workers", str(options.workers)] if getattr(options, "workers", None) else []
    command += ["--out", str(Path(options.out).expanduser().resolve())] if getattr(options, "out", None) else []
    command += ["--yes"] if getattr(options, "yes", False) else []
    return [*command, *["--json"] * options.json]


def main(argv: list[str], out: TextIO | None = None) -> int:
    """Run one command and write to `out`; return the exit status: 0 done, 1 some assets could not be used, 2 nothing was done, 130
    stopped."""
    out = out or sys.stdout
    try:
        with redirect_stdout(out):
            options = arguments.library_parser("latte3d library").parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    return begun(options, out, _run)


def begun(options: argparse.Namespace, out: TextIO, work: Callable[[argparse.Namespace, Output], int]) -> int:
    """Do a long command's work, and turn what stops it into a sentence and an exit status."""
    try:
        with Output(out, getattr(options, "log", ""), as_json=options.json) as output:
            try:
                status = work(options, output)
            except EngineFault as fault:
                output.say(f"latte3d: {fault}")
                return 1 if fault.fault.kind == "setup" else 2
            except KeyboardInterrupt:
                status = 130
            if status == 130:
                output.say("latte3d: Stopped. What is done is kept, and the same command goes on from here.")
            if output.lost:
                print(f"latte3d: The output could not be written: {output.lost}.", file=sys.stderr)
            return status or int(bool(output.lost))
    except EngineFault as fault:  # there is no log
        print(f"latte3d: {fault}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, output: Output) -> int:
    if options.command == "check":  # needs no engine
        source = source_folder()
        if source is None:
            raise EngineFault(Fault("The engine's files are missing.", "The add-on is damaged.", "Install the extension again."))
        as_json = ["--json"] * options.json
        command = [sys.executable, str(source / "core" / "library" / "format.py"), str(Path(options.folder).resolve()), *as_json]
        return running.run(command, source, output)
    launch = packages.ready(options.engine, "", options.offline, output)
    return running.run(command_line(options, launch), launch.source, output)


if __name__ == "__main__":
    terminal.end_on_signals()
    sys.exit(main(sys.argv[1:]))
