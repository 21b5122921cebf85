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
KEYS = {" ": "SPACE", "3": "THREE"}
MOUSE = {"x": 0, "y": 0}  # a key without a place would be pressed in the window's lower left corner


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
    yield from move(sidebar.x + x, sidebar.y + sidebar.height - y)
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type="LEFTMOUSE", value=value, **MOUSE)
        yield 0.2


def move(x: int, y: int):
    """Move the mouse to a place in the window."""
    MOUSE.update(x=x, y=y)
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", **MOUSE)
    yield 0.3


def override():
    """What an operator needs to run as if it were called from the viewport."""
    area, _ = viewport()
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window(), area=area, region=region)


def hover_viewport():
    """Move the mouse over the middle of the viewport."""
    area, _ = viewport()
    for step in range(2):  # a viewport takes keys from the second event on that it sees
        yield from move(area.x + area.width // 2 + 10 * step, area.y + area.height // 2)


def key(name: str, **modifiers):
    """Press and release a key; modifiers are ctrl and shift."""
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type=name, value=value, **MOUSE, **modifiers)
    yield 0.2


def write(text: str):
    """Type letters, blanks and the digits that have a name above."""
    for letter in text:
        name = KEYS.get(letter, letter.upper())
        window().event_simulate(type=name, value="PRESS", unicode=letter, **MOUSE)
        window().event_simulate(type=name, value="RELEASE", **MOUSE)
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


def quiet(state, seconds: float = 120.0):
    """Wait until nothing is being made or placed, and the view has come to rest."""
    yield 0.3
    yield from until(lambda: not (state.running or state.to_do) or state.fault or state.question, seconds)
    if state.fault or state.question:
        raise RuntimeError(f"{state.fault or state.question.fault}")
    yield 1.5


UNFOLDED: set[str] = set()


class Unfolding:
    """A layout whose folds of the names in UNFOLDED are open: layout.panel keeps that in the region, where no script reaches it."""

    def __init__(self, layout):
        self.__dict__["layout"] = layout

    def __getattr__(self, name):
        return getattr(self.layout, name)

    def __setattr__(self, name, value):
        setattr(self.layout, name, value)

    def panel(self, name, **options):
        header, body = self.layout.panel(f"{name}_open" if name in UNFOLDED else name, default_closed=name not in UNFOLDED)
        return header, body


def unfolded_draws() -> None:
    """Give the panel's drawing functions such layouts."""
    main = addon("panels.main")
    for module, function in ((main.shape, "draw_shape"), (main.history, "draw_history"), (main.variations, "draw_variations")):
        draw = getattr(module, function)
        setattr(module, function, lambda layout, context, draw=draw: draw(Unfolding(layout), context))
    for function in ("draw_object", "draw_gallery"):
        draw = getattr(main, function)
        setattr(main, function, lambda layout, context, draw=draw: draw(Unfolding(layout), context))


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

    bpy.app.timers.register(tick, first_interval=1.5, persistent=True)  # another file may be loaded meanwhile
