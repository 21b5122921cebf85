# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of single prompts on disk, and the word about how far the work is."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def row_file(path: Path | None) -> Iterator[Callable[[dict], None]]:
    """A function that writes one row, at once: what an interrupted run measured stays. The file is begun anew."""
    if path is None:
        yield lambda row: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "w", encoding="utf-8") as file:
            yield lambda row: print(json.dumps(row), file=file, flush=True)
    except OSError as error:  # the error of a full disk does not name the file
        if error.filename or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


class Progress:
    """Tells after each of `total` prompts: one JSON object a line on stdout, or a line of text on stderr."""

    def __init__(self, total: int, as_json: bool):
        self.total, self.as_json, self.done, self.begun = total, as_json, 0, time.monotonic()

    def __call__(self, text: str) -> None:
        self.done += 1
        left = (time.monotonic() - self.begun) / self.done * (self.total - self.done)
        if self.as_json:
            event = {"event": "progress", "stage": "evaluate", "done": self.done, "total": self.total, "eta_s": round(left, 1)}
            print(json.dumps(event), flush=True)
        print(f"{self.done}/{self.total} {text}", file=sys.stderr, flush=True)
