# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one long command beside Blender and after it: started as a script by long_job.py, on the standard library alone.

    python supervisor.py FOLDER

It holds the folder's lock as long as the command runs, sends its output to files there, ends it where somebody asks for that, and writes
down how it ended. What the files are: see the names below.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

JOB, PIDS, STATUS, STOP, LOCK = "job.json", "job.pid", "job.status", "job.stop", "job.lock"
EVENTS, LOG = "job.jsonl", "job.log"  # the command's stdout and stderr
LOOK_AGAIN_S = 0.1
LOCK_PATIENCE_S = 2.0  # a look at whether it is held holds it for a moment
NOT_STARTED = 127
PATIENCE_S = 120.0  # after a gentle end was asked for: a checkpoint is written, on a machine that may have other work


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the folder's lock; gives its file descriptor. Raises OSError where another process holds it."""
    with open(folder / LOCK, "a+b") as file:
        end = time.monotonic() + LOCK_PATIENCE_S
        while not take(file.fileno()):
            if time.monotonic() > end:
                raise OSError(f"{folder / LOCK} is held by another process")
            time.sleep(0.02)
        yield file.fileno()


def take(number: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file at once, or not at all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(number, 0, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def held(folder: Path) -> bool:
    """Whether some process holds the folder's lock: no process of a machine that was started anew does."""
    try:
        with open(folder / LOCK, "r+b") as file:
            return not take(file.fileno(), shared=True)
    except FileNotFoundError:
        return False


def write(path: Path, value: object) -> None:
    """A small JSON file, whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    os.replace(partial, path)


def read(path: Path) -> object:
    """What such a file holds; None where it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def end_hard(pid: int) -> None:
    """Kill a command, which leads its own group, and all that it has started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, creationflags=hidden)
        else:
            os.killpg(pid, signal.SIGKILL)


def end_gently(process: subprocess.Popen) -> None:
    """Ask a command to end."""
    with contextlib.suppress(OSError):
        process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGTERM)


def supervise(folder: Path) -> int:
    """Run the command that the folder names; returns its exit status, or 128 and the signal's number."""
    asked: list[int] = []  # signals that came for this process
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, lambda number, _: asked.append(number))
    with locked(folder) as lock, open(folder / EVENTS, "ab") as out, open(folder / LOG, "ab") as log:
        if sys.platform == "win32":  # a group of its own, to which Ctrl-Break can be sent
            own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        else:  # it holds the lock, too: should this process be killed
            own = {"start_new_session": True, "pass_fds": (lock,)}
        try:
            process = subprocess.Popen(read(folder / JOB)["command"], stdin=subprocess.DEVNULL, stdout=out, stderr=log, **own)
        except OSError as error:
            log.write(f"{error}\n".encode())
            status = NOT_STARTED
        else:
            write(folder / PIDS, {"supervisor": os.getpid(), "command": process.pid})
            status = watch(process, folder, asked)
        write(folder / STATUS, status)
    return status


def watch(process: subprocess.Popen, folder: Path, asked: list[int]) -> int:
    """Wait until a command has ended. Asked to end it: gently, and hard when its patience is over."""
    deadline = 0.0
    while (status := process.poll()) is None:
        stop = read(folder / STOP) if (folder / STOP).exists() else {"patience_s": PATIENCE_S} if asked else None
        if stop and not deadline:
            deadline = time.monotonic() + stop["patience_s"]
            end_gently(process)
        elif deadline and time.monotonic() > deadline:
            end_hard(process.pid)
        time.sleep(LOOK_AGAIN_S)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
