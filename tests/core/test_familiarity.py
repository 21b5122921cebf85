# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model knows: free wording becomes known words, foreign things are told from usual ones, and the memory survives the disk."""

from pathlib import Path

import pytest
import torch

from core import familiarity, reading
from core.errors import MissingWeights
from core.familiarity import KnownPrompts
from core.library.prompts import StarterPrompts
from core.reading import Reading
from core.text import TextEncoder

STARTER = Path(familiarity.__file__).parent / "weights" / "starter"
KINDS = ["mushroom", "car", "tower"]


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder()


@pytest.fixture(scope="module")
def known(text) -> KnownPrompts:
    wanted = ((600, "train", KINDS), (100, "unseen", KINDS), (100, "kinds", None))
    return KnownPrompts.learn(*([p.text for p in StarterPrompts(count, split, 0, kinds)] for count, split, kinds in wanted), text)


@pytest.fixture(scope="module")
def starter(text) -> KnownPrompts:
    return KnownPrompts.load(STARTER, torch.device("cpu"), text.width)


def familiar(known: KnownPrompts, prompt: str, text: TextEncoder) -> familiarity.Familiarity:
    return known.familiarity([Reading(prompt, prompt, {})], text)[0]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a red mushroom with white spots", "a red mushroom with white spots"),
        ("a mushrom with wite spots", "a mushroom with white spots"),
        ("A Crimson vehicle", "A red car"),
        ("a castel tower", "a castle tower"),
        ("a turquise car", "a teal car"),
        ("a red racecar", "a red car"),
        ("a dreamcar", "a car"),
        ("an incar", "an incar"),  # "in" is too short for the first part of a compound
        ("a redwhite tower", "a redwhite tower"),
        ("a horse", "a horse"),
        ("a colorful tower", "a colorful tower"),  # near to "blue", which it is not
        ("a lengthy car", "a lengthy car"),  # near to "short"
        ("a red-coloured car", "a red-coloured car"),
        ("a lemon", "a lemon"),
        ("a terracotta tower", "a clay tower"),
        ("a polished car", "a glossy car"),
        ("a sharp, rusty, cozy, frozen tower", "a sharp, rusty, cozy, frozen tower"),
        ("a lighthouse with a roof", "a tower with a roof"),
        ("a red fungus made of timber", "a red mushroom made of wood"),
        ("a car with a lighthouse", "a car with a lighthouse"),  # a thing is known already
        ("MUSHROOMİ", "MUSHROOMİ"),  # lower() makes two letters of the last one
        ("a 🍄 of 日本", "a 🍄 of 日本"),
    ],
)
def test_free_wording_is_read_in_known_words(known, text, prompt, read) -> None:
    assert known.vocabulary.read(prompt, text).text == read


@pytest.mark.parametrize(
    ("prompt", "read", "familiar"),
    [
        ("a polka dot maple with white spots", "a polka dot tree with white spots", False),
        ("a bicycle with a crown", "a car with a crown", False),  # the crown is not what it is about
        ("a lighthouse of granite", "a lamp of marble", False),
        ("a 3D model of maple", "a 3D model of tree", False),
        ("a sculpture of a maple", "a sculpture of a tree", False),
        ("an illustration of a car", "an illustration of a car", True),  # not "a snowman of a car"
        ("a barn", "a house", False),  # trucks have a bed, but there is none by itself
        ("an elm", "an elm", False),  # too short to tell
        ("a goblet", "a goblet", True),  # nearest to "gourd", which like it is no word of the text model
        ("a maple, highly detailed, 8k", "a tree, highly detailed, 8k", False),
        ("a stripy, terracotta maple", "a striped, clay tree", False),
        ("a zebra", "a zebra", False),  # neither "a striped" …
        ("a flying pig", "a flying pig", False),  # … nor "a spaceship pig"
        ("a rowboat", "a boat", True),  # not what it is spelt like
        ("a littile car", "a little car", True),
        ("a tower with a pointed roof", "a tower with a pointed roof", True),  # near to "spotted"
        ("a table with twelve legs", "a table with twelve legs", True),
        ("a crimson_car", "a red_car", True),
    ],
)
def test_the_starter_model_reads_strange_words(starter, text, prompt, read, familiar) -> None:
    reading = starter.vocabulary.read(prompt, text)
    assert reading.text == read and starter.familiarity([reading], text)[0].familiar == familiar


def test_the_shortest_name_says_which_kind_a_word_means() -> None:
    assert reading.THINGS["cup"] == "mug" and reading.THINGS["wheel"] == "wagon wheel" and "cream" not in reading.THINGS


def test_prompts_of_known_words_are_told_from_others(known) -> None:
    words = known.vocabulary
    assert words.knows("A wide red car!") and not words.knows("a horse") and not words.knows("a tower with 4 windows")


def test_foreign_things_are_told_from_usual_ones(known, text) -> None:
    held_out = [p.text for p in StarterPrompts(60, "unseen", 7, KINDS)]
    assert sum(familiar(known, prompt, text).familiar for prompt in held_out) >= 56
    for prompt in ("a laptop computer", "a portrait of an old man", "a cup of coffee", "asdf qwer"):
        found = familiar(known, prompt, text)
        assert not found.familiar and len(found.nearest) == 3
    guessed = known.vocabulary.read("a lighthouse", text)
    assert guessed.read_as == {"lighthouse": "tower"} and not known.familiarity([guessed], text)[0].familiar
    assert familiar(known, known.prompts[5], text).similarity == pytest.approx(1, abs=1e-4)


def test_the_memory_survives_the_disk(known, text, tmp_path) -> None:
    cpu = torch.device("cpu")
    assert KnownPrompts.load(tmp_path, cpu, text.width) is None
    known.save(tmp_path)
    loaded = KnownPrompts.load(tmp_path, cpu, text.width)
    before, after = (familiar(k, "a wide car", text) for k in (known, loaded))
    assert after.nearest == before.nearest and after.similarity == pytest.approx(before.similarity, abs=1e-3)
    with pytest.raises(MissingWeights, match="text encoder of 768"):
        KnownPrompts.load(tmp_path, cpu, 768)
    (tmp_path / familiarity.FILE).write_bytes(b"cut")
    with pytest.raises(MissingWeights, match="damaged"):
        KnownPrompts.load(tmp_path, cpu, text.width)
