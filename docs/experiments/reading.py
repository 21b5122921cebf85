# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model reads words that it never saw (experiment 20): `python docs/experiments/reading.py [MODEL]`, in the engine's environment."""

import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import reading  # noqa: E402
from core.familiarity import KnownPrompts  # noqa: E402
from core.library import grammar  # noqa: E402
from core.text import TextEncoder  # noqa: E402

NAMES = {
    "tree": "maple elm willow fir palm birch spruce sapling", "pumpkin": "squash melon", "truck": "van bus pickup tractor",
    "boat": "canoe rowboat ferry kayak", "chair": "stool sofa armchair throne seat", "mug": "goblet tankard beaker", "teapot": "pot",
    "tower": "skyscraper lighthouse minaret", "house": "mansion villa barn shed home", "flower": "rose tulip lily orchid sunflower",
    "mushroom": "fungus champignon truffle", "rock": "pebble stone meteorite", "fish": "trout shark salmon goldfish",
    "duck": "swan goose mallard", "sword": "dagger katana saber rapier", "rocket": "missile spacecraft", "tent": "marquee teepee wigwam",
    "cake": "pie muffin cupcake tart", "crown": "tiara", "chest": "suitcase trunk", "lamp": "lantern torch", "vase": "jar pitcher amphora",
    "apple": "pear peach", "table": "counter workbench", "car": "coupe taxi convertible", "robot": "cyborg automaton", "bench": "pew",
    "cactus": "succulent", "crate": "pallet carton", "shield": "armor",
}  # fmt: skip
FOREIGN = (
    "dragon laptop computer horse dog cat man guitar piano airplane dinosaur shoe hat book phone cloud river banana hamburger bicycle "
    "telephone camera elephant spider monster thing object penguin rabbit train helicopter clock bottle spoon fork umbrella glasses ball "
    "pen pencil key hammer wrench ladder bridge fence door window wheel drum violin bear lion snake bird frog turtle zebra pyramid jelly "
    "pillar blanket campfire"
)
QUALITIES = {
    "clay": "terracotta earthenware", "wood": "pine mahogany bamboo timber lumber plywood walnut",
    "metal": "steel iron copper aluminium brass tin", "ceramic": "porcelain pottery",
    "fabric": "linen velvet denim silk knitted textile woolen cotton canvas felt", "gold": "gilded",
    "stone": "granite limestone concrete stony", "plastic": "acrylic vinyl", "leather": "suede",
    "glossy": "polished lustrous gleaming sleek reflective varnished", "matte": "flat", "stripes": "pinstriped lined banded",
    "spots": "speckled freckled dappled", "checks": "plaid tartan chessboard gingham",
}  # fmt: skip
PLAIN = (
    "lengthy colorful sleepy angry cute old antique broken medieval fast magical cozy futuristic lovely spooky modern cheap heavy soft "
    "fancy elegant rustic dirty clean hot cold fluffy sad happy haunted enchanted fat skinny long new wet dry sharp blunt round square "
    "oval curved bent tilted empty full open closed burning frozen glowing wild tame young funny scary friendly realistic cartoon stylized "
    "detailed simple beautiful ugly strong weak quiet loud sweet sour tasty toy vintage retro gothic nordic chinese japanese viking pirate "
    "alien space christmas halloween summer winter seen pointed smart stainless titanium opaque transparent brushed"
)


def main(folder: Path) -> None:
    text = TextEncoder()
    known = KnownPrompts.load(folder, torch.device("cpu"), text.width).vocabulary
    meanings = {word: {kind} for word, kind in reading.THINGS.items()}
    for table in (grammar.MATERIAL_ADJECTIVES, grammar.MATERIAL_NOUNS, grammar.PATTERN_ADJECTIVES, grammar.FINISH_WORDS):
        for meaning, words in table.items():
            for word in words:
                meanings.setdefault(word, set()).add(meaning)

    def read(title: str, template: str, wanted: list[tuple[str, str | None]]) -> None:
        strange = [(word, meaning) for word, meaning in wanted if not known.knows(word)]
        found = [(word, known.read(template.format(word), text).read_as.get(word), meaning) for word, meaning in strange]
        right = sum(new is not None and meaning in meanings.get(new, ()) for _, new, meaning in found)
        other = [f"{word} → {new}" for word, new, meaning in found if new is not None and meaning not in meanings.get(new, ())]
        print(f"{title}: {len(strange)} words, {right} read right, {len(other)} as something else: {', '.join(other)}")

    read("names of its kinds", "a {}", [(word, kind) for kind, words in NAMES.items() for word in words.split()])
    read("foreign things", "a {}", [(word, None) for word in FOREIGN.split()])
    read("materials, patterns, finishes", "a {} tower", [(word, meaning) for meaning, words in QUALITIES.items() for word in words.split()])
    read("other adjectives", "a {} tower", [(word, None) for word in PLAIN.split()])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "core" / "weights" / "starter")
