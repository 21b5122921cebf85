# SPDX-License-Identifier: GPL-3.0-or-later
"""One stage's learning, whatever the stage: steps, moving average, schedule, signals, reports, checkpoints, several processes."""

import contextlib
import copy
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from core.device import machine_name
from core.errors import EngineError
from core.training.checkpoint import Checkpoint
from core.training.preview import read_picture
from core.training.stage import Stage

REPORT = 20  # steps
STRIKES = 20  # steps one after another whose losses are no numbers: then a training does not come back by itself
Tell = Callable[[dict], None]  # an event of long work, as it is printed with --json
Keep = Callable[[dict[str, nn.Module], dict], Path | None]


class Run:
    """Teaches a stage, from where its checkpoint stands.

    keep(parts, facts) is called with each checkpoint: the parts so far (their moving average where there is one), and the steps, hours and
    hardware that it took; it may give a picture's file. logs: the folder for TensorBoard. tell: is told of progress, instead of a bar on
    the terminal.
    """

    def __init__(
        self,
        stage: Stage,
        accelerator: Accelerator,
        checkpoint: Checkpoint,
        checkpoint_minutes: float = 4.0,
        keep: Keep | None = None,
        logs: Path | None = None,
        tell: Tell | None = None,
    ):
        self.stage, self.settings, self.accelerator, self.checkpoint = stage, stage.settings, accelerator, checkpoint
        self.checkpoint_minutes, self.keep, self.logs, self.tell = checkpoint_minutes, keep, logs, tell
        self.parts = {name: part.to(accelerator.device) for name, part in stage.parts().items()}
        self.average = {name: copy.deepcopy(part).requires_grad_(False) for name, part in self.parts.items() if self.settings.average}
        groups = [{"params": list(parameters), "of_rate": share} for parameters, share in stage.rates()]
        self.optimizer = torch.optim.AdamW(
            groups, self.settings.rate, betas=self.settings.betas, weight_decay=self.settings.weight_decay, fused=True
        )
        self._strikes, self._writer = 0, None
        self.progress = checkpoint.load(stage.name, self.parts, self.average, self.optimizer)

    @property
    def share(self) -> float:
        """0 … 1 of the stage."""
        done, whole = self._done()
        return min(done / whole, 1.0)

    def _done(self) -> tuple[float, float]:
        """Of the stage, and how much it is in all: steps, or seconds of training."""
        s = self.settings
        return (self.progress.step, s.steps) if s.steps is not None else (self.progress.seconds, 60 * s.minutes)

    def go(self) -> bool:
        """Learn to the end, or until the run is asked to end, and leave a checkpoint. Returns whether the stage is finished."""
        module, optimizer = self.accelerator.prepare(_Losses(self.stage), self.optimizer)
        saved = time.monotonic()
        self._began = (saved, self._done()[0])
        with stop_signal() as stop, self._report() as report:
            while not self._over(stop):
                report(self._step(module, optimizer))
                if time.monotonic() - saved > self.checkpoint_minutes * 60:
                    self._save()
                    saved = time.monotonic()
            self._save()
        self.accelerator.wait_for_everyone()  # the next stage begins from what the main process has just written
        del module, optimizer
        self.accelerator.free_memory()  # a distributed wrapper that lives on would answer the next stage's gradients too
        return self.share >= 1

    def _step(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """One step. Returns its losses by name."""
        begun, share, s = time.monotonic(), self.share, self.settings
        rate = learning_rate(s.rate, s.final_rate, s.warmup, self.progress.step, share)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["of_rate"]
        losses = self._gradients(module, share)
        losses["gradient"] = self.accelerator.clip_grad_norm_(module.parameters(), s.clip)
        if self._sound(losses):
            optimizer.step()
        optimizer.zero_grad()
        self.progress.step += 1
        for name, average in self.average.items():
            follow(average, self.parts[name], min(s.average, (1 + self.progress.step) / (10 + self.progress.step)))
        self.progress.seconds += min(time.monotonic() - begun, 60.0)  # a machine that slept did not train
        return losses

    def _gradients(self, module: nn.Module, share: float) -> dict[str, Tensor]:
        """Those of a step, of all its batches together; and the losses, means over these."""
        count, parts = self.settings.accumulate, []
        for part in range(count):
            with contextlib.nullcontext() if part + 1 == count else self.accelerator.no_sync(module):
                losses = module(self.stage.batch(self.progress.step * count + part, share))
                self.accelerator.backward(losses["total"])
            parts.append({name: value.detach() for name, value in losses.items()})
        if count == 1:
            return parts[0]
        torch._foreach_div_([p.grad for p in module.parameters() if p.grad is not None], count)
        return {name: torch.stack([part[name] for part in parts]).mean(0) for name in parts[0]}

    def _sound(self, losses: dict[str, Tensor]) -> bool:
        """Whether a step's gradient, of all processes together, is of numbers; one that is not is skipped, and counted. Raises EngineError
        after STRIKES of them in a row; the last checkpoint is from before."""
        if math.isfinite(float(losses["gradient"])):
            self._strikes = 0
            return True
        self._strikes += 1
        self.progress.skipped += 1
        losses["skipped"] = torch.tensor(float(self.progress.skipped))
        if self._strikes == STRIKES:
            strange = [name for name, value in losses.items() if not math.isfinite(float(value.detach())) and name != "gradient"]
            cause = f"In {STRIKES} steps one after another these were no finite numbers: {', '.join(strange) or 'the gradients'}."
            remedy = "The last checkpoint is whole: the same command goes on from there. Give a lower learning rate, or another --seed."
            raise EngineError("internal", f"The stage {self.stage.name} stopped at step {self.progress.step + 1}.", cause, remedy)
        return False

    def _over(self, stop: list[int]) -> bool:
        """Whether the run ends here. All processes decide alike, by the main one's clock and anybody's signal: one that left alone would
        leave the others waiting for its gradients, and clocks that differ would give each another learning rate."""
        stopping = bool(stop)
        if self.accelerator.num_processes > 1:
            facts = [self.progress.seconds if self.accelerator.is_main_process else 0.0, float(stopping)]
            facts = self.accelerator.reduce(torch.tensor(facts, dtype=torch.float64, device=self.accelerator.device), "sum")
            self.progress.seconds, stopping = float(facts[0]), bool(facts[1])
        return stopping or self.share >= 1

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            self.checkpoint.save(self.stage.name, self.share >= 1, self.parts, self.average, self.optimizer, self.progress)
            if self.keep:
                hours = round(self.progress.seconds / 3600, 3)
                facts = {"steps": self.progress.step, "hours": hours, "processes": self.accelerator.num_processes}
                facts |= {"skipped": self.progress.skipped} if self.progress.skipped else {}
                picture = self.keep(self.average or self.parts, facts | {"hardware": machine_name(), "torch": torch.__version__})
                if picture is not None and self._writer:
                    self._writer.add_image(f"{self.stage.name}/preview", read_picture(picture), self.progress.step, dataformats="HWC")

    @contextlib.contextmanager
    def _report(self) -> Iterator[Callable[[dict[str, Tensor]], None]]:
        """A function to call with each step's losses, which reports them now and then: a progress bar, and TensorBoard."""
        main = self.accelerator.is_main_process
        writer = self._writer = SummaryWriter(self.logs) if main and self.logs else None
        bar = tqdm(
            total=1000,
            desc=self.stage.name,
            disable=not main or self.tell is not None,
            mininterval=0.1 if sys.stderr.isatty() else 30.0,
            miniters=1,
            bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}",
        )  # fmt: skip   a log file keeps every line

        def report(losses: dict[str, Tensor]) -> None:
            if not self._reports():
                return
            values = self._of_all(losses)
            if not main:
                return
            for name, value in values.items() if writer else ():
                writer.add_scalar(f"{self.stage.name}/{name}", value, self.progress.step)
            if self.tell:
                self._tell(values)
            bar.set_postfix(step=self.progress.step, **{name: f"{values[name]:.4f}" for name in self.stage.shown if name in values})
            bar.update(int(self.share * 1000) - bar.n)

        with bar, writer or contextlib.nullcontext():
            yield report

    def _reports(self) -> bool:
        """Whether this step is reported: every so many and, where all processes know it, the last one."""
        known = self.accelerator.num_processes == 1 or self.settings.steps is not None
        return self.progress.step % REPORT == 0 or (known and self.share >= 1)

    def _of_all(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """A step's losses, of all processes together: means over theirs."""
        values = torch.stack([value.detach().float().to(self.accelerator.device) for value in losses.values()])
        return dict(zip(losses, self.accelerator.reduce(values, "mean").tolist(), strict=True))

    def _tell(self, losses: dict[str, float]) -> None:
        (done, whole), begun = self._done(), self._began
        here = time.monotonic() - begun[0]
        left = None if done <= begun[1] else here * (whole - done) / (done - begun[1])
        shown = {name: round(losses[name], 5) for name in self.stage.shown if name in losses}
        facts = {"done": round(min(done, whole), 1), "total": round(whole, 1), "eta_s": left and round(max(left, 0), 1)}
        self.tell({"event": "progress", "stage": self.stage.name, **facts, "step": self.progress.step, "losses": shown})


class _Losses(nn.Module):
    """A stage's losses as one module with all its parts, so that a distributed wrapper sees one forward pass."""

    def __init__(self, stage: Stage):
        super().__init__()
        self.parts, self.stage = nn.ModuleDict(stage.parts()), stage

    def forward(self, batch) -> dict[str, Tensor]:
        device = next(self.parameters()).device.type
        with contextlib.nullcontext() if self.stage.settings.half else torch.autocast(device, enabled=False):
            return self.stage.losses(batch)


def learning_rate(rate: float, final: float, warmup: int, step: int, share: float) -> float:
    """Linear warm-up by steps, then a cosine over the whole run down to `final` of the rate."""
    cosine = final + (1 - final) * (1 + math.cos(math.pi * share)) / 2
    return rate * min(1.0, (step + 1) / warmup) * cosine


@torch.no_grad()
def follow(average: nn.Module, part: nn.Module, decay: float) -> None:
    """Move an average of weights towards the weights."""
    torch._foreach_lerp_(list(average.parameters()), list(part.parameters()), 1 - decay)


@contextlib.contextmanager
def stop_signal() -> Iterator[list[int]]:
    """A list that is no longer empty once the run is asked to end (Ctrl-C, SIGTERM, a closed terminal): it stops after a checkpoint."""
    received: list[int] = []
    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if (number := getattr(signal, name, None))]
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    if threading.current_thread() is not threading.main_thread():  # Python's own rule
        numbers = []
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def accelerator_on(device: str) -> Accelerator:
    """What trains on a device, "auto", "cpu" or "cuda", and on all processes that were started with this one."""
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if has_bf16(device) else "no")


def has_bf16(device: str) -> bool:
    """Whether half precision is faster than single: where the processor multiplies it itself, elsewhere it is emulated."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
