# SPDX-License-Identifier: GPL-3.0-or-later
"""Volume rendering: its plain twin's values and gradients, in pieces or whole, and gradients that reach a network's planes."""

import pytest
import torch
from torch import Tensor

from core.networks.triplane import sample_planes
from core.rendering.cameras import Camera, Viewpoints, Views
from core.rendering.volume import Sampling, density, gradient, render_densely, render_rays, render_views

DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")))
COLOR = torch.tensor((0.9, 0.2, 0.4))


def balls(radius: Tensor):
    """Distance and look of balls, one of each radius [B]; colours change from place to place."""

    def distance(points: Tensor) -> Tensor:
        return points.norm(dim=-1) - radius[:, None]

    def look(points: Tensor) -> Tensor:
        return COLOR.to(points) * (0.6 + 0.4 * torch.sin(9 * points))

    return distance, look


def rays(size: int, objects: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    views = Viewpoints(views=2, fov=(40, 40)).draw(objects, torch.Generator().manual_seed(2)).to(device)
    return tuple(t.flatten(1, 3).to(dtype) for t in views.rays(size))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sharpness", (30, 300))
def test_few_points_see_what_thousands_see(sharpness, device) -> None:
    distance, look = balls(torch.tensor((0.45, 0.2), device=device))
    origin, direction = rays(24, 2, device)
    dense = render_densely(distance, look, origin, direction, 1 / sharpness, points=2048)
    seen = render_rays(distance, look, origin, direction, beta=1 / sharpness, sampling=Sampling(32, 32, 63), normals=True)
    assert 0.05 < dense.opacity.mean() < 0.6 and dense.opacity.max() > 0.99
    assert (seen.opacity - dense.opacity).abs().max() < 0.01 and (seen.look - dense.look).abs().max() < 0.01
    solid = dense.opacity > 0.5
    assert (seen.depth - dense.depth)[solid].abs().max() < 0.01
    there = torch.nn.functional.normalize(origin + direction * seen.depth[..., None], dim=-1)
    assert ((seen.normal * there).sum(-1)[solid] > 0.98).all()
    rough = render_rays(distance, look, origin, direction, beta=1 / sharpness, sampling=Sampling(32, 32, 8))
    assert (rough.look - dense.look).abs().mean() < 5e-3 and (rough.opacity == seen.opacity).all()


@pytest.mark.parametrize("looks", (95, 8))
@pytest.mark.parametrize("device", DEVICES)
def test_gradients_are_those_of_the_dense_picture(device, looks) -> None:
    """The distance's and the look's own, against the dense picture a little changed; points of the rays do not take part."""
    origin, direction = rays(12, 1, device, torch.float64)
    weight = torch.rand(*origin.shape[:2], 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(device)
    beta = 1 / 60

    def loss(numbers: Tensor, dense: bool) -> Tensor:
        radius, tint = numbers
        distance, look = balls(radius[None])
        fields = distance, lambda points: look(points) * tint
        if dense:
            seen = render_densely(*fields, origin, direction, beta, points=2048)
        else:
            seen = render_rays(*fields, origin, direction, beta=beta, sampling=Sampling(48, 48, looks))
        return (torch.cat((seen.look, seen.opacity[..., None]), -1) * weight).sum()

    at = torch.tensor((0.35, 0.8), dtype=torch.float64, device=device, requires_grad=True)
    (found,) = torch.autograd.grad(loss(at, dense=False), at)
    step = 1e-4 * torch.eye(2, dtype=torch.float64, device=device)
    with torch.no_grad():
        expected = torch.stack([(loss(at + s, dense=True) - loss(at - s, dense=True)) / 2e-4 for s in step])
    assert torch.allclose(found, expected, rtol=0.01 if looks == 95 else 0.03)


def test_pieces_give_the_picture_and_the_gradient_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(2, 3, 1, 8, 8, generator=generator).mul_(0.05).requires_grad_()

    def distance(points: Tensor) -> Tensor:
        return points.norm(dim=-1) - 0.3 + sample_planes(planes, points)[..., 0]

    views, found = Viewpoints().draw(2, generator), []
    for at_once in (1 << 24, 1 << 10):
        seen = render_views(
            distance, balls(torch.zeros(2))[1], views, 6, 5, beta=1 / 50, sampling=Sampling(16, 16, 8, at_once), normals=True,
            generator=torch.Generator().manual_seed(3),
        )  # fmt: skip
        assert seen.look.shape == (2, 4, 6, 5, 3) and seen.normal.shape == (2, 4, 6, 5, 3) and seen.depth.shape == (2, 4, 6, 5)
        (slope,) = torch.autograd.grad(seen.over(torch.ones(3)).square().sum() + seen.normal.square().sum(), planes)
        found.append((seen.look.detach(), slope))
    (look, slope), (look_, slope_) = found
    assert torch.allclose(look, look_, atol=1e-6) and torch.allclose(slope, slope_, atol=1e-4) and slope.abs().sum() > 0.1


def test_random_points_are_right_on_average_and_empty_rays_show_the_background() -> None:
    distance, look = balls(torch.tensor((0.4,)))
    origin, direction = Views.of([Camera(distance=3.0)]).rays(8)
    origin, direction, generator = origin.flatten(1, 3), direction.flatten(1, 3), torch.Generator().manual_seed(0)
    dense = render_densely(distance, look, origin, direction, 1 / 40)
    few = Sampling(8, 4, 11)
    drawn = torch.stack([
        render_rays(distance, look, origin, direction, beta=1 / 40, sampling=few, generator=generator).opacity for _ in range(64)
    ])  # fmt: skip
    assert drawn.std(0).max() > 1e-3 and (drawn.mean(0) - dense.opacity).abs().max() < 0.02
    background = torch.tensor((0.1, 0.5, 0.9))
    corner = render_rays(distance, look, origin, direction, beta=1 / 40).over(background)[0, 0]
    assert torch.allclose(corner, background, atol=1e-4)
    away = render_rays(distance, look, origin, -direction, beta=1 / 40)  # all behind the camera
    assert away.opacity.max() == 0 and (away.over(background) == background).all()


def test_the_density_is_a_share_of_the_laplace_distribution_and_slopes_are_slopes() -> None:
    d = torch.linspace(-0.2, 0.2, 41, dtype=torch.float64)
    laplace = torch.distributions.Laplace(torch.zeros((), dtype=torch.float64), 0.02)
    assert torch.allclose(density(d, 0.02), laplace.cdf(-d) / 0.02)
    points = torch.randn(1, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(gradient(lambda p: p.square().sum(-1), points), 2 * points, atol=1e-9)
