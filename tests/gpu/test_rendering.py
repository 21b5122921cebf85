# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering on the device under test, at the sizes of a training, held against the CPU's and the plain rasteriser's."""

import pytest
import torch
from torch import Tensor

from core.errors import BadRequest
from core.rendering.cameras import Viewpoints
from core.rendering.deferred import Surface, render_surfaces
from core.rendering.raster import rasterize, rasterizer
from core.rendering.volume import Sampling, render_views
from core.surface.extract import extract_surface

VIEWS = Viewpoints(views=2).draw(1, torch.Generator().manual_seed(0))


def ring(p: Tensor) -> Tensor:
    return torch.stack((p[..., :2].norm(dim=-1) - 0.3, p[..., 2]), -1).norm(dim=-1) - 0.13


def striped(p: Tensor) -> Tensor:
    return 0.5 + 0.4 * torch.sin(p * torch.tensor((23.0, 17.0, 29.0), device=p.device))


@pytest.fixture(scope="module")
def mesh():
    return extract_surface(ring, resolution=128)


@pytest.mark.parametrize("name", ("warp", "nvdiffrast"))
def test_rasterisers_agree_with_the_plain_one_and_with_themselves(device, mesh, name) -> None:
    try:
        rasterizer(device, name)
    except BadRequest as error:
        pytest.skip(str(error))
    vertices, triangles = (torch.from_numpy(a) for a in mesh)
    clip = VIEWS.clip(vertices)[0]
    plain, found = rasterize(clip, triangles, (512, 384), "plain"), rasterize(clip.to(device), triangles, (512, 384), name)
    assert (plain.seen != found.seen.cpu()).float().mean() < 1e-4
    exact = (plain.face == found.face.cpu()).float().mean()
    assert exact > (0.999 if name == "warp" else 0.99)  # nvdiffrast rounds vertices its own way: common edges fall to the other triangle
    again = rasterize(clip.to(device), triangles, (512, 384), name)
    assert all((a == b).all() for a, b in zip(vars(found).values(), vars(again).values(), strict=True))


def test_surfaces_look_the_same(device, mesh) -> None:
    pictures = [
        render_surfaces([Surface.of(*mesh, device=d)], striped, VIEWS.to(d), (256, 256), background=torch.ones(3)) for d in ("cpu", device)
    ]
    differ = (pictures[0].color - pictures[1].color.cpu()).abs().amax(-1) > 1e-3
    assert differ.float().mean() < 1e-4 and (pictures[0].mask - pictures[1].mask.cpu()).abs().mean() < 1e-4


def test_volumes_look_the_same_and_so_do_their_gradients(device) -> None:
    found = []
    for d in ("cpu", device):
        size = torch.tensor(1.0, device=d, requires_grad=True)
        seen = render_views(lambda p, size=size: ring(p / size), striped, VIEWS.to(d), 64, beta=1 / 100)
        picture = seen.over(torch.ones(3, device=d))
        (slope,) = torch.autograd.grad(picture.square().sum(), size)
        found.append((picture.detach().cpu(), slope.cpu()))
    assert (found[0][0] - found[1][0]).abs().max() < 2e-3 and torch.allclose(found[0][1], found[1][1], rtol=1e-3)


def test_a_limit_on_points_is_a_limit_on_memory(device) -> None:
    if device.type != "cuda":
        pytest.skip("memory is measured on CUDA alone")
    weights = torch.randn(3, 256, device=device).requires_grad_()

    def wide(p: Tensor) -> Tensor:  # 256 numbers a point that the backward pass needs
        return ring(p) + 1e-3 * torch.sin(p @ weights).sum(-1)

    peaks = []
    for at_once in (1 << 30, 1 << 18):
        torch.cuda.reset_peak_memory_stats(device)
        sampling = Sampling(64, 64, 16, at_once)
        render_views(wide, striped, VIEWS.to(device), 192, beta=1 / 100, sampling=sampling).opacity.sum().backward()
        peaks.append(torch.cuda.max_memory_allocated(device))
    assert peaks[1] < 0.5 * peaks[0]
