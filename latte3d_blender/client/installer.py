# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up as Blender sees it: `core/install.py` in a process of its own, which reports its progress in lines of JSON."""

import contextlib
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from .job import Fault
from .process import ASTRAY, log_tail

END_PATIENCE_S = 8.0  # the installer ends pip first


TRAINING = "train.txt"  # what training needs beyond generating


def finished(source: Path, folder: Path) -> bool:
    """Whether Set Up was finished in `folder`, with the versions that this add-on needs: an update may need others."""
    environment = _environment(source)
    have = environment.installed(folder)
    return all(have.get(name) == environment.fingerprint(name) for name in environment.ENGINE)


def lacks_training(source: Path, python: Path) -> Path | None:
    """The folder of the environment of `python`, where an installer of ours has made it and it lacks what training needs; else None."""
    environment, folder = _environment(source), python.parent.parent
    have = environment.installed(folder)
    return folder if have and have.get(TRAINING) != environment.fingerprint(TRAINING) else None


def _environment(source: Path):
    """core/environment.py: this program's Python runs it, without importing core."""
    spec = importlib.util.spec_from_file_location("latte3d_environment", source / "core" / "environment.py")
    environment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environment)
    return environment


class Pace:
    """How fast something goes: from bytes done to the time left."""

    def __init__(self):
        self._of: tuple = ()  # what is measured
        self._begun = self._first = 0.0

    def told(self, text: str, done: int, total: int, now: float) -> str:
        """ "120 of 380 MB · 40 s left"; the time after a second, when there is something to go by.

        `done`, `total`: bytes (total 0: unknown); `now`: seconds.
        """
        if not total:
            return f"{done / 1e6:.0f} MB" if done else ""
        if self._of != (text, total) or done < self._first:
            self._of, self._begun, self._first = (text, total), now, done
        amount = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        if now - self._begun < 1.0 or done <= self._first or done >= total:
            return amount
        left = (total - done) * (now - self._begun) / (done - self._first)
        return f"{amount} · " + (f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left")


class Setup:
    """One run of the installer. `poll` reads its progress; `over` tells that it ended, `fault` why it failed (None: it did not)."""

    def __init__(self, source: Path, folder: Path, log: Path, wheels: Path | None = None, *, plan: bool = False):
        """`folder`: where the environment goes. `plan`: only find out what it takes (`size`), install nothing."""
        self.text, self.factor, self.size, self.over = "Starting", 0.0, "", False
        self.cancelled = 0.0  # when
        self.fault: Fault | None = None
        self.log = log
        self._step, self._steps = 0, 1
        self.amount = ""  # megabytes and the time left, of what can be measured
        self._pace = Pace()
        command = [sys.executable, "-m", "core.install", "--target", str(folder), "--json-progress"]
        command += ["--wheels", str(wheels)] if wheels else []
        command += ["--plan"] if plan else []
        environment = {key: value for key, value in os.environ.items() if key not in ASTRAY}
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as file:
            self.popen = subprocess.Popen(
                command,
                env=environment | {"PYTHONPATH": str(source), "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                start_new_session=True,  # a group of its own, to be ended as one
            )
        self.lines: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._read, name="LATTE3D Set Up reader", daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self.popen.stdout:
                self.lines.put(line)
        finally:
            self.lines.put(None)

    def poll(self) -> None:
        """Work off the lines that have come; insist where the installer does not end as it was told."""
        if self.cancelled and time.monotonic() - self.cancelled > END_PATIENCE_S:
            self._kill()
        while not self.over:
            try:
                line = self.lines.get_nowait()
            except queue.Empty:
                return
            if line is None:
                self._ended()
                return
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self._take(event)

    @property
    def done(self) -> bool:
        """Whether the engine is set up now."""
        return self.over and not self.cancelled and not self.fault

    def _take(self, event: dict) -> None:
        kind, done, total = event.get("event"), event.get("done", 0), event.get("total", 0)
        if kind == "error":
            self.fault = Fault(event.get("message", ""), event.get("cause", ""), event.get("remedy", ""), "setup")
        elif kind == "plan":
            self.size = event.get("text", "")
        elif kind == "step":
            self.text, self.amount, self._step, self._steps = event.get("text", ""), "", done, max(total, 1)
            self.factor = self._step / self._steps
        elif kind == "progress":
            self.text = event.get("text") or self.text
            self.factor = (self._step + (done / total if total else 0.0)) / self._steps
            self.amount = self._pace.told(self.text, done, total, time.monotonic())

    def _ended(self) -> None:
        code = self.popen.wait()
        self.over = True
        if self.cancelled:
            self.fault = None
        elif code and not self.fault:
            said = log_tail(self.log, 1)
            self.fault = Fault("Setting up the engine failed.", f"The installer ended with status {code}. {said}".strip(), "", "setup")

    def cancel(self) -> None:
        """Tell the installer to end, and its pip with it; `poll` insists. What is finished stays, so the next run goes on from there."""
        if self.cancelled or self.popen.poll() is not None:
            return
        self.cancelled, self.text = time.monotonic(), "Stopping…"
        if sys.platform == "win32":  # where ending a process leaves its children
            hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(self.popen.pid)], capture_output=True, creationflags=hidden)
        else:
            self.popen.terminate()

    def end(self) -> None:
        """The same, and wait for it: for Blender's own end."""
        self.cancel()
        try:
            self.popen.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        """End what did not listen: the installer and what it started."""
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self.popen.kill()
            else:
                os.killpg(self.popen.pid, signal.SIGKILL)
