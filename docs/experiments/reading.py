# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model reads words that it never saw, and what it warns of (experiments 20 and 21): `python docs/experiments/reading.py [MODEL]`, in
the engine's environment."""

import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.language.encoder import TextEncoder  # noqa: E402
from core.language.familiarity import KnownPrompts  # noqa: E402
from core.library.starter import grammar  # noqa: E402

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


# Things written down after the bars had been set, none of them looked at before
MORE_FOREIGN = (
    "giraffe camel octopus butterfly bee squirrel fox wolf owl eagle crocodile whale dolphin kangaroo cow pig sheep goat chicken angel "
    "wizard witch knight princess soldier zombie skeleton skull fairy mermaid unicorn werewolf baby woman boy face hand foot eye tooth "
    "heart brain shirt jacket dress trousers boots gloves scarf belt ring necklace watch sunglasses backpack wallet coin map letter "
    "envelope newspaper painting mirror candle fireplace oven toaster fridge microwave dishwasher sink toilet bathtub shower radio "
    "television speaker microphone keyboard mouse printer tablet drone satellite telescope microscope compass scissors knife plate bowl "
    "pan pizza sandwich donut cookie cheese bread egg carrot tomato potato onion corn strawberry cherry grape pineapple coconut lettuce "
    "motorcycle scooter tram subway submarine skateboard anchor parachute balloon kite doll puppet chess trumpet flute harp violin "
    "volcano mountain island waterfall lake beach forest field road tunnel castle temple church stadium factory windmill well statue gun "
    "bow arrow cannon helmet bomb axe saw drill screw nail shovel broom rope chain lock"
)
ATTRIBUTES = (
    *grammar.COLOR_WORDS, "wooden", "metal", "plastic", "golden", "ceramic", "stone", "striped", "spotted", "checkered", "glossy", "matte",
    "small", "large", "tiny", "huge", "tall", "short", "wide", "thin", "dark red", "light blue", "red and white striped", "tall golden",
)  # fmt: skip
ARTISTS = (
    "a {}", "a stylized {}, game asset", "low poly {}", "a cute cartoon {}", "a realistic {}", "3d model of a {}", "a photo of a {}, 4k",
    "{}, highly detailed, pbr", "an isometric {}, hand painted", "a {}, unreal engine 5, octane render", "a beautiful {}, blender, 8k",
    "a low-poly {} with white background", "game-ready {} for unity, PBR textures", "please make me a {} in pixar style",
    "photorealistic {}, studio lighting, trending on artstation", "a {} without background", "an old, rusty {}", "a magical {} on a hill",
)  # fmt: skip
STRANGERS = (
    "a {}", "a red {}", "a low poly {}, game asset", "a 3d model of a {}", "a wooden {} with white spots", "a cute {} in a house",
    "realistic {}, 4k",
)  # fmt: skip
UNWANTED = (  # what is excluded, and whether a prompt's reading says it nevertheless
    "a chair but not {}", "a {k}, not {}", "a {k} that is not {}", "a {k} without {}", "a {k} with no {}", "a {k}, no {}", "a not {} {k}",
    "a non-{} {k}", "a {k} never painted {}", "a {k} minus the {}", "a {k} lacking {}", "a {k} free of {}", "a {}-free {k}",
    "a {k} that doesn't have any {}", "a {k} that isn't {}", "a big {k}, anything but {}", "a {k} neither {} nor green",
    "an un{} {k}", "an un-{} {k}", "a {}-less {k}", "a {k}, nothing {}", "a {k} with zero {}", "a {k} with none of the {}",
    "a {k} with hardly any {}", "a {k} that avoids {}", "a {k}, avoiding {}", "a {k} in any color but {}",
)  # fmt: skip


def main(folder: Path) -> None:
    text = TextEncoder()
    known = KnownPrompts.load(folder, torch.device("cpu"), text.width).vocabulary
    count_exchanged(known, text)
    kinds = json.loads((folder / "config.json").read_text())["kinds"]
    names = [name for kind in kinds for name in (kind, *grammar.KINDS[kind].synonyms) if known.knows(name)]
    usual = [artist.format(f"{said} {name}") for artist, said, name in itertools.product(ARTISTS, ATTRIBUTES, names)]
    count_alarms("false alarms: known things with usual attributes and artists' words", usual, False, known, text)
    for title, words in (("missed alarms", FOREIGN), ("missed alarms, things written down afterwards", MORE_FOREIGN)):
        strangers = [stranger.format(word) for stranger in STRANGERS for word in words.split() if not known.knows(word)]
        count_alarms(title, strangers, True, known, text)
    count_unwanted(kinds, known, text)


def count_alarms(title: str, prompts: list[str], wanted: bool, known, text: TextEncoder) -> None:
    """How many prompts are judged otherwise than they should be, and the first words of some of them."""
    wrong = [prompt for prompt in prompts if known.read(prompt, text).familiar == wanted]
    print(f"{title}: {len(wrong)} of {len(prompts)} ({100 * len(wrong) / len(prompts):.1f} %)", "; ".join(wrong[:8]))


def count_unwanted(kinds: list[str], known, text: TextEncoder) -> None:
    """How many prompts are read as what they exclude."""
    said = ["red", "blue", "wooden", "metal", "striped", "spots", "stripes"]
    prompts = [(p.replace("chair", "{k}").replace("{k}", kind).format(word), word) for p in UNWANTED for kind in kinds for word in said]
    wrong = [prompt for prompt, word in prompts if word in known.read(prompt, text).text.split()]
    print(f"read as what they exclude: {len(wrong)} of {len(prompts)}", "; ".join(wrong[:8]))


def count_exchanged(known, text: TextEncoder) -> None:
    """How many strange words are exchanged for those that mean the same."""
    meanings = {word: {kind} for word, kind in known.taught.nouns.items()}
    for table in (grammar.MATERIAL_ADJECTIVES, grammar.MATERIAL_NOUNS, grammar.PATTERN_ADJECTIVES, grammar.FINISH_WORDS):
        for meaning, words in table.items():
            for word in words:
                meanings.setdefault(word, set()).add(meaning)

    def read(title: str, template: str, wanted: list[tuple[str, str | None]]) -> None:
        strange = [(word, meaning) for word, meaning in wanted if not known.knows(word)]
        readings = {word: known.read(template.format(word), text) for word, _ in strange}
        found = [(word, readings[word].read_as.get(word), meaning) for word, meaning in strange]
        right = [word for word, new, meaning in found if new is not None and meaning in meanings.get(new, ())]
        other = [f"{word} → {new}" for word, new, meaning in found if new is not None and word not in right]
        sure = Counter(word in right for word, new, _ in found if new is not None and readings[word].familiar)
        print(f"{title}: {len(strange)} words, {len(right)} read right ({sure[True]} without a warning), {len(other)} as something else "
              f"({sure[False]}): {', '.join(other)}")  # fmt: skip

    read("names of its kinds", "a {}", [(word, kind) for kind, words in NAMES.items() for word in words.split()])
    read("foreign things", "a {}", [(word, None) for word in FOREIGN.split()])
    read("materials, patterns, finishes", "a {} tower", [(word, meaning) for meaning, words in QUALITIES.items() for word in words.split()])
    read("other adjectives", "a {} tower", [(word, None) for word in PLAIN.split()])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "core" / "weights" / "starter")
