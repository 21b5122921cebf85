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
    FINISH_WORDS,
    MATERIAL_ADJECTIVES,
    MATERIAL_NOUNS,
    PATTERN_ADJECTIVES,
    PROPORTION_WORDS,
    SIZE_WORDS,
)
from core.library.kinds import KINDS
from core.library.palette import COLORS
from core.text import DEFAULT, TextEncoder

FILE = "familiar.safetensors"
KEPT = 4096  # prompts that a model remembers
# Least cosines between two words alone, without what all known words have in common. With the starter model 42 of 88 strange names of its
# things are read right and 11 wrong, 30 and 4 of 52 words for materials, patterns and finishes; 3 of 85 other adjectives are taken for one.
SYNONYM = 0.62  # "tires" and "wheels" have 0.64, "shipping" and "ship" 0.61
QUALITY = 0.33  # a material, pattern or finish: "terracotta" and "clay" have 0.36, nonsense 0.27 at most
THING = 0.3  # a thing where no known one is named; 16 of 57 foreign things become something ("a bicycle" a car)
SPELLING = 0.8  # difflib's ratio
SHADES = {  # text models think of "crimson" as near to purple; shades that are things too ("rose", "lemon") stay as they are
    "red": "crimson scarlet maroon burgundy vermilion", "blue": "navy azure cobalt ultramarine", "teal": "turquoise cyan aqua aquamarine",
    "purple": "violet indigo mauve", "pink": "magenta fuchsia", "brown": "tan umber sienna", "cream": "beige ivory", "gray": "silver",
    "black": "ebony",
}  # fmt: skip
COLOR_OF = {shade: color for color, shades in SHADES.items() for shade in shades.split()}
_QUALITIES = (MATERIAL_ADJECTIVES, MATERIAL_NOUNS, PATTERN_ADJECTIVES, FINISH_WORDS)
QUALITIES = {words[0] for table in _QUALITIES for words in table.values()}  # other words for them mean too much else: "dull", "checked"
THINGS = {word for kind in KINDS.values() for word in (kind.name, *kind.synonyms)}
_REST = re.compile(r"\b(?:with|without|featuring|having|wearing|made|that|in|on)\b")  # what follows may name other things
OPPOSITES = {*COLORS, "grey", *(w for words in (*SIZE_WORDS.values(), *PROPORTION_WORDS.values()) for w in words)}  # alike in use only


@dataclass(frozen=True)
class Reading:
    """text: a prompt in known words; literal: the same but for the thing that was guessed, if one was; read_as: what was exchanged."""

    text: str
    literal: str
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
        self._bars = torch.tensor([_bar(word) for word in self.words], device=word_embeddings.device)
        self._known_things = self._known & THINGS
        self._things = torch.tensor([word in THINGS for word in self.words], device=word_embeddings.device)

    @classmethod
    def learn(cls, prompts: Sequence[str], held_out: Sequence[str], foreign: Sequence[str], text: TextEncoder) -> "KnownPrompts":
        """Remember training prompts, the first KEPT of them one by one. How near is usual is what tells prompts of known things, held out
        from training, best from foreign ones: prompts of things that were never trained."""
        kept = [*dict.fromkeys(" ".join(p.lower().split()).strip(" .!") for p in prompts)][:KEPT]
        words = sorted({word for prompt in prompts for word in _words(prompt)})
        known = cls(kept, words, _embed(kept, text), _embed(words, text), 0.0)
        near, far = (known._similarities(texts, text) for texts in (held_out, foreign))
        borders = torch.cat((near, far)).sort().values
        told = (near >= borders[:, None]).float().mean(1) + (far < borders[:, None]).float().mean(1)
        known.usual = float(borders[told.argmax()])
        return known

    def _similarities(self, prompts: Sequence[str], text: TextEncoder) -> Tensor:
        """Cosine of each prompt, as it is read, to the nearest one that is remembered. [prompts]"""
        return (_embed([self.read(prompt, text).literal for prompt in prompts], text) @ self.embeddings.T).amax(1)

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
        """The prompt in known words, as far as there are some, and what was exchanged: shades of colours, other words by meaning, what is
        no word at all by its spelling. Where it names no known thing at all, its strange one becomes the nearest known. A prompt of known
        words stays as it is; so does any prompt for another text model than the one that the thresholds were found with."""
        strange = [w for w in dict.fromkeys(_words(prompt)) if w not in self._known]
        if not strange or text.name != DEFAULT:
            return Reading(prompt, prompt, {})
        exchanged = {w: COLOR_OF[w] for w in strange if COLOR_OF.get(w) in self._known}
        longer = [w for w in strange if w not in exchanged and len(w) > 3]  # shorter ones are all alike
        exchanged |= self._nearest(longer, text)
        exchanged |= {w: new for w in longer if w not in exchanged and (new := self._respelt(w, text))}
        literal = _exchange(prompt, exchanged)
        subject, read = (_words(_REST.split(words.lower())[0]) for words in (prompt, literal))
        if self._known_things.isdisjoint(read) and (nouns := [w for w in subject if w in longer]):
            exchanged |= self._nearest(nouns[-1:], text, THING)
        return Reading(_exchange(prompt, exchanged), literal, exchanged)

    def _nearest(self, strange: list[str], text: TextEncoder, thing: float | None = None) -> dict[str, str]:
        """Known words that mean about the same as strange ones, where there are some. thing: take things alone, from this nearness on."""
        if not strange:
            return {}
        center = self.word_embeddings.mean(0)  # words of one trade are all alike without this
        near = F.normalize(_embed(strange, text) - center, dim=-1) @ F.normalize(self.word_embeddings - center, dim=-1).T
        above, rows = (near - (self._bars if thing is None else torch.where(self._things, thing, torch.inf))).max(1)
        best = [self.words[i] for i in rows.tolist()]
        sure = [by >= 0 and text.is_word(new) for new, by in zip(best, above.tolist(), strict=True)]  # those in pieces are all alike
        return {w: new for w, new, ok in zip(strange, best, sure, strict=True) if ok}

    def _respelt(self, word: str, text: TextEncoder) -> str | None:
        """The known word that a misspelling is nearest to, or the last part of a compound: a houseboat is a boat."""
        if text.is_word(word):
            return None
        near = difflib.get_close_matches(word, [*self.words, *COLOR_OF], 1, SPELLING)
        meant = near[0] if near else self._head(word, text)
        meant = COLOR_OF.get(meant, meant)
        return meant if meant in self._known and meant != word else None

    def _head(self, compound: str, text: TextEncoder) -> str:
        """The longest known word that a word ends with, where what comes before it is a word as well; else the word itself."""
        cuts = range(3, len(compound) - 2)
        heads = (compound[i:] for i in cuts if text.is_word(compound[:i]))
        return next((h for h in heads if h in self._known and h not in OPPOSITES), compound)

    def familiarity(self, readings: Sequence[Reading], text: TextEncoder, count: int = 3) -> list[Familiarity]:
        """How well each prompt is known; a thing that had to be guessed makes it no more familiar."""
        similar = _embed([reading.literal for reading in readings], text) @ self.embeddings.T
        values, rows = similar.topk(min(count, len(self.prompts)), 1)
        return [
            Familiarity(near[0], near[0] >= self.usual, tuple(self.prompts[i] for i in nearest), reading.read_as)
            for reading, near, nearest in zip(readings, values.tolist(), rows.tolist(), strict=True)
        ]


def _bar(word: str) -> float:
    """The least nearness that exchanges a strange word for a known one."""
    return torch.inf if word in OPPOSITES else QUALITY if word in QUALITIES else SYNONYM


def _exchange(prompt: str, exchanged: dict[str, str]) -> str:
    if not exchanged:
        return prompt
    pattern = r"\b(" + "|".join(map(re.escape, exchanged)) + r")\b"
    return re.sub(pattern, lambda found: exchanged.get(found[0].lower(), found[0]), prompt, flags=re.IGNORECASE)


def _words(prompt: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", prompt.lower())


def _embed(texts: Sequence[str], text: TextEncoder) -> Tensor:
    return torch.cat([_mean(*text(list(texts[i : i + 256]))) for i in range(0, len(texts), 256)])


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Sentence embeddings, as MiniLM's authors make them. tokens: [B, L, W], mask: [B, L] -> [B, W]"""
    return F.normalize((tokens * mask[..., None]).sum(1), dim=-1)
