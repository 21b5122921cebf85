# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer of Blender's main thread that no exception ends silently: the artist would wait for ever."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

import bpy

from .client.job import Fault

LOG = logging.getLogger(__package__)
MOMENT_S = 0.005  # between two redraws
AGAIN_S = 1.0  # after a step that has failed, where there still is something to wait for


def moment_of(items: Iterable) -> Iterator:
    """As many items, one at least, as a moment has time for: what is to be done with all of them at once would hold Blender up."""
    end = time.perf_counter() + MOMENT_S
    for item in items:
        yield item
        if time.perf_counter() > end:
            return


class Timer:
    """Calls `step` until that returns None, else again after as many seconds as it returns.

    module: what the log names where a step fails; failed: is given the fault that the panel shows, and returns as step does.
    """

    def __init__(self, module: str, step: Callable[[], float | None], failed: Callable[[Fault], float | None]):
        def turn() -> float | None:
            try:
                return step()
            except Exception as error:
                LOG.exception("The timer of %s failed", module)
                cause = f"{type(error).__name__}: {error}"
                return failed(Fault("Something went wrong in the add-on.", cause, "See Blender's console."))

        self.turn = turn  # one object: Blender knows a timer by it

    def wake(self, after_s: float = 0.02) -> None:
        """Make sure that it runs; in background mode nothing does."""
        if not bpy.app.background and not bpy.app.timers.is_registered(self.turn):
            bpy.app.timers.register(self.turn, first_interval=after_s, persistent=True)

    def end(self) -> None:
        if bpy.app.timers.is_registered(self.turn):
            bpy.app.timers.unregister(self.turn)
