# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: a draft in the scene follows prompt, seed, model and blend as they are typed and dragged. Only the newest wish counts.

The draft is no part of the undo history: it appears and changes without steps of its own. What is kept is made anew, in the panel's
detail, as one step; and what undo brings back of drafts is taken away again.
"""

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent
from mathutils import Vector

from . import STARTED
from .client import engine as client
from .client.guide import Guide
from .client.job import Failure, Job, Result
from .scene import clearance, framing, meshes, origin, placement, placing

MARK = "latte3d_live"  # the draft's custom property
# what drafts are made with, whatever the preferences ask of objects: half of Draft's pixels a side take a fifth off the engine's time
SETTINGS = {"detail": "draft", "resolution": None, "texture_size": 256, "triangles": None}


@dataclass
class Live:
    """on: whether drafts are made. place: where (session.Place). asked: the wish that was sent last. note: why there is no draft of it."""

    on: bool = False
    place: Any = None
    asked: tuple | None = None
    job: Job | None = None
    result: Result | None = None  # the newest one
    shown: Result | None = None  # the one that the draft shows
    name: str = ""  # of the draft
    note: str = ""
    number: int = 0  # of this time that it is on
    used: set[str] = field(default_factory=set)  # marks of drafts that undo may bring back

    @property
    def mark(self) -> str:
        return f"{STARTED:.0f}-{self.number}"

    @property
    def draft(self) -> bpy.types.Object | None:
        """The draft, where it is in the file."""
        item = bpy.data.objects.get(self.name) if self.name else None
        return item if item and item.get(MARK) == self.mark else None


LIVE = Live()


def wish_of(scene: bpy.types.Scene) -> tuple | None:
    """What the panel asks for now: prompt, seed, model, blend; None where that is no prompt."""
    wanted = scene.latte3d
    prompt = wanted.prompt.strip()
    if client.check_prompt(prompt):
        return None
    other = wanted.blend_prompt.strip()
    return prompt, wanted.seed, wanted.model, (other, round(wanted.blend, 3)) if wanted.use_blend and other else None


def begin(place) -> None:
    """Follow the panel from now on, with a draft at this place."""
    LIVE.on, LIVE.place, LIVE.number = True, place, LIVE.number + 1
    LIVE.asked = LIVE.job = LIVE.result = LIVE.shown = None
    LIVE.name = LIVE.note = ""


def end(engine: client.Engine) -> None:
    """Follow no more, and take the draft away."""
    if LIVE.job and not LIVE.job.over:
        engine.cancel(LIVE.job)
    if item := LIVE.draft:
        _remove(item)
    LIVE.on, LIVE.job, LIVE.note = False, None, ""


def _remove(item: bpy.types.Object) -> None:
    mesh = item.data
    bpy.data.objects.remove(item)
    origin.forget_unused(mesh)


def follow(session) -> None:
    """Ask for what the panel says where that has changed, drop what is out of date, show what has arrived. Called by the timer."""
    scene = next((scene for scene in bpy.data.scenes if LIVE.place and scene.session_uid == LIVE.place.scene), None)
    if not LIVE.on or scene is None:
        return
    _hear(session)
    wish, waits = wish_of(scene), bool(session.waiting)
    if LIVE.job and (waits or wish != LIVE.asked):
        session.engine.cancel(LIVE.job)
    if not LIVE.job and wish is None:
        LIVE.note, LIVE.asked = client.check_prompt(scene.latte3d.prompt).message, None
    if not LIVE.job and wish and wish != LIVE.asked and not waits and session.engine.state == client.READY:
        LIVE.note, LIVE.asked = "", wish
        prompt, seed, model, blend = wish
        guide = Guide(blend=blend) if blend else None
        LIVE.job = session.engine.submit([prompt], [seed], SETTINGS, strict=True, model=model, guide=guide)
    if LIVE.result and (LIVE.result is not LIVE.shown or LIVE.draft is None):
        _show()


def _hear(session) -> None:
    """What has become of the request."""
    job = LIVE.job
    for outcome in job.take() if job else ():
        if isinstance(outcome, Failure):
            LIVE.note = outcome.fault.message
        elif not job.cancelled_at:
            LIVE.result, LIVE.note = outcome, ""
    if job and job.over:
        LIVE.job = None
        if job.state == "cancelled" and not job.answered:
            LIVE.asked = None
        elif job.state == "failed":
            LIVE.note = job.fault.message


def _show() -> None:
    """Let the draft be the newest result, as soon as nothing stands in the way."""
    spot = placing.window_for(LIVE.place)
    if spot is None or placing.obstacle(LIVE.place, spot):
        return
    with bpy.context.temp_override(window=spot[0], area=spot[1], region=spot[2]):
        show_in(bpy.context)


def show_in(context: bpy.types.Context) -> None:
    """Let the draft be the newest result: in the place that it has, else at a free spot."""
    result, item, unit_m = LIVE.result, LIVE.draft, placement.meters(context.scene)
    try:
        with meshes.all_or_nothing():
            made = meshes.build_object(result, height_m=origin.own_height(result), unit_m=unit_m)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        LIVE.result, LIVE.note = LIVE.shown, str(error)
        return
    if item:
        made = origin.replace_object(item, made)
    else:
        width, deep, high = made.dimensions
        box = np.array([(-width / 2, -deep / 2, 0), (width / 2, deep / 2, high)])
        towards = Vector(framing.towards_viewer(context))
        made.location = clearance.free_spot(context, Vector(LIVE.place.location), box, towards)
        placement.generated_collection(context).objects.link(made)
        placement.select_only(context, [made])
        placing.show(context, [made])
    made[MARK] = LIVE.mark
    LIVE.name, LIVE.shown = made.name, result
    LIVE.used.add(LIVE.mark)


@persistent
def forget_drafts(*_) -> None:
    """After undo or redo: drafts of before are none any more."""
    if LIVE.used:
        current = LIVE.draft if LIVE.on else None
        for item in [item for item in bpy.data.objects if item.get(MARK) in LIVE.used and item != current]:
            _remove(item)
        LIVE.shown = None  # what undo has brought back is an earlier one


def detach() -> None:
    """Another file is loaded: its objects are its own."""
    LIVE.__init__(number=LIVE.number)


def register() -> None:
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.append(forget_drafts)


def unregister() -> None:
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.remove(forget_drafts)
    detach()
