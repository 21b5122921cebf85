# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of the starter library, by name."""

from core.library.kind import Kind
from core.library.kinds import buildings, containers, food, furniture, plants, tools, toys, vehicles

KINDS: dict[str, Kind] = {
    kind.name: kind for module in (furniture, containers, tools, food, plants, buildings, vehicles, toys) for kind in module.KINDS
}
