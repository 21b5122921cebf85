# SPDX-License-Identifier: GPL-3.0-or-later
"""Refine: one object made better by diffusion priors, beside Blender, and put in its own place when that is done.

As in library_session.py, only the timer and operators touch bpy's data; draw() reads STATE. What comes of it is a file of planes; the
engine makes the object of them as it makes any other, so that its look, its history and its undo step are those of all.
"""

import atexit
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import bpy

from . import kept, library_session, machine, session
from .client import engine, protocol, supervisor
from .client.guide import Guide
from .client.job import EngineFault, Fault, Job
from .client.library_work import ABOUT, MADE, REFINE, START, RefineWish, Work
from .files import written
from .scene import origin
from .timer import AGAIN_S, Timer

PAUSE_S = 0.3  # between two looks at what runs
MOST = 8  # folders that stay: what was stopped can go on, and what could not be placed is not lost
PRIORS = {"multiview": "unet", "depth": "unet", "controlnet": ""}  # where each has its network


@dataclass
class State:
    """All that the panel shows."""

    work: Work | None = None
    fault: Fault | None = None  # why it was not begun, or what it made could not be placed
    job: Job | None = None  # which makes the object of what came of it
    scene: int = 0  # the scene it was begun in, as long as that file is open
    location: tuple[float, float, float] = (0.0, 0.0, 0.0)  # where the object stood then
    wrong: str = ""  # what is wrong with the priors of the preferences
    attached: bool = False  # looked for work of an earlier Blender


STATE = State()


# The priors -----------------------------------------------------------------------------------------------------------------------------


def priors() -> dict[str, str]:
    """The folders that the preferences name, by the names of the command's options; without looking at them."""
    chosen = machine.get()
    named = {name: getattr(chosen, f"prior_{name}").strip() for name in PRIORS} if chosen else {}
    return {name: str(Path(bpy.path.abspath(text)).expanduser()) for name, text in named.items() if text}


def check_priors(found: dict[str, str]) -> None:
    """Raises EngineFault with one sentence on the first that cannot be one, as far as a quick look tells."""
    for name, folder in found.items():
        part = Path(folder) / PRIORS[name]
        if not Path(folder).is_dir():
            raise _wrong(f"There is no folder {folder}.", "Choose the prior's folder in the add-on's preferences.")
        try:
            config = json.loads((part / "config.json").read_text(encoding="utf-8"))
            views = config.get("class_embed_type") == "projection"
        except (OSError, ValueError, AttributeError) as error:
            raise _wrong(f"{folder} holds no diffusion model: {part.name}/config.json cannot be read.", "Choose another folder.") from error
        if name == "multiview" and not views:
            raise _wrong(f"The model in {folder} draws single pictures, not several views.", "Choose a multi-view prior, such as MVDream.")
        if name == "depth" and views:
            raise _wrong(f"The model in {folder} draws several views.", "It is a multi-view prior: name it there.")
    if found.keys() == {"controlnet"}:
        raise _wrong("A ControlNet alone teaches nothing.", "Name the depth prior that it belongs to.")
    if "depth" in found and "controlnet" not in found and not (Path(found["depth"]) / "controlnet").is_dir():
        raise _wrong(f"{found['depth']} has no ControlNet for depth.", "Name the ControlNet's folder in the add-on's preferences.")


def look() -> None:
    """Find out what is wrong with the priors, for draw(), which opens no file."""
    try:
        check_priors(priors())
        STATE.wrong = ""
    except EngineFault as error:
        STATE.wrong = str(error)


def _wrong(message: str, remedy: str) -> EngineFault:
    return EngineFault(Fault(message, "", remedy, "refine"))


# Begin, stop, forget --------------------------------------------------------------------------------------------------------------------


def working() -> str:
    """Why other long work has to wait, in the words of a disabled button: two would share the same cores."""
    return f"“{STATE.work.wish.prompt}” is being refined: one at a time" if STATE.work and not STATE.work.over else ""


def busy() -> str:
    """Why nothing can be refined now, in the words of a disabled button."""
    if why := working():
        return why
    if STATE.job:
        return "A refined object is being made"
    return library_session.busy()


def wish(item: bpy.types.Object, steps: int, shape: bool) -> RefineWish:
    """What a button asks for. shape: whether the shape learns too, where a prior can teach it. Raises EngineFault."""
    found, taught = origin.of(item), priors()
    if not taught:
        raise _wrong("No diffusion prior is set up.", "Name its folder in the add-on's preferences.")
    check_priors(taught)
    if not shape and "depth" in taught:
        taught.pop("multiview", None)
    guided = bool(found.style or kept.guide_of(item))
    key = str(item.data.get("latte3d_key", ""))
    return RefineWish(found.prompt, max(found.seed, 0), found.model, steps, item.name, key, **taught, guided=guided)


def begin(wanted: RefineWish, item: bpy.types.Object | None = None) -> None:
    """Start, or go on where the same wish was stopped. item: the object, where it is there. Raises EngineFault."""
    more = [*library_session.engine_words(), *library_session.device_words()]
    folder, model = library_session.work_folder("refine") / wanted.name, machine.model_folder(wanted.model, engine.source_folder())
    if wanted.guided and item:
        _write_start(folder, origin.of(item).style, kept.guide_of(item))
    command = library_session.command(*wanted.words(folder, model, *more))
    STATE.work = Work.start(wanted, command, folder, library_session.environment())
    STATE.fault, STATE.job = None, None
    if item:
        STATE.scene, STATE.location = bpy.context.scene.session_uid, tuple(item.matrix_world.translation)
    _make_room(folder)
    wake()


def _write_start(folder: Path, style: list[float] | None, guide: Guide | None) -> None:
    """What shaped the object beside its prompt and seed, for the command and for the object that comes of it."""
    guide = guide or Guide()
    about = guide.params | ({"style": style} if style else {})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written(folder / START) as partial:
            partial.write_bytes(protocol.encode(about, guide.arrays))
    except OSError as error:
        raise _wrong(f"Nothing can be written to {folder}: {error.strerror or error}.", "Free some space.") from error


def _make_room(own: Path) -> None:
    """Remove the oldest folders; not this one, and none in which something runs."""
    others = sorted((path for path in own.parent.glob("*/") if path != own), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[MOST - 1 :]:
        if not supervisor.held(path):
            shutil.rmtree(path, ignore_errors=True)


def dismiss() -> None:
    """Forget work that is over: it is not offered again; the same wish goes on from there all the same."""
    if STATE.work and STATE.work.over:
        supervisor.write(STATE.work.job.folder / ABOUT, None)
        STATE.work = None
    STATE.fault = None


# What comes of it -----------------------------------------------------------------------------------------------------------------------


def find(wanted: RefineWish) -> bpy.types.Object | None:
    """The object that was to be refined: it may have another name by now, but not another mesh."""
    same = [item for item in bpy.data.objects if item.data and item.data.get("latte3d_key") == wanted.key and origin.replaceable(item.name)]
    named = [item for item in same if item.name == wanted.object]
    return named[0] if named else same[0] if len(same) == 1 else None


def place_of(wanted: RefineWish, scene: bpy.types.Scene, anywhere: bool) -> session.Place | None:
    """In the object's place; where that is gone, where it stood or, in another file, `anywhere`: at the 3D cursor, else nowhere."""
    place, item = session.at_cursor(scene), find(wanted)
    if item:
        home = scene if item.name in scene.objects else next(iter(item.users_scene), scene)
        place.scene, place.location = home.session_uid, tuple(item.matrix_world.translation)
        place.replaces, place.height = item.name, origin.height_to_keep(item, home.unit_settings.scale_length)
        return place
    if STATE.scene in {one.session_uid for one in bpy.data.scenes}:
        place.scene, place.location = STATE.scene, STATE.location
        return place
    return place if anywhere else None


def put(anywhere: bool = False) -> None:
    """Let the engine make the object of what came of it, and place it. Raises EngineFault."""
    work, scene = STATE.work, bpy.context.scene
    place = place_of(work.wish, scene, anywhere)
    if place is None:
        return
    item = bpy.data.objects.get(place.replaces)
    settings = machine.settings((origin.of(item).detail if item else "") or scene.latte3d.detail)
    guide, style = _result(work)
    styles = [style] if style else None
    wish = work.wish
    STATE.job = session.submit(place, [wish.prompt], [wish.seed], settings, styles=styles, model=wish.model, guide=guide, aside=True)
    STATE.fault = None
    wake()


def _result(work: Work) -> tuple[Guide, list[float] | None]:
    """The planes, what shaped the object before, and its style. Raises EngineFault where the files are gone."""
    folder = work.job.folder
    try:
        with open(folder / MADE, "rb") as file:
            _, planes = protocol.read(file, text="refined")
        about, arrays = {}, {}
        if work.wish.guided:
            with open(folder / START, "rb") as file:
                about, arrays = protocol.read(file)
        blend, style = about.get("blend"), about.get("style")
        return Guide(tuple(blend) if blend else None, about.get("adherence"), arrays.get("cloud"), planes), style
    except (OSError, protocol.ProtocolError, TypeError) as error:
        raise _wrong(f"The planes of “{work.wish.prompt}” are gone or damaged: {error}", "Refine it again.") from error


def _finish() -> None:
    """Nothing of it waits any more: what was placed is forgotten here, and what was not can be placed again."""
    job, STATE.job = STATE.job, None
    if any(result.placed for result in job.made.values()):
        dismiss()
    elif fault := job.fault or (job.failures[0].fault if job.failures else None):
        STATE.fault = fault


# The timer ------------------------------------------------------------------------------------------------------------------------------


def shown() -> None:
    """Called by draw(), which must not do more than this."""
    if not STATE.attached:
        wake()


def _failed(fault: Fault) -> float | None:
    STATE.fault = fault
    session.redraw()
    return AGAIN_S if _running() else None


TIMER = Timer(__name__, lambda: step(), _failed)
wake = TIMER.wake


def step() -> float | None:
    """Look at what runs; returns the seconds until the next look, None where there is nothing to look at."""
    before = _seen()
    if not STATE.attached:
        _attach()
    library_session.keep_changed()
    work = STATE.work
    if work and not work.over:
        work.poll()
        if work.finished:
            _try_to_put()
    if STATE.job and STATE.job.over and not session.waits(STATE.job):
        _finish()
    if _running() or _seen() != before:
        session.redraw()
    return PAUSE_S if _running() else None


def _running() -> bool:
    """Whether there is something to look at again."""
    return bool(STATE.job or working())


def _try_to_put() -> None:
    try:
        if session.SESSION.engine.state == engine.NOT_INSTALLED or session.SESSION.setup:
            raise _wrong("The object is refined, but the engine is not set up.", "Set it up, then press Place.")
        put()
    except EngineFault as error:
        STATE.fault = error.fault


def _seen() -> tuple:
    return STATE.work, STATE.work and STATE.work.changed, STATE.fault, STATE.job, STATE.attached


def _attach() -> None:
    """Find what an earlier Blender has begun: what runs before what is over, the newest first."""
    STATE.attached = True
    look()
    folders = list(library_session.work_folder("refine").glob("*/"))
    found = [work for work in (Work.attach(path, RefineWish) for path in folders) if work] if not STATE.work else []
    if found:
        STATE.work = max(found, key=lambda work: (work.job.running, work.job.started))


# Blender's end --------------------------------------------------------------------------------------------------------------------------


def shutdown() -> None:
    """End what this Blender has begun, unless the artist wants it to go on."""
    work = STATE.work
    if work and work.kind == REFINE and work.own and not work.over and not library_session.STATE.keep:
        work.job.cancel()


def register() -> None:
    atexit.register(shutdown)


def unregister() -> None:
    shutdown()
    atexit.unregister(shutdown)
    TIMER.end()
    STATE.__init__()
