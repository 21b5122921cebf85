# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a free spot: new objects stand beside what is there, never inside it.

What stands in the way is found by the bounding boxes of visible objects. Of what is much larger than the new objects (terrain, a
room, a tree's crown) the surface itself decides. What the spot lies on is ground.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .placement import GAP

FILLING = ("MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD")  # types of objects that fill space
LARGE = 3.0  # times the new objects' width and depth: a bounding box says too little about what is this large
LOW = 0.25  # share of the new objects' height up to which a large surface may be uneven
FLAT = 0.02  # share of it by which things may overlap in height
REACH = 10.0  # times the new objects' size: who has to move farther stands on top instead
NEIGHBOURS = 32  # boxes whose sides are tried as places to stand at
FORWARD = (0.8, -0.6)  # where to step aside when nobody looks: to the right and to the front
CORNERS = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])


def filling(item: bpy.types.Object, matrix: Matrix) -> Iterator[tuple[bpy.types.Object, Matrix]]:
    """An object that fills space, or those that its collection instance shows, each with its place in the world."""
    if item.type in FILLING and item.display_type not in ("BOUNDS", "WIRE"):  # a boolean's cutter is no thing
        yield item, matrix
    elif item.type == "EMPTY" and item.instance_type == "COLLECTION" and item.instance_collection:
        group = item.instance_collection
        for part in group.all_objects:
            if not part.hide_viewport:
                yield from filling(part, matrix @ Matrix.Translation(-group.instance_offset) @ part.matrix_world)


def world_boxes(found: list[tuple[bpy.types.Object, Matrix]]) -> np.ndarray:
    """The bounding boxes [N, 2, 3] of objects in the world: lower and upper corner."""
    if not found:
        return np.zeros((0, 2, 3))
    ends = [(box[0], box[6]) for box in (item.bound_box for item, _ in found)]
    local = np.array([(*low, *high) for low, high in ends]).reshape(-1, 2, 3)
    matrices = np.array([(*m[0], *m[1], *m[2]) for _, m in found]).reshape(-1, 3, 4)  # numpy reads a Matrix slowly
    corners = local[:, CORNERS, np.arange(3)]  # [N, 8, 3]
    world = np.einsum("nij,nkj->nki", matrices[:, :, :3], corners) + matrices[:, None, :, 3]
    return np.stack([world.min(1), world.max(1)], 1)


@dataclass(frozen=True)
class Large:
    """A mesh that is much larger than what is to be placed, at its place in the world."""

    item: bpy.types.Object  # evaluated
    matrix: Matrix

    def hit(self, start: np.ndarray, end: np.ndarray) -> tuple[Vector, Vector] | None:
        """Where a line first meets the surface, and its normal there, both in the world; None where it does not."""
        inverse = self.matrix.inverted_safe()
        a, b = inverse @ Vector(start), inverse @ Vector(end)
        try:
            found, place, normal, _ = self.item.ray_cast(a, b - a, distance=(b - a).length)
        except RuntimeError:  # a mesh without faces
            return None
        return (self.matrix @ place, (inverse.to_3x3().transposed() @ normal).normalized()) if found else None

    def encloses(self, spot: np.ndarray, top: float) -> bool:
        """Whether a point is inside the solid or below the ground: looking up, one sees a surface from behind."""
        found = self.hit(spot, (spot[0], spot[1], max(top, spot[2]) + 1.0))
        return found is not None and found[1].z > 0

    def carries(self, spot: np.ndarray, height: float) -> bool:
        """Whether the spot lies on the surface, as where an artist has put the cursor on something."""
        up = np.array((0, 0, height))
        found = self.hit(spot + LOW * up, spot - FLAT * up)
        return found is not None and abs(found[0].z - spot[2]) <= FLAT * height and found[1].z > 0.3

    def cuts(self, spot: np.ndarray, row: np.ndarray) -> bool:
        """Whether the surface goes through the box `row` [2, 3] at a spot, above its lowest part."""
        low, high = spot + row
        low[2] += LOW * (high[2] - low[2])
        xs, ys = np.linspace(low[0], high[0], 3), np.linspace(low[1], high[1], 3)
        lines = [((x, y, high[2]), (x, y, low[2])) for x in xs for y in ys]
        for z in (low[2], (low[2] + high[2]) / 2, high[2]):
            lines += [((x, low[1], z), (x, high[1], z)) for x in xs] + [((low[0], y, z), (high[0], y, z)) for y in ys]
        return any(self.hit(start, end) for start, end in lines)


@dataclass
class Taken:
    """What stands in the way of a row of new objects: `boxes` [N, 2, 3], and large meshes that are open where the row should stand."""

    boxes: np.ndarray
    large: list[Large]
    under: list[Large]  # of these, those on which the wanted spot lies
    top: float

    @classmethod
    def at(cls, context: bpy.types.Context, spot: np.ndarray, row: np.ndarray) -> "Taken":
        """Sort the visible objects that are as high as a row [2, 3] at a spot."""
        graph = context.evaluated_depsgraph_get()
        found = [pair for item in context.view_layer.objects if item.visible_get() for pair in filling(item, item.matrix_world)]
        boxes, (size_x, size_y, height) = world_boxes(found), row[1] - row[0]
        low, high = boxes[:, 0], boxes[:, 1]
        level = (high[:, 2] > spot[2] + FLAT * height) & (low[:, 2] < spot[2] + (1 - FLAT) * height)
        solid = np.isfinite(boxes).all((1, 2)) & ((high - low).max(1) > 0)
        around = ((low[:, :2] <= spot[:2]) & (spot[:2] <= high[:, :2])).all(1) & (low[:, 2] <= spot[2] + height)
        larger = (high[:, 0] - low[:, 0] > LARGE * size_x) & (high[:, 1] - low[:, 1] > LARGE * size_y)
        reach = (REACH + 2) * (row[1] - row[0]).max()
        near = ((low[:, :2] <= spot[:2] + reach) & (high[:, :2] >= spot[:2] - reach)).all(1)
        blocking, large, under = level & solid & near, [], []
        for index in np.flatnonzero(blocking & around):
            item, matrix = found[index]
            mesh = Large(item.evaluated_get(graph), matrix)
            if item.type != "MESH":
                continue
            carried = mesh.carries(spot, height)
            if carried:
                under.append(mesh)
            if larger[index] and not mesh.encloses((*spot[:2], spot[2] + LOW * height), high[index, 2]):
                large.append(mesh)
            blocking[index] = not (carried or mesh in large)
        return cls(boxes[blocking], large, under, float(high[solid & near, 2].max(initial=spot[2])))

    def overlapped(self, spots: np.ndarray, row: np.ndarray, margin: float) -> np.ndarray:
        """Which of the spots [M, 3] are too near to a box: [M] bool."""
        low, high = spots[:, None, :2] + row[0, :2] - margin, spots[:, None, :2] + row[1, :2] + margin
        return ((low < self.boxes[None, :, 1, :2]) & (high > self.boxes[None, :, 0, :2])).all(2).any(1)

    def free(self, spot: np.ndarray, row: np.ndarray) -> bool:
        """Whether the row can stand exactly where it is wanted."""
        slack = -FLAT * float((row[1] - row[0])[:2].min())
        return not self.overlapped(spot[None], row, slack)[0] and not any(
            mesh.cuts(spot, row) for mesh in self.large if mesh not in self.under
        )


def _candidates(taken: Taken, spot: np.ndarray, row: np.ndarray, margin: float) -> np.ndarray:
    """Spots [M, 3] to try: flush with the sides of what is near, and around the spot where only surfaces tell what is free."""
    nearest = np.maximum(np.maximum(taken.boxes[:, 0, :2] - spot[:2], spot[:2] - taken.boxes[:, 1, :2]), 0)
    near = taken.boxes[np.argsort(np.hypot(*nearest.T), kind="stable")[:NEIGHBOURS]]
    lines = [
        np.concatenate([spot[axis : axis + 1], near[:, 0, axis] - row[1, axis] - margin, near[:, 1, axis] - row[0, axis] + margin])
        for axis in (0, 1)
    ]
    tried = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
    if taken.large:
        step = float((row[1] - row[0])[:2].max()) / 2
        turns = np.arange(16) * np.pi / 8
        rings = np.arange(1, 2 * REACH + 1)[:, None, None] * step * np.stack([np.cos(turns), np.sin(turns)], 1)
        tried = np.concatenate([tried, spot[:2] + rings.reshape(-1, 2)])
    return np.column_stack([tried, np.full(len(tried), spot[2])])


def free_spot(context: bpy.types.Context, place: Vector, row: np.ndarray, towards: Vector | None = None) -> Vector:
    """Return `place` where new objects can stand there, else the nearest free spot at the same height; on top of all if that is far.

    `row`: the box [2, 3] that they fill, around the place. `towards`: the horizontal direction to who looks at it, who should not
    find them behind what they make way for.
    """
    spot, size = np.array(place, float), row[1] - row[0]
    taken = Taken.at(context, spot, row)
    if taken.free(spot, row):
        return place
    margin = GAP * float(size[:2].max())
    tried = _candidates(taken, spot, row, 1.0001 * margin)
    way = tried[:, :2] - spot[:2]
    ahead = np.array(towards[:2] if towards and towards.xy.length > 1e-6 else FORWARD)
    far = np.hypot(*way.T)
    cost = far - 0.3 * way @ (ahead / np.linalg.norm(ahead))
    order = np.argsort(np.round(cost / size.max(), 6), kind="stable")
    order = order[far[order] <= REACH * size.max()]
    for some in np.array_split(order, max(len(order) // 256, 1)):
        for index in some[~taken.overlapped(tried[some], row, margin)]:
            if not any(mesh.cuts(tried[index], row) for mesh in taken.large):
                return Vector(tried[index])
    return Vector((place.x, place.y, max(_top(context, spot, row, taken.top), place.z)))


def _top(context: bpy.types.Context, spot: np.ndarray, row: np.ndarray, above: float) -> float:
    """The height of the highest surface below a row's corners and centre."""
    graph, (low, high) = context.evaluated_depsgraph_get(), spot + row
    points = [spot[:2], low[:2], high[:2], (low[0], high[1]), (high[0], low[1])]
    hits = [context.scene.ray_cast(graph, (x, y, above + 1), (0, 0, -1)) for x, y in points]
    return max((place.z for hit, place, *_ in hits if hit), default=float(spot[2]))
