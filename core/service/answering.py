# SPDX-License-Identifier: GPL-3.0-or-later
"""One request to generate or to retexture: its parameters checked, then a notification for each object, each failure, and the progress."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.canvas import Canvas
from core.errors import BadRequest, EngineError, Unfamiliar
from core.frame import SPAN
from core.limits import CLOUD_POINTS, EXAMPLE, check_blend, check_picture, check_seeds, check_share, check_styles, choose_detail
from core.outcome import Failed
from core.service.protocol import ProtocolError

SIZES = {"detail": "standard", "resolution": None, "texture_size": None, "triangles": None}  # of the mesh and its images
GUIDE = {"blend": None, "adherence": None}  # what shapes an object beside its prompt; with the array "cloud"
DEFAULTS = {"model": None, "prompts": None, "seeds": None, "styles": None, "strict": False, "glb": False, "picture": 0} | GUIDE | SIZES
PLANES = {"geometry", "texture", "condition", "height_m"}  # arrays of a refined object: those of core.networks.refined
OVER = 1e-3  # how far a cloud may lie beyond the frame, for rounding
ALL_KNOWN = {"familiar": True, "read_as": {}, "set_aside": [], "not_understood": []}  # of a prompt that a model without memory was given

Notify = Callable[..., None]  # (method, params, arrays=None)


def generate(pipeline: Any, params: Any, arrays: dict, notify: Notify, cancelled: Callable[[], bool]) -> tuple[int, int]:
    """Make what a request asks for. Each object is a notification "object", with its arrays, as soon as it is ready; each that has none
    is a notification "failed". Where pictures are asked for, "picture" follows its object: the click does not wait for it. arrays: those
    of the request. Returns how many objects and failures there were. Raises BadRequest before any work, Cancelled during it."""
    settings = checked_settings(params, [model.id for model in pipeline.models])
    settings["planes"] = checked_planes(arrays, settings["model"])
    settings["cloud"] = checked_cloud(arrays, settings["adherence"])
    return _make(pipeline, settings, notify, cancelled)


def retexture(pipeline: Any, params: Any, arrays: dict, notify: Notify, cancelled: Callable[[], bool]) -> tuple[int, int]:
    """Give the mesh of a request's arrays (those of `core.canvas.Canvas`) the look of what each of its prompts describes. All else is as
    `generate` has it; each object is that mesh, with UVs and images. The parameter "follow" (true) is the canvas's."""
    follow = True
    if isinstance(params, dict):
        params = dict(params)
        follow = params.pop("follow", True)
    if not isinstance(follow, bool):
        raise BadRequest("The parameter 'follow' is true or false.")
    settings = checked_settings(params, [model.id for model in pipeline.models])
    guide = {"cloud", *PLANES}
    settings["planes"] = checked_planes(arrays, settings["model"])
    settings["cloud"] = checked_cloud({name: arrays[name] for name in guide & arrays.keys()}, settings["adherence"])
    settings["canvas"] = Canvas.of({name: array for name, array in arrays.items() if name not in guide}, follow)
    return _make(pipeline, settings, notify, cancelled)


def _make(pipeline: Any, settings: dict, notify: Notify, cancelled: Callable[[], bool]) -> tuple[int, int]:
    """Make what settings that were checked ask for, and tell of each object; returns how many there are, and how many failed."""
    glb, picture, made, failed = settings.pop("glb"), settings.pop("picture"), 0, 0

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
        elif picture and (png := pipeline.picture(outcome.mesh, picture)):
            notify("picture", {"index": outcome.index}, {"picture": np.frombuffer(png, np.uint8)})
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
    settings["blend"], settings["picture"] = check_blend(settings["blend"]), check_picture(settings["picture"])
    if settings["adherence"] is not None:
        check_share(settings["adherence"], "adherence")
    for name in ("glb", "strict"):
        if not isinstance(settings[name], bool):
            raise BadRequest(f"The parameter {name!r} is true or false.")
    return settings


def checked_cloud(arrays: dict[str, np.ndarray], adherence: float | None) -> np.ndarray | None:
    """The request's cloud, points and outward normals [N, 6] f32 in the model's frame; None without one. Raises BadRequest."""
    if unknown := sorted(arrays.keys() - {"cloud", *PLANES}):
        raise BadRequest(f"The engine does not know the array {unknown[0][:40]!r}.", "", "Update the engine.")
    cloud = arrays.get("cloud")
    if cloud is None:
        if adherence is not None:
            raise BadRequest("An adherence needs a shape to keep to.", "", "Give a cloud as well, or leave adherence out.")
        return None
    least, most = CLOUD_POINTS
    if cloud.dtype != np.float32 or cloud.ndim != 2 or cloud.shape[1] != 6 or not least <= len(cloud) <= most:
        shape = "x".join(map(str, cloud.shape))
        raise BadRequest(f"The cloud is {cloud.dtype} {shape}, not {least} to {most} rows of six float32 numbers.")
    if not np.isfinite(cloud).all() or np.abs(cloud[:, :3]).max() > SPAN / 2 + OVER or np.abs(cloud[:, 3:]).max() > 1 + OVER:
        raise BadRequest(f"The cloud's points are not all within ±{SPAN / 2:g}, with unit normals.", "", "Scale the shape to the frame.")
    return np.array(cloud)  # the message's own memory is read-only


def checked_planes(arrays: dict[str, np.ndarray], model: str | None) -> dict[str, np.ndarray] | None:
    """The request's planes of a refined object, f32, as `core.networks.generator.Fields` has them; None without. Raises BadRequest: whether
    they fit their model, that model says."""
    planes = {name: np.array(arrays[name]) for name in PLANES if name in arrays}  # the message's own memory is read-only
    if not planes:
        return None
    if missing := sorted(PLANES - planes.keys()):
        raise BadRequest(f"The planes lack the array {missing[0]!r}.", "", "Send all that the file of a refined object holds.")
    if strange := sorted(name for name, array in planes.items() if array.dtype != np.float32):
        raise BadRequest(f"The array {strange[0]!r} is {planes[strange[0]].dtype}, not float32.")
    if model is None:
        raise BadRequest("A refined object is made again by its own model alone.", "The request names none.", "Install that model.")
    return planes


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
        **{name: getattr(mesh, name) for name in ("transmission", "emission") if getattr(mesh, name)},
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
