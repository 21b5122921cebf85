# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the engine, run for those of the add-on: their lines are passed on and logged, and they end gently. Without bpy."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from .client.job import EngineFault, Fault
from .client.process import ASTRAY

END_PATIENCE_S = 100.0  # after a request to end: training writes what it has learnt
Hear = Callable[[str], None]


class Output:
    """What a command says: lines on `out`, words for a person on stderr, and both in a log, with times, where one was asked for.

    as_json: on `out` there are JSON objects alone, one a line; what else comes goes to stderr.
    """

    def __init__(self, out: TextIO, log: str = "", *, as_json: bool = False):
        """Raises EngineFault where the log cannot be written."""
        self.out, self.as_json, self.lost = out, as_json, ""
        self._lock = threading.Lock()
        try:
            self.log = open(Path(log).expanduser(), "a", encoding="utf-8", errors="replace") if log else None  # noqa: SIM115
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise EngineFault(Fault(f"The log {log} cannot be written: {reason}.", "", "Name another file.", "bad_request")) from error

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        if self.log:
            self.log.close()

    def line(self, text: str) -> None:
        """One line of a program's output."""
        if self.as_json and not text.lstrip().startswith("{"):
            return self.say(text)
        self._write(self.out, text)

    def event(self, **fields: object) -> None:
        """For machines alone."""
        if self.as_json:
            self._write(self.out, json.dumps(fields))

    def say(self, text: str) -> None:
        """For a person."""
        self._write(sys.stderr, text)

    def _write(self, stream: TextIO, text: str) -> None:
        """Where nothing can be written any more (a full disk), the work goes on."""
        with self._lock:
            for file, told in ((stream, text), (self.log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")):
                try:
                    if file:
                        print(told, file=file, flush=True)
                except (OSError, ValueError) as error:
                    self.lost = str(error)


def environment(source: Path) -> dict[str, str]:
    """The variables of an engine's command: it sees its own modules and no others."""
    kept = {key: value for key, value in os.environ.items() if key not in ASTRAY}
    own = {"PYTHONPATH": str(source), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return kept | own | {"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}


def run(command: list[str], source: Path, output: Output, hear: Hear | None = None) -> int:
    """Run a command of the engine; returns its exit status, 130 where it was asked to end.

    hear: is told each line of its stdout (None: it goes to `output`). Its stderr is the terminal's, where there is no log. Raises
    EngineFault where it does not start.
    """
    hear = hear or output.line
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE if output.log else None, "stdin": subprocess.DEVNULL}
    try:
        process = subprocess.Popen(command, env=environment(source), text=True, encoding="utf-8", errors="replace", **pipes)
    except OSError as error:
        raise EngineFault(Fault(f"{command[0]} does not start: {error.strerror or error}.", "", "Name another with --engine.")) from error
    words = threading.Thread(target=_pass_on, args=(process.stderr, output.say), daemon=True) if output.log else None
    if words:
        words.start()
    try:
        _pass_on(process.stdout, hear)
        status = process.wait()
    except KeyboardInterrupt:
        _end(process, hear)
        status = 130
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if words:
            words.join(1.0)
    if status < 0 or status >= 0xC0000000:  # a signal; on Windows an exception's number
        name = f"signal {-status}" if status < 0 else f"exception {status:#x}"
        output.say(f"latte3d: {Path(command[0]).name} was ended by {name}. It may have run out of memory: close other programs.")
    return status if status >= 0 else 128 - status


def _pass_on(stream: TextIO, hear: Hear) -> None:
    for line in stream:
        hear(line.rstrip("\n"))


def _end(process: subprocess.Popen, hear: Hear) -> None:
    """Let a command end of itself, and hear it out; insist where that takes too long."""
    if sys.platform != "win32":  # where Ctrl-C and Ctrl-Break reach the command as well, and terminate() kills
        process.terminate()
    insist = threading.Timer(END_PATIENCE_S, process.kill)
    insist.start()
    try:
        with contextlib.suppress(ValueError, OSError):
            _pass_on(process.stdout, hear)
        process.wait()
    finally:
        insist.cancel()
