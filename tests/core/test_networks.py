# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator: fast paths equal their plain twins, models survive the disk, damage is named."""

import json
from dataclasses import replace

import pytest
import torch

from core.errors import MissingWeights
from core.networks.generator import Generator
from core.networks.pointnet import PointNet, by_cell, fibonacci_sphere, mean_by_cell, mean_of_sorted
from core.networks.presets import PRESETS
from core.networks.storage import ModelCard, load_generator, save_generator
from core.networks.triplane import PLANE_AXES, Block, PlaneMixing, PlaneReader, sample_planes


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(3)
    generator = Generator(PRESETS["tiny"])
    with torch.no_grad():  # the zero-initialised layers must not hide anything
        for parameter in generator.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return generator.eval()


def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    mask = torch.arange(7)[None] < torch.randint(3, 8, (batch, 1))
    return torch.randn(batch, 7, 384), mask, torch.randn(batch, 8)


def test_sizes_are_as_promised() -> None:
    count = {name: sum(p.numel() for p in Generator(PRESETS[name]).parameters()) for name in ("tiny", "starter")}
    assert count["tiny"] < 1e6
    assert count["starter"] <= 16e6


def test_planes_are_read_where_points_lie() -> None:
    planes = torch.zeros(1, 3, 3, 9, 9)
    line = torch.linspace(-0.52, 0.52, 9)
    for i, (u, v) in enumerate(PLANE_AXES):  # channel k of each plane holds coordinate k, so sums count the planes that have the axis
        planes[0, i, u] = line[None, :]
        planes[0, i, v] = line[:, None]
    points = torch.rand(1, 50, 3) - 0.5
    torch.testing.assert_close(sample_planes(planes, points), 2 * points)


def test_plane_mixing_averages_along_the_axis_that_is_not_shared() -> None:
    """Each plane holds a function of its two coordinates; what arrives must be the mean over the foreign one, at the right place."""
    mixing, size = PlaneMixing(2), 5
    with torch.no_grad():
        for module in (*mixing.own, *mixing.columns, *mixing.rows):
            module.weight.copy_(torch.eye(2).view(module.weight.shape))
            if module.bias is not None:
                module.bias.zero_()
    x = torch.randn(1, 3, 2, size, size)
    xy, xz, yz = x.unbind(1)  # [1, C, rows, columns]
    full = [xy.permute(0, 1, 3, 2)[..., None], xz.permute(0, 1, 3, 2)[:, :, :, None], yz.permute(0, 1, 3, 2)[:, :, None]]  # over x, y, z
    full = [f.expand(-1, -1, size, size, size) for f in full]
    for i, (u, v) in enumerate(PLANE_AXES):
        expected = full[i] + sum(
            full[j]
            .mean([a + 2 for a in range(3) if a not in PLANE_AXES[i]], keepdim=True)
            .mean([a + 2 for a in PLANE_AXES[i] if a not in PLANE_AXES[j]], keepdim=True)
            for j in range(3)
            if j != i
        )
        gone = ({0, 1, 2} - {u, v}).pop()
        torch.testing.assert_close(mixing(x)[:, i], expected.expand_as(full[i]).select(gone + 2, 0).transpose(2, 3))


@pytest.mark.parametrize("resolution", [8, 33])
def test_the_quick_reader_equals_the_plain_sampler(resolution: int) -> None:
    planes, points = torch.randn(1, 3, 6, resolution, resolution), (torch.rand(1, 4000, 3) - 0.5) * 1.2  # some outside
    torch.testing.assert_close(PlaneReader(planes)(points[0]), sample_planes(planes, points)[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_bound_fields_equal_the_trained_ones(generator: Generator) -> None:
    fields = generator(*inputs(2))
    points = torch.rand(2, 3000, 3) - 0.5
    sdf = generator.sdf(fields.geometry, fields.condition, points)
    look = generator.texture(fields.texture, fields.condition, points)
    for i in range(2):
        torch.testing.assert_close(generator.sdf.of(fields[i])(points[i]), sdf[i], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(generator.texture.of(fields[i])(points[i]), look[i], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_batching_and_padding_change_nothing(generator: Generator) -> None:
    tokens, mask, z = inputs(4)
    together = generator(tokens, mask, z)
    for i in range(4):
        n = int(mask[i].sum())
        alone = generator(tokens[i : i + 1, :n], mask[i : i + 1, :n], z[i : i + 1])
        torch.testing.assert_close(alone.geometry[0], together.geometry[i], atol=2e-4, rtol=1e-3)
        torch.testing.assert_close(alone.height_m[0], together.height_m[i])


@torch.no_grad()
def test_the_dummy_sphere_is_a_cloud_like_any_other(generator: Generator) -> None:
    tokens, mask, z = inputs(2)
    given = generator(tokens, mask, z, fibonacci_sphere(PRESETS["tiny"].points).expand(2, -1, -1))
    torch.testing.assert_close(generator(tokens, mask, z).geometry, given.geometry, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_points_reach_the_cells_they_lie_in() -> None:
    net = PointNet(8, 4, 16)
    cloud = torch.zeros(1, 64, 6)
    cloud[..., :3] = torch.tensor((0.25, -0.25, 0.4))
    planes = net(cloud)
    for plane, (column, row) in enumerate(((12, 4), (12, 14), (4, 14))):  # xy, xz, yz: the first axis along the columns
        found = planes[0, plane].abs().sum(0).nonzero().tolist()
        assert found == [[row, column]]


def test_a_model_survives_the_disk(generator: Generator, tmp_path) -> None:
    save_generator(generator, ModelCard("mine", ("mushroom",), {"hours": 1}), tmp_path, torch.float32)
    loaded, card = load_generator(tmp_path)
    assert card == ModelCard("mine", ("mushroom",), {"hours": 1})
    for (name, a), b in zip(generator.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_an_older_model_has_as_many_blocks_in_G_as_in_T(generator: Generator, tmp_path) -> None:
    blocks = (1, 0, 1)
    save_generator(Generator(replace(PRESETS["tiny"], geometry_blocks=blocks, decoder_blocks=blocks)), ModelCard("mine", ()), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["generator"]["geometry_blocks"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_generator(tmp_path)[0].config.geometry_blocks == blocks


@torch.no_grad()
def test_an_untrained_block_hands_on_what_it_gets() -> None:
    x = torch.randn(2, 3, 24, 8, 8)
    torch.testing.assert_close(Block(24, 16, 32, attention=True)(x, torch.randn(2, 32), torch.randn(2, 4, 32)), x[:, :, :16])


@pytest.mark.parametrize(
    "damage", ["gone", "no config", "config is no JSON", "config is no object", "sizes of nothing", "truncated", "part gone", "other sizes"]
)
def test_a_damaged_model_is_named(generator: Generator, tmp_path, damage: str) -> None:
    save_generator(generator, ModelCard("mine", ("mushroom",)), tmp_path)
    config, part = tmp_path / "config.json", tmp_path / "geometry.safetensors"
    folder = tmp_path / "elsewhere" if damage == "gone" else tmp_path
    if damage == "no config":
        config.unlink()
    elif damage == "config is no JSON":
        config.write_text("{")
    elif damage == "config is no object":
        config.write_text('{"generator": [], "id": "mine", "kinds": [], "format": 1}')
    elif damage == "sizes of nothing":
        config.write_text('{"generator": {"channels": []}, "id": "mine", "kinds": [], "format": 1}')
    elif damage == "truncated":
        part.write_bytes(part.read_bytes()[:-1000])
    elif damage == "part gone":
        part.unlink()
    elif damage == "other sizes":
        sizes = json.loads(config.read_text())
        sizes["generator"]["channels"] = [16, 32, 64]
        config.write_text(json.dumps(sizes))
    with pytest.raises(MissingWeights) as caught:
        load_generator(folder)
    assert str(folder) in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
def test_cells_have_the_same_means_every_time(device: str) -> None:
    """A GPU's scatter_reduce adds in another order each time; sorted points give the plain twin's bits, values and gradients."""
    torch.manual_seed(5)
    features, cells = torch.randn(3, 2048, 12, requires_grad=True), torch.randint(400, (3, 2048))  # a third of the cells stay empty
    weights = torch.randn(3, 12, 576)
    plain = by_cell(features, cells, 576, "mean")
    assert (plain == 0).all(1).any()
    (slope,) = torch.autograd.grad(plain, features, weights)
    there = features.detach().to(device).requires_grad_()
    runs = [mean_of_sorted(there, cells.to(device), 576) for _ in range(3)]
    for run in runs:
        assert torch.equal(run.cpu(), plain)
        torch.testing.assert_close(torch.autograd.grad(run, there, weights.to(device))[0].cpu(), slope)
    assert torch.equal(mean_by_cell(there, cells.to(device), 576).cpu(), plain)
