# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of the starter library: descriptions drawn at random, and their wordings."""

import random
from collections.abc import Sequence

from core.errors import BadRequest
from core.language.lexicon import with_article
from core.library.starter.kind import Kind
from core.library.starter.kinds import KINDS
from core.library.starter.objects import COUNTS, PROPORTIONS, SIZES, Description
from core.library.starter.palette import COLORS, FINISHES, MATERIALS, PATTERNS, SHADES
from core.library.starter.splits import HELD_OUT_KINDS, split_of

# Words for one meaning; the first is the canonical one. Only true synonyms: "crimson" is another colour than red.
COLOR_WORDS: dict[str, tuple[str, ...]] = {name: (name,) for name in COLORS} | {"gray": ("gray", "grey")}
MATERIAL_ADJECTIVES: dict[str, tuple[str, ...]] = {name: (name,) for name in MATERIALS if name != "natural"} | {
    "wood": ("wooden", "wood"), "metal": ("metal", "metallic"), "gold": ("golden", "gold"), "clay": ("clay", "terracotta"),
    "fabric": ("fabric", "cloth"),
}  # fmt: skip
MATERIAL_NOUNS: dict[str, tuple[str, ...]] = {name: (name,) for name in MATERIALS if name != "natural"} | {
    "clay": ("clay", "terracotta"), "fabric": ("fabric", "cloth"),
}  # fmt: skip
PATTERN_ADJECTIVES: dict[str, tuple[str, ...]] = {
    "stripes": ("striped", "stripy"), "spots": ("spotted", "dotted", "polka dot"), "checks": ("checkered", "checked", "chequered"),
    "bricks": ("brick",), "grain": ("grained",),
}  # fmt: skip
PATTERN_NOUNS: dict[str, tuple[str, ...]] = {
    "stripes": ("stripes", "stripe pattern"), "spots": ("spots", "dots", "polka dots"), "checks": ("checks", "check pattern", "squares"),
    "bricks": ("bricks", "brick pattern"), "grain": ("wood grain", "grain"),
}  # fmt: skip
PROPORTION_WORDS: dict[str, tuple[str, ...]] = {
    "tall": ("tall", "high"), "short": ("short", "low"), "wide": ("wide", "broad"), "narrow": ("narrow",),
    "chunky": ("chunky", "thick", "stout"), "thin": ("thin", "slender"),
}  # fmt: skip
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "tiny": ("tiny", "miniature"), "small": ("small", "little"), "large": ("large", "big"), "huge": ("huge", "giant", "enormous"),
}  # fmt: skip
INKLESS = ("bricks", "grain")  # patterns whose colour is not named: it is that of the joints and of the rings
SHADE_WORDS: dict[str, tuple[str, ...]] = {"dark": ("dark",), "pale": ("pale", "light")}
FINISH_WORDS: dict[str, tuple[str, ...]] = {"glossy": ("glossy", "shiny", "polished"), "matte": ("matte", "matt", "dull")}
COUNT_WORDS: dict[str, tuple[str, ...]] = {name: (name, str(number)) for name, number in COUNTS.items()}

_RICHNESS = (0.10, 0.28, 0.33, 0.20, 0.09)  # how often a prompt names 0, 1, 2, 3, 4 attributes
_WEIGHTS = {"color": 3.0, "proportion": 2.0, "material": 1.8, "pattern": 1.4, "second": 1.6, "size": 0.4, "shade": 0.4, "finish": 0.4}
_OPENINGS = ("a 3D model of ", "3D model of ", "a model of ", "a render of ", "a picture of ", "an image of ")
_MASS = frozenset(
    {
        "bedding",
        "butter",
        "cheese",
        "chocolate",
        "cream",
        "fire",
        "foam",
        "foliage",
        "frosting",
        "fruit",
        "fur",
        "glass",
        "glaze",
        "grass",
        "hay",
        "honey",
        "ice",
        "icing",
        "ivy",
        "jam",
        "lava",
        "moss",
        "sand",
        "smoke",
        "snow",
        "soil",
        "straw",
        "sugar",
        "trim",
        "upholstery",
        "water",
        "wool",
    }
)  # fmt: skip   parts that are stuff, not things: no article
_NUMBERS = {number: name for name, number in COUNTS.items()}
_TRIES = 5000  # draws without a prompt of the wanted split before giving up


def sample_prompt(rng: random.Random, kinds: Sequence[str] | None = None, split: str | None = "train") -> tuple[Description, str]:
    """A random description and a wording of it, together of a split (None: of any). `kinds`: names out of KINDS (all of them).

    Raises BadRequest where there is none: the held-out kinds have no prompt that training may see.
    """
    if kinds is None and split == "kinds":
        kinds = HELD_OUT_KINDS
    for _ in range(_TRIES):
        description = sample_description(rng, kinds)
        text = word(description, rng)
        if split in (None, split_of(description, text)):
            return description, text
    names = "starter library" if kinds is None else ", ".join(kinds)
    raise BadRequest(f"There are no prompts of the split {split!r} about {names}.", "", f"Kept from training: {', '.join(HELD_OUT_KINDS)}.")


def sample_description(rng: random.Random, kinds: Sequence[str] | None = None) -> Description:
    """A random description that makes sense for its kind; many are short. `kinds`: names out of KINDS (all of them)."""
    kind = KINDS[rng.choice(list(KINDS) if kinds is None else kinds)]
    named = _draw_attributes(rng, kind)
    materials = [m for m in kind.materials if m != "natural" and not (m == "gold" and "color" in named)]
    material = rng.choice(materials) if "material" in named and materials else None
    pattern = _draw_pattern(rng, kind, material) if "pattern" in named else None
    color = rng.choice(list(COLORS)) if "color" in named else None
    near = {color} if color else set() if material else set(kind.colors[:2])  # ink and second part must show on the main colour
    others = [c for c in COLORS if c not in near]
    second = "second" in named
    counts = kind.second.counts if second and rng.random() < 0.5 else ()
    return Description(
        kind=kind.name,
        color=color,
        material=material,
        pattern=pattern,
        pattern_color=rng.choice(others) if pattern and pattern not in INKLESS and rng.random() < 0.6 else None,
        proportion=rng.choice(kind.proportions) if "proportion" in named else None,
        second=second,
        second_color=rng.choice(others) if second and rng.random() < (0.5 if kind.second.optional else 0.8) else None,
        size=rng.choice(list(SIZES)) if "size" in named else None,
        count=_NUMBERS[rng.choice(counts)] if counts else None,
        shade=rng.choice(list(SHADES)) if "shade" in named and color not in ("black", "white") else None,
        finish=_draw_finish(rng, kind, material) if "finish" in named else None,
    )


def _draw_attributes(rng: random.Random, kind: Kind) -> set[str]:
    """Which attributes the prompt names, out of those that the kind allows."""
    possible = dict(_WEIGHTS)
    if not [m for m in kind.materials if m != "natural"]:
        del possible["material"]
    if not kind.patterns:
        del possible["pattern"]
    if not kind.proportions:
        del possible["proportion"]
    named: set[str] = set()
    for _ in range(rng.choices(range(len(_RICHNESS)), _RICHNESS)[0]):
        names = list(possible)
        name = rng.choices(names, [possible[n] for n in names])[0]
        named.add(name)
        del possible[name]
    return named


def _draw_pattern(rng: random.Random, kind: Kind, material: str | None) -> str | None:
    """A pattern of the kind that the material can have: bricks are mineral, grain is wood's."""
    made_of = material or kind.materials[0]
    fits = {"grain": made_of == "wood", "bricks": made_of in ("stone", "clay", "marble", "ceramic", "natural")}
    patterns = [p for p in kind.patterns if fits.get(p, True)]
    return rng.choice(patterns) if patterns else None


def _draw_finish(rng: random.Random, kind: Kind, material: str | None) -> str | None:
    """A finish that differs visibly from the material's own."""
    usual = MATERIALS[material or kind.materials[0]].roughness
    return rng.choice([name for name, roughness in FINISHES.items() if abs(roughness - usual) > 0.2])


def check(d: Description) -> None:
    """Raise ValueError where no wording could say a description."""
    vocabularies = {"color": COLORS, "pattern_color": COLORS, "second_color": COLORS, "material": MATERIAL_NOUNS, "pattern": PATTERNS,
                    "proportion": PROPORTIONS, "size": SIZES, "count": COUNTS, "shade": SHADES, "finish": FINISHES}  # fmt: skip
    if d.kind not in KINDS:
        raise ValueError(f"unknown kind {d.kind!r}")
    for field, words in vocabularies.items():
        value = getattr(d, field)
        if value is not None and value not in words:
            raise ValueError(f"unknown {field} {value!r}; known are {', '.join(words)}")
    if (d.second_color or d.count) and not d.second:
        raise ValueError(f"{'second_color' if d.second_color else 'count'} without second")
    if d.count and COUNTS[d.count] not in KINDS[d.kind].second.counts:
        raise ValueError(f"{d.kind} has no count {d.count!r}")
    if d.pattern_color and (d.pattern is None or d.pattern in INKLESS):
        raise ValueError("pattern_color without a pattern that has one")


class _Choice:
    """Chooses among wordings: by `rng`, or always the first."""

    def __init__(self, rng: random.Random | None):
        self.rng = rng

    def pick(self, words: Sequence[str]) -> str:
        return self.rng.choice(words) if self.rng else words[0]

    def often(self, words: Sequence[str]) -> str:
        """The canonical word half the time: it is what most people type."""
        return words[0] if self.chance(0.5) else self.pick(words)

    def chance(self, probability: float) -> bool:
        return self.rng is not None and self.rng.random() < probability


def word(d: Description, rng: random.Random | None = None) -> str:
    """A prompt that says exactly `d`: the canonical wording, or a random paraphrase. `parse` turns either back into `d`."""
    check(d)
    choice, kind = _Choice(rng), KINDS[d.kind]
    before, after = _around(d, choice)
    clauses = _clauses(d, choice, pattern_said=any(rank in (2.5, 3, 5) for rank, _ in before))
    if choice.chance(0.2):
        rng.shuffle(before)
    else:
        before.sort(key=lambda item: item[0])
    separator = ", " if choice.chance(0.06) else " "
    adjectives = separator.join(text for _, text in before)
    noun = choice.often((kind.name, *kind.synonyms))
    if d.shade and not d.color and not any(rank == 4 for rank, _ in before):  # no adjective that the shade could stand before
        noun = f"{choice.often(SHADE_WORDS[d.shade])} {noun}"
    phrase = " ".join(filter(None, (adjectives, noun, after)))
    if clauses:
        opening = choice.pick(("with", "that has", "featuring")) if choice.chance(0.1) else "with"
        joint = choice.pick((" and ", ", with ", " and with ")) if choice.chance(0.3) else " and "
        phrase += f" {opening} " + joint.join(clauses)
    return _dress(phrase, choice)


def _around(d: Description, choice: _Choice) -> tuple[list[tuple[float, str]], str]:
    """What is said before the noun, each with its usual rank in the row, and after it."""
    before: list[tuple[float, str]] = []
    if d.size:
        before.append((0, choice.often(SIZE_WORDS[d.size])))
    if d.proportion:
        before.append((1, choice.often(PROPORTION_WORDS[d.proportion])))
    if d.finish:
        before.append((1.5, choice.often(FINISH_WORDS[d.finish])))
    after, color_said, material_said = _after(d, choice)
    color = None if color_said or not d.color else _main_color(d, choice)
    pattern = _adjective_of_pattern(d, choice)
    if pattern and d.pattern_color and color and choice.chance(0.6):
        both = f"{color} and {choice.often(COLOR_WORDS[d.pattern_color])} {pattern}"  # "red and white striped"
        before.append((2.5, both))
    else:
        if color:
            before.append((2, color))
        if pattern:  # "white-striped": with the hyphen the colour is the pattern's
            ink = choice.often(COLOR_WORDS[d.pattern_color]) + "-" if d.pattern_color else ""
            before.append((5 if d.pattern == "bricks" else 3, ink + pattern.replace(" ", "-" if ink else " ")))
    if d.material and not material_said:
        shade = f"{choice.often(SHADE_WORDS[d.shade])} " if d.shade and not d.color else ""
        before.append((4, shade + choice.often(MATERIAL_ADJECTIVES[d.material])))
    return before, after


def _main_color(d: Description, choice: _Choice) -> str:
    shade = f"{choice.often(SHADE_WORDS[d.shade])} " if d.shade else ""
    return shade + choice.often(COLOR_WORDS[d.color])


def _adjective_of_pattern(d: Description, choice: _Choice) -> str | None:
    """The pattern as an adjective, where it is not left to a clause."""
    if d.pattern is None:
        return None
    if d.pattern_color:  # "with white spots" is what most people say
        said = choice.chance(0.25)
    elif d.pattern == "grain":
        said = choice.chance(0.3)
    else:
        said = choice.rng is None or choice.chance(0.6)
    return choice.often(PATTERN_ADJECTIVES[d.pattern]) if said else None


def _after(d: Description, choice: _Choice) -> tuple[str, bool, bool]:
    """What follows the noun before any "with", and whether it says the colour and the material."""
    made = choice.pick(("made of", "made of", "of", "made out of"))
    if d.material and choice.chance(0.3):
        stuff = choice.pick(MATERIAL_NOUNS[d.material])
        if d.color and choice.chance(0.3):
            return f"{made} {_main_color(d, choice)} {stuff}", True, True
        return f"{made} {stuff}", False, True
    if d.color and choice.chance(0.06):
        return choice.pick(("in ", "painted ")) + _main_color(d, choice), True, False
    return "", False, False


def _clauses(d: Description, choice: _Choice, pattern_said: bool) -> list[str]:
    """The noun phrases that come after "with"."""
    clauses = []
    if d.pattern and not pattern_said:
        noun = choice.often(PATTERN_NOUNS[d.pattern])
        ink = choice.often(COLOR_WORDS[d.pattern_color]) if d.pattern_color else ""
        text = f"{ink} {noun}".strip()
        clauses.append(with_article(text) if noun.endswith("pattern") else text)
    if d.second:
        name = KINDS[d.kind].second.name
        text = f"{choice.often(COLOR_WORDS[d.second_color])} {name}" if d.second_color else name
        text = f"{choice.often(COUNT_WORDS[d.count])} {text}" if d.count else text
        clauses.append(with_article(text) if _countable(name) and not choice.chance(0.1) else text)
    if len(clauses) > 1 and choice.chance(0.3):
        clauses.reverse()
    return clauses


def _dress(phrase: str, choice: _Choice) -> str:
    """Article, opening, capital letter and full stop."""
    if choice.chance(0.12):
        pass  # "red mushroom"
    elif choice.chance(0.06):
        phrase = "the " + phrase
    else:
        phrase = with_article(phrase)
    if choice.chance(0.08):
        phrase = choice.pick(_OPENINGS) + phrase
    if choice.chance(0.12):
        phrase = phrase[0].upper() + phrase[1:]
    if choice.chance(0.08):
        phrase += choice.pick((".", ".", "!"))
    return phrase


def _countable(name: str) -> bool:
    """Whether a part is one thing: "a handle", but "hoops" and "snow"."""
    last = name.split()[-1]
    plural = last.endswith("s") and not last.endswith(("ss", "us", "as", "is"))
    return not plural and last not in _MASS
