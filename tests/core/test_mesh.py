# SPDX-License-Identifier: GPL-3.0-or-later
"""TexturedMesh, its GLB file, and the health report."""

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from core.mesh import TexturedMesh, encode_image, mesh_health
from core.surface import unwrap
from core.surface.topology import split_non_manifold

CUBE = np.array([[x, y, z] for x in (-0.3, 0.3) for y in (-0.2, 0.2) for z in (-0.48, 0.48)], np.float32)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
TRIANGLES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))], np.int32)


def gradient(size: int = 64) -> np.ndarray:
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=2)


@pytest.fixture(scope="module")
def cube() -> TexturedMesh:
    uvs = unwrap(CUBE, TRIANGLES, size=64).uvs
    images = encode_image(gradient()), encode_image(gradient(), lossless=True)
    return TexturedMesh(CUBE, TRIANGLES, uvs, *images, height_m=1.92, prompt='a "box" für alle', seed=3, model="test")


def test_glb_is_what_the_mesh_is(cube):
    scene = trimesh.load(io.BytesIO(cube.to_glb()), file_type="glb")
    (mesh,) = scene.geometry.values()
    assert len(mesh.faces) == 12 and mesh.volume > 0
    # Core (x, y, z) is glTF (z, x, y); twice as large as in the frame; standing on the ground.
    np.testing.assert_allclose(mesh.bounds, [[-0.4, 0, -0.6], [0.4, 1.92, 0.6]], atol=1e-6)
    corner = CUBE[TRIANGLES].reshape(-1, 3)[:, (1, 2, 0)] * 2 + (0, 0.96, 0)
    found = mesh.vertices[mesh.faces].reshape(-1, 3)
    np.testing.assert_allclose(found, corner, atol=1e-6)
    np.testing.assert_allclose(mesh.visual.uv[mesh.faces].reshape(-1, 2), cube.uvs.reshape(-1, 2), atol=1e-6)
    assert mesh.visual.material.baseColorTexture.size == (64, 64)


def test_glb_passes_the_khronos_validator(cube, tmp_path):
    node = shutil.which("node")
    script = Path(__file__).parents[1] / "gltf_validate.mjs"
    if node is None:
        pytest.skip("node is not installed")
    (tmp_path / "object.glb").write_bytes(cube.to_glb())
    run = subprocess.run([node, script, tmp_path / "object.glb"], capture_output=True, text=True, env=os.environ, timeout=60)
    if "gltf-validator" in run.stderr:
        pytest.skip("npm package gltf-validator not found; install it anywhere and name its node_modules in NODE_PATH")
    report = json.loads(run.stdout)
    assert report["issues"]["numErrors"] == 0 and report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
    assert report["info"]["totalTriangleCount"] == 12


def test_a_glb_names_what_it_holds(cube):
    """An importer that finds no names calls everything "Material_0"."""
    glb = cube.to_glb()
    document = json.loads(glb[20 : 20 + int.from_bytes(glb[12:16], "little")])
    assert [document[part][0]["name"] for part in ("nodes", "meshes", "materials")] == [cube.prompt] * 3
    assert [item["name"] for item in document["images"]] == [f"{cube.prompt} base color", f"{cube.prompt} roughness and metallic"]


def test_images_decode_to_what_they_were():
    pixels = gradient(256)
    exact = np.asarray(Image.open(io.BytesIO(encode_image(pixels, lossless=True))))
    np.testing.assert_array_equal(exact, pixels)
    close = np.asarray(Image.open(io.BytesIO(encode_image(pixels)))).astype(int)
    assert np.abs(close - pixels).max() <= 6


def test_health_finds_each_fault():
    solid = mesh_health(CUBE, TRIANGLES)
    assert solid["closed"] and solid["manifold"] and solid["oriented"]
    assert (solid["components"], solid["euler"], solid["degenerate"]) == (1, 2, 0)
    assert solid["volume"] == pytest.approx(0.6 * 0.4 * 0.96)
    hole = mesh_health(CUBE, TRIANGLES[1:])
    assert not hole["closed"] and hole["open_edges"] == 3
    turned = TRIANGLES.copy()
    turned[0] = turned[0, ::-1]
    assert not mesh_health(CUBE, turned)["oriented"]
    flat = np.concatenate((TRIANGLES, [[0, 1, 1]])).astype(np.int32)
    assert mesh_health(CUBE, flat)["degenerate"] == 1


@pytest.mark.parametrize("shared", ["edge", "vertex"])
def test_touching_solids_are_parted(shared):
    """Two boxes that share an edge or a corner become two manifold solids with the same positions."""
    step = np.array((0.6, 0.4, 0) if shared == "edge" else (0.6, 0.4, 0.96), np.float32)
    both = np.concatenate((CUBE, CUBE + step))
    vertices, index = np.unique(both.round(4), axis=0, return_inverse=True)
    triangles = index.ravel()[np.concatenate((TRIANGLES, TRIANGLES + 8))].astype(np.int32)
    assert not mesh_health(vertices, triangles)["manifold"]
    parted, split = split_non_manifold(vertices, triangles)
    health = mesh_health(parted, split)
    assert health["closed"] and health["manifold"] and health["components"] == 2 and len(parted) == 16
    np.testing.assert_array_equal(parted[split], vertices[triangles])
