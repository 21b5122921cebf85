# SPDX-License-Identifier: GPL-3.0-or-later
"""`library check | prepare | suggest DIR`: starts the engine's command, and tells it how to start Blender for the assets."""

import argparse
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

import bpy

from . import arguments, machine, terminal
from .client.engine import ASTRAY, EngineFault, source_folder

END_PATIENCE_S = 10.0  # the engine ends its own programs first


def blender_command() -> list[str]:
    """What starts a Blender that serves `library.main`, with factory settings and without running scripts of files."""
    package = Path(__file__).resolve().parent
    start = f"import sys; sys.path.append({str(package.parent)!r}); from {package.name} import library; library.main()"
    if not bpy.app.binary_path:  # Blender as a Python module
        return [sys.executable, "-c", start]
    options = ["--background", "--factory-startup", "--disable-autoexec", "--python-exit-code", "3"]
    return [bpy.app.binary_path, *options, "--python-expr", start]


def command_line(options: argparse.Namespace) -> tuple[list[str], Path]:
    """What to start, and the folder that holds `core`. Raises EngineFault."""
    folder = str(Path(options.folder).resolve())
    as_json = ["--json"] if options.json else []
    if options.command == "check":  # needs no engine
        source = source_folder()
        return [sys.executable, str(source / "core" / "library" / "format.py"), folder, *as_json], source
    launch = machine.launch(python=options.engine)
    command = [str(launch.python), "-m", "core", "library", options.command, folder, "--blender", json.dumps(blender_command())]
    command += ["--workers", str(options.workers)] if getattr(options, "workers", None) else []
    command += ["--out", str(Path(options.out).resolve())] if getattr(options, "out", None) else []
    return [*command, *as_json], launch.source


def main(argv: list[str], out: TextIO | None = None) -> int:
    """Run one command and write to `out`; return the exit status: 0 done, 1 some assets could not be used, 2 nothing was done, 130
    stopped."""
    out = out or sys.stdout
    try:
        with redirect_stdout(out):
            options = arguments.library_parser("latte3d library").parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    try:
        command, source = command_line(options)
    except EngineFault as fault:
        print(f"latte3d: {fault}", file=sys.stderr)
        return 2
    environment = {key: value for key, value in os.environ.items() if key not in ASTRAY}
    environment |= {"PYTHONPATH": str(source), "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}
    try:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
    except OSError as error:
        print(f"latte3d: {command[0]} does not start: {error.strerror or error}. Name another with --engine.", file=sys.stderr)
        return 2
    try:
        for line in process.stdout:
            out.write(line)
            out.flush()
        return process.wait()
    except KeyboardInterrupt:
        print("latte3d: Stopped; what was prepared is kept.", file=sys.stderr)
        return 130
    finally:
        process.terminate()
        try:
            process.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    terminal.end_on_signals()
    sys.exit(main(sys.argv[1:]))
