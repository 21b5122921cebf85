# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a resumption needs, in one file, with the identity of its run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.errors import BadRequest
from core.files import replace_file

FORMAT = 1
Parts = Mapping[str, nn.Module]


@dataclass
class Progress:
    """Of a stage: steps made, the seconds that they took, and how many of them were skipped, since their losses were no numbers."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0


class Checkpoint:
    """A file that holds the stage that a run is in: its parts, their moving average, the optimiser's moments, its progress.

    identity: what a run must have in common with the one that wrote the file, by the names that error messages use: preset, kinds …
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]):
        self.path, self.identity = path, json.loads(json.dumps(identity))  # as they come back from a file

    def position(self) -> tuple[str, bool] | None:
        """The stage that the run is in and whether that is finished, None before its first checkpoint. Raises BadRequest when the file
        is another run's, or damaged."""
        head = self._head()
        return head and (head["stage"], head["finished"])

    def save(self, stage: str, finished: bool, parts: Parts, average: Parts, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Replace the file. Raises EngineError when it cannot be written, and leaves the old one."""
        state = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}
        state |= {f"average.{name}.{k}": v for name, part in average.items() for k, v in part.state_dict().items()}
        names = _learning(parts, optimizer)
        for i, moments in optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{names[i]}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        state = {k: v.detach().cpu().clone().contiguous() for k, v in state.items()}
        head = {"format": FORMAT, "identity": self.identity, "stage": stage, "finished": finished, "progress": asdict(progress)}
        replace_file(self.path, lambda path: save_file(state, path, {"run": json.dumps(head)}))

    def load(self, stage: str, parts: Parts, average: Parts, optimizer: torch.optim.Optimizer) -> Progress:
        """Take up the stage where the file left it; at its beginning where there is no file, or it is of the stage before, which is
        finished. Raises BadRequest when it cannot be taken up."""
        head = self._head()
        if head is None or (head["stage"] != stage and head["finished"]):
            return Progress()
        if head["stage"] != stage:
            raise self._refusal(f"It is in the stage {head['stage']}, not {stage}.")
        try:
            state = load_file(self.path)
            for name, part in parts.items():
                part.load_state_dict(_under(f"{name}.", state))
            for name, part in average.items():
                part.load_state_dict(_under(f"average.{name}.", state))
            _load_moments(optimizer, _learning(parts, optimizer), _under("optimizer.", state))
        except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
            raise self._refusal(str(error).splitlines()[-1].strip()) from error
        return Progress(**head["progress"])

    def _head(self) -> dict | None:
        """The file's metadata; None where there is no file."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                head = json.loads((file.metadata() or {}).get("run", "{}"))
        except (OSError, SafetensorError, ValueError) as error:
            raise self._refusal(f"Its checkpoint is damaged: {error}") from error
        if head.get("format") != FORMAT:
            remedy = "Its model is whole: go on from that with --from, in another folder."
            raise self._refusal("Another version of LATTE3D wrote its checkpoint.", remedy)
        for name, own in self.identity.items():
            if (other := head["identity"].get(name)) != own:
                raise self._refusal(f"It is of the {name} {_text(other)}, not {_text(own)}.")
        return head

    def _refusal(self, cause: str, remedy: str = "Give what it was begun with, or another folder, and this one as --from.") -> BadRequest:
        return BadRequest(f"The run of {self.path} cannot be resumed.", cause, remedy)


def _learning(parts: Parts, optimizer: torch.optim.Optimizer) -> list[str]:
    """The names of an optimiser's parameters, in its order."""
    names = {id(p): f"{name}.{k}" for name, part in parts.items() for k, p in part.named_parameters()}
    return [names[id(p)] for group in optimizer.param_groups for p in group["params"]]


def _load_moments(optimizer: torch.optim.Optimizer, names: list[str], moments: dict[str, Tensor]) -> None:
    """Give each parameter its moments back. Raises ValueError when they are of others."""
    state: dict[int, dict[str, Tensor]] = {}
    numbers = {name: i for i, name in enumerate(names)}
    for key, value in moments.items():
        name, _, moment = key.rpartition(".")
        if name not in numbers:
            raise ValueError(f"{name} learnt there, and does not here.")
        state.setdefault(numbers[name], {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
