# SPDX-License-Identifier: GPL-3.0-or-later
"""One population from its recipe to the scene, step by step: look at the scene, make what is missing, lay it out, put it in."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import bpy
import numpy as np

from ..client.batch import Say
from ..client.engine import Launch
from ..scene import meshes, placement
from . import assets, layout, scatter, settle, targets
from .footprints import Bodies, Footprint, footprint
from .job import Job, Progress, Want
from .job import make as make_objects
from .masks import Scenery
from .recipe import ASK_ABOVE, Recipe


class Asks(ValueError):
    """More than anybody may want by accident: it is made only when somebody says so."""


@dataclass
class Plan:
    """What the scene says of a recipe before anything is made."""

    recipe: Recipe
    unit_m: float  # metres in a unit of the scene
    grounds: dict[str, layout.Ground]
    scenery: Scenery
    counts: dict[str, int]  # objects by layer, before the cap
    wants: list[Want]  # distinct objects of prompts
    missing: list[Want]  # of them those that the file does not have
    standing: tuple[Bodies, list[Footprint]]  # what has to be kept free

    @property
    def total(self) -> int:
        total = sum(self.counts.values())
        return min(total, self.recipe.cap) if self.recipe.cap else total


@dataclass
class Outcome:
    """What has become of a recipe."""

    collection: bpy.types.Collection
    layout: layout.Layout
    assets: assets.Assets
    notes: list[str] = field(default_factory=list)


def plan(recipe: Recipe, *, sure: bool = False) -> Plan:
    """Look at the scene. Raises SceneError for what is not there, and Asks for more objects than anybody may want by accident."""
    if why := placement.linked(bpy.context.scene):
        raise targets.SceneError(f"{why}.")
    bpy.context.view_layer.update()
    unit_m, known = targets.unit_metres(), {}
    layers = [layer for layer in recipe.layers if not layer.on]
    for layer in layers:
        names = recipe.targets_of(layer)
        asked = tuple(mask.names for mask in layer.masks if mask.kind in ("vertex_group", "attribute"))
        if (names, asked) not in known:
            known[names, asked] = targets.ground(layer, names, unit_m)
    grounds = {}
    for layer in layers:
        asked = tuple(mask.names for mask in layer.masks if mask.kind in ("vertex_group", "attribute"))
        grounds[layer.name] = known[recipe.targets_of(layer), asked]
    scenery = targets.scenery(recipe, unit_m)
    counts = recipe.amounts(lambda layer: round(layer.density * layout.room(recipe, layer, grounds[layer.name].surface, scenery)))
    wants, have = assets.wants(recipe), assets.in_file()
    missing = [want for want in wants if want not in have]
    made = Plan(recipe, unit_m, grounds, scenery, counts, wants, missing, _obstacles(recipe.avoid, unit_m))
    if made.total > ASK_ABOVE and not sure:
        most = max(counts, key=counts.get)
        raise Asks(
            f"This recipe would place {made.total:,} objects, {counts[most]:,} of them of the layer “{most}”. "
            f"Set “cap”, lower its density or count, or say that you are sure."
        )
    return made


def generate(
    chosen: Plan,
    wants: list[Want],
    job: Job,
    launch: Callable[[], Launch],
    say: Say,
    facts: dict,
    *,
    progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Make `wants` into the job's folder; returns how many were made now. Failures stand in `job.failed`."""
    before = sum(map(job.has, wants))
    if before < len(wants):
        for _ in make_objects(job, wants, launch, say, facts, progress=progress, cancelled=cancelled):
            pass
    job.write_state(chosen.wants)
    return sum(map(job.has, wants)) - before


def put(
    chosen: Plan,
    job: Job,
    *,
    linked: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Lay everything out and put it into the scene: all of it or, where something goes wrong, nothing."""
    with meshes.all_or_nothing():
        found = assets.collect(chosen.recipe, job, chosen.unit_m)
        made = lay_out(chosen, found, progress=progress, cancelled=cancelled)
        made = settle.settled(chosen, found, made)
        top = scatter.build(chosen.recipe, found, made, chosen.unit_m, linked=linked)
    return Outcome(top, made, found, [*found.notes, *made.notes])


def lay_out(
    chosen: Plan,
    found: assets.Assets,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> layout.Layout:
    """Find a place for everything. Touches nothing of Blender's, so that a thread can do it."""
    footprints = [one.footprint for one in found.found]
    standing, more = chosen.standing
    obstacles = replace(standing, asset=standing.asset + len(footprints))
    return layout.lay_out(
        chosen.recipe,
        found.options,
        layout.Shapes.of([*footprints, *more]),
        chosen.grounds,
        chosen.scenery,
        obstacles=obstacles,
        progress=progress,
        cancelled=cancelled,
    )


def _obstacles(names: tuple[str, ...], unit_m: float) -> tuple[Bodies, list[Footprint]]:
    """What stands in the scene already and has to be kept free, as bodies with footprints of their own. Instances count, such as those of
    another population."""
    found, rows = {}, []
    items = set(targets.objects_of(names, "to keep free")) if names else set()
    graph = bpy.context.evaluated_depsgraph_get()
    for one in graph.object_instances if items else ():
        owner = one.parent if one.is_instance else one.object
        if owner.original not in items or one.object.type not in targets.SOLID:
            continue
        place, turn, size = one.matrix_world.decompose()
        key = (one.object.original.name_full, tuple(round(length, 5) for length in size))
        if key not in found:
            points, edges = targets.shape_of(one.object)
            if not len(points):
                continue
            found[key] = (len(found), footprint(points * np.array(size) * unit_m, edges))
        rows.append((found[key][0], np.array(place) * unit_m, np.array(turn.to_matrix())))
    count = len(rows)
    places, turns = (np.array([row[i] for row in rows]) for i in (1, 2))
    asset = np.array([row[0] for row in rows], np.int64).reshape(count)
    return Bodies(asset, places.reshape(count, 3), turns.reshape(count, 3, 3), np.ones(count)), [one for _, one in found.values()]
