# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work (prepare, train) in a process of its own that goes on after Blender: started, found again, read and ended. Without bpy.

A job has a folder of its own, in which supervisor.py keeps what is to be known of it. The command writes one JSON object a line
(`--json`), and ends gently when it is asked to.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from . import supervisor
from .job import EngineFault, Fault
from .supervisor import EVENTS, JOB, LOG, PATIENCE_S, PIDS, STATUS, STOP

START_PATIENCE_S = 10.0


class LongJob:
    """One command, whoever has started it. `poll` reads what it has said; `running`, `status` and `text` tell how it stands."""

    def __init__(self, folder: Path):
        """For a folder that holds a job already: see `start` and `attach`."""
        self.folder, self.log = folder, folder / LOG
        said = supervisor.read(folder / JOB)
        about = said if isinstance(said, dict) else {}
        self.command: list[str] = about.get("command", [])
        self.started: float = about.get("started", 0.0)  # seconds since 1970
        self._popen: subprocess.Popen | None = None
        self._read, self._rest = 0, b""  # bytes read, and the begin of a line whose end has not come yet
        self._insist = 0.0

    @classmethod
    def start(cls, command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> "LongJob":
        """Start a command in `folder`, which is made; what an earlier one has said there goes. environment: all its variables (None:
        this process's). Raises EngineFault where one runs there, or nothing can be written or started."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if supervisor.held(folder):
                raise EngineFault(Fault("This is running already.", str(folder), "Wait until it has ended, or stop it.", "busy"))
            for name in (PIDS, STATUS, STOP):
                (folder / name).unlink(missing_ok=True)
            for name in (EVENTS, LOG):
                (folder / name).write_bytes(b"")
            supervisor.write(folder / JOB, {"command": [str(part) for part in command], "started": time.time()})
            job = cls(folder)
            job._popen = _detached([sys.executable, "-I", supervisor.__file__, str(folder.resolve())], environment)
        except OSError as error:
            cause = f"{error.filename or folder}: {error.strerror or error}."
            raise EngineFault(Fault("The work cannot be started.", cause, "Free some space, or choose another folder.")) from error
        threading.Thread(target=job._popen.wait, name="LATTE3D long job", daemon=True).start()  # no zombie while Blender lives
        end = time.monotonic() + START_PATIENCE_S
        while job._popen.poll() is None and not (folder / PIDS).exists() and time.monotonic() < end:
            time.sleep(0.01)
        return job

    @classmethod
    def attach(cls, folder: Path) -> "LongJob | None":
        """The job that was started in a folder, by an earlier Blender too, running or over; None where there was none. Its `poll` begins
        with the first event."""
        job = cls(folder)
        return job if job.command else None

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return (self._popen is not None and self._popen.poll() is None) or supervisor.held(self.folder)

    @property
    def status(self) -> int | None:
        """How it ended: its exit status, or 128 and a signal's number. None while it runs, and where it was ended with the machine."""
        status = supervisor.read(self.folder / STATUS)
        return status if isinstance(status, int) else None

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked it to end."""
        return (self.folder / STOP).exists()

    def poll(self) -> list[dict]:
        """The events that have come since the last call."""
        if self._insist and time.monotonic() > self._insist and self.running:
            self._kill()
        try:
            with open(self.folder / EVENTS, "rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return []
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        events = []
        for line in lines:
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return [event for event in events if isinstance(event, dict)]

    def cancel(self, patience_s: float = PATIENCE_S) -> None:
        """Ask it to end, as Ctrl-C does; after `patience_s` it is killed, with all that it has started, by its supervisor."""
        if self.running and not self.cancelled:
            supervisor.write(self.folder / STOP, {"patience_s": patience_s})
            self._insist = time.monotonic() + patience_s + 5.0  # should the supervisor be gone

    def _kill(self) -> None:
        """Without a supervisor; the lock that is held says that the number is still the command's."""
        pids = supervisor.read(self.folder / PIDS)
        if isinstance(pids, dict) and isinstance(pids.get("command"), int):
            supervisor.end_hard(pids["command"])


def _detached(command: list[str], environment: Mapping[str, str] | None) -> subprocess.Popen:
    """A process that no end of this one reaches: not its terminal's, not its window's, not that of its job on Windows."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    own = {"env": None if environment is None else dict(environment)}
    if sys.platform != "win32":
        return subprocess.Popen(command, **pipes, **own, start_new_session=True)
    # no window, and yet a console: without one (DETACHED_PROCESS) there would be no Ctrl-Break to end its command gently
    flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        return subprocess.Popen(command, **pipes, **own, creationflags=flags | subprocess.CREATE_BREAKAWAY_FROM_JOB)
    except OSError:  # a job that lets nothing go, or none
        return subprocess.Popen(command, **pipes, **own, creationflags=flags)
