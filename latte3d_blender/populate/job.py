# SPDX-License-Identifier: GPL-3.0-or-later
"""Making what a recipe lacks: each distinct object once, kept on the disk as soon as it is there, so that nothing is made twice. No bpy.

A job is a folder: one file for each finished object (the very message that the engine sent) and `job.json`, which lists what failed.
Whatever ends this program, the next one finds what is finished. Several machines may fill one folder, each with its own shard.
"""

import contextlib
import hashlib
import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..client import batch, protocol
from ..client.engine import Engine, Launch
from ..client.guide import PLANES, Guide
from ..client.job import EngineFault, Fault, Result
from ..files import WriteError

SUFFIX = ".latte3d"
RECIPE = "recipe.json"  # what the job is for, where somebody wants to know that later


@dataclass(frozen=True)
class Want:
    """One distinct object: what tells it from all others. model "": the one that knows the prompt best."""

    prompt: str
    seed: int
    model: str
    quality: str

    @property
    def key(self) -> str:
        text = json.dumps([self.prompt, self.seed, self.model, self.quality], ensure_ascii=False)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Progress:
    """How far a job is: objects done (made or failed) and asked for, and about how many seconds are left."""

    done: int
    total: int
    left_s: float | None


class Job:
    """The folder of a job. Raises OSError where nothing can be written there."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.failed: dict[Want, str] = {}

    def path(self, want: Want) -> Path:
        return self.folder / f"{want.key}{SUFFIX}"

    def has(self, want: Want) -> bool:
        """Whether an object is there, to the end of its file: a power cut may leave a part of one."""
        try:
            with open(self.path(want), "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
                ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
                return os.fstat(file.fileno()).st_size == 8 + length + max(ends, default=0)
        except (OSError, ValueError, KeyError, TypeError, struct.error, MemoryError, OverflowError):
            return False

    def keep(self, want: Want, result: Result) -> None:
        """Write a finished object: whole or not at all. Raises WriteError."""
        about = {"prompt": result.prompt, "seed": result.seed, "settings": result.settings, "fields": result.fields, "style": result.style}
        guide = result.guide or Guide()
        about |= {"guide": guide.params} if result.guide else {}
        partial = self.path(want).with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_bytes(protocol.encode(about, result.arrays | guide.arrays))
            os.replace(partial, self.path(want))
        except OSError as error:
            raise WriteError(self.folder, error.strerror or str(error)) from error
        finally:
            partial.unlink(missing_ok=True)

    def read(self, want: Want) -> Result | None:
        """A finished object; None where there is none, or where its file is damaged (which is then removed)."""
        try:
            with open(self.path(want), "rb") as file:
                about, arrays = protocol.read(file)
            guide = Guide.of(about.get("guide", {}), {name: arrays.pop(name) for name in ("cloud", *PLANES) if name in arrays})
            return Result(about["prompt"], about["seed"], about["settings"], about["fields"], arrays, about["style"], guide=guide)
        except FileNotFoundError:
            return None
        except (protocol.ProtocolError, KeyError, TypeError):
            self.path(want).unlink(missing_ok=True)
            return None

    def drop(self, want: Want, reason: str) -> None:
        """Forget a message that makes no object: it is listed as failed, and made again by the next run."""
        self.path(want).unlink(missing_ok=True)
        self.failed[want] = reason

    def write_state(self, wants: list[Want]) -> None:
        """Write job.json, for people and for the next run."""
        state = {
            "made": sum(map(self.has, wants)),
            "wanted": len(wants),
            "failed": [{"prompt": one.prompt, "seed": one.seed, "reason": reason} for one, reason in self.failed.items()],
        }
        with files.written(self.folder / "job.json") as partial:
            partial.write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder with all that it holds: what is in the scene is saved elsewhere now."""
        for path in [*self.folder.glob(f"*{SUFFIX}"), *(self.folder / name for name in ("job.json", RECIPE, "engine.log"))]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody keeps other files there
            self.folder.rmdir()


def shard(wants: list[Want], part: tuple[int, int] | None) -> list[Want]:
    """The i-th of n parts of what is wanted, i from 1: together they are all, and no two share anything."""
    return wants if part is None else wants[part[0] - 1 :: part[1]]


def make(
    job: Job,
    wants: list[Want],
    launch: Callable[[], Launch],
    say: batch.Say,
    facts: dict,
    *,
    strict: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    shared: Engine | None = None,
) -> Iterator[tuple[Want, Fault | None] | None]:
    """Make what the job's folder lacks; yield each object as soon as it is kept, or the reason why it is not.

    `launch()` starts no engine yet; it is asked for only when something is to be made. What fails, fails alone. Raises OSError when the
    disk is full: what is finished stays. `shared`: as in batch.make, with None wherever one would wait.
    """
    missing = [want for want in wants if not job.has(want)]
    begun, done = time.monotonic(), len(wants) - len(missing)
    first = done
    progress(Progress(done, len(wants), None))
    for settings, group in grouped(missing):
        try:
            wishes = {batch.Wish(want.prompt, want.seed): want for want in group}
            outcomes = batch.make(launch(), list(wishes), settings, say, facts, strict=strict, shared=shared)
            for answer in outcomes:
                if answer is None:
                    yield None
                    continue
                wish, outcome = answer
                want, fault = wishes.pop(wish), outcome if isinstance(outcome, Fault) else None
                if fault:
                    job.failed[want] = str(fault)
                else:
                    job.keep(want, outcome)
                done += 1
                left = (time.monotonic() - begun) / (done - first) * (len(wants) - done)
                progress(Progress(done, len(wants), left))
                yield want, fault
                if cancelled():
                    outcomes.close()  # ends the engine
                    return
            if wishes:  # somebody has stopped the engine
                return
        except EngineFault as error:  # there is no engine to ask
            for want in group:
                job.failed[want] = str(error)
                yield want, error.fault


def grouped(wants: list[Want]) -> list[tuple[dict, list[Want]]]:
    """What is wanted by what a request says for all of its prompts: settings, and those who share them."""
    groups: dict[tuple, list[Want]] = {}
    for want in wants:
        groups.setdefault((want.model, want.quality), []).append(want)
    return [({"detail": quality, **({"model": model} if model else {})}, group) for (model, quality), group in groups.items()]
