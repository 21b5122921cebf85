# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts in words that a model knows: shades of colours, misspellings, compounds, and other words by their meaning."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.library.grammar import (
    COUNT_WORDS,
    FINISH_WORDS,
    MATERIAL_NOUNS,
    PATTERN_ADJECTIVES,
    PROPORTION_WORDS,
    SHADE_WORDS,
    SIZE_WORDS,
)
from core.library.kinds import KINDS
from core.library.palette import COLORS
from core.text import DEFAULT, TextEncoder

# Least cosines between two words alone, without what all known words have in common. With the starter model 43 of 85 strange names of its
# things are read right and 8 wrong, 29 and 4 of 52 words for materials, patterns and finishes (docs/experiments/reading.py).
SYNONYM = 0.62  # "tires" and "wheels" have 0.64, "shipping" and "ship" 0.61
QUALITY = 0.35  # a material, pattern or finish: "terracotta" and "clay" have 0.36, words made of random letters up to 0.32
THING = 0.3  # a thing where the subject is no known one; a quarter of foreign things become something ("a bicycle" a car)
MISSPELT, ALIKE = 0.9, 0.8  # difflib's ratios: certainly meant, and meant if it means nothing else
SHADES = {  # text models think of "crimson" as near to purple; shades that are things too ("rose", "lemon") stay as they are
    "red": "crimson scarlet maroon burgundy vermilion", "blue": "navy azure cobalt ultramarine", "teal": "turquoise cyan aqua aquamarine",
    "purple": "violet indigo mauve", "pink": "magenta fuchsia", "brown": "tan umber sienna", "cream": "beige ivory", "gray": "silver",
    "black": "ebony",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
COLOR_OF = {shade: color for color, shades in SHADES.items() for shade in shades.split()}
_WORDS_OF_QUALITIES = (MATERIAL_NOUNS, PATTERN_ADJECTIVES, FINISH_WORDS)
# Not all their words: "golden" is near to "smart", "dull" to "sharp", "spotted" to "seen"
QUALITIES = {words[0] for table in _WORDS_OF_QUALITIES for words in table.values()} - {"spotted"}
OPPOSITES = {  # alike in use only
    *COLORS, "grey", *(w for table in (SIZE_WORDS, PROPORTION_WORDS, SHADE_WORDS, COUNT_WORDS) for words in table.values() for w in words)
}  # fmt: skip
# Last words of names and the kinds that they name; where several names end with one, the shortest says which
_NAMES = sorted(((name.split(), kind.name) for kind in KINDS.values() for name in (kind.name, *kind.synonyms)), key=lambda n: -len(n[0]))
THINGS = {words[-1]: kind for words, kind in _NAMES if words[-1] not in OPPOSITES}
_REST = re.compile(r"\b(?:with|without|featuring|having|wearing|made|painted|covered|that|in|on|at|by|from|for|near|beside|under)\b")
_PICTURE = "".join(f"(?<!{word} )" for word in ("model", "render", "picture", "image", "photo"))
_STUFF = re.compile(rf"\b{_PICTURE}of\b(?! (?:an?|the)\b)")  # "a lamp of stone", not "a photo of old lamp" or "a sculpture of a lamp"


@dataclass(frozen=True)
class Reading:
    """text: a prompt in known words; judged: what its familiarity is judged by, the prompt itself where its subject is no known thing;
    read_as: what was exchanged in text."""

    text: str
    judged: str
    read_as: dict[str, str]


class Vocabulary:
    """The words of a model's training prompts, and known ones for those that are not among them."""

    def __init__(self, words: Sequence[str], embeddings: Tensor, prompts: Sequence[str]):
        """embeddings: [words, W], each word's alone, of length 1; prompts: of training, which tell its things from their parts."""
        self.words, self.embeddings = list(words), embeddings
        self._known = set(self.words)
        subjects = {word for prompt in prompts for word in words_of(_subject(prompt))}  # a truck's bed is no bed
        self._things = {word: kind for word, kind in THINGS.items() if word in subjects and self.knows(kind)}
        self._center = embeddings.mean(0)  # what all words have in common, which hides what they mean
        self._meanings = F.normalize(embeddings - self._center, dim=-1)
        self._bars = torch.tensor([_bar(word) for word in self.words], device=embeddings.device)
        self._thing_bars = torch.tensor([THING if w in self._things else torch.inf for w in self.words], device=embeddings.device)

    def knows(self, prompt: str) -> bool:
        """Whether training had every word of a prompt; numbers written as digits never count as known."""
        return self._known.issuperset(words_of(prompt)) and not re.search(r"\b\d+\b", prompt)

    def read(self, prompt: str, text: TextEncoder) -> Reading:
        """The prompt in known words, as far as there are some, and what was exchanged: shades of colours, misspellings, other words by
        meaning. Where its subject names no known thing, its noun becomes the nearest one, if one is near enough. A prompt
        of known words stays as it is; so does any prompt for another text model than the one that the thresholds were found with."""
        strange = [w for w in dict.fromkeys(words_of(prompt)) if w not in self._known]
        if not strange or text.name != DEFAULT:
            return Reading(prompt, prompt, {})
        read_as = {w: COLOR_OF[w] for w in strange if COLOR_OF.get(w) in self._known}
        longer = [w for w in strange if w not in read_as and len(w) > 3]  # shorter ones are all alike
        read_as |= self._respelt(longer, text, MISSPELT)
        read_as |= self._nearest([w for w in longer if w not in read_as], text, self._bars)
        read_as |= self._respelt([w for w in longer if w not in read_as], text, ALIKE)
        judged = _exchange(prompt, read_as)
        if self._things and self._things.keys().isdisjoint(words_of(_subject(judged))):
            judged, nouns = prompt, [w for w in _nouns(prompt) if w in longer]
            guess = dict([*self._nearest(nouns, text, self._thing_bars).items()][:1])
            read_as = {w: new for w, new in read_as.items() if w not in (guess or nouns)}  # "a zebra" is not "a striped"
            read_as |= {w: self._things[new] for w, new in guess.items()}
        return Reading(_exchange(prompt, read_as), judged, read_as)

    def _nearest(self, strange: list[str], text: TextEncoder, bars: Tensor) -> dict[str, str]:
        """The known words that mean about the same as strange ones, where they are above their bars. bars: [words]"""
        if not strange:
            return {}
        near = F.normalize(embed(strange, text) - self._center, dim=-1) @ self._meanings.T
        above, rows = (near - bars).max(1)
        best = [self.words[i] for i in rows.tolist()]
        sure = [by >= 0 and text.is_word(new) for new, by in zip(best, above.tolist(), strict=True)]  # words in pieces are near to any such
        return {w: new for w, new, ok in zip(strange, best, sure, strict=True) if ok}

    def _respelt(self, strange: list[str], text: TextEncoder, ratio: float) -> dict[str, str]:
        """The known words that misspelt ones are nearest to, or the last parts of compounds: a houseboat is a boat."""
        read_as = {}
        for word in strange:
            if not text.is_word(word):
                near = difflib.get_close_matches(word, [*self.words, *COLOR_OF], 1, ratio)
                meant = near[0] if near else self._head(word, text)
                read_as[word] = COLOR_OF.get(meant, meant)
        return {word: meant for word, meant in read_as.items() if meant in self._known}

    def _head(self, compound: str, text: TextEncoder) -> str:
        """The longest known word that a word ends with, where what comes before it is a word as well; else the word itself."""
        cuts = range(3, len(compound) - 2)
        heads = (compound[i:] for i in cuts if text.is_word(compound[:i]))
        return next((h for h in heads if h in self._known and h not in OPPOSITES), compound)


def _bar(word: str) -> float:
    """The least nearness that exchanges a strange word for a known one."""
    return torch.inf if word in OPPOSITES else QUALITY if word in QUALITIES else SYNONYM


def _exchange(prompt: str, read_as: dict[str, str]) -> str:
    return _WORD.sub(lambda found: read_as.get(found[0].lower(), found[0]), prompt)


def _subject(prompt: str) -> str:
    """A prompt up to what says more of its thing, or names others."""
    return _REST.split(prompt.lower())[0]


def _nouns(prompt: str) -> list[str]:
    """What a prompt may be about: the last words of its subject and of what commas part from that, without what it is made of."""
    return [word for part in _STUFF.split(_subject(prompt))[0].split(",") for word in words_of(part)[-1:]]


def words_of(prompt: str) -> list[str]:
    """The words of a prompt, in small letters."""
    return _WORD.findall(prompt.lower())


def embed(texts: Sequence[str], text: TextEncoder) -> Tensor:
    """Sentence embeddings, as MiniLM's authors make them: means of the tokens, of length 1. [texts, W]"""
    return torch.cat([_mean(*text(list(texts[i : i + 256]))) for i in range(0, len(texts), 256)])


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens: [B, L, W], mask: [B, L] -> [B, W]"""
    return F.normalize((tokens * mask[..., None]).sum(1), dim=-1)
