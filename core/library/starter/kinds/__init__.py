# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of the starter library, by name."""

from core.library.starter.kind import Kind
from core.library.starter.kinds import (
    animals,
    buildings,
    containers,
    food,
    furniture,
    keepsakes,
    kitchen,
    lights,
    outdoors,
    plants,
    tools,
    toys,
    vehicles,
)

_FAMILIES = (furniture, containers, kitchen, lights, tools, keepsakes, food, plants, animals, buildings, outdoors, vehicles, toys)
KINDS: dict[str, Kind] = {kind.name: kind for family in _FAMILIES for kind in family.KINDS}
