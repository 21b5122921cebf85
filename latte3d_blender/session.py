# SPDX-License-Identifier: GPL-3.0-or-later
"""The session: one engine, its jobs and Set Up, driven by one timer that runs only while there is something to wait for.

Only this timer and operators touch bpy's data. Jobs hold numbers, never pointers, so undo and file loads cannot hurt them.
"""

import atexit
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import kept, live, machine
from .client import engine as client
from .client.engine import Engine
from .client.installer import Setup
from .client.job import EngineFault, Failure, Fault, Job, Result
from .panels import gallery, thumbnails
from .scene import placing
from .timer import AGAIN_S, Timer
from .variations import Batch

TAB = "LATTE3D"  # of the sidebar
PICTURE = 128  # pixels of the picture of each object that the engine is asked for
KEEP = 16  # results that can still be placed again
LOOK_S = 30.0  # between two looks at whether the engine is of use


@dataclass
class Place:
    """Where a job's objects belong."""

    scene: int  # its session_uid, which renaming and undo leave alone
    location: tuple[float, float, float]
    held_since: float = 0.0  # when the object was ready but could not be placed yet
    replaces: str = ""  # the object whose place it takes
    height: float = 0.0  # metres; 0: as the model predicts
    batch: Batch | None = None  # of which it is one
    angle: float = 0.0  # about the vertical
    clear: bool = True  # beside what is there
    align: bool = False  # stand straight on the surface, whose normal this is
    normal: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hides: list[str] = field(default_factory=list)  # the objects that are hidden, as this one stands for them
    paints: Any = None  # the mesh that gets its look (scene.painting.Target), in place of a new object

    def properties(self, unit_m: float = 1.0) -> dict:
        """What place_result has to know, in a scene whose unit is so many metres."""
        wanted = {"location": self.location, "height": self.height / unit_m, "replaces": self.replaces}
        wanted |= {"angle": self.angle, "clear": self.clear, "hides": "\n".join(self.hides)}
        return wanted | {"align": self.align, "normal": self.normal}


@dataclass
class Question:
    """A prompt that the engine did not begin, because its model does not know the thing: what else could be made?"""

    job: Job
    fault: Fault

    @property
    def prompt(self) -> str:
        return self.job.prompts[0]

    @property
    def model(self) -> str:
        """That was asked for."""
        return self.job.model

    @property
    def things(self) -> list[str]:
        """The nearest things, nearest first."""
        return list(self.fault.data.get("things", []))

    @property
    def example(self) -> dict[str, str]:
        """A prompt for each."""
        return dict(self.fault.data.get("example", {}))


@dataclass
class Session:
    """All that the panel shows."""

    engine: Engine = field(default_factory=lambda: Engine(forgiving=True))
    setup: Setup | None = None
    plan: Setup | None = None  # finds out how large Set Up gets
    fault: Fault | None = None  # of the last job or of Set Up; the engine has its own
    question: Question | None = None
    waiting: list[Job] = field(default_factory=list)  # submitted, not over
    results: dict[int, Result] = field(default_factory=dict)  # by their numbers
    to_place: list[Result] = field(default_factory=list)
    batch: Batch | None = None  # the last variations
    last: Result | None = None  # that was placed
    last_number: int = 0  # of a result
    hold: str = ""  # why a finished object is not placed yet
    shown: bool = False  # the panel has been drawn
    stale: bool = True  # where the engine lies has to be looked up again
    autostart: bool = True  # until the artist stops the engine
    used: float = 0.0  # when the engine was last asked or had something to do
    resting: bool = False  # it was stopped because nobody asked it for long; the next wish starts it

    @property
    def running(self) -> Job | None:
        return self.waiting[0] if self.waiting else None

    @property
    def to_do(self) -> bool:
        """Whether there is something to place, or to make an undo step of."""
        return bool(self.to_place or (self.batch and self.batch.unfinished))


SESSION = Session()


def _timer_failed(fault: Fault) -> float | None:
    SESSION.to_place.clear()
    SESSION.fault = fault
    _redraw_changed()
    return AGAIN_S if SESSION.setup or SESSION.engine.active else None


TIMER = Timer(__name__, lambda: _looked(), _timer_failed)
RESTING = Timer(__name__, lambda: _rest(), lambda fault: None)
wake = TIMER.wake
thumbnails.missed = wake  # a picture that draw() lacks is loaded by the timer


def panel_shown() -> None:
    """Called by draw(), which must not do more than this: the timer looks up and starts the engine."""
    if not SESSION.shown or SESSION.stale or SESSION.engine.active or SESSION.setup or SESSION.to_do:
        SESSION.shown = True
        wake()


def panel_visible() -> bool:
    """Whether some sidebar shows the panel."""
    areas = [area for window in bpy.context.window_manager.windows for area in window.screen.areas if area.type == "VIEW_3D"]
    shown = [region for area in areas if area.spaces.active.show_region_ui for region in area.regions if region.type == "UI"]
    return any(getattr(sidebar, "active_panel_category", "") == TAB for sidebar in shown)


def engine_moved() -> None:
    """The preferences changed: what runs is not what they ask for."""
    SESSION.stale, SESSION.autostart = True, True
    wake()


def look_up() -> bool:
    """Find out whether there is an engine to start; stop the one that runs if it should be another."""
    SESSION.stale = False
    engine = SESSION.engine
    try:
        launch = machine.launch()
    except EngineFault as error:
        engine.stop()
        missing = error.fault.kind == "not_installed"
        engine.state, engine.fault = (client.NOT_INSTALLED, None) if missing else (client.FAILED, error.fault)
        if missing and not SESSION.plan and not SESSION.setup:
            SESSION.plan = new_setup(plan=True)
        return False
    if engine.process and launch != engine.launch:
        engine.stop()
    if engine.state == client.NOT_INSTALLED or (engine.state == client.FAILED and launch != engine.launch):
        engine.state, engine.fault = client.STOPPED, None
    return True


def new_setup(wheels: Path | None = None, *, plan: bool = False) -> Setup | None:
    """Start the installer for the add-on's user folder; None where the add-on is not installed as an extension."""
    folder, source = machine.user_folder("engine"), client.source_folder()
    if folder is None or source is None:
        return None
    log = (machine.user_folder("logs", create=True) or Path(bpy.app.tempdir)) / ("plan.log" if plan else "setup.log")
    return Setup(source, folder, log, wheels, plan=plan)


def start() -> None:
    """Start the engine unless it runs as the preferences ask. Raises EngineFault when it cannot."""
    launch = machine.launch()
    SESSION.stale, SESSION.autostart, SESSION.resting, SESSION.used = False, True, False, time.monotonic()
    if SESSION.engine.process and launch != SESSION.engine.launch:
        SESSION.engine.stop()
    SESSION.engine.start(launch)
    wake()
    RESTING.wake(LOOK_S)
    if SESSION.engine.state == client.FAILED:
        raise EngineFault(SESSION.engine.fault)


def stop() -> None:
    """Stop the engine until the artist wants it again."""
    SESSION.autostart = False
    SESSION.engine.stop()
    wake()


def _rest() -> float | None:
    """A slow timer of its own: free the memory of an engine that nobody has asked for as long as the preferences say."""
    engine, chosen = SESSION.engine, machine.get()
    if engine.active or live.LIVE.on:
        SESSION.used = time.monotonic()
    idle = time.monotonic() - SESSION.used
    if engine.state == client.READY and chosen and 0 < 60 * chosen.idle_minutes < idle:
        SESSION.resting = True
        engine.stop()
        redraw()
    return LOOK_S if engine.process else None


def busy() -> str:
    """Why nothing can be made now, in the words of a disabled button; nothing when it can."""
    if SESSION.setup:
        return "Set Up is running"
    if SESSION.engine.state == client.NOT_INSTALLED and not SESSION.stale:
        return "Set up the engine first, in the LATTE3D tab of the sidebar"
    return "An object is being made" if SESSION.running else ""


def at_cursor(scene: bpy.types.Scene) -> Place:
    """The place of a new object."""
    return Place(scene.session_uid, tuple(scene.cursor.location))


def submit(
    place: Place, prompts: list[str], seeds: list[int], settings: dict, *, strict: bool = False, styles=None, model: str = "", guide=None,
    aside: bool = False,
) -> Job:  # fmt: skip
    """Start a job (and the engine, where it does not run). The same prompt several times: variations. model: the id of the one that shall
    make it. guide: what shapes it beside its prompt (client.guide.Guide). aside: it ends earlier work, and what the artist has been told
    or asked meanwhile stays. Raises EngineFault."""
    if fault := next(filter(None, map(client.check_prompt, prompts)), None):
        raise EngineFault(fault)
    if not aside:
        SESSION.fault = SESSION.question = None
    start()
    wanted = [prompt.strip() for prompt in prompts]
    job = SESSION.engine.submit(
        wanted, seeds, settings, strict=strict, styles=styles, model=model, guide=guide, picture=0 if place.paints else PICTURE
    )
    job.place = place
    if len(prompts) > 1 and len(set(wanted)) == 1:
        place.batch = Batch(job)
        show_batch(place.batch)
    SESSION.waiting.append(job)
    wake()
    return job


def show_batch(batch: Batch | None) -> None:
    """Let these be the variations of the panel, and let go of the results of those before, unless they still wait to be placed."""
    before, SESSION.batch = SESSION.batch, batch
    if before and not any(result.place.batch is before for result in SESSION.to_place):
        before.let_go()


def forget(*kinds: str) -> None:
    """Drop the question or fault of these kinds: what it speaks of has changed."""
    if SESSION.fault and SESSION.fault.kind in kinds:
        SESSION.fault = None
    if "unfamiliar" in kinds:
        SESSION.question = None


def collect() -> None:
    """Read what the engine has sent, sort what has arrived, and let go of jobs that are over and of old results."""
    SESSION.engine.poll()
    for job in list(SESSION.waiting):
        for outcome in job.take():
            if isinstance(outcome, Failure):
                _failed(job, outcome)
            else:
                SESSION.to_place.append(keep(outcome))
                kept.take(job, outcome)
                if outcome.place.batch:
                    outcome.place.batch.results[outcome.number] = outcome
        if job.over:
            SESSION.waiting.remove(job)
            if job.state == "failed" and job.fault is not SESSION.engine.fault:
                SESSION.fault = job.fault
            if SESSION.batch and SESSION.batch.job is job and not SESSION.batch.results:  # nothing came of it
                show_batch(None)
    kept.remember()
    for old in [number for number, result in SESSION.results.items() if result not in SESSION.to_place][:-KEEP]:
        del SESSION.results[old]


def waits(job: Job) -> bool:
    """Whether something that a job has made is still to be placed."""
    return job in SESSION.waiting or any(result in SESSION.to_place for result in job.made.values())


def keep(result: Result) -> Result:
    """Give a result the number by which it can be placed."""
    result.number = SESSION.last_number = SESSION.last_number + 1
    result.place = replace(result.place)  # what it has to wait for is its own
    SESSION.results[result.number] = result
    return result


def _failed(job: Job, failure: Failure) -> None:
    """One prompt of a job has no object: ask what else it could be, or say why; of several in one sentence."""
    prompt, fault, several = job.prompts[failure.index], failure.fault, len(job.failures)
    if len(set(job.prompts)) == 1 and fault.kind == "unfamiliar":
        SESSION.question = Question(job, fault)
    elif len(job.prompts) == 1:
        SESSION.fault = fault
    elif several == 1:
        SESSION.fault = Fault(f"“{prompt}”: {fault.message}", fault.cause, fault.remedy, fault.kind)
    else:
        first = job.failures[0]
        cause = f"The first is “{job.prompts[first.index]}”: {first.fault.message} {first.fault.cause}".strip()
        SESSION.fault = Fault(f"{several} of {len(job.prompts)} objects could not be made.", cause, first.fault.remedy, first.fault.kind)


def run_now(job: Job) -> list[Result]:
    """Wait for a job without a timer, as in background mode; returns what it has made. Raises EngineFault where it made nothing."""
    while not job.over:
        SESSION.engine.poll(wait_s=0.1)
        if SESSION.engine.state == client.STOPPED:  # after a crash
            start()
    before = len(SESSION.to_place)
    collect()
    made = SESSION.to_place[before:]
    if fault := job.fault or (job.failures[0].fault if job.failures and not made else None):
        raise EngineFault(fault)
    return made


def redraw() -> None:
    """Redraw what shows the session: 3D viewports' sidebars and status bars (and preferences, for Set Up). Not the viewports: they may show
    a scene that takes long to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
            for region in area.regions if area.type == "VIEW_3D" else ():
                if region.type == "UI":
                    region.tag_redraw()
        if not any(getattr(window, "modal_operators", ())):  # a tool's own hints stay
            with bpy.context.temp_override(window=window):  # after a file was loaded, a timer has none: Blender 5.2 would crash
                window.workspace.status_text_set(None)  # the status bar is in no screen's areas; this redraws it


def _picture() -> tuple:
    """All that is visible, to see whether it changed."""
    job, setup, state = SESSION.running, SESSION.setup, SESSION.engine.state
    return (
        client.READY if live.LIVE.on and state == client.BUSY else state,  # drafts come and go
        SESSION.stale,
        SESSION.fault,
        SESSION.engine.fault,
        SESSION.hold,
        SESSION.question,
        len(gallery.things()),
        kept.changes(),
        (live.LIVE.on, live.LIVE.note, live.LIVE.name),
        panel_visible(),
        job and (job.id, job.text, round(job.factor, 2)),
        setup and (setup.text, setup.amount, round(setup.factor, 3), setup.over),
        SESSION.plan and SESSION.plan.size,
        SESSION.last and SESSION.last.number,
    )


_drawn: tuple = ()


def _redraw_changed() -> None:
    global _drawn
    if (picture := _picture()) != _drawn:
        _drawn = picture
        redraw()


def _looked() -> float | None:
    pause = _step()
    _redraw_changed()
    return pause


def _step() -> float | None:
    engine, chosen = SESSION.engine, machine.get()
    if SESSION.setup:
        SESSION.setup.poll()
        if SESSION.setup.over:
            SESSION.fault, SESSION.stale = SESSION.setup.fault, True
            if SESSION.setup.done and chosen and chosen.engine_python:  # else an earlier choice would hide what was set up now
                machine.choose_python("")
            SESSION.setup = None
    if SESSION.plan and not SESSION.plan.over:
        SESSION.plan.poll()
    if SESSION.stale and not engine.jobs:
        look_up()
    collect()
    kept.history()
    new_pictures = gallery.show(engine)
    by_itself = SESSION.shown and SESSION.autostart and not SESSION.resting and (not chosen or chosen.start_with_panel)
    if engine.state == client.STOPPED and (by_itself or engine.jobs) and not SESSION.setup:  # whose files it would hold open
        try:
            start()
        except EngineFault:
            look_up()  # turns it into a state that the panel explains
    placing.place_next(SESSION)
    live.follow(SESSION)
    if thumbnails.load() or new_pictures:
        redraw()
    if engine.state in (client.BUSY, client.STARTING):
        return 0.03
    if (SESSION.to_do and not SESSION.hold) or thumbnails.wanted() or gallery.wanted():
        return 0.01  # the next of several
    if SESSION.to_do or SESSION.setup or (SESSION.plan and not SESSION.plan.over) or kept.busy():
        return 0.2
    if engine.active or SESSION.stale or live.LIVE.on:
        return 0.03
    return 0.3 if SESSION.question or SESSION.fault else None  # the status bar speaks of them as long as no sidebar does


@persistent
def _detach(*_) -> None:
    """Before another file is loaded: what runs belonged to the old one."""
    for job in list(SESSION.engine.jobs):
        SESSION.engine.cancel(job)
    SESSION.waiting.clear()
    SESSION.to_place.clear()
    live.detach()
    show_batch(None)
    SESSION.fault, SESSION.question, SESSION.hold = None, None, ""


def shutdown() -> None:
    """End the processes, and finish what is being written."""
    SESSION.engine.stop()
    kept.close()
    for run in (SESSION.setup, SESSION.plan):
        if run:
            run.end()


def register() -> None:
    bpy.app.handlers.load_pre.append(_detach)
    live.register()
    atexit.register(shutdown)


def unregister() -> None:
    shutdown()
    atexit.unregister(shutdown)
    bpy.app.handlers.load_pre.remove(_detach)
    live.unregister()
    TIMER.end()
    RESTING.end()
    gallery.clear()
    thumbnails.clear()
    SESSION.__init__()
