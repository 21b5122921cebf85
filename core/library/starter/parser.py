# SPDX-License-Identifier: GPL-3.0-or-later
"""From a prompt to its description: every wording of the grammar, or an error that names the words it does not know.

Which colour belongs to what: the one right before a pattern's noun ("white spots") or the second part's ("a blue lid") is theirs, and so is
one tied to a pattern's adjective by a hyphen ("white-spotted"). Of two colours before the thing itself, the one right before the pattern's
adjective is the pattern's ("red and white striped"); otherwise the second is the pattern's, or with no pattern the second part's.
"""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from core.errors import BadRequest
from core.library.starter.grammar import (
    COLOR_WORDS,
    COUNT_WORDS,
    FINISH_WORDS,
    INKLESS,
    MATERIAL_ADJECTIVES,
    MATERIAL_NOUNS,
    PATTERN_ADJECTIVES,
    PATTERN_NOUNS,
    PROPORTION_WORDS,
    SHADE_WORDS,
    SIZE_WORDS,
)
from core.library.starter.kinds import KINDS
from core.library.starter.objects import COUNTS, Description
from core.limits import MAX_PROMPT

Lexicon = dict[tuple[str, ...], tuple[str, str]]  # words -> (what they are, the meaning)

_FILLERS = (
    "a", "an", "the", "one", "some", "of", "made", "out", "in", "painted", "colored", "coloured", "that", "which", "is", "please",
    "3d", "model", "render", "rendering", "picture", "image", "photo", "object", "pattern", "patterned",
)  # fmt: skip
_OPENERS = ("with", "has", "having", "featuring")
_SINGULARS = {"stripe": "stripes", "spot": "spots", "dot": "spots", "check": "checks", "checkerboard": "checks", "brick": "bricks"}
_PUNCTUATION = frozenset(".,;:!?\"'()[]-‐‑–—_/’‘“”…")
_TOKEN = re.compile(r"[^\W_]+|\S")
_NEAR = {
    "crimson": "red",
    "scarlet": "red",
    "maroon": "red",
    "azure": "blue",
    "navy": "blue",
    "cyan": "teal",
    "turquoise": "teal",
    "lime": "green",
    "olive": "green",
    "violet": "purple",
    "lilac": "purple",
    "magenta": "pink",
    "beige": "cream",
    "ivory": "cream",
    "tan": "brown",
    "silver": "metal",
    "iron": "metal",
    "steel": "metal",
    "bronze": "metal",
    "copper": "metal",
    "brass": "gold",
    "rock": "stone",
    "granite": "stone",
    "concrete": "stone",
    "porcelain": "ceramic",
    "oak": "wood",
    "timber": "wood",
    "linen": "fabric",
    "velvet": "fabric",
    "squat": "short",
    "fat": "chunky",
    "slim": "thin",
    "skinny": "thin",
    "long": "tall",
}  # fmt: skip   words near in meaning, for suggestions only


class UnknownWords(BadRequest):
    """A prompt has words that the library does not know: `words`, in order, and `suggestions`, the nearest known ones of each."""

    def __init__(self, words: list[str], suggestions: dict[str, list[str]]):
        named = [f"“{w}”" + (f" (perhaps “{suggestions[w][0]}”?)" if suggestions.get(w) else "") for w in words[:8]]
        more = f" and {len(words) - 8} more" if len(words) > 8 else ""
        label = "word" if len(words) == 1 else "words"
        super().__init__(f"The starter library does not know the {label} {', '.join(named)}{more}.", "", "Leave the unknown out.")
        self.words = words
        self.suggestions = suggestions


class NoKind(BadRequest):
    """A prompt names nothing that the library can make."""

    def __init__(self) -> None:
        super().__init__("The prompt names no thing that the starter library can make.", "", f"It can make: {', '.join(sorted(KINDS))}.")


@dataclass(frozen=True)
class _Item:
    """Something recognised in a prompt."""

    what: str  # adjective (of a pattern), pattern (its noun), part, kind, with, and; or an attribute of Description
    value: str
    text: str
    tied: bool = False  # a hyphen ties it to the word before


def parse(prompt: str) -> Description:
    """The description of a prompt in any wording of the grammar.

    Raises: UnknownWords, NoKind, or BadRequest (empty, too long, contradictory), each saying what is wrong.
    """
    if len(prompt) > MAX_PROMPT:
        raise BadRequest(f"The prompt has {len(prompt)} characters; {MAX_PROMPT} is the limit.")
    words, tied, unknown = _split(prompt)
    if not words and not unknown:
        raise BadRequest("The prompt is empty.", "", "Type what you want to see, such as “a red mushroom with white spots”.")
    name = _find_kind(words)
    items = _recognise(words, tied, _lexicon(name), unknown)
    if unknown:
        raise UnknownWords(unknown, {w: suggest(w, name) for w in unknown})
    if name is None:
        raise NoKind
    return _Reading(name).read(items)


def _split(prompt: str) -> tuple[list[str], list[bool], list[str]]:
    """Lower-case words, whether each is tied to the one before by a hyphen, and characters that are no text."""
    words, tied, strange = [], [], []
    hyphen = False
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", prompt).lower().replace("&", " and ").replace("\0", " \ufffd ")):
        if token[0].isalnum():
            words.append(token)
            tied.append(hyphen)
            hyphen = False
        elif token in _PUNCTUATION:
            hyphen = token in "-‐‑"
        elif token not in strange:
            strange.append(token)
    return words, tied, strange


@lru_cache(maxsize=256)
def _lexicon(kind: str | None) -> Lexicon:
    """Every phrase that a prompt about this kind may hold."""
    lexicon: Lexicon = {(w,): ("filler", w) for w in _FILLERS}
    lexicon |= {(w,): ("with", w) for w in _OPENERS} | {("and",): ("and", "and")}
    tables = (("color", COLOR_WORDS), ("material", MATERIAL_NOUNS), ("material", MATERIAL_ADJECTIVES), ("proportion", PROPORTION_WORDS),
              ("size", SIZE_WORDS), ("pattern", PATTERN_NOUNS), ("adjective", PATTERN_ADJECTIVES), ("count", COUNT_WORDS),
              ("shade", SHADE_WORDS), ("finish", FINISH_WORDS))  # fmt: skip
    for what, table in tables:
        for meaning, phrases in table.items():
            lexicon |= {tuple(p.split()): (what, meaning) for p in phrases}
    for singular, pattern in _SINGULARS.items():
        lexicon |= {(singular, "pattern"): ("pattern", pattern)}
        if singular != "brick":  # "a brick tower": the adjective
            lexicon.setdefault((singular,), ("pattern", pattern))
    lexicon |= _kind_phrases()
    if kind:
        *first, last = KINDS[kind].second.name.split()
        for form in (last, last + "s", last.removesuffix("s")):
            lexicon[(*first, form)] = ("part", kind)
    return lexicon


@lru_cache(maxsize=1)
def _kind_phrases() -> Lexicon:
    return {tuple(p.lower().replace("-", " ").split()): ("kind", k.name) for k in KINDS.values() for p in (k.name, *k.synonyms)}


def _longest(words: list[str], start: int, lexicon: Lexicon) -> tuple[int, tuple[str, str] | None]:
    """The longest phrase of the lexicon that begins at a word: its length and meaning (1 and None: there is none)."""
    for length in range(min(4, len(words) - start), 0, -1):
        meaning = lexicon.get(tuple(words[start : start + length]))
        if meaning:
            return length, meaning
    return 1, None


def _find_kind(words: list[str]) -> str | None:
    """The first kind that is named."""
    phrases = _lexicon(None)
    start = 0
    while start < len(words):
        length, meaning = _longest(words, start, phrases)
        if meaning and meaning[0] == "kind":
            return meaning[1]
        start += length
    return None


def _recognise(words: list[str], tied: list[bool], lexicon: Lexicon, unknown: list[str]) -> list[_Item]:
    """The meanings of the words in order, fillers left out; words without one are added to `unknown`."""
    items, start = [], 0
    while start < len(words):
        length, meaning = _longest(words, start, lexicon)
        text = " ".join(words[start : start + length])
        if meaning is None:
            if text not in unknown:
                unknown.append(text)
        elif meaning[0] != "filler":
            items.append(_Item(*meaning, text, tied[start]))
        start += length
    return items


def suggest(unknown: str, kind: str | None = None) -> list[str]:
    """The known words nearest to an unknown one, best first; a part of other kinds suggests the part of this kind."""
    if kind and any(unknown in k.second.name.split() for k in KINDS.values()):
        return [KINDS[kind].second.name]
    if unknown in _NEAR:
        return [_NEAR[unknown]]
    known = [" ".join(p) for p, (what, _) in _lexicon(kind).items() if what not in ("filler", "with", "and")]
    return difflib.get_close_matches(unknown, known, n=3, cutoff=0.7)


class _Reading:
    """Gathers a description from the items of one prompt."""

    def __init__(self, kind: str):
        self.kind = kind
        self.said: dict[str, str] = {}
        self.second = False
        self.spare: list[str] = []  # main colours after the first

    def read(self, items: list[_Item]) -> Description:
        pending: list[_Item] = []  # adjectives that wait for their noun
        for item in items:
            if item.what == "kind":
                if item.value != self.kind:
                    raise BadRequest(f"The prompt names two things, {self.kind} and {item.value}.", "", "Ask for one thing at a time.")
                self._main(pending)
            elif item.what in ("part", "pattern"):
                self._noun(item, pending)
            elif item.what in ("with", "and"):
                if "kind" in self.said or item.what == "with":
                    self._main(pending)
                continue
            else:
                pending.append(item)
                continue
            if item.what == "kind":
                self.said["kind"] = item.value
            pending = []
        self._main(pending)
        return self._description()

    def _set(self, field: str, value: str) -> None:
        if self.said.setdefault(field, value) != value:
            raise BadRequest(f"The prompt names two values for {field.replace('_', ' ')}, {self.said[field]} and {value}.")

    def _main(self, pending: list[_Item]) -> None:
        """Adjectives of the thing itself; empties the list."""
        colors = sum(item.what == "color" for item in pending)
        for i, item in enumerate(pending):
            shade = pending[i - 1] if i and pending[i - 1].what == "shade" else None
            following = pending[i + 1] if i + 1 < len(pending) else None
            if item.what == "count":
                raise BadRequest(f"“{item.text}” is not understood here.", "", "Say how many of a part, such as “with three legs”.")
            if item.what != "color":
                self._set("pattern" if item.what == "adjective" else item.what, item.value)
            elif following and following.what == "adjective" and following.value not in INKLESS and (colors > 1 or following.tied):
                self._other("pattern_color", item, shade)
            elif "color" in self.said:
                self._other("", item, shade)
            else:
                self.said["color"] = item.value
        pending.clear()

    def _other(self, field: str, color: _Item, shade: _Item | None) -> None:
        """A colour that is not the thing's own: a pattern's, or one whose place is not yet clear."""
        if shade:
            raise BadRequest(f"“{shade.text}” can only be said about the thing's own colour, not about {color.value}.")
        if field:
            self._set(field, color.value)
        else:
            self.spare.append(color.value)

    def _noun(self, noun: _Item, pending: list[_Item]) -> None:
        """A pattern's noun or the second part's, with the adjectives before it."""
        field = "second_color" if noun.what == "part" else "pattern_color"
        if noun.what == "part":
            self.second = True
        else:
            self._set("pattern", noun.value)
            if noun.value in INKLESS:  # "made of red bricks": the thing is red
                self._main(pending)
                return
        for item in pending:
            if item.what == "count" and noun.what == "part":
                self._set("count", item.value)
                continue
            if item.what != "color":
                raise BadRequest(f"“{item.text}” cannot be said about the {noun.text}, only a colour can.")
            self._set(field, item.value)

    def _description(self) -> Description:
        said = dict(self.said)
        for color in self.spare:
            if said.get("pattern") not in (None, *INKLESS) and "pattern_color" not in said:
                said["pattern_color"] = color
            elif "second_color" not in said:
                said["second_color"] = color
                self.second = True
            else:
                raise BadRequest("The prompt names more colours than the object has parts.", f"What should be {color} is not clear.")
        second = KINDS[self.kind].second
        if "count" in said and COUNTS[said["count"]] not in second.counts:
            able = f"The {second.name} can be {', '.join(map(str, sorted(second.counts)))}." if second.counts else ""
            raise BadRequest(f"The {self.kind} cannot be made with {said['count']} {second.name}.", "", able or "Leave the number out.")
        said["kind"] = self.kind
        return Description(second=self.second, **said)
