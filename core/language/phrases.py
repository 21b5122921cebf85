# SPDX-License-Identifier: GPL-3.0-or-later
"""The build of a prompt: what artists say of every picture, what is excluded, and the phrases that the rest consists of."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from core.language.lexicon import ARTISTS_WORDS, PICTURES

_ASKED = (
    r"(?:(?:please|kindly)\s+)?(?:(?:can|could|would|will)\s+you\s+)?(?:(?:please|kindly)\s+)?"
    r"(?:generate|create|make|draw|design|build|produce|show|give|model|render|i(?:'d|\s+would)?\s+(?:want|need|like|wish))(?:\s+to\s+see)?"
    r"(?:\s+(?:me|us|for me))?(?=\s+(?:an?|the|some|one|my|our)\b)"
)
_STYLE = (
    r"\b(?:in|with)\s+(?:(?:an?|the)\s+)?(?:style\s+of\s+[^,.;]+|(?:[\w-]+\s+){1,3}?style\b)"
    r"|\b\w+[\s-]style\b|\binspired\s+by\s+[^,.;]+"
)
_LIT = (  # by what is around it: light of the picture
    r"\b(?:\w{3,}ly|well|studio|back|side|rim|sun|moon|candle|torch)[\s-](?:lit|illuminated)\b"
    r"|\b(?:lit|illuminated)\s+(?:up\s+)?(?:by|with|against|from(?!\s+(?:with)?in))\b[^,.;]*|\bneon\s+lighting\b"
)

_BREAK = r"[,;:.!?()|\n]|\b(?:but|with|featuring|has|made|painted|please|in|on|at|by|near)\b"
_ITEM = rf"(?:(?!{_BREAK}).)+"
_CUES = r"""
    \b(?:but\s+|and\s+|that\s+|which\s+|it\s+|should\s+|must\s+|with\s+|has\s+|have\s+|having\s+|is\s+|are\s+|be\s+|just\s+
        |made\s+|painted\s+)*
    (?: without | w/o | sans | minus | lack(?:s|ing)? | miss(?:es|ing) | exclud(?:es|ing) | devoid\s+of
      | free\s+(?:of|from) | instead\s+of | rather\s+than | any(?:thing|\s+colou?r)\s+but
      | (?:any\s+colou?r\s+)?(?<!nothing\s)(?:except(?:\s+for)?|other\s+than) | nothing(?!\s+(?:but|except|other|less)\b)
      | (?:does|do|did|has|have|is|are|was|should|must)(?:\s+not|n['’]t) | (?:don|doesn|isn|aren|hasn|shouldn)['’]?t
      | not(?!\s+only\b) | never | no(?!\s*\d) | neither | nor | none | zero | (?<![.,])0
      | (?:hardly|barely|scarcely)(?=\s+any\b) | avoid(?:s|ing)? | omit(?:s|ting)? | leav(?:e|es|ing)\s+out )
    (?:\s+(?:have|has|use|be|contain|include|made|making|painted|colou?red|of|out|in|with|having|any|an?|the|its|too|very|so|even|at|all
        |single)\b)*\s+
"""
_LISTED = rf"{_ITEM}(?:,{_ITEM})*?,?\s*\b(?:or|nor)\b{_ITEM}|{_ITEM}"
_ARTICLE = re.compile(r"\s+(?:an?|the)\b", re.I)
_EXCLUDED = re.compile(rf"{_CUES}(?P<what>{_LISTED})", re.I | re.X)
_STEM = r"([^\W\d_]{3,}?)"
_PREFIXED = re.compile(rf"\b(?:non[\s-]?|un-?){_STEM}\b|\b{_STEM}[\s-]free\b(?!\s+(?:of|from)\b)|\b{_STEM}-?less\b", re.I)

WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[,;:.!?()\[\]{}|/—–\n]")
ARTICLES = frozenset({"a", "an", "the"})
_SAID_OF_IT = (
    "with featuring having has have had made of out painted colored coloured covered coated decorated in that which is are wearing"
)
_SAID_OF_OTHERS = (
    "on at by from for near beside behind under over above below inside into onto around between against next through during after before "
    "while when where who whose riding driving holding carrying eating breathing to because like "
    "as than until since being"
)
_HOW_IT_IS_PLACED = "full filled standing sitting lying laying hanging growing floating placed set surrounded"
_SAYING_NOTHING = (
    "and or but some my your our his her its their it this these those there here one i you he she we they me us very really quite "
    "rather extremely slightly too so just also only both all each every any please then been be was were do does did not no s t d m re "
    "ve ll tone tones color colour colors colours hue hues tint paint material look finish "
)
SAYING = frozenset(_SAID_OF_IT.split())  # words that open a phrase about the prompt's thing …
ELSEWHERE = frozenset(_SAID_OF_OTHERS.split())  # … and about something else
_PLACED = frozenset(_HOW_IT_IS_PLACED.split())  # the same before another such word: "standing on", but not "a standing lamp"
FILLERS = frozenset(_SAYING_NOTHING.split())
EMPTY = ARTICLES | SAYING | FILLERS  # words that say nothing by themselves


@dataclass(frozen=True)
class Word:
    """A word in small letters, and where it stands in the prompt."""

    text: str
    start: int
    end: int


@dataclass
class Phrase:
    """A stretch of a prompt. opener: "" for its beginning, "," after a comma and the like, "a" for another thing, else the word that opens
    it ("with", "on" …)."""

    opener: str
    start: int
    end: int
    words: list[Word]

    @property
    def says_more(self) -> bool:
        """Whether it speaks of the prompt's thing, and of no other one."""
        return self.opener in SAYING or self.opener in ("", ",")

    @property
    def content(self) -> list[Word]:
        return [word for word in self.words if word.text not in EMPTY and not word.text.isdigit()]


@lru_cache(maxsize=1)
def _artists_words() -> re.Pattern:
    phrases = sorted(re.split(r"[|\n]", ARTISTS_WORDS.strip()), key=lambda p: -len(p))
    words = "|".join(re.escape(phrase).replace(r"\ ", r"[\s-]+") for phrase in phrases)
    pictures = rf"(?:3[\s-]?d\s+)?(?:{'|'.join(PICTURES.split())})s?\s+of\b"
    return re.compile(rf"^\s*{_ASKED}|{_STYLE}|{_LIT}|\b{pictures}|(?<![\w-])(?:{words})(?![\w])(?!\s+of\b)", re.I)


@lru_cache(maxsize=1)
def always_said() -> frozenset[str]:
    """The single words among what artists say of everything."""
    return frozenset(phrase for phrase in re.split(r"[|\n]", ARTISTS_WORDS) if phrase.isalpha())


def words_of(prompt: str) -> list[str]:
    """The words of a prompt, in small letters."""
    return WORD.findall(prompt.lower())


def blank(prompt: str, spans: list[tuple[int, int]]) -> str:
    """The prompt with spaces instead of some stretches: what follows stays where it is."""
    for start, end in spans:
        prompt = prompt[:start] + " " * (end - start) + prompt[end:]
    return prompt


def aside(prompt: str, known: Callable[[str], bool]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Where a prompt has what artists say of every picture: stretches to set aside, and those that the model has learnt (`known`), such as
    "a render of"."""
    found = [(m.start(), m.end()) for m in _artists_words().finditer(prompt)]
    learnt = [(a, b) for a, b in found if all(map(known, words_of(prompt[a:b]))) and words_of(prompt[a:b])]
    pictures = [(a, b) for a, b in learnt if prompt[a:b].lower().endswith("of")]  # any other known word stays one
    others = [span for span in found if span not in learnt]
    rest = blank(prompt, others)
    for start, end in [span for span in found if prompt[slice(*span)].lower().endswith("of")]:
        following, before = _ARTICLE.match(prompt, end), set(words_of(rest[:start])) - ARTICLES
        if following and before and not ((start, end) in learnt and all(map(known, before))):
            pictures = [span for span in pictures if span != (start, end)]
            others = [span for span in others if span != (start, end)] + [(start, following.end())]  # "a sharp image of a duck": no sharp
    return others, pictures


def excluded(prompt: str, knows: Callable[[str], bool], is_thing: Callable[[str], bool]) -> Iterator[tuple[int, int, str]]:
    """What a prompt does not want: stretches that say so, each with what is excluded. knows, is_thing: of a word, whether the model does,
    and whether it names one of its things."""
    for found in _EXCLUDED.finditer(prompt):
        start, end = found.span("what")
        outside = prompt[: found.start()] + " " + prompt[end:]
        inside = [m for m in WORD.finditer(prompt, start, end) if is_thing(m[0].lower())]
        if inside and not any(map(is_thing, words_of(outside))):  # "a not red chair": the chair is wanted
            end = inside[0].start()
        if set(words_of(prompt[start:end])) - EMPTY:  # not "a missing chair"
            yield found.start(), end, prompt[start:end]
    for found in _PREFIXED.finditer(prompt):
        stem = next(text for text in found.groups() if text)
        if not knows(found[0].lower()) and ("-" in found[0] or knows(stem.lower()) or knows(stem.lower() + "s")):  # not "seamless"
            yield found.start(), found.end(), stem


def phrases_of(prompt: str, is_thing: Callable[[str], bool] = lambda word: False) -> list[Phrase]:
    """A prompt in phrases. The first is what it begins with, and may be empty. is_thing: of a word, whether it names a known thing."""
    phrases = [Phrase("", 0, 0, [])]
    tokens = [(m[0].lower(), m.start(), m.end()) for m in _TOKEN.finditer(prompt)]
    for i, (text, start, end) in enumerate(tokens):
        last = phrases[-1]
        following = tokens[i + 1][0] if i + 1 < len(tokens) else ""
        opener = _opener(text, following, last, is_thing)
        if opener is None:
            last.words.append(Word(text, start, end))
        elif last.words or last is phrases[0]:
            phrases.append(Phrase(opener, start, end, []))
        else:  # "that has", "made of": the last word says what follows, but not of "full of", "next to"
            last.opener = last.opener if opener == "," or last.opener in ELSEWHERE else opener
        phrases[-1].end = end
    return phrases


def _opener(text: str, following: str, last: Phrase, is_thing: Callable[[str], bool]) -> str | None:
    """How a phrase opens at this word, None where it does not."""
    if text in SAYING or text in ELSEWHERE:
        return text
    if text in _PLACED and (following in SAYING or following in ELSEWHERE):
        return "on"
    if not text.isalnum():
        return ","
    if text == "and" and last.content:
        if last.opener not in ("", ","):
            return last.opener
        if following in ARTICLES:
            return "a"
        return "," if is_thing(last.words[-1].text) else None  # "a car and truck", but "a red and blue car"
    if text in ARTICLES and last.content and last.opener in ("", ","):
        return "a"
    return None
