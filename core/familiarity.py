# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model has learnt to read: how near a prompt comes to that, and known words for those that it has never seen."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import MissingWeights
from core.files import replace_file
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

FILE = "familiar.safetensors"
KEPT = 4096  # prompts that a model remembers
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


@dataclass(frozen=True)
class Familiarity:
    """similarity: cosine to the nearest prompt that the model learnt; familiar: whether that is usual for what it can make;
    nearest: prompts that it knows, nearest first; read_as: words of the prompt and the known ones that were read instead."""

    similarity: float
    familiar: bool
    nearest: tuple[str, ...]
    read_as: dict[str, str]

    def to_dict(self) -> dict:
        return asdict(self) | {"nearest": list(self.nearest), "similarity": round(self.similarity, 3)}


class KnownPrompts:
    """A model's memory of its training prompts, as mean embeddings of their tokens, and of their words."""

    def __init__(self, prompts: Sequence[str], words: Sequence[str], embeddings: Tensor, word_embeddings: Tensor, usual: float):
        """embeddings: [prompts, W], word_embeddings: [words, W], both of length 1; usual: a familiar prompt's least similarity."""
        self.prompts, self.words, self.usual = list(prompts), list(words), usual
        self.embeddings, self.word_embeddings = embeddings, word_embeddings
        self._known = set(self.words)
        subjects = {word for prompt in self.prompts for word in _subject(prompt)}  # a truck's bed is no bed
        self._things = {word: kind for word, kind in THINGS.items() if word in subjects and self.knows(kind)}
        self._center = word_embeddings.mean(0)  # what all words have in common, which hides what they mean
        self._meanings = F.normalize(word_embeddings - self._center, dim=-1)
        self._bars = torch.tensor([_bar(word) for word in self.words], device=word_embeddings.device)
        self._thing_bars = torch.tensor([THING if w in self._things else torch.inf for w in self.words], device=word_embeddings.device)

    @classmethod
    def learn(cls, prompts: Sequence[str], held_out: Sequence[str], foreign: Sequence[str], text: TextEncoder) -> "KnownPrompts":
        """Remember training prompts, the first KEPT of them one by one. How near is usual is what tells prompts of known things, held out
        from training, best from foreign ones: prompts of things that were never trained."""
        kept = [*dict.fromkeys(" ".join(p.lower().split()).strip(" .!") for p in prompts)][:KEPT]
        words = sorted({word for prompt in prompts for word in _words(prompt)})
        known = cls(kept, words, _embed(kept, text), _embed(words, text), 0.0)
        near, far = (known._similarities([known.read(p, text) for p in texts], text).amax(1) for texts in (held_out, foreign))
        borders = torch.cat((near, far)).sort().values
        told = (near >= borders[:, None]).float().mean(1) + (far < borders[:, None]).float().mean(1)
        known.usual = float(borders[told.argmax()])
        return known

    def _similarities(self, readings: Sequence[Reading], text: TextEncoder) -> Tensor:
        """Cosine of each prompt to each one that is remembered. [readings, prompts]"""
        return _embed([reading.judged for reading in readings], text) @ self.embeddings.T

    def save(self, folder: Path) -> None:
        """Write FILE into a model's folder."""
        tensors = {"prompts": self.embeddings.half().cpu(), "words": self.word_embeddings.half().cpu()}
        facts = {"format": "1", "usual": str(self.usual), "prompts": json.dumps(self.prompts), "words": json.dumps(self.words)}
        replace_file(folder / FILE, lambda path: save_file(tensors, path, facts))

    @classmethod
    def load(cls, folder: Path, device: torch.device, width: int) -> "KnownPrompts | None":
        """Read FILE; None where a model has none. width: of the text encoder. Raises MissingWeights when it is damaged or another's."""
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                facts, (prompts, words) = file.metadata(), (file.get_tensor(n).float().to(device) for n in ("prompts", "words"))
            known = cls(json.loads(facts["prompts"]), json.loads(facts["words"]), prompts, words, float(facts["usual"]))
            if not known.prompts or prompts.shape != (len(known.prompts), width) or words.shape != (len(known.words), width):
                raise ValueError(f"{list(prompts.shape)} and {list(words.shape)} embeddings for a text encoder of {width}")
            return known
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise MissingWeights(
                f"The model in {folder} is damaged.", f"{FILE}: {error}", "Get the model again, or delete that file."
            ) from error

    def knows(self, prompt: str) -> bool:
        """Whether training had every word of a prompt; numbers written as digits never count as known."""
        return self._known.issuperset(_words(prompt)) and not re.search(r"\b\d+\b", prompt)

    def read(self, prompt: str, text: TextEncoder) -> Reading:
        """The prompt in known words, as far as there are some, and what was exchanged: shades of colours, misspellings, other words by
        meaning. Where its subject names no known thing, its noun becomes the nearest one, if one is near enough. A prompt
        of known words stays as it is; so does any prompt for another text model than the one that the thresholds were found with."""
        strange = [w for w in dict.fromkeys(_words(prompt)) if w not in self._known]
        if not strange or text.name != DEFAULT:
            return Reading(prompt, prompt, {})
        read_as = {w: COLOR_OF[w] for w in strange if COLOR_OF.get(w) in self._known}
        longer = [w for w in strange if w not in read_as and len(w) > 3]  # shorter ones are all alike
        read_as |= self._respelt(longer, text, MISSPELT)
        read_as |= self._nearest([w for w in longer if w not in read_as], text, self._bars)
        read_as |= self._respelt([w for w in longer if w not in read_as], text, ALIKE)
        judged = _exchange(prompt, read_as)
        if self._things and self._things.keys().isdisjoint(_subject(judged)):
            judged, nouns = prompt, [w for w in _nouns(prompt) if w in longer]
            guess = dict([*self._nearest(nouns, text, self._thing_bars).items()][:1])
            read_as = {w: new for w, new in read_as.items() if w not in (guess or nouns)}  # "a zebra" is not "a striped"
            read_as |= {w: self._things[new] for w, new in guess.items()}
        return Reading(_exchange(prompt, read_as), judged, read_as)

    def _nearest(self, strange: list[str], text: TextEncoder, bars: Tensor) -> dict[str, str]:
        """The known words that mean about the same as strange ones, where they are above their bars. bars: [words]"""
        if not strange:
            return {}
        near = F.normalize(_embed(strange, text) - self._center, dim=-1) @ self._meanings.T
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

    def familiarity(self, readings: Sequence[Reading], text: TextEncoder, count: int = 3) -> list[Familiarity]:
        """How well each prompt is known; a thing that had to be guessed makes it no more familiar."""
        values, rows = self._similarities(readings, text).topk(min(count, len(self.prompts)), 1)
        return [
            Familiarity(near[0], near[0] >= self.usual, tuple(self.prompts[i] for i in nearest), reading.read_as)
            for reading, near, nearest in zip(readings, values.tolist(), rows.tolist(), strict=True)
        ]


def _bar(word: str) -> float:
    """The least nearness that exchanges a strange word for a known one."""
    return torch.inf if word in OPPOSITES else QUALITY if word in QUALITIES else SYNONYM


def _exchange(prompt: str, read_as: dict[str, str]) -> str:
    return _WORD.sub(lambda found: read_as.get(found[0].lower(), found[0]), prompt)


def _subject(prompt: str) -> list[str]:
    """The words of a prompt up to what says more of its thing, or names others."""
    return _words(_REST.split(prompt.lower())[0])


def _nouns(prompt: str) -> list[str]:
    """What a prompt may be about: the last words of its subject and of what commas part from that, without what it is made of."""
    subject = _STUFF.split(_REST.split(prompt.lower())[0])[0]
    return [word for part in subject.split(",") for word in _words(part)[-1:]]


def _words(prompt: str) -> list[str]:
    return _WORD.findall(prompt.lower())


def _embed(texts: Sequence[str], text: TextEncoder) -> Tensor:
    return torch.cat([_mean(*text(list(texts[i : i + 256]))) for i in range(0, len(texts), 256)])


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Sentence embeddings, as MiniLM's authors make them. tokens: [B, L, W], mask: [B, L] -> [B, W]"""
    return F.normalize((tokens * mask[..., None]).sum(1), dim=-1)
