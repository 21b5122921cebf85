# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object that is refined began from, beside its prompt and seed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import BadRequest
from core.limits import check_blend, check_share, check_styles
from core.networks.generator import Fields
from core.networks.refined import PLANES


@dataclass(frozen=True)
class Start:
    """style: z itself. blend: another prompt and its share. cloud: a shape, points and normals [N, 6] in the model's frame; adherence: α.
    planes: of an earlier refinement, which goes on; then the others are not looked at. digest: of all of them."""

    style: tuple[float, ...] | None = None
    blend: tuple[str, float] | None = None
    adherence: float | None = None
    cloud: Tensor | None = None
    planes: Fields | None = None
    digest: str = ""

    @property
    def facts(self) -> dict:
        """What tells it from others; nothing for a prompt and a seed alone."""
        return {"start": self.digest} if self.digest else {}

    @staticmethod
    def load(path: Path) -> "Start":
        """Of a file in the wire's format: one safetensors blob, JSON under "rpc" in its metadata. Raises BadRequest."""
        try:
            with safe_open(path, "pt") as file:
                said, names = json.loads((file.metadata() or {}).get("rpc", "{}")), set(file.keys())
                tensors = {name: file.get_tensor(name) for name in ("cloud", *PLANES) if name in names}
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            style, blend, adherence = (said.get(name) for name in ("style", "blend", "adherence"))
        except (OSError, SafetensorError, ValueError, AttributeError) as error:
            raise BadRequest(f"The start {path} cannot be read.", str(error), "Refine the object anew.") from error
        planes, cloud = {name: tensors[name].float() for name in PLANES if name in tensors}, tensors.get("cloud")
        if planes and len(planes) < len(PLANES):
            raise BadRequest(f"The start {path} holds a part of an object's planes alone.", "", "Refine the object anew.")
        if cloud is not None and (cloud.ndim != 2 or cloud.shape[1] != 6 or not cloud.isfinite().all()):
            raise BadRequest(f"The cloud of {path} is no list of points with normals.", "", "Give [N, 6] finite numbers.")
        if adherence is not None:
            check_share(adherence, "adherence")
        return Start(check_styles([style], 1)[0], check_blend(blend), adherence, cloud, Fields(**planes) if planes else None, digest)


PLAIN = Start()  # a prompt and a seed alone
