# SPDX-License-Identifier: GPL-3.0-or-later
"""TexturedMesh, its GLB file, and the health report."""

import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from core.mesh import TexturedMesh, encode_image, encode_look, mesh_health
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


EDGES = np.array([(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7)], np.int32)


def test_sharp_edges_part_the_normals_of_a_glb(cube):
    """A cube with all edges sharp is shaded flat; with none, its corners point outwards."""
    flat = glb_mesh(replace(cube, sharp=EDGES))
    normals = flat.vertex_normals[flat.faces]
    np.testing.assert_allclose(normals, np.repeat(flat.face_normals[:, None], 3, axis=1), atol=1e-5)
    assert len(flat.vertices) == 24
    smooth = glb_mesh(cube)
    assert np.abs(smooth.vertex_normals).max() < 0.99


def test_one_sharp_edge_alone_parts_nothing(cube):
    """A crease that ends at once leaves one fan around each of its vertices."""
    assert len(glb_mesh(replace(cube, sharp=EDGES[:1])).vertices) == len(glb_mesh(cube).vertices)


def glb_mesh(mesh: TexturedMesh) -> trimesh.Trimesh:
    (found,) = trimesh.load(io.BytesIO(mesh.to_glb()), file_type="glb", process=False).geometry.values()
    return found


def test_an_image_of_one_value_is_a_number(cube):
    atlas = unwrap(CUBE, TRIANGLES, size=64)
    plain, varied = np.full((64, 64, 3), (255, 128, 0), np.uint8), gradient()
    look = encode_look(plain, varied, atlas)
    assert look["base_color"] is None and look["color"] == pytest.approx((1, 128 / 255, 0), abs=1e-3) and look["metallic_roughness"]
    look = encode_look(varied, plain, atlas)
    assert look["metallic_roughness"] is None and look["roughness"] == pytest.approx(128 / 255, abs=1e-3) and look["metallic"] == 0
    one = plain.copy()
    one[11, 13] += 1  # one texel is enough
    assert encode_look(one, one, atlas).keys() == {"color", "base_color", "metallic_roughness"}


@pytest.mark.parametrize("without", [("base_color",), ("metallic_roughness",), ("base_color", "metallic_roughness")])
def test_numbers_become_the_factors_of_a_glb(cube, tmp_path, without):
    numbers = {"color": (1.0, 0.5, 0.0), "roughness": 0.25, "metallic": 1.0}
    mesh = replace(cube, **dict.fromkeys(without), **numbers)
    material = glb_mesh(mesh).visual.material
    if "base_color" in without:
        assert material.baseColorTexture is None and material.baseColorFactor[:3].tolist() == [255, 55, 0]  # 0.2140 as light
    if "metallic_roughness" in without:
        assert material.metallicRoughnessTexture is None and (material.roughnessFactor, material.metallicFactor) == (0.25, 1.0)
    assert_valid(mesh, tmp_path)


def test_glb_passes_the_khronos_validator(cube, tmp_path):
    assert_valid(cube, tmp_path)
    assert_valid(replace(cube, sharp=EDGES), tmp_path)


def assert_valid(mesh: TexturedMesh, tmp_path: Path) -> None:
    node = shutil.which("node")
    script = Path(__file__).parents[1] / "gltf_validate.mjs"
    if node is None:
        pytest.skip("node is not installed")
    (tmp_path / "object.glb").write_bytes(mesh.to_glb())
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


def test_glass_and_glow_of_a_glb(cube, tmp_path):
    glass = replace(cube).lit(1.0, 0.05, 0.0)
    material = document_of(glass)["materials"][0]
    assert material["extensions"] == {"KHR_materials_transmission": {"transmissionFactor": 1.0}, "KHR_materials_ior": {"ior": 1.45}}
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 0.05 and material["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    glow = replace(cube).lit(0.0, 0.05, 4.0)
    material = document_of(glow)["materials"][0]
    assert material["emissiveTexture"] == material["pbrMetallicRoughness"]["baseColorTexture"]
    assert material["emissiveFactor"] == [1.0, 1.0, 1.0]
    assert document_of(glow)["extensionsUsed"] == ["KHR_materials_emissive_strength"]
    assert "extensionsUsed" not in document_of(cube) and "extensions" not in document_of(cube)["materials"][0]
    assert_valid(glass, tmp_path)
    assert_valid(glow, tmp_path)


def document_of(mesh: TexturedMesh) -> dict:
    glb = mesh.to_glb()
    return json.loads(glb[20 : 20 + int.from_bytes(glb[12:16], "little")])
