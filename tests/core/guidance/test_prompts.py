# SPDX-License-Identifier: GPL-3.0-or-later
"""Embeddings of prompts: encoded once, kept on disk, read row by row."""

import tracemalloc

import pytest
import torch

from core.errors import BadRequest, EngineError, MissingWeights
from core.guidance import prompts as module
from core.guidance.prompts import EmbeddingCache, PriorText, encoder_mark
from tests.core.guidance import tiny


def test_a_library_is_encoded_once_and_then_without_the_encoder(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "SHARD", 3)
    prompts, told = [f"a box number {n}" for n in range(7)], []
    cache = EmbeddingCache.build(tmp_path, folders["multiview"], [*prompts, prompts[0]], negative="ugly", report=lambda *x: told.append(x))
    assert len(cache) == 8 and told[-1] == (8, 8) and len(list(cache.folder.glob("*.safetensors"))) == 3
    encode = PriorText(folders["multiview"], torch.device("cpu"))
    batch = cache.batch([prompts[5], prompts[0]])
    assert torch.equal(batch.prompt, encode([prompts[5], prompts[0]]).half()) and torch.equal(batch.negative, encode(["ugly"]).half())
    assert batch.prompt.shape == (2, 77, tiny.TEXT_WIDTH) and not torch.equal(batch.prompt[0], batch.prompt[1])
    monkeypatch.setattr(module, "PriorText", lambda *_: pytest.fail("the encoder was loaded again"))
    again = EmbeddingCache.build(tmp_path, folders["multiview"], prompts[2:4], negative="ugly")
    assert torch.equal(again.rows(prompts), cache.rows(prompts))
    with pytest.raises(BadRequest, match="'a pear' has not been encoded"):
        cache.batch(["a pear"])


def test_what_a_broken_run_or_a_damaged_file_lost_is_encoded_again(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "SHARD", 2)
    cache = EmbeddingCache(tmp_path)
    encode = PriorText(folders["multiview"], torch.device("cpu"))

    def broken(some):
        if "third" in some:
            raise OSError("no space left")
        return encode(some)

    with pytest.raises(OSError):
        cache.add(["first", "second", "third"], broken)
    found = EmbeddingCache(tmp_path)
    assert found.missing(["first", "second", "third"]) == ["third"]
    path = next(tmp_path.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-10])
    assert EmbeddingCache(tmp_path).missing(["first", "second"]) == ["first", "second"] and not path.exists()


def test_another_encoder_has_another_cache(folders, copied) -> None:
    folder = copied("multiview")
    assert encoder_mark(folder) == encoder_mark(folders["multiview"])
    tiny.edit(folder / "text_encoder" / "config.json", _name_or_path="elsewhere")
    assert encoder_mark(folder) == encoder_mark(folders["multiview"])
    tiny.text_encoder(seed=9).save_pretrained(folder / "text_encoder")
    assert len({encoder_mark(folder), encoder_mark(folders["multiview"]), encoder_mark(folder, torch.bfloat16)}) == 3


def test_a_hundred_thousand_prompts_need_no_more_memory_than_a_thousand(tmp_path) -> None:
    """But for twelve bytes each: their embeddings stay on disk."""
    needed = {}
    for count in (1_000, 101_608):
        cache = EmbeddingCache(tmp_path / str(count))
        cache.add([str(n) for n in range(count)], lambda some: torch.tensor([float(x) for x in some]).reshape(-1, 1, 1).expand(-1, 2, 8))
        del cache
        tracemalloc.start()
        cache = EmbeddingCache(tmp_path / str(count))
        row = cache.rows([str(count - 1)])
        needed[count] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert row.shape == (1, 2, 8) and float(row[0, 0, 0]) == pytest.approx(count - 1 if count < 60_000 else float("inf"))
    assert needed[101_608] - needed[1_000] < 3_000_000


def test_what_cannot_be_encoded_is_refused(folders, copied, tmp_path) -> None:
    with pytest.raises(BadRequest, match="empty"):
        EmbeddingCache.build(tmp_path, folders["image"], ["a box", "  "])
    folder = copied("image")
    tiny.edit(folder / "text_encoder" / "config.json", model_type="gpt2")
    with pytest.raises(BadRequest, match="is a gpt2"):
        PriorText(folder, torch.device("cpu"))
    (folder / "tokenizer" / "tokenizer_config.json").unlink()
    with pytest.raises(BadRequest, match="tokenizer"):
        EmbeddingCache.build(tmp_path, folder, ["a box"])
    folder = copied("depth")
    path = folder / "text_encoder" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises((MissingWeights, EngineError), match="cannot be loaded"):
        PriorText(folder, torch.device("cpu"))
