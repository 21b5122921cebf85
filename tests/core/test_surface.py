# SPDX-License-Identifier: GPL-3.0-or-later
"""From exact signed distances to baked textures: extraction, atlas, bake and decimation on real surfaces."""

import math

import igl
import numpy as np
import pytest
import torch

from core.mesh import mesh_health
from core.surface import Atlas, ExtractionCancelled, bake, decimate, extract_dense, extract_surface, unwrap
from core.surface.extract import EmptySurfaceError, dense_grid, refine_grid
from core.surface.meshing import make_surface
from core.surface.texels import covered_texels

CELL = 1.04 / 128


def ball(p, radius=0.4, centre=(0.0, 0.0, 0.0)):
    return (p - torch.tensor(centre)).norm(dim=-1) - radius


def box(p, half, centre=(0.0, 0.0, 0.0)):
    q = (p - torch.tensor(centre)).abs() - torch.tensor(half)
    return q.clamp(min=0).norm(dim=-1) + q.max(dim=-1).values.clamp(max=0)


def rod(p, a, b, radius):
    a, b = torch.tensor(a), torch.tensor(b)
    t = ((p - a) @ (b - a) / ((b - a) @ (b - a))).clamp(0, 1)
    return (p - a - t[:, None] * (b - a)).norm(dim=-1) - radius


def torus(p):
    return torch.stack((p[:, :2].norm(dim=-1) - 0.29, p[:, 2]), dim=-1).norm(dim=-1) - 0.115


def chair(p):
    parts = [box(p, (0.25, 0.25, 0.03), (0, 0, -0.05)), box(p, (0.02, 0.25, 0.25), (-0.23, 0, 0.2))]
    parts += [rod(p, (x, y, -0.45), (x, y, -0.05), 0.022) for x in (-0.22, 0.22) for y in (-0.22, 0.22)]
    return torch.stack(parts).amin(dim=0)


def bench(p):
    """Slats, gaps between them and crossed braces: many handles, where a collapse pinches."""
    parts = [box(p, (0.46, 0.02, 0.012), (0, y, -0.05)) for y in (-0.18, -0.12, -0.06, 0.0, 0.06, 0.12, 0.18)]
    parts += [box(p, (0.46, 0.012, 0.02), (0, 0.2, z)) for z in (0.05, 0.11, 0.17, 0.23)]
    parts += [box(p, (0.02, 0.21, 0.015), (x, 0, -0.075)) for x in (-0.4, 0.0, 0.4)]
    parts += [box(p, (0.02, 0.015, 0.17), (x, 0.215, 0.09)) for x in (-0.4, 0.0, 0.4)]
    parts += [rod(p, (x, y, -0.4), (x, -y, -0.08), 0.018) for x in (-0.4, 0.4) for y in (-0.18, 0.18)]
    return torch.stack(parts).amin(dim=0)


def two_balls(p):
    return torch.minimum(ball(p, 0.2, (-0.2, 0, 0)), ball(p, 0.15, (0.25, 0, 0)))


def thin_parts(p):
    slanted = rod(p, (-0.4, -0.3, -0.2), (0.4, 0.35, 0.3), 0.012)
    upright = rod(p, (0.0, 0.013, -0.4), (0.01, 0.02, 0.42), 0.009)
    plate = box(p, (0.35, 0.3, 0.006), (0.05, 0, 0.0043))
    return torch.stack((slanted, upright, plate)).amin(dim=0)


def rough(shape, amplitude=0.25 * CELL):
    """A network's surface: the shape with a noise of a quarter of a cell."""
    generator = torch.Generator().manual_seed(0)
    wave, phase = torch.randn(16, 3, generator=generator) * 150, torch.rand(16, generator=generator) * 6.28
    return lambda p: shape(p) + torch.sin(p @ wave.T + phase).sum(dim=-1) / 4 * amplitude


SHAPES = {"ball": ball, "torus": torus, "chair": chair, "thin": thin_parts, "rough torus": rough(torus), "rough chair": rough(chair)}
MANY_PARTS = {"bench": bench, "two balls": two_balls}
_surfaces: dict[str, tuple[np.ndarray, np.ndarray]] = {}


def surface(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name not in _surfaces:
        _surfaces[name] = extract_surface((SHAPES | MANY_PARTS)[name])
    return _surfaces[name]


def canonical(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangles as sorted rows of coordinates, each from its smallest corner on."""
    corners = vertices[triangles]
    first = (corners @ np.array([1.0, 3.17, 7.31])).argmin(axis=1)
    rows = np.take_along_axis(corners, ((first[:, None] + np.arange(3)) % 3)[:, :, None], axis=1).reshape(-1, 9)
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("name", ["thin", "rough chair"])
def test_coarse_to_fine_gives_the_dense_triangles(name):
    asked = []

    def counted(points):
        asked.append(len(points))
        return SHAPES[name](points)

    fine = extract_surface(counted, resolution=128)
    assert sum(asked) < 0.12 * 129**3
    np.testing.assert_array_equal(canonical(*fine), canonical(*extract_dense(SHAPES[name], resolution=128)))


@pytest.mark.parametrize("name", SHAPES)
def test_surfaces_are_solids(name):
    vertices, triangles = surface(name)
    health = mesh_health(vertices, triangles)
    assert health["closed"] and health["manifold"] and health["oriented"] and health["volume"] > 0
    assert not health["degenerate"] and not health["unused_vertices"]
    assert vertices.dtype == np.float32 and triangles.dtype == np.int32


def test_volume_and_place_of_a_ball():
    vertices, triangles = extract_surface(lambda p: ball(p, 0.3, (0.1, -0.05, 0.02)), resolution=64)
    assert mesh_health(vertices, triangles)["volume"] == pytest.approx(4 / 3 * math.pi * 0.3**3, rel=5e-3)
    np.testing.assert_allclose((vertices.min(axis=0) + vertices.max(axis=0)) / 2, (0.1, -0.05, 0.02), atol=2e-3)


@pytest.mark.parametrize(("resolution", "frequency"), [(64, 40), (88, 20), (200, 3)])
def test_wild_fields_close_at_every_resolution(resolution, frequency):
    """Noise that fills the whole grid and cuts its border, with ambiguous cells and exact zeros everywhere."""
    generator = torch.Generator().manual_seed(resolution)
    wave, phase = torch.randn(16, 3, generator=generator) * frequency, torch.rand(16, generator=generator) * 6.28

    def wild(points):
        values = torch.sin(points @ wave.T + phase).sum(dim=-1) * 0.02
        return torch.where(values.abs() < 0.003, 0.0, values)

    health = mesh_health(*extract_surface(wild, resolution=resolution, keep_volume=0.001))
    assert health["closed"] and health["manifold"] and health["oriented"] and not health["degenerate"]


def test_loose_bits_and_inner_walls_go():
    def field(p):
        shell = torch.maximum(ball(p, 0.3), -ball(p, 0.2))
        return torch.minimum(torch.minimum(shell, ball(p, 0.03, (0.4, 0.4, 0.4))), ball(p, 0.12, (-0.35, -0.35, -0.35)))

    health = mesh_health(*extract_surface(field, resolution=64))
    assert health["components"] == 2  # The shell without its cavity, and the ball that is large enough.
    assert mesh_health(*extract_surface(field, resolution=64, keep_volume=1e-5))["components"] == 3


def test_extraction_says_what_is_wrong():
    with pytest.raises(EmptySurfaceError, match="nowhere negative"):
        extract_surface(lambda p: ball(p, -0.1), resolution=64)
    with pytest.raises(ValueError, match="multiple of 8"):
        extract_surface(ball, resolution=100)
    with pytest.raises(ExtractionCancelled):
        extract_surface(ball, resolution=64, cancelled=lambda: True)


def owners(atlas: Atlas, size: int) -> np.ndarray:
    """How many triangles own each texel centre, by exact edge tests in double precision, far from the code under test.

    A centre on an edge (within a millionth of a texel) counts for neither side.
    """
    count = np.zeros((size, size), np.int32)
    for corners in atlas.uvs.astype(np.float64) * size:
        low, high = np.floor(corners.min(axis=0) - 0.5).astype(int), np.ceil(corners.max(axis=0) + 0.5).astype(int)
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        side = [
            (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) - 1e-6 * math.dist(a, b)
            for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
        ]
        area = np.cross(np.append(corners[1] - corners[0], 0), np.append(corners[2] - corners[0], 0))[2]
        inside = np.all([(s if area > 0 else -s - 2e-6) > 0 for s in side], axis=0)
        count[low[1] : high[1], low[0] : high[0]] += inside[: size - low[1], : size - low[0]]
    return count


@pytest.mark.parametrize("coarse", [False, True])
def test_no_texel_has_two_owners_by_an_independent_test(coarse):
    vertices, triangles = extract_surface(rough(chair), resolution=64)
    atlas = unwrap(*decimate(vertices, triangles, 4000)[:2], size=256, coarse=coarse)
    count = owners(atlas, 256)
    assert count.max() == 1
    found = np.zeros(256 * 256, bool)
    found[atlas.texel] = True
    assert (found.reshape(256, 256) != (count == 1)).mean() < 1e-4  # Centres on edges


@pytest.mark.parametrize("size", [256, 1024])
@pytest.mark.parametrize("name", SHAPES)
def test_atlas(name, size):
    vertices, triangles = surface(name)
    atlas = unwrap(vertices, triangles, size=size)
    assert atlas.uvs.shape == (len(triangles), 3, 2) and atlas.uvs.dtype == np.float32
    assert atlas.uvs.min() >= 0 and atlas.uvs.max() <= 1
    triangle, texel = covered_texels(atlas.uvs * np.float32(size), size, size)
    assert np.bincount(texel, minlength=size * size).max() == 1
    np.testing.assert_array_equal(triangle, atlas.triangle)
    faces = np.bincount(atlas.chart)
    texels = np.bincount(atlas.chart[atlas.triangle], minlength=len(faces))
    assert len(faces) <= 60
    assert texels[faces <= 8].sum() < 0.005 * texels.sum()
    assert texels.sum() > 0.35 * size * size
    _assert_charts_apart(atlas, padding=4)


def _assert_charts_apart(atlas: Atlas, padding: int) -> None:
    """No texel of another chart within the padding, to each of eight sides."""
    image = np.full((atlas.size, atlas.size), -1)
    image.ravel()[atlas.texel] = atlas.chart[atlas.triangle]
    for dy, dx in ((0, padding), (padding, 0), (padding - 2, padding - 2), (padding - 2, 2 - padding)):
        shifted = np.roll(image, (dy, dx), axis=(0, 1))
        assert not ((image >= 0) & (shifted >= 0) & (image != shifted)).any()


@pytest.mark.parametrize("name", SHAPES)
def test_atlas_of_coarse_meshes(name):
    """Decimated meshes fold: no texel has two owners, charts stay apart, hardly any surface is lost to a single texel, seams are told."""
    made = make_surface(SHAPES[name], resolution=128, triangles=6000)
    atlas = unwrap(made.vertices, made.triangles, size=512, coarse=True)
    assert np.bincount(atlas.texel).max() == 1 and len(atlas.texel) > 0.35 * 512 * 512
    _assert_charts_apart(atlas, padding=4)
    corners = made.vertices[made.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert area[np.ptp(atlas.uvs, axis=1).max(axis=1) == 0].sum() < 0.002 * area.sum()
    seams = set(map(tuple, atlas.seams.tolist()))
    places: dict[tuple, set] = {}
    for face, uvs in zip(made.triangles.tolist(), atlas.uvs.tolist(), strict=True):
        for k in range(3):
            ends = sorted([(face[k], *uvs[k]), (face[(k + 1) % 3], *uvs[(k + 1) % 3])])
            places.setdefault((ends[0][0], ends[1][0]), set()).add(tuple(ends))
    assert seams == {edge for edge, found in places.items() if len(found) > 1}


def test_atlas_of_odd_meshes():
    """One triangle, an open sheet, a flat double sheet and a triangle without area all get UVs."""
    corners = np.array([(0, 0, 0), (0.4, 0, 0), (0, 0.3, 0), (0.4, 0.3, 0)], np.float32)
    for triangles in ([(0, 1, 2)], [(0, 1, 2), (1, 3, 2)], [(0, 1, 2), (0, 2, 1)], [(0, 1, 1)]):
        atlas = unwrap(corners, np.array(triangles, np.int32), size=64)
        assert np.isfinite(atlas.uvs).all() and atlas.uvs.min() >= 0 and atlas.uvs.max() <= 1
        assert len(np.unique(atlas.texel)) == len(atlas.texel)
    with pytest.raises(ValueError, match="at least one triangle"):
        unwrap(corners, np.empty((0, 3), np.int32), size=64)


def test_atlas_density_is_even():
    vertices, triangles = surface("chair")
    atlas = unwrap(vertices, triangles)
    corners = vertices[triangles]
    in_space = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    u, v = atlas.uvs[:, 1] - atlas.uvs[:, 0], atlas.uvs[:, 2] - atlas.uvs[:, 0]
    in_image = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    density = np.sqrt(in_image / in_space) / np.sqrt(in_image.sum() / in_space.sum())
    order = np.argsort(density)
    share = np.cumsum(in_space[order]) / in_space.sum()
    assert density[order][np.searchsorted(share, 0.02)] > 0.5  # Of the surface 98 % has at least half of the mean density,
    assert density[order][np.searchsorted(share, 0.999)] < 1.6  # and hardly anything is blown up.


def test_bake_finds_the_surface_again():
    """Bake the position itself: every covered texel must hold the place its triangle has in space."""
    vertices, triangles = surface("rough torus")
    atlas = unwrap(vertices, triangles, size=512)
    asked = []

    def appearance(points):
        asked.append(points)
        return torch.cat((points + 0.5, points[:, :1].abs(), points[:, 1:2].abs()), dim=1)

    color, surface_image = bake(vertices, triangles, atlas.uvs, appearance, size=512, sparse=False)
    reused = bake(vertices, triangles, atlas.uvs, appearance, size=512, atlas=atlas, sparse=False)
    np.testing.assert_array_equal(color, reused[0])
    np.testing.assert_array_equal(surface_image, reused[1])
    assert color.shape == surface_image.shape == (512, 512, 3) and color.dtype == surface_image.dtype == np.uint8
    points = asked[0]
    assert torus(points).abs().max() < 1.5 * CELL
    corners, place = vertices[triangles].mean(axis=1), atlas.uvs.mean(axis=1) * 512
    seen = color[511 - place[:, 1].astype(int), place[:, 0].astype(int)].astype(np.float32) / 255 - 0.5
    assert np.quantile(np.abs(seen - corners).max(axis=1), 0.999) < 0.012
    assert (surface_image[:, :, 0] == 255).all()


@pytest.mark.parametrize(("coarse", "asked_for"), [(False, 0.45), (True, 0.3)])
def test_sparse_bake_is_the_full_one_with_fewer_questions(coarse, asked_for):
    """Stripes with hard edges on a slope of colour: the edges stay where they are."""
    vertices, triangles = surface("chair")
    atlas = unwrap(vertices, triangles)
    asked = []

    def appearance(points):
        asked.append(len(points))
        stripes = ((points[:, 2:] * 12).floor() % 2).abs()
        return torch.cat((points + 0.5, stripes, 1 - stripes), dim=1)

    full = bake(vertices, triangles, atlas.uvs, appearance, atlas=atlas, sparse=False)
    dense = sum(asked)
    asked.clear()
    sparse = bake(vertices, triangles, atlas.uvs, appearance, atlas=atlas, sparse=True, coarse=coarse)
    assert sum(asked) < asked_for * dense
    for one, other in zip(full, sparse, strict=True):
        difference = np.abs(one.astype(int) - other).max(axis=2)
        assert (difference > 3).mean() < 1e-3


def test_colours_run_past_the_seams():
    vertices, triangles = surface("ball")
    atlas = unwrap(vertices, triangles, size=256)
    color, _ = bake(vertices, triangles, atlas.uvs, lambda p: torch.tensor([[1.0, 0.5, 0.25, 1, 0]]).expand(len(p), 5), size=256)
    assert (color == (255, 128, 64)).all()  # One colour everywhere: charts, what is past them, and the mean behind.


@pytest.mark.parametrize("name", ["chair", "thin", "rough torus", "bench"])
@pytest.mark.parametrize("target", [10000, 1000])
def test_decimation_reaches_its_target_and_keeps_a_solid(name, target):
    vertices, triangles, note = decimate(*surface(name), target)
    health = mesh_health(vertices, triangles)
    assert health["closed"] and health["manifold"] and health["oriented"] and not health["degenerate"]
    assert len(triangles) <= 1.05 * target + 8 and not note
    assert health["volume"] == pytest.approx(mesh_health(*surface(name))["volume"], rel=0.2)
    assert unwrap(vertices, triangles, size=256).uvs.shape == (len(triangles), 3, 2)


@pytest.mark.parametrize("name", ["chair", "bench", "two balls"])
def test_a_target_that_would_flatten_the_shape_is_missed_and_said(name):
    whole = surface(name)
    vertices, triangles, note = decimate(*whole, 5)
    health = mesh_health(vertices, triangles)
    assert health["closed"] and health["manifold"] and health["components"] >= mesh_health(*whole)["components"]
    assert health["volume"] > 0.6 * mesh_health(*whole)["volume"] and (np.ptp(vertices, axis=0) > 0.8 * np.ptp(whole[0], axis=0)).all()
    assert len(triangles) < 900
    assert note.startswith(f"{len(triangles)} triangles instead of 5: ") and note.endswith(".")


def farthest(one, other) -> float:
    """Of points spread over one mesh, the distance to the other that 99 % keep."""
    import trimesh

    points = trimesh.sample.sample_surface(trimesh.Trimesh(*one, process=False), 4000, seed=0)[0]
    return float(np.quantile(igl.point_mesh_squared_distance(points, other[0].astype(float), other[1].astype(np.int64))[0], 0.99)) ** 0.5


@pytest.mark.parametrize("name", ["torus", "chair", "rough torus"])
def test_a_mesh_of_wanted_size_lies_on_the_fine_surface(name):
    """Thin parts included: within 0.3 % of the object's size both ways, few slivers, a solid, the same every time."""
    made = make_surface((SHAPES | MANY_PARTS)[name], resolution=128, triangles=12_000)
    mesh, fine = (made.vertices, made.triangles), surface(name)
    assert 9_000 < len(made.triangles) <= 12_600 and not made.note
    health = mesh_health(*mesh)
    assert health["closed"] and health["manifold"] and health["oriented"] and not health["degenerate"]
    size = float(np.ptp(fine[0], axis=0).max())
    assert farthest(mesh, fine) < 0.003 * size and farthest(fine, mesh) < 0.003 * size
    corners = mesh[0][mesh[1]]
    side = np.roll(corners, -1, axis=1) - corners
    side /= np.linalg.norm(side, axis=2, keepdims=True)
    angle = np.degrees(np.arccos(np.clip(-(side * np.roll(side, 1, axis=1)).sum(axis=2), -1, 1))).min(axis=1)
    assert (angle < 5).mean() < 0.02
    again = make_surface((SHAPES | MANY_PARTS)[name], resolution=128, triangles=12_000)
    assert np.array_equal(again.vertices, made.vertices) and np.array_equal(again.triangles, made.triangles)


def test_creases_are_sharp_and_thin_round_parts_are_not():
    """A box has its twelve edges, a thin rod of few facets none."""
    made = make_surface(lambda p: box(p, (0.3, 0.2, 0.25)), resolution=64, triangles=3000)
    middle = np.abs(made.vertices[made.sharp].mean(axis=1)) / (0.3, 0.2, 0.25)
    assert len(made.sharp) > 40 and (np.sort(middle, axis=1)[:, 1] > 0.93).all()  # near the edge of two sides
    length = np.linalg.norm(np.diff(made.vertices[made.sharp], axis=1), axis=2).sum()
    assert 0.9 < length / (8 * (0.3 + 0.2 + 0.25)) < 2  # twice where a bevel as wide as a cell stands for the edge
    assert not len(make_surface(lambda p: rod(p, (-0.4, 0.1, 0), (0.4, 0, 0.1), 0.03), resolution=64, triangles=200).sharp)


def test_vertices_settle_on_the_surface():
    """A coarse grid's vertices lie as near to a ball as those of a grid four times finer."""
    made = make_surface(ball, resolution=64, triangles=20_000)
    assert np.abs(np.linalg.norm(made.vertices, axis=1) - 0.4).max() < 2e-4


@pytest.mark.parametrize("cells", [72, 96, 120])
def test_a_grid_that_starts_from_another_is_the_same_near_the_surface(cells):
    asked = []
    counted = lambda p: (asked.append(len(p)), chair(p))[1]  # noqa: E731
    plain = refine_grid(counted, resolution=cells)
    plain_cost, started = sum(asked), refine_grid(counted, resolution=cells, start=dense_grid(chair, resolution=32))
    assert sum(asked) - plain_cost < plain_cost
    near = plain.abs() < 1.04 / cells
    assert torch.equal(plain[near], started[near]) and torch.equal(plain < 0, started < 0)
