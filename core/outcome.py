# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of one prompt of several: a mesh, or the reason why there is none. Without torch."""

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import EngineError, plain_error

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


def failure(index: int, error: Exception) -> Failed:
    """The outcome that an error makes of a prompt; one that nobody foresaw is logged with its traceback."""
    plain = plain_error(error)
    if plain is not error and plain.code == "internal":
        traceback.print_exception(error)
    return Failed(index, plain)
