# SPDX-License-Identifier: GPL-3.0-or-later
"""The solid of an artist's mesh: what its winding number encloses, and a thin shell around sheets that enclose nothing.

Artists' meshes are open, overlapping and sometimes inside out. Space is inside where the winding number of the whole mesh is above ½; the
boundary of that is found on the mesh itself (triangles cut where others cover them), and where an open mesh is closed by nothing but its
winding number, on a grid. Leaves, cloth and planes become solids of half-thickness `thickness`.
"""

from dataclasses import dataclass, field, fields, replace

import igl
import igl.embree
import numpy as np
from numpy import ndarray
from scipy import ndimage
from skimage.measure import marching_cubes

REACH = 0.48  # half of the largest side
EDGE = 0.52  # the grid's half side
THICKNESS = 0.008  # half-thickness of sheets, of the largest side
STEP = 2e-4  # how far beside a triangle it is asked what is inside and what is outside
SHEET = 0.65  # winding number behind a face below which its patch encloses nothing (0.5: a plane, 0.75: half a sphere, 1: closed)
LONGEST, SHORTEST = 0.12, 0.02  # edges above are always cut, edges below never
FILL_CELLS = 0.75  # a surface that only the winding number makes begins so many cells of the grid away from the mesh
FEW = 400  # triangles of which the exact winding number takes no longer than the approximate one
ASKED = 3000  # nodes of a region
NEAR = 1.4  # cells of a coarse grid around the mesh in which winding numbers are not interpolated


@dataclass
class Mesh:
    """Triangles in the frame. vertices [V, 3] f64, triangles [F, 3] i64; `source` [F]: the triangle of the file that each one is of;
    `patch` [F]: the number of the connected piece that it belongs to."""

    vertices: ndarray
    triangles: ndarray
    source: ndarray
    patch: ndarray

    @property
    def corners(self) -> ndarray:
        """[F, 3, 3]"""
        return self.vertices[self.triangles]

    def cut(self, chosen: ndarray) -> "Mesh":
        """Only the chosen triangles."""
        return Mesh(self.vertices, np.ascontiguousarray(self.triangles[chosen]), self.source[chosen], self.patch[chosen])


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


@dataclass
class Boundary:
    """The visible side of a mesh in pieces: corners [N, 3, 3], the file's triangle and the patch of each, its corners' places in that
    triangle [N, 3, 3] (barycentric), whether it is of a sheet, which has two sides, and whether its middle is seen: the last pieces of a
    triangle that goes into another part reach a little into it, so that the boundary has no gaps."""

    corners: ndarray
    source: ndarray
    patch: ndarray
    places: ndarray
    sheet: ndarray
    seen: ndarray


@dataclass
class Solid:
    """Distances of one solid, in the frame. Make it with `Solid.of`."""

    mesh: Mesh  # oriented, without sheets
    sheets: Mesh
    thickness: float
    boundary: Boundary
    scale: float = 1.0  # how much smaller the mesh was made, so that its shells have room
    fill: ndarray = field(default_factory=lambda: np.zeros((0, 3, 3)))  # corners [N, 3, 3]
    facts: Facts = field(default_factory=Facts)
    enclosed: ndarray | None = None  # of an open mesh: what is inside at the nodes of a grid

    @staticmethod
    def of(vertices: ndarray, triangles: ndarray, thickness: float = THICKNESS, cells: int = 64) -> "Solid":
        """From triangles of any kind, vertices [V, 3] in the frame; moved and made smaller where the shells of sheets would not fit into
        ±REACH. Raises ValueError when nothing has an area."""
        thickness = thickness * 2 * REACH
        mesh, facts = _clean(vertices, triangles)
        mesh = _oriented(mesh, facts)
        sheet = _sheets(mesh)
        mesh, scale = _fitted(mesh, sheet, thickness)
        area = areas_of(mesh.corners)
        facts.thickened = float(area[sheet].sum() / area.sum())
        none = np.zeros(0, np.int64)
        nothing = Boundary(np.zeros((0, 3, 3)), none, none, np.zeros((0, 3, 3)), none > 0, none > 0)
        solid = Solid(mesh.cut(~sheet), mesh.cut(sheet), thickness, nothing, scale=scale, facts=facts)
        solid.boundary = _boundary(solid)
        if not solid.boundary.seen.any():
            raise ValueError("It has no surface that can be seen.")
        facts.hidden = float(max(0.0, 1 - areas_of(solid.boundary.corners[solid.boundary.seen]).sum() / area.sum()))
        solid._index()
        if facts.closed < 1 and len(solid.mesh.triangles):
            solid._close(cells)
        facts.sign_disagreement = _ask_rays(solid)
        return solid

    # Distances ----------------------------------------------------------------------------------------------------------------------

    def inside(self, points: ndarray) -> ndarray:
        """Whether the winding number says so. points [N, 3] -> [N] bool"""
        return winding(self.mesh, points) > 0.5

    def sdf(self, points: ndarray) -> ndarray:
        """Signed distance, negative inside. points [N, 3] -> [N] f64"""
        outside = self._unsigned(points)
        signed = np.where(self._inside_at(points, outside), -outside, outside)
        return np.minimum(signed, _distance(self._sheet_tree, points) - self.thickness)

    def _inside_at(self, points: ndarray, outside: ndarray) -> ndarray:
        """What is inside, of points that are so far from the surface [N] each: where it does not reach between a point and the nearest node
        of the grid, they are on one side. points [N, 3] -> [N] bool"""
        if self._nodes is None:
            return self.inside(points)
        distance, inside = self._nodes
        h = 2 * EDGE / (len(distance) - 1)
        near = np.rint((points + EDGE) / h).astype(np.int64).clip(0, len(distance) - 1)
        at = tuple(near.T)
        apart = np.linalg.norm(points - (near * h - EDGE), axis=1)
        told = inside[at].copy()
        asked = np.flatnonzero(outside + distance[at] <= apart * 1.01 + 1e-6)
        told[asked] = self.inside(points[asked])
        return told

    def surface(self, count: int, rng: np.random.Generator, *, even: bool) -> tuple[ndarray, ndarray, ndarray, ndarray]:
        """Points of the mesh that are seen [count, 3], outward normals [count, 3], the file's triangles [count], places in them [count, 3].

        even: evenly over the area; otherwise each patch has as many as any other, however small. Triangle -1: a shell covers the point.
        """
        b = self.boundary
        rows = np.flatnonzero(b.seen)
        weight = areas_of(b.corners[rows]) * np.where(b.sheet[rows], 2.0, 1.0)
        if not even:
            weight = weight / np.bincount(b.patch[rows], weight)[b.patch[rows]]
        rows = rows[_draw(weight, count, rng)]
        share = _barycentric(count, rng)
        normal = normals_of(b.corners[rows]) * np.where(b.sheet[rows] & (rng.random(count) < 0.5), -1.0, 1.0)[:, None]
        points = np.einsum("ni,nij->nj", share, b.corners[rows])
        points = points + np.where(b.sheet[rows], self.thickness, 0.0)[:, None] * normal
        covered = _distance(self._sheet_tree, points) < 0.98 * self.thickness
        covered[b.sheet[rows]] |= self.inside(points[b.sheet[rows]])
        return points, normal, np.where(covered, -1, b.source[rows]), np.einsum("ni,nij->nj", share, b.places[rows])

    def cloud(self, count: int, rng: np.random.Generator) -> ndarray:
        """Points and normals evenly over the whole surface, what closes an open mesh among them. [count, 6]"""
        seen = self.boundary.seen
        mesh = (areas_of(self.boundary.corners[seen]) * np.where(self.boundary.sheet[seen], 2.0, 1.0)).sum()
        closing = areas_of(self.fill)
        others = round(count * closing.sum() / max(mesh + closing.sum(), 1e-12))
        points, normal, *_ = self.surface(count - others, rng, even=True)
        if others:
            rows = _draw(closing, others, rng)
            more = np.einsum("ni,nij->nj", _barycentric(others, rng), self.fill[rows])
            points, normal = np.concatenate((points, more)), np.concatenate((normal, normals_of(self.fill[rows])))
        return np.concatenate((points, normal), 1)[rng.permutation(count)]

    def box(self) -> tuple[ndarray, ndarray]:
        """Its lowest and highest corner [3]."""
        parts = [(self.boundary.corners.reshape(-1, 3), 0.0), (self.sheets.corners.reshape(-1, 3), self.thickness)]
        low, high = zip(*((p.min(0) - t, p.max(0) + t) for p, t in parts if len(p)), strict=True)
        return np.min(low, 0), np.max(high, 0)

    def grid(self, cells: int) -> ndarray:
        """Signed distance at the nodes of a grid over ±EDGE, [cells + 1] * 3. It makes `sdf` faster afterwards."""
        nodes, shape = grid_nodes(cells), (cells + 1,) * 3
        outside = self._unsigned(nodes) if self._distances is None or self._distances.shape != shape else self._distances.ravel()
        if self.enclosed is not None and self.enclosed.shape == shape:
            inside = self.enclosed.ravel()
        else:
            inside = self._inside_nodes(nodes, outside.reshape(shape))
        self._nodes = outside.reshape(shape), inside.reshape(shape)
        signed = np.where(inside, -outside, outside)
        return np.minimum(signed, _distance(self._sheet_tree, nodes) - self.thickness).reshape(shape)

    def _inside_nodes(self, nodes: ndarray, outside: ndarray) -> ndarray:
        """Winding numbers are asked once for all nodes between which there is no surface, and for each node that touches one."""
        inside = np.zeros(len(nodes), bool)
        near, *groups = _regions(outside)
        inside[near] = self.inside(nodes[near])
        for rows in groups:
            some = self.inside(nodes[_some(rows)])
            inside[rows] = self.inside(nodes[rows]) if _mixed(some) else some[0]
        return inside

    def _unsigned(self, points: ndarray) -> ndarray:
        return np.minimum(_distance(self._tree, points), _distance(self._fill_tree, points))

    def _index(self) -> None:
        self._tree = _tree(self.boundary.corners[~self.boundary.sheet])
        self._fill_tree, self._sheet_tree = _tree(self.fill), _tree(self.sheets.corners)
        self._nodes: tuple[ndarray, ndarray] | None = None
        self._distances: ndarray | None = None

    def _close(self, cells: int) -> None:
        """Find what an open mesh encloses, and the surfaces that only its winding number makes."""
        shape, h, nodes = (cells + 1,) * 3, 2 * EDGE / cells, grid_nodes(cells)
        distance = self._unsigned(nodes)
        self._distances = distance.reshape(shape)
        if not any(_mixed(self.inside(nodes[_some(rows)])) for rows in _regions(self._distances)[1:]):
            return  # its parts close each other
        number = winding_on_grid(self.mesh, cells, distance).reshape(shape)
        self.enclosed = number > 0.5
        if not self.enclosed.any():
            return
        points, faces, _, _ = marching_cubes(-number, -0.5)  # outwards
        corners = (points * h - EDGE)[faces].astype(np.float64)
        far = (self._unsigned(corners.reshape(-1, 3)).reshape(-1, 3) > FILL_CELLS * h).any(1)
        self.fill = corners[far & (areas_of(corners) > 1e-12)]
        own, made = areas_of(self.boundary.corners).sum(), areas_of(self.fill).sum()
        self.facts.filled = float(made / max(own + made, 1e-12))
        self._fill_tree = _tree(self.fill)
        self._distances = np.minimum(self._distances, _distance(self._fill_tree, nodes).reshape(shape))


def _draw(weight: ndarray, count: int, rng: np.random.Generator) -> ndarray:
    """Rows in proportion to their weight, spread as evenly as can be. [N] -> [count]"""
    total = np.cumsum(weight)
    return np.minimum(np.searchsorted(total, (np.arange(count) + rng.random(count)) / count * total[-1]), len(weight) - 1)


def _barycentric(count: int, rng: np.random.Generator) -> ndarray:
    """Even places in a triangle. [count, 3]"""
    a, b = np.sqrt(rng.random(count)), rng.random(count)
    return np.stack((1 - a, a * (1 - b), a * b), 1)


def _regions(distance: ndarray) -> list[ndarray]:
    """Nodes of a grid that touch a surface, then those of each region between which there is none. [n, n, n] -> rows"""
    labels, count = ndimage.label(distance > EDGE / (len(distance) - 1))
    order = np.argsort(labels, axis=None, kind="stable")
    return np.split(order, np.searchsorted(labels.ravel()[order], np.arange(1, count + 1)))


def _some(rows: ndarray) -> ndarray:
    """Enough of a region to see whether it is of one kind."""
    return rows[:: max(1, len(rows) // ASKED)]


def _mixed(inside: ndarray) -> bool:
    return bool(inside.any() and not inside.all())


def grid_nodes(cells: int) -> ndarray:
    """[(cells + 1)³, 3], x slowest."""
    axis = np.linspace(-EDGE, EDGE, cells + 1)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def winding(mesh: Mesh, points: ndarray) -> ndarray:
    """Winding number of an oriented mesh. points [N, 3] -> [N]"""
    if not len(mesh.triangles) or not len(points):
        return np.zeros(len(points))
    function = igl.winding_number if len(mesh.triangles) < FEW else igl.fast_winding_number
    return function(mesh.vertices, mesh.triangles, np.ascontiguousarray(points, np.float64))


def winding_on_grid(mesh: Mesh, cells: int, distance: ndarray) -> ndarray:
    """At the nodes of a grid, [(cells + 1)³]: from every second node, it is smooth away from the mesh; asked near it."""
    half = cells // 2
    rough = winding(mesh, grid_nodes(half)).reshape((half + 1,) * 3)
    value = ndimage.zoom(rough, (cells + 1) / (half + 1), order=1, grid_mode=False, mode="nearest").ravel()
    near = np.flatnonzero(distance < NEAR * 2 * EDGE / half)
    value[near] = winding(mesh, grid_nodes(cells)[near])
    return value


# Making a mesh usable -------------------------------------------------------------------------------------------------------------------


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
    good = areas_of(vertices[first][welded]) > 1e-12
    _, once = np.unique(np.sort(welded[good], 1), axis=0, return_index=True)
    source = np.flatnonzero(good)[np.sort(once)]
    if not len(source):
        raise ValueError("It has no surface: not one triangle has an area.")
    facts = Facts(triangles=len(triangles), broken=len(triangles) - len(source))
    triangles = np.ascontiguousarray(welded[source])
    return Mesh(np.ascontiguousarray(vertices[first]), triangles, source, np.zeros(len(source), np.int64)), facts


def _oriented(mesh: Mesh, facts: Facts) -> Mesh:
    """Neighbours wound alike in patches, and patches that were inside out turned.

    A patch inside another one may be turned on purpose: a bottle's inner wall. It stays.
    """
    alike, patch = igl.bfs_orient(mesh.triangles)
    mesh = Mesh(mesh.vertices, np.ascontiguousarray(alike, np.int64), mesh.source, patch.astype(np.int64))
    rows_of = _rows_of_patches(patch)
    closed, encloses, samples = _closed_patches(mesh), np.zeros(len(rows_of)), []
    facts.patches, facts.closed = len(rows_of), float(closed[patch].mean())
    for i, rows in enumerate(rows_of):
        corners = mesh.corners[rows]
        some = _spread(corners, 48)
        samples.append(some.mean(1))
        if closed[i]:
            encloses[i] = np.sign(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum())
        else:
            off, own = STEP * normals_of(some), mesh.cut(rows)
            encloses[i] = (winding(own, samples[i] + off) + winding(own, samples[i] - off)).mean() / 2
    flip = encloses < -0.1
    all_turned = _flipped(mesh, flip)
    for i in np.flatnonzero(flip):
        flip[i] = np.median(winding(all_turned.cut(patch != i), samples[i])) < 0.5
    area = areas_of(mesh.corners)
    facts.turned = float(area[flip[patch]].sum() / area.sum())
    return _flipped(mesh, flip)


def _rows_of_patches(patch: ndarray) -> list[ndarray]:
    order = np.argsort(patch, kind="stable")
    return np.split(order, np.searchsorted(patch[order], np.arange(1, int(patch.max()) + 1)))


def _flipped(mesh: Mesh, patches: ndarray) -> Mesh:
    """The chosen patches [patches] bool wound the other way round."""
    turned = np.where(patches[mesh.patch][:, None], mesh.triangles[:, ::-1], mesh.triangles)
    return Mesh(mesh.vertices, np.ascontiguousarray(turned), mesh.source, mesh.patch)


def _closed_patches(mesh: Mesh) -> ndarray:
    """Which patches have no open edge. [patches] bool"""
    edges = np.sort(mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    same, counts = np.unique(np.column_stack((np.repeat(mesh.patch, 3), edges)), axis=0, return_counts=True)
    closed = np.ones(int(mesh.patch.max()) + 1, bool)
    closed[same[counts % 2 == 1, 0]] = False
    return closed


def _spread(corners: ndarray, most: int) -> ndarray:
    """At most so many of the triangles, evenly over their area. [F, 3, 3] -> [N, 3, 3]"""
    if len(corners) <= most:
        return corners
    total = np.cumsum(areas_of(corners))
    return corners[np.searchsorted(total, (np.arange(most) + 0.5) / most * total[-1])]


def _sheets(mesh: Mesh) -> ndarray:
    """Which triangles are of patches that enclose nothing, alone or with the others. [F] bool"""
    some = [_spread(mesh.corners[rows], 64) for rows in _rows_of_patches(mesh.patch)]
    corners, owner = np.concatenate(some), np.repeat(np.arange(len(some)), [len(c) for c in some])
    middles, off = corners.mean(1), STEP * normals_of(corners)
    behind = np.maximum(winding(mesh, middles - off), winding(mesh, middles + off))
    typical = np.array([np.median(behind[owner == i]) for i in range(len(some))])
    return (typical < SHEET)[mesh.patch]


def _fitted(mesh: Mesh, sheet: ndarray, thickness: float) -> tuple[Mesh, float]:
    """Moved and made smaller where shells would stand out of the frame; and how much smaller."""
    corners = mesh.corners
    extra = np.where(sheet, thickness, 0.0)[:, None]
    low, high = (corners.min(1) - extra).min(0), (corners.max(1) + extra).max(0)
    if (high - low).max() <= 2 * REACH * (1 + 1e-6):
        return mesh, 1.0
    own = np.ptp(corners.reshape(-1, 3), axis=0).max()
    scale = (2 * REACH - ((high - low).max() - own)) / own
    return replace(mesh, vertices=(mesh.vertices - (low + high) / 2) * scale), float(scale)


# Its boundary ---------------------------------------------------------------------------------------------------------------------------


def _boundary(solid: Solid) -> Boundary:
    """Cut triangles where other parts cover them, and keep the pieces with the inside on one side only."""
    parts = [solid.boundary]
    for mesh, sheet in ((solid.mesh, False), (solid.sheets, True)):
        corners, places = mesh.corners, np.broadcast_to(np.eye(3), (len(mesh.triangles), 3, 3))
        source, patch = mesh.source, mesh.patch
        while len(corners):
            longest = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(1)
            cut, small = longest > LONGEST, np.flatnonzero(longest <= LONGEST)
            seen = _seen(solid, corners[small], patch[small], sheet)
            some, middle = seen.any(1), seen[:, 3]
            cut[small] = some & ~seen.all(1) & (longest[small] > SHORTEST)
            keep = some & ~cut[small]
            rows = small[keep]
            parts.append(Boundary(corners[rows], source[rows], patch[rows], places[rows], np.full(len(rows), sheet), middle[keep]))
            corners, places, source, patch = (
                _halved(corners[cut]), _halved(places[cut]), np.repeat(source[cut], 4), np.repeat(patch[cut], 4)
            )  # fmt: skip
    return Boundary(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Boundary)))


def _seen(solid: Solid, corners: ndarray, patch: ndarray, sheet: bool) -> ndarray:
    """Whether triangles are seen near their three corners and in their middle. [N, 3, 3] -> [N, 4] bool"""
    alike = _alike(corners, patch)  # of a million tiny triangles that lie side by side one is asked
    asked, which = np.unique(alike, return_index=True, return_inverse=True)[1:]
    some = corners[asked]
    middle = some.mean(1, keepdims=True)
    before = np.concatenate((0.9 * some + 0.1 * middle, middle), 1) + STEP * normals_of(some)[:, None]
    number = winding(solid.mesh, before.reshape(-1, 3)).reshape(-1, 4)
    return (number < 0.5 if sheet else np.abs(number) < 0.5)[which.reshape(-1)]  # behind a triangle it is larger by one


def _alike(corners: ndarray, patch: ndarray) -> ndarray:
    """Numbers that are the same for tiny triangles of one patch that face one way in one small cell; its own for each other triangle."""
    normal, middle = normals_of(corners), corners.mean(1)
    cell = np.floor((middle + EDGE) / (SHORTEST / 2)).astype(np.int64).clip(0, 255)
    way = np.rint(1.5 * normal).astype(np.int64) + 2  # 27 ways
    number = (((patch * 256 + cell[:, 0]) * 256 + cell[:, 1]) * 256 + cell[:, 2]) * 125 + way @ (25, 5, 1)
    tiny = np.abs(corners - middle[:, None]).max((1, 2)) < SHORTEST / 4
    return np.where(tiny, number, -1 - np.arange(len(corners)))


def _halved(corners: ndarray) -> ndarray:
    """Each triangle in four. [N, 3, 3] -> [4N, 3, 3]"""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    four = np.stack((np.stack((a, ab, ca), 1), np.stack((ab, b, bc), 1), np.stack((ca, bc, c), 1), np.stack((ab, bc, ca), 1)), 1)
    return four.reshape(-1, 3, 3)


def _tree(corners: ndarray) -> tuple | None:
    """An index of triangles [N, 3, 3], with what it indexes; None for none."""
    if not len(corners):
        return None
    tree = igl.AABB()
    vertices, triangles = corners.reshape(-1, 3).copy(), np.arange(3 * len(corners)).reshape(-1, 3)
    tree.init(vertices, triangles)
    return tree, vertices, triangles


def _distance(tree: tuple | None, points: ndarray) -> ndarray:
    """[N, 3] -> [N]; far away from nothing."""
    if tree is None:
        return np.full(len(points), 4.0)
    index, vertices, triangles = tree
    return np.sqrt(index.squared_distance(vertices, triangles, np.ascontiguousarray(points, np.float64))[0])


# A second opinion -----------------------------------------------------------------------------------------------------------------------


def _ask_rays(solid: Solid, points: int = 256, rays: int = 13) -> float:
    """Share of sample points where rays that see more backs than fronts disagree with the winding number."""
    if not len(solid.mesh.triangles):
        return 0.0
    rng = np.random.default_rng(0)
    low, high = solid.mesh.vertices.min(0), solid.mesh.vertices.max(0)
    asked = rng.uniform(low, high, (points, 3))
    ways = rng.standard_normal((rays, 3))
    ways = (ways / np.linalg.norm(ways, axis=1, keepdims=True)).astype(np.float32)
    scene = igl.embree.EmbreeIntersector()
    scene.init(np.asfortranarray(solid.mesh.vertices, np.float32), np.asfortranarray(solid.mesh.triangles, np.int32))
    normals = normals_of(solid.mesh.corners)
    inside = solid.inside(asked)
    votes = np.zeros(points)
    for i, origin in enumerate(asked.astype(np.float32)):
        for way in ways:
            face, *_ = scene.intersectRay_first(origin, way)
            votes[i] += 0 if face < 0 else np.sign(normals[face] @ way)
    return float(((votes > 0) != inside).mean())
