# SPDX-License-Identifier: GPL-3.0-or-later
"""Any number of prompts, some at a time: what is finished is given out at once, and what fails, fails alone. Without bpy."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..arguments import LIMITS
from .engine import Engine, EngineFault, Fault, Job, Launch, check_prompt

GROUP = 8  # prompts in one request: they share the networks' work, and fit the wire at the finest detail
CRASHES = 6  # of the engine, one after another with nothing made between, before the rest is given up

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """One object to be made."""

    prompt: str
    seed: int


def wishes(prompts: list[str], seed: int) -> tuple[list[Wish], list[tuple[Wish, Fault]]]:
    """Give each prompt its seed: one that comes again takes the next. Returns what can be asked for, and what cannot with the reason.

    Raises EngineFault where nothing can be asked for, or where the seeds end.
    """
    good, bad, seen = [], [], Counter()
    for prompt in prompts:
        wish = Wish(prompt, seed + seen[prompt])
        seen[prompt] += 1
        if fault := check_prompt(prompt):
            bad.append((wish, fault))
        else:
            good.append(wish)
    if not good:
        raise EngineFault(bad[0][1])
    if last := next((wish for wish in good if wish.seed > LIMITS["seed"][1]), None):
        cause = f"“{last.prompt}” comes {seen[last.prompt]:,} times, from seed {seed:,} on, and the last one is {LIMITS['seed'][1]:,}."
        raise EngineFault(Fault("There are not enough seeds.", cause, "Begin with a lower one.", "bad_request"))
    return good, bad


def make(launch: Launch, wanted: list[Wish], settings: dict, say: Say, facts: dict) -> Iterator[tuple[Wish, dict | Fault]]:
    """Make objects; yield each with the engine's answer, or with the fault that it alone has. `facts` is told the "device".

    A request that fails is repeated prompt by prompt. An engine that crashes is started again, and a prompt at which it did is tried twice.
    """
    engine, groups = Engine(), deque([wanted[start : start + GROUP] for start in range(0, len(wanted), GROUP)])
    crashes, tried = 0, set()
    try:
        while groups:
            group = groups.popleft()
            job = _run(engine, launch, group, settings, say)
            facts["device"] = engine.hello.get("device") or facts.get("device", "")
            if job.state == "done":
                crashes = 0
                yield from zip(group, job.objects, strict=True)
                continue
            fault, crashed = job.fault or Fault("Stopped."), engine.process is None
            crashes += crashed
            if not engine.hello or crashes >= CRASHES:  # it does not start, or does not stay
                for wish in (*group, *(wish for later in groups for wish in later)):
                    yield wish, fault
                return
            if len(group) > 1 or (crashed and group[0] not in tried):
                say(f"{fault} Trying again" + (", prompt by prompt" if len(group) > 1 else ""))
                tried |= set(group) if len(group) == 1 else set()
                groups.extendleft([wish] for wish in reversed(group))
            else:
                yield group[0], fault
    finally:
        engine.stop()


def _run(engine: Engine, launch: Launch, group: list[Wish], settings: dict, say: Say) -> Job:
    """Run one request to its end, on an engine that is started if need be."""
    starts = engine.process is None
    if starts:
        say(f"Starting the engine ({launch.python})")
        engine.start(launch)
    job = engine.submit([wish.prompt for wish in group], [wish.seed for wish in group], settings)
    if engine.fault:  # it cannot even be started
        job.state, job.fault = "failed", engine.fault
        engine.jobs.clear()
    while not job.over:
        engine.poll(wait_s=0.2)
        if starts and engine.hello:
            say(f"Engine ready after {engine.cold_start_s:.1f} s on {engine.hello.get('device_name') or engine.hello.get('device')}")
            starts = False
    return job
