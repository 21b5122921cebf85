# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as assets: marked, with a picture, and written; each into a file of its own, or all into one.

A file for each keeps memory small, lets a run go on where it was, lets machines fill one folder together, and makes a remote library in
which a click downloads one object. One file is easier to hand over.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import bpy

from .. import files
from ..client.job import Result
from ..naming import search_words, slug
from ..populate.job import Job, Want
from ..scene import assets, meshes, origin, preview
from ..scene.asset_file import scene_of
from .prompt_list import Entry

OPENING = re.compile(r"^((an?\s+)?((3d\s+)?model|render|picture|image)\s+of\s+)?((an?|the)\s+)?(?=\S)", re.IGNORECASE)
FILED = re.compile(r"-([0-9a-f]{10})\.blend")  # the end of an object's file name: see Entry.stem


class Shelf(Job):
    """The job of a folder that has a file for each object: what is in such a file is made, and its message is not kept any longer."""

    def __init__(self, job: Path, folder: Path):
        super().__init__(job)
        self.library = folder
        self.filed = {found[1] for path in folder.rglob("*.blend") if (found := FILED.search(path.name))}

    def has(self, want: Want) -> bool:
        return want.key[:10] in self.filed or super().has(want)

    def has_filed(self, entry: Entry) -> bool:
        return entry.want.key[:10] in self.filed

    def file(self, entry: Entry, catalogue: str) -> bool:
        """Write an object whose message is there into its own file; returns whether there was one. Raises WriteError; ValueError for what
        makes no object."""
        result = None if self.has_filed(entry) else self.read(entry.want)
        if result is None:
            return False
        folder = self.library.joinpath(*map(slug, entry.catalogue.split("/"))) if entry.catalogue else self.library
        folder.mkdir(parents=True, exist_ok=True)
        with meshes.all_or_nothing():
            item = asset(result, entry, catalogue)
            with scene_of([item], item.name, bpy.context.scene) as scene, files.written(folder / f"{entry.stem}.blend") as partial:
                bpy.data.libraries.write(str(partial), {scene, item}, fake_user=True, compress=True)
        mesh = item.data
        bpy.data.objects.remove(item)
        origin.forget_unused(mesh)
        self.filed.add(entry.want.key[:10])
        self.path(entry.want).unlink(missing_ok=True)
        return True


def collect(
    kept: Job, entries: Iterable[Entry], catalogues: dict[str, str], progress: Callable[[int], None] = lambda done: None
) -> list[bpy.types.Object]:
    """Build all objects whose messages are there as assets of the open file, in no scene: so it opens quickly, whatever it holds. One that
    cannot be built is listed in `kept.failed`."""
    made = []
    for entry in entries:
        if result := kept.read(entry.want):
            try:
                with meshes.all_or_nothing():
                    made.append(asset(result, entry, catalogues.get(entry.catalogue, "")))
            except ValueError as error:
                kept.drop(entry.want, str(error))
            progress(len(made))
    return made


def asset(result: Result, entry: Entry, catalogue: str) -> bpy.types.Object:
    """An object in no collection, marked as an asset of the catalogue with this number. Raises ValueError."""
    item = meshes.build_object(result, height_m=entry.height_m, unit_m=bpy.context.scene.unit_settings.scale_length)
    name, seed = (entry.name, 0) if entry.name else (title(result.prompt), result.seed)
    item.name = meshes.short_name(name, seed, length=meshes.NAME_BYTES)  # the Asset Browser has room for all that Blender keeps
    tags, told = entry.tags or search_words(result.prompt), entry.description or result.prompt
    assets.mark(item, tags=tags, description=told, licence=entry.licence, author=entry.author)
    if catalogue:
        item.asset_data.catalog_id = catalogue
    preview.put(item)
    return item


def title(prompt: str) -> str:
    """A prompt as a name in a list that is sorted: without its article, and without "a 3D model of"."""
    rest = OPENING.sub("", prompt).rstrip(" .!") or prompt
    return rest[:1].upper() + rest[1:]


def catalogue_of(prompt: str, groups: dict[str, str]) -> str:
    """The group of the thing that a prompt names first; "" where it names none. groups: of things by their names."""
    places = ((re.search(rf"\b{re.escape(name)}s?\b", prompt, re.IGNORECASE), name, group) for name, group in groups.items())
    return min(((at.start(), -len(name), group) for at, name, group in places if at), default=(0, 0, ""))[2]
