# SPDX-License-Identifier: GPL-3.0-or-later
"""One request to generate: its parameters checked, then a notification for each object, for each that failed, and for the progress."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.errors import BadRequest, EngineError, Unfamiliar
from core.limits import EXAMPLE, check_seeds, check_styles, choose_detail
from core.outcome import Failed
from core.service.protocol import ProtocolError

SIZES = {"detail": "standard", "resolution": None, "texture_size": None, "triangles": None}  # of the mesh and its images
DEFAULTS = {"model": None, "prompts": None, "seeds": None, "styles": None, "strict": False, "glb": False} | SIZES
ALL_KNOWN = {"familiar": True, "read_as": {}, "set_aside": [], "not_understood": []}  # of a prompt that a model without memory was given

Notify = Callable[..., None]  # (method, params, arrays=None)


def generate(pipeline: Any, params: Any, notify: Notify, cancelled: Callable[[], bool]) -> tuple[int, int]:
    """Make what a request asks for. Each object is a notification "object", with its arrays, as soon as it is ready; each that has none
    is a notification "failed". Returns how many there were of both. Raises BadRequest before any work, Cancelled during it."""
    settings = checked_settings(params, [model.id for model in pipeline.models])
    glb, made, failed = settings.pop("glb"), 0, 0

    def progress(stage: str, done: int, total: int) -> None:
        notify("progress", {"stage": stage, "done": int(done), "total": int(total)})

    for outcome in pipeline.stream(settings.pop("prompts"), **settings, progress=progress, cancelled=cancelled):
        error = outcome.error if isinstance(outcome, Failed) else None
        if not error:
            try:
                notify("object", {"index": outcome.index, **object_facts(outcome.mesh)}, object_arrays(outcome.mesh, glb))
            except ProtocolError as reason:
                error = BadRequest("The object is too large to be sent.", str(reason), "Choose a lower detail.")
        if error:
            notify("failed", {"index": outcome.index, "message": error.message, **told(error)})
        made, failed = made + (not error), failed + bool(error)
    return made, failed


def checked_settings(params: Any, models: Sequence[str]) -> dict[str, Any]:
    """The request's parameters with the defaults filled in; raises BadRequest with one sentence on the first that is wrong. A prompt that
    cannot be used fails later, and alone. models: the ids of those that are there; the setting None (or "auto") stands for the one that
    knows the prompt best."""
    if not isinstance(params, dict):
        raise BadRequest("The request has no parameters.")
    if unknown := sorted(map(str, params.keys() - DEFAULTS.keys())):
        raise BadRequest(f"The engine does not know the parameter {unknown[0][:40]!r}.", "", "Update the engine.")
    settings = DEFAULTS | params
    if settings["model"] == "auto" and "auto" not in models:
        settings["model"] = None
    if settings["model"] is not None and settings["model"] not in models:
        cause, remedy = f"Installed: {', '.join(models)}.", "Choose one of these, or Automatic."
        raise BadRequest(f"There is no model {str(settings['model'])[:40]!r}.", cause, remedy)
    if not _list(settings["prompts"], "prompts"):
        raise BadRequest("There is no prompt.", "", EXAMPLE)
    seeds = [0] * len(settings["prompts"]) if settings["seeds"] is None else _list(settings["seeds"], "seeds")
    settings["seeds"] = check_seeds(seeds, len(settings["prompts"]))
    settings["styles"] = check_styles(settings["styles"] and _list(settings["styles"], "styles"), len(settings["prompts"]))
    choose_detail(**{name: settings[name] for name in SIZES})
    for name in ("glb", "strict"):
        if not isinstance(settings[name], bool):
            raise BadRequest(f"The parameter {name!r} is true or false.")
    return settings


def _list(value: Any, what: str) -> list:
    if not isinstance(value, list):
        raise BadRequest(f"The request needs a list of {what}.")
    return value


def object_facts(mesh: Any) -> dict:
    """What is said of a `core.mesh.TexturedMesh` beside its arrays."""
    return {
        "prompt": mesh.prompt,
        "seed": int(mesh.seed),
        "style": None if mesh.style is None else list(mesh.style),
        "height_m": float(mesh.height_m),
        "height_known": mesh.height_known,
        "model": mesh.model,
        "detail": mesh.detail,
        "timings_ms": {stage: float(ms) for stage, ms in mesh.timings_ms.items()},
        "triangles": len(mesh.triangles),
        **ALL_KNOWN,
        **mesh.familiarity,
        "notes": list(mesh.notes),
        "color": [float(channel) for channel in mesh.color],
        "roughness": mesh.roughness,
        "metallic": mesh.metallic,
    }


def object_arrays(mesh: Any, glb: bool) -> dict[str, np.ndarray]:
    """Its arrays by name; an image is left out where it would be one value everywhere, which the facts tell."""
    types = {"vertices": np.float32, "triangles": np.int32, "uvs": np.float32, "sharp": np.int32, "seams": np.int32}
    arrays = {name: np.asarray(getattr(mesh, name), kind) for name, kind in types.items()}
    images = {"base_color": mesh.base_color, "metallic_roughness": mesh.metallic_roughness, "glb": mesh.to_glb() if glb else None}
    return arrays | {name: np.frombuffer(data, np.uint8) for name, data in images.items() if data is not None}


def told(error: EngineError) -> dict:
    """What is said of an error beside its message."""
    data = {"kind": error.code, "cause": error.cause, "remedy": error.remedy}
    if isinstance(error, Unfamiliar):
        data |= {"prompt": error.prompt, "things": error.things, "example": error.example}
    return data
