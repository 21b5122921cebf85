# SPDX-License-Identifier: GPL-3.0-or-later
"""Artists' triangles made usable: welded, wound outwards, and told apart: what encloses something, sheets, and plates that are too thin."""

from dataclasses import dataclass, replace

import igl
import numpy as np
from numpy import ndarray

REACH = 0.48  # half of the largest side
STEP = 2e-4  # how far beside a triangle it is asked what is inside and what is outside
SHEET = 0.65  # winding number behind a face below which its patch encloses nothing (0.5: a plane, 0.75: half a sphere, 1: closed)
THIN = ((1.5, 0.375), (1.0, 0.75))  # shells around walls: thinner than so much of THICKNESS: so much of it, about as thick as sheets then
PLATE = 6.0  # thicknesses: a patch that is shorter is a detail, no plate
CELL = 0.01  # a small cell: triangles of half its size are tiny
FEW = 400  # triangles of which the exact winding number takes no longer than the approximate one


@dataclass
class Mesh:
    """Triangles in the frame. vertices [V, 3] f64, triangles [F, 3] i64; `source` [F]: the triangle of the file that each one is of;
    `patch` [F]: the number of the connected piece that it belongs to; `shell` [F]: how thick the shell around it is, 0 for none."""

    vertices: ndarray
    triangles: ndarray
    source: ndarray
    patch: ndarray
    shell: ndarray

    @property
    def corners(self) -> ndarray:
        """[F, 3, 3]"""
        return self.vertices[self.triangles]

    def cut(self, chosen: ndarray) -> "Mesh":
        """Only the chosen triangles."""
        triangles = np.ascontiguousarray(self.triangles[chosen])
        return Mesh(self.vertices, triangles, self.source[chosen], self.patch[chosen], self.shell[chosen])


@dataclass
class Facts:
    """What the report says of a solid; shares are of the mesh's area."""

    triangles: int = 0
    patches: int = 0
    closed: float = 0.0  # of triangles in patches without an open edge
    thickened: float = 0.0
    hidden: float = 0.0  # covered by other parts
    turned: float = 0.0  # was inside out
    filled: float = 0.0  # of the solid's surface that is no mesh at all
    sign_disagreement: float = 0.0  # share of sample points where rays say otherwise
    broken: int = 0  # degenerate and repeated triangles that were left out


def winding(mesh: Mesh, points: ndarray) -> ndarray:
    """Winding number of an oriented mesh. points [N, 3] -> [N]"""
    if not len(mesh.triangles) or not len(points):
        return np.zeros(len(points))
    function = igl.winding_number if len(mesh.triangles) < FEW else igl.fast_winding_number
    return function(mesh.vertices, mesh.triangles, np.ascontiguousarray(points, np.float64))


def areas_of(corners: ndarray) -> ndarray:
    """[N, 3, 3] -> [N]"""
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def normals_of(corners: ndarray) -> ndarray:
    """Unit normals of triangles that have an area. [N, 3, 3] -> [N, 3]"""
    n = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-30)


def _clean(vertices: ndarray, triangles: ndarray) -> tuple[Mesh, Facts]:
    """Corners at one place become one; what has no area or comes twice is left out."""
    vertices = np.asarray(vertices, np.float64)
    places = np.round(vertices / (1e-5 * 2 * REACH)).astype(np.int64)
    _, first, which = np.unique(places, axis=0, return_index=True, return_inverse=True)
    welded = which.reshape(-1)[np.asarray(triangles, np.int64)]
    good = np.flatnonzero(areas_of(vertices[first][welded]) > 1e-12)
    _, once = np.unique(np.sort(welded[good], 1), axis=0, return_index=True)
    source = good[np.sort(once)]
    if not len(source):
        raise ValueError("It has no surface: not one triangle has an area.")
    facts = Facts(triangles=len(triangles), broken=len(triangles) - len(source))
    triangles = np.ascontiguousarray(welded[source])
    return Mesh(np.ascontiguousarray(vertices[first]), triangles, source, np.zeros(len(source), np.int64), np.zeros(len(source))), facts


def _oriented(mesh: Mesh, facts: Facts) -> Mesh:
    """Neighbours wound alike in patches, and patches that were inside out turned.

    A patch inside one that is not turned may be turned on purpose: a bottle's inner wall. It stays.
    """
    alike, patch = igl.bfs_orient(mesh.triangles)
    mesh = replace(mesh, triangles=np.ascontiguousarray(alike, np.int64), patch=patch.astype(np.int64))
    rows_of = _rows_of_patches(patch)
    closed, encloses, samples = _closed_patches(mesh), np.zeros(len(rows_of)), []
    facts.patches, facts.closed, all_corners = len(rows_of), float(closed[patch].mean()), mesh.corners
    for i, rows in enumerate(rows_of):
        corners = all_corners[rows]
        some = _spread(corners, 48)
        samples.append(some.mean(1))
        if closed[i]:
            encloses[i] = np.sign(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum())
        else:
            off, own = STEP * normals_of(some), mesh.cut(rows)
            encloses[i] = (winding(own, samples[i] + off) + winding(own, samples[i] - off)).mean() / 2
    flip = encloses < -0.1
    right = mesh.cut(~flip[patch])  # what is inside out as a whole is turned as a whole
    for i in np.flatnonzero(flip):
        flip[i] = np.median(winding(right, samples[i])) < 0.5
    area = areas_of(mesh.corners)
    facts.turned = float(area[flip[patch]].sum() / area.sum())
    return _without_inner_walls(_flipped(mesh, flip))


def _without_inner_walls(mesh: Mesh) -> Mesh:
    """A mesh without the walls between solids that are joined, as a Mirror leaves them in its plane: at all of a wall's edges others go on,
    and it is inside of them on both sides."""
    edge, count = _edges(mesh)
    border = np.bincount(edge.ravel(), minlength=count) != 2
    open_air = np.bincount(edge.ravel(), minlength=count) == 1
    walls = [i for i, rows in enumerate(_rows_of_patches(mesh.patch)) if border[edge[rows]].any() and not open_air[edge[rows]].any()]
    inner = []
    for i in walls:
        some = _spread(mesh.cut(mesh.patch == i).corners, 48)
        others, off = mesh.cut(~np.isin(mesh.patch, [i, *inner])), STEP * normals_of(some)
        if (np.minimum(winding(others, some.mean(1) + off), winding(others, some.mean(1) - off)) > 0.75).all():
            inner.append(i)
    if not inner:
        return mesh
    kept = mesh.cut(~np.isin(mesh.patch, inner))
    return replace(kept, patch=np.unique(kept.patch, return_inverse=True)[1].reshape(-1))


def _edges(mesh: Mesh) -> tuple[ndarray, int]:
    """The edges of each triangle by number [F, 3], and how many there are."""
    ends = np.sort(mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    edges, number = np.unique(ends[:, 0] * len(mesh.vertices) + ends[:, 1], return_inverse=True)
    return number.reshape(-1, 3), len(edges)


def _rows_of_patches(patch: ndarray) -> list[ndarray]:
    order = np.argsort(patch, kind="stable")
    return np.split(order, np.searchsorted(patch[order], np.arange(1, int(patch.max()) + 1)))


def _flipped(mesh: Mesh, patches: ndarray) -> Mesh:
    """The chosen patches [patches] bool wound the other way round."""
    turned = np.where(patches[mesh.patch][:, None], mesh.triangles[:, ::-1], mesh.triangles)
    return replace(mesh, triangles=np.ascontiguousarray(turned))


def _closed_patches(mesh: Mesh) -> ndarray:
    """Which patches have no open edge. [patches] bool"""
    edge, count = _edges(mesh)
    same, counts = np.unique(np.repeat(mesh.patch, 3) * count + edge.ravel(), return_counts=True)
    closed = np.ones(int(mesh.patch.max()) + 1, bool)
    closed[same[counts % 2 == 1] // count] = False
    return closed


def _spread(corners: ndarray, count: int) -> ndarray:
    """So many of the triangles, evenly over their area: a large one comes several times. [F, 3, 3] -> [count, 3, 3]"""
    total = np.cumsum(areas_of(corners))
    return corners[np.searchsorted(total, (np.arange(count) + 0.5) / count * total[-1])]


def _shelled(mesh: Mesh, thickness: float) -> tuple[Mesh, ndarray]:
    """Shells around patches that enclose nothing, alone or with the others, and thinner ones around walls and plates that are too thin to
    be seen: a leaf is a plane here and a slab there. Returns the mesh, and which triangles are of sheets [F] bool."""
    rows_of, all_corners = _rows_of_patches(mesh.patch), mesh.corners
    some = [_spread(all_corners[rows], 64) for rows in rows_of]
    corners, owner = np.concatenate(some), np.repeat(np.arange(len(some)), [len(c) for c in some])
    off = STEP * normals_of(corners)
    behind = np.maximum(winding(mesh, corners.mean(1) - off), winding(mesh, corners.mean(1) + off))
    sheet = np.array([np.median(behind[owner == i]) < SHEET for i in range(len(some))])[mesh.patch]
    large = np.array([np.ptp(all_corners[rows].reshape(-1, 3), axis=0).max() > PLATE * thickness for rows in rows_of])[mesh.patch]
    shell = np.where(sheet, thickness, 0.0)
    rows = np.flatnonzero(large & ~sheet)
    asked, which = alike(mesh.corners[rows], mesh.patch[rows])
    at, normal = probes(mesh.corners[rows[asked]]), normals_of(mesh.corners[rows[asked]])[:, None]

    def outside(points: ndarray) -> ndarray:
        return winding(mesh, points.reshape(-1, 3)).reshape(-1, 4) < 0.5

    before = outside(at + STEP * normal)
    for depth, size in THIN:
        through = before & outside(at - depth * thickness * normal)
        shell[rows[(through.sum(1) > 0.6 * before.sum(1))[which]]] = size * thickness  # of what is not covered anyway
    return replace(mesh, shell=shell), sheet


def probes(corners: ndarray) -> ndarray:
    """Four points in each triangle, near its corners and in its middle. [N, 3, 3] -> [N, 4, 3]"""
    middle = corners.mean(1, keepdims=True)
    return np.concatenate((0.9 * corners + 0.1 * middle, middle), 1)


def alike(corners: ndarray, patch: ndarray) -> tuple[ndarray, ndarray]:
    """Of a million tiny triangles that lie side by side one is enough: rows to ask, and which of them answers for each triangle.

    Tiny triangles of one patch are alike when they face one way in one small cell. corners [N, 3, 3], patch [N]
    """
    normal, middle = normals_of(corners), corners.mean(1)
    cell = np.floor((middle + 1) / CELL).astype(np.int64).clip(0, 255)
    way = np.rint(1.5 * normal).astype(np.int64) + 2  # 27 ways
    number = (((patch * 256 + cell[:, 0]) * 256 + cell[:, 1]) * 256 + cell[:, 2]) * 125 + way @ (25, 5, 1)
    tiny = np.abs(corners - middle[:, None]).max((1, 2), initial=0) < CELL / 2
    _, asked, which = np.unique(np.where(tiny, number, -1 - np.arange(len(corners))), return_index=True, return_inverse=True)
    return asked, which.reshape(-1)


def _fitted(mesh: Mesh) -> tuple[Mesh, float]:
    """Moved and made smaller where shells would stand out of the frame; and how much smaller."""
    corners, extra = mesh.corners, mesh.shell[:, None]
    low, high = (corners.min(1) - extra).min(0), (corners.max(1) + extra).max(0)
    if (high - low).max() <= 2 * REACH * (1 + 1e-6):
        return mesh, 1.0
    own = np.ptp(corners.reshape(-1, 3), axis=0).max()
    scale = (2 * REACH - ((high - low).max() - own)) / own
    return replace(mesh, vertices=(mesh.vertices - (low + high) / 2) * scale), float(scale)


def usable(vertices: ndarray, triangles: ndarray, thickness: float) -> tuple[Mesh, ndarray, float, Facts]:
    """The mesh, which triangles are of sheets [F] bool, how much smaller it was made to fit with its shells, and what was found.
    vertices [V, 3] in the frame. Raises ValueError when nothing has an area."""
    mesh, facts = _clean(vertices, triangles)
    mesh, sheet = _shelled(_oriented(mesh, facts), thickness)
    mesh, scale = _fitted(mesh)
    area = areas_of(mesh.corners)
    facts.thickened = float(area[mesh.shell > 0].sum() / area.sum())
    return mesh, sheet, scale, facts
