# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate where the artist clicks: on the surface under the mouse."""

import bpy
from bpy.props import BoolProperty, FloatVectorProperty
from bpy_extras import view3d_utils
from mathutils import Vector, geometry

from .. import machine, session
from ..words import say
from .generate import LATTE3D_OT_generate, Making, blend_of

NAVIGATION = ("MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "WHEELINMOUSE", "WHEELOUTMOUSE", "MOUSEMOVE", "INBETWEEN_MOUSEMOVE")


def under(context: bpy.types.Context, region: bpy.types.Region, view: bpy.types.RegionView3D, mouse: tuple) -> tuple[Vector, Vector]:
    """The place under the mouse, in a viewport's region, and the surface's normal there: on what is seen there, else on the floor, else
    as far away as the 3D cursor."""
    start = view3d_utils.region_2d_to_origin_3d(region, view, mouse)
    way = view3d_utils.region_2d_to_vector_3d(region, view, mouse)
    hit, place, normal, *_ = context.scene.ray_cast(context.evaluated_depsgraph_get(), start, way)
    if hit:
        return place, normal if normal.dot(way) < 0 else -normal
    up = Vector((0, 0, 1))
    floor = geometry.intersect_line_plane(start, start + way, Vector(), up)
    if floor and (floor - start).dot(way) > 0:
        return floor, up
    return view3d_utils.region_2d_to_location_3d(region, view, mouse, context.scene.cursor.location), up


class LATTE3D_OT_generate_here(Making, bpy.types.Operator):
    """Click in the view, and it is made there: on the surface under the mouse"""

    bl_idname = "latte3d.generate_here"
    bl_label = "Generate Where You Click"
    bl_options = {"REGISTER"}

    location: FloatVectorProperty(name="Location", size=3, subtype="TRANSLATION", options={"SKIP_SAVE"})
    normal: FloatVectorProperty(size=3, default=(0, 0, 1), options={"HIDDEN", "SKIP_SAVE"})
    align: BoolProperty(name="Align to Surface", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def reason(cls, context):
        return LATTE3D_OT_generate.reason(context) or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")

    def invoke(self, context, event):
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(say("Click where it shall stand · Shift: along the surface · Esc, right click: cancel"))
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in NAVIGATION:
            return {"PASS_THROUGH"}
        if event.type in ("ESC", "RIGHTMOUSE"):
            return self._leave(context, {"CANCELLED"})
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"RUNNING_MODAL"}
        found = viewport_at(context, event.mouse_x, event.mouse_y)
        if found is None:
            self.report({"INFO"}, say("Click in a 3D viewport"))
            return {"RUNNING_MODAL"}
        region, view = found
        self.location, self.normal = under(context, region, view, (event.mouse_x - region.x, event.mouse_y - region.y))
        self.align = event.shift
        self._leave(context, set())
        return self.execute(context)

    def _leave(self, context, how: set[str]) -> set[str]:
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        return how

    @property
    def _on_a_wall(self) -> bool:
        """Whether what stands upright at this place would stand inside what was clicked."""
        return not self.align and self.normal[2] < 0.5

    def execute(self, context):
        wanted, place = context.scene.latte3d, session.at_cursor(context.scene)
        place.location, place.normal, place.align, place.clear = tuple(self.location), tuple(self.normal), self.align, self._on_a_wall
        settings = machine.settings(wanted.detail)
        return self.begin(place, wanted.prompt, [wanted.seed], settings, strict=True, model=wanted.model, guide=blend_of(wanted))


def viewport_at(context: bpy.types.Context, x: int, y: int) -> tuple[bpy.types.Region, bpy.types.RegionView3D] | None:
    """The viewport's region at a place of the window, and how it looks at the scene; None over sidebars, headers and other editors."""
    for area in context.window.screen.areas:
        if area.type != "VIEW_3D":
            continue
        hit = [one for one in area.regions if one.x <= x < one.x + one.width and one.y <= y < one.y + one.height and one.width > 1]
        if hit and all(one.type == "WINDOW" for one in hit):
            return hit[0], hit[0].data or area.spaces.active.region_3d
    return None


def register() -> None:
    bpy.utils.register_class(LATTE3D_OT_generate_here)


def unregister() -> None:
    bpy.utils.unregister_class(LATTE3D_OT_generate_here)
