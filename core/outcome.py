# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of one prompt of several: a mesh, or the reason why there is none. Without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import EngineError

if TYPE_CHECKING:
    from core.mesh import TexturedMesh


@dataclass(frozen=True)
class Made:
    """The object of prompt number `index`, counted from 0."""

    index: int
    mesh: "TexturedMesh"


@dataclass(frozen=True)
class Failed:
    """Why prompt number `index` has no object."""

    index: int
    error: EngineError
