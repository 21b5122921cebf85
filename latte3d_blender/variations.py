# SPDX-License-Identifier: GPL-3.0-or-later
"""Variations of one prompt: made in one request, shown in rows as they come, one undo step for all; kept or rejected one by one."""

from dataclasses import dataclass, field
from typing import Any

import bpy

from . import STARTED
from .client.job import Job, Result

MOST = 16  # in one request


@dataclass(eq=False)
class Batch:
    """The variations of a request. Objects are held by their names, and known by the mark that they carry: undo may take them away."""

    job: Job
    results: dict[int, Result] = field(default_factory=dict)  # those that have arrived, by their numbers
    names: dict[int, str] = field(default_factory=dict)  # of their objects in the scene
    kept: set[int] = field(default_factory=set)  # those that the artist has ticked
    rejected: set[int] = field(default_factory=set)
    spot: tuple[float, float, float] | None = None  # where the first one stands
    turn: float | None = None  # of its rows
    stepped: bool = False  # their undo step is there

    @property
    def prompt(self) -> str:
        return self.job.prompts[0]

    @property
    def over(self) -> bool:
        """Whether no more are to come."""
        return self.job.over or len(self.job.answered) == len(self.job.prompts)

    @property
    def unfinished(self) -> bool:
        """Whether its undo step is still to come."""
        return self.over and bool(self.names) and not self.stepped

    def shown(self, number: int) -> bpy.types.Object | None:
        """The object of a variation, where it is in the file."""
        item = bpy.data.objects.get(self.names.get(number, ""))
        return item if item and item.get("latte3d_variation") == mark_of(number) and item.users_scene else None

    def take(self, number: int, item: bpy.types.Object) -> None:
        """A variation has an object now."""
        item["latte3d_variation"], self.names[number] = mark_of(number), item.name

    def let_go(self) -> None:
        """Part with the results: they hold this batch, too, and Python looks for such circles so rarely that megabytes would pile up."""
        self.results.clear()
        self.job.made.clear()

    def ends_with(self, last: Result | None) -> bool:
        """Whether no other comes after this one."""
        return self.over and (last is None or last.number == max(self.results))

    def more(self, last: Result | None = None, **properties: Any) -> dict:
        """The properties of place_variations, for those up to `last`: their numbers in order; a rejected one has a minus sign: its place
        stays empty."""
        numbers = [number for number in self.results if last is None or number <= last.number]
        wish = ",".join(str(-number if number in self.rejected else number) for number in numbers)
        spot = {"location": self.spot or self.job.place.location, "clear": self.spot is None, "turn": self.turn or 0.0}
        return {"results": wish, **spot, **properties}


def mark_of(number: int) -> str:
    """What tells the object of a result of this Blender from all others."""
    return f"{STARTED:.0f}-{number}"
