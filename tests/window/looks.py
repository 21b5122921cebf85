# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a windowed Blender: the panel, folded and unfolded, in a language, a theme and a scale, for people to look at.

looks.py -- OUT ENGINE_PYTHON [language=de_DE] [theme=light] [scale=1.5] [models=FOLDER] writes pictures and report.json to the folder OUT.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import steps

OUT, PYTHON, *CHOSEN = sys.argv[sys.argv.index("--") + 1 :]
OUT, CHOSEN = Path(OUT), dict(one.split("=") for one in CHOSEN)
REPORT: dict = {"version": bpy.app.version_string}


def dress() -> None:
    """Language, theme and scale."""
    view = bpy.context.preferences.view
    view.ui_scale = float(CHOSEN.get("scale", 1))
    if CHOSEN.get("theme") == "light":
        folders = bpy.utils.preset_paths("interface_theme")
        path = next(path for folder in folders for path in Path(folder).glob("Blender_Light.xml"))
        bpy.ops.script.execute_preset(filepath=str(path), menu_idname="USERPREF_MT_interface_theme_presets")
    if "language" in CHOSEN:
        view.language = CHOSEN["language"]


def look(name: str, *folds: str):
    steps.UNFOLDED.clear()
    steps.UNFOLDED.update(folds)
    for _ in range(8):  # folds open in steps, pictures are loaded one after another
        for area in steps.window().screen.areas:
            area.tag_redraw()
        yield 0.3
    steps.picture(OUT / f"{name}.png")


def make(prompt: str, count: int = 1):
    wanted, state = bpy.context.scene.latte3d, steps.addon("session").SESSION
    wanted.prompt, wanted.count = prompt, count
    with steps.override():
        bpy.ops.latte3d.generate()
    yield 0.3
    yield from steps.until(lambda: not (state.running or state.to_do) or state.fault or state.question, 120)
    yield 1.0


def main():
    chosen, state = steps.preferences(), steps.addon("session").SESSION
    chosen.engine_python, chosen.model_folder = PYTHON, CHOSEN.get("models", "")
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    dress()
    yield 0.5
    steps.unfolded_draws()
    yield from steps.show_tab()
    yield from steps.until(lambda: state.engine.state in ("READY", "FAILED"), 180)
    REPORT["width"], REPORT["label"] = steps.viewport()[1].width, steps.addon("words").say("Generate")
    yield from look("1-empty")
    yield from make("a red mushroom with white spots")
    yield from look("2-object", "latte3d_object", "latte3d_facts")
    yield from look("3-folded")
    yield from make("a shiny zorp mushroom", 4)
    yield from look("4-variations", "latte3d_variations", "latte3d_shape")
    yield from look("5-history", "latte3d_history")
    yield from make("a dragon")
    yield from look("6-question", "latte3d_things")
    bpy.ops.latte3d.dismiss()
    with steps.override():
        yield from steps.hover_viewport()
        bpy.ops.latte3d.mark_assets("INVOKE_DEFAULT")
    yield from look("7-dialog")
    yield from steps.key("ESC")
    yield from preferences()


def preferences():
    """The add-on's preferences, in place of the viewport."""
    area, _ = steps.viewport()
    area.ui_type = "PREFERENCES"
    yield 0.5
    with bpy.context.temp_override(window=steps.window(), area=area):
        bpy.ops.preferences.addon_show(module=steps.addon("machine").PACKAGE)
    yield 1.5
    for window in bpy.context.window_manager.windows:
        for one in window.screen.areas:
            one.tag_redraw()
    yield 1.0
    steps.picture(OUT / "8-preferences.png")


steps.run(main(), REPORT, OUT / "report.json")
