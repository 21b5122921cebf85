# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program asks of the terminal it runs in: output that cannot break the work, one way to be stopped. Standard library alone."""

import contextlib
import errno
import io
import os
import signal
import sys
import threading
from typing import TextIO


def prepare() -> None:
    """Make this process's streams safe and let every request to end be a KeyboardInterrupt; for the first lines of a program."""
    open_streams()
    sys.stdout = steady(1, sys.stdout)
    sys.stderr = steady(2, sys.stderr)
    end_on_signals()


def open_streams() -> None:
    """Open the streams that the caller closed, to nowhere: else the next file that is opened takes their number, and the output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def steady(number: int, before: TextIO | None) -> TextIO:
    """Text to a file descriptor in the encoding that `before` had, where nothing is lost but what nobody reads.

    A sign that the encoding does not have is written as its code (\\u2026), and a pipe that has ended swallows the rest.
    """
    if sys.platform == "win32" and os.isatty(number):
        return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # the console knows every sign
    encoding = getattr(before, "encoding", None) or "utf-8"
    raw = io.BufferedWriter(SteadyFile(number, "wb", closefd=False))
    return io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=True)


class SteadyFile(io.FileIO):
    """A file whose reader may go away. A disk that is full is an error once; what is still in buffers then goes nowhere, silently."""

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno != (errno.EINVAL if sys.platform == "win32" else errno.EPIPE):  # what each says of a pipe that has ended
                raise
            return len(data)


def end_on_signals() -> None:
    """Let Ctrl-C, SIGTERM, a closed terminal and Ctrl-Break raise KeyboardInterrupt (with the signal's number), once.

    A signal that the caller ignores (nohup) stays ignored. What comes later is ignored, so that nothing interrupts the tidying up.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [number for name in names if (number := getattr(signal, name, None)) and signal.getsignal(number) is not signal.SIG_IGN]

    def stop(number: int, _: object) -> None:
        for other in numbers:
            signal.signal(other, lambda *_: None)  # not SIG_IGN, which children would inherit
        raise KeyboardInterrupt(number)

    for number in numbers:
        signal.signal(number, stop)
