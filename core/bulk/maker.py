# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker: makes one object at a time, and gives it back as the file that Blender's side puts together a library from."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadRequest, EngineError, plain_error
from core.limits import DETAILS
from core.outcome import Failed


@dataclass(frozen=True)
class Want:
    """One object to be made. key: the name of its file, without suffix. model "": the one that knows the prompt best."""

    key: str
    prompt: str
    seed: int
    model: str
    quality: str


@dataclass(frozen=True)
class Failure:
    """Why there is no object: the words of an EngineError, which every machine can read."""

    kind: str
    message: str

    def __str__(self) -> str:
        return self.message


def read_wants(path: Path) -> list[Want]:
    """The objects that a file asks for, one JSON object a line. Raises BadRequest with the first line that is none."""
    wants = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            want = Want(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise BadRequest(f"{path}:{number} asks for no object: {error}.") from error
        if not want.key.isalnum() or want.quality not in DETAILS:
            raise BadRequest(f"{path}:{number} has a key or a quality that cannot be.")
        wants.append(want)
    return wants


class Maker:
    """Holds the models of one process. Raises what `load` raises."""

    def __init__(self, load: Callable[[], Any], strict: bool = False):
        self.pipeline, self.strict = load(), strict

    def facts(self) -> str:
        """On what it computes."""
        return str(self.pipeline.device)

    def make(self, want: Want) -> bytes | Failure:
        """The file of an object, or why there is none. Raises nothing but what ends the process."""
        asked = {"detail": want.quality, **({"model": want.model} if want.model else {})}
        try:
            if want.model and want.model not in [model.id for model in self.pipeline.models]:
                raise BadRequest(f"There is no model {want.model!r} on this worker.", "", "Install it on every node.")
            silent = {"progress": lambda *_: None, "cancelled": lambda: False}
            for outcome in self.pipeline.stream([want.prompt], seeds=[want.seed], styles=[None], strict=self.strict, **asked, **silent):
                return failed(outcome.error) if isinstance(outcome, Failed) else message(outcome.mesh, want, asked)
            raise EngineError("internal", "The model made nothing for this prompt.")
        except Exception as error:
            return failed(plain_error(error))


def failed(error: EngineError) -> Failure:
    return Failure(error.code, str(error))


def message(mesh: Any, want: Want, asked: dict) -> bytes:
    """An object as its file holds it: a blob of the wire, with what was asked for beside what the worker would say."""
    from core.service.answering import object_arrays, object_facts
    from core.service.protocol import write_message

    facts, blob = object_facts(mesh), io.BytesIO()
    about = {"prompt": facts["prompt"], "seed": want.seed, "settings": asked, "fields": facts, "style": None}
    write_message(blob, about, object_arrays(mesh, glb=False))
    return blob.getvalue()
