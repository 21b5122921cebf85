# SPDX-License-Identifier: GPL-3.0-or-later
"""The solid of an artist's mesh: what its winding number encloses, and thin shells around sheets that enclose nothing.

Artists' meshes are open, overlapping and sometimes inside out. Space is inside where the winding number of the whole mesh is above ½; the
boundary of that is found on the mesh itself (triangles cut where others cover them), and where an open mesh is closed by nothing but its
winding number, on a grid. Leaves, cloth and planes become solids of half-thickness `thickness`.
"""

from dataclasses import dataclass, field, fields

import igl
import igl.embree
import numpy as np
from numpy import ndarray
from scipy import ndimage
from skimage.measure import marching_cubes

from core.frame import HALF_EXTENT
from core.library.repair import REACH, STEP, Facts, Mesh, alike, areas_of, normals_of, probes, usable, winding

EDGE = HALF_EXTENT  # the grid's half side
THICKNESS = 0.008  # of the largest side: half of what sheets get
LONGEST, SHORTEST = 0.12, 0.02  # edges above are always cut, edges below never
FILL_CELLS = 0.75  # a surface that only the winding number makes begins so many cells of the grid away from the mesh
ASKED = 3000  # nodes of a region
NEARBY, ASTRAY = 0.035, 3  # how near a triangle tells on which side a node is; how many nodes may be told wrongly
NEAR = 1.4  # cells of a coarse grid around the mesh in which winding numbers are not interpolated


@dataclass
class Boundary:
    """The visible side of a mesh in pieces: corners [N, 3, 3], the file's triangle and the patch of each, its corners' places in that
    triangle [N, 3, 3] (barycentric), the shell around it, whether it is of a sheet, which has two sides, and whether its middle is seen:
    the last pieces of a triangle that goes into another part reach a little into it, so that the boundary has no gaps."""

    corners: ndarray
    source: ndarray
    patch: ndarray
    places: ndarray
    shell: ndarray
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
        mesh, sheet, scale, facts = usable(vertices, triangles, thickness)
        area = areas_of(mesh.corners)
        none = np.zeros(0, np.int64)
        nothing = Boundary(np.zeros((0, 3, 3)), none, none, np.zeros((0, 3, 3)), none / 1, none > 0, none > 0)
        solid = Solid(mesh.cut(~sheet), mesh.cut(sheet), thickness, nothing, scale=scale, facts=facts)
        solid.boundary = _boundary(solid)
        if not solid.boundary.seen.any():
            raise ValueError("It has no surface that can be seen.")
        facts.hidden = float(max(0.0, 1 - areas_of(solid.boundary.corners[solid.boundary.seen]).sum() / area.sum()))
        solid._index()
        if facts.closed < 1 and solid._tree is not None:
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
        return np.minimum(signed, self._shell_distance(points))

    def _inside_at(self, points: ndarray, outside: ndarray) -> ndarray:
        """What is inside, of points that are so far from the surface [N] each: where it does not reach between a point and the nearest node
        of the grid, they are on one side. points [N, 3] -> [N] bool"""
        if self._nodes is None or self.enclosed is not None:  # around small openings of an open mesh a distance tells nothing
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
        points = points + b.shell[rows][:, None] * normal
        covered = self._shell_distance(points) < -0.02 * self.thickness
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
        corners, shell = self.boundary.corners, self.boundary.shell[:, None]
        return (corners.min(1) - shell).min(0), (corners.max(1) + shell).max(0)

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
        return np.minimum(signed, self._shell_distance(nodes)).reshape(shape)

    def _inside_nodes(self, nodes: ndarray, outside: ndarray) -> ndarray:
        """Winding numbers are asked once for all nodes between which there is no surface, and for each node that touches one."""
        inside = np.zeros(len(nodes), bool)
        near, *groups = _regions(outside)
        inside[near] = self.inside(nodes[near])
        for rows in groups:
            some = self.inside(_some(nodes[rows]))
            inside[rows] = self.inside(nodes[rows]) if _mixed(some) else some[0]
        return inside

    def _leaks(self, nodes: ndarray) -> bool:
        """Whether nodes of one region lie on both sides: by the winding number of some, and by the triangle that is nearest to each that
        is near, so that no small hollow behind an opening is overlooked. [N, 3]"""
        if _mixed(self.inside(_some(nodes))):
            return True
        tree, vertices, triangles = self._tree
        squared, face, at = tree.squared_distance(vertices, triangles, nodes)
        near = squared < NEARBY**2
        before = np.einsum("ij,ij->i", nodes[near] - at[near], normals_of(vertices[triangles[face[near]]])) > 0
        return min(before.sum(), (~before).sum()) > ASTRAY

    def _unsigned(self, points: ndarray) -> ndarray:
        return np.minimum(_distance(self._tree, points), _distance(self._fill_tree, points))

    def _shell_distance(self, points: ndarray) -> ndarray:
        """Signed distance to the shells around sheets and thin plates. [N, 3] -> [N]"""
        return np.min([np.full(len(points), 4.0), *(_distance(tree, points) - size for tree, size in self._shells)], axis=0)

    def _index(self) -> None:
        self._tree = _tree(self.boundary.corners[~self.boundary.sheet])
        self._fill_tree = _tree(self.fill)
        corners, shell = np.concatenate((self.mesh.corners, self.sheets.corners)), np.concatenate((self.mesh.shell, self.sheets.shell))
        self._shells = [(_tree(corners[shell == size]), size) for size in np.unique(shell[shell > 0])]
        self._nodes: tuple[ndarray, ndarray] | None = None
        self._distances: ndarray | None = None

    def _close(self, cells: int) -> None:
        """Find what an open mesh encloses, and the surfaces that only its winding number makes."""
        shape, h, nodes = (cells + 1,) * 3, 2 * EDGE / cells, grid_nodes(cells)
        distance = self._unsigned(nodes)
        self._distances = distance.reshape(shape)
        if not any(self._leaks(nodes[rows]) for rows in _regions(self._distances)[1:]):
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


def _some(nodes: ndarray) -> ndarray:
    """Enough of a region to see whether it is of one kind."""
    return nodes[:: max(1, len(nodes) // ASKED)]


def _mixed(inside: ndarray) -> bool:
    return bool(inside.any() and not inside.all())


def grid_nodes(cells: int) -> ndarray:
    """[(cells + 1)³, 3], x slowest."""
    axis = np.linspace(-EDGE, EDGE, cells + 1)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def winding_on_grid(mesh: Mesh, cells: int, distance: ndarray) -> ndarray:
    """At the nodes of a grid, [(cells + 1)³]: from every second node, it is smooth away from the mesh; asked near it."""
    half = cells // 2
    rough = winding(mesh, grid_nodes(half)).reshape((half + 1,) * 3)
    value = ndimage.zoom(rough, (cells + 1) / (half + 1), order=1, grid_mode=False, mode="nearest").ravel()
    near = np.flatnonzero(distance < NEAR * 2 * EDGE / half)
    value[near] = winding(mesh, grid_nodes(cells)[near])
    return value


# Its boundary ---------------------------------------------------------------------------------------------------------------------------


def _boundary(solid: Solid) -> Boundary:
    """Cut triangles where other parts cover them, and keep the pieces with the inside on one side only."""
    parts = [solid.boundary]
    for mesh, sheet in ((solid.mesh, False), (solid.sheets, True)):
        corners, places = mesh.corners, np.broadcast_to(np.eye(3), (len(mesh.triangles), 3, 3))
        source, patch, shell = mesh.source, mesh.patch, mesh.shell
        while len(corners):
            longest = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(1)
            cut, small = longest > LONGEST, np.flatnonzero(longest <= LONGEST)
            seen = _seen(solid, corners[small], patch[small], sheet)
            some, middle = seen.any(1), seen[:, 3]
            cut[small] = some & ~seen.all(1) & (longest[small] > SHORTEST)
            keep = some & ~cut[small]
            rows = small[keep]
            told = (source[rows], patch[rows], places[rows], shell[rows], np.full(len(rows), sheet), middle[keep])
            parts.append(Boundary(corners[rows], *told))
            corners, places = _halved(corners[cut]), _halved(places[cut])
            source, patch, shell = (np.repeat(values[cut], 4) for values in (source, patch, shell))
    return Boundary(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Boundary)))


def _seen(solid: Solid, corners: ndarray, patch: ndarray, sheet: bool) -> ndarray:
    """Whether triangles are seen near their three corners and in their middle. [N, 3, 3] -> [N, 4] bool"""
    asked, which = alike(corners, patch)
    before = probes(corners[asked]) + STEP * normals_of(corners[asked])[:, None]
    number = winding(solid.mesh, before.reshape(-1, 3)).reshape(-1, 4)
    return (number < 0.5 if sheet else np.abs(number) < 0.5)[which]  # behind a triangle it is larger by one


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
    """Share of sample points where most rays, which leave solids more often than they enter some, disagree with the winding number."""
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
            faces = [hit[0] for hit in scene.intersectRay(origin, way)[0]]
            votes[i] += np.sign(np.sign(normals[faces] @ way).sum() - 0.5)
    return float(((votes > 0) != inside).mean())
