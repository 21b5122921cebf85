# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of surfaces: what tracing sees, gradients of the look alone and where it is seen, pieces, depth as a ControlNet reads it."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from core.rendering.cameras import Camera, Views
from core.rendering.deferred import FARTHEST, Surface, depth_hint, render_surfaces
from core.rendering.shading import GROUND, lambert, shade
from core.rendering.trace import Solid, render
from core.rendering.volume import gradient
from core.surface.extract import extract_surface

DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")))
RADII = torch.tensor((0.4, 0.25))
CAMERAS = [Camera(azimuth=30, distance=2.0, fov=40), Camera(azimuth=200, elevation=-20, distance=2.5, fov=40)]
WHITE = torch.ones(3)


@cache
def balls(device: str = "cpu") -> list[Surface]:
    return [Surface.of(*extract_surface(lambda p, r=r: p.norm(dim=-1) - r, resolution=64), device=device) for r in RADII.tolist()]


def striped(points: Tensor) -> Tensor:
    color = 0.5 + 0.4 * torch.sin(points * torch.tensor((11.0, 7.0, 9.0), device=points.device))
    return torch.cat((color, torch.full_like(points[..., :1], 0.6), torch.zeros_like(points[..., :1])), -1)


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_are_those_of_the_solids(device) -> None:
    views, size = Views.of(CAMERAS, objects=2).to(device), 64
    seen = render_surfaces(
        balls(device), striped, views, (size, size), background=torch.tensor(GROUND), shading=lambda look, n, d: shade(d, n, look)
    )
    solid = Solid(lambda p: p.norm(dim=-1) - RADII[:, None], RADII[:, None].expand(-1, 3), striped)
    for i, camera in enumerate(CAMERAS):
        traced, mask = render(solid, camera, size), seen.mask[:, i].cpu()
        inside = mask == 1
        assert (seen.color[:, i].cpu() - traced).abs()[inside].mean() < 0.01
        assert (seen.color[:, i].cpu() == torch.tensor(GROUND))[mask == 0].all()
        for radius, covered, depth in zip(RADII.tolist(), mask.sum((1, 2)).tolist(), seen.depth[:, i].cpu(), strict=True):
            side = math.tan(math.asin(radius / camera.distance)) / camera.slope * size / 2
            assert covered == pytest.approx(math.pi * side**2, rel=0.01)  # the edges are soft
            assert depth[size // 2, size // 2] == pytest.approx(camera.distance - radius, abs=0.01)
    assert ((seen.mask > 0) & (seen.mask < 1)).sum() > 100
    assert torch.allclose(seen.normal.norm(dim=-1), (seen.depth > 0).float(), atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_are_those_of_the_look_whole_or_in_pieces(device) -> None:
    surfaces, views, found = balls(device), Views.of(CAMERAS, objects=2).to(device), []
    light, target = torch.tensor((0.0, 0.0, 1.0), device=device), torch.rand(2, 2, 24, 20, 3, generator=torch.Generator().manual_seed(0))
    for at_once in (1 << 20, 100):
        tint = torch.full((2, 1, 5), 0.7, device=device, dtype=torch.float64, requires_grad=True)

        def loss(tint: Tensor, at_once: int = at_once) -> Tensor:
            seen = render_surfaces(
                surfaces, lambda p: striped(p) * tint, views, (24, 20), background=WHITE,
                shading=lambda look, n, d: lambert(look[..., :3], n, light), at_once=at_once,
            )  # fmt: skip
            return (seen.color - target.to(seen.color)).square().sum()

        found.append(torch.autograd.grad(loss(tint), tint)[0])
    with torch.no_grad():
        step = torch.zeros_like(tint)
        step[1, 0, 2] = 1e-3
        assert float(loss(tint + step) - loss(tint - step)) / 2e-3 == pytest.approx(float(found[0][1, 0, 2]), rel=1e-3)
    assert torch.allclose(*found) and (found[0][..., :3].abs() > 0.1).all() and (found[0][..., 3:] == 0).all()


def test_only_what_is_seen_is_asked_about() -> None:
    asked = []

    def look(points: Tensor) -> Tensor:
        asked.append(points)
        return striped(points)

    seen = render_surfaces(balls(), look, Views.of(CAMERAS[:1], objects=2), (32, 32), background=WHITE)
    (points,) = asked
    counts = (seen.depth > 0).sum((1, 2, 3)).tolist()
    assert points.shape == (2, max(counts), 3)
    for ball, radius, count in zip(points, RADII.tolist(), counts, strict=True):
        assert torch.allclose(ball[:count].norm(dim=-1), torch.tensor(radius), atol=2e-3)
        backward = Views.of(CAMERAS[:1]).axes()[0, 0, :, 2]
        assert (ball[:count] @ backward > 0).all()


def test_half_precision_of_a_training_leaves_cameras_and_surfaces_as_they_are() -> None:
    views, pictures = Views.of(CAMERAS, objects=2), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            seen = render_surfaces(balls(), lambda p: striped(p).to(torch.bfloat16), views, (32, 32), background=WHITE)
            slope = gradient(lambda p: p.square().sum(-1), torch.ones(1, 1, 3))
            pictures.append((*vars(seen).values(), *views.rays(8), views.conditions(), slope))
    assert all(a.dtype == torch.float32 and (a == b).all() for a, b in zip(*pictures, strict=True))


def test_depth_hints_are_near_bright_and_apart_from_the_background() -> None:
    depth = torch.tensor(((2.0, 2.5), (4.0, 0.0)), requires_grad=True)
    hint = depth_hint(torch.stack((depth, torch.full((2, 2), 3.0), torch.zeros(2, 2))), torch.stack((depth > 0, depth > 0, depth < 0)))
    assert hint.shape == (3, 2, 2, 3) and not hint.requires_grad and (hint[..., 0] == hint[..., 2]).all()
    assert hint[0, 0, 0, 0] == 1 and hint[0, 1, 0, 0] == pytest.approx(FARTHEST) and hint[0, 1, 1, 0] == 0
    assert hint[0, 0, 1, 0] == pytest.approx(FARTHEST + (1 - FARTHEST) * (1 / 2.5 - 1 / 4) / (1 / 2 - 1 / 4))
    assert (hint[1, :, 0] == 1).all() and (hint[2] == 0).all()  # all at one depth; nothing seen
