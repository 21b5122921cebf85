# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of the starter library: in its box, in one piece, a true distance, and different where a prompt or a style asks for it."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy import ndimage

from core.library.starter.kinds import KINDS
from core.library.starter.objects import COUNTS, PROPORTIONS, SIZES, STYLE_SIZE, Description, ExactObjects, _Group
from core.library.starter.palette import COLORS, FINISHES, FIXED, MATERIALS, PATTERNS

ALL = sorted(KINDS)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"))]
RESOLUTION, EDGE = 64, 0.52


@cache
def grid() -> torch.Tensor:
    """Cell centres of the grid, [64³, 3]."""
    t = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION * 2 * EDGE - EDGE
    return torch.cartesian_prod(t, t, t)


@cache
def variants(kind: str) -> tuple[ExactObjects, torch.Tensor]:
    """Three objects of a kind (typical; second part and a proportion named; a random style) and what they fill of it: bool [3, 64³]."""
    proportions = KINDS[kind].proportions or (None,)
    descriptions = [Description(kind), Description(kind, proportion=proportions[-1], second=True), Description(kind, second=True)]
    z = torch.zeros(3, STYLE_SIZE)
    z[2] = torch.randn(STYLE_SIZE, generator=torch.Generator().manual_seed(1))
    objects = ExactObjects(descriptions, z)
    return objects, filled(objects, grid())


def filled(objects: ExactObjects, points: torch.Tensor) -> torch.Tensor:
    """Which points lie inside each object, [B, N]; only those are asked that are less than two cells outside the largest box."""
    near = (points.abs() < objects.half_size.amax(0) + 0.035).all(-1)
    inside = torch.zeros(len(objects.z), len(points), dtype=torch.bool)
    with torch.no_grad():
        inside[:, near] = objects.raw(points[near].expand(len(objects.z), -1, -1)) < 0
    return inside


def surface(objects: ExactObjects, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return objects.sample_surface(count, torch.Generator().manual_seed(0))


def test_vocabulary_of_every_kind():
    for name, kind in KINDS.items():
        assert name == kind.name and kind.materials and kind.colors, name
        assert set(kind.materials) <= set(MATERIALS) and set(kind.colors) <= set(COLORS), name
        assert set(kind.patterns) <= set(PATTERNS) and set(kind.proportions) <= set(PROPORTIONS), name
        assert kind.second.color in COLORS, name
        assert set(kind.second.counts) <= set(COUNTS.values()), name
    assert len(KINDS) >= 62


@pytest.mark.parametrize("kind", ALL)
def test_fills_its_box(kind):
    objects, inside = variants(kind)
    assert torch.allclose(objects.half_size.amax(1), torch.tensor(0.48)), "the largest side spans 0.96"
    assert (objects.height_m > 0.02).all() and (objects.height_m < 40).all()
    points, _ = surface(objects, 2048)
    reach = torch.stack([points.amin(1).neg(), points.amax(1)])  # [2, 3, 3]: both directions, objects, axes
    outside = inside & (grid().abs()[None] > objects.half_size[:, None] + 0.004).any(-1)
    assert not outside.any(), "it sticks out of its box"
    assert (reach - objects.half_size).amax() < 0.006, "it sticks out of its box"
    assert (objects.half_size - reach).amax() < 0.03, "its box is too large"


@pytest.mark.parametrize("kind", ALL)
def test_is_one_piece_without_cavities(kind):
    for filled in variants(kind)[1].reshape(3, RESOLUTION, RESOLUTION, RESOLUTION).numpy():
        assert ndimage.label(filled, np.ones((3, 3, 3)))[1] == 1, "it falls apart"
        empty, count = ndimage.label(~filled)
        cells = ndimage.sum(~filled, empty, range(1, count + 1))
        assert (np.sort(cells)[:-1] < 4).all(), "it encloses a cavity"  # a crevice may close around a cell or two
        assert 0.005 < filled.mean() < 0.8


@pytest.mark.parametrize("kind", ALL)
def test_distance_is_true_near_the_surface(kind):
    """By finite differences within half a cell of a 128³ grid, away from creases: where the normal turns by more than 6 degrees a step."""
    objects, _ = variants(kind)
    points, normal = surface(objects, 400)
    assert objects.raw(points).abs().median() < 1e-3
    step = 0.002
    axes = step * torch.eye(3).repeat(2, 1) * torch.tensor([1, 1, 1, -1, -1, -1])[:, None]  # [6, 3]
    start = points + (torch.rand(3, 400, 1, generator=torch.Generator().manual_seed(2)) * 2 - 1) * 0.004 * normal
    around = (start[:, :, None] + axes).reshape(3, -1, 3)
    value, turned = objects.sdf_and_normal(around)
    value, turned = value.reshape(3, 400, 6), turned.reshape(3, 400, 6, 3)
    middle = objects.sdf_and_normal(start)[1]
    smooth = ((turned * middle[:, :, None]).sum(-1) > 0.9945).all(-1)
    norm = ((value[..., :3] - value[..., 3:]) / (2 * step)).norm(dim=-1)
    good = ((norm - 1).abs() < 0.05)[smooth].float().mean()
    assert smooth.float().mean() > 0.5 and good > 0.95, f"{good:.3f} of the points have a gradient within 5 %"


@pytest.mark.parametrize("kind", ALL)
def test_looks_are_in_range_and_follow_the_prompt(kind):
    known = KINDS[kind]
    pattern = known.patterns[0] if known.patterns else None
    said = [{}, {"color": "blue"}, {"color": "blue", "pattern": pattern}, {"material": "gold"}, {"second": True, "second_color": "pink"}]
    objects = ExactObjects([Description(kind, **words) for words in said], torch.zeros(5, STYLE_SIZE))
    points, _ = surface(objects, 500)
    looks, shares = objects.appearance_and_shares(points)
    torch.testing.assert_close(shares.sum(-1), torch.ones(5, 500))
    named = shares[..., -1] == 0
    torch.testing.assert_close((shares[..., :-1] @ objects.paints)[named], looks[named])
    assert looks.shape == (5, 500, 5) and looks.min() >= 0 and looks.max() <= 1

    def share(i: int, color: tuple[float, float, float]) -> float:
        return ((looks[i, :, :3] - torch.tensor(color)).abs().amax(-1) < 0.02).float().mean().item()

    assert share(1, COLORS["blue"]) > 0.15, "the main part is too small to be named"
    assert pattern is None or share(2, COLORS["blue"]) < share(1, COLORS["blue"]) - 0.02
    assert (looks[3, :, 4] > 0.5).float().mean() > 0.15, "gold shines"
    assert share(4, COLORS["pink"]) > 0.01, "the second part is too small to be named"
    assert all(0 <= v <= 1 for color, *rest in FIXED.values() for v in (*color, *rest))


def overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a & b).sum() / (a | b).sum()).item()


@pytest.mark.parametrize("kind", ALL)
def test_proportions_and_style_change_the_shape(kind):
    words = KINDS[kind].proportions
    descriptions = [Description(kind), *(Description(kind, proportion=w) for w in words), Description(kind), Description(kind)]
    z = torch.zeros(len(descriptions), STYLE_SIZE)
    z[-2, :5], z[-1, :5] = 1.5, -1.5
    objects = ExactObjects(descriptions, z)
    coarse = grid().reshape(RESOLUTION, RESOLUTION, RESOLUTION, 3)[::2, ::2, ::2].reshape(-1, 3)
    inside = filled(objects, coarse)
    for i, word in enumerate((*words, "style up", "style down"), 1):
        taller = (objects.height_m[i] / objects.height_m[0] - 1).abs()
        assert overlap(inside[0], inside[i]) < 0.985 or taller > 0.1, f"{word} has no visible effect"


@pytest.mark.parametrize("kind", [k for k in ALL if KINDS[k].second.counts])
def test_a_number_of_parts_is_built_and_fits_the_box(kind):
    words = [word for word, number in COUNTS.items() if number in KINDS[kind].second.counts]
    objects = ExactObjects([Description(kind, second=True, count=w) for w in words], torch.zeros(len(words), STYLE_SIZE))
    points, _ = surface(objects, 1024)
    reach = torch.stack([points.amin(1).neg(), points.amax(1)])
    assert (reach - objects.half_size).amax() < 0.006 and (objects.half_size - reach).amax() < 0.03, "its box does not fit"
    coarse = grid().reshape(RESOLUTION, RESOLUTION, RESOLUTION, 3)[::2, ::2, ::2].reshape(-1, 3)
    inside = filled(objects, coarse)
    assert all(overlap(inside[0], other) < 0.99 for other in inside[1:])


def test_shades_and_finishes_change_the_main_paint_alone():
    said = [{}, {"shade": "dark"}, {"shade": "pale"}, *({"finish": f} for f in FINISHES)]
    paints = ExactObjects([Description("barrel", "red", "wood", **words) for words in said], torch.zeros(5, STYLE_SIZE)).paints
    plain, dark, pale = paints[:3, 0, :3]
    assert (dark < plain).all() and (pale > plain).all()
    torch.testing.assert_close(paints[3:, 0, 3], torch.tensor(list(FINISHES.values())))
    assert (paints[:, 2] == paints[0, 2]).all() and (paints[3:, 0, :3] == plain).all()


@pytest.mark.parametrize("device", DEVICES)
def test_a_mixed_batch_equals_single_objects(device):
    generator = torch.Generator().manual_seed(5)
    descriptions = [Description(k, color="teal", pattern=(KINDS[k].patterns or (None,))[0], second=True, size="large") for k in ALL]
    z = torch.randn(len(ALL), STYLE_SIZE, generator=generator)
    points = torch.rand(len(ALL), 300, 3, generator=generator) - 0.5
    mixed = ExactObjects(descriptions, z.to(device))
    distance, look = mixed.sdf(points.to(device)).cpu(), mixed.appearance(points.to(device)).cpu()
    for i, description in enumerate(descriptions):
        single = ExactObjects([description], z[i : i + 1])
        torch.testing.assert_close(single.sdf(points[i : i + 1])[0], distance[i], atol=2e-4, rtol=1e-3)
        agree = (single.appearance(points[i : i + 1])[0] - look[i]).abs().amax(-1) < 1e-3
        assert agree.float().mean() > 0.98, description.kind  # a point between two parts may go either way on another device
        torch.testing.assert_close(single.height_m[0], mixed.height_m[i].cpu())


def test_size_changes_the_height_alone():
    objects = ExactObjects([Description("barrel"), *(Description("barrel", size=s) for s in SIZES)], torch.zeros(1 + len(SIZES), 8))
    factors = objects.height_m / objects.height_m[0]
    torch.testing.assert_close(factors, torch.tensor([1.0, *SIZES.values()]))
    assert (objects.half_size == objects.half_size[0]).all()


def test_a_wrong_style_is_refused():
    with pytest.raises(ValueError, match=r"z must be \[1, 8\]"):
        ExactObjects([Description("barrel")], torch.zeros(2, 8))


def test_every_kind_stays_on_the_device_of_its_style(monkeypatch) -> None:
    """On the meta device, which complains like a GPU about what was left on the CPU, and computes nothing."""
    monkeypatch.setattr(_Group, "_paint", lambda self, device: setattr(self, "paints", torch.zeros(len(self.own), 3, 5, device=device)))
    for kind in KINDS.values():
        second = Description(kind.name, pattern=(*kind.patterns, None)[0], second=True)
        exact = ExactObjects([Description(kind.name), second], torch.zeros(2, STYLE_SIZE, device="meta"))
        points = torch.zeros(2, 4, 3, device="meta")
        exact.sdf_and_normal(points)
        exact.appearance_and_shares(points)
