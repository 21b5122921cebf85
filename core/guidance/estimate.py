# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training with priors will need, before it starts: memory and hours, and what to lower where that is too much.

The very code of a step runs on torch's "meta" device, where tensors have shapes and no content: sizes and operations are counted.
"""

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from core.device import device_facts
from core.guidance.prior import PriorGuidance
from core.guidance.sds import Text

OVERHEAD = 1.15  # of an allocator, and of kernels' workspaces, over what is alive
USED = 0.5  # of a device's speed at large matrix products that a U-Net comes to
ROOM = 0.9  # of the free memory that may be planned with


@dataclass(frozen=True)
class Prior:
    """A prior in a training. kind: its class; more: of its `load`; views: of an object; image: pixels of a render, a side."""

    kind: type[PriorGuidance]
    folder: Path
    views: int = 4
    image: int = 256
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Of one step: bytes of the weights, the most bytes alive beside them, and floating-point operations."""

    weights: int
    working: int
    operations: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.weights + other.weights, self.working + other.working, self.operations + other.operations)

    @property
    def memory(self) -> int:
        return int(self.weights + OVERHEAD * self.working)


NOTHING = Cost(0, 0, 0.0)


@dataclass(frozen=True)
class Plan:
    """What a training needs. memory, free: bytes (free 0: nobody knows); hours: None without a number of steps; remedies: what to lower."""

    memory: int
    free: int
    hours: float | None
    remedies: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not self.free or self.memory <= ROOM * self.free

    def __str__(self) -> str:
        free = f" of {_gigabytes(self.free)} that are free" if self.free else ""
        hours = f", some {self.hours:.1f} hours" if self.hours is not None else ""
        text = f"about {_gigabytes(self.memory)} of memory{free}{hours}"
        return text if self.fits else f"{text}. That will not fit. Lower: {'; '.join(self.remedies)}"


def plan_training(
    priors: Sequence[Prior], *, batch: int, steps: int, device: torch.device, dtype: torch.dtype, at_once: int = 0, own: Cost = NOTHING
) -> Plan:
    """What `steps` steps with `batch` objects each need on a device. own: cost of the trained networks and of rendering, for one object in
    `working` and `operations`."""

    def cost(objects: int, together: int, number: torch.dtype = dtype) -> Cost:
        whole = Cost(own.weights, own.working * objects, own.operations * objects)
        return sum((prior_cost(prior, number, objects, together) for prior in priors), whole)

    now, (_, free) = cost(batch, at_once), device_facts(str(device))
    speed = measured_speed(device, dtype)
    hours = now.operations * steps / (USED * speed) / 3600 if steps else None
    remedies = []
    if free and now.memory > ROOM * free:
        if at_once != 1 and batch > 1:
            remedies.append(f"the objects that a prior sees at once to 1 ({_gigabytes(cost(batch, 1).memory)})")
        if batch > 1:
            remedies.append(f"the batch to {batch // 2} ({_gigabytes(cost(batch // 2, at_once).memory)})")
        if dtype == torch.float32:
            remedies.append(f"the number format to bfloat16 ({_gigabytes(cost(batch, at_once, torch.bfloat16).memory)})")
        remedies = remedies or ["the size of the renders, or use a smaller prior or a larger device"]
    return Plan(now.memory, free, hours, tuple(remedies))


def prior_cost(prior: Prior, dtype: torch.dtype, objects: int, at_once: int = 0) -> Cost:
    """Of a prior's loss and its gradient at the images, for so many objects. No weights are loaded."""
    meta = torch.device("meta")
    guidance = prior.kind.load(prior.folder, meta, dtype, at_once=at_once, **prior.more)
    counted = min(objects, 2 * at_once or objects)  # more rounds of at_once objects take time and no more memory
    cost = _count_loss(guidance, prior, counted)
    return replace(cost, operations=cost.operations * objects / counted)


def _count_loss(guidance: PriorGuidance, prior: Prior, objects: int) -> Cost:
    count, meta = objects * prior.views, guidance.device
    images = torch.zeros(count, 3, prior.image, prior.image, device=meta, requires_grad=True)
    text = Text(*(torch.zeros(rows, 77, guidance.sizes.text, device=meta) for rows in (objects, 1)))
    cameras = torch.eye(4).repeat(objects, prior.views, 1, 1)
    depth = torch.zeros(count, 1, prior.image, prior.image, device=meta)

    def step() -> None:
        guidance.loss(images, text, cameras, 0.5, depth=depth)[0].backward()

    working, operations = count_cost(step)
    weights = sum(p.numel() * p.element_size() for module in guidance.modules().values() for p in module.parameters())
    return Cost(weights, working, operations)


def count_cost(work: Callable[[], object]) -> tuple[int, float]:
    """The most bytes that `work` keeps alive of what it makes, and its floating-point operations. For tensors on the device "meta"."""
    counter = Counter()
    with _lean_attention(counter), counter:
        work()
    return counter.peak, counter.operations


class Counter(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while it is entered, until they go, and the operations that are counted for speed."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.operations = 0.0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if formula := flop_registry.get(function._overloadpacket):  # torch's own counter keeps what backward would free
            self.operations += formula(*args, **(kwargs or {}), out_val=out)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key).atexit = False

    def _gone(self, key: int) -> None:
        self.now -= self._known.pop(key)


@contextlib.contextmanager
def _lean_attention(counter: Counter) -> Iterator[None]:
    """Attention as devices have it, which never writes its whole table."""

    def attention(query: Tensor, key: Tensor, value: Tensor, *_, **__) -> Tensor:
        counter.operations += 2.0 * query.numel() * key.shape[-2] * (1 + value.shape[-1] / query.shape[-1])
        return query.new_empty((*query.shape[:-1], value.shape[-1])) if not query.requires_grad else query * 1

    with mock.patch.object(F, "scaled_dot_product_attention", attention):
        yield


def measured_speed(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second in a matrix product; a tenth of a second's look."""
    side = 4096 if device.type == "cuda" else 768
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    best = float("inf")
    for _ in range(4):
        wait()
        begun = time.perf_counter()
        a @ b
        wait()
        best = min(best, time.perf_counter() - begun)
    return 2.0 * side**3 / best


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 / 10 else f"{count / 2**20:.0f} MB"
