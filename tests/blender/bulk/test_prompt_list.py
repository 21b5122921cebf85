# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of prompts as people and their spreadsheets write them; catalogues as Blender does."""

import pytest

from latte3d_blender import catalogues
from latte3d_blender.bulk import prompt_list
from latte3d_blender.bulk.prompt_list import Defaults, ListError


@pytest.fixture
def read(tmp_path):
    """`read(bytes or text, "name.csv")` → what was read."""

    def reading(content, name: str = "list.csv", **defaults) -> prompt_list.List:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return prompt_list.read(path, Defaults(**defaults))

    return reading


def test_a_full_row_and_one_that_leaves_all_to_the_defaults(read):
    first = "\ufeffPrompt;Seed;Name;Tags;Catalog;Height;Quality;License\n"
    rows = first + '"a  red\nmushroom";7;Toadstool;"red; forest";Nature / Fungi:big/;0,3;Draft;CC0-1.0\n'
    found = read(rows + "an oak chair;;;;;;;\n", seed=3, quality="high", author="Ada", licence="CC-BY")
    full, plain = found.entries
    assert (full.want.prompt, full.want.seed, full.want.quality, full.name) == ("a red mushroom", 7, "draft", "Toadstool")
    assert (full.tags, full.catalogue, full.height_m, full.licence) == (("red", "forest"), "Nature/Fungi big", 0.3, "CC0-1.0")
    assert (plain.want.seed, plain.want.quality, plain.author, plain.licence, plain.catalogue) == (3, "high", "Ada", "CC-BY", "")
    assert len(found.notes) == 1 and "semicolons" in found.notes[0] and plain.stem.startswith("an-oak-chair-")


def test_text_has_a_prompt_a_line_and_a_prompt_that_comes_again_is_another_object(read):
    found = read("# trees\n\na tree, with a nest\r\na tree, with a nest\na rock\n", "list.txt")
    nest = "a tree, with a nest"
    assert [(one.want.prompt, one.want.seed) for one in found.entries] == [(nest, 0), (nest, 1), ("a rock", 0)]
    found = read("prompt,seed\na rock,1\na rock,\na rock,\na rock,1\n")
    assert [one.want.seed for one in found.entries] == [1, 0, 2] and "list.csv:5: the same object as in line 2" in found.notes[0]


def test_all_that_is_wrong_is_told_at_once_by_line(read):
    rows = b"prompt,seed,height,quality\na chair,0,1,draft\n,x,0,fine\na \xe9t\xe9,1,1,draft\na table,5\n" + b"a" * 600 + b",,,\n"
    with pytest.raises(ListError) as told:
        read(rows)
    lines = str(told.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"list.csv:{n}" for n in (3, 3, 3, 3, 4, 5, 6)]
    assert all(words in str(told.value) for words in ("prompt is empty", "seed is “x”", "quality is “fine”", "height is “0”"))
    assert "byte 0xe9 is not UTF-8" in lines[4] and "2 cells, and 4 columns" in lines[5] and "600 characters" in lines[6]
    wrong = [(b"name\na chair\n", "no column “prompt”"), ("prompt\na".encode("utf-16"), "UTF-16"), (b"", "no column")]
    for content, words in [*wrong, (b"prompt,prize\n", "“prize” is not known"), (b"prompt\n", "no prompt in it"), (b"\0\1", "no text")]:
        with pytest.raises(ListError, match=words):
            read(content)


def test_catalogues_are_added_to_those_that_are_there(tmp_path):
    numbers = catalogues.ensure(tmp_path, ["Nature/Trees", "Food", ""])
    mine = "11111111-2222-3333-4444-555555555555"
    file = tmp_path / catalogues.FILE
    file.write_text(file.read_text() + f"{mine}:Mine/Own:Mine-Own\n# a note\n")
    before = file.read_text()
    again = catalogues.ensure(tmp_path, ["Food", "Mine/Own"])
    assert again["Food"] == numbers["Food"] and again["Mine/Own"] == mine and {"Nature", "Nature/Trees"} < again.keys()
    assert file.read_text() == before + f"{again['Mine']}:Mine:Mine\n", "a catalogue without the one above it looks unsaved in Blender"
    before = file.read_text()
    catalogues.ensure(tmp_path, ["New"])
    assert file.read_text().startswith(before) and "VERSION 1" in before and ":Nature/Trees:Nature-Trees\n" in before
    (tmp_path / "other").mkdir()
    assert catalogues.ensure(tmp_path / "other", ["Food"])["Food"] == numbers["Food"], "machines agree without asking each other"
