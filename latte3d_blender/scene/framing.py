# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving the view so that a new object is seen: only where it would be tiny, hidden or outside, and never out of a camera's view."""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from .clearance import world_boxes

TINY = 1 / 8  # of the view's height
SEEN = 0.75  # of its width and height: less is outside the view
SHARE = 0.5  # of the view that a framed object's surroundings take
SENSOR_MM = 72.0  # a viewport's lens draws on a sensor of this size along its longer side
OVER = ("UI", "TOOLS", "HEADER", "TOOL_HEADER", "ASSET_SHELF", "ASSET_SHELF_HEADER", "HUD")  # regions that lie over the view


@dataclass(frozen=True)
class Eye:
    """How a viewport looks at the scene. `slope`: half its width and height at a distance of 1; `space`: its part that nothing covers."""

    rotation: np.ndarray  # [3, 3], columns: right, up, backwards
    location: np.ndarray  # [3], what it turns about
    distance: float
    flat: bool  # without perspective
    slope: np.ndarray  # [2]
    space: np.ndarray  # [2, 2], lower left and upper right corner, the whole being -1 to 1

    @property
    def position(self) -> np.ndarray:
        """Where the eye is [3]."""
        return self.location + self.distance * self.rotation[:, 2]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points [N, 3] appear: [N, 2], -1 to 1 from the lower left corner, and their distance [N] before the eye."""
        local = (points - self.location) @ self.rotation
        depth = self.distance - local[:, 2]
        scale = np.full(len(points), self.distance) if self.flat else np.maximum(depth, 1e-6)
        return local[:, :2] / (self.slope * scale[:, None]), depth


def free_space(area: bpy.types.Area, region: bpy.types.Region) -> np.ndarray:
    """The part [2, 2] of a viewport's region, -1 to 1, that the sidebar, the toolbar and headers leave free."""
    low, high = np.array([region.x, region.y], float), np.array([region.x + region.width, region.y + region.height], float)
    start, size = low.copy(), high - low
    for other in area.regions:
        if other.type not in OVER or min(other.width, other.height) <= 1:
            continue
        if other.alignment == "LEFT":
            low[0] = max(low[0], other.x + other.width)
        elif other.alignment == "RIGHT":
            high[0] = min(high[0], other.x)
        elif other.alignment == "TOP":
            high[1] = min(high[1], other.y)
        elif other.alignment == "BOTTOM":
            low[1] = max(low[1], other.y + other.height)
    if (high - low < size / 4).any():
        return np.array([(-1.0, -1.0), (1.0, 1.0)])
    return np.clip(2 * (np.stack([low, high]) - start) / size - 1, -1, 1)


def eye_of(area: bpy.types.Area, region: bpy.types.Region, view: bpy.types.RegionView3D, lens: float) -> Eye:
    """How a viewport's region looks at the scene now; a view through a camera is not meant here."""
    size = np.array([region.width, region.height], float)
    return Eye(
        np.array(view.view_rotation.to_matrix()),
        np.array(view.view_location),
        view.view_distance,
        view.view_perspective == "ORTHO",
        SENSOR_MM / 2 / lens * size / size.max(),
        free_space(area, region),
    )


def _samples(boxes: np.ndarray) -> np.ndarray:
    """The centre of each box [N, 2, 3] and points near its corners: [9 N, 3]."""
    center, half = boxes.mean(1), (boxes[:, 1] - boxes[:, 0]) / 2
    signs = np.array([(x, y, z) for x in (-0.7, 0.7) for y in (-0.7, 0.7) for z in (-0.7, 0.7)])
    return np.concatenate([center, (center[:, None] + signs * half[:, None]).reshape(-1, 3)])


def is_small_or_outside(eye: Eye, boxes: np.ndarray, near: float, far: float) -> bool:
    """Whether objects, given as boxes [N, 2, 3], take little of a view, or mostly lie outside it. `near`, `far`: its clipping."""
    box = np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])
    corners = np.array([(x, y, z) for x in box[:, 0] for y in box[:, 1] for z in box[:, 2]])
    seen, depth = eye.project(corners)
    if not eye.flat and (depth.max() <= near or depth.min() >= far or (depth <= 0).any()):
        return True
    low, high = seen.min(0), seen.max(0)
    pixels = (high - low) * eye.slope / eye.slope[1]  # in halves of the view's height
    inside = np.minimum(high, eye.space[1]) - np.maximum(low, eye.space[0])
    centers, _ = eye.project(np.concatenate([boxes.mean(1), box.mean(0, keepdims=True)]))  # the last of a row may lie below the sidebar
    centers_in = ((eye.space[0] < centers) & (centers < eye.space[1])).all()
    return bool(pixels.max() / 2 < TINY or (inside <= SEEN * np.minimum(high - low, eye.space[1] - eye.space[0])).any() or not centers_in)


def is_hidden(context: bpy.types.Context, eye: Eye, boxes: np.ndarray, objects: list[bpy.types.Object]) -> bool:
    """Whether other objects stand before nearly all of them."""
    graph, points = context.evaluated_depsgraph_get(), _samples(boxes)
    covered = 0
    for point in points:
        start = point + (eye.distance + 1e3 * eye.distance) * eye.rotation[:, 2] if eye.flat else eye.position
        way = Vector(point - start)
        hit, _, _, _, item, _ = context.scene.ray_cast(graph, start, way, distance=way.length)
        covered += hit and item.original not in objects
    return covered > 0.85 * len(points)


def aim(eye: Eye, boxes: np.ndarray) -> tuple[np.ndarray, float]:
    """Where a view has to turn about [3], and at which distance, for boxes [N, 2, 3] to take their share in the middle of its space."""
    low, high = boxes[:, 0].min(0), boxes[:, 1].max(0)
    middle, half = eye.space.mean(0), (eye.space[1] - eye.space[0]) / 2
    distance = float(np.linalg.norm(high - low) / 2 / (SHARE * (eye.slope * half).min()))
    aside = eye.rotation[:, :2] @ (middle * eye.slope * distance)
    return (low + high) / 2 - aside, distance


def frame_new(context: bpy.types.Context, objects: list[bpy.types.Object]) -> bool:
    """Frame objects in the context's 3D viewport if they are not well seen there; return whether the view moved.

    A view through a camera stays, and one that is locked to an object or to the cursor. The rotation stays. This is no undo step.
    """
    area, space = context.area, context.space_data
    if not objects or not space or space.type != "VIEW_3D" or space.lock_object or space.lock_cursor:
        return False
    context.view_layer.update()
    boxes = world_boxes([(item, item.matrix_world) for item in objects])
    regions = [region for region in area.regions if region.type == "WINDOW" and region.width > 1]
    views = [(region, view) for region in regions if (view := region.data or space.region_3d).view_perspective != "CAMERA"]
    eyes = [eye_of(area, region, view, space.lens) for region, view in views]
    unseen = any(is_small_or_outside(eye, boxes, space.clip_start, space.clip_end) for eye in eyes)
    if not unseen and not (eyes and not space.local_view and is_hidden(context, eyes[0], boxes, objects)):
        return False
    for (_, view), eye in zip(views, eyes, strict=True):
        place, distance = aim(eye, boxes)
        view.view_location, view.view_distance = Vector(place), distance
        space.clip_end = max(space.clip_end, 4 * distance)
    area.tag_redraw()
    return True


def towards_viewer(context: bpy.types.Context) -> Vector:
    """The horizontal direction from the scene to who looks at it; zero where nobody does, or looks from straight above."""
    space = context.space_data
    if not space or space.type != "VIEW_3D" or space.region_3d.view_perspective == "CAMERA":
        return Vector((0, 0, 0))
    back = space.region_3d.view_rotation @ Vector((0, 0, 1))
    return Vector((back.x, back.y, 0)) if back.xy.length > 0.1 else Vector((0, 0, 0))
