# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as assets of Blender's Asset Browser: tags, description, licence, author, catalogue and a preview picture."""

import contextlib
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

import bpy

from ..files import WriteError
from . import origin

CATALOGUES = "blender_assets.cats.txt"  # Blender's own name for the file in an asset library's folder
HEAD = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"
SPACE = uuid.UUID("4f8f6b0e-6d0c-5c41-9a56-1a5f4c1f3d20")  # in which a catalogue's path makes its id: the same on every machine
LINE = re.compile(r"([0-9a-fA-F-]{36}):([^:]*):?.*")
SMALL_WORDS = frozenset(("a", "an", "the", "with", "and", "of", "on", "in", "its", "to", "for", "at", "by", "from", "is", "that"))


def mark(
    item: bpy.types.Object,
    *,
    tags: Iterable[str] = (),
    description: str = "",
    licence: str = "",
    author: str = "",
    catalogue: str = "",
    library: Path | None = None,
    picture: Path | None = None,
) -> None:
    """Make an object of this file an asset, or change what an asset says of itself.

    tags: added to those that it has. catalogue: its path, as in "Props/Food"; with `library`, the folder of an asset library, it is
    written into that folder's list of catalogues. picture: an image file for the preview; without one, Blender draws it where it has a
    window, and leaves it empty where it has none. Raises ValueError for an object of another file, WriteError.
    """
    if item.library or item.override_library:
        raise ValueError(f"“{item.name}” belongs to another file: make it local first.")
    path = tidy(catalogue)
    number = catalogue_ids(library, [path])[path] if path else None
    item.asset_mark()
    about = item.asset_data
    for name, value in (("description", description), ("license", licence), ("author", author)):
        if value:
            setattr(about, name, value)
    for tag in dict.fromkeys(filter(None, map(str.strip, tags))):
        about.tags.new(tag, skip_if_exists=True)
    if number:
        about.catalog_id = number
    _give_preview(item, picture)


def _give_preview(item: bpy.types.Object, picture: Path | None) -> None:
    """A preview from a file; else one that Blender draws by and by."""
    if picture is not None and picture.is_file():
        with bpy.context.temp_override(id=item), contextlib.suppress(RuntimeError):  # one that cannot be read
            bpy.ops.ed.lib_id_load_custom_preview(filepath=str(picture))
            return
    if not bpy.app.background:
        item.asset_generate_preview()


def tags_of(item: bpy.types.Object) -> list[str]:
    """Tags for an object that was made here: the words of its prompt by which somebody would look for it."""
    found = origin.of(item)
    words = re.findall(r"[^\W_][\w'’-]*", found.prompt.lower()) if found else []
    return list(dict.fromkeys(word for word in words if word not in SMALL_WORDS))


# Catalogues -----------------------------------------------------------------------------------------------------------------------


def tidy(catalogue: str) -> str:
    """A catalogue's path as its file takes it: parts apart by "/", none of them empty, no colon and no line's end."""
    parts = (" ".join(re.sub(r"[:\\\x00-\x1f]", " ", part).split()) for part in catalogue.split("/"))
    return "/".join(filter(None, parts))


def library_folder() -> Path | None:
    """Where the catalogues of this file stand: in the asset library that it lies in, else beside it; None for a file that was never
    saved."""
    if not bpy.data.filepath:
        return None
    here = Path(os.path.realpath(bpy.data.filepath)).parent
    libraries = [one.path for one in bpy.context.preferences.filepaths.asset_libraries if one.path]
    folders = [Path(os.path.realpath(bpy.path.abspath(path))) for path in libraries]
    return next((folder for folder in folders if here.is_relative_to(folder)), here)


def catalogues(folder: Path) -> dict[str, str]:
    """The catalogues of an asset library: path -> id. Nothing where it has no list."""
    try:
        lines = (folder / CATALOGUES).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {found[2].strip(): found[1] for line in lines if (found := LINE.fullmatch(line.strip()))}


def catalogue_ids(folder: Path | None, paths: Iterable[str]) -> dict[str, str]:
    """The ids of catalogues by their (tidy) paths; those that a library's list lacks are added to it, and what it has stays.

    Without a folder nothing is written. Raises WriteError.
    """
    known, paths = catalogues(folder) if folder else {}, list(dict.fromkeys(paths))
    ids = {path: known.get(path) or str(uuid.uuid5(SPACE, path)) for path in paths}
    missing = [path for path in paths if path not in known]
    if folder is None or not missing:
        return ids
    file, partial = folder / CATALOGUES, folder / f".{CATALOGUES}.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8") if file.exists() else HEAD
        text += "" if text.endswith("\n") else "\n"
        text += "".join(f"{ids[path]}:{path}:{path.replace('/', '-')}\n" for path in missing)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    except (OSError, UnicodeDecodeError) as error:
        raise WriteError(file, getattr(error, "strerror", None) or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return ids
