# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling the scene from the panel: what runs, what came of it, and what the recipe would make; driven by one timer.

As in session.py, only the timer and operators touch bpy's data; draw() reads STATE.
"""

import atexit
import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from . import library_session, session
from .client.engine import Launch
from .client.job import Fault
from .files import written
from .populate import assets, form, job, recipe, run, scatter
from .populate.work import Conversion, Result, Slices, Work
from .scene import placing
from .timer import Timer

SWEEP_S = 0.05  # between two looks for what was thrown away
QUIET_S = 0.4  # after the last change, before the recipe is looked at
PACE_S = {"draft": 0.25, "standard": 0.5, "high": 1.2, "full": 2.0}  # for one object, until one has been made here
MEGABYTES = {"draft": 3, "standard": 10, "high": 14, "full": 22}  # of one distinct object: mesh, simpler mesh, two images
POINT_BYTES = 500  # of one more instance of it
PRESETS = Path(__file__).resolve().parent / "populate" / "presets"


@dataclass(frozen=True)
class Figures:
    """What the panel's recipe would make, as far as one can know without looking at the ground."""

    objects: int = 0
    open: bool = False  # there are densities on ground that nobody has measured yet
    kinds: int = 0  # distinct objects of prompts
    missing: int = 0  # of them neither in the file nor in the job's folder
    kept: int = 0  # of them in the job's folder alone
    seconds: float = 0.0
    megabytes: float = 0.0


@dataclass
class State:
    """All that the panel shows beside the recipe."""

    work: Slices | None = None
    result: Result | None = None
    fault: Fault | None = None  # why something did not begin, or ended
    figures: Figures = field(default_factory=Figures)
    wrong: list[str] = field(default_factory=list)  # with the recipe
    lost: str = ""  # the recipe of a job that was not finished, where the scene has none
    hold: str = ""  # why what is ready is not placed yet
    room: dict[str, float] = field(default_factory=dict)  # square metres that a layer's masks leave, as they were measured last
    pace: dict[str, float] = field(default_factory=dict)  # seconds for an object, by quality
    scene: int = 0  # of which the figures are
    changed: float = 0.0  # when the recipe was changed, and has not been looked at since; 0: it has
    placed: Path | None = None  # the job's folder of what stands in the scene and is not saved yet
    drawn: tuple = ()
    looked: bool = False
    sweeping: bool = True  # there may be objects that were thrown away


STATE = State()


# The recipe -----------------------------------------------------------------------------------------------------------------------------


def of(scene: bpy.types.Scene):
    """The recipe's properties."""
    return scene.latte3d_population


def form_of(scene: bpy.types.Scene) -> form.Form:
    return form.Form(scene.unit_settings.scale_length)


def wanted(scene: bpy.types.Scene, change: Callable[[dict], None] = lambda value: None) -> recipe.Recipe:
    """The panel's recipe; `change` may change its JSON before. Raises RecipeError."""
    value = form_of(scene).value(of(scene))
    change(value)
    return recipe.read(json.dumps(value, indent=1, ensure_ascii=False))


def in_words(error: recipe.RecipeError, scene: bpy.types.Scene) -> list[str]:
    """What is wrong with the panel's recipe, for somebody who sees no JSON."""
    layers = [layer.name for layer in of(scene).layers]

    def shown(found: re.Match) -> str:
        return f"“{layers[int(found[1])]}”" if int(found[1]) < len(layers) else found[0]

    told = []
    for fault in error.faults:
        text = re.sub(r"layers\[(\d+)\]", shown, re.sub(r"^line \d+, column \d+: ", "", fault))
        text = re.sub(r"[.](thing|mask)s\[(\d+)\]", lambda found: f", {found[1]} {int(found[2]) + 1}", text)
        told.append(re.sub(r"^([^:]*?)[.](\w+): ", r"\1, \2: ", text))
    return told


def presets() -> list[tuple[str, str, str]]:
    """The recipes that come with the add-on: (file name, name, what it is)."""
    if not _presets:
        for path in sorted(PRESETS.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                value = json.loads(path.read_text(encoding="utf-8"))
                _presets.append((path.name, value["name"], value.get("about", "")))
    return _presets


_presets: list[tuple[str, str, str]] = []


def recipe_changed() -> None:
    """The artist has changed something: look at it when that is over."""
    STATE.changed = time.monotonic()
    wake()


def another_recipe() -> None:
    """The panel shows another recipe: what was counted and measured belongs to layers of the one before, which may have the same names."""
    STATE.result = None
    STATE.room.clear()
    recipe_changed()


def look(scene: bpy.types.Scene) -> None:
    """Find out what the recipe would make, and what a job before has left."""
    STATE.changed, STATE.scene, STATE.looked, STATE.wrong = 0.0, scene.session_uid, True, []
    folder, layers = job_folder(), of(scene).layers
    STATE.lost = "" if len(layers) else _lost(folder)
    if not len(layers):
        STATE.figures = Figures()
        return
    try:
        found = wanted(scene)
    except recipe.RecipeError as error:
        STATE.wrong, STATE.figures = in_words(error, scene), Figures()
        return
    wants, have = assets.wants(found), assets.in_file()
    there = {path.stem for path in folder.glob(f"*{job.SUFFIX}")}
    lacking = [want for want in wants if want not in have]
    missing = [want for want in lacking if want.key not in there]
    counts = found.amounts(lambda layer: round(layer.density * STATE.room.get(layer.name, 0.0)))
    objects = sum(counts.values())
    objects = min(objects, found.cap) if found.cap else objects
    STATE.figures = Figures(
        objects,
        any(layer.density and layer.name not in STATE.room for layer in found.layers),
        len(wants),
        len(missing),
        len(lacking) - len(missing),
        sum(STATE.pace.get(want.quality, PACE_S[want.quality]) for want in missing),
        sum(MEGABYTES[want.quality] for want in lacking) + objects * POINT_BYTES / 1e6,
    )


def _lost(folder: Path) -> str:
    """The recipe of a job that was begun for this file and not finished."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        if state["made"] < state["wanted"]:
            return (folder / job.RECIPE).read_text(encoding="utf-8")
    return ""


def job_folder() -> Path:
    """Where this file's objects are kept until it is saved."""
    name = hashlib.sha1(bpy.data.filepath.encode(), usedforsecurity=False).hexdigest()[:12] if bpy.data.filepath else "unsaved"
    return library_session.work_folder("populate") / name


# Work -----------------------------------------------------------------------------------------------------------------------------------


def busy() -> str:
    """Why nothing can begin, in the words of a disabled button."""
    return "A population is on its way" if STATE.work and not STATE.work.over else ""


def begin(scene: bpy.types.Scene, found: recipe.Recipe, *, preview: bool = False, sure: bool = False, make: bool = True) -> None:
    """Look at the scene and start. Raises run.Asks, targets.SceneError, OSError."""
    chosen = run.plan(found, sure=sure)
    for layer in found.layers:
        if layer.density:
            STATE.room[layer.name] = chosen.counts[layer.name] / layer.density
    kept = job.Job(job_folder())
    if not preview:
        with written(kept.folder / job.RECIPE) as partial:
            partial.write_text(found.text, encoding="utf-8")
    linked = of(scene).output == "OBJECTS"
    work = Work(chosen, kept, scene.session_uid, is_preview=preview, linked=linked, make=make)
    work.start(session.SESSION.engine, _launch)
    STATE.work, STATE.fault, STATE.result = work, None, None
    wake()


def _launch() -> Launch:
    """The session's engine, started where it is not. Raises EngineFault."""
    session.start()
    return session.SESSION.engine.launch


def run_now(place: Callable[[Work], None]) -> None:
    """Do it all without a timer, as in background mode; `place` shows what is ready."""
    work = STATE.work
    try:
        while not work.over:
            if not work.step():
                time.sleep(0.01)
            if work.ready is not None:
                place(work)
    finally:
        if not work.over:
            work.cancel()
        _ended(work)


def cancel() -> None:
    """Stop what runs; what is made is kept."""
    work = STATE.work
    if work and not work.over:
        work.cancel()
        _ended(work)
    wake()


def convert(scene: bpy.types.Scene, top: bpy.types.Collection) -> None:
    """Start making plain objects of a population's points."""
    STATE.work, STATE.fault = Conversion(top, scene.session_uid), None
    wake()


def _ended(work: Slices) -> None:
    STATE.fault, STATE.hold = work.fault, ""
    if not isinstance(work, Work):
        return
    STATE.result = work.result
    made = [want for want in work.chosen.missing if work.kept.has(want)]
    if work.is_preview:
        with contextlib.suppress(OSError):
            work.kept.folder.rmdir()  # where nothing is in it
    if work.pace_s and made:
        STATE.pace[made[-1].quality] = work.pace_s
    if work.result and not work.is_preview and not work.kept.failed:
        STATE.placed = work.kept.folder
    STATE.changed = STATE.changed or time.monotonic()


# The timer ------------------------------------------------------------------------------------------------------------------------------


def shown(scene: bpy.types.Scene) -> None:
    """Called by draw(), which must not do more than this."""
    if not STATE.looked or STATE.scene != scene.session_uid:
        wake()


def _failed(fault: Fault) -> None:
    work, STATE.fault, STATE.work = STATE.work, fault, None
    session.redraw()
    if work and not work.over:
        work.cancel()


TIMER = Timer(__name__, lambda: step(), _failed)
wake = TIMER.wake


def step() -> float | None:
    """Go on with what runs; returns the seconds until the next time, None where there is nothing to do."""
    pause, work = None, STATE.work
    if work and not work.over:
        pause = _go_on(work)
    scene = _scene()
    if scene is not None and (not STATE.looked or STATE.scene != scene.session_uid or STATE.changed):
        if time.monotonic() - STATE.changed > QUIET_S:
            look(scene)
        else:
            pause = pause or QUIET_S
    if STATE.sweeping and not pause:
        STATE.sweeping = scatter.sweep()
        pause = SWEEP_S if STATE.sweeping else None
    now = _picture()
    if now != STATE.drawn:
        STATE.drawn = now
        session.redraw()
    return pause


def _go_on(work: Slices) -> float:
    """A moment of work, in a window that shows its scene."""
    spot = placing.window_for(work)
    if not any(scene.session_uid == work.scene for scene in bpy.data.scenes):
        work.cancel()
        _ended(work)
        STATE.fault = Fault("The scene that was to be filled is gone.")
        return 0.1
    if spot is None:
        STATE.hold = placing.obstacle(work, spot)
        return 0.3
    window, area, region = spot
    at_once = False
    with bpy.context.temp_override(window=window, area=area, region=region):
        if work.ready is None:
            at_once, STATE.hold = work.step(), ""
        if work.ready is not None:
            STATE.hold = placing.obstacle(work, spot)
            if not STATE.hold:
                kinds = {Work: "place_population", Conversion: "place_objects"}
                name = "place_preview" if work.is_preview else kinds[type(work)]
                getattr(bpy.ops.latte3d, name)("EXEC_DEFAULT", True)
                placing.show(bpy.context, [])
    if work.over:
        _ended(work)
    return 0.001 if at_once else 0.05


def _scene() -> bpy.types.Scene | None:
    windows = bpy.context.window_manager.windows
    return windows[0].scene if len(windows) else None


def _picture() -> tuple:
    """All that is visible, to see whether it changed."""
    work = STATE.work
    about = (work.stage, work.done, work.over, work.left_s and round(work.left_s)) if work else ()
    return about, STATE.result, STATE.fault, STATE.figures, tuple(STATE.wrong), STATE.hold, STATE.lost


# Files and undo -------------------------------------------------------------------------------------------------------------------------


@persistent
def _undone(*_) -> None:
    """What was built and is not shown yet is gone; what was told is of another state."""
    STATE.result = None
    STATE.sweeping = True
    if STATE.work and not STATE.work.over:
        STATE.work.stale = True
    recipe_changed()


@persistent
def _detach(*_) -> None:
    """Before another file is loaded."""
    if STATE.work and not STATE.work.over:
        STATE.work.stale = True  # the file takes with it what was built
        STATE.work.cancel()
    pace = STATE.pace
    STATE.__init__(pace=pace)


@persistent
def _saved(*_) -> None:
    """The file has what was kept."""
    if STATE.placed:
        job.Job(STATE.placed).remove()
        STATE.placed = None


HANDLERS = (("undo_post", _undone), ("redo_post", _undone), ("load_pre", _detach), ("save_post", _saved))


def shutdown() -> None:
    if STATE.work and not STATE.work.over:
        STATE.work.cancelled = True


def register() -> None:
    for name, call in HANDLERS:
        getattr(bpy.app.handlers, name).append(call)
    atexit.register(shutdown)


def unregister() -> None:
    shutdown()
    atexit.unregister(shutdown)
    for name, call in HANDLERS:
        getattr(bpy.app.handlers, name).remove(call)
    TIMER.end()
    STATE.__init__()

