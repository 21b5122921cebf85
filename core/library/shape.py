# SPDX-License-Identifier: GPL-3.0-or-later
"""One prepared shape: a safetensors file with all that training reads of an asset; made from what Blender exported of it.

Arrays, in the model's frame (z up, front +x, inside ±0.48):
    points [N, 3], sdf [N] f32: signed distances, the first 2 × `pairs` close to the surface, number i a short step from number i + pairs,
        then near it, in the object's box and anywhere in the frame
    grid [65, 65, 65] f16: signed distances at the nodes of a grid over ±0.52, x slowest
    surface [M, 3] f32, normal [M, 3] f16, look [M, 5] u8 (sRGB colour, roughness, metallic, 255 is one), part [M] i32 (connected piece):
        seen points of known look; the first `even` of them evenly over the area, the others with as many on each piece, however small
    cloud [C, 6] f32: points and outward normals, evenly over the whole surface
    vertices [V, 3] f32, triangles [F, 3] i32: the artist's mesh, turned outwards
and one JSON text in the metadata: `Facts` of the report, key, files, names, notes.
"""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from core.frame import HALF_EXTENT

FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """What a prepared shape depends on besides its asset."""

    format: int = FORMAT
    points: int = 32768
    surface: int = 32768
    cloud: int = 8192
    cells: int = 64
    thickness: float = 0.008
    mesh: int = 200_000  # triangles at most
    picture: int = 160  # pixels


@dataclass
class Shape:
    """A prepared shape in memory. `facts`: the metadata."""

    facts: dict
    arrays: dict[str, ndarray] = field(repr=False)

    def __getattr__(self, name: str) -> ndarray:
        arrays = self.__dict__.get("arrays", {})
        if name not in arrays:
            raise AttributeError(name)
        return arrays[name]

    @property
    def pairs(self) -> int:
        return self.facts["pairs"]

    def distance(self, points: ndarray) -> ndarray:
        """Signed distance anywhere, from the grid. [N, 3] -> [N] f32"""
        from scipy.ndimage import map_coordinates

        return map_coordinates(self.grid.astype(np.float32), self._cells(points), order=1, mode="nearest")

    def slope(self, points: ndarray) -> ndarray:
        """Gradient of the signed distance anywhere, from the grid; about of length 1. [N, 3] -> [N, 3] f32"""
        from scipy.ndimage import map_coordinates

        gradient = np.gradient(self.grid.astype(np.float32), 2 * HALF_EXTENT / (self.grid.shape[0] - 1))
        return np.stack([map_coordinates(axis, self._cells(points), order=1, mode="nearest") for axis in gradient], 1)

    def _cells(self, points: ndarray) -> ndarray:
        """Points as places in the grid. [N, 3] -> [3, N]"""
        return (points.T + HALF_EXTENT) * (self.grid.shape[0] - 1) / (2 * HALF_EXTENT)

    @staticmethod
    def load(path: Path) -> "Shape":
        return Shape(read_facts(path), load_file(path))


def read_facts(path: Path) -> dict:
    """The metadata of a prepared shape; {} where there is none, or a broken one."""
    try:
        with safe_open(path, "numpy") as file:
            return json.loads(file.metadata()["facts"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return {}


def read_message(path: Path) -> tuple[dict, dict[str, ndarray]]:
    """What Blender wrote: facts and arrays."""
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["rpc"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def make(facts: dict, arrays: dict[str, ndarray], key: str, settings: Settings) -> Shape:
    """From an export to what training reads. The same arrays for the same key, bit for bit. Raises ValueError when it has no surface."""
    from core.library.looks import look_at
    from core.library.solid import Solid

    rng = np.random.Generator(np.random.PCG64(int(hashlib.sha256(key.encode()).hexdigest()[:16], 16)))
    solid = Solid.of(arrays["vertices"].astype(np.float64), arrays["triangles"], settings.thickness, settings.cells)
    low, high = solid.box()
    out: dict[str, ndarray] = {}
    half = settings.surface // 2
    even, pieces = (solid.surface(half, rng, even=flag) for flag in (True, False))
    on, normal, triangle, place = (np.concatenate(pair) for pair in zip(even, pieces, strict=True))
    look, known = look_at(facts, arrays, triangle, place)
    rows = _kept(known & (triangle >= 0), half)
    piece = np.zeros(len(arrays["triangles"]), np.int32)
    for mesh in (solid.mesh, solid.sheets):
        piece[mesh.source] = mesh.patch
    out |= {"surface": on[rows], "normal": normal[rows].astype(np.float16), "part": piece[triangle[rows]]}
    out["look"] = (look[rows] * 255 + 0.5).astype(np.uint8)
    points = _points_around(on, (low, high), settings.points, rng)
    out["grid"] = solid.grid(settings.cells).astype(np.float16)
    out |= {"points": points, "sdf": solid.sdf(points)}
    out["cloud"] = solid.cloud(settings.cloud, rng)
    out["vertices"], out["triangles"] = _kept_mesh(solid, settings.mesh)
    unit = max(facts["size"]) / (0.96 * solid.scale)  # of the asset, for one of the frame
    told = {"key": key, **asdict(solid.facts), "pairs": pairs(settings.points), "even": min(half, len(rows))}
    told |= {"known": float(known[:half].mean()), "height": float((high - low)[2] * unit)}
    told |= {name: facts[name] for name in ("size", "names", "notes", "missing")}
    small = {k: v.astype(np.float32) if v.dtype == np.float64 else v for k, v in out.items()}
    return Shape(told, small)


def _kept(known: ndarray, half: int) -> ndarray:
    """Rows of points with a known look, in both halves as many as there were; none where nothing is known."""
    first, second = np.flatnonzero(known[:half]), half + np.flatnonzero(known[half:])
    if not len(first) and not len(second):
        return np.zeros(0, np.int64)
    first, second = (first if len(first) else second), (second if len(second) else first)
    return np.concatenate((np.resize(first, half), np.resize(second, len(known) - half)))


def pairs(count: int) -> int:
    """How many of so many points have a partner."""
    return 3 * count // 16


def _points_around(on: ndarray, box: tuple[ndarray, ndarray], count: int, rng: np.random.Generator) -> ndarray:
    """3/8 close to the surface, in pairs a plane's cell apart, 2/8 near it, 2/8 in the object's box, 1/8 anywhere. [count, 3] f32"""
    two, quarter = pairs(count), count // 4
    close = on[rng.integers(len(on), size=two)] + 0.012 * rng.standard_normal((two, 3))
    partner = close + 0.01 * rng.standard_normal((two, 3))
    near = on[rng.integers(len(on), size=quarter)] + 0.05 * rng.standard_normal((quarter, 3))
    center, half = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
    inside = center + rng.uniform(-1.1, 1.1, (quarter, 3)) * half
    anywhere = rng.uniform(-HALF_EXTENT, HALF_EXTENT, (count - 2 * two - 2 * quarter, 3))
    return np.concatenate((close, partner, near, inside, anywhere)).astype(np.float32)


def _kept_mesh(solid, most: int) -> tuple[ndarray, ndarray]:
    """All triangles, outwards; reduced where there are too many."""
    triangles = np.concatenate((solid.mesh.triangles, solid.sheets.triangles))
    used, which = np.unique(triangles, return_inverse=True)
    vertices, triangles = solid.mesh.vertices[used].astype(np.float32), which.reshape(-1, 3).astype(np.int32)
    if len(triangles) > most:
        import fast_simplification

        vertices, triangles = fast_simplification.simplify(vertices, triangles, target_count=most)
    return vertices, triangles.astype(np.int32)


# The process ----------------------------------------------------------------------------------------------------------------------------


def answer(request: dict) -> dict:
    """One export to one prepared shape: {"export", "out", "picture", "key", "settings", "about": more facts}."""
    from core.errors import EngineError
    from core.files import replace_file
    from core.library.portrait import side_by_side

    settings = Settings(**request["settings"])
    try:
        facts, arrays = read_message(Path(request["export"]))
        shape = make(facts, arrays, request["key"], settings)
    except ValueError as error:
        return {"ok": False, "reason": str(error)}
    except MemoryError:
        return {"ok": False, "reason": "The engine ran out of memory on it."}
    shape.facts |= request["about"]
    try:
        picture = side_by_side(arrays.get("preview"), shape, settings.picture)
        replace_file(Path(request["picture"]), lambda name: picture.save(name, format="PNG"))
        blob = save(dict(sorted(shape.arrays.items())), {"facts": json.dumps(shape.facts, sort_keys=True)})
        replace_file(Path(request["out"]), lambda name: Path(name).write_bytes(blob))
    except EngineError as error:
        return {"ok": False, "fatal": True, "reason": str(error)}
    return {"ok": True}


def main() -> None:
    """Serve requests, one JSON a line, from stdin until it ends."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # a mesh that nobody foresaw is one more asset that cannot be used
            reply = {"ok": False, "reason": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
