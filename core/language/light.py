# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prompt says of a thing's light: that it passes through ("a glass vase"), or that the thing gives it ("a glowing lamp").

It is plain English, whatever a model has learnt: the shape and the colours are the model's, the light is the material's. Only what is said
of the whole thing counts: a car with glass windows is no glass car.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from core.language.lexicon import COLOR_OF, PICTURES, SHADES
from core.language.phrases import ARTICLES, ELSEWHERE, SAYING, Phrase, aside, blank, excluded, phrases_of, words_of

CLEAR = frozenset({"glass", "glassy", "crystal", "crystalline", "transparent", "translucent", "seethrough", "clear"})
FROSTED = frozenset({"translucent", "frosted", "milky"})  # the light that passes is scattered; of other materials these say no glass
_GLOWING = "glowing glows luminous luminescent bioluminescent phosphorescent incandescent illuminated lit alight neon"
GLOWING = frozenset(_GLOWING.split())
ONE_WORD = {
    r"see[\s-]?through": "seethrough", r"glow(?:s|ing)?[\s-]in[\s-]the[\s-]dark": "glowing", r"lit[\s-]up": "lit",
    r"(?:semi|half)[\s-]transparent": "translucent", r"(?:glass|crystal)[\s-]like": "glassy", r"made\s+from": "made of",
    r"stained[\s-]glass": "glass", r"crystal[\s-]clear": "clear",
}  # fmt: skip
NOUNS = frozenset({"glass", "crystal", "neon"})  # of those words, what a thing may be: "a wine glass"
NEXT = re.compile(r"[\s-]+([^\W\d_]+)")
PART = re.compile(r"-[^\W\d_]+ed\b")  # "glass-topped": it says something of a part
COLORS = {*COLOR_OF, *SHADES, "orange", "yellow", "green", "blue", "white", "colored", "coloured", "colors", "colours", "color", "colour"}
_IMAGES = "depiction drawing icon illustration image outline painting photo photograph photography picture render rendering rendition scan \
silhouette sketch sprite view wallpaper"
_SEEN = "|".join(_IMAGES.split())  # of these, "clear" says that one sees well …
_FLAT = rf"(?:{_SEEN}|art|artwork|closeup|design|model|portrait|scene|shot)s?"  # … and of these, before "of"
_SHARP = r"(?:sharp|crisp|focused|readable|legible|visible)"
_QUALITIES = rf"(?:{_SHARP}|and|very|clean|bright|bold|strong|thick|thin|black|simple|plain|precise|detailed|high|quality|resolution)"
_COATS = r"coat\w*|lacquer\w*|varnish\w*|cut|style|line|edge|contour|detail|feature|focus|background|sky|skies"
_NOT_IT = rf"(?:{_SEEN}|{_COATS})s?"
SOLID = re.compile(rf"(?!{_FLAT}\b)(?:{'|'.join(PICTURES.split())})s?\b")  # "a clear statue of"
CLEAR_LEAD = re.compile(rf"^[^.;:]*?\b{_FLAT}\s+of\b")  # "a very clear, sharp image of"
CLEAR_BEFORE = re.compile(rf"(?:[\s,-]+{_QUALITIES})*[\s-]+{_NOT_IT}\b|(?:[\s,]|\band\b)+{_SHARP}\b")  # "clear coat", "clear, sharp"
CLEAR_AFTER = re.compile(  # "sharp and clear", "image clear"
    rf"\b(?:{_SHARP}(?:[\s,]|\band\b)+|(?:{_SEEN}|style|line|detail)s?\s+)(?:(?:should|must|be|is|are|looks?|very|really)\s+)*$"
)
OF_IT = frozenset({"made", "of", "out", "in", "that", "which", "is", "are"})  # what opens a phrase about the whole thing, and no part of it
SMOOTH, SCATTERING, STRENGTH = 0.05, 0.4, 4.0  # roughness of glass, of frosted glass; how strongly a glowing thing shines


@dataclass(frozen=True)
class Light:
    """transmission: share of the light that passes through the surface. roughness: of a surface that light passes through. emission: how
    many times brighter than a white thing in full light; 0: it does not shine."""

    transmission: float = 0.0
    roughness: float = SMOOTH
    emission: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.transmission or self.emission)


@dataclass(frozen=True)
class Said:
    """What a prompt says of light, and the stretches where it says so, each with whether it is a whole phrase ("made of glass")."""

    light: Light
    spans: tuple[tuple[int, int, bool], ...] = ()
    colored: bool = False  # whether it says a colour as well

    def without(self, prompt: str, knows: Callable[[str], bool], instead: str = "") -> str:
        """The prompt without those words, but for those that the model knows. instead: what the first of them becomes."""
        text, at, new = "", 0, instead
        for start, end, phrase in self.spans:
            if all(map(knows, words_of(prompt[start:end]))):
                continue
            start += phrase and prompt[start] in "([{"  # a bracket closes behind it
            text += prompt[at:start] + (f" in {new}" if phrase and new else new)
            at, new = end, ""
        if not at:
            return prompt
        text = re.sub(r"(?<!\w)-+|-+(?!\w)", " ", text + prompt[at:])  # "neon-lit"
        text = re.sub(r"([(\[{])[\s,;]+", r"\1", " ".join(text.split()))  # "(clear, tall)"
        text = re.sub(r"\(\s*\)|\[\s*\]|\{\s*\}|\b(?:and|or)\b(?=\s*(?:[,;.)\]}]|$))", " ", text)
        text = re.sub(r"\b(an?|the)(?:\s+and\b|\s*,)+\s*", r"\1 ", text, flags=re.I)  # "a clear, tall bottle"
        text = re.sub(r"\s+([,;.)\]}])", r"\1", " ".join(text.split())).strip(" ,;")
        return re.sub(r"\b(a)n?\s+(?=([a-z]))", lambda m: m[1] + ("n " if m[2] in "aeiou" else " "), text, flags=re.I)


def said_of_light(prompt: str) -> Said:
    """What a prompt says of its thing's light; nothing of what it excludes, nor of its background."""
    knows = (CLEAR | FROSTED | GLOWING).__contains__
    whole = text = prompt.replace("İ", "I").lower()  # of all letters, the one whose small one is longer: places would not fit
    longer = {}  # where a word stands that is several in the prompt, and where those end
    for pattern, word in ONE_WORD.items():
        for several in re.finditer(rf"\b{pattern}\b", text):
            longer[several.start()] = several.end()
            text = text[: several.start()] + word.ljust(len(several[0])) + text[several.end() :]
    text = blank(text, [(start, end) for start, end, _ in excluded(text, knows, lambda word: False)])
    text = blank(text, [*aside(text, knows)[0], *_lead(whole)])
    phrases = phrases_of(text)
    found, spans = set(), []
    for phrase in phrases:
        words = _light_words(phrase, text, first=phrase is phrases[0])
        ends = {word: longer.get(word.start, word.end) for word in words}
        words = [word for word in words if word.text != "clear" or not _of_a_picture(word.start, ends[word], whole, text)]
        found |= {word.text for word in words}
        alone = phrase is not phrases[0] and len(words) == len(phrase.content)
        single = [(word.start, ends[word], False) for word in words]
        end = longer.get(words[-1].start, phrase.end) if words else phrase.end
        spans += [(phrase.start, end, True)] if words and alone else single
    if not found & (CLEAR | GLOWING):
        return Said(Light())
    clear = bool(found & CLEAR)
    light = Light(1.0 if clear else 0.0, SCATTERING if found & FROSTED else SMOOTH, STRENGTH if found & GLOWING else 0.0)
    colored = any(word in COLORS for phrase in phrases if phrase.says_more for word in words_of(text[phrase.start : phrase.end]))
    noun = _noun_of_light(phrases[0], spans, alone=not any(phrase.opener == "," and phrase.content for phrase in phrases[1:]))
    return Said(light, tuple(span for span in spans if span[:2] != noun), colored)


def _light_words(phrase: Phrase, text: str, first: bool) -> list:
    """A phrase's words that say something of the whole thing's light. text: the prompt in small letters."""
    content, words = phrase.content, []
    for word in content:
        after = NEXT.match(text, word.end)
        a_color = word.text == "neon" and after and after[1] in COLORS
        if word.text in CLEAR | FROSTED | GLOWING and not a_color and not PART.match(text, word.end):
            words.append(word)
    if not first and (phrase.opener not in (*OF_IT, ",") or not words or words[-1] != content[-1]):  # "with glass windows", "on glass"
        return []
    frosted_only = all(word.text in FROSTED - CLEAR for word in words)
    return [] if frosted_only else words


def _lead(whole: str) -> list[tuple[int, int]]:
    """Where a prompt begins with what it says of a picture, whose thing follows ("a very clear, sharp image of"): that the picture is
    clear, and nothing else of light. whole: the prompt in small letters."""
    found = CLEAR_LEAD.match(whole)
    words = words_of(found[0]) if found else []
    other = SAYING | ELSEWHERE | (CLEAR | FROSTED | GLOWING) - {"clear", "crystal"}
    return [found.span()] if found and not set(words[:-1]) & other and not set(words[1:]) & ARTICLES else []


def _of_a_picture(start: int, end: int, whole: str, text: str) -> bool:
    """Whether "clear" speaks of the picture, a style or a coat ("a clear outline", "sharp and clear"), or is a part of another word
    ("clear-cut"). start, end: where it stands. whole: the prompt in small letters; text: the same without what is set aside."""
    following = whole[end:].lstrip(" -")
    if CLEAR_BEFORE.match(whole, end) or CLEAR_AFTER.search(whole[:start]):
        return True
    if not following or following.startswith("glass") or SOLID.match(following):
        return False
    return text[len(whole) - len(following)].isspace() or whole[end] == "-"


def _noun_of_light(phrase: Phrase, spans: list, *, alone: bool) -> tuple[int, int] | None:
    """Where a prompt's own thing is such a word ("a wine glass"), which must not be taken out of it. alone: no other phrase can name it."""
    last = phrase.content[-1] if phrase.content else None
    thing = last and (last.text in NOUNS or (len(phrase.content) == 1 and alone))  # else it says how the thing is: "a lamp glowing"
    return next((span[:2] for span in spans if span[0] == last.start), None) if thing else None
