# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a GPU alone, tried on the CPU against the plain functions that it stands for (tests/gpu tries it where it belongs)."""

import contextlib
import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.mesh import mesh_health
from core.networks.generator import Fields, Generator
from core.networks.presets import PRESETS
from core.networks.replay import Replay, fastest
from core.surface.atlas import unwrap
from core.surface.bake import _affine_maps, bake, spread_texels
from core.surface.bake_gpu import bake_on_device, spread_on_device
from core.surface.extract import (
    EmptySurfaceError,
    ExtractionCancelled,
    dense_grid,
    extract_surface,
    march,
    march_on_gpu,
    refine_grid,
)
from core.surface.meshing import make_surface
from core.surface.texels import owned_texels
from core.surface.texels_gpu import owned_on_device


def wavy(p: Tensor) -> Tensor:
    """A torus that noise of half a cell has torn into bits and tunnels, and that leaves the grid."""
    draw = torch.Generator().manual_seed(0)
    wave, phase = torch.randn(16, 3, generator=draw) * 150, torch.rand(16, generator=draw) * 6.28
    torus = torch.stack((p[:, :2].norm(dim=-1) - 0.4, p[:, 2]), dim=-1).norm(dim=-1) - 0.15
    return torus + torch.sin(p @ wave.T + phase).sum(dim=-1) * 0.002


def box(p: Tensor) -> Tensor:
    """Its sides lie in the grid: many values are zero, and many faces of cells have a tie to break."""
    return (p.abs() - torch.tensor((0.26, 0.13, 0.39))).amax(1)


def noise(p: Tensor) -> Tensor:
    """Every combination of signs, and of what decides where they do not."""
    return torch.randn(len(p), generator=torch.Generator().manual_seed(1)) * 0.02


def signs(p: Tensor) -> Tensor:
    """The same where every value is as far from zero as all others."""
    return noise(p).sign() * 0.01


def assert_same_surface(one: tuple, other: tuple) -> None:
    """The same vertices to a hundred-thousandth of a cell, and the same triangles on them, facing the same way; orders do not matter."""
    (vertices, triangles, low), (others, found, origin) = one, other
    away, partner = cKDTree(vertices + low).query(others + origin)
    assert away.max() < 1e-5 and len(np.unique(partner)) == len(vertices) == len(others)
    rows = [np.take_along_axis(t, (t.argmin(1)[:, None] + np.arange(3)) % 3, 1) for t in (triangles, partner[found])]
    np.testing.assert_array_equal(*(row[np.lexsort(row.T)] for row in rows))


@pytest.mark.parametrize("field", [wavy, box, noise, signs])
def test_marching_cubes_gives_the_triangles_of_scikit_image(field) -> None:
    values, cell = dense_grid(field, resolution=40), 1.04 / 40
    plain, found = march(values.clone(), cell), march_on_gpu(values, cell)
    assert len(found[1]) > 1000 and found[0].dtype == np.float32 and found[1].dtype == np.int32
    assert_same_surface(plain, found)
    again = march_on_gpu(values, cell)
    assert (again[0] == found[0]).all() and (again[1] == found[1]).all()


def test_marching_cubes_finds_that_there_is_nothing() -> None:
    for find in (march, march_on_gpu):
        with pytest.raises(EmptySurfaceError):
            find(torch.ones(9, 9, 9), 0.1)
        vertices, triangles, _ = find(-torch.ones(9, 9, 9), 1.04 / 8)  # a solid that fills the grid is closed at its border
        assert mesh_health(vertices, triangles)["closed"]


class Waits(TorchDispatchMode):
    """Counts the operations that a CPU waits for a GPU at: those whose answer's size, or whose value, it must know."""

    NAMES = ("aten.nonzero.", "aten._local_scalar_dense.", "aten.repeat_interleave.Tensor", "aten._unique2.", "aten.masked_select.")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += str(function).startswith(self.NAMES)
        return function(*args, **(kwargs or {}))


def test_the_grid_is_refined_with_one_wait_a_level() -> None:
    with Waits() as waits:
        values = refine_grid(wavy, resolution=128)
    assert waits.count == 2
    with Waits() as waits:
        march_on_gpu(values, 1.04 / 128)
    assert waits.count == 3  # the cells that are cut, their triangles, the vertices


@pytest.fixture(scope="module")
def unwrapped() -> tuple:
    vertices, triangles = extract_surface(wavy, resolution=64)
    return vertices, triangles, unwrap(vertices, triangles, size=256)


def look(p: Tensor) -> Tensor:
    return torch.cat((p + 0.5, (p[:, 2:] * 12).floor() % 2, p[:, :1].abs()), 1)


def test_the_bake_gives_the_same_images(unwrapped) -> None:
    vertices, triangles, atlas = unwrapped
    plain = bake(vertices, triangles, atlas.uvs, look, size=256, atlas=atlas, sparse=False)
    maps = _affine_maps(vertices, triangles, atlas.uvs * np.float32(256))
    found = bake_on_device(maps, atlas.triangle, atlas.texel, 256, look, spread=8, device="cpu", batch=10_000)
    for one, other in zip(plain, found, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype and other.flags.c_contiguous
        assert (one == other).mean() > 0.999 and (np.abs(one[..., 0].astype(int) - other[..., 0]) > 1).mean() < 1e-4
    with pytest.raises(ExtractionCancelled):
        bake_on_device(maps, atlas.triangle, atlas.texel, 256, look, spread=8, device="cpu", batch=10_000, cancelled=lambda: True)


@pytest.mark.parametrize("height", [64, 256])
def test_texels_have_the_same_owners(unwrapped, height: int) -> None:
    """Of an atlas, which shares none, and of triangles in disorder: some are level, upright or flat, some beside the image."""
    atlas = unwrapped[2]
    draw = np.random.default_rng(0)
    disorder = draw.normal(32, 20, (500, 1, 2)) + draw.normal(0, 6, (500, 3, 2))
    disorder[:100] = disorder[:100].round() + 0.5
    disorder[100:110] = disorder[100:110, :1]
    for points in (atlas.uvs * np.float32(256), disorder.astype(np.float32)):
        depth = draw.integers(0, 20, len(points)).astype(np.float64)
        plain, found = owned_texels(points, depth, 256, height), owned_on_device(points, depth, 256, height, "cpu")
        assert found[0].dtype == found[1].dtype == np.int32
        for one, other in zip(plain, found, strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(plain[0]) > 1000 and 100 < len(plain[2]) < 500


def test_an_object_is_as_sound_by_way_of_the_twins(monkeypatch) -> None:
    """Other orders of vertices and triangles collapse otherwise, into a surface that is as near."""
    plain = make_surface(wavy, resolution=64, triangles=3000)
    monkeypatch.setattr("core.surface.extract.march", march_on_gpu)
    monkeypatch.setattr("core.surface.atlas.owned_texels", functools.partial(owned_on_device, device="cpu"))
    found = make_surface(wavy, resolution=64, triangles=3000)
    health, other = (mesh_health(s.vertices, s.triangles) for s in (plain, found))
    assert other["closed"] and other["manifold"] and other["oriented"] and not other["degenerate"]
    assert len(found.triangles) == pytest.approx(len(plain.triangles), rel=0.02)
    assert other["volume"] == pytest.approx(health["volume"], rel=0.01)
    assert other["components"] == health["components"] and found.note == plain.note
    texels = [unwrap(s.vertices, s.triangles, size=256, coarse=True).texel for s in (plain, found)]
    assert len(texels[1]) == pytest.approx(len(texels[0]), rel=0.1) and len(np.unique(texels[1])) == len(texels[1])


@pytest.mark.parametrize("rounds", [0, 1, 8])
def test_colours_spread_from_the_same_texels(unwrapped, rounds: int) -> None:
    texel = unwrapped[2].texel
    found = spread_on_device(torch.from_numpy(texel), 256, rounds)
    assert (found.numpy().ravel() == spread_texels(texel, 256, rounds)).all() and ((found >= 0).sum() > len(texel)) == bool(rounds)


@pytest.fixture(scope="module")
def tiny() -> Generator:
    torch.manual_seed(0)
    generator = Generator(PRESETS["tiny"]).eval()
    for parameter in generator.parameters():  # an untrained one gives the same whatever it is given
        torch.nn.init.normal_(parameter, std=0.1)
    return generator


def inputs(generator: Generator, batch: int = 1, points: int | None = None) -> tuple:
    sizes, draw = generator.config, torch.Generator().manual_seed(2)
    cloud = None if points is None else torch.rand(batch, points, 6, generator=draw) - 0.5
    alpha = None if points is None else torch.rand(1, generator=draw)
    condition = torch.randn(batch, sizes.condition, generator=draw), torch.randn(batch, sizes.queries, sizes.condition, generator=draw)
    return *condition, cloud, alpha


def same(one: Fields, other: Fields) -> bool:
    return all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_on_a_processor_the_networks_are_called_as_they_are(tiny) -> None:
    assert fastest(tiny) == tiny.made


def test_each_kind_of_object_is_recorded_once_and_replayed(tiny) -> None:
    recorded = []

    def record(function, given):
        recorded.append([None if one is None else one.shape for one in given])
        return function

    replay = Replay(tiny, record)
    for points in (None, 512, None, 512):
        assert same(replay(*inputs(tiny, points=points)), tiny.made(*inputs(tiny, points=points)))
    assert [shapes[2] for shapes in recorded] == [None, (1, 512, 6)]
    for batch, points in ((2, None), (1, 300)):  # other shapes are called
        assert same(replay(*inputs(tiny, batch, points)), tiny.made(*inputs(tiny, batch, points)))
    assert len(recorded) == 2


def test_what_cannot_be_recorded_is_called_and_logged(tiny, capsys) -> None:
    def record(function, given):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nwith many more words")

    replay = Replay(tiny, record)
    for _ in range(2):
        assert same(replay(*inputs(tiny)), tiny.made(*inputs(tiny)))
    log = capsys.readouterr().err
    assert log == "The networks run without a CUDA graph: CUDA error: operation not permitted when stream is capturing\n"


class Tape(TorchDispatchMode):
    """Stands for torch.cuda.CUDAGraph: keeps what was calculated on which memory, and does the same on the same memory again."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if str(function).startswith(Waits.NAMES):
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        made = function(*args, **(kwargs or {}))
        self.steps.append((function, args, kwargs or {}, made))
        return made

    def replay(self) -> None:
        for function, args, kwargs, made in self.steps:
            for mine, new in zip(tree_leaves(made), tree_leaves(function(*args, **kwargs)), strict=True):
                mine.copy_(new)


@pytest.fixture
def taped(monkeypatch) -> None:
    """torch.cuda as far as `record_graph` asks for it, on the CPU."""
    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, stand_in in {
        "device": contextlib.nullcontext, "Stream": lambda: stream, "current_stream": lambda: stream, "stream": contextlib.nullcontext,
        "CUDAGraph": Tape, "graph": lambda graph, **options: graph,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)


def test_a_recording_gives_what_the_call_gives(taped, tiny, capsys) -> None:
    replay = Replay(tiny)
    for points in (None, 512):
        one = inputs(tiny, points=points)
        other = tuple(given if given is None else given.flip(0) * 0.9 for given in one)
        first = replay(*one)
        for given in (other, one):
            assert same(replay(*given), tiny.made(*given))
        assert same(first, tiny.made(*one)) and not same(first, replay(*other))  # it stays as it is in the next
    assert len(replay.replays) == 2 and tiny.made not in replay.replays.values() and capsys.readouterr().err == ""


def test_half_precision_leaves_planes_and_height_in_full(tiny) -> None:
    with torch.autocast("cpu", torch.bfloat16):  # as in training
        half = tiny.made(*inputs(tiny))
    full = tiny.made(*inputs(tiny))
    for name, value in vars(half).items():
        assert value.dtype == torch.float32, name
        assert not torch.equal(value, getattr(full, name)) or name == "condition", name
    assert not torch.equal(half.height_m.bfloat16().float(), half.height_m)
    assert torch.nn.functional.cosine_similarity(half.geometry.flatten(), full.geometry.flatten(), dim=0) > 0.999
