# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an object comes from, as its custom properties say; and exchanging it for another of the same description."""

import json
import re
from dataclasses import dataclass

import bpy
import numpy as np

from ..client.job import Result
from . import meshes

SAME = 0.02  # how far factors of scale along the axes may differ: a remeshed object is not quite as large as it was


@dataclass(frozen=True)
class Origin:
    """What an object was made of. `settings` as they were asked for; `notes`: sentences of the engine; `timings_ms` of each stage. `blend`:
    a second prompt and its share; `cloud`: the hash of a shape that it started from; `adherence`: how closely it was to keep to that;
    `planes`: the hash of what it was refined to."""

    prompt: str
    seed: int
    style: list[float] | None  # z itself, where that was asked for instead of a seed
    model: str
    settings: dict
    notes: list[str]
    familiar: bool
    timings_ms: dict[str, float]
    blend: tuple[str, float] | None = None
    cloud: str = ""
    adherence: float | None = None
    planes: str = ""

    @property
    def plain(self) -> bool:
        """Whether prompt, seed, model and settings alone make it again."""
        return not (self.style or self.blend or self.cloud or self.planes)

    @property
    def detail(self) -> str:
        """Its level of detail; nothing for an object of before there were such."""
        return str(self.settings.get("detail", ""))

    @property
    def height_m(self) -> float:
        """How high it was made, in metres, before anybody scaled it; 0 where that is not known."""
        height = self.settings.get("height_m")
        return max(height, 0.0) if isinstance(height, int | float) else 0.0


def _read(item: bpy.types.Object, name: str, kind: type):
    """A custom property that holds JSON of one kind; an empty one where somebody has changed it."""
    try:
        value = json.loads(item.get(name, "null"))
    except (TypeError, ValueError):
        value = None
    return value if isinstance(value, kind) else kind()


def of(item: bpy.types.Object | None) -> Origin | None:
    """The origin of an object; None for one that was not made here."""
    if item is None or item.type != "MESH" or not isinstance(prompt := item.get("latte3d_prompt"), str):
        return None
    seed = item.get("latte3d_seed", 0)
    return Origin(
        prompt,
        seed if isinstance(seed, int) else 0,
        _style(item),
        str(item.get("latte3d_model", "")),
        _read(item, "latte3d_settings", dict),
        [note for note in _read(item, "latte3d_notes", list) if isinstance(note, str)],
        bool(item.get("latte3d_familiar", True)),
        {stage: ms for stage, ms in _read(item, "latte3d_timings_ms", dict).items() if isinstance(ms, int | float)},
        _blend(item),
        cloud if isinstance(cloud := item.get("latte3d_cloud"), str) else "",
        adherence if isinstance(adherence := item.get("latte3d_adherence"), int | float) and 0 <= adherence <= 1 else None,
        planes if isinstance(planes := item.get("latte3d_planes"), str) else "",
    )


def _blend(item: bpy.types.Object) -> tuple[str, float] | None:
    """A second prompt and its share; None where there is none, or somebody has changed it."""
    match _read(item, "latte3d_blend", list):
        case [str(prompt), int() | float() as share] if 0 <= share <= 1:
            return prompt, float(share)
    return None


def _style(item: bpy.types.Object) -> list[float] | None:
    """z [8], where the object was made of a style; None where it was not, or somebody has changed it."""
    try:
        style = [float(number) for number in item.get("latte3d_style", ())]
    except (TypeError, ValueError):
        return None
    return style if len(style) == 8 else None


def replaceable(name: str) -> bpy.types.Object | None:
    """The object of this name, if it can become another: it may have been deleted since, or be linked from another file."""
    item = bpy.data.objects.get(name) if name else None
    return item if of(item) and not item.library and not item.override_library else None


def height_to_keep(item: bpy.types.Object, unit_m: float) -> float:
    """How high, in metres, what takes an object's place has to be before the object's own scale: as it was made, times the scale that was
    applied to its mesh since, which is the same along all axes. `unit_m`: metres in a unit of the scene."""
    found, points = of(item), np.empty((len(item.data.vertices), 3), np.float32)
    size = found.settings.get("size_m")
    if not (isinstance(size, list) and len(size) == 3 and all(isinstance(one, int | float) and one > 0 for one in size) and len(points)):
        return found.height_m
    item.data.vertices.foreach_get("co", points.ravel())
    scale = np.ptp(points, axis=0) * unit_m / np.array(size)
    return found.height_m * float(scale.mean()) if scale.min() > 0 and np.ptp(scale) < SAME * scale.mean() else found.height_m


def height_given(prompt: str, model: str) -> float:
    """How high, in metres, the newest object of this file is that a model made of a prompt, as it was placed and scaled since; 0 where
    there is none."""
    said = " ".join(prompt.lower().split())
    newest = 0, 0.0
    for item in bpy.data.objects:
        found = of(item)
        if found and found.model == model and " ".join(found.prompt.lower().split()) == said and found.height_m:
            newest = max(newest, (item.session_uid, found.height_m * abs(item.matrix_world.to_scale().z)))
    return newest[1]


def own_height(result: Result) -> float:
    """How high a result stands, in metres: as predicted, or as its like was given last where the model knows no real height."""
    given = 0.0 if result.fields.get("height_known", True) else height_given(result.prompt, result.fields["model"])
    return given or result.fields["height_m"]


def replace_object(old: bpy.types.Object, made: bpy.types.Object) -> bpy.types.Object:
    """Let an object that is in the scene become a new one that is in no collection yet: it keeps its transform, parent, collections,
    modifiers, whatever refers to it and a name that somebody gave it, and takes the mesh with its material and the origin. Returns it;
    `made` is gone."""
    found = of(old)
    given = found is not None and _plain(old.name) != meshes.short_name(found.prompt, found.seed)
    before, old.data = old.data, made.data
    for name in [name for name, _ in old.items() if name.startswith("latte3d_")]:
        del old[name]
    for name, value in made.items():
        old[name] = value
    old.color = made.color
    name = made.name
    bpy.data.objects.remove(made)
    if not given and _plain(old.name) != _plain(name):  # of the same description it was built beside this one, with a number after its name
        old.name = name
    forget_unused(before)
    return old


def _plain(name: str) -> str:
    """A data-block's name without the number that Blender appends."""
    return re.sub(r"\.\d{3,}$", "", name)


def forget_unused(mesh: bpy.types.Mesh) -> None:
    """Remove a mesh that nothing uses any more, and the materials and images that only it used."""
    if mesh.users:
        return
    materials = [material for material in mesh.materials if material]
    images = [node.image for material in materials if material.node_tree for node in material.node_tree.nodes if node.type == "TEX_IMAGE"]
    for block in (mesh, *dict.fromkeys(materials), *dict.fromkeys(filter(None, images))):
        if not block.users:
            bpy.data.batch_remove([block])
