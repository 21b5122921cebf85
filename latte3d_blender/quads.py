# SPDX-License-Identifier: GPL-3.0-or-later
"""Quad remesh: a second Blender turns an object's triangles into quads, the engine paints them as it painted the object.

The session's timer places what comes of it; a timer of this file's own waits for that Blender.
"""

import atexit
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np
from bpy.app.handlers import persistent

from . import kept, session
from .client.guide import Guide
from .client.job import EngineFault, Fault, Result
from .client.process import log_tail
from .library_session import environment
from .scene import mesh_data, origin, painting, placing
from .timer import Timer

SIZES = ("detail", "resolution", "texture_size", "triangles")
LOOK_S = 0.2


@dataclass
class Run:
    """A remeshing that is going on: its process, the folder of its files, the object (its session_uid), where it stands."""

    process: subprocess.Popen
    folder: Path
    item: int
    place: session.Place
    before: str  # the object's mesh, as painting.state says it


RUN: Run | None = None


def reason(item: bpy.types.Object | None) -> str:
    """Why an object cannot be remeshed; nothing where it can."""
    if why := painting.reason(item):
        return why
    if not (origin.of(item) or painting.about(item)):
        return "Its texture is not from here: it could not be painted again"
    return painting.lost(item) or ("Quads are being made" if RUN else "")


def begin(scene: bpy.types.Scene, item: bpy.types.Object, faces: int) -> None:
    """Start making about so many quads of an object. Raises EngineFault where that cannot begin."""
    global RUN
    program, mesh, folder = Path(painting.__file__).with_name("quad_program.py"), item.data, None
    corners, starts = mesh_data.corners_of(mesh)
    blender = [bpy.app.binary_path, "--background", "--factory-startup", "--python", str(program), "--"]
    command = blender if bpy.app.binary_path else [sys.executable, str(program), "--"]
    try:
        folder = Path(tempfile.mkdtemp(prefix="latte3d-quads-"))
        np.savez(folder / "in.npz", vertices=mesh_data.places_of(mesh), corners=corners, starts=starts)
        with open(folder / "log.txt", "wb") as log:
            process = subprocess.Popen(
                [*command, str(folder / "in.npz"), str(folder / "out.npz"), str(faces)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(), creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )  # fmt: skip
    except OSError as error:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise EngineFault(Fault("Quads cannot be begun.", f"{error}.", "Free some space and memory.")) from error
    RUN = Run(process, folder, item.session_uid, session.at_cursor(scene), painting.state(mesh))
    session.SESSION.fault = None
    TIMER.wake(LOOK_S)
    session.redraw()


def end() -> None:
    """Stop it, and remove its files."""
    global RUN
    run, RUN = RUN, None
    if run:
        if run.process.poll() is None:
            run.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.process.wait(5)
        shutil.rmtree(run.folder, ignore_errors=True)
        session.redraw()


def _failed(fault: Fault) -> None:
    end()
    session.SESSION.fault = fault
    session.wake()


def _look() -> float | None:
    if RUN is None or RUN.process.poll() is None:
        return LOOK_S if RUN else None
    try:
        paint()
    except EngineFault as error:
        session.SESSION.fault = error.fault
    session.wake()
    return None


TIMER = Timer(__name__, lambda: _look(), _failed)


def run_now() -> list[Result]:
    """Wait for the quads and for their look without timers, as in background mode. Raises EngineFault where nothing comes of it."""
    while RUN.process.poll() is None:
        time.sleep(0.05)
    return session.run_now(paint())


def paint():
    """The quads are made: have them painted; returns the job. Raises EngineFault where there are none."""
    run = RUN
    try:
        with np.load(run.folder / "out.npz") as found:
            made = {name: found[name] for name in found.files}
        if "fault" in made:
            raise EngineFault(Fault("No quads could be made of it.", f"{made['fault']}.", "Remesh it by voxels first.", "bad_request"))
    except (OSError, ValueError, KeyError) as error:
        raise EngineFault(Fault("The second Blender made no quads.", f"{_why(run) or error}.", "Try fewer quads.")) from error
    finally:
        end()
    try:
        item = painting.unchanged(run.item, run.before)
    except ValueError as error:
        raise EngineFault(Fault(placing.QUADS[0], str(error), placing.QUADS[1], "bad_request")) from error
    look = painting.about(item) or _made_of(item)
    canvas, target = painting.read_remeshed(item, made, look.get("turn"))
    place = replace(run.place, paints=target)
    guide = replace(look["guide"] or Guide(), canvas=canvas, follow=look.get("turn") is not None)
    settings = {name: look["settings"].get(name) for name in SIZES} | {"model": look["model"] or None}
    settings["detail"] = settings["detail"] or "standard"
    styles = [look["style"]] if look["style"] else None
    seeds = [max(look["seed"], 0)]
    return session.submit(place, [look["prompt"]], seeds, settings, styles=styles, model=look["model"], guide=guide, aside=True)


def _why(run: Run) -> str:
    """The second Blender's reason, as far as it has said one."""
    lines = log_tail(run.folder / "log.txt", 20).splitlines()
    return next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "").rstrip(".")


def _made_of(item: bpy.types.Object) -> dict:
    """What an object's own look is made of. Raises EngineFault where the shape that it started from is no longer known."""
    found = origin.of(item)
    about = {name: getattr(found, name) for name in ("prompt", "seed", "style", "model", "settings")}
    return about | {"guide": kept.guide_of(item)}


@persistent
def _detach(*_) -> None:
    end()


def register() -> None:
    bpy.app.handlers.load_pre.append(_detach)
    atexit.register(end)


def unregister() -> None:
    end()
    atexit.unregister(end)
    bpy.app.handlers.load_pre.remove(_detach)
    TIMER.end()
