# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to this machine and not to a file: the chosen preferences, the add-on's own folders, and where the engine lies."""

import contextlib
import json
import os
import shlex
from pathlib import Path

import bpy

from .client.engine import EngineFault, Fault, Launch, find_python, source_folder
from .client.installer import finished

PACKAGE = __package__  # as Blender knows this add-on


def get():
    """The add-on's preferences; None where it is imported without being installed, as on the command line of a checkout."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def settings(detail: str) -> dict:
    """What a request asks for: a detail, and what the preferences ask for in its place (None: nothing)."""
    chosen = get()
    own = {name: getattr(chosen, name) for name in ("resolution", "texture_size")} if chosen else {}
    numbers = {name: int(value) for name, value in own.items() if value != "DETAIL"}
    return {"detail": detail, "resolution": None, "texture_size": None, "triangles": None, **numbers}


def choose_python(path: str) -> None:
    """Name the engine's Python in the preferences ("": the one that Set Up made), so that it is saved with them."""
    get().engine_python = path
    bpy.context.preferences.is_dirty = True  # a script's changes are not saved by themselves


def user_folder(name: str = "", *, create: bool = False) -> Path | None:
    """A folder of this add-on's own that survives upgrades; None where it is not installed as an extension or the disk refuses."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name, create=create))
    except (ValueError, OSError):
        return None


def model_folders() -> tuple[Path, ...]:
    """The folders in which models are looked for: those of the preferences, and that of the models that were trained here, where there are
    some. Raises EngineFault where none of the preferences' is there."""
    trained = (trained_models(), Path(bpy.utils.user_resource("DATAFILES", path="latte3d")) / "models")  # the latter by a checkout
    return tuple(dict.fromkeys((*chosen_folders(), *(place for place in trained if place.is_dir()))))


def trained_models() -> Path:
    """Where models of this machine's own go that nobody has named a place for; it need not be there yet."""
    own = user_folder("models")
    return own or Path(bpy.utils.user_resource("DATAFILES", path="latte3d")) / "models"


def chosen_folders() -> tuple[Path, ...]:
    """The folders of the preferences in which models are looked for; the engine passes over one that is not there, such as a disk that is
    not mounted. Raises EngineFault where none of them is."""
    chosen = get()
    text = chosen.model_folder.strip() if chosen else ""
    whole = Path(bpy.path.abspath(text)).expanduser()
    parts = [text] if not text or whole.is_dir() else text.split(";")
    folders = [Path(bpy.path.abspath(part.strip())).expanduser().resolve() for part in parts if part.strip()]
    if folders and not any(folder.is_dir() for folder in folders):
        existing(str(folders[0]))
    return tuple(folders)


def folder_or_id(model: str) -> tuple[str, str]:
    """What a command's --model names: a folder, or an installed model by its id; the other one is empty."""
    is_folder = (Path(model).expanduser() / "config.json").is_file() or Path(model).name != model
    return (model, "") if is_folder else ("", model)


def model_folder(model: str, source: Path) -> Path:
    """The folder of a model, which a command names by that folder or by the id that the panel's chooser shows. source: what holds `core`.

    Raises EngineFault where there is none.
    """
    folder, wanted = folder_or_id(model)
    if folder:
        return existing(folder)
    shipped = _models_in(source / "core" / "weights")
    ids: dict[str, Path] = {}  # as the engine gives them out: a name that is taken gets a number
    for path, name in [*shipped, *(found for place in model_folders() for found in _models_in(place))]:
        numbered = next(n for n in (name, *(f"{name}-{k}" for k in range(2, len(ids) + 3))) if n not in ids)
        if path.resolve() not in [known.resolve() for known in ids.values()]:
            ids[numbered] = path
    if wanted not in ids:
        cause = f"There are {', '.join(ids)}." if ids else "There is none."
        raise EngineFault(Fault(f"There is no model {wanted!r}.", cause, "Name one of these, or a model's folder.", "missing_weights"))
    return ids[wanted]


def id_of(folder: str) -> str:
    """What the model in a folder is called; "" for no folder. Raises EngineFault where it is not there."""
    found = _models_in(existing(folder)) if folder else []
    return found[0][1] if found else ""


def groups(alone: str = "") -> dict[str, str]:
    """What the models of this machine call the things that they know, each with the group that it belongs to; things that the panel does
    not show are groups of their own. alone: a model's folder, in place of all. Raises EngineFault where that is not there."""
    source = source_folder()
    places = [existing(alone)] if alone else [*([source / "core" / "weights"] if source else []), *model_folders()]
    found: dict[str, str] = {}
    for folder, _ in (model for place in places for model in _models_in(place)):
        shown = {thing["name"]: thing.get("group", "") for thing in _json(folder / "config.json").get("things", [])}
        called = {kind: about.get("names", []) for kind, about in _json(folder / "words.json").get("things", {}).items()}
        for kind in (*shown, *called):
            plain = kind.replace("_", " ")
            group = shown.get(plain) or shown.get(kind) or f"More/{plain.capitalize()}"
            for name in (plain, *called.get(kind, ())):
                found.setdefault(name, group)
    return found


def _json(file: Path) -> dict:
    """A model's file; nothing where it is not there or damaged: what generates will say so."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _models_in(place: Path) -> list[tuple[Path, str]]:
    """The models in a folder, which may be one itself, with the ids that they say."""
    folders = [place] if (place / "config.json").is_file() else sorted(place.glob("*/")) if place.is_dir() else []
    found = []
    for folder in folders:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            if "generator" in config:
                found.append((folder, str(config.get("id", folder.name))))
    return found


def existing(folder: str) -> Path:
    """The folder's absolute path. Raises EngineFault where it is not there."""
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        raise EngineFault(Fault("The model is missing.", f"There is no folder {path}.", "Choose another model folder.", "missing_weights"))
    return path


def _parts(command: str) -> tuple[str, ...]:
    """A command line's words, quoted as in a shell. Raises EngineFault for quotes that do not close."""
    try:
        return tuple(shlex.split(command, posix=os.name == "posix"))
    except ValueError as error:
        fault = Fault("The command of the remote engine cannot be read.", f"{command.strip()}: {error}.", "Correct it.", "broken")
        raise EngineFault(fault) from error


def launch(*, python: str = "", model: str = "", device: str = "", log: Path | None = None, here: bool = False) -> Launch:
    """Put together what it takes to start the engine: what is given, else the preferences, else the usual places. model: the folder of
    the only model; without it, there are those that come with the engine and those in the folders of the preferences. here: not the
    remote engine of the preferences, but one whose Python can run other commands too.

    Raises EngineFault (kind "not_installed", "missing_weights") where something is not there.
    """
    chosen = get()
    source = source_folder()
    if source is None:
        raise EngineFault(
            Fault(
                "The engine's source is missing.",
                "The folder “core” is not where the add-on expects it.",
                "Install the add-on again.",
                "not_installed",
            )
        )
    log = log or (user_folder("logs", create=True) or Path(bpy.app.tempdir)) / "engine.log"
    if chosen and chosen.engine_command.strip() and not (python or model or here):
        return Launch(Path(), source, None, "", log, remote=_parts(chosen.engine_command))
    python = python or (bpy.path.abspath(chosen.engine_python) if chosen else "")
    environment = user_folder("engine")
    current = environment is not None and finished(source, environment)
    found = find_python(python, environment if current else None)
    if found is None:
        cause = f"There is no Python at {python}." if python else "Its Python environment is missing, or another version's."
        raise EngineFault(
            Fault("The engine is not set up.", cause, "Press Set Up in the LATTE3D panel, or name a Python.", "not_installed")
        )
    alone, more = (existing(model), ()) if model else (None, model_folders())
    return Launch(found, source, alone, device or (chosen.device if chosen else "auto"), log, more)
