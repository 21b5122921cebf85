# SPDX-License-Identifier: GPL-3.0-or-later
"""The library that the panel names, and the long work on it: started, followed by a timer, found again after a restart of Blender.

As in session.py, only the timer and operators touch bpy's data; draw() reads STATE.
"""

import atexit
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import bpy.utils.previews

from . import machine, session, train_commands
from .client import engine as client
from .client import library_work
from .client.installer import lacks_training
from .client.job import EngineFault, Fault
from .client.library_work import CHECK, PREPARE, TRAIN, Wish, Work
from .client.process import ASTRAY
from .client.supervisor import write
from .timer import AGAIN_S, Timer

PAUSE_S = 0.3  # between two looks at what runs


@dataclass
class State:
    """All that the library's panel shows."""

    check: Work | None = None
    work: Work | None = None  # Prepare or Train
    fault: Fault | None = None  # why something was not begun
    show: bool = False  # open the findings when Check has ended
    attached: bool = False  # looked for work of an earlier Blender
    keep: bool = False  # let training go on when Blender closes; the preference, which is gone by then
    model: str = ""  # the id of a model that training has finished
    new_model: bool = False  # which the engine has not seen yet
    picture: str = ""  # the preview that is loaded
    previews: bpy.utils.previews.ImagePreviewCollection | None = None


STATE = State()


# Which library --------------------------------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    """The chosen library's folder, which may not be there; None where none is chosen."""
    chosen = machine.get()
    text = chosen.library_folder.strip() if chosen else ""
    return Path(bpy.path.abspath(text)).expanduser().resolve() if text else None


def choose(path: Path) -> None:
    """Remember a library for this machine."""
    chosen = machine.get()
    if chosen and folder() != path:
        chosen.library_folder = str(path)
        bpy.context.preferences.is_dirty = True  # a script's changes are not saved by themselves
    STATE.check = None  # it speaks of what was there before


def missing() -> str:
    """Why nothing can be done with the library, in the words of a disabled button."""
    chosen = machine.get()
    return "" if chosen and chosen.library_folder.strip() else "Choose the library's folder first"


def checking() -> str:
    return "It is being checked" if STATE.check and not STATE.check.over else ""


def busy() -> str:
    """Why Prepare and Train cannot begin, in the words of a disabled button."""
    if STATE.work and not STATE.work.over:
        return library_work.RUNNING[STATE.work.kind]
    if session.SESSION.setup:
        return "Set Up is running"
    if session.SESSION.engine.state == client.NOT_INSTALLED and not session.SESSION.stale:
        return "Set up the engine first, above in this panel"
    return ""


# Long work ------------------------------------------------------------------------------------------------------------------------------


def command(*words: str) -> list[str]:
    """The same command that a shell would run, as a Blender of its own; the add-on need not be enabled in saved preferences."""
    package = Path(__file__).resolve().parent
    if not bpy.app.binary_path:  # Blender as a Python module
        start = f"import sys; sys.path.append({str(package.parent)!r}); from {package.name} import commands"
        return [sys.executable, "-c", f"{start}; sys.exit(commands.command(sys.argv[1:]))", *words]
    start = f"import sys; from {__package__} import commands; sys.exit(commands.command(sys.argv[sys.argv.index('--') + 1:]))"
    forced = (["--online-mode"] if bpy.app.online_access else ["--offline-mode"]) if bpy.app.online_access_override else []
    return [bpy.app.binary_path, "--background", *forced, "--python-exit-code", "3", "--python-expr", start, "--", *words]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ASTRAY} | {"PYTHONUTF8": "1"}


def work_folder(name: str) -> Path:
    """Where a job keeps its files, as long as the add-on is installed; else as long as Blender runs."""
    return (machine.user_folder("work", create=True) or Path(bpy.app.tempdir)) / name


def check(*, show: bool = False) -> None:
    """Start checking the library; `show`: open what is found. Raises EngineFault."""
    program = client.source_folder() / "core" / "library" / "format.py"  # what the command starts, too: without another Blender it is quick
    line = [sys.executable, "-I", str(program), str(_existing()), "--json"]
    STATE.check = Work.start(Wish(CHECK, str(folder())), line, work_folder(CHECK), environment())
    STATE.show, STATE.fault = show, None
    wake()


def begin(wish: Wish) -> None:
    """Start Prepare or Train. Raises EngineFault where it cannot begin."""
    own = engine_words()
    if wish.kind == TRAIN and not wish.out:  # the preferences of this session, which may not be saved, decide where it goes
        wish = replace(wish, out=str(train_commands.home_of(Path(wish.library))))
    words = [*wish.words(), *own, *(device_words() if wish.kind == TRAIN else [])]
    STATE.work, STATE.fault = Work.start(wish, command(*words), work_folder("long"), environment()), None
    STATE.model = ""
    wake()


def engine_words() -> list[str]:
    """The option that names the engine's Python to a long command. Raises EngineFault where it lacks packages that nobody may fetch."""
    launch, chosen = machine.launch(here=True), machine.get()
    own = bpy.path.abspath(chosen.engine_python) if chosen else ""
    if not own and lacks_training(launch.source, launch.python) and not bpy.app.online_access:
        remedy = "Allow Online Access in Preferences > System; the command line also takes a folder of packages (--offline)."
        raise EngineFault(Fault("What training needs is not installed, and Blender is set to work offline.", "", remedy, "library"))
    return ["--engine", own] if own else []


def device_words() -> list[str]:
    """The option that says what it computes on."""
    chosen = machine.get()
    return ["--device", chosen.device] if chosen and chosen.device != "auto" else []


def _existing() -> Path:
    """The library's folder. Raises EngineFault where it is not there."""
    path = folder()
    if path is None or not path.is_dir():
        raise EngineFault(Fault(f"There is no folder {path or ''}.", "", "Choose another, or add objects: that makes it.", "library"))
    return path


def wish(kind: str, **more) -> Wish:
    """What a button asks for. Raises EngineFault where the library is not there."""
    return Wish(kind, str(_existing()), **more)


def dismiss() -> None:
    """Forget work that is over: it is not offered again."""
    if STATE.work and STATE.work.over:
        write(STATE.work.job.folder / library_work.ABOUT, None)
        STATE.work, STATE.model = None, ""
    STATE.fault = None


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
        STATE.attached, STATE.work = True, STATE.work or Work.attach(work_folder("long"))
    keep_changed()
    for work in (STATE.check, STATE.work):
        if work and not work.over:
            work.poll()
            if work.over:
                _ended(work)
    _load_picture()
    if STATE.new_model and not session.SESSION.engine.jobs and not session.SESSION.running:
        STATE.new_model = False
        _show_model()
    if _running() or _seen() != before:
        session.redraw()
    return PAUSE_S if _running() or STATE.new_model else None


def _running() -> bool:
    """Whether something has not ended, which has to be looked at again."""
    return any(work and not work.over for work in (STATE.check, STATE.work))


def _seen() -> tuple:
    return (*((work, work.changed) for work in (STATE.check, STATE.work) if work), STATE.picture, STATE.fault, STATE.model, STATE.attached)


def _ended(work: Work) -> None:
    """Something has ended: show what was found, or what there is now."""
    if work.kind == CHECK and STATE.show and not bpy.app.background:
        STATE.show = False
        _open_findings()
    if work.kind == TRAIN and work.finished:
        STATE.model = library_work.model_id(Path(work.result.get("model") or ""))
        STATE.new_model = bool(STATE.model)
    if work.kind == PREPARE:
        STATE.check = None


def _open_findings() -> None:
    for window in bpy.context.window_manager.windows:
        areas = [area for area in window.screen.areas if area.type == "VIEW_3D"]
        if areas:
            region = next(region for region in areas[0].regions if region.type == "WINDOW")
            with bpy.context.temp_override(window=window, area=areas[0], region=region):
                bpy.ops.latte3d.show_findings("INVOKE_DEFAULT")
            return


def _show_model() -> None:
    """Let the engine, which waits for work, read its folders of models anew: it starts again, and the chooser has the new model."""
    engine = session.SESSION.engine
    if not engine.process:
        session.SESSION.stale = True
        return session.wake()
    engine.stop()
    try:
        session.start()
    except EngineFault:
        session.look_up()  # turns it into a state that the panel explains


def _load_picture() -> None:
    """Load the newest preview; the one before goes."""
    path = STATE.work.picture if STATE.work else ""
    if path == STATE.picture or (path and not Path(path).is_file()):
        return
    if STATE.previews is None:
        STATE.previews = bpy.utils.previews.new()
    STATE.previews.clear()
    if path:
        STATE.previews.load(path, path, "IMAGE").image_size[:]  # reads the file now, not when it is drawn
    STATE.picture = path


def picture() -> bpy.types.ImagePreview | None:
    """The newest preview; None where there is none that could be read."""
    loaded = STATE.previews.get(STATE.picture) if STATE.previews is not None else None
    return loaded if loaded and loaded.image_size[0] else None


# Blender's end --------------------------------------------------------------------------------------------------------------------------


def keep_changed(by_hand: bool = False) -> None:
    """Note the preference; who changes it means what runs now, too."""
    chosen = machine.get()
    STATE.keep = bool(chosen and chosen.keep_training)
    if by_hand and STATE.work:
        STATE.work.own = True


def shutdown() -> None:
    """End what this Blender has begun, unless the artist wants it to go on."""
    for work in (STATE.check, STATE.work):
        if work and work.own and not work.over and not (STATE.keep and work.kind == TRAIN):
            work.job.cancel()


def register() -> None:
    atexit.register(shutdown)


def unregister() -> None:
    shutdown()
    atexit.unregister(shutdown)
    TIMER.end()
    forget()


def forget() -> None:
    """Know nothing, as when Blender has just started."""
    if STATE.previews is not None:
        bpy.utils.previews.remove(STATE.previews)
    STATE.__init__()
