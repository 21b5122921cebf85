# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the open scene as an asset: a .blend with a scene of its own. The open file is as it was afterwards."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bpy
from mathutils import Vector

from .. import files, library_writer
from . import origin

SURFACES = ("MESH", "CURVE", "CURVES", "SURFACE", "META", "FONT")
NO_SURFACE = ("LIGHT", "CAMERA", "SPEAKER", "LIGHT_PROBE")


def has_surface(item: bpy.types.Object) -> bool:
    """Whether an object, what it instances or what hangs on it can be learnt from."""
    family = (item, *item.children_recursive)
    return any(one.type in SURFACES or (one.type == "EMPTY" and one.instance_collection) for one in family)


def chosen(selected: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """The selected objects that become assets: what hangs on another selected one goes with that. In the order of their names."""
    names = {item.name_full for item in selected}

    def above(item):
        while item := item.parent:
            yield item.name_full

    roots = [item for item in selected if not names.intersection(above(item)) and has_surface(item)]
    return sorted(roots, key=lambda item: item.name_full)


def suggestion(item: bpy.types.Object) -> str:
    """A prompt for an object: the one that it was made from, else what its name, its mesh's or its collection's says."""
    if found := origin.of(item):
        return found.prompt
    instanced = item.instance_collection.name if item.instance_collection else ""
    names = (item.name, item.data.name if item.data else instanced, *(collection.name for collection in item.users_collection))
    return next(filter(None, map(library_writer.prompt_of, names)), "")


def height_m(context: bpy.types.Context, roots: Sequence[bpy.types.Object]) -> float:
    """How high things are together in the open scene, with their instances, in metres."""
    depsgraph, names = context.evaluated_depsgraph_get(), {one.name_full for root in roots for one in (root, *root.children_recursive)}
    heights = []
    for instance in depsgraph.object_instances:
        of = instance.parent if instance.is_instance else instance.object
        if of and of.original.name_full in names and instance.object.type in SURFACES:
            heights += [(instance.matrix_world @ Vector(corner)).z for corner in instance.object.bound_box]
    return (max(heights) - min(heights)) * context.scene.unit_settings.scale_length if heights else 0.0


@dataclass
class Writer:
    """Writes assets into one library. notes: what the artist should know of them; made: files that were not there before."""

    folder: Path
    notes: list[str] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)
    _uses: dict = field(default_factory=dict)  # data-block -> those that it uses

    def write(self, roots: Sequence[bpy.types.Object], asset: str, name: str, like: bpy.types.Scene) -> None:
        """Write objects with all that hangs on them to the path `asset` of the library. Raises EngineFault, OSError."""
        items = list(dict.fromkeys(one for root in roots for one in (root, *root.children_recursive)))
        path = self.folder / asset
        path.parent.mkdir(parents=True, exist_ok=True)
        images = self._images(items)
        self.made += [] if path.exists() else [path]
        with scene_of(items, name, like) as scene, self._moved(images), files.written(path) as partial:
            bpy.data.libraries.write(str(partial), {scene, *items}, path_remap="RELATIVE_ALL", fake_user=True, compress=True)

    def take_back(self) -> None:
        """Remove what was written, where the rest failed."""
        for path in self.made:
            path.unlink(missing_ok=True)

    def _note(self, text: str) -> None:
        self.notes += [text] if text not in self.notes else []

    def _images(self, items: Sequence[bpy.types.Object]) -> list[bpy.types.Image]:
        """The images that objects use, directly or not. Raises EngineFault for one whose pixels are nowhere but in memory."""
        if not self._uses:
            self._uses = defaultdict(list)
            for block, users in bpy.data.user_map().items():
                for user in users:
                    self._uses[user].append(block)
        found, left = set(items), list(items)
        while left:
            new = [block for block in self._uses.get(left.pop(), ()) if block not in found]
            found.update(new)
            left += new
        if linked := [block for block in found if block.library]:
            self._note(f"{len(linked)} data-blocks are linked from other files, and stay so: make them local to give the library away.")
        images = [block for block in found if isinstance(block, bpy.types.Image) and block.source != "VIEWER"]
        for image in images:
            if image.is_dirty:
                remedy = "Save or pack it in the Image Editor (Image > Save, Pack), then add the object again."
                raise library_writer.fault(f"The image “{image.name}” has changes that are not saved.", "", remedy)
        return images

    @contextmanager
    def _moved(self, images: Sequence[bpy.types.Image]) -> Iterator[None]:
        """Let images that are files be those beside the assets, which are copied there, while an asset is written."""
        before = {}
        try:
            for image in images:
                if image.source not in ("FILE", "TILED") or image.packed_file or image.library or not image.filepath_raw:
                    continue
                path = Path(bpy.path.abspath(image.filepath_raw))
                if "<UDIM>" not in path.name and not path.is_file():
                    self._note(f"The image {path} is missing: Prepare will say so too.")
                    continue
                there, made = library_writer.take_texture(self.folder, path)
                self.made += made
                before[image] = image.filepath_raw
                image.filepath_raw = str(there.resolve())  # reloads nothing, and is set back below
            yield
        finally:
            for image, path in before.items():
                image.filepath_raw = path


@contextmanager
def scene_of(items: Sequence[bpy.types.Object], name: str, like: bpy.types.Scene) -> Iterator[bpy.types.Scene]:
    """A scene with these objects, so that who opens the asset sees them; it is gone afterwards."""
    made = bpy.data.scenes.new(name)
    try:
        for setting in ("system", "scale_length", "length_unit"):
            setattr(made.unit_settings, setting, getattr(like.unit_settings, setting))
        made.frame_current = like.frame_current
        for item in items:
            made.collection.objects.link(item)
        made.view_layers[0].objects.active = items[0]  # brings the layer up to date; Blender 5.2 crashes on writing one that is not
        yield made
    finally:
        bpy.data.scenes.remove(made)


def identity(name: str) -> str:
    """What makes a thing of this file the same thing when it is added again; nothing in a file that was never saved."""
    return f"{os.path.realpath(bpy.data.filepath)}\n{name}" if bpy.data.filepath else ""
