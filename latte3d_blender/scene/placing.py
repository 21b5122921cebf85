# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result to an object in its scene: in which window, when, and so that the artist sees them."""

import re
import time

import bpy

from .. import machine
from ..client.job import EngineFault, Fault, Result
from . import framing, placement, rows

EDITS = ("TRANSFORM_OT_", "VIEW3D_OT_", "MESH_OT_", "OBJECT_OT_", "PAINT_OT_", "SCULPT_OT_")  # modal tools that must not be interrupted
QUADS = "The quads are of no use.", "Remesh it again."  # where the mesh that they replace is another by now
AGAIN = "Generate it again: the same prompt and seed make the same object."


def window_for(where) -> tuple | None:
    """A window that shows the job's scene, with its largest 3D viewport where there is one: (window, area, region)."""
    windows = [window for window in bpy.context.window_manager.windows if window.scene.session_uid == where.scene]
    viewports = [(window, area) for window in windows for area in window.screen.areas if area.type == "VIEW_3D"]
    if viewports:
        window, area = max(viewports, key=lambda pair: pair[1].width * pair[1].height)
        return window, area, next(region for region in area.regions if region.type == "WINDOW")
    if windows:
        area = windows[0].screen.areas[0]
        return windows[0], area, area.regions[-1]
    return None


def obstacle(where, spot: tuple | None) -> str:
    """What the artist has to do, or to wait for, before an object can be placed; nothing when it can."""
    if spot is None:
        name = next(scene.name for scene in bpy.data.scenes if scene.session_uid == where.scene)
        return f"Show the scene “{name}” to place it"
    if any(bpy.app.is_job_running(job) for job in ("RENDER", "OBJECT_BAKE")):  # it reads the scene in a thread of its own
        return "Placed when the render is done"
    tools = [tool for window in bpy.context.window_manager.windows for tool in getattr(window, "modal_operators", ())]
    if any(tool.bl_idname.startswith(EDITS) for tool in tools):
        return "Finish the tool in use to place it"
    with bpy.context.temp_override(window=spot[0], area=spot[1], region=spot[2]):
        return "" if bpy.context.mode == "OBJECT" else "Switch to Object Mode to place it"


def place(result: Result) -> None:
    """Place a result in the current context as one undo step, and show it; or put its look on the mesh that was to be painted. Raises
    EngineFault with the reason where that cannot be."""
    if result.place.paints:
        return _put_on(result)
    wanted = result.place.properties(placement.meters(bpy.context.scene))
    wanted["towards"] = framing.towards_viewer(bpy.context)
    try:
        bpy.ops.latte3d.place_result("EXEC_DEFAULT", True, result=result.number, **wanted)
    except RuntimeError as error:  # how Blender hands on what an operator reports
        cause = re.sub(r"^(Error: |Operator .* poll\(\) )", "", str(error)).strip()
        raise EngineFault(Fault("The object could not be placed.", cause, AGAIN, "bad_request")) from error
    show(bpy.context, bpy.context.selected_objects)


def _put_on(result: Result) -> None:
    """Give an object the look of a result, as one undo step."""
    try:
        bpy.ops.latte3d.put_texture("EXEC_DEFAULT", True, result=result.number)
    except RuntimeError as error:
        cause = re.sub(r"^(Error: |Operator .* poll\(\) )", "", str(error)).strip()
        quads = result.place.paints.remeshed is not None
        what, remedy = QUADS if quads else ("The texture could not be put on.", "Re-texture it again.")
        raise EngineFault(Fault(what, cause, remedy, "bad_request")) from error
    chosen = machine.get()
    if chosen and chosen.show_textures and bpy.context.screen:
        _show_textures(bpy.context.screen)


def place_batch(batch, last: Result | None = None) -> None:
    """Place the variations that have arrived, up to `last`, beside those that are there; together they are one undo step, once no more
    come. Raises EngineFault with the reason where they cannot be placed."""
    towards = framing.towards_viewer(bpy.context)
    if batch.turn is None:
        batch.turn = rows.facing(towards)
    wanted, step = batch.more(last, towards=towards), batch.ends_with(last)
    wanted["height"] = batch.job.place.height / placement.meters(bpy.context.scene)
    try:
        bpy.ops.latte3d.place_variations("EXEC_DEFAULT", step, **wanted)
    except RuntimeError as error:
        cause = re.sub(r"^(Error: |Operator .* poll\(\) )", "", str(error)).strip()
        raise EngineFault(Fault("The variations could not be placed.", cause, AGAIN, "bad_request")) from error
    finally:
        batch.stepped = step
    show(bpy.context, bpy.context.selected_objects)


def place_next(session) -> None:
    """Place the first result that waits, or say what it waits for; then show it."""
    session.hold = ""
    if not session.to_do:
        return
    result = session.to_place[0] if session.to_place else None
    where = result.place if result else session.batch.job.place
    scene = next((scene for scene in bpy.data.scenes if scene.session_uid == where.scene), None)
    if scene is None or placement.linked(scene):
        session.to_place[:1] = []
        if where.batch:
            where.batch.stepped = True
        cause = "Its scene was deleted." if scene is None else placement.linked(scene) + "."
        session.fault = Fault("The object has no place any more.", cause, AGAIN, "bad_request")
        return
    spot = window_for(where)
    session.hold = obstacle(where, spot)
    if session.hold:
        where.held_since = where.held_since or time.perf_counter()
        return
    session.to_place[:1] = []
    if where.batch and where.batch.stepped:
        return
    window, area, region = spot
    with bpy.context.temp_override(window=window, area=area, region=region):
        try:
            place_batch(where.batch, result) if where.batch else place(result)
        except EngineFault as error:
            session.fault = error.fault


def show(context: bpy.types.Context, objects: list[bpy.types.Object]) -> None:
    """Let the artist see new objects, as far as the preferences allow: with their textures, and in the view."""
    chosen = machine.get()
    if chosen and chosen.show_textures and context.screen:
        _show_textures(context.screen)
    if chosen and chosen.frame_new:
        framing.frame_new(context, objects)


def _show_textures(screen: bpy.types.Screen) -> None:
    """Let viewports that show plain solids show textured ones; those that somebody has set up otherwise stay."""
    for area in screen.areas:
        if area.type == "VIEW_3D":
            shading = area.spaces.active.shading
            if shading.type == "SOLID" and shading.color_type == "MATERIAL":
                shading.color_type = "TEXTURE"
