# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasterising: every rasteriser finds the plain one's triangles, weights and depth are the ray's, edges are soft and move with vertices."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import BadRequest
from core.rendering.antialias import antialias
from core.rendering.cameras import Viewpoints, Views
from core.rendering.raster import NOTHING, interpolate, rasterize, rasterizer
from core.surface.extract import extract_surface
from core.surface.topology import half_edge_twins
from tests.conftest import ROOT

GPU = torch.cuda.is_available()


def backend(name: str, device: str):
    """A rasteriser that is there, or a skipped test. nvdiffrast rounds vertices its own way."""
    if device == "cuda" and not GPU:
        pytest.skip("no CUDA device")
    try:
        rasterizer(device, name)
    except BadRequest as error:
        pytest.skip(str(error))


WAYS = [("warp", "cpu"), ("plain", "cpu"), ("warp", "cuda"), ("nvdiffrast", "cuda")]


def ring() -> tuple[Tensor, Tensor]:
    """A torus, which hides parts of itself: vertices [V, 3], triangles [F, 3]."""

    def distance(p: Tensor) -> Tensor:
        return torch.stack((p[..., :2].norm(dim=-1) - 0.3, p[..., 2]), -1).norm(dim=-1) - 0.13

    return tuple(torch.from_numpy(a) for a in extract_surface(distance, resolution=64))


def views(count: int) -> Views:
    return Viewpoints(views=count, elevation=(20, 50)).draw(1, torch.Generator().manual_seed(5))


def soup(seed: int) -> tuple[Tensor, Tensor]:
    """Triangles in clip space [3, 60, 4], many with corners and edges on pixels' centres, some behind the camera or off the picture."""
    generator = torch.Generator().manual_seed(seed)
    clip = torch.rand(3, 60, 4, generator=generator) * 4 - 2
    clip[..., :2] = (clip[..., :2] * 16).round() / 16
    clip[..., 3] = 1 if seed % 2 else clip[..., 3] + 1
    return clip, torch.randint(0, 60, (80, 3), generator=generator, dtype=torch.int32)


@pytest.mark.parametrize(("name", "device"), WAYS)
def test_rasterisers_agree(name, device) -> None:
    backend(name, device)
    vertices, triangles = ring()
    clip = views(2).clip(vertices)[0]
    plain, found = (rasterize(c, triangles, (48, 64), n) for c, n in ((clip, "plain"), (clip.to(device), name)))
    differ = (plain.face != found.face.cpu()).float().mean()
    assert 0.05 < plain.seen.float().mean() < 0.5 and differ <= (0.01 if name == "nvdiffrast" else 0)
    assert (plain.depth - found.depth.cpu()).abs().max() < (1 if name == "nvdiffrast" else 1e-5)
    if name != "nvdiffrast":  # it clips what reaches behind the camera
        for seed in range(6):
            clip, triangles = soup(seed)
            plain, found = (
                rasterizer(c.device, n)(c, triangles.to(c.device), 24, 32) for c, n in ((clip, "plain"), (clip.to(device), name))
            )
            assert (plain == found.cpu()).all() and (plain != NOTHING).any()


@pytest.mark.parametrize(("name", "device"), WAYS)
def test_each_pixel_of_a_plane_is_one_triangle_s(name, device) -> None:
    """Corners and common edges on pixels' centres: no hole, and nothing beside the plane."""
    backend(name, device)
    grid = torch.stack(torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij"), -1).reshape(-1, 2).float()
    clip = torch.cat(((grid + 2.5) / 16 * 2 - 1, torch.tensor((0.0, 1.0)).expand(len(grid), 2)), 1).to(device)
    corner = (torch.arange(8)[:, None] * 9 + torch.arange(8)).reshape(-1, 1)
    triangles = torch.cat((corner + torch.tensor((0, 9, 10)), corner + torch.tensor((0, 10, 1))))
    seen = rasterize(clip, triangles, (16, 16), name).seen[0]
    assert seen.sum() == 64 and seen.any(0).sum() == 8 and seen.any(1).sum() == 8


def test_weights_and_depth_are_those_of_the_pixel_s_ray() -> None:
    vertices, triangles = ring()
    cameras = views(2)
    found = rasterize(cameras.clip(vertices.double())[0], triangles, (40, 40))
    origin, direction = (t[0].double() for t in cameras.rays(40))
    there = interpolate(vertices.double(), triangles, found)[found.seen]
    from_eye = there - origin[found.seen]
    on_ray = torch.linalg.cross(from_eye, direction[found.seen], dim=-1).norm(dim=-1)
    assert (
        on_ray.median() < 1e-6 and on_ray.quantile(0.98) < 2e-4
    )  # a centre may be a step of the vertices, 1/256 pixel, beside its triangle
    backward = cameras.axes()[0, :, None, None, :, 2].expand(2, 40, 40, 3)[found.seen]
    assert torch.allclose(found.depth[found.seen], -(from_eye * backward).sum(-1), atol=1e-5)
    normal = np.cross(*(np.diff(vertices.numpy()[triangles.numpy()[found.face[found.seen]]], axis=1).transpose(1, 0, 2)))
    assert (np.einsum("ni,ni->n", normal, direction[found.seen].numpy()) < 1e-6).mean() > 0.999  # nothing hidden is seen


def test_gradients_reach_attributes_and_vertices() -> None:
    triangles, clip = torch.tensor(((0, 1, 2), (2, 1, 3))), torch.tensor(
        ((-0.8, -0.7, 0.0, 1.0), (0.9, -0.8, 0.3, 1.5), (-0.7, 0.8, 0.1, 1.2), (1.0, 1.1, 0.4, 2.0)), dtype=torch.float64
    )  # fmt: skip
    values, weight = (torch.rand(n, 2, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (4, 36))

    def loss(clip: Tensor, values: Tensor) -> Tensor:
        found = rasterize(clip, triangles, (6, 6))
        return (interpolate(values, triangles, found).reshape(36, 2) * weight).sum() + found.depth.square().sum()

    assert torch.autograd.gradcheck(loss, (clip.requires_grad_(), values.requires_grad_()), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("resolution", (64, 128))
def test_soft_masks_are_the_pixels_covered_shares(resolution) -> None:
    """Against 16 × 16 samples a pixel, also where a pixel is wider than a triangle."""

    def distance(p: Tensor) -> Tensor:
        return torch.stack((p[..., :2].norm(dim=-1) - 0.3, p[..., 2]), -1).norm(dim=-1) - 0.13

    vertices, triangles = (torch.from_numpy(a) for a in extract_surface(distance, resolution=resolution))
    clip, size = views(2).clip(vertices)[0], 48
    found = rasterize(clip, triangles, (size, size))
    hard = found.seen.float()[..., None]
    soft = antialias(hard, found, clip, triangles, torch.from_numpy(half_edge_twins(triangles.numpy())))
    fine = rasterize(clip, triangles, (16 * size, 16 * size)).seen.float()
    share = torch.nn.functional.avg_pool2d(fine[:, None], 16)[:, 0, ..., None]
    edge = (share > 0) & (share < 1)
    assert (soft - share)[edge].abs().mean() < 0.35 * (hard - share)[edge].abs().mean()
    assert (soft - share)[~edge].abs().max() < 0.1 and soft.min() >= 0 and soft.max() <= 1


def test_soft_masks_move_with_the_vertices() -> None:
    """The covered area's gradient is the true one, where the hard mask has none."""
    triangles = torch.tensor(((0, 1, 2),))
    corners = torch.tensor(((-0.62, -0.71), (0.77, -0.52), (0.13, 0.83)), dtype=torch.float64, requires_grad=True)

    def mask(corners: Tensor) -> Tensor:
        clip = torch.cat((corners, torch.tensor((0.0, 1.0)).expand(3, 2)), 1)[None]
        found = rasterize(clip, triangles, (32, 32))
        return antialias(found.seen.double()[..., None], found, clip, triangles, torch.full((1, 3), -1))

    (a, b, c), size = corners, 16**2
    area = ((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]) / 2 * size
    assert mask(corners).sum().item() == pytest.approx(area.item(), rel=0.02)
    (found,), (expected,) = (torch.autograd.grad(value, corners) for value in (mask(corners).sum(), area))
    assert torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.99
    assert torch.allclose(found, expected, rtol=0.25, atol=1)


def test_nothing_is_seen_of_an_empty_mesh_or_one_behind_the_camera() -> None:
    clip = torch.tensor(((-1.0, -1, 0, -1), (1, -1, 0, 1), (0, 1, 0, 1)))
    for triangles in (torch.zeros(0, 3, dtype=torch.int32), torch.tensor(((0, 1, 2),))):
        found = rasterize(clip, triangles, (4, 4))
        assert not found.seen.any() and (found.depth == 0).all() and interpolate(clip, triangles, found).shape == (1, 4, 4, 4)


def test_a_rasteriser_that_is_not_there_is_named(monkeypatch) -> None:
    with pytest.raises(BadRequest, match="no rasteriser 'opengl'.*auto, plain, warp, nvdiffrast"):
        rasterizer("cpu", "opengl")
    with pytest.raises(BadRequest, match="nvdiffrast needs a CUDA device.*Choose auto or warp"):
        rasterizer("cpu", "nvdiffrast")
    monkeypatch.setitem(sys.modules, "core.rendering.raster_warp", None)  # as where Warp is not installed
    monkeypatch.delattr("core.rendering.raster_warp", raising=False)
    with pytest.raises(BadRequest, match="warp cannot be used here.*train.txt"):
        rasterizer("cpu", "warp")
    assert rasterizer("cpu") is rasterizer("cpu", "plain")


def test_warp_is_loaded_by_its_first_use_alone_and_says_nothing_on_stdout() -> None:
    program = (
        "import sys, torch, core.pipeline, core.rendering.raster, core.rendering.volume, core.rendering.mesh_pictures\n"
        "assert 'warp' not in sys.modules\n"
        "core.rendering.raster.rasterize(torch.eye(4)[:3], torch.tensor(((0, 1, 2),)), (4, 4))\n"
        "print('done', 'warp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() in (["done True"], ["done False"])  # False: Warp is not installed
