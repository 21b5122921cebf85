# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets keep what the panel's choices are, but the prompt and the seed, and bring them back."""

from pathlib import Path

import bpy


def test_a_preset_brings_choices_back(addon):
    wanted = bpy.context.scene.latte3d
    wanted.detail, wanted.count, wanted.use_blend, wanted.blend_prompt, wanted.blend = "draft", 6, True, "a lamp", 0.25
    wanted.prompt, wanted.seed = "a red cube", 7
    assert bpy.ops.latte3d.add_preset(name="Quick six") == {"FINISHED"}
    (path,) = (Path(folder) / "Quick_six.py" for folder in bpy.utils.preset_paths("latte3d") if (Path(folder) / "Quick_six.py").exists())
    assert "prompt = 'a red cube'" not in path.read_text() and "seed" not in path.read_text()
    wanted.detail, wanted.count, wanted.use_blend, wanted.prompt = "high", 1, False, "something else"
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="LATTE3D_PT_presets")
    assert (wanted.detail, wanted.count, wanted.use_blend, wanted.blend) == ("draft", 6, True, 0.25)
    assert (wanted.prompt, wanted.seed) == ("something else", 7)
    bpy.context.window_manager.preset_name = "Quick six"
    assert bpy.ops.latte3d.add_preset(name="Quick six", remove_active=False, remove_name=True) == {"FINISHED"}
    assert not path.exists()
