# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes that answer one JSON line with one JSON line, are restarted after some requests, and may crash or hang."""

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import BadRequest

RESTART = 40  # requests: memory grows asset by asset in any such program
START_S, END_S = 180.0, 5.0


class Worker:
    """One such process, started when it is first asked."""

    def __init__(self, name: str, command: list[str], log: BinaryIO, environment: dict[str, str] | None = None, restart: int = RESTART):
        self.name, self.command, self.log, self.environment, self.restart = name, command, log, environment, restart
        self.process: subprocess.Popen | None = None
        self.asked, self.stopped = 0, False

    def stop(self) -> None:
        """From another thread: kill the process, and each that would come after it, so that who asks it gets an answer at once."""
        self.stopped = True
        if process := self.process:
            process.kill()

    def ask(self, request: dict, timeout_s: float) -> dict:
        """The answer; {"ok": False, "reason", "transient": True} when the process died or took too long: the next one gets a new one."""
        if self.process is None and not self._start():
            reason = f"{self.name} ({self.command[0]}) does not start; .prepared/prepare.log says why."
            return {"ok": False, "fatal": True, "reason": reason}
        self.asked += 1
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer = self._read(timeout_s)
        except (OSError, queue.Empty) as error:
            answer = None if isinstance(error, OSError) else {"late": True}
        if answer is None or "late" in answer:
            status = self.end(kill=True)
            late = f"It took longer than {timeout_s:.0f} seconds."
            return {"ok": False, "transient": True, "reason": late if answer else f"{self.name} crashed on it ({_status(status)})."}
        if self.asked >= self.restart:
            self.end()
        return answer

    def _start(self) -> bool:
        self.asked, flags = 0, getattr(subprocess, "CREATE_NO_WINDOW", 0)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log}
        try:
            self.process = subprocess.Popen(self.command, **pipes, env=self.environment, creationflags=flags)
        except OSError as error:
            self.log.write(f"{error}\n".encode())
            return False
        if self.stopped:  # while it was being started
            self.process.kill()
        self._lines: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(self.process.stdout, self._lines), daemon=True).start()
        try:
            started = self._read(START_S) is not None
        except queue.Empty:
            started = False
        if not started:
            self.end(kill=True)
        return started

    def _read(self, timeout_s: float) -> dict | None:
        """The next line that is an answer; None at the end. What a program prints besides is passed over. Raises queue.Empty."""
        while (line := self._lines.get(timeout=timeout_s)) is not None:
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict) and ("ok" in answer or "ready" in answer):
                    return answer
        return None

    def end(self, *, kill: bool = False) -> int:
        """Close its input, or kill it. Returns its exit status."""
        process, self.process = self.process, None
        if process is None:
            return 0
        with contextlib.suppress(OSError):
            process.stdin.close()
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)  # it may have died by itself: its own status says more
        if process.poll() is None:
            process.kill()
        return process.wait()


def _pump(stream: BinaryIO, lines: queue.SimpleQueue) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep a second preparation out of the same folder. Raises BadRequest."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+b") as file:
        try:
            if os.name == "nt":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadRequest("This library is being prepared by another process.", str(folder), "Wait until it has ended.") from error
        yield
