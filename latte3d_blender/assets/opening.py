# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens an asset of any kind in a clean scene, without running what lies in it."""

import contextlib
import json
import re
import urllib.parse
from pathlib import Path

import bpy

from . import Unusable

IMPORTERS = {
    ".glb": ("import_scene.gltf", {"disable_bone_shape": True}),
    ".gltf": ("import_scene.gltf", {"disable_bone_shape": True}),
    ".obj": ("wm.obj_import", {}),
    ".fbx": ("import_scene.fbx", {"use_anim": False}),
    ".ply": ("wm.ply_import", {}),
    ".stl": ("wm.stl_import", {}),
    **dict.fromkeys((".usd", ".usda", ".usdc", ".usdz"), ("wm.usd_import", {"import_lights": False, "import_cameras": False})),
}  # operator, and options that this Blender may or may not have
LISTED = 6  # names in a reason


def open_asset(path: Path, part: str) -> list[str]:
    """Open `path` and leave in the scene only `part` ("": all of it). Returns notes for the report. Raises Unusable."""
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    clean_scene()
    try:
        if path.suffix.lower() == ".blend":
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
        else:
            _import(path)
    except RuntimeError as error:
        raise Unusable(f"Blender cannot read it: {_reason(error)}") from error
    except Unusable:
        raise
    except Exception as error:  # importers are scripts that meet broken files with any error at all
        raise Unusable(f"Blender's importer failed: {type(error).__name__}: {_reason(error)}") from error
    notes = []
    if len(bpy.data.scenes) > 1:
        notes.append(f"The file has {len(bpy.data.scenes)} scenes; {bpy.context.scene.name!r} was used.")
    if part:
        _leave(part)
    _show_what_renders()
    _rest()
    return notes


def clean_scene() -> None:
    """An empty file; preferences stay."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def files_of(path: Path) -> tuple[list[Path], list[str]]:
    """The files that the open asset was made from, and notes on those that are missing."""
    files, notes = {path}, []
    for image in bpy.data.images:
        if image.source in ("FILE", "TILED") and not image.packed_file and image.filepath:
            files.add(_absolute(image.filepath, image.library))
    for library in bpy.data.libraries:
        file = _absolute(library.filepath, library.parent)
        files.add(file)
        if not file.is_file():
            notes.append(f"The linked library {library.filepath} is missing.")
    files.update(_named_in(path))
    return sorted(files), notes


def _absolute(name: str, library) -> Path:
    return Path(bpy.path.abspath(name, library=library)).resolve()


def _named_in(path: Path) -> list[Path]:
    """The files that a .gltf and an .obj name; Blender forgets them."""
    if path.suffix.lower() == ".gltf":
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            document = json.loads(path.read_bytes())
            entries = [*document.get("buffers", []), *document.get("images", [])]
            names = [e.get("uri", "") for e in entries]
            return [(path.parent / urllib.parse.unquote(n)).resolve() for n in names if n and not n.startswith("data:")]
    if path.suffix.lower() == ".obj":
        with open(path, errors="replace") as lines:
            return [(path.parent / line[7:].strip()).resolve() for line in lines if line.startswith("mtllib ")]
    return []


def _import(path: Path) -> None:
    name, options = IMPORTERS[path.suffix.lower()]
    group, operator = name.split(".")
    function = getattr(getattr(bpy.ops, group), operator)
    try:
        known = function.get_rna_type().properties
    except KeyError as error:
        raise Unusable(f"This Blender has no importer for {path.suffix} files.") from error
    if function(filepath=str(path), **{k: v for k, v in options.items() if k in known}) != {"FINISHED"}:
        raise Unusable("Blender cannot read it.")


def _reason(error: Exception) -> str:
    """The last line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"^(RuntimeError: )?Error: ", "", lines[-1] if lines else type(error).__name__)
    return text[:200].rstrip(".") + "."


def _leave(part: str) -> None:
    """A scene with one object and its children, or with one collection."""
    chosen, collection = bpy.data.objects.get(part), bpy.data.collections.get(part)
    if chosen is None and collection is None:
        names = [o.name for o in bpy.data.objects] + [c.name for c in bpy.data.collections]
        some = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
        raise Unusable(f"There is no object or collection {part!r} in it; there are {some or 'none'}.")
    objects = [chosen, *chosen.children_recursive] if chosen else list(collection.all_objects)
    scene = bpy.data.scenes.new("Chosen")
    for item in objects:
        scene.collection.objects.link(item)
    for item in (chosen,) if chosen else ():
        item.hide_render = False
    bpy.context.window.scene = scene


def _show_what_renders() -> None:
    """The viewport's evaluation is what Python sees: what is hidden in renders is hidden in it, and nothing else is."""
    for item in [*bpy.data.objects, *bpy.data.collections]:
        if item.library is None:
            item.hide_viewport = item.hide_render
    waiting = [bpy.context.view_layer.layer_collection]
    while waiting:
        layer = waiting.pop()
        layer.hide_viewport = False
        waiting.extend(layer.children)
    for item in bpy.context.view_layer.objects:
        item.hide_set(False)


def _rest() -> None:
    for armature in bpy.data.armatures:
        if armature.library is None:
            armature.pose_position = "REST"
    bpy.context.view_layer.update()
