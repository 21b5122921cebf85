# SPDX-License-Identifier: GPL-3.0-or-later
"""The solid of an artist's mesh: open, overlapping, inside out, or a sheet."""

import numpy as np
import pytest

pytest.importorskip("igl")

from core.library.solid import EDGE, THICKNESS, Solid, grid_nodes

T = THICKNESS * 0.96


def box(low, high, *, turned: bool = False, without: int | None = None):
    """Vertices [8, 3] and triangles of a box, outwards; `without`: one of its six sides (0: x low, 1: x high … 5: z high) is open."""
    v = np.array([[(low, high)[i >> 2 & 1][0], (low, high)[i >> 1 & 1][1], (low, high)[i & 1][2]] for i in range(8)], float)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    quads = [q for i, q in enumerate(sides) if i != without]
    f = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return v, f[:, ::-1] if turned else f


def together(*meshes):
    shifts = np.cumsum([0] + [len(v) for v, _ in meshes])
    return np.concatenate([v for v, _ in meshes]), np.concatenate([f + s for (_, f), s in zip(meshes, shifts, strict=False)])


def box_distance(p, low, high):
    center, half = (np.array(low) + high) / 2, (np.array(high) - low) / 2
    q = np.abs(p - center) - half
    return np.linalg.norm(q.clip(0), axis=1) + q.max(1).clip(max=0)


def random_points(count=4000, seed=1):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3))


WHOLE = ((-0.48, -0.3, -0.2), (0.48, 0.3, 0.2))


@pytest.mark.parametrize("turned", [False, True])
def test_a_closed_box_is_exact_even_inside_out(turned):
    solid, p = Solid.of(*box(*WHOLE, turned=turned)), random_points()
    assert np.abs(solid.sdf(p) - box_distance(p, *WHOLE)).max() < 1e-6
    assert (solid.facts.closed, solid.facts.turned, solid.facts.thickened, solid.facts.filled) == (1, float(turned), 0, 0)
    assert solid.facts.sign_disagreement == 0
    assert np.abs(solid.grid(32).ravel() - box_distance(grid_nodes(32), *WHOLE)).max() < 1e-6


def test_parts_that_overlap_are_one_solid_and_what_they_hide_gives_no_points():
    a, b = ((-0.48, -0.2, -0.2), (0.2, 0.2, 0.2)), ((-0.1, -0.1, -0.1), (0.48, 0.1, 0.1))
    solid, p = Solid.of(*together(box(*a), box(*b))), random_points()
    outside = np.minimum(box_distance(p, *a), box_distance(p, *b))
    told = solid.sdf(p)
    assert ((told < 0) == (outside < 0)).all()
    assert np.abs(told - outside)[outside > 0].max() < 1e-6
    deep = np.array([[0.15, 0.0, 0.0]])  # the second box's faces run through here, and are no surface: the nearest is 0.1 away
    assert solid.sdf(deep) == pytest.approx(-0.1, abs=0.02)
    on, normal, triangle, _ = solid.surface(4000, np.random.default_rng(0), even=True)
    assert np.minimum(box_distance(on, *a), box_distance(on, *b)).min() > -0.012
    assert (triangle >= 0).all() and np.abs(np.linalg.norm(normal, axis=1) - 1).max() < 1e-6
    assert 0.05 < solid.facts.hidden < 0.3
    nested = Solid.of(*together(box(*WHOLE), box((-0.4, -0.25, -0.15), (0.4, 0.25, 0.15))))
    assert solid.facts.sign_disagreement < 0.02 and nested.facts.sign_disagreement < 0.02


def test_an_inner_wall_turned_on_purpose_stays_a_hollow():
    solid = Solid.of(*together(box(*WHOLE), box((-0.4, -0.2, -0.1), (0.4, 0.2, 0.1), turned=True)))
    assert solid.sdf(np.array([[0, 0, 0], [0.44, 0, 0], [0.6, 0, 0]])) == pytest.approx([0.1, -0.04, 0.12], abs=1e-6)
    assert solid.facts.turned == 0


def test_a_file_that_is_inside_out_as_a_whole_has_no_hollows():
    """A window rod through a hull, both turned: the rod is no hole in it."""
    solid = Solid.of(*together(box(*WHOLE, turned=True), box((-0.1, -0.4, -0.1), (0.1, 0.4, 0.1), turned=True)))
    assert solid.facts.turned == 1 and (solid.sdf(np.array([[0, 0, 0], [0, 0.35, 0.0]])) < -0.04).all()


def test_a_wall_where_a_mirror_joins_two_halves_is_no_surface_but_a_leaf_with_two_sides_is():
    left, right = box((-0.48, -0.3, -0.2), (0, 0.3, 0.2)), box((0, -0.3, -0.2), (0.48, 0.3, 0.2))
    solid, p = Solid.of(*together(left, right)), random_points()
    assert np.abs(solid.sdf(p) - box_distance(p, *WHOLE)).max() < 1e-6
    leaf = np.array([[-0.48, -0.3, 0], [0.48, -0.3, 0], [0.48, 0.3, 0], [-0.48, 0.3, 0]])
    both = Solid.of(*together((leaf, np.array([[0, 1, 2], [0, 2, 3]])), (leaf, np.array([[0, 2, 1], [0, 3, 2]]))))
    assert both.sdf(np.zeros((1, 3)))[0] == pytest.approx(-T)


def test_an_open_box_is_closed_by_its_winding_number():
    solid = Solid.of(*box(*WHOLE, without=5))
    assert solid.sdf(np.array([[0.0, 0.0, -0.05], [0.0, 0.0, 0.3]])) == pytest.approx([-0.15, 0.1], abs=0.06)
    assert solid.facts.closed == 0 and 0.1 < solid.facts.filled < 0.5 and solid.facts.thickened == 0
    grid = solid.grid(64)
    assert grid[32, 32, 26] < 0 < grid[32, 32, 50]
    cloud = solid.cloud(4000, np.random.default_rng(0))
    top = cloud[cloud[:, 2] > 0.1]
    assert (np.abs(cloud[:, :3]) < 0.4799).all(1).sum() > 300  # points on the lid that is not there
    assert top[np.abs(top[:, 0]) < 0.3][:, 5].mean() > 0.4  # which face upwards


def test_a_small_hollow_behind_an_opening_is_not_overlooked():
    post = box((-0.03, -0.03, -0.48), (0.03, 0.03, 0.48), without=4)  # open below, of 275,000 nodes few are in it
    solid = Solid.of(*post)
    grid, p = solid.grid(64), np.array([[0.0, 0.0, z] for z in np.linspace(-0.4, 0.4, 9)])
    assert (grid[32, 32, 10:54] < -0.02).all() and (grid[:29] > 0).all()
    assert (solid.sdf(p) < -0.02).all()


def test_four_walls_without_thickness_that_enclose_a_room_are_no_sheets():
    v, f = box(*WHOLE, without=5)
    corners = v[f].reshape(-1, 2, 3, 3)  # two triangles for each wall
    apart = corners + 0.003 * (corners.mean((1, 2), keepdims=True) - corners.mean((0, 1, 2), keepdims=True))
    solid = Solid.of(apart.reshape(-1, 3), np.arange(30).reshape(-1, 3))
    assert solid.facts.patches == 5 and solid.facts.thickened == 0
    assert solid.sdf(np.array([[0.0, 0.0, -0.1]])) < 0


def test_a_plane_becomes_a_thin_solid_that_fits_into_the_frame():
    v = np.array([[-0.48, -0.48, 0], [0.48, -0.48, 0], [0.48, 0.48, 0], [-0.48, 0.48, 0]])
    solid = Solid.of(v, np.array([[0, 1, 2], [0, 2, 3]]))
    low, high = solid.box()
    assert np.allclose(high, (0.48, 0.48, T)) and np.allclose(low, (-0.48, -0.48, -T))
    assert solid.sdf(np.array([[0, 0, 0], [0, 0, 0.1], [0, 0, -0.1]])) == pytest.approx([-T, 0.1 - T, 0.1 - T], abs=1e-9)
    assert solid.facts.thickened == 1 and solid.scale == pytest.approx(1 - T / 0.48)
    on, normal, *_ = solid.surface(1000, np.random.default_rng(0), even=True)
    assert np.allclose(on[:, 2], T * normal[:, 2]) and 0.4 < (normal[:, 2] > 0).mean() < 0.6


def test_a_plate_too_thin_to_be_seen_is_thickened_unless_it_lies_on_something():
    wall, label = box((-0.48, -0.3, -0.3), (-0.4, 0.3, 0.3)), box((-0.4, -0.1, -0.1), (-0.398, 0.1, 0.1))
    sail, screw = box((-0.2, -0.2, 0), (0.4, 0.2, 0.003)), box((0.1, 0.1, 0.2), (0.101, 0.12, 0.22))
    solid = Solid.of(*together(wall, label, sail, screw))
    assert solid.sdf(np.array([[0.1, 0.0, 0.0015]]))[0] < -0.004  # the sail
    assert solid.sdf(np.array([[-0.39, 0, 0], [0.11, 0.11, 0.21]])) == pytest.approx([0.008, 0.009], abs=1e-5)  # label and screw stay
    on, *_ = solid.surface(4000, np.random.default_rng(0), even=True)
    assert np.abs(solid.sdf(on)).max() < 0.013 and np.median(np.abs(solid.sdf(on))) < 1e-6


def test_a_cloth_on_a_table_hides_what_lies_under_it():
    table = box((-0.48, -0.48, -0.1), (0.48, 0.48, 0.1))
    cloth = np.array([[-0.2, -0.2, 0.104], [0.2, -0.2, 0.104], [0.2, 0.2, 0.104], [-0.2, 0.2, 0.104]]), np.array([[0, 1, 2], [0, 2, 3]])
    solid = Solid.of(*together(table, cloth))
    on, _, triangle, _ = solid.surface(6000, np.random.default_rng(0), even=True)
    under = (np.abs(on[:, :2]) < 0.19).all(1) & (np.abs(on[:, 2]) < 0.15) & (on[:, 2] > 0)
    assert set(triangle[under].tolist()) <= {-1, 12, 13}  # the cloth's own upper side, or nothing


def test_small_pieces_get_as_many_points_as_large_ones():
    solid = Solid.of(*together(box(*WHOLE), box((0.3, 0.1, 0.2), (0.32, 0.12, 0.22))))
    *_, triangle, _ = solid.surface(4000, np.random.default_rng(0), even=False)
    assert 0.45 < (triangle >= 12).mean() < 0.55


def test_broken_triangles_are_left_out_and_counted():
    v, f = box(*WHOLE)
    solid = Solid.of(np.concatenate((v, v[:1])), np.concatenate((f, f[:3], [[0, 0, 1], [0, 8, 1]])))
    assert solid.facts.broken == 5 and solid.facts.closed == 1
    with pytest.raises(ValueError, match="no surface"):
        Solid.of(v, np.array([[0, 0, 1]]))


def test_the_same_mesh_gives_the_same_bits():
    mesh, p = together(box(*WHOLE, without=1), box((-0.1, -0.1, -0.3), (0.1, 0.1, 0.3))), random_points()
    first, second = (Solid.of(*mesh) for _ in range(2))
    assert (first.sdf(p) == second.sdf(p)).all() and (first.grid(32) == second.grid(32)).all()


@pytest.mark.parametrize("prompt", ["a red mushroom with white spots", "a wooden chair", "a lantern"])
def test_closed_meshes_agree_with_the_exact_distances_of_the_starter_library(prompt):
    torch = pytest.importorskip("torch")
    from skimage.measure import marching_cubes

    from core.library.starter.objects import ExactObjects
    from core.library.starter.parser import parse

    exact, n = ExactObjects([parse(prompt)], torch.zeros(1, 8)), 96
    nodes = torch.from_numpy(grid_nodes(n)).float()
    values = torch.cat([exact.raw(part[None])[0] for part in nodes.split(100_000)]).numpy().reshape((n + 1,) * 3)
    vertices, triangles, _, _ = marching_cubes(values, 0.0)
    solid = Solid.of(vertices * (2 * EDGE / n) - EDGE, triangles)
    draw = torch.Generator().manual_seed(0)
    on = exact.sample_surface(3000, draw)[0][0]
    p = torch.cat((on + 0.02 * torch.randn(3000, 3, generator=draw), torch.rand(3000, 3, generator=draw) - 0.5))
    told, true = solid.sdf(p.double().numpy()), exact.sdf(p[None])[0].numpy()
    near, clear = np.abs(told) < 0.03, np.abs(told) > 0.005 * 0.96  # far away the grammar's own distances are no distances
    assert np.abs(told - true)[near].mean() < 0.005 * 0.96
    assert ((told < 0) == (true < 0))[clear].mean() >= 0.999
