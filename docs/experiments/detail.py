# SPDX-License-Identifier: GPL-3.0-or-later
"""How good the coarse meshes are: 24 objects at each detail beside Full, as pictures and as figures.

    python docs/experiments/detail.py FOLDER [--model MODEL] [--count N]

writes textured.png and wireframe.png to the folder (a row an object: draft, standard, high, full) and prints the table: distance to the
surface of Full and back in percent of the object's size, slivers (share of triangles with an angle under 5 degrees), GLB size, stages.
"""

import argparse
import json
import sys
from pathlib import Path

import igl
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.evaluation import metrics, renders  # noqa: E402
from core.limits import DETAILS  # noqa: E402
from core.mesh import TexturedMesh, encode_image  # noqa: E402
from core.pipeline import Latte3DPipeline  # noqa: E402
from core.rendering.mesh_pictures import see  # noqa: E402
from core.surface.topology import components  # noqa: E402

PROMPTS = (
    "a red mushroom with white spots", "a wooden chair", "a wooden barrel", "a blue car", "a tall stone tower", "a green tree",
    "a red house", "a wooden crate", "a wooden bench", "a golden crown", "a sword", "a green truck", "a white teapot", "a wooden table",
    "a golden duck", "a tall lamp", "a green cactus", "a striped tent", "a red boat", "a gray robot", "a yellow flower", "a blue mug",
    "a wooden chest", "a red rocket",
)  # fmt: skip
SAMPLES, SLIVER, SIZE, VIEW, FINER = 20_000, 5.0, 200, 0, 4


def distances(one: TexturedMesh, other: TexturedMesh) -> np.ndarray:
    """From points spread over one mesh to the other, percent of its size."""
    points = metrics.sample_mesh(one, SAMPLES, np.random.default_rng(0))[0]
    square = igl.point_mesh_squared_distance(points, other.vertices.astype(np.float64), other.triangles.astype(np.int64))[0]
    return 100 * np.sqrt(square) / float(np.ptp(other.vertices, axis=0).max())


def sliver_share(mesh: TexturedMesh) -> float:
    """Percent of the triangles with an angle under SLIVER degrees."""
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    side = np.roll(corners, -1, axis=1) - corners
    side /= np.maximum(np.linalg.norm(side, axis=2, keepdims=True), 1e-20)
    cosine = -(side * np.roll(side, 1, axis=1)).sum(axis=2)
    return 100 * float((np.degrees(np.arccos(np.clip(cosine, -1, 1))).min(axis=1) < SLIVER).mean())


def wireframe(mesh: TexturedMesh, size: int) -> np.ndarray:
    """The triangles' edges over a plain shading: [size, size, 3] u8."""
    size *= FINER  # lines of a fraction of a pixel: the denser, the darker
    camera = renders.CAMERAS[VIEW]
    seen = see(mesh.vertices, mesh.triangles, [camera], size)
    corners = mesh.vertices[mesh.triangles[seen.face]].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    opposite = np.linalg.norm(np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1), axis=2)
    from_edge = (seen.weights * area[:, None] / np.maximum(opposite, 1e-12)).min(axis=1)
    width = 2 * camera.distance * camera.slope / size
    light = 0.55 + 0.4 * np.abs(normal @ (0.4, 0.3, 0.87)) / np.maximum(area, 1e-12)
    image = np.full((size * size, 3), 255, np.uint8)
    image[seen.pixel] = (255 * np.where(from_edge < 0.5 * width, 0.15, light)).astype(np.uint8)[:, None]
    return image.reshape(size // FINER, FINER, size // FINER, FINER, 3).mean(axis=(1, 3)).astype(np.uint8)


def row(mesh: TexturedMesh, full: TexturedMesh) -> dict:
    there, back = distances(mesh, full), distances(full, mesh)
    return {
        "triangles": len(mesh.triangles),
        "mean_%": round(max(there.mean(), back.mean()), 3),
        "p99_%": round(max(np.quantile(there, 0.99), np.quantile(back, 0.99)), 3),
        "max_%": round(max(there.max(), back.max()), 2),
        "slivers_%": round(sliver_share(mesh), 2),
        "pieces": components(mesh.triangles, len(mesh.vertices))[0],
        "sharp": len(mesh.sharp),
        "glb_kb": len(mesh.to_glb()) // 1000,
        "ms": {stage: round(ms) for stage, ms in mesh.timings_ms.items()},
        "notes": mesh.notes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "core" / "weights" / "starter")
    parser.add_argument("--count", type=int, default=len(PROMPTS))
    parser.add_argument("--size", type=int, default=SIZE)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    pipeline, textured, wires = Latte3DPipeline.from_pretrained(options.model), [], []
    pipeline.warm_up()
    for prompt in PROMPTS[: options.count]:
        meshes = {detail: pipeline([prompt], detail=detail)[0] for detail in DETAILS}
        for detail, mesh in meshes.items():
            print(f"{prompt:32} {detail:9}", json.dumps(row(mesh, meshes["full"])), flush=True)
        textured.append(np.concatenate([renders.mesh_views(mesh, options.size)[VIEW] for mesh in meshes.values()], axis=1))
        wires.append(np.concatenate([wireframe(mesh, options.size) for mesh in meshes.values()], axis=1))
    for name, rows in (("textured", textured), ("wireframe", wires)):
        half = (len(rows) + 1) // 2  # two columns of objects
        rows += [np.full_like(rows[0], 255)] * (2 * half - len(rows))
        sheet = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)
        (options.folder / f"{name}.png").write_bytes(encode_image(sheet, lossless=True))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
