# SPDX-License-Identifier: GPL-3.0-or-later
"""A library's prompts as a prior reads them: encoded once, kept on disk, read from there row by row; then the text encoder goes."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import BadRequest, MissingWeights, out_of_memory
from core.files import replace_file
from core.guidance.folder import read_config
from core.guidance.sds import Text
from core.language.encoder import TextEncoder

NEGATIVE = "ugly, blurry, pixelated, low quality, deformed, cropped, dull colours, duplicate, text, watermark"
SHARD = 512  # prompts in a file: what a broken run has to encode again
BATCH = 64  # prompts through the encoder at once
SENTENCE, SENTENCE_TOKENS = "latte3d-sentence", 24  # model type of a folder whose prompts the generators' own encoder reads; its tokens


class PriorText:
    """The text encoder of a prior's folder; frozen. width: of its embeddings; length: of each, in tokens."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype = torch.float32):
        from transformers import AutoTokenizer, CLIPTextModel, T5EncoderModel

        config = read_config(folder, "text_encoder")
        kind = config.get("model_type")
        model = {"clip_text_model": CLIPTextModel, "t5": T5EncoderModel}.get(kind)
        if model is None:
            raise BadRequest(
                f"The text encoder of {folder} is a {kind}.", "", "Those of Stable Diffusion (CLIP) and of pixel priors (T5) work."
            )
        read_config(folder, "tokenizer", "tokenizer_config.json")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
            self.model, report = model.from_pretrained(
                str(folder / "text_encoder"), dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:  # of transformers, tokenizers or safetensors
            if out_of_memory(error):
                raise
            cause = f"{error}".strip().splitlines()[0][:300]
            raise MissingWeights(f"The text encoder of {folder} cannot be loaded.", cause, "Get the prior again.") from error
        if missing := sorted(report["missing_keys"]):
            cause = f"{len(missing)} weights are missing, {missing[0]} the first."
            raise MissingWeights(f"The text encoder of {folder} is incomplete.", cause, "Get the prior again.")
        self.model.to(device).eval().requires_grad_(False)
        self.width = int(config.get("hidden_size") or config.get("d_model"))
        self.length = min(self.tokenizer.model_max_length, config.get("max_position_embeddings", 77))
        self._masked = kind == "t5"  # CLIP was trained to read its padding, too

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """[n, length, width], float32"""
        tokens = self.tokenizer(list(prompts), padding="max_length", truncation=True, max_length=self.length, return_tensors="pt")
        tokens = tokens.to(self.model.device)
        mask = {"attention_mask": tokens.attention_mask} if self._masked else {}
        return self.model(tokens.input_ids, **mask).last_hidden_state.float()


class SentenceText:
    """The generators' own text encoder, as priors of one's own read it: a fixed number of tokens, zeros after the last."""

    def __init__(self, encoder: TextEncoder, length: int = SENTENCE_TOKENS):
        self.encoder, self.width, self.length = encoder, encoder.width, length

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """[n, length, width], float32"""
        tokens, mask = self.encoder(list(prompts))
        tokens = (tokens * mask[..., None])[:, : self.length].float()
        return torch.nn.functional.pad(tokens, (0, 0, 0, self.length - tokens.shape[1]))


def text_of(folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> PriorText | SentenceText:
    """What encodes the prompts of a prior's folder."""
    config = read_config(folder, "text_encoder")
    if config.get("model_type") == SENTENCE:
        return SentenceText(TextEncoder(config["name"], device), config["length"])
    return PriorText(folder, device, dtype)


def can_read(folder: Path) -> bool:
    """Whether a prior's folder has all that encodes a prompt."""
    if not (folder / "text_encoder").is_dir():
        return False
    return (folder / "tokenizer").is_dir() or read_config(folder, "text_encoder").get("model_type") == SENTENCE


def negative_of(folder: Path) -> str:
    """The negative prompt of a prior's folder: what the prior was trained with, where it says so."""
    return read_config(folder, "text_encoder").get("negative", NEGATIVE)


class EmbeddingCache:
    """Embeddings on disk: FOLDER/<mark of the encoder>/<number>.safetensors, each with "text" [n, L, C] fp16 and "keys" [n, 16] bytes.

    Only the keys' first halves are kept in memory, 12 bytes a prompt; embeddings are read out of the mapped files as they are asked for.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._files: list[Path] = []
        self._open: dict[int, safe_open] = {}
        self._keys = np.empty(0, np.uint64)  # sorted
        self._rows = np.empty(0, np.int32)  # number among all rows of all files, of each key
        self._starts = np.zeros(1, np.int64)
        self._negative: tuple[str, Tensor] | None = None
        self._read_keys()

    @staticmethod
    def build(
        folder: Path,
        prior: Path,
        prompts: Iterable[str],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        negative: str | None = None,
        report: Callable[[int, int], None] | None = None,
    ) -> "EmbeddingCache":
        """The cache in `folder` for a prior's text encoder, with these prompts and the negative one (None: the prior's usual one); the
        encoder is loaded only where some are missing, and gone afterwards. report(done, total) is called now and then. Raises BadRequest
        for an empty prompt."""
        cache, negative = EmbeddingCache(folder / encoder_mark(prior, dtype)), negative_of(prior) if negative is None else negative
        if missing := cache.missing([negative, *(_checked(prompt) for prompt in prompts)]):
            encoder = text_of(prior, torch.device(device), dtype)
            cache.add(missing, encoder, report)
            del encoder
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return cache.with_negative(negative)

    def missing(self, prompts: Iterable[str]) -> list[str]:
        """Those that are not here yet, each once."""
        wanted = list(dict.fromkeys(prompts))
        found = self._find(wanted)
        return [prompt for prompt, row in zip(wanted, found, strict=True) if row < 0]

    def add(
        self, prompts: Sequence[str], encode: Callable[[Sequence[str]], Tensor], report: Callable[[int, int], None] | None = None
    ) -> None:
        """Encode prompts and keep them; after each file of SHARD prompts, what is done is done."""
        for start in range(0, len(prompts), SHARD):
            some = prompts[start : start + SHARD]
            parts = []
            for i in range(0, len(some), BATCH):
                parts.append(encode(some[i : i + BATCH]).to("cpu", torch.float16))
                if report:
                    report(start + min(i + BATCH, len(some)), len(prompts))
            keys = torch.from_numpy(np.stack([np.frombuffer(_digest(prompt), np.uint8) for prompt in some]))
            tensors = {"text": torch.cat(parts).contiguous(), "keys": keys}
            number = int(self._files[-1].stem) + 1 if self._files else 0
            path = self.folder / f"{number:06d}.safetensors"
            replace_file(path, lambda name, tensors=tensors: save_file(tensors, name))
            self._files.append(path)
        self._read_keys()

    def with_negative(self, prompt: str) -> "EmbeddingCache":
        """This cache, with the negative prompt of its batches."""
        self._negative = (prompt, self.rows([prompt]))
        return self

    def batch(self, prompts: Sequence[str]) -> Text:
        """What a guidance reads: [B, L, C] of the prompts and [1, L, C] of the negative one."""
        if self._negative is None:
            raise ValueError("call with_negative first")
        return Text(self.rows(prompts), self._negative[1])

    def rows(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings [B, L, C], fp16. Raises BadRequest where one is not here."""
        rows = self._find(prompts)
        if (rows < 0).any():
            absent = prompts[int(np.argmin(rows))]
            raise BadRequest(f"The prompt {absent!r} has not been encoded.", f"It is not in {self.folder}.", "Encode the library again.")
        out = []
        for row in rows:
            file = int(np.searchsorted(self._starts, row, side="right")) - 1
            out.append(self._file(file).get_slice("text")[int(row - self._starts[file])])
        return torch.stack(out)

    def __len__(self) -> int:
        return len(self._keys)

    def _find(self, prompts: Sequence[str]) -> np.ndarray:
        """The row of each prompt, −1 where it has none."""
        keys = np.array([int.from_bytes(_digest(prompt)[:8], "little") for prompt in prompts], np.uint64)
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64)
        places = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._rows[places], -1).astype(np.int64)

    def _file(self, number: int) -> safe_open:
        if number not in self._open:
            self._open[number] = safe_open(self._files[number], "pt")
        return self._open[number]

    def _read_keys(self) -> None:
        """Of all files; one that is damaged goes, and its prompts are encoded again."""
        self._files, self._open, halves = [], {}, []
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder.is_dir() else []:
            try:
                with safe_open(path, "pt") as file:
                    keys = file.get_tensor("keys").numpy()
                    if len(keys) != file.get_slice("text").get_shape()[0]:
                        raise ValueError("it has more keys than rows")
                halves.append(keys[:, :8].copy().view("<u8").reshape(-1))
                self._files.append(path)
            except (SafetensorError, ValueError, OSError):
                with contextlib.suppress(OSError):
                    path.unlink()
        self._starts = np.cumsum([0, *(len(half) for half in halves)])
        keys = np.concatenate(halves) if halves else np.empty(0, np.uint64)
        order = np.argsort(keys, kind="stable")
        self._keys, self._rows = keys[order].astype(np.uint64), order.astype(np.int32)


def encoder_mark(prior: Path, dtype: torch.dtype = torch.float32) -> str:
    """A mark that changes with a prior's text encoder, its tokenizer, or the number format that it runs in."""
    digest = hashlib.sha256(str(dtype).encode())
    sentence = read_config(prior, "text_encoder").get("model_type") == SENTENCE  # which has its tokenizer with it
    for part in ("text_encoder", "tokenizer")[: 1 if sentence else 2]:
        read_config(prior, part, "config.json" if part == "text_encoder" else "tokenizer_config.json")
        for path in sorted(p for p in (prior / part).rglob("*") if p.suffix in (".json", ".txt", ".safetensors", ".model")):
            with open(path, "rb") as file:
                content = _without_place(file.read()) if path.name == "config.json" else hashlib.file_digest(file, "sha256").digest()
            digest.update(path.name.encode() + content)
    return digest.hexdigest()[:16]


def _without_place(config: bytes) -> bytes:
    """A config without the names and versions that whoever saved it had."""
    try:
        parsed = json.loads(config)
    except ValueError:
        return config
    kept = {key: value for key, value in parsed.items() if key not in ("_name_or_path", "transformers_version", "dtype", "torch_dtype")}
    return json.dumps(kept, sort_keys=True).encode()


def _digest(prompt: str) -> bytes:
    return hashlib.sha256(prompt.strip().encode()).digest()[:16]


def _checked(prompt: str) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadRequest("A prompt of the library is empty.", "", "Give it words, or leave its row out.")
    return prompt
