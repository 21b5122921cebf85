# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core plan DIR --out FOLDER …`, with the arguments of train: what that training of a library of your own takes."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from core.device import device_facts, pick_device
from core.errors import BadRequest, EngineError
from core.library import folder_cli
from core.library import format as library_format
from core.networks.generator import Generator
from core.networks.presets import PRESETS, GeneratorConfig
from core.networks.storage import read_card
from core.training.cli import arguments, settings_of
from core.training.options import check_limits
from core.training.settings import DISTILLED, STARTER, TrainSettings, check_replay
from core.training.start import networks

MB = 1e6
PROGRAM_MB = 1400  # PyTorch, the ring of objects, the text encoder; measured: training the preset starter has a peak of 2.0 GB
OBJECT_MB = 30  # of the starter's sizes, in a step
STATE, KEPT = 32, 36  # bytes a weight: while it is trained; on the disk while a checkpoint is replaced, with the model itself
PICTURES_MB = 50
ENOUGH = 0.8  # of the memory that is said: estimates err
PREPARE_S = 2.4  # of one core for an asset


@dataclass(frozen=True)
class Needs:
    """What a training needs and what there is, in megabytes; free 0: nobody knows."""

    memory: float
    memory_free: float
    disk: float
    disk_free: float
    shapes: float  # on the library's disk, for what is not prepared yet
    shapes_free: float
    one_disk: bool

    @property
    def refusal(self) -> str:
        """Why it should not begin; "" where it can."""
        if self.memory_free and self.memory_free < ENOUGH * self.memory:
            return f"This takes about {_size(self.memory)} of memory, and {_size(self.memory_free)} are free."
        disk = self.disk + (self.shapes if self.one_disk else 0)
        if self.disk_free < disk:
            return f"This takes about {_size(disk)} of disk, and {_size(self.disk_free)} are free."
        if self.shapes and self.shapes_free < self.shapes:
            return f"Preparing takes about {_size(self.shapes)} of disk, and {_size(self.shapes_free)} are free."
        return ""


def main(argv: list[str]) -> int:
    """Print the plan. Raises BadRequest and MissingWeights where the training could not begin."""
    args = arguments(argv)
    folder_cli.need_packages()
    event = plan(settings_of(args))
    print(json.dumps(event) if args.json else " ".join(part for part in (event["text"], event["refusal"]) if part), flush=True)
    return 0


def plan(settings: TrainSettings) -> dict:
    """The event {"event": "plan", "library", "prompts", "shapes", "unprepared", "minutes", "minutes_done", "steps", "device", "memory_mb",
    "memory_free_mb", "disk_mb", "disk_free_mb", "text", "refusal"}: the text for a person, the refusal where something is too little."""
    check_limits(settings)
    device = pick_device(settings.device)
    if settings.library == STARTER:
        raise BadRequest("Only a library of your own has a plan.", "", "Name its folder.")
    library, findings = library_format.read(Path(settings.library))
    if fatal := [str(f) for f in findings if f.level == "fatal"]:
        raise BadRequest(f"{settings.library} cannot be prepared.", " ".join(fatal), "Correct this; check lists all that is wrong.")
    check_replay(settings)
    networks(settings)  # refuses what train would
    unprepared = folder_cli.unprepared(library)
    needs = needs_of(settings, unprepared, device)
    prompts, rest = sum(p.split == "train" for p in library.prompts), settings.reconstruction
    minutes = None if rest.steps is not None else rest.minutes
    name, _ = device_facts(str(device))
    facts = {"library": library.name, "prompts": prompts, "shapes": len(library.shapes), "unprepared": unprepared, "minutes": minutes,
             "minutes_done": _done(settings.out), "steps": rest.steps, "device": name}  # fmt: skip
    sizes = {f"{key}_mb": round(getattr(needs, key)) for key in ("memory", "memory_free", "disk", "disk_free")}
    later = [stage for stage in settings.stages if stage in DISTILLED]
    more = f" What the stages taught by priors take ({', '.join(later)}) is said before the training begins." if later else ""
    return {"event": "plan", **facts, **sizes, "text": _text(facts, needs) + more, "refusal": needs.refusal}


def needs_of(settings: TrainSettings, unprepared: int, device: torch.device) -> Needs:
    """Memory and disk of a training on a device, and of what is to be prepared before."""
    sizes = PRESETS[settings.preset]
    weights = count_weights(sizes)
    step = (settings.reconstruction.batch or 8) * OBJECT_MB * (sizes.resolution / 64) ** 2 * sizes.channels[0] / 24
    disk, shapes = KEPT * weights / MB + PICTURES_MB, folder_cli.SHAPE_MB * unprepared
    places = [_there(settings.out), Path(settings.library)]
    free = [shutil.disk_usage(place).free / MB for place in places]
    one_disk = len({os.stat(place).st_dev for place in places}) == 1
    return Needs(PROGRAM_MB + STATE * weights / MB + step, device_facts(str(device))[1] / MB, disk, free[0], shapes, free[1], one_disk)


def count_weights(sizes: GeneratorConfig) -> int:
    """How many numbers a generator of these sizes has."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in Generator(sizes).parameters())


def _done(out: Path) -> float:
    """Minutes that the model in a folder has been trained."""
    try:
        return round(60 * read_card(out)[1].training.get("hours", 0.0), 1)
    except EngineError:
        return 0.0


def _there(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    return path if path.exists() else _there(path.parent)


def _text(facts: dict, needs: Needs) -> str:
    first = ""
    if facts["unprepared"]:
        minutes = facts["unprepared"] * PREPARE_S / (os.cpu_count() or 1) / 60
        first = f", {facts['unprepared']:,} of them to be prepared first (about {max(minutes, 1):.0f} min)"
    work = f"{facts['steps']:,} steps" if facts["minutes"] is None else f"{facts['minutes']:g} minutes"
    work += f" in all, {facts['minutes_done']:g} minutes are done," if facts["minutes_done"] else ""
    memory = f"about {_size(needs.memory)} of memory" + (f" ({_size(needs.memory_free)} are free)" if needs.memory_free else "")
    disk = f"about {_size(needs.disk + needs.shapes)} of disk ({_size(needs.disk_free)} are free)"
    known = f"{facts['library']}: {facts['prompts']:,} prompts to learn, {facts['shapes']:,} shapes{first}."
    more = "before it the prompts are learnt to be read, after it pictures are drawn: some minutes each"
    return f"{known} Training takes {work} on {facts['device']} ({more}), {memory} and {disk}."


def _size(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 100 else f"{megabytes:.0f} MB"
