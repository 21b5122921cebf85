# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of the panel's choices, in Blender's own way: the button at the right of the panel's title."""

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

FOLDER = "latte3d"  # among Blender's presets
VALUES = ("detail", "count", "use_blend", "blend_prompt", "blend", "adherence", "restyle_place", "spread")


class LATTE3D_PT_presets(PresetPanel, bpy.types.Panel):
    """What was chosen before"""

    bl_label = "LATTE3D Presets"
    bl_space_type = "VIEW_3D"
    bl_region_type = "HEADER"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "latte3d.add_preset"


class LATTE3D_OT_add_preset(AddPresetBase, bpy.types.Operator):
    """Keep detail, number, blend and restyling under a name, or delete such a preset; prompt and seed are no part of it"""

    bl_idname = "latte3d.add_preset"
    bl_label = "Add LATTE3D Preset"
    preset_menu = "LATTE3D_PT_presets"
    preset_defines = ("wanted = bpy.context.scene.latte3d",)
    preset_values = tuple(f"wanted.{name}" for name in VALUES)
    preset_subdir = FOLDER


def register() -> None:
    bpy.utils.register_class(LATTE3D_PT_presets)
    bpy.utils.register_class(LATTE3D_OT_add_preset)


def unregister() -> None:
    bpy.utils.unregister_class(LATTE3D_OT_add_preset)
    bpy.utils.unregister_class(LATTE3D_PT_presets)
