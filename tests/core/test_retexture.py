# SPDX-License-Identifier: GPL-3.0-or-later
"""A given mesh gets the look of a generated object: its own colours back on its own shape, on others the nearest; and clear refusals."""

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from core.canvas import Canvas
from core.errors import BadRequest, Cancelled
from core.limits import CANVAS_TRIANGLES, choose_detail
from core.surface.painted import Nearest, cloud_of, own_atlas, painted_mesh
from core.surface.texels import covered_once, covered_texels
from core.surface.textured import Watch, textured_mesh

SIZES = choose_detail("draft", texture_size=256)
CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
TRIANGLES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))], np.int32)
FACES = np.repeat(np.arange(6, dtype=np.int32), 2)
SQUARE = np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], np.float32)
GRID = np.concatenate([(SQUARE * 0.9 + 0.05 + (k % 3, k // 3)) / 3 for k in range(6)]).astype(np.float32)  # each side a cell of its own
CUBE = Canvas(CORNERS, TRIANGLES, faces=FACES)


def ball(points):
    return points.norm(dim=-1) - 0.4


def look(points):
    """Red below, blue above; half as rough as it is near the front; never metallic."""
    up = (points[:, 2:] > 0).float()
    return torch.cat((1 - up, 0 * up, up, (points[:, :1] + 0.5).clamp(0, 1), 0 * up), 1)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def paint(canvas: Canvas, **how):
    return painted_mesh(ball, look, canvas, SIZES, height_m=1.0, **how)


@pytest.mark.parametrize("moved", [False, True])
def test_a_made_object_gets_its_own_colours_back(moved):
    """Into its own UVs; also where it stands elsewhere and is stretched."""
    made = textured_mesh(ball, look, SIZES, height_m=1.0)
    places = made.vertices * (2, 3, 0.5) + (5, 6, 7) if moved else made.vertices
    again = paint(Canvas(places.astype(np.float32), made.triangles, made.uvs))
    np.testing.assert_array_equal(again.uvs, made.uvs)
    texel = covered_texels(made.uvs * 256, 256, 256)[1]
    for name in ("base_color", "metallic_roughness"):
        one, other = (pixels(getattr(mesh, name))[::-1].reshape(-1, 3)[texel] for mesh in (made, again))
        off = np.abs(one - other).max(1)
        assert off.mean() < 2 and np.quantile(off, 0.97) < 12, name  # JPEG, and the border between red and blue
    assert np.ptp(again.vertices, axis=0).max() == pytest.approx(0.96) and (again.triangles == made.triangles).all()


def color_at(mesh, triangle: int) -> np.ndarray:
    """The colour in the middle of a triangle."""
    u, v = mesh.uvs[triangle].mean(0) * 256
    return pixels(mesh.base_color)[255 - int(v), int(u)]


@pytest.mark.parametrize("uvs", [None, GRID], ids=["new atlas", "own UVs"])
def test_a_box_takes_the_colours_of_what_is_nearest(uvs):
    mesh = paint(replace(CUBE, uvs=uvs))
    tops, bottoms = (np.flatnonzero((CORNERS[TRIANGLES][:, :, 2] == z).all(1)) for z in (1, -1))
    assert len(tops) == len(bottoms) == 2
    for triangle in tops:
        assert np.abs(color_at(mesh, triangle) - (0, 0, 255)).max() < 12
    for triangle in bottoms:
        assert np.abs(color_at(mesh, triangle) - (255, 0, 0)).max() < 12
    if uvs is not None:
        np.testing.assert_array_equal(mesh.uvs, uvs)


def test_no_face_is_cut_and_split_corners_are_joined():
    """A grid of squares, each with corners of its own, as importers leave it: one chart a side, and one UV a corner of a face."""
    steps = np.linspace(-1, 1, 9)
    sides = []
    for axis, sign in ((axis, sign) for axis in range(3) for sign in (-1, 1)):
        for i in range(8):
            for j in range(8):
                square = [(steps[i + a], steps[j + b]) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))][:: 1 if sign > 0 else -1]
                sides.append([np.insert(corner, axis, sign) if axis != 1 else np.insert(corner[::-1], 1, sign) for corner in square])
    vertices = np.array(sides, np.float32).reshape(-1, 3)
    triangles = (np.arange(0, len(vertices), 4)[:, None] + np.array((0, 1, 2, 0, 2, 3))).reshape(-1, 3).astype(np.int32)
    faces = np.repeat(np.arange(len(sides), dtype=np.int32), 2)
    mesh = paint(Canvas(vertices, triangles, faces=faces))
    pairs = mesh.uvs.reshape(-1, 2, 3, 2)
    np.testing.assert_array_equal(pairs[:, 0, 0], pairs[:, 1, 0])
    np.testing.assert_array_equal(pairs[:, 0, 2], pairs[:, 1, 1])
    corner = {tuple(key) for key in np.concatenate((np.round(vertices[triangles.ravel()], 4), np.round(mesh.uvs.reshape(-1, 2), 5)), 1)}
    assert len(corner) == 6 * 81  # each side has 81 corners, and is whole
    texel = covered_texels(mesh.uvs * 256, 256, 256)[1]
    assert len(np.unique(texel)) == len(texel) > 0.5 * 256**2


def test_what_a_part_is_a_part_of_tells_where_it_lies():
    """Half a box: alone it is stretched over the whole ball, as half of a box it is the ball's lower half."""
    half = replace(CUBE, vertices=CORNERS * np.float32([1, 1, 0.5]) - np.float32([0, 0, 0.5]))
    top = np.flatnonzero((half.vertices[TRIANGLES][:, :, 2] == 0).all(1))[0]
    assert color_at(paint(half), top)[2] > 240
    part = replace(half, box=np.stack((CORNERS.min(0), CORNERS.max(0))))
    low = part.fitted(np.array([(-0.4,) * 3, (0.4,) * 3]))
    assert low[:, 2].max() == pytest.approx(0) and low[:, 2].min() == pytest.approx(-0.4)
    bottom = np.flatnonzero((half.vertices[TRIANGLES][:, :, 2] == -1).all(1))[0]
    assert color_at(paint(part), bottom)[0] > 240


def test_the_nearest_points_lie_on_the_surface():
    rng = np.random.default_rng(0)
    made = textured_mesh(ball, look, SIZES, height_m=1.0)
    points = torch.from_numpy(rng.uniform(-0.5, 0.5, (2000, 3)).astype(np.float32))
    points = points[points.norm(dim=-1) > 0.1]
    found = Nearest(made.vertices, made.triangles)(points)
    assert (found.norm(dim=-1) - 0.4).abs().max() < 0.01
    assert torch.nn.functional.cosine_similarity(found, points).min() > 0.99  # its facets draw points together


def test_a_plane_is_painted():
    flat = Canvas(CORNERS[:4] * np.float32([0, 1, 1]), np.array([(0, 1, 3), (0, 3, 2)], np.int32), uvs=SQUARE)
    shown = pixels(paint(flat).base_color)
    assert {tuple(shown[5, 128] > 128), tuple(shown[250, 128] > 128), tuple(shown[128, 5] > 128), tuple(shown[128, 250] > 128)} == {
        (True, False, False), (False, False, True)
    }  # fmt: skip


@pytest.mark.parametrize("inside_out", [False, True])
def test_the_shape_that_a_model_follows_has_outward_normals(inside_out):
    triangles = TRIANGLES[:, ::-1] if inside_out else TRIANGLES
    points, normals = cloud_of(replace(CUBE, triangles=np.ascontiguousarray(triangles)), 500)[0].split(3, 1)
    assert points.abs().max() == pytest.approx(0.48) and ((points * normals).sum(1) > 0.4).all()


def test_a_face_that_folds_is_painted_all_the_same():
    """One of five corners, bent so far that its parts lie on one another, and a mesh of nothing but such."""
    bent = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0.2, 1, 0.05), (0.2, 0.1, 0.1)], np.float32)
    mesh = paint(Canvas(bent, np.array([(0, 1, 2), (0, 2, 3), (0, 3, 4)], np.int32), faces=np.zeros(3, np.int32)))
    wide = np.ptp(mesh.uvs.reshape(-1, 2), axis=0)
    assert wide.min() > 0.5 and all((mesh.uvs[0, 0] == uvs[0]).all() for uvs in mesh.uvs)


@pytest.mark.parametrize("triangles", [[(0, 0, 1), (1, 1, 1)], [(0, 1, 1)]])
def test_faces_without_area_are_said(triangles):
    with pytest.raises(BadRequest, match="No UVs can be made"):
        paint(Canvas(CORNERS, np.array(triangles, np.int32)))


BAD_UVS = {
    "UVs overlap": np.tile(SQUARE, (6, 1, 1)),
    "outside of the image": GRID + np.float32(0.5),
    "no room in its UVs": GRID * np.float32([1, 0]),
}


@pytest.mark.parametrize("word", BAD_UVS)
def test_uvs_that_cannot_be_painted_into_are_said(word):
    with pytest.raises(BadRequest, match=word) as said:
        own_atlas(replace(CUBE, uvs=BAD_UVS[word]), SIZES)
    assert "new UVs" in said.value.remedy


def test_uvs_that_overlap_much_are_refused_before_they_fill_the_memory():
    """Each triangle half of the image: all their texels together would be half a gigabyte."""
    triangles = np.tile(TRIANGLES, (10, 1))
    canvas = Canvas(CORNERS, triangles, uvs=np.tile(SQUARE, (60, 1, 1)))
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest, match="UVs overlap"):
            own_atlas(canvas, replace(SIZES, texture_size=1024))
        assert tracemalloc.get_traced_memory()[1] < 1e8
    finally:
        tracemalloc.stop()


def test_texels_found_in_blocks_are_the_same(monkeypatch):
    points = np.random.default_rng(1).random((300, 3, 2), np.float32) * 90 - 10
    whole = covered_texels(points, 64, 70)
    monkeypatch.setattr("core.surface.texels.BLOCK", 500)
    for part, all_of_it in zip(covered_once(points, 64, 70, len(whole[1])), whole, strict=True):
        assert np.array_equal(part, all_of_it)
    assert covered_once(points, 64, 70, 3) is None


FULL = {"vertices": CORNERS, "triangles": TRIANGLES}
WRONG = {
    "no vertices": {"triangles": TRIANGLES},
    "the array 'mesh'": FULL | {"mesh": CORNERS},
    "has no faces": {"vertices": CORNERS, "triangles": TRIANGLES[:0]},
    "vertices that it does not have": {"vertices": CORNERS[:7], "triangles": TRIANGLES},
    "vertices are not all finite": {"vertices": CORNERS * np.float32([1, 1, np.nan]), "triangles": TRIANGLES},
    "vertices are not all finite numbers": {"vertices": CORNERS * np.float32(1e38), "triangles": TRIANGLES},
    "no extent": {"vertices": 0 * CORNERS, "triangles": TRIANGLES},
    "uvs are float32 \\[3, 3, 2\\]": FULL | {"uvs": GRID[:3]},
    "triangles are int64": {"vertices": CORNERS, "triangles": TRIANGLES.astype(np.int64)},
    "faces are": FULL | {"faces": FACES[:3]},
    "box are": FULL | {"box": CORNERS},
    "up to 500,000": {"vertices": CORNERS, "triangles": np.zeros((CANVAS_TRIANGLES + 1, 3), np.int32)},
}


@pytest.mark.parametrize("word", WRONG)
def test_what_is_no_mesh_is_said(word):
    with pytest.raises(BadRequest, match=word):
        Canvas.of(WRONG[word])


def test_a_cancel_is_heard():
    asked = []
    with pytest.raises(Cancelled):
        paint(CUBE, watch=Watch(cancelled=lambda: asked.append(1) or len(asked) > 4))
