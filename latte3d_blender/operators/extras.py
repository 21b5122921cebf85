# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh extras of the selected objects: levels of detail, collision hulls, separate parts, origin and scale. Each is one undo step."""

import bpy
from bpy.props import FloatProperty, IntProperty

from .. import quads, session
from ..client.job import EngineFault
from ..scene import extras, placement, placing
from ..words import SaysWhy, say


class OnSelected(SaysWhy):
    """An operator on the selected meshes of this file."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def reason(cls, context):
        reason = "" if context.mode == "OBJECT" else "Switch to Object Mode first"
        return reason or ("" if meshes(context) else "Select an object with a mesh of this file first")


def meshes(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects that can be worked on: those of which the object or the mesh is linked, and those without faces, cannot."""
    found = [item for item in context.selected_objects if item.type == "MESH" and not (item.library or item.data.library)]
    return [item for item in found if item.data.polygons]


class LATTE3D_OT_make_lods(OnSelected, bpy.types.Operator):
    """Make lighter copies of the selected objects, for the distance"""

    bl_idname = "latte3d.make_lods"
    bl_label = "Levels of Detail"

    count: IntProperty(name="Levels", description="How many lighter copies", default=3, min=1, max=6)
    share: FloatProperty(
        name="Share", description="How much of its triangles each has of the one before", default=0.5, min=0.1, max=0.9, subtype="FACTOR"
    )

    def execute(self, context):
        made = [copy for item in meshes(context) for copy in extras.lighter(item, self.count, self.share)]
        for copy in made:
            copy.hide_set(True)  # they lie in one another
        self.report({"INFO"}, say("{count} lighter copies, hidden in the viewport", count=len(made)))
        return {"FINISHED"}


class LATTE3D_OT_make_hull(OnSelected, bpy.types.Operator):
    """Put a closed convex shape around each selected object, for collisions in game engines"""

    bl_idname = "latte3d.make_hull"
    bl_label = "Collision Hull"

    def execute(self, context):
        for item in meshes(context):
            extras.hull(item)
        return {"FINISHED"}


class LATTE3D_OT_separate_parts(OnSelected, bpy.types.Operator):
    """Make an object of each piece that does not hang together with the others"""

    bl_idname = "latte3d.separate_parts"
    bl_label = "Separate Parts"

    def execute(self, context):
        made = [one for item in meshes(context) for one in extras.parts(item)]
        for one in made:
            one.select_set(True)
        self.report({"INFO"}, say("{count} parts", count=len(made)))
        return {"FINISHED"}


class LATTE3D_OT_stand_on_base(OnSelected, bpy.types.Operator):
    """Set the origin to the centre of the base and the scale to 1; nothing moves"""

    bl_idname = "latte3d.stand_on_base"
    bl_label = "Origin to Base"

    def execute(self, context):
        extras.stand(meshes(context))
        return {"FINISHED"}


class LATTE3D_OT_quad_remesh(SaysWhy, bpy.types.Operator):
    """Turn the active object's triangles into quads of the same look. Takes some seconds, in which Blender can be used"""

    bl_idname = "latte3d.quad_remesh"
    bl_label = "Quad Remesh"

    faces: IntProperty(name="Quads", description="About how many quads", default=4000, min=100, soft_max=50_000, max=500_000)

    @classmethod
    def reason(cls, context):
        reason = placement.linked(context.scene) or session.busy()
        reason = reason or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")
        return reason or quads.reason(context.active_object)

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, title="Quad Remesh", confirm_text="Remesh")

    def execute(self, context):
        try:
            quads.begin(context.scene, context.active_object, self.faces)
            if bpy.app.background:
                for result in quads.run_now():
                    session.SESSION.to_place.remove(result)
                    placing.place(result)
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_cancel_quads(SaysWhy, bpy.types.Operator):
    """Stop making quads; the object stays as it is"""

    bl_idname = "latte3d.cancel_quads"
    bl_label = "Cancel"

    @classmethod
    def reason(cls, context):
        return "" if quads.RUN else "No quads are being made"

    def execute(self, context):
        quads.end()
        return {"FINISHED"}


BUTTONS = (LATTE3D_OT_make_lods, LATTE3D_OT_make_hull, LATTE3D_OT_separate_parts, LATTE3D_OT_stand_on_base, LATTE3D_OT_quad_remesh)
CLASSES = (*BUTTONS, LATTE3D_OT_cancel_quads)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
