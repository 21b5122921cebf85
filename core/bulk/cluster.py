# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers on a Ray cluster: one on each GPU, else on each group of cores. What a lost worker was to make, another makes.

Results come back to the one program that asked, as they are ready; it alone writes them. So no node needs the disk that they go to, and
each object is there once.
"""

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.bulk.maker import Failure, Maker, Want
from core.errors import BadRequest, EngineError

LOCAL = "local"  # an address: a cluster of this machine's own, for as long as it is needed
AHEAD = 2  # objects that a worker is given: the next one waits there while a result travels
TRIES = 3  # of an object at which a worker dies: nodes may die of their own
FALSE_STARTS = 3  # of workers, one after another, before it is given up where none works
REST_S = 30.0  # after one, where others work: a bad node shall not take all the time
PATIENCE_S = 120.0  # for nodes, where the cluster has none
LOOK_S = 1.0  # between looks at what the cluster has
STORE_BYTES = 512 << 20  # memory for results under way, in a cluster of our own

Say = Callable[[str], None]


@dataclass(eq=False)
class Worker:
    """An actor, and what it has been given, oldest first."""

    actor: Any
    ready: bool = False
    given: deque = field(default_factory=deque)  # references to results


class Cluster:
    """A connection to a Ray cluster. Raises EngineError where there is none."""

    def __init__(self, address: str, load: Callable[[], Any], *, cores: int, gpus: bool, strict: bool, say: Say):
        self.ray, self.load, self.cores, self.gpus, self.strict, self.say = connect(address), load, cores, gpus, strict, say
        self.workers: list[Worker] = []
        self.of: dict[Any, tuple[Worker, Want | None]] = {}  # by references; None: whether the worker is ready
        self.lost = self.false_starts = 0
        self.devices: Counter[str] = Counter()
        self.looked = self.had_room = 0.0

    def make(self, wants: Sequence[Want]) -> Iterator[tuple[Want, bytes | Failure]]:
        """Give out each object as soon as it is here, in the order in which they are. Raises EngineError where no worker is left."""
        left, tried = deque(wants), Counter()
        waiting = len(left)
        while waiting:
            self._grow(waiting)
            for worker in self.workers:
                while left and worker.ready and len(worker.given) < AHEAD:
                    self._give(worker, left.popleft())
            done, _ = self.ray.wait(list(self.of), timeout=LOOK_S) if self.of else ([], time.sleep(LOOK_S))
            for reference in done:
                worker, want = self.of.get(reference, (None, None))
                if worker is None:  # what a lost worker was given
                    continue
                try:
                    result = self.ray.get(reference)
                except self.ray.exceptions.RayError as error:
                    for gone in self._lose(worker, error, tried):
                        if tried[gone] < TRIES:
                            left.appendleft(gone)
                            continue
                        waiting -= 1
                        yield gone, Failure("crashed", f"The worker died while it made this, {TRIES} times.")
                    continue
                del self.of[reference]
                if want is None:
                    self._greet(worker, result)
                    continue
                worker.given.remove(reference)
                waiting -= 1
                yield want, result

    def end(self) -> None:
        """End all workers, and a cluster of our own."""
        for worker in self.workers:
            with contextlib.suppress(Exception):  # it is gone already
                self.ray.kill(worker.actor)
        self.ray.shutdown()

    def _grow(self, waiting: int) -> None:
        """Let there be as many workers as the cluster has room for: nodes come and go."""
        now = time.monotonic()
        if now - self.looked < LOOK_S:
            return
        self.looked = now
        has = self.ray.cluster_resources()
        on_gpus = self.gpus and has.get("GPU", 0) >= 1
        room = int(has.get("GPU", 0)) if on_gpus else int(has.get("CPU", 0) // self.cores)
        self.had_room = now if room or not self.had_room else self.had_room
        if not room and now - self.had_room > PATIENCE_S:
            cause = f"A worker takes {'a GPU' if on_gpus else f'{self.cores} cores'}; the cluster has {has.get('CPU', 0):.0f} cores."
            raise EngineError("internal", "The cluster has no room for a worker.", cause, "Add nodes, or give workers fewer cores.")
        share = {"num_gpus": 1, "num_cpus": 1} if on_gpus else {"num_cpus": self.cores}
        for _ in range(min(room, waiting) - len(self.workers)):
            actor = self.ray.remote(Maker).options(max_restarts=0, **share).remote(self.load, self.strict)
            worker = Worker(actor)
            self.workers.append(worker)
            self.of[actor.facts.remote()] = worker, None

    def _give(self, worker: Worker, want: Want) -> None:
        reference = worker.actor.make.remote(want)
        worker.given.append(reference)
        self.of[reference] = worker, want

    def _greet(self, worker: Worker, device: str) -> None:
        worker.ready, self.false_starts = True, 0
        self.devices[device] += 1
        self.say(f"{sum(one.ready for one in self.workers)} of {len(self.workers)} workers are ready")

    def _lose(self, worker: Worker, error: Exception, tried: Counter) -> list[Want]:
        """Take a worker out that has died; returns what it had been given, the next last. The oldest is the one at which it died."""
        self.workers.remove(worker)
        mine = [want for reference, (owner, want) in self.of.items() if owner is worker and want]
        self.of = {reference: pair for reference, pair in self.of.items() if pair[0] is not worker}
        with contextlib.suppress(Exception):
            self.ray.kill(worker.actor)  # where only the way to it was lost
        self.looked = 0.0
        if not worker.ready:
            self.false_starts += 1
            at_work = any(one.ready for one in self.workers)
            self.looked = time.monotonic() + (REST_S if at_work else 0.0)
            if self.false_starts >= FALSE_STARTS and not at_work:
                raise EngineError("internal", "No worker starts on the cluster.", last_words(error), "See Ray's logs.")
            return []
        self.lost += 1
        self.say(f"A worker was lost ({type(error).__name__}); what it was making is made by another.")
        tried.update(mine[:1])
        return mine[::-1]


def connect(address: str) -> Any:
    """Ray, connected. Raises BadRequest where it is not installed, EngineError where there is no cluster."""
    try:
        import ray
    except ImportError as error:
        source = Path(__file__).resolve().parents[1] / "requirements"
        way = f"pip install -r {source / 'ray.txt'} -c {source / 'constraints.txt'}"
        raise BadRequest("Ray is not installed in the engine's Python.", f"{error}.", f"There: python -m {way}") from error
    if address == LOCAL:
        more = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    else:  # nodes get this code, and have the packages that it needs
        more = {"runtime_env": {"py_modules": [str(Path(__file__).resolve().parents[1])]}}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **more)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise EngineError("internal", f"There is no Ray cluster at {address}.", last_words(error), "Start one: ray start --head") from error
    return ray


def last_words(error: Exception) -> str:
    """The last line of what Ray says of an error, which tells the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[-1][:300].rstrip('.')}." if lines else ""
