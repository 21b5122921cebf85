# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made is kept beyond the file and Blender, within a bound, whatever happens to the folder; without Blender in the way."""

import json
import os

import numpy as np
import pytest

from tests.blender import answers

MEGABYTE = 1 << 20


@pytest.fixture
def open_history(addon, tmp_path):
    """`open_history()` opens the history of one folder, as each Blender does."""
    opened = []

    def make():
        opened.append(addon("history").History(tmp_path / "history"))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def keep(history, *results, limit: int = 100 * MEGABYTE) -> list[str]:
    for result in results:
        history.add(result, limit)
    history.finish()
    return [result.key for result in results]


def test_what_was_made_is_there_in_the_next_blender(addon, open_history):
    guide = addon("client.guide").Guide(("a ball", 0.5), 0.25, np.full((64, 6), 0.25, np.float32))
    result = answers.answer("a red cube", 7, style=[0.5] * 8)
    result.guide, result.picture = guide, b"a picture"
    (key,) = keep(open_history(), result)
    history = open_history()
    (entry,) = history.entries
    assert (entry.prompt, entry.seed, entry.model, entry.triangles, entry.shaped) == ("a red cube", 7, "test", 12, "shape")
    again = history.result(key)
    assert again.key == key and again.style == [0.5] * 8 and again.picture == b"a picture" and again.fields == result.fields
    assert again.guide.facts == guide.facts and (again.guide.cloud == guide.cloud).all() and "cloud" not in again.arrays
    np.testing.assert_array_equal(again.arrays["vertices"], result.arrays["vertices"])
    assert entry.size == sum(path.stat().st_size for path in history.folder.iterdir() if path.name != "index.json") == history.size


def test_the_same_object_is_kept_once_and_comes_first(open_history):
    history = open_history()
    keep(history, answers.answer("a cube"), answers.answer("a ball"), answers.answer("a cube"))
    assert [entry.prompt for entry in history.entries] == ["a cube", "a ball"]


def test_search_by_words_of_the_prompt_model_and_seed(open_history):
    history = open_history()
    keep(history, answers.answer("a red cube", 7), answers.answer("a RED ball", 12), answers.answer("ein Würfel"))
    assert [entry.prompt for entry in history.find("red")] == ["a RED ball", "a red cube"]
    assert [entry.prompt for entry in history.find("Red 12")] == ["a RED ball"] and [one.prompt for one in history.find("WÜRFEL")]
    assert len(history.find("")) == 3 and not history.find("green")


def test_both_spellings_are_found(open_history):
    history = open_history()
    keep(history, *(answers.answer(prompt) for prompt in ("a grey mug", "a gray duck", "a coloured tyre")))
    for text in ("grey", "gray"):
        assert {one.prompt for one in history.find(text)} == {"a grey mug", "a gray duck"}
    assert [one.prompt for one in history.find("gre")] == ["a grey mug"]  # while it is typed
    assert history.find("colored tire") == history.find("coloured tyre") != []


def test_the_oldest_make_room(open_history):
    history, results = open_history(), [answers.answer("a cube", seed) for seed in range(6)]
    keep(history, results[0])
    one = history.size
    keep(history, *results[1:], limit=3 * one + one // 2)
    assert [entry.seed for entry in history.entries] == [5, 4, 3] and history.size < 4 * one
    assert len(list(history.folder.iterdir())) == 4  # three objects and the index
    history.trim(0)
    assert not history.entries and history.size == 0


def test_two_blenders_share_a_folder(open_history):
    one, other = open_history(), open_history()
    keep(one, answers.answer("a cube"))
    keep(other, answers.answer("a ball"))
    one.refresh()
    assert {entry.prompt for entry in one.entries} == {entry.prompt for entry in other.entries} == {"a cube", "a ball"}
    one.delete(one.entries[0].key)
    other.refresh()
    assert len(other.entries) == 1


@pytest.mark.parametrize("index", [None, "{", '{"entries": [{"key": 5}, 7, null]}', "[]"])
def test_an_index_that_is_lost_or_damaged_is_made_anew(open_history, index):
    keep(open_history(), answers.answer("a cube", 3), answers.answer("a ball"))
    file = open_history().folder / "index.json"
    file.unlink() if index is None else file.write_text(index)
    history = open_history()
    assert {(entry.prompt, entry.seed) for entry in history.entries} == {("a cube", 3), ("a ball", 0)}
    keep(history, answers.answer("a die"))
    assert len(json.loads(file.read_text())["entries"]) == 3


def test_files_that_are_torn_or_gone_are_forgotten(open_history):
    keys = keep(open_history(), answers.answer("a cube"), answers.answer("a ball"))
    history = open_history()
    torn, gone = (history.folder / f"{key}.latte3d" for key in keys)
    torn.write_bytes(torn.read_bytes()[:-9])
    gone.unlink()
    assert history.result(keys[0]) is None and history.result(keys[1]) is None
    assert not history.entries and not open_history().entries


def test_a_folder_that_cannot_be_written_is_a_sentence(addon, tmp_path):
    (tmp_path / "file").write_text("")
    history = addon("history").History(tmp_path / "file" / "history")
    keep(history, answers.answer("a cube"))
    assert history.fault.startswith("The last object is not in the history: ") and not history.entries and not history.busy
    history.close()


def test_a_thousand_objects_open_at_once(addon, open_history, tmp_path):
    """Opening and writing the index of many takes no time that an artist notices."""
    import time

    keep(open_history(), answers.answer("a cube"))
    folder = open_history().folder
    (first,) = json.loads((folder / "index.json").read_text())["entries"]
    blob = (folder / f"{first['key']}.latte3d").read_bytes()
    entries = []
    for number in range(1000):
        key = f"{number:040x}"
        (folder / f"{key}.latte3d").write_bytes(blob)
        entries.append(first | {"key": key, "made": float(number)})
    (folder / "index.json").write_text(json.dumps({"entries": [first, *entries]}))
    begun = time.process_time()
    history = open_history()
    spent = time.process_time() - begun
    assert len(history.entries) == 1001 and spent < 0.2, spent
    assert os.path.exists(history.folder)
