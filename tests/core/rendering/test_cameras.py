# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras: MVDream's numbers, rays that go where the projection says, and views as training draws them."""

import pytest
import torch

from core.rendering.cameras import Camera, Viewpoints, Views

# Elevation 15 degrees, the camera on +X: what MVDream's own code makes of it.
MVDREAM = ((0, -0.2588, 0.9659, 0.9659), (1, 0, 0, 0), (0, 0.9659, 0.2588, 0.2588), (0, 0, 0, 1))


def test_what_mvdream_reads_is_its_own_convention() -> None:
    views = Views.of([Camera(azimuth=0, elevation=15, distance=3.7)])
    assert torch.allclose(views.conditions(), torch.tensor(MVDREAM).reshape(1, 1, 16), atol=5e-5)
    assert views.matrices()[0, 0, :3, 3].norm() == pytest.approx(3.7)


def test_views_see_what_their_cameras_see() -> None:
    cameras = [Camera(), Camera(azimuth=200, elevation=-40, fov=55, distance=1.7)]
    origin, direction = Views.of(cameras, objects=2).rays(24)
    assert direction.shape == (2, 2, 24, 24, 3)
    for i, camera in enumerate(cameras):
        for ours, theirs in zip((origin, direction), camera.rays(24), strict=True):
            assert torch.allclose(ours[1, i].reshape(-1, 3), theirs, atol=1e-6)


def test_a_pixel_s_ray_is_projected_on_to_that_pixel() -> None:
    """Pictures that are wider than high keep the field of view of both sides: pixels need not be square."""
    views, (height, width) = Viewpoints(views=3).draw(2, torch.Generator().manual_seed(1)), (5, 8)
    origin, direction = views.rays(height, width)
    points = (origin + 1.3 * direction)[1, 2]  # [H, W, 3]
    clip = views.clip(points.reshape(-1, 3))[1, 2].view(height, width, 4)
    column = (clip[..., 0] / clip[..., 3] + 1) / 2 * width
    row = (1 - clip[..., 1] / clip[..., 3]) / 2 * height
    assert torch.allclose(column, (torch.arange(width) + 0.5).expand(height, -1), atol=1e-4)
    assert torch.allclose(row, (torch.arange(height) + 0.5)[:, None].expand(-1, width), atol=1e-4)
    backward = views.matrices()[1, 2, :3, 2]
    assert torch.allclose(clip[..., 3], (origin[1, 2] - points) @ backward, atol=1e-5)  # w is the depth
    assert (clip[..., 2].abs() < clip[..., 3]).all()


def test_training_draws_views_a_quarter_turn_apart() -> None:
    views = Viewpoints().draw(500, torch.Generator().manual_seed(0))
    steps = views.azimuth.diff(dim=1) % 360
    assert torch.allclose(steps, torch.full_like(steps, 90), atol=1e-3)
    assert (views.elevation == views.elevation[:, :1]).all() and (views.fov == views.fov[:, :1]).all()
    half_side = views.distance * views.slope
    for drawn, (low, high) in ((views.elevation, (0, 30)), (views.fov, (15, 60)), (half_side, (0.8, 1.0)), (views.azimuth[:, 0], (0, 360))):
        spread = high - low
        assert low <= drawn.min() + 1e-5 < low + 0.05 * spread and high - 0.05 * spread < drawn.max() - 1e-5 <= high
    again = Viewpoints().draw(500, torch.Generator().manual_seed(0))
    assert all((a == b).all() for a, b in zip(vars(views).values(), vars(again).values(), strict=True))
