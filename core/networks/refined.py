# SPDX-License-Identifier: GPL-3.0-or-later
"""What refining an object leaves: its own planes, in a file of which it is made again at any detail, without a prior."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.errors import BadRequest
from core.files import replace_file
from core.networks.generator import Fields
from core.networks.presets import GeneratorConfig

PLANES = tuple(field.name for field in fields(Fields))  # the names of its tensors, in the file and on the wire
SUFFIX = ".planes.safetensors"


@dataclass(frozen=True)
class Refined:
    """An object's fields, and what they were made of: model, prompt, seed, steps."""

    fields: Fields
    facts: dict

    def save(self, path: Path) -> None:
        """Raises EngineError when it cannot be written, and leaves the old file."""
        tensors = {name: value.detach().float().cpu().contiguous() for name, value in vars(self.fields).items()}
        replace_file(path, lambda name: save_file(tensors, name, {"refined": json.dumps(self.facts)}))

    @staticmethod
    def load(path: Path, model: str, device: torch.device) -> "Refined":
        """Raises BadRequest for a file that is none, or of another model than the one of this id."""
        try:
            with safe_open(path, "pt", device=str(device)) as file:
                facts = json.loads((file.metadata() or {})["refined"])
                made, own = Fields(*(file.get_tensor(name) for name in PLANES)), facts["model"]
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise BadRequest(f"{path} holds no refined object.", str(error), f"Name the {SUFFIX} beside the mesh.") from error
        if own != model:
            raise BadRequest(f"{path} was made by the model {own}.", f"This is {model}.", "Name that model.")
        return Refined(made, facts)


def check_planes(planes: Fields, config: GeneratorConfig) -> None:
    """Raises BadRequest for planes that a model of these sizes cannot read, or that are of no object."""
    geometry, texture, condition, height = (getattr(planes, name) for name in PLANES)
    sides = [t.shape[-1] if t.ndim == 5 else 0 for t in (geometry, texture)]
    shapes = [(1, 3, config.plane_channels, side, side) for side in sides] + [(1, config.condition), (1,)]
    fits = all(tuple(t.shape) == shape for t, shape in zip((geometry, texture, condition, height), shapes, strict=True))
    if not fits or sides[0] != config.resolution or sides[1] % sides[0] or not sides[1]:
        raise BadRequest("This refined object is of another model.", "Its planes have other sizes than this model's.", "Choose its model.")
    if not all(t.isfinite().all() for t in (geometry, texture, condition, height)):
        raise BadRequest("The planes of this refined object are damaged.", "They hold what is no number.", "Refine it again.")
    if not height > 0:
        raise BadRequest("The planes of this refined object are damaged.", "It has no height.", "Refine it again.")
