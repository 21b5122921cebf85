"""Runs in a windowed Blender: open one sidebar tab, take a picture of the window, quit.

blender -P shot.py -- OUT.png TAB [SETUP.py]     SETUP.py runs first, e.g. to fill in properties or start a job.
"""

import runpy
import subprocess
import sys
import traceback

import bpy

OUT, TAB, *SETUP = sys.argv[sys.argv.index("--") + 1 :]


def steps():
    """Yield the seconds to wait between one step and the next: Blender draws in the pauses."""
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == "VIEW_3D")
    sidebar = next(r for r in area.regions if r.type == "UI")
    area.spaces.active.show_region_ui = True
    if SETUP:
        runpy.run_path(SETUP[0])
    yield 0.5
    sidebar.active_panel_category = TAB
    area.tag_redraw()
    yield 1.0
    subprocess.run(["import", "-window", "root", OUT], check=True)
    print("picture", OUT, "panel at", (sidebar.x, window.height - sidebar.y - sidebar.height, sidebar.width, sidebar.height), flush=True)


RUN = steps()


def tick():
    try:
        return next(RUN)
    except StopIteration:
        pass
    except Exception:
        traceback.print_exc()
    bpy.ops.wm.quit_blender()


bpy.app.timers.register(tick, first_interval=1.0)
