# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as assets of Blender's Asset Browser: tags, description, licence, author, catalogue and a preview picture."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import bpy

from .. import catalogues
from ..naming import search_words
from . import origin


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
    path, number = catalogues.tidy(catalogue), ""
    if path:
        number = catalogues.ensure(library, [path])[path] if library else catalogues.own_id(path)
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
    return search_words(found.prompt) if found else []


def library_folder() -> Path | None:
    """Where the catalogues of this file stand: in the asset library that it lies in, else beside it; None for a file that was never
    saved."""
    if not bpy.data.filepath:
        return None
    here = Path(os.path.realpath(bpy.data.filepath)).parent
    libraries = [one.path for one in bpy.context.preferences.filepaths.asset_libraries if one.path]
    folders = [Path(os.path.realpath(bpy.path.abspath(path))) for path in libraries]
    return next((folder for folder in folders if here.is_relative_to(folder)), here)
