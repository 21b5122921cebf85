# SPDX-License-Identifier: GPL-3.0-or-later
"""Every object that was made, kept on this machine beyond the file and Blender: placed again without the engine. No bpy.

A folder: for each object its message as the engine sent it, a small picture, and one index of what can be said about them. Writing is
done by a thread of its own, so that no click waits for a disk. Several Blenders may share the folder.
"""

import contextlib
import json
import os
import re
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .client.job import Result
from .naming import american
from .populate.job import SUFFIX, Job

INDEX = "index.json"


@dataclass(frozen=True)
class Entry:
    """One object. made: seconds since 1970. size: bytes on the disk, picture included. shaped: "", "style", "blend", "shape" or
    "refined"."""

    key: str
    prompt: str
    seed: int
    model: str
    detail: str
    height_m: float
    triangles: int
    made: float
    size: int
    shaped: str = ""

    @staticmethod
    def of(key: str, about: dict, head: dict, size: int, made: float) -> "Entry":
        """about: what the object's file says (populate.job.Job.keep); head: which arrays it holds."""
        blend, triangles = about.get("guide", {}).get("blend"), head["triangles"]["shape"][0]
        shaped = "shape" if "cloud" in head else "blend" if blend else "style" if about["style"] else ""
        shaped = "refined" if "geometry" in head else shaped
        fields, detail = about["fields"], str(about["settings"].get("detail", ""))
        height, model = float(fields["height_m"]), str(fields["model"])
        return Entry(key, str(about["prompt"]), int(about["seed"]), model, detail, height, triangles, made, size, shaped)

    def matches(self, words: list[str]) -> bool:
        """Whether every word is part of its prompt, its model or its seed, in British or American spelling."""
        text = f"{self.prompt} {self.model} {self.seed}".casefold()
        return all(word in text or american(word) in american(text) for word in words)


class History:
    """What a folder holds, newest first. fault: why the last object could not be kept."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.entries: tuple[Entry, ...] = ()
        self.fault = ""
        self.changes = 0  # counts them, so that a panel sees that there was one
        self._seen = 0  # the index as it was read or written last: its time of change
        self._lock, self._count = threading.RLock(), threading.Lock()
        self._thread = ThreadPoolExecutor(1, "LATTE3D history")
        self._left = 0  # objects that the thread still has to write
        self.refresh()

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(entry.size for entry in self.entries)

    @property
    def busy(self) -> bool:
        """Whether something is still being written."""
        return self._left > 0

    def find(self, text: str) -> list[Entry]:
        """Those whose prompt, model or seed have all words of a text in them, newest first."""
        words = text.casefold().split()
        return [entry for entry in self.entries if entry.matches(words)]

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def picture(self, key: str) -> Path:
        """Where the picture of an object lies; it need not be there."""
        return self.folder / f"{key}.png"

    def result(self, key: str) -> Result | None:
        """An object to be placed again; None where it is gone or damaged: then it is forgotten."""
        made = Job(self.folder).read(_Named(key))
        if made is None:
            self.delete(key)
        else:
            picture = self.picture(key)
            made.picture = picture.read_bytes() if picture.is_file() else b""
        return made

    def add(self, result: Result, limit: int) -> None:
        """Keep an object, soon; the oldest make room where all together are larger than `limit` bytes."""
        with self._count:
            self._left += 1
        self._thread.submit(self._add, result, limit)

    def bound(self, limit: int) -> None:
        """Let the oldest make room, soon."""
        self._thread.submit(self.trim, limit)

    def _add(self, result: Result, limit: int) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            named = _Named(result.key)
            Job(self.folder).keep(named, result)
            if result.picture:
                _replace(self.picture(result.key), result.picture)
            entry = self._look_at(named.key, time.time())
            with self._lock:
                self.refresh()
                self._write([entry, *(one for one in self.entries if one.key != entry.key)])
                self.fault = ""
            self.trim(limit)
        except (OSError, KeyError, TypeError, ValueError) as error:
            self.fault, self.changes = f"The last object is not in the history: {error}", self.changes + 1
        finally:
            with self._count:
                self._left -= 1

    def delete(self, *keys: str) -> None:
        """Remove objects from the disk. What is in the scene stays."""
        with self._lock:
            self.refresh()
            for key in keys:
                for path in (self.folder / f"{key}{SUFFIX}", self.picture(key)):
                    with contextlib.suppress(OSError):  # somebody else has it open, or has removed it
                        path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._write([one for one in self.entries if one.key not in keys])

    def trim(self, limit: int) -> None:
        """Remove the oldest until all together are no larger than `limit` bytes."""
        with self._lock:
            left, gone = self.size, []
            for entry in reversed(self.entries):
                if left <= limit:
                    break
                gone.append(entry.key)
                left -= entry.size
            if gone:
                self.delete(*gone)

    def refresh(self) -> None:
        """Read the index where another Blender has changed it; what has no file is not in it, what is not in it is looked at."""
        index = self.folder / INDEX
        with self._lock:
            try:
                changed = index.stat().st_mtime_ns
                if changed == self._seen:
                    return
                listed = json.loads(index.read_text(encoding="utf-8"))["entries"]
                known = {entry.key: entry for entry in map(_entry, listed) if entry}
            except (OSError, ValueError, KeyError, TypeError):
                changed, known = 0, {}
            try:
                keys = [path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}")]
            except OSError:
                keys = []
            found = [known[key] if key in known else self._look_at(key) for key in keys]
            self.entries = tuple(sorted(filter(None, found), key=lambda entry: -entry.made))
            self._seen, self.changes = changed, self.changes + 1

    def _look_at(self, key: str, made: float = 0.0) -> Entry | None:
        """The entry of an object by the head of its file, which has to be whole; None where there is no such."""
        path = self.folder / f"{key}{SUFFIX}"
        if not re.fullmatch(r"[0-9a-f]{40}", key) or not Job(self.folder).has(_Named(key)):
            return None
        try:
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                head = json.loads(file.read(length))
            size = sum(file.stat().st_size for file in (path, self.picture(key)) if file.exists())
            return Entry.of(key, json.loads(head["__metadata__"]["rpc"]), head, size, made or path.stat().st_mtime)
        except (OSError, KeyError, TypeError, ValueError, IndexError, AttributeError):
            return None

    def _write(self, entries: list[Entry]) -> None:
        text = json.dumps({"entries": [asdict(entry) for entry in entries]}, ensure_ascii=False)
        _replace(self.folder / INDEX, text.encode())
        self.entries, self.changes = tuple(entries), self.changes + 1
        self._seen = (self.folder / INDEX).stat().st_mtime_ns

    def finish(self) -> None:
        """Wait until all is written."""
        self._thread.submit(lambda: None).result()

    def close(self) -> None:
        """The same, and let the thread go."""
        self._thread.shutdown()


@dataclass(frozen=True)
class _Named:
    """An object of a job's folder, by its key alone."""

    key: str


def _entry(listed: dict) -> Entry | None:
    """An entry of the index; None where somebody has changed it to something else."""
    kinds = {"key": str, "prompt": str, "model": str, "detail": str, "shaped": str, "seed": int, "triangles": int, "size": int}
    try:
        made = Entry(**{one.name: listed[one.name] for one in fields(Entry)})
    except (KeyError, TypeError):
        return None
    numbers = all(type(getattr(made, name)) in (int, float) for name in ("made", "height_m"))
    return made if numbers and all(type(getattr(made, name)) is kind for name, kind in kinds.items()) else None


def _replace(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
