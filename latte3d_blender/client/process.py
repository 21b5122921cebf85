# SPDX-License-Identifier: GPL-3.0-or-later
"""A running engine: its process, and a pipe in and a pipe out with a daemon thread each; knows nothing of bpy nor of jobs."""

import contextlib
import os
import queue
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import protocol

ASTRAY = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONPLATLIBDIR", "PYTHONINSPECT")  # would lead another Python astray
WAITING_MESSAGES = 64  # that nobody has asked for yet; then the pipe fills, and the engine waits: memory stays small
PORTION = 1 << 14  # bytes written at a time: a write waits until the pipe has taken all of them, and a slow line shows that it moves
END_PATIENCE_S = 2.0  # after it was told to end, before it is killed


@dataclass(frozen=True)
class Launch:
    """What it takes to start an engine: its Python, the folder that contains `core/`, a model in place of those that come with it (None:
    these), a device, a log file, and folders in which more models are looked for."""

    python: Path
    source: Path
    model: Path | None
    device: str
    log: Path
    models: tuple[Path, ...] = ()
    remote: tuple[str, ...] = ()  # a command that starts an engine elsewhere, such as ssh box …, in place of all this but the log

    @property
    def command(self) -> list[str]:
        if self.remote:
            return list(self.remote)
        alone = ["--model", str(self.model)] if self.model else []
        more = [part for folder in self.models for part in ("--models", str(folder))]
        return [str(self.python), "-m", "core.service.worker", *alone, *more, "--device", self.device]


class Process:
    """A running engine: a pipe in and a pipe out, with a thread each: one writes messages, the other turns what comes into queue entries.

    Entries: ("message", rpc, arrays, seconds on the wire), ("text", what came before the handshake), ("end", reason).
    """

    def __init__(self, launch: Launch):
        environment = {key: value for key, value in os.environ.items() if key not in ASTRAY}
        environment |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        environment |= {"PYTHONPATH": str(launch.source), "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}  # its own modules and no others
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with open(launch.log, "wb") as log:
            self.popen = subprocess.Popen(
                launch.command,
                cwd=launch.source,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self.entries: queue.Queue = queue.Queue(WAITING_MESSAGES)
        self.unwanted = False  # nobody asks for entries any more
        self.ended = False
        self.told_to_end = 0.0
        self.moved = 0.0  # when the pipe in took something last
        self.unsent: queue.SimpleQueue = queue.SimpleQueue()  # messages; None: no more will come
        for name, work in (("reader", self._read), ("writer", self._write)):
            threading.Thread(target=work, name=f"LATTE3D engine {name}", daemon=True).start()

    def _read(self) -> None:
        """The reader thread: touches the pipe and the queue, nothing else. Whatever happens, its last entry is the end."""
        reason = ""
        try:
            text, start = protocol.skip_text(self.popen.stdout)
            if text.strip():
                self._put(("text", text.decode(errors="replace").strip()))
            while start or (start := self.popen.stdout.read(1)):
                begun = time.perf_counter()
                rpc, arrays = protocol.read(self.popen.stdout, start)
                self._put(("message", rpc, arrays, time.perf_counter() - begun))
                start = b""
        except Exception as error:  # without its last entry Blender would wait for ever
            reason = str(error)
        self._put(("end", reason))
        self.ended = True

    def _put(self, entry: tuple) -> None:
        while not self.unwanted:
            with contextlib.suppress(queue.Full):
                return self.entries.put(entry, timeout=0.5)

    def _write(self) -> None:
        """The writer thread: nobody else touches the pipe in, which is full where the engine does not read. The reader thread reports an
        engine that is gone."""
        with contextlib.suppress(OSError), self.popen.stdin as pipe:
            while (message := self.unsent.get()) is not None:
                left = memoryview(message)
                while left:
                    left = left[os.write(pipe.fileno(), left[:PORTION]) :]
                    self.moved = time.perf_counter()

    def send(self, rpc: dict, arrays: dict | None = None) -> None:
        """Write one message, soon. Raises ProtocolError where it is too large."""
        self.unsent.put(protocol.encode(rpc, arrays))

    def end(self, patience_s: float = 0.0) -> None:
        """Tell the process to end, wait up to `patience_s` for that, then kill it."""
        self.unwanted = True
        self.unsent.put(None)
        if self.popen.poll() is None:
            self.popen.terminate()
            self.told_to_end = self.told_to_end or time.perf_counter()
            try:
                self.popen.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):  # a process stuck in a driver must not freeze Blender
                    self.popen.wait(END_PATIENCE_S)


def log_tail(path: Path, lines: int = 6) -> str:
    """Return the last lines of a log file, or nothing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-lines:])
    except OSError:
        return ""
