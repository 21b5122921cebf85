# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model has learnt to read: its memory of the words and prompts of its training, and of what its library taught it about them, kept
beside its weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import MissingWeights, Unfamiliar
from core.files import replace_file
from core.language.encoder import TextEncoder
from core.language.light import said_of_light
from core.language.phrases import words_of
from core.language.rewording import Reading, Vocabulary, embed
from core.language.words import FILE as WORDS_FILE
from core.language.words import Words

FILE = "familiar.safetensors"
KEPT = 4096  # prompts that a model remembers


class KnownPrompts:
    """A model's memory of its training prompts, and of their words as mean embeddings of their tokens."""

    def __init__(self, prompts: Sequence[str], words: Sequence[str], word_embeddings: Tensor, taught: Words):
        """word_embeddings: [words, W], of length 1."""
        self.prompts = list(prompts)
        self.vocabulary = Vocabulary(words, word_embeddings, prompts, taught)

    @classmethod
    def learn(cls, prompts: Sequence[str], text: TextEncoder, taught: Words) -> "KnownPrompts":
        """Remember the words of training prompts, at most KEPT prompts one by one, and what their source teaches about its words."""
        kept = [*dict.fromkeys(" ".join(p.lower().split()).strip(" .!") for p in prompts)]
        kept = kept[:: max(1, -(-len(kept) // KEPT))]
        words = sorted({word for prompt in prompts for word in words_of(prompt)})
        return cls(kept, words, embed(words, text), taught)

    def on(self, device: torch.device) -> "KnownPrompts":
        """The same memory on another device."""
        vocabulary = self.vocabulary
        return KnownPrompts(self.prompts, vocabulary.words, vocabulary.embeddings.to(device), vocabulary.taught)

    def save(self, folder: Path) -> None:
        """Write FILE and the words of the library into a model's folder."""
        self.vocabulary.taught.save(folder)
        facts = {"format": "2", "prompts": json.dumps(self.prompts), "words": json.dumps(self.vocabulary.words)}
        replace_file(folder / FILE, lambda path: save_file({"words": self.vocabulary.embeddings.half().cpu()}, path, facts))

    @classmethod
    def load(cls, folder: Path, device: torch.device, width: int) -> "KnownPrompts | None":
        """Read FILE, of format 2 or 1 (which had the embeddings of the prompts as well); None where a model has none. width: of the text
        encoder. A model without words of a library, as those of before, reads by English and its own prompts alone. Raises MissingWeights
        when a file is damaged or another's."""
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        taught = _words_in(folder)
        try:
            with safe_open(path, "pt") as file:
                facts, embeddings = file.metadata(), file.get_tensor("words").float().to(device)
            prompts, words = json.loads(facts["prompts"]), json.loads(facts["words"])
            if not prompts or embeddings.shape != (len(words), width):
                raise ValueError(f"{list(embeddings.shape)} embeddings of {len(words)} words for a text encoder of {width}")
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise MissingWeights(
                f"The model in {folder} is damaged.", f"{FILE}: {error}", "Get the model again, or delete that file."
            ) from error
        return cls(prompts, words, embeddings, taught)

    def read(self, prompts: Sequence[str], text: TextEncoder, strict: bool = False) -> list[Reading]:
        """How each prompt is read. strict: raise Unfamiliar for the first whose thing is not known."""
        readings = [self._read(prompt, text) for prompt in prompts]
        for prompt, reading in zip(prompts, readings, strict=True):
            if strict and not reading.familiar:
                raise Unfamiliar(reading.subject, prompt, reading.nearest)
        return readings

    def _read(self, prompt: str, text: TextEncoder) -> Reading:
        """One prompt. What it says of light, the material takes; a model that has not learnt those words reads the rest. Glass of which no
        colour is said is clear: its picture is white."""
        said, vocabulary = said_of_light(prompt), self.vocabulary
        reading = vocabulary.read(said.without(prompt, vocabulary.has), text)
        reading.light = said.light
        if said.light.transmission and not said.colored and reading.familiar and vocabulary.has("white"):
            reading.text = vocabulary.read(said.without(prompt, vocabulary.has, "white"), text).text
        return reading


def _words_in(folder: Path) -> Words:
    try:
        return Words.load(folder)
    except (OSError, ValueError) as error:
        message, remedy = f"The model in {folder} is damaged.", "Get the model again, or delete that file."
        raise MissingWeights(message, f"{WORDS_FILE}: {error}", remedy) from error
