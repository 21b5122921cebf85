# SPDX-License-Identifier: GPL-3.0-or-later
"""Any number of prompts: each object is given out as soon as it is made, and what fails, fails alone. Without bpy."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..arguments import LIMITS
from .engine import Engine, Launch, check_prompt
from .job import EngineFault, Failure, Fault, Job, Result

REQUEST = 64  # prompts in one request: so many fit a message, however long they are
AT_A_TIME = 4  # prompts in one request to an engine that others use too
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


def make(
    launch: Launch, wanted: list[Wish], settings: dict, say: Say, facts: dict, *, strict: bool = False, shared: Engine | None = None
) -> Iterator[tuple[Wish, Result | Fault] | None]:
    """Make objects; yield each as soon as it is there, or the fault that it alone has. `facts` is told the "device".

    An engine that crashes is started again for those that are left. The first of them is the one at which it did: it is tried twice.
    `shared`: an engine that others use as well, and that goes on when this is over. Then requests are small, so that nobody waits long,
    and None is yielded wherever one would wait. Where somebody stops it, what is left is not made.
    """
    engine, left, tried, crashes, job = shared or Engine(), list(wanted), set(), 0, None
    try:
        while left:
            asked = left[: AT_A_TIME if shared else REQUEST]
            job = _submit(engine, launch, asked, settings, strict, say)
            for outcome in _outcomes(engine, launch, job, say, 0.0 if shared else 0.2):
                if outcome is None:
                    if shared:
                        yield None
                    continue
                wish = asked[outcome.index]
                left.remove(wish)
                crashes = 0
                facts["device"] = engine.hello.get("device", "")
                yield wish, outcome.fault if isinstance(outcome, Failure) else outcome
            if job.state == "done":
                continue
            if job.state == "cancelled":
                return
            fault, crashed = job.fault or Fault("Stopped."), engine.process is None
            crashes += crashed
            given_up = not engine.hello or crashes >= CRASHES  # it does not start, or does not stay
            if crashed and not given_up and left[0] not in tried:
                say(f"{fault} Trying again")
                tried.add(left[0])
                continue
            lost = left if given_up else left[:1] if crashed else [wish for wish in asked if wish in left]
            for wish in list(lost):
                left.remove(wish)
                yield wish, fault
    finally:
        if shared is None:
            engine.stop()
        elif job and not job.over:
            engine.cancel(job)


def _submit(engine: Engine, launch: Launch, asked: list[Wish], settings: dict, strict: bool, say: Say) -> Job:
    """Send one request, to an engine that is started if need be."""
    if engine.process is None:
        say(f"Starting the engine ({launch.python})")
        engine.start(launch)
    job = engine.submit([wish.prompt for wish in asked], [wish.seed for wish in asked], settings, strict=strict)
    if engine.fault:  # it cannot even be started
        job.state, job.fault = "failed", engine.fault
        engine.jobs.remove(job)
    return job


def _outcomes(engine: Engine, launch: Launch, job: Job, say: Say, wait_s: float) -> Iterator[Result | Failure | None]:
    """What becomes of each prompt of a request, until the request is over; None after each wait."""
    starts = not engine.hello
    while not job.over:
        yield None
        engine.poll(wait_s)
        if engine.process is None and not job.over:  # a forgiving one has crashed, and has the job made when somebody starts it again
            engine.start(launch)
        if starts and engine.hello:
            say(f"Engine ready after {engine.cold_start_s:.1f} s on {engine.hello.get('device_name') or engine.hello.get('device')}")
            starts = False
        yield from job.take()
