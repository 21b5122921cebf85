# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a model knows a prompt: its memory of what it has learnt, and how near the prompt comes to that."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import MissingWeights
from core.files import replace_file
from core.reading import Reading, Vocabulary, embed, words_of
from core.text import TextEncoder

FILE = "familiar.safetensors"
KEPT = 4096  # prompts that a model remembers


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
        self.prompts, self.embeddings, self.usual = list(prompts), embeddings, usual
        self.vocabulary = Vocabulary(words, word_embeddings, prompts)

    @classmethod
    def learn(cls, prompts: Sequence[str], held_out: Sequence[str], foreign: Sequence[str], text: TextEncoder) -> "KnownPrompts":
        """Remember training prompts, the first KEPT of them one by one. How near is usual is what tells prompts of known things, held out
        from training, best from foreign ones: prompts of things that were never trained."""
        kept = [*dict.fromkeys(" ".join(p.lower().split()).strip(" .!") for p in prompts)][:KEPT]
        words = sorted({word for prompt in prompts for word in words_of(prompt)})
        known = cls(kept, words, embed(kept, text), embed(words, text), 0.0)
        near, far = (known._similarities([known.vocabulary.read(p, text) for p in texts], text).amax(1) for texts in (held_out, foreign))
        borders = torch.cat((near, far)).sort().values
        told = (near >= borders[:, None]).float().mean(1) + (far < borders[:, None]).float().mean(1)
        known.usual = float(borders[told.argmax()])
        return known

    def _similarities(self, readings: Sequence[Reading], text: TextEncoder) -> Tensor:
        """Cosine of each prompt to each one that is remembered. [readings, prompts]"""
        return embed([reading.judged for reading in readings], text) @ self.embeddings.T

    def save(self, folder: Path) -> None:
        """Write FILE into a model's folder."""
        tensors = {"prompts": self.embeddings.half().cpu(), "words": self.vocabulary.embeddings.half().cpu()}
        facts = {"format": "1", "usual": str(self.usual), "prompts": json.dumps(self.prompts), "words": json.dumps(self.vocabulary.words)}
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
            if not known.prompts or prompts.shape != (len(known.prompts), width) or words.shape != (len(known.vocabulary.words), width):
                raise ValueError(f"{list(prompts.shape)} and {list(words.shape)} embeddings for a text encoder of {width}")
            return known
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise MissingWeights(
                f"The model in {folder} is damaged.", f"{FILE}: {error}", "Get the model again, or delete that file."
            ) from error

    def familiarity(self, readings: Sequence[Reading], text: TextEncoder, count: int = 3) -> list[Familiarity]:
        """How well each prompt is known; a thing that had to be guessed makes it no more familiar."""
        values, rows = self._similarities(readings, text).topk(min(count, len(self.prompts)), 1)
        return [
            Familiarity(near[0], near[0] >= self.usual, tuple(self.prompts[i] for i in nearest), reading.read_as)
            for reading, near, nearest in zip(readings, values.tolist(), rows.tolist(), strict=True)
        ]
