# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of this machine: which folder it is, how large it may get, and what goes into it. Pictures have a place without one, too."""

from pathlib import Path

import bpy

from . import machine
from .client.guide import Guide
from .client.job import EngineFault, Fault, Job, Result
from .history import History
from .scene import origin

MEGABYTE = 1 << 20
_history: History | None = None
_waiting: list[tuple[Job, Result]] = []  # results whose pictures are still to come


def history() -> History | None:
    """The history; None where the add-on has no folder of its own, or the preferences want none."""
    global _history
    if _history is None and limit() and (folder := machine.user_folder("history")):
        _history = History(folder)
    return _history if limit() else None


def shown() -> History | None:
    """The same for draw(), which opens nothing: None until the timer has."""
    return _history if limit() else None


def limit() -> int:
    """How many bytes it may take."""
    chosen = machine.get()
    return chosen.history_mb * MEGABYTE if chosen else 0


def take(job: Job, result: Result) -> None:
    """Keep a result as soon as its picture is there, or will not come. A mesh that was painted is no object of the history, which places
    whole objects again: it is the artist's own, with faces, modifiers and materials that no answer of the engine has."""
    if not (result.place and result.place.paints):
        _waiting.append((job, result))


def remember() -> None:
    """Give to the history what is complete."""
    for job, result in list(_waiting):
        if not result.picture and not job.over:
            continue
        _waiting.remove((job, result))
        if log := history():
            log.add(result, limit())
        elif result.picture:
            picture_of(result.key).write_bytes(result.picture)


def picture_of(key: str) -> Path:
    """Where the picture of an object lies, or will."""
    log = shown()
    return log.picture(key) if log else Path(bpy.app.tempdir) / f"latte3d-{key}.png"


def guide_of(item: bpy.types.Object) -> Guide | None:
    """What shaped an object beside its prompt; None where nothing did. Raises EngineFault where that is no longer known."""
    found = origin.of(item)
    if not (found.cloud or found.planes):
        return Guide(blend=found.blend) if found.blend else None
    log = history()
    if log and log.busy:  # it may be about to be written
        log.finish()
    result = log.result(str(item.data.get("latte3d_key", ""))) if log else None
    if result is None or result.guide is None or bool(result.guide.planes) != bool(found.planes):
        lost = "The planes that it was refined to are" if found.planes else "The shape that it started from is"
        remedy = "Use Refine on a new object of its prompt." if found.planes else "Use Restyle again."
        raise EngineFault(Fault(f"{lost} no longer in the history.", "", remedy, "bad_request"))
    return result.guide


def bound() -> None:
    """The limit has changed: the oldest make room."""
    if _history:
        _history.bound(limit())


def busy() -> bool:
    """Whether something is still being written."""
    return _history is not None and _history.busy


def changes() -> tuple:
    """Changes whenever what the panel shows of the history does."""
    return (_history.changes, _history.fault) if _history else (0, "")


def close() -> None:
    """Finish what is being written."""
    global _history
    remember()
    _waiting.clear()
    if _history:
        _history.close()
    _history = None
