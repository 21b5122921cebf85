# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's part for what an object needs elsewhere: lighter copies, a hull, its parts, its origin."""

import bpy

from .. import quads, session
from ..operators.extras import BUTTONS


class LATTE3D_PT_extras(bpy.types.Panel):
    """For games and sets"""

    bl_label = "Mesh Extras"
    bl_category = session.TAB
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_parent_id = "LATTE3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 20

    @classmethod
    def poll(cls, context):
        return bool(context.selected_objects)

    def draw(self, context):
        grid = self.layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        for operator in BUTTONS:
            grid.operator(operator.bl_idname)
        if quads.RUN:
            row = self.layout.row(align=True)
            row.label(text="Making quads…", icon="MOD_REMESH")
            row.operator("latte3d.cancel_quads", text="", icon="X")


def register() -> None:
    bpy.utils.register_class(LATTE3D_PT_extras)


def unregister() -> None:
    bpy.utils.unregister_class(LATTE3D_PT_extras)
