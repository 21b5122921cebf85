# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures: a mesh of the exact object itself scores almost perfectly, another object does not, and prompt files are read with care."""

import numpy as np
import pytest
import torch

from core.errors import BadRequest
from core.evaluation import cli, metrics
from core.library.objects import Description, ExactObjects
from core.library.parser import parse
from core.mesh import TexturedMesh, encode_image
from core.surface.atlas import unwrap
from core.surface.bake import bake
from core.surface.extract import extract_surface

MUSHROOM = parse("a red mushroom with white spots")


def exact(description: Description) -> ExactObjects:
    return ExactObjects([description], torch.zeros(1, 8))


def meshed(objects: ExactObjects) -> TexturedMesh:
    """The exact object, walked through the surface stages."""
    vertices, triangles = extract_surface(lambda p: objects.sdf(p[None])[0], resolution=96)
    atlas = unwrap(vertices, triangles, size=1024)
    images = bake(vertices, triangles, atlas.uvs, lambda p: objects.appearance(p[None])[0], size=1024, atlas=atlas)
    height = float(objects.height_m[0])
    return TexturedMesh(vertices, triangles, atlas.uvs, *(encode_image(image) for image in images), height_m=height)


@pytest.fixture(scope="module")
def mushroom() -> TexturedMesh:
    return meshed(exact(MUSHROOM))


def test_the_exact_object_scores_almost_perfectly(mushroom) -> None:
    rng, target = torch.Generator().manual_seed(0), exact(MUSHROOM)
    assert metrics.volume_iou(mushroom, target, rng) > 0.97
    figures = metrics.surface_measures(mushroom, target, rng)
    assert figures["f_score_2"] > 0.995 and figures["chamfer"] < 0.01
    assert figures["base_color_error"] < 0.015 and figures["roughness_error"] < 0.01 and figures["metallic_error"] < 0.01
    assert metrics.kind_found(mushroom, MUSHROOM, torch.zeros(1, 8), rng) == "mushroom"
    health = metrics.health(mushroom, target, 96)
    assert health == {"sound": True, "pieces": 1, "pieces_exact": 1, "uv_in_range": True, "uv_overlaps": 0}


def test_another_object_scores_badly(mushroom) -> None:
    rng = torch.Generator().manual_seed(0)
    assert metrics.volume_iou(mushroom, exact(Description("car")), rng) < 0.6
    blue = exact(parse("a blue mushroom with white spots"))
    assert metrics.volume_iou(mushroom, blue, rng) > 0.97
    assert metrics.surface_measures(mushroom, blue, rng)["base_color_error"] > 0.1


def test_a_hole_or_a_double_texel_is_seen(mushroom) -> None:
    open_mesh = TexturedMesh(
        mushroom.vertices, mushroom.triangles[5:], mushroom.uvs[5:], mushroom.base_color, mushroom.metallic_roughness, 1.0
    )
    assert not metrics.health(open_mesh, exact(MUSHROOM), 96)["sound"]
    folded = np.where(mushroom.uvs > 0.5, 1 - mushroom.uvs, mushroom.uvs)  # the image folded twice: charts lie on one another
    folded_mesh = TexturedMesh(mushroom.vertices, mushroom.triangles, folded, mushroom.base_color, mushroom.metallic_roughness, 1.0)
    assert metrics.health(folded_mesh, exact(MUSHROOM), 96)["uv_overlaps"] > 1000


def test_points_are_spread_by_area(mushroom) -> None:
    points = metrics.sample_mesh(mushroom, 4000, np.random.default_rng(0))
    assert exact(MUSHROOM).sdf(torch.from_numpy(points[None]).float()).abs().max() < 0.02


def test_intervals_hold_the_mean() -> None:
    low, high = cli.interval([0.7, 0.8, 0.9] * 40)
    assert low < 0.8 < high and high - low < 0.05


def test_prompt_files_are_read_with_care(tmp_path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a red mushroom\n\n a wooden barrel \n")
    assert [(p.text, p.seed, p.description.kind) for p in cli.read_prompts(file)] == [
        ("a red mushroom", 1, "mushroom"),
        ("a wooden barrel", 2, "barrel"),
    ]
    file.write_text("a red mushroom\na purple unicorn\n")
    with pytest.raises(BadRequest, match="Line 2"):
        cli.read_prompts(file)
    file.write_text("\n \n")
    with pytest.raises(BadRequest, match="no prompt"):
        cli.read_prompts(file)
    with pytest.raises(BadRequest, match="cannot be read"):
        cli.read_prompts(tmp_path / "nowhere.txt")
