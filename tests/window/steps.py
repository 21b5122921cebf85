# SPDX-License-Identifier: GPL-3.0-or-later
"""Helps scripts that drive a windowed Blender from inside: steps between redraws, clicks and keys, pictures of the screen."""

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy

TAB = "LATTE3D"


def addon(name: str):
    """A module of the installed add-on."""
    package = next(item.module for item in bpy.context.preferences.addons if item.module.endswith(".latte3d"))
    return sys.modules[f"{package}.{name}"]


def preferences():
    """The installed add-on's preferences."""
    return next(addon.preferences for key, addon in bpy.context.preferences.addons.items() if key.endswith(".latte3d"))


def window():
    """The only window."""
    return bpy.context.window_manager.windows[0]


def viewport():
    """The 3D viewport and its sidebar: (area, region)."""
    area = next(area for area in window().screen.areas if area.type == "VIEW_3D")
    return area, next(region for region in area.regions if region.type == "UI")


def show_tab():
    """Open the sidebar at the add-on's tab, as clicking on the tab does."""
    area, _ = viewport()
    area.spaces.active.show_region_ui = True
    yield 0.7
    area, sidebar = viewport()
    sidebar.active_panel_category = TAB
    area.tag_redraw()
    yield 0.7


def click(x: int, y: int):
    """Click into the sidebar, x and y pixels from its upper left corner. Blender started for simulated events ignores those of X."""
    _, sidebar = viewport()
    place = {"x": sidebar.x + x, "y": sidebar.y + sidebar.height - y}
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", **place)
    yield 0.3
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type="LEFTMOUSE", value=value, **place)
        yield 0.2


def hover_viewport():
    """Move the mouse over the middle of the viewport."""
    area, _ = viewport()
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=area.x + area.width // 2, y=area.y + area.height // 2)
    yield 0.3


def key(name: str, **modifiers):
    """Press and release a key; modifiers are ctrl and shift."""
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type=name, value=value, **modifiers)
    yield 0.2


def write(text: str):
    """Type letters and blanks."""
    for letter in text:
        name = "SPACE" if letter == " " else letter.upper()
        window().event_simulate(type=name, value="PRESS", unicode=letter)
        window().event_simulate(type=name, value="RELEASE")
        yield 0.02


def picture(path: Path) -> None:
    """Write what is on the screen."""
    subprocess.run(["import", "-window", "root", str(path)], check=True)


def until(condition, seconds: float = 60.0):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        yield 0.1


def run(steps, report: dict, path: Path) -> None:
    """Run a generator of pauses, write its report (with "error" where it failed) as JSON, quit Blender."""

    def tick():
        try:
            return next(steps)
        except StopIteration:
            pass
        except Exception:
            report["error"] = traceback.format_exc()
        path.write_text(json.dumps(report, indent=1))
        bpy.ops.wm.quit_blender()

    bpy.app.timers.register(tick, first_interval=1.5)
