# SPDX-License-Identifier: GPL-3.0-or-later
"""What the starter library teaches a model about its words."""

from functools import lru_cache

from core.language.words import ThingWords, Words
from core.library.starter import grammar
from core.library.starter.kind import Kind
from core.library.starter.kinds import KINDS
from core.library.starter.palette import COLORS, FINISHES, MATERIALS

_TABLES = (
    ("color", grammar.COLOR_WORDS), ("material", grammar.MATERIAL_NOUNS), ("pattern", grammar.PATTERN_NOUNS),
    ("finish", grammar.FINISH_WORDS), ("proportion", grammar.PROPORTION_WORDS), ("size", grammar.SIZE_WORDS),
    ("shade", grammar.SHADE_WORDS), ("count", grammar.COUNT_WORDS), ("material", grammar.MATERIAL_ADJECTIVES),
    ("pattern", grammar.PATTERN_ADJECTIVES),
)  # fmt: skip
_USED_ALIKE = ("color", "size", "proportion", "shade", "count")  # attributes whose words are near to one another and mean different things
_SEEN = "spotted"  # is near to "seen" and "pointed"


@lru_cache(maxsize=1)
def starter_words() -> Words:
    """Of all kinds, also those that a model has not learnt: a pear is no cactus, though the model knows no pears."""
    values = [(what, value, phrase) for what, table in _TABLES for value, phrases in table.items() for phrase in phrases]
    attributes = {word: (what, value) for what, value, phrase in values for word in phrase.split()}
    named = (grammar.MATERIAL_NOUNS, grammar.PATTERN_ADJECTIVES, grammar.FINISH_WORDS)
    qualities = [words[0] for table in named for words in table.values()]  # not all: "golden" is near to "smart", "dull" to "sharp"
    trees = [name for kind in ("tree", "pine") for name in (kind, *KINDS[kind].synonyms) if " " not in name and name != "tree"]
    return Words(
        attributes=attributes,
        qualities=tuple(word for word in qualities if word != _SEEN),
        opposites=tuple(word for word, (what, _) in attributes.items() if what in _USED_ALIKE),
        things={kind.name: _words_of(kind) for kind in KINDS.values()},
        colors=tuple(COLORS),
        finishes=tuple(FINISHES),
        metals=tuple(name for name, finish in MATERIALS.items() if finish.metallic),
        woods=tuple(trees),
        adjectives={name: words[0] for name, words in grammar.MATERIAL_ADJECTIVES.items()},
    )


def _words_of(kind: Kind) -> ThingWords:
    part, grown = kind.second, kind.family == "plants" and "wood" not in kind.materials
    return ThingWords((kind.name, *kind.synonyms), part.name, part.color, part.optional, kind.colors, kind.materials, grown)
