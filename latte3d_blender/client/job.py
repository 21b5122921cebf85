# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the engine, and what comes back: jobs, results and faults. Knows nothing of bpy."""

import hashlib
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STAGES = {
    "text": ("Reading the prompt", 0.02),
    "networks": ("Imagining the shape", 0.35),
    "decode": ("Sampling the shape", 0.3),
    "extract": ("Making the surface", 0.05),
    "atlas": ("Unwrapping", 0.05),
    "bake": ("Painting the texture", 0.2),
    "encode": ("Packing the images", 0.03),
}  # of one object, in their order: what the artist reads, and the share of the progress bar


@dataclass(frozen=True)
class Fault:
    """What went wrong, for the artist: one sentence, its cause and a way out (each may be empty but the first)."""

    message: str
    cause: str = ""
    remedy: str = ""
    kind: str = "internal"
    data: dict = field(default_factory=dict, compare=False)  # what else the engine's error says, such as the nearest things

    def __str__(self) -> str:
        return " ".join(part for part in (self.message, self.cause, self.remedy) if part)


class EngineFault(Exception):
    """A fault where it is easier raised than returned."""

    def __init__(self, fault: Fault):
        super().__init__(str(fault))
        self.fault = fault


@dataclass(eq=False)
class Result:
    """One object that the engine has made, from the click until it is forgotten."""

    prompt: str
    seed: int
    settings: dict  # as they were asked for: detail, resolution, texture_size, triangles
    fields: dict  # what the engine says of it: model, height_m, detail, timings_ms, familiar, notes, color …
    arrays: dict  # vertices, triangles, uvs, sharp, seams, base_color, metallic_roughness
    style: list[float] | None = None  # z itself, where that was asked for instead of a seed
    index: int = 0  # of its prompt in the request
    clicked: float = field(default_factory=time.perf_counter)
    place: Any = None  # where it belongs (session.Place)
    number: int = 0  # by which the session knows it
    total_ms: float = 0.0  # from the click until it was placed
    guide: Any = None  # what shaped it beside (guide.Guide), where anything did
    picture: bytes = b""  # a PNG of it, where the engine has sent one

    @property
    def key(self) -> str:
        """What it was asked for and looks like, as a short text: the same for the same model, prompt, seed, style, settings and guide."""
        look = [self.fields.get(part) for part in ("color", "roughness", "metallic")]
        look += [[part, self.fields[part]] for part in ("transmission", "emission") if self.fields.get(part)]
        asked = [self.fields["model"], self.prompt, self.seed, self.settings, *look, *([self.style] if self.style else [])]
        asked += [self.guide.facts] if self.guide else []
        return hashlib.sha1(json.dumps(asked, sort_keys=True).encode(), usedforsecurity=False).hexdigest()

    @property
    def placed(self) -> bool:
        """Whether it has been an object of some scene."""
        return self.total_ms > 0

    @property
    def complete(self) -> bool:
        """Whether it has a mesh whose numbers can be, a height and a look: an image, or the value that it would be everywhere."""
        color = "base_color" in self.arrays or self.fields.get("color") is not None
        surface = "metallic_roughness" in self.arrays or None not in (self.fields.get("roughness"), self.fields.get("metallic"))
        vertices, triangles, height = self.arrays.get("vertices"), self.arrays.get("triangles"), self.fields.get("height_m")
        if vertices is None or triangles is None or "uvs" not in self.arrays or not isinstance(height, int | float):
            return False
        shapes = (vertices.ndim, *vertices.shape[1:], triangles.ndim, *triangles.shape[1:]) == (2, 3, 2, 3)
        return color and surface and shapes and 0 < height < math.inf and bool(np.isfinite(vertices).all())


@dataclass(frozen=True)
class Failure:
    """Why one prompt of a job has no object."""

    index: int
    fault: Fault


@dataclass(eq=False)
class Job:
    """One request, from the click to its last object. `state`: queued, running, done, failed (as a whole) or cancelled."""

    id: int
    prompts: list[str]
    seeds: list[int]
    settings: dict  # detail, resolution, texture_size, triangles, glb
    strict: bool = False  # rather make nothing of a prompt than what the model does not know
    styles: list[list[float] | None] | None = None  # z itself for some prompts
    model: str = ""  # the id of the one that shall make them, where it is there; "": for each prompt the one that knows it best
    place: Any = None  # where its objects belong
    guide: Any = None  # what shapes them beside their prompts (guide.Guide)
    picture: int = 0  # pixels of a picture of each that is wanted; 0: none
    state: str = "queued"
    stage: str = ""
    factor: float = 0.0  # progress from 0 to 1
    fault: Fault | None = None  # why it failed as a whole
    arrived: list[Result | Failure] = field(default_factory=list)  # and not taken yet
    failures: list[Failure] = field(default_factory=list)
    made: dict[int, Result] = field(default_factory=dict)  # by the indices of their prompts
    answered: set[int] = field(default_factory=set)  # indices of prompts that have an object or a failure
    asked: list[int] = field(default_factory=list)  # indices of those that were sent to the engine, in its order
    clicked: float = field(default_factory=time.perf_counter)
    cancelled_at: float = 0.0

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def text(self) -> str:
        """What the engine is doing, in the words of the progress bar."""
        if self.cancelled_at:
            return "Cancelling…"
        if self.state == "queued":
            return "Waiting for the engine"
        count = f" ({min(len(self.answered) + 1, len(self.prompts))} of {len(self.prompts)})" if len(self.prompts) > 1 else ""
        return STAGES.get(self.stage, ("Starting",))[0] + count

    def advance(self, stage: str, done: int, total: int) -> None:
        """A stage begins, after `done` of `total` (objects that were asked for × stages). Within an object, stages count by what they
        usually take."""
        before = 0.0
        for name, (_, share) in STAGES.items():
            if name == stage:
                break
            before += share
        asked = len(self.asked) or len(self.prompts)
        objects = len(self.prompts) - asked + done * asked // max(total, 1)
        self.stage = stage
        self.factor = max(self.factor, min((objects + before) / len(self.prompts), 1.0))

    def answer(self, outcome: Result | Failure) -> None:
        """Take in what became of one prompt. Raises ValueError for a prompt that was not asked for, or had an answer."""
        if outcome.index in self.answered or not 0 <= outcome.index < len(self.prompts):
            raise ValueError(f"nobody waits for object {outcome.index}")
        self.answered.add(outcome.index)
        self.factor = max(self.factor, len(self.answered) / len(self.prompts))
        self.arrived.append(outcome)
        if isinstance(outcome, Failure):
            self.failures.append(outcome)
        else:
            self.made[outcome.index] = outcome

    def show(self, index: int, picture: bytes) -> None:
        """A picture of an object that has arrived; of one that was damaged none is needed. Raises ValueError for one of which nobody has
        heard."""
        if index not in self.answered:
            raise ValueError(f"nobody waits for a picture of object {index}")
        if index in self.made:
            self.made[index].picture = picture

    def take(self) -> list[Result | Failure]:
        """What has arrived since the last call."""
        arrived, self.arrived = self.arrived, []
        return arrived
