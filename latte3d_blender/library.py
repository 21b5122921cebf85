# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of preparing a prompt library: an asset in, one file with its triangles, looks and pictures out.

The engine's Python starts this as a process (`main`), sends one request a line and reads one answer a line, both JSON:
{"asset": path, "part": name or "", "front": "-y", "picture": pixels, "out": path}
{"ok": true, "files": [...], "missing": [...]} or {"ok": false, "reason": "…", "files": [...]}; with "fatal": true nothing can go on
The file is a message of the wire (protocol.py): what `Export.message` says.
"""

import contextlib
import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from .assets import Unusable, baking, cutting, geometry, materials, opening, picture
from .client import protocol

SPAN = 0.96  # longest side in the engine's frame: z up, front +x, centred
LIGHT = "The material {!r} lets light through; it is taken as solid."
TURNS = {"+x": 0.0, "+y": -90.0, "-x": 180.0, "-y": 90.0}  # degrees about z that bring the front to +x


@dataclass
class Export:
    """What is gathered of one asset; lists grow part by part. Arrays as in `message`."""

    vertices: list[np.ndarray] = field(default_factory=list)
    triangles: list[np.ndarray] = field(default_factory=list)
    look: list[np.ndarray] = field(default_factory=list)
    corner: list[np.ndarray] = field(default_factory=list)
    uv: list[list[np.ndarray]] = field(default_factory=lambda: [[], [], []])
    looks: dict[tuple, dict] = field(default_factory=dict)
    pictures: dict[tuple, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    cuts: list[tuple[int, str, np.ndarray, np.ndarray, cutting.Cut]] = field(default_factory=list)  # part, material, its faces [F], uv, cut

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def add(self, part: geometry.Part) -> int:
        """Take a part's triangles; returns the number of this part, its place in the lists."""
        shift, count = sum(map(len, self.vertices)), len(part.triangles)
        self.vertices.append(part.vertices)
        self.triangles.append(part.triangles + np.int32(shift))
        self.look.append(np.full(count, -1, np.int32))
        self.corner.append(np.ones((count, 3, 3), np.float32))
        for uvs in self.uv:
            uvs.append(np.zeros((count, 3, 2), np.float32))
        return len(self.triangles) - 1

    def replace(self, kept: list[np.ndarray], pieces: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
        """Keep some triangles of each part, bool [F] each, and add pieces: of which part, triangles [N], places in them [N, 3, 3]."""
        whole, total = np.concatenate(self.vertices), sum(map(len, self.vertices))
        rows = (self.look, self.corner, *self.uv)
        for number, of, places in pieces:
            corners = np.einsum("nij,njk->nik", places, whole[self.triangles[number][of]])
            self.vertices.append(corners.reshape(-1, 3))
            self.triangles.append(np.arange(total, total + 3 * len(of), dtype=np.int32).reshape(-1, 3))
            total += 3 * len(of)
            self.look.append(self.look[number][of])
            for values in rows[1:]:
                values.append(np.einsum("nij,njk->nik", places, values[number][of]).astype(np.float32))
        for values in (self.triangles, *rows):
            values[: len(kept)] = [v[chosen] for v, chosen in zip(values, kept, strict=False)]

    def message(self, front: str) -> tuple[dict, dict[str, np.ndarray]]:
        """Facts and arrays: vertices [V, 3] f32 in the engine's frame, triangles [F, 3] i32, look [F] i32 (row of facts["looks"]),
        corner [F, 3, 3] f32 (linear factors of the colour), uv0, uv1, uv2 [F, 3, 2] f32 where one is used, picture0 … (bytes, [H, W, 3] in
        sRGB or [H, W] linear, lowest row first). facts["height"] is in the asset's units."""
        vertices, triangles = np.concatenate(self.vertices), np.concatenate(self.triangles)
        finite = np.isfinite(vertices).all(1)[triangles].all(1)
        if not finite.all():
            self.note(f"{(~finite).sum()} triangles have corners that are no numbers; they are left out.")
        used = vertices[np.unique(triangles[finite])]
        size = np.ptp(used, axis=0) if len(used) else np.zeros(3)
        if not 0 < size.max() < 1e30:
            raise Unusable("It has no size.")
        center = (used.max(0) + used.min(0)) / 2
        turn = math.radians(TURNS[front])
        c, s = round(math.cos(turn)), round(math.sin(turn))
        placed = np.nan_to_num(vertices - center) @ np.array(((c, s, 0), (-s, c, 0), (0, 0, 1))) * (SPAN / size.max())
        arrays = {"vertices": placed.astype(np.float32), "triangles": triangles[finite]}
        arrays |= {"look": np.concatenate(self.look)[finite], "corner": np.concatenate(self.corner)[finite]}
        arrays |= {f"uv{k}": np.concatenate(uvs)[finite] for k, uvs in enumerate(self.uv) if any(map(np.any, uvs))}
        arrays |= {f"picture{i}": pixels for i, pixels in enumerate(self.pictures.values())}
        facts = {"looks": list(self.looks.values()), "height": float(size[2]), "size": size.tolist(), "center": center.tolist()}
        return facts, arrays


# Looks ----------------------------------------------------------------------------------------------------------------------------------


def gather(export: Export) -> None:
    """Take what the open scene shows. Raises Unusable."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    to_bake = []
    for part in geometry.parts(depsgraph):
        number = export.add(part)
        rest = []
        for slot in np.unique(part.slot).tolist():
            if cut := cutting.read_cut(part.slots[slot]):
                uvs = _uvs(export, part, cut.channel.layer, cut.channel.place)
                export.cuts.append((number, part.slots[slot].name, part.slot == slot, uvs, cut))
            try:
                _take_look(export, part, number, slot, materials.read_look(part.slots[slot], part.mesh))
            except materials.NoImage:
                _take_unknown(export, part, number, slot)
            except materials.NotReadable as reason:
                rest.append(slot)
                export.note(f"The material {part.slots[slot].name!r} was baked ({reason}).")
        if rest:
            to_bake.append((number, baking.copy_of(part, depsgraph), part.matrix, list(part.slots), rest, part.loops, part.slot))
    if not export.triangles:
        raise Unusable("There is nothing in it that has a surface.")
    for number, mesh, matrix, slots, rest, loops, slot_of in to_bake:
        uvs, pictures = baking.bake(mesh, matrix, slots, rest)
        for channel, pixels in pictures.items():
            export.pictures[number, channel] = pixels
        order = list(export.pictures)
        entries = {
            channel: {"factor": [1.0] * (3 if channel == "color" else 1), "picture": order.index((number, channel)), "uv": 0,
                      "interpolation": "Linear", "extension": "EXTEND"}
            for channel in materials.CHANNELS
        }  # fmt: skip
        for slot in rest:
            chosen = slot_of == slot
            export.uv[0][number][chosen] = uvs[loops[chosen]]
            missing = materials.missing_images(slots[slot].node_tree)
            export.missing |= missing
            entry = {"name": slots[slot].name, "known": not missing, **entries}
            export.look[number][chosen] = _look_number(export, ("baked", number, slot), entry)
    _cut_out(export)


def _look_number(export: Export, key: tuple, entry: dict) -> int:
    export.looks.setdefault(key, entry)
    return list(export.looks).index(key)


def _take_look(export: Export, part: geometry.Part, number: int, slot: int, look: materials.Look) -> None:
    """Give the triangles of one slot their look, with UVs and corner colours. An image without pixels makes it unknown."""
    chosen = part.slot == slot
    material = part.slots[slot]
    layers = list(dict.fromkeys((c.layer, c.place) for c in look.channels() if c.image))
    entry, known = {"name": look.name}, material is not None or look.color.corner is not None
    if not known:
        export.note("Faces without a material: their colour is not known.")
    for name, channel in zip(materials.CHANNELS, look.channels(), strict=True):
        entry[name] = {"factor": list(channel.factor), "picture": -1}
        if channel.image and materials.is_missing(channel.image):
            export.missing.add(channel.image.filepath or channel.image.name)
            known = False
        elif channel.image:
            entry[name] |= {"picture": _picture(export, channel), "uv": layers.index((channel.layer, channel.place))}
            entry[name] |= {"interpolation": channel.interpolation, "extension": channel.extension}
    for k, (layer, place) in enumerate(layers):
        export.uv[k][number][chosen] = _uvs(export, part, layer, place)[chosen]
    if look.color.corner is not None:
        export.corner[number][chosen] = _corners(export, part, look.color.corner)[chosen]
    if look.transparent and not cutting.read_cut(material):
        export.note(LIGHT.format(look.name))
    entry["known"] = known
    key = (look.name, json.dumps(entry))
    export.look[number][chosen] = _look_number(export, key, entry)


def _picture(export: Export, channel: materials.Channel) -> int:
    key = (channel.image.name_full, channel.take)
    if key not in export.pictures:
        export.pictures[key] = materials.pixels(channel.image, channel.take)
    return list(export.pictures).index(key)


def _uvs(export: Export, part: geometry.Part, layer: str, place: tuple) -> np.ndarray:
    """[F, 3, 2]"""
    layers = part.mesh.uv_layers
    chosen = layers.get(layer) if layer else next((u for u in layers if u.active_render), None)
    if chosen is None:
        export.note("A material has an image, and its mesh no UV map for it.")
        return np.zeros((*part.loops.shape, 2), np.float32)
    uvs = geometry.corner_values(part, lambda flat: chosen.uv.foreach_get("vector", flat), 2)
    matrix = np.array(place).reshape(2, 3)
    return uvs if place == materials.Channel.place else (uvs @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _corners(export: Export, part: geometry.Part, name: str) -> np.ndarray:
    """Linear colours [F, 3, 3]."""
    attributes = part.mesh.color_attributes
    chosen = attributes.render_color_index
    attribute = attributes.get(name) if name else attributes[chosen] if 0 <= chosen < len(attributes) else None
    if attribute is None:
        export.note(f"The colour attribute {name!r} is missing: black." if name else "A colour attribute is missing: black.")
        return np.zeros((*part.loops.shape, 3), np.float32)
    flat = np.empty(4 * len(attribute.data), np.float32)
    attribute.data.foreach_get("color", flat)
    rows = part.loops if attribute.domain == "CORNER" else _vertex_of_loop(part)[part.loops]
    return flat.reshape(-1, 4)[rows][..., :3]


def _vertex_of_loop(part: geometry.Part) -> np.ndarray:
    out = np.empty(len(part.mesh.loops), np.int32)
    part.mesh.loops.foreach_get("vertex_index", out)
    return out


def _cut_out(export: Export) -> None:
    """Faces that an image cuts out become the small triangles of them that are there."""
    if not export.cuts:
        return
    vertices = np.concatenate(export.vertices)
    size = np.ptp(vertices[np.isfinite(vertices).all(1)], axis=0).max(initial=0)
    kept, pieces = [np.ones(len(t), bool) for t in export.triangles], []
    for number, name, chosen, uvs, cut in export.cuts:
        rows = np.flatnonzero(chosen)
        found = cutting.trim(vertices[export.triangles[number][rows]], uvs[rows], cutting.alpha_of(cut), cut, size) if size > 0 else None
        if found is None:
            continue
        replaced, of, places = found
        if not len(of):
            export.note(LIGHT.format(name))
            continue
        export.note(f"The material {name!r} is cut out where its image's alpha is under {cut.threshold:.2g}.")
        kept[number][rows[replaced]] = False
        pieces.append((number, rows[of], places))
    export.replace(kept, pieces)


def _take_unknown(export: Export, part: geometry.Part, number: int, slot: int) -> None:
    """A material that needs an image that the importer did not find."""
    material = part.slots[slot]
    export.missing |= {f"{name} (material {material.name})" for name in materials.missing_images(material.node_tree)}
    export.look[number][part.slot == slot] = _look_number(export, ("unknown",), {"name": material.name, "known": False})


def without_materials(export: Export, files: list[Path]) -> None:
    """An OBJ whose .mtl is missing has materials in name only."""
    for file in files:
        if file.suffix.lower() == ".mtl" and not file.is_file():
            export.missing.add(str(file))
            for look in export.looks.values():
                look["known"] = False


# The process ----------------------------------------------------------------------------------------------------------------------------


def export_asset(request: dict) -> dict:
    """Do one request; returns the answer."""
    path, export = Path(request["asset"]), Export()
    files = [path]
    try:
        export.notes += opening.open_asset(path, request["part"])
        files, notes = opening.files_of(path)
        export.notes += notes
        gather(export)
        without_materials(export, files)
        facts, arrays = export.message(request["front"])
        missing = sorted(_beside(path, name) for name in export.missing)
        facts |= {"names": geometry.names_in_scene(), "notes": export.notes, "missing": missing}
        if request["picture"]:
            turn = -math.radians(TURNS[request["front"]])
            shot = picture.picture(np.array(facts["center"]), max(facts["size"]), turn, request["picture"])
            arrays |= {"preview": shot} if shot is not None else {}
        blob = protocol.encode(facts, arrays)
    except Unusable as error:
        return {"ok": False, "reason": str(error), "files": list(map(str, files))}
    except MemoryError:
        return {"ok": False, "reason": "Blender ran out of memory.", "files": list(map(str, files))}
    except protocol.ProtocolError:
        return {"ok": False, "reason": "It is too large: more than a gigabyte of triangles and images.", "files": list(map(str, files))}
    try:
        Path(request["out"]).write_bytes(blob)
    except OSError as error:
        return {"ok": False, "fatal": True, "reason": f"{request['out']} cannot be written: {error.strerror}.", "files": []}
    return {"ok": True, "files": list(map(str, files)), "missing": missing}


def _beside(path: Path, name: str) -> str:
    """A file's name as seen from the asset's folder; what is no path stays."""
    name = name.removeprefix("//")
    with contextlib.suppress(ValueError):  # another drive
        return Path(os.path.relpath(name, path.parent)).as_posix() if os.path.isabs(name) else name
    return name


def main() -> None:
    """Serve requests from stdin until it ends; what Blender prints goes to stderr, the log."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print(json.dumps({"ready": True, "blender": bpy.app.version_string}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = export_asset(json.loads(line))
        except Exception as error:  # a file that nobody foresaw is one more asset that cannot be used
            answer = {"ok": False, "reason": f"{type(error).__name__}: {error}", "files": []}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
