# SPDX-License-Identifier: GPL-3.0-or-later
"""A population or its preview on the way into the scene, a little at a time: the engine and a thread do what takes long.

The main thread reads the scene at the start (`run.plan`), and then builds objects one by one, between redraws. What is done here holds no
pointer into Blender's data across an undo: `stale` says that there was one, and what was built is built again.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import bpy

from ..client.engine import Engine, Launch
from ..client.job import Fault
from . import assets, check, job, layout, preview, run, scatter, settle

SLICE_S = 0.02  # of the main thread's time between two redraws
MANY_FAILURES = 20  # that are listed


class Thread:
    """A function in a thread of its own."""

    def __init__(self, call: Callable):
        self._call, self._thread = call, threading.Thread(target=self._run, name="LATTE3D layout", daemon=True)
        self.answer, self.error = None, None
        self._thread.start()

    def _run(self) -> None:
        try:
            self.answer = self._call()
        except BaseException as error:  # raised again where somebody asks for the answer
            self.error = error

    def wait(self) -> Iterator[bool]:
        """Yields while it runs. Raises what it raised."""
        while self._thread.is_alive():
            yield False
        if self.error:
            error, self.error = self.error, None
            try:
                raise error
            finally:
                del error  # its traceback holds all that the function held, and this frame


@dataclass
class Result:
    """What there is to tell of a population when it stands, or of a preview."""

    counts: dict[str, int]  # objects by layer
    kinds: int
    notes: list[str]
    failed: list[str]  # sentences
    seconds: float = 0.0
    overlaps: int | None = None  # pairs of objects that cross; None: nobody has looked
    crossing: list[str] = field(default_factory=list)  # the first of them, in words
    preview: bool = False

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Slices:
    """Something on its way into the scene. `step` goes on with it; `ready` is what only has to be shown."""

    is_preview = False

    def __init__(self, scene: int):
        """scene: its session_uid."""
        self.scene = scene
        self.stage, self.done, self.total, self.left_s = "Starting", 0, 0, None
        self.ready = None
        self.result: Result | None = None
        self.fault: Fault | None = None
        self.over = self.stopped = self.stale = self.cancelled = False
        self.begun = time.perf_counter()
        self.longest_s = 0.0  # that the main thread was busy at a time
        self._steps: Iterator[bool] = iter(())

    @property
    def factor(self) -> float:
        return self.done / self.total if self.total else 0.0

    def step(self) -> bool:
        """Go on for a moment; returns whether there is more to do at once. What goes wrong is in `fault` afterwards."""
        end = time.perf_counter() + SLICE_S
        try:
            while time.perf_counter() < end:
                before = time.perf_counter()
                at_once = next(self._steps)
                self.longest_s = max(self.longest_s, time.perf_counter() - before)
                if not at_once:
                    return False
            return True
        except StopIteration:
            self._end()
        except (ValueError, OSError, ReferenceError, RuntimeError) as error:  # SceneError is a ValueError
            self.fault = self.fault or Fault(str(error).strip(), kind="population")
            self.take_back()
            self._end()
        return False

    def cancel(self) -> None:
        """End it; what was built for it goes."""
        self.cancelled = True  # a thread looks at it
        self._steps.close()
        self.take_back()
        self.stopped = True
        self._end()

    def take_back(self) -> None:
        """Remove what was built and is not shown."""

    def _end(self) -> None:
        """However it ends, this is last."""
        self.over, self._steps = True, iter(())

    def _say(self, stage: str, total: int = 0) -> None:
        self.stage, self.done, self.total, self.left_s = stage, 0, total, None


class Conversion(Slices):
    """A population's points on the way to plain objects."""

    def __init__(self, top: bpy.types.Collection, scene: int):
        super().__init__(scene)
        self._name, self._groups = top.name, []
        self._steps = self._convert(top)

    def _convert(self, top: bpy.types.Collection) -> Iterator[bool]:
        self._say("Making objects", sum(len(item.data.vertices) for item in top.objects if "latte3d_layer" in item))
        for self._groups in scatter.objects_of(top):
            yield True
            if self.stale:
                raise ValueError("An undo has ended it. Convert again.")
            self.done = min(self.done + scatter.STEP, self.total)
        self.ready = self._groups
        while self.ready is not None:
            yield False
            if self.stale:
                raise ValueError("An undo has ended it. Convert again.")

    def show(self) -> None:
        """Let the objects take the points' place."""
        scatter.become_objects(bpy.data.collections[self._name], self.ready)
        self.ready, self._groups = None, []

    def take_back(self) -> None:
        if not self.stale:
            items = [item for group in self._groups for item in group.objects]
            bpy.data.batch_remove(self._groups)
            scatter.throw_away(items)
        self._groups, self.ready = [], None


class Work(Slices):
    """One population, or its preview, on its way; `ready` is its collection."""

    def __init__(self, chosen: run.Plan, kept: job.Job, scene: int, *, is_preview: bool = False, linked: bool = False, make: bool = True):
        """`make`: make what is missing, else take what there is."""
        super().__init__(scene)
        self.chosen, self.kept = chosen, kept
        self.is_preview, self.linked, self.make = is_preview, linked, make
        self.pace_s = 0.0  # seconds for an object, as they were made
        self._found: assets.Assets | None = None
        self._top: bpy.types.Collection | None = None
        self._top_uid = 0  # by which it is found after an undo

    def start(self, engine: Engine, launch: Callable[[], Launch]) -> None:
        self._steps = self._preview() if self.is_preview else self._populate(engine, launch)

    def cancel(self) -> None:
        """End it; what the engine has finished is kept in the job's folder."""
        super().cancel()
        if not self.is_preview:
            with contextlib.suppress(OSError):
                self.kept.write_state(self.chosen.wants)

    def take_back(self) -> None:
        if self._top is not None and not self.stale:
            scatter.clear(self._top)
        if self._found is not None and not self.stale:
            assets.discard(self._found)
        self._top = self._found = self.ready = None

    def _end(self) -> None:
        super()._end()
        self.chosen.grounds.clear()  # they are large
        self.chosen.scenery = None

    def shown(self) -> None:
        """Somebody has put `ready` into the scene."""
        self.ready = self._top = None
        self._top_uid = 0

    # The ways -------------------------------------------------------------------------------------------------------------------------

    def _preview(self) -> Iterator[bool]:
        found = preview.stand_ins(self.chosen)
        made = yield from self._lay_out(found)
        while not (yield from self._build(lambda: preview.building(self.chosen.recipe, found, made, self.chosen.unit_m))):
            self._forget()
        self._tell(found, made)

    def _populate(self, engine: Engine, launch: Callable[[], Launch]) -> Iterator[bool]:
        yield from self._make(engine, launch)
        made, meshes = None, None
        while True:
            self._forget()
            if not (yield from self._gather()):
                continue
            if made is None:
                made = yield from self._lay_out(self._found)
                made = yield from self._settle(made)
            if meshes is None and len(made) <= check.MOST and not self.stale:
                meshes = yield from self._meshes()
            if not self.stale and (yield from self._build(self._objects(made))):
                break
        found, self._found = self._found, None  # it stands in the scene
        self._tell(found, made)
        if meshes:
            yield from self._look(meshes, made)
        self.result.seconds = time.perf_counter() - self.begun

    def _objects(self, made: layout.Layout) -> Callable[[], Iterator[bpy.types.Collection]]:
        return lambda: scatter.building(self.chosen.recipe, self._found, made, self.chosen.unit_m, linked=self.linked)

    def _forget(self) -> None:
        """Begin to build anew: after an undo, what was built is gone, or nobody can know which part of it."""
        left = next((one for one in bpy.data.collections if one.session_uid == self._top_uid), None)
        if left is not None:
            scatter.clear(left)
        self._found = self._top = None
        self.stale, self._top_uid = False, 0

    def _make(self, engine: Engine, launch: Callable[[], Launch]) -> Iterator[bool]:
        """What the scene lacks, by the engine that the panel uses."""
        wants = self.chosen.missing if self.make else []
        self._say("Making objects", len(wants))
        self.kept.write_state(self.chosen.wants)

        def progress(far: job.Progress) -> None:
            self.done, self.total, self.left_s = far.done, far.total, far.left_s

        before, begun = sum(map(self.kept.has, wants)), time.perf_counter()
        outcomes = job.make(self.kept, wants, launch, lambda text: None, {}, progress=progress, shared=engine)
        try:
            for _ in outcomes:
                yield False
                self.pace_s = (time.perf_counter() - begun) / max(self.done - before, 1)
        finally:
            outcomes.close()
        self.kept.write_state(self.chosen.wants)
        if not all(want in self.kept.failed or self.kept.has(want) for want in wants):
            raise ValueError("The engine was stopped. What was made is kept: Populate goes on with it.")
        things = [thing for layer in self.chosen.recipe.layers for thing in layer.things]
        if len(self.kept.failed) == len(self.chosen.wants) and all(thing.prompt for thing in things):
            raise ValueError(f"None of the objects could be made. {next(iter(self.kept.failed.values()))}")

    def _gather(self) -> Iterator[bool]:
        """Build the objects; returns whether they are there."""
        self._say("Building objects", len(self.chosen.wants))
        for found in assets.gather(self.chosen.recipe, self.kept, self.chosen.unit_m):
            self._found, self.done = found, min(len(found.found), self.total)
            yield True
            if self.stale:
                return False
        return True

    def _lay_out(self, found: assets.Assets) -> Iterator[bool]:
        self._say("Finding places", self.chosen.total)

        def progress(done: int, total: int) -> None:
            self.done, self.total = done, total

        thread = Thread(lambda: run.lay_out(self.chosen, found, progress=progress, cancelled=lambda: self.cancelled))
        yield from thread.wait()
        return thread.answer

    def _settle(self, made: layout.Layout) -> Iterator[bool]:
        if any(layer.settle for layer in self.chosen.recipe.layers):
            self._say("Letting things fall", settle.FRAMES)
            for made in settle.settling(self.chosen, self._found, made):  # noqa: B007, B020 (the last one is what came of it)
                yield True
                self.done += 1
                if self.stale:
                    raise ValueError("An undo has ended it. Populate again.")
        return made

    def _meshes(self) -> Iterator[bool]:
        self._say("Reading the objects")
        meshes = []
        for one in self._found.found:
            meshes.append(check.mesh_of(one.item, self.chosen.unit_m))
            yield True
            if self.stale:
                return None
        return meshes

    def _build(self, building: Callable[[], Iterator[bpy.types.Collection]]) -> Iterator[bool]:
        """Build the collection and wait until it is shown; returns whether it is."""
        self._say("Placing")
        for self._top in building():
            self._top_uid = self._top.session_uid
            yield True
            if self.stale:
                return False
        self.ready = self._top
        while self.ready is not None:
            yield False
            if self.stale:
                self.ready = None
                return False
        return True

    def _tell(self, found: assets.Assets, made: layout.Layout) -> None:
        layers = self.chosen.recipe.layers
        failed = [f"“{want.prompt}”, seed {want.seed}: {reason}" for want, reason in self.kept.failed.items()]
        counts = {layer.name: int((made.layer == number).sum()) for number, layer in enumerate(layers)}
        self.result = Result(counts, len(found.found), [*found.notes, *made.notes], failed[:MANY_FAILURES], preview=self.is_preview)
        self.result.seconds = time.perf_counter() - self.begun

    def _look(self, meshes: list, made: layout.Layout) -> Iterator[bool]:
        self._say("Looking for collisions")
        thread = Thread(lambda: check.among(meshes, made))
        yield from thread.wait()
        pairs, names = thread.answer.crossing, [layer.name for layer in self.chosen.recipe.layers]
        self.result.overlaps = len(pairs)
        places = made.bodies.position
        for one, other in pairs[:MANY_FAILURES]:
            x, y, z = places[one]
            self.result.crossing.append(f"{names[made.layer[one]]} and {names[made.layer[other]]} at {x:.1f}, {y:.1f}, {z:.1f}")
