# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures: any distance function can be traced, a mesh's picture is that of its solid, and pictures stay the same pixels."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.frame import style_of
from core.library.starter.objects import ExactObjects
from core.library.starter.parser import parse
from core.rendering.cameras import Camera
from core.rendering.mesh_pictures import see
from core.rendering.shading import GROUND, to_bytes
from core.rendering.trace import Solid, render, trace
from core.surface.extract import extract_surface

RADIUS = 0.4


def ball(points: torch.Tensor) -> torch.Tensor:
    return points.norm(dim=-1) - RADIUS


def red(points: torch.Tensor) -> torch.Tensor:
    return torch.tensor((0.8, 0.1, 0.1, 0.5, 0.0)).expand(*points.shape[:-1], 5)


BALL = Solid(ball, torch.full((1, 3), RADIUS), red)


def test_rays_end_where_the_distance_is_zero() -> None:
    origin, direction = (rays[None] for rays in Camera(azimuth=200, elevation=-35).rays(48))
    points, hit = trace(BALL.distance, BALL.half_size, origin, direction)
    nearest = torch.linalg.cross(origin, direction, dim=-1).norm(dim=-1)  # of each ray to the centre
    assert hit[nearest < RADIUS - 1e-3].all() and not hit[nearest > RADIUS + 1e-3].any()
    assert ball(points[hit]).abs().max() < 5e-4 and ((points - origin)[hit].norm(dim=-1) < 2.35).all()  # on the side that faces the camera


def test_a_solid_without_normals_is_shaded_by_those_of_its_distance() -> None:
    given = Solid(ball, BALL.half_size, red, lambda points: torch.nn.functional.normalize(points, dim=-1))
    assert (render(BALL, Camera(), 48) - render(given, Camera(), 48)).abs().max() < 2e-3


def test_solids_of_one_batch_have_their_own_pictures() -> None:
    radii = torch.tensor((0.2, 0.4))
    both = Solid(lambda points: points.norm(dim=-1) - radii[:, None], radii[:, None].expand(-1, 3), red)
    seen = (render(both, Camera(), 64) != torch.tensor(GROUND)).any(-1).sum((1, 2))
    for radius, pixels in zip(radii.tolist(), seen.tolist(), strict=True):
        side = math.tan(math.asin(radius / 2.35)) / Camera().slope * 32  # of the outline's circle, in pixels
        assert pixels == pytest.approx(math.pi * side**2, rel=0.05)


def test_a_mesh_covers_the_pixels_of_its_solid_at_the_same_places() -> None:
    camera, size = Camera(azimuth=80, elevation=50), 64
    vertices, triangles = extract_surface(lambda points: ball(points), resolution=96)
    seen = see(vertices, triangles, [camera], size)
    origin, direction = (rays[None] for rays in camera.rays(size))
    points, hit = trace(BALL.distance, BALL.half_size, origin, direction)
    traced = set(hit[0].nonzero()[:, 0].tolist())
    assert len(traced ^ set(seen.pixel.tolist())) <= 8 and (np.diff(seen.pixel) > 0).all()  # they differ on the outline
    assert np.allclose(seen.weights.sum(1), 1) and (seen.weights >= 0).all()
    there = np.einsum("nk,nki->ni", seen.weights, vertices[triangles[seen.face]])
    rows = np.isin(seen.pixel, sorted(traced))
    facing = np.abs(np.einsum("ni,ni->n", there, direction[0, seen.pixel].numpy())) > 0.3 * RADIUS
    assert np.abs(there - points[0, seen.pixel].numpy())[rows & facing].max() < 5e-3


def test_an_exact_object_s_picture_stays_the_same() -> None:
    """The picture was made before cameras, shading and tracing had rooms of their own; on its machine not one pixel differs."""
    exact = ExactObjects([parse("a red mushroom with white spots"), parse("a wooden chair")], style_of([0, 3]))
    pixels = np.concatenate(list(to_bytes(render(exact.solid(), Camera(distance=2.6), 64)).numpy()), axis=1).astype(int)
    before = np.asarray(Image.open(Path(__file__).parent / "exact_objects.png").convert("RGB")).astype(int)
    differing = (np.abs(pixels - before) > 1).any(-1)  # another processor rounds otherwise, and a ray on an edge may go the other way
    assert differing.mean() < 0.002
