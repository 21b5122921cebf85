# SPDX-License-Identifier: GPL-3.0-or-later
"""TexturedMesh: what a prompt becomes, and its way into a GLB file."""

import io
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from core.surface.atlas import Atlas
from core.surface.bake import mean_color, one_value
from core.surface.creases import corner_normals
from core.surface.topology import mesh_health

__all__ = ["TexturedMesh", "encode_image", "mesh_health"]

IOR = 1.45  # of glass
NO_EDGES = np.empty((0, 2), np.int32)


@dataclass
class TexturedMesh:
    """One generated object in the core frame (Z up, front +X, centred, largest dimension 0.96).

    `vertices` [V, 3] f32; `triangles` [F, 3] i32, counter-clockwise seen from outside; `uvs` [F, 3, 2] f32 per corner, origin bottom
    left; `base_color` (sRGB) and `metallic_roughness` (glTF: G roughness, B metallic, linear) are encoded images, or None where each
    would be one value everywhere: then `color`, or `roughness` and `metallic`, hold it. `color`, the surface's mean, is always there.
    `height_m` is the object's height in metres, `height_known` whether the model has learnt how high such a thing really is. `style` is
    z itself [8] where that was asked for, else None: z is drawn from the seed.
    `sharp` and `seams` [E, 2] i32 are edges, the lower vertex first: those to be shaded sharp, and those where the UVs are cut. `notes`
    are sentences for the artist; `transmission`, 0..1, is how much light passes through the surface (glass), `emission` how many times
    brighter than white it shines in its own colours; `familiarity` is how the prompt was read (`core.language.rewording.Reading.to_dict`).
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uvs: np.ndarray
    base_color: bytes | None
    metallic_roughness: bytes | None
    height_m: float
    prompt: str = ""
    seed: int = 0
    style: tuple[float, ...] | None = None
    model: str = ""
    detail: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    familiarity: dict = field(default_factory=dict)
    sharp: np.ndarray = field(default_factory=NO_EDGES.copy)
    seams: np.ndarray = field(default_factory=NO_EDGES.copy)
    color: tuple[float, float, float] = (0.8, 0.8, 0.8)  # sRGB, 0..1
    roughness: float | None = None
    metallic: float | None = None
    height_known: bool = True
    transmission: float = 0.0
    emission: float = 0.0

    def lit(self, transmission: float, roughness: float, emission: float) -> "TexturedMesh":
        """Itself, as glass of that roughness where light passes through it, and shining in its own colours as strongly as `emission`."""
        if transmission:
            self.metallic_roughness, self.roughness, self.metallic = None, roughness, 0.0
        self.transmission, self.emission = transmission, emission
        return self

    def to_glb(self) -> bytes:
        """A binary glTF 2.0 file: metres, Y up, front +Z, origin at the centre of the base, vertices split at seams and sharp edges."""
        metric = self._metric_vertices()
        fans, normals = corner_normals(metric, self.triangles, self.sharp)
        source, uvs, triangles = split_seams(fans, self.uvs)
        vertex = np.empty(len(normals), np.int64)
        vertex[fans] = self.triangles
        positions = metric[vertex[source]][:, (1, 2, 0)]  # glTF (x, y, z) = core (y, z, x).
        normals = normals[source][:, (1, 2, 0)]
        flipped = uvs * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)  # glTF's v runs downwards.
        extras = {"prompt": self.prompt, "seed": self.seed, "model": self.model}
        if self.style is not None:
            extras["style"] = list(self.style)
        material, images = self._material()
        return write_glb(positions, normals, flipped, triangles, material, images, extras, self._light(material))

    def _material(self) -> tuple[dict, dict[str, bytes]]:
        """glTF's pbrMetallicRoughness, and by name the images that its textures number."""
        material, images = {}, {}
        if self.base_color is None:  # glTF's factors are linear.
            material["baseColorFactor"] = [*(round(linear(c), 6) for c in self.color), 1.0]
        else:
            material["baseColorTexture"] = {"index": len(images)}
            images["base color"] = self.base_color
        if self.metallic_roughness is None:
            material |= {"roughnessFactor": self.roughness, "metallicFactor": self.metallic}
        else:
            material["metallicRoughnessTexture"] = {"index": len(images)}
            images["roughness and metallic"] = self.metallic_roughness
        return material, images

    def _light(self, material: dict) -> dict:
        """What glTF says of a material beside its pbrMetallicRoughness: that it is glass, or shines in its own colours."""
        extensions, light = {}, {}
        if self.transmission:
            extensions |= {"KHR_materials_transmission": {"transmissionFactor": self.transmission}, "KHR_materials_ior": {"ior": IOR}}
        if self.emission:
            extensions["KHR_materials_emissive_strength"] = {"emissiveStrength": self.emission}
            light["emissiveFactor"] = material.get("baseColorFactor", [1.0, 1.0, 1.0, 1.0])[:3]
            if "baseColorTexture" in material:
                light["emissiveTexture"] = material["baseColorTexture"]
        return light | ({"extensions": extensions} if extensions else {})

    def _metric_vertices(self) -> np.ndarray:
        """Vertices in metres [V, 3] f32, still Z up, the base's centre at the origin."""
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        scale = self.height_m / max(float(high[2] - low[2]), 1e-6)
        base = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
        return ((self.vertices - base) * np.float32(scale)).astype(np.float32)


def split_seams(triangles: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One vertex for each distinct (vertex, uv): (source vertex [W] i64, uvs [W, 2] f32, triangles [F, 3] u32)."""
    corner_uvs = np.ascontiguousarray(uvs.reshape(-1, 2), np.float32)
    packed = corner_uvs.view(np.uint64).ravel()
    vertex = triangles.ravel().astype(np.int64)
    order = np.lexsort((packed, vertex))
    new = np.concatenate(([True], (vertex[order][1:] != vertex[order][:-1]) | (packed[order][1:] != packed[order][:-1])))
    index = np.empty(order.size, np.uint32)
    index[order] = np.cumsum(new) - 1
    kept = order[new]
    return vertex[kept], corner_uvs[kept], index.reshape(-1, 3)


def linear(srgb: float) -> float:
    """One channel of a colour, 0..1, as light."""
    return srgb / 12.92 if srgb <= 0.04045 else ((srgb + 0.055) / 1.055) ** 2.4


def write_glb(
    positions: np.ndarray,
    normals: np.ndarray,
    uvs: np.ndarray,
    triangles: np.ndarray,
    material: dict,
    images: dict[str, bytes],
    extras: dict,
    light: dict | None = None,
) -> bytes:
    """A GLB with one mesh and one material. Arrays are [V, 3], [V, 3], [V, 2] f32 and [F, 3] u32 as glTF wants them; `material` is its
    pbrMetallicRoughness, whose textures number the encoded `images`, given by name; `light` is what else is said of it."""
    arrays = [np.ascontiguousarray(a, "<f4") for a in (positions, normals, uvs)] + [np.ascontiguousarray(triangles, "<u4").ravel()]
    views, chunks = [], []
    for data, target in [(a.tobytes(), 34962) for a in arrays[:3]] + [(arrays[3].tobytes(), 34963)] + [(i, None) for i in images.values()]:
        view = {"buffer": 0, "byteOffset": sum(map(len, chunks)), "byteLength": len(data)}
        views.append(view | ({"target": target} if target else {}))
        chunks.append(data + bytes(-len(data) % 4))
    blob = b"".join(chunks)
    accessors = [
        {"bufferView": k, "componentType": 5126, "count": len(a), "type": "VEC3" if a.shape[1] == 3 else "VEC2"}
        for k, a in enumerate(arrays[:3])
    ]
    accessors[0] |= {"min": arrays[0].min(axis=0).tolist(), "max": arrays[0].max(axis=0).tolist()}
    accessors.append({"bufferView": 3, "componentType": 5125, "count": int(arrays[3].size), "type": "SCALAR"})
    primitive = {"attributes": {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}, "indices": 3, "material": 0}
    name = extras.get("prompt") or "object"
    document = {
        "asset": {"version": "2.0", "generator": "LATTE3D for Blender"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name, "extras": extras}],
        "meshes": [{"name": name, "primitives": [primitive]}],
        "materials": [{"name": name, "pbrMetallicRoughness": material, **(light or {})}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(blob)}],
    }
    if extensions := sorted((light or {}).get("extensions", {})):
        document["extensionsUsed"] = extensions
    if images:  # glTF allows no empty lists
        document["samplers"] = [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}]
        document["textures"] = [{"source": k, "sampler": 0} for k in range(len(images))]
        document["images"] = [
            {"name": f"{name} {what}", "bufferView": 4 + k, "mimeType": mime_type(image)} for k, (what, image) in enumerate(images.items())
        ]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(blob))
    return header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob


def mime_type(image: bytes) -> str:
    """The media type of an encoded image; glTF knows PNG and JPEG. Raises ValueError for anything else."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    raise ValueError("A texture must be a PNG or a JPEG image.")


def encode_image(pixels: np.ndarray, *, lossless: bool = False) -> bytes:
    """Encode [H, W, 3] u8, top row first, as JPEG (quality 95, full colour resolution), or as PNG if `lossless`.

    Measured at 1024² on one core: JPEG 6 ms, 350 KB, 42 dB, decoded in 6 ms; PNG at its quickest 33 ms and 14 ms; WebP 29 ms, and
    neither glTF's core nor every Blender reads it. Halving the colour resolution would save 3 ms and lose 8 to 18 dB.
    """
    out = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if lossless:
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def encode_look(base_color: np.ndarray, metallic_roughness: np.ndarray, atlas: Atlas) -> dict:
    """What TexturedMesh holds of its look, from baked images [S, S, 3] u8: an image that is one value everywhere becomes a number."""
    look = {"color": mean_color(base_color, atlas), "base_color": None, "metallic_roughness": None}
    if one_value(metallic_roughness):
        look |= {name: round(float(metallic_roughness[0, 0, k]) / 255, 4) for k, name in ((1, "roughness"), (2, "metallic"))}
    varied = {"base_color": base_color, "metallic_roughness": metallic_roughness}
    varied = {name: image for name, image in varied.items() if not one_value(image)}
    with ThreadPoolExecutor(2) as threads:  # Pillow encodes outside of Python's lock.
        return look | dict(zip(varied, threads.map(encode_image, varied.values()), strict=True))
