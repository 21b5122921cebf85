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
from core.text import TextEncoder

FILE = "familiar.safetensors"
KEPT = 2048  # prompts that a model remembers
USUAL = 0.01  # this share of the prompts held out from training counts as unfamiliar
SYNONYM = 0.73  # cosine between two words alone; "steel" and "metal" have 0.78, "castle" and "cottage" 0.53
SPELLING = 0.76  # difflib's ratio; "chequered" and "checkered" have 0.78
SHADES = {  # text models think of "crimson" as near to purple, and of colour spaces' neighbours few people agree with
    "red": "crimson scarlet maroon burgundy ruby cherry vermilion", "blue": "navy azure cobalt sapphire ultramarine",
    "teal": "turquoise cyan aqua aquamarine", "purple": "violet lavender lilac indigo plum mauve amethyst",
    "pink": "magenta fuchsia salmon coral rose", "green": "olive lime emerald mint khaki jade", "orange": "amber tangerine apricot peach",
    "yellow": "lemon mustard", "brown": "chocolate tan sienna umber chestnut hazel", "cream": "beige ivory vanilla bone",
    "gray": "silver slate", "white": "snowy", "black": "ebony charcoal onyx",
}  # fmt: skip
COLOR_OF = {shade: color for color, shades in SHADES.items() for shade in shades.split()}


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

    @classmethod
    def learn(cls, prompts: Sequence[str], held_out: Sequence[str], text: TextEncoder) -> "KnownPrompts":
        """Remember training prompts, the first KEPT of them one by one; held-out ones of the same sort tell how near is usual."""
        kept = [*dict.fromkeys(" ".join(p.split()) for p in prompts)][:KEPT]
        words = sorted({word for prompt in prompts for word in _words(prompt)})
        embeddings = _embed(kept, text)
        nearest = (_embed(held_out, text) @ embeddings.T).amax(1)
        return cls(kept, words, embeddings, _embed(words, text), float(nearest.quantile(USUAL)))

    def save(self, folder: Path) -> None:
        """Write FILE into a model's folder."""
        tensors = {"prompts": self.embeddings.half().cpu(), "words": self.word_embeddings.half().cpu()}
        facts = {"format": "1", "usual": str(self.usual), "prompts": json.dumps(self.prompts), "words": json.dumps(self.words)}
        replace_file(folder / FILE, lambda path: save_file(tensors, path, facts))

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "KnownPrompts | None":
        """Read FILE; None where a model has none. Raises MissingWeights when it is damaged."""
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                facts, (prompts, words) = file.metadata(), (file.get_tensor(n).float().to(device) for n in ("prompts", "words"))
            return cls(json.loads(facts["prompts"]), json.loads(facts["words"]), prompts, words, float(facts["usual"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise MissingWeights(
                f"The model in {folder} is damaged.", f"{FILE}: {error}", "Get the model again, or delete that file."
            ) from error

    def reworded(self, prompt: str, text: TextEncoder) -> tuple[str, dict[str, str]]:
        """The prompt in known words, as far as there are some, and what was exchanged: shades of colours, other words by
        meaning, and what is no word at all by its spelling. A prompt of known words stays as it is."""
        strange = [w for w in dict.fromkeys(_words(prompt)) if w not in self._known]
        exchanged = {w: new for w in strange if (new := self._known_word(w, text))}
        if not exchanged:
            return prompt, {}
        pattern = r"\b(" + "|".join(map(re.escape, exchanged)) + r")\b"
        return re.sub(pattern, lambda found: exchanged[found[0].lower()], prompt, flags=re.IGNORECASE), exchanged

    def _known_word(self, word: str, text: TextEncoder) -> str | None:
        if COLOR_OF.get(word) in self._known:
            return COLOR_OF[word]
        if len(word) < 4:  # "on", "its": grammar's own words are near one another
            return None
        if text.is_word(word):
            similarity, row = (_embed([word], text) @ self.word_embeddings.T)[0].max(0)
            return self.words[int(row)] if float(similarity) >= SYNONYM else None
        meant = next(iter(difflib.get_close_matches(word, [*self.words, *COLOR_OF], 1, SPELLING)), None)
        return meant if meant in self._known or meant is None else self._known_word(meant, text)

    def familiarity(self, tokens: Tensor, mask: Tensor, read_as: dict[str, str], count: int = 3) -> Familiarity:
        """Of one prompt: tokens [L, W], mask [L]."""
        similar = _mean(tokens[None], mask[None])[0] @ self.embeddings.T
        values, rows = similar.topk(min(count, len(self.prompts)))
        return Familiarity(float(values[0]), float(values[0]) >= self.usual, tuple(self.prompts[i] for i in rows.tolist()), read_as)


def _words(prompt: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", prompt.lower())


def _embed(texts: Sequence[str], text: TextEncoder) -> Tensor:
    return torch.cat([_mean(*text(list(texts[i : i + 256]))) for i in range(0, len(texts), 256)])


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Sentence embeddings, as MiniLM's authors make them. tokens: [B, L, W], mask: [B, L] -> [B, W]"""
    return F.normalize((tokens * mask[..., None]).sum(1), dim=-1)

