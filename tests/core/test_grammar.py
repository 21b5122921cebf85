# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of the starter library: every wording is understood, whatever is not understood is named, and the splits are honest."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadRequest, EngineError
from core.frame import style_of
from core.library import SPLITS
from core.library.cli import main
from core.library.cloud import read_cloud, write_cloud
from core.library.prompt import FRAME, PromptLibrary
from core.library.starter import grammar
from core.library.starter.grammar import sample_description, sample_prompt, word
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description
from core.library.starter.parser import NoKind, UnknownWords, parse
from core.library.starter.prompts import describe, starter_library
from core.library.starter.splits import HELD_OUT_KINDS, HELD_OUT_PAIRS, held_out_synonyms, split_of

ATTRIBUTES = (grammar.COLOR_WORDS, grammar.MATERIAL_ADJECTIVES, grammar.MATERIAL_NOUNS, grammar.PATTERN_ADJECTIVES, grammar.PATTERN_NOUNS,
              grammar.PROPORTION_WORDS, grammar.SIZE_WORDS, grammar.COUNT_WORDS, grammar.SHADE_WORDS, grammar.FINISH_WORDS)  # fmt: skip
ATTRIBUTE_WORDS = {w for table in ATTRIBUTES for phrases in table.values() for phrase in phrases for w in phrase.split()}
RED_SPOTTED = Description("mushroom", color="red", pattern="spots", pattern_color="white")


def draw(count: int, seed: int = 0, **more) -> list[Description]:
    rng = random.Random(seed)
    return [sample_description(rng, **more) for _ in range(count)]


def test_canonical_wordings_are_natural():
    says = {
        "a red mushroom with white spots": RED_SPOTTED,
        "a wooden barrel": Description("barrel", material="wood"),
        "an orange barrel": Description("barrel", color="orange"),
        "a red striped mug with a blue handle": Description("mug", color="red", pattern="stripes", second=True, second_color="blue"),
        "a stool with three blue legs": Description("stool", second=True, second_color="blue", count="three"),
        "a glossy dark red mushroom": Description("mushroom", color="red", shade="dark", finish="glossy"),
        "a dark wooden barrel": Description("barrel", material="wood", shade="dark"),
        "a large tall red wooden barrel with white stripes and hoops": Description(
            "barrel", "red", "wood", "stripes", "white", "tall", True, None, "large"
        ),
    }
    assert {word(d): d for d in says.values()} == says


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_wording_is_understood(kind):
    rng = random.Random(kind)
    for description in draw(150, kind, kinds=[kind]):
        for prompt in (word(description), word(description, rng), word(description, rng)):
            assert parse(prompt) == description, prompt


def test_wordings_vary_and_many_are_short():
    rng, wordings = random.Random(0), Counter()
    for _ in range(2000):
        wordings[word(RED_SPOTTED, rng)] += 1
    assert len(wordings) > 100 and wordings.most_common(1)[0][0] == "a red mushroom with white spots"
    lengths = [len(word(d).split()) for d in draw(2000)]
    assert sum(n <= 3 for n in lengths) > 500 and max(lengths) > 8
    assert all(d.pattern_color != d.color for d in draw(5000) if d.pattern_color)


@pytest.mark.parametrize(
    ("prompt", "meaning"),
    [
        ("A RED TOADSTOOL, with white dots!", RED_SPOTTED),
        ("white-spotted red mushroom", RED_SPOTTED),
        ("red and white spotted mushroom", RED_SPOTTED),
        ("a mushroom painted red with white polka-dots", RED_SPOTTED),
        ("a red spotted mushroom", Description("mushroom", color="red", pattern="spots")),
        ("a white-spotted mushroom", Description("mushroom", pattern="spots", pattern_color="white")),
        ("a red and white mushroom", Description("mushroom", color="red", second=True, second_color="white")),
        ("keg of gray wood & green hoops", Description("barrel", color="gray", material="wood", second=True, second_color="green")),
        ("a small house made of red bricks", Description("house", color="red", pattern="bricks", size="small")),
        ("a birthday cake with 8 candles", Description("cake", second=True, count="eight")),
        ("a shiny light blue and white striped mug", Description("mug", "blue", None, "stripes", "white", shade="pale", finish="glossy")),
    ],
)
def test_which_colour_belongs_to_what(prompt, meaning):
    assert parse(prompt) == meaning


@pytest.mark.parametrize(
    ("prompt", "words", "says"),
    [
        ("a crimson mushroom", ["crimson"], "“crimson” (perhaps “red”?)"),
        ("a fuzzy mushrom", ["fuzzy", "mushrom"], "“mushrom” (perhaps “mushroom”?)"),
        ("a barrel with a handle", ["handle"], "“handle” (perhaps “hoops”?)"),
        ("a red barrel 🍄\0", ["🍄", "\ufffd"], "“🍄”"),
    ],
)
def test_unknown_words_are_named(prompt, words, says):
    with pytest.raises(UnknownWords) as caught:
        parse(prompt)
    assert caught.value.words == words and says in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "empty"),
        (" .", "empty"),
        ("a barrel " * 2000, "512"),
        ("a barrel and a mushroom", "two things"),
        ("a wooden stone barrel", "wood and stone"),
        ("a barrel with wooden hoops", "wooden"),
        ("a red green blue yellow barrel", "more colours"),
        ("a stool with nine legs", "nine"),
        ("a stool with ten legs", "3, 4, 5"),
        ("a barrel with three hoops", "Leave the number out"),
        ("two red barrel", "how many of a part"),
        ("a red and dark white striped barrel", "own colour"),
    ],
)
def test_contradictions_are_explained(prompt, says):
    with pytest.raises(BadRequest, match=says):
        parse(prompt)
    with pytest.raises(NoKind, match="barrel"):
        parse("a red wooden")


WORDS = st.sampled_from([*sorted(ATTRIBUTE_WORDS), "barrel", "mushroom", "hoops", "with", "and", "-", "of", "a"])


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=60) | st.lists(WORDS).map(" ".join))
def test_any_text_is_a_description_or_a_clear_error(text):
    try:
        assert parse(text).kind in KINDS
    except BadRequest as error:
        assert str(error)


def test_names_are_unambiguous():
    names = Counter(phrase.lower() for kind in KINDS.values() for phrase in (kind.name, *kind.synonyms))
    assert [n for n, count in names.items() if count > 1] == [], "two kinds share a name"
    taken = ATTRIBUTE_WORDS - {"check", "pattern"}
    assert [n for n in names if n.split()[0] in taken] == [], "names of kinds begin with words that mean attributes"
    parts = {kind.second.name for kind in KINDS.values()}
    assert [p for p in parts if taken & set(p.split())] == [], "names of parts hold words that mean attributes"
    meanings = Counter(phrase for table in ATTRIBUTES[:1] + ATTRIBUTES[2:] for phrases in table.values() for phrase in phrases)
    assert [p for p, count in meanings.items() if count > 1] == [], "one word means two attributes"


def test_the_split_holds_out_combinations_but_no_words():
    descriptions = draw(8000)
    unseen = [d for d in descriptions if split_of(d) == "unseen"]
    assert 0.04 < len(unseen) / len(descriptions) < 0.13
    seen_words = {w for d in descriptions if split_of(d) == "train" for w in word(d).split()}
    assert {w for d in unseen for w in word(d).split()} <= seen_words
    splits: dict = {}
    for d in descriptions:
        key = (d.kind, d.proportion, d.second, d.material, d.pattern, d.color)
        assert splits.setdefault(key, split_of(d) == "unseen") == (split_of(d) == "unseen")
        assert sum(v not in (None, False) for v in key[1:]) > 1 or split_of(d) != "unseen"
    assert split_of(Description("mushroom", color="red")) == "train"


def test_every_split_is_what_it_says():
    """Each draw is judged the same again from its text alone, and a value that a pair holds out is common on its own."""
    rng, said = random.Random(0), Counter()
    for split in SPLITS:
        for _ in range(60 if split != "train" else 1500):
            description, text = sample_prompt(rng, split=split)
            assert split_of(parse(text), text) == split, text
            if split == "train":
                said.update(f"{name}={value}" for name, value in vars(description).items())
                assert description.kind not in HELD_OUT_KINDS and not set(held_out_synonyms(description.kind)) & {text}
    assert all(said[f"{name}={value}"] > 5 for pair in HELD_OUT_PAIRS for name, value in pair), said
    assert split_of(Description("barrel"), "a barrel") == "train"
    assert split_of(Description("barrel", color="blue", material="wood")) == "pairs"
    assert split_of(Description("barrel"), "An image of: barrel!") == "paraphrases"
    assert split_of(Description("pear")) == "kinds"
    with pytest.raises(BadRequest, match="no prompts of the split 'train' about pear"):
        sample_prompt(rng, ["pear"])


def test_the_split_never_changes():
    """Evaluations stay comparable: these were drawn when the split was made."""
    pinned = [Description("barrel", color=c, material=m) for c in ("red", "blue", "green", "pink") for m in ("wood", "metal", "plastic")]
    assert [i for i, d in enumerate(pinned) if split_of(d) == "unseen"] == [7, 11]


def test_starter_prompts_are_distinct_and_repeatable():
    library = starter_library(500, split="unseen", seed=3)
    prompts = list(library)
    assert {p.split for p in starter_library(400, split=None)} == set(SPLITS)
    assert prompts == list(library) and len({p.text for p in prompts}) == 500
    assert all(p.split == "unseen" and parse(p.text) == p.description for p in prompts)
    assert list(starter_library(20, seed=4)) != list(starter_library(20, seed=5))
    with pytest.raises(BadRequest, match="no kind 'dragonfly'"):
        starter_library(5, kinds=["dragonfly"])


def test_a_library_comes_back_as_it_was_saved(tmp_path):
    library = starter_library(50, split=None, seed=1)
    library.save(tmp_path / "lib")
    library.save(tmp_path / "lib")  # a library may be replaced
    loaded = PromptLibrary.load(tmp_path / "lib", describe)
    assert list(loaded) == list(library) and loaded.name == "starter"
    plain = PromptLibrary.load(tmp_path / "lib")  # without the starter's help its descriptions are what stands in the folder
    assert next(iter(plain)).description["kind"] == next(iter(library)).description.kind
    plain.save(tmp_path / "lib")
    assert list(PromptLibrary.load(tmp_path / "lib", describe)) == list(library)
    assert [p.name for p in tmp_path.iterdir()] == ["lib"], "temporary files stay behind"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("…")
    with pytest.raises(BadRequest, match="no prompt library"):
        library.save(tmp_path / "letters")


def test_shapes_travel_with_their_library(tmp_path):
    points = np.random.default_rng(0).uniform(-0.48, 0.48, (64, 3)).astype(np.float32)
    folder = tmp_path / "mine"
    write_cloud(folder / "shapes" / "well.safetensors", points, colors=np.ones_like(points))
    (folder / "prompts.jsonl").write_text('{"prompt": "our old well", "shape": "shapes/well.safetensors"}\n')
    (folder / "library.json").write_text(json.dumps({"format": 1, "name": "mine", "frame": FRAME, "prompts": 1}))
    PromptLibrary.load(folder).save(tmp_path / "copy")
    copy = PromptLibrary.load(tmp_path / "copy")
    np.testing.assert_array_equal(copy.cloud(next(iter(copy)))["points"], points)
    (tmp_path / "cut.safetensors").write_bytes((folder / "shapes" / "well.safetensors").read_bytes()[:-9])
    with pytest.raises(BadRequest, match=r"cut\.safetensors"):
        read_cloud(tmp_path / "cut.safetensors")
    with pytest.raises(ValueError, match="±0.48"):
        write_cloud(tmp_path / "wide.safetensors", points + 0.02 * np.sign(points))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2"),
        ('{"prompt": ""}', "not empty"),
        ('{"prompt": "a", "colour": "red"}', "unknown key 'colour'"),
        ('{"prompt": "a", "split": "test"}', "split is 'test'"),
        ('{"prompt": "a", "seed": -1}', "seed is -1"),
        ('{"prompt": "a", "shape": "../../etc/passwd"}', "inside the library"),
        ('{"prompt": "a", "shape": "C:\\\\x"}', "inside the library"),
        ('{"prompt": "a", "shape": "shapes/none.safetensors"}', "does not exist"),
        ('{"prompt": "a", "description": {"kind": "dragonfly"}}', "unknown kind 'dragonfly'"),
        ('{"prompt": "a", "description": {"kind": "barrel", "color": "crimson"}}', "unknown color 'crimson'"),
        ('{"prompt": "a", "description": {"kind": "stool", "count": "three"}}', "count without second"),
        ('{"prompt": "a", "description": {"kind": "stool", "second": true, "count": "ten"}}', "has no count 'ten'"),
        ("\udcff", "line 2"),
    ],
)
def test_a_damaged_library_names_the_line(tmp_path, line, says):
    starter_library(2).save(tmp_path / "lib")
    first = (tmp_path / "lib" / "prompts.jsonl").read_text().splitlines()[0]
    (tmp_path / "lib" / "prompts.jsonl").write_bytes(f"{first}\n{line}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(BadRequest, match="line 2") as caught:
        PromptLibrary.load(tmp_path / "lib", describe)
    assert says in str(caught.value)


def test_a_failed_save_leaves_the_old_library(tmp_path, monkeypatch):
    starter_library(3).save(tmp_path / "lib")
    before = (tmp_path / "lib" / "prompts.jsonl").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.library.prompt.Prompt.to_json", full)
    with pytest.raises(EngineError, match="No space left"):
        starter_library(9).save(tmp_path / "lib")
    assert (tmp_path / "lib" / "prompts.jsonl").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_seed_zero_is_the_typical_object():
    z = style_of([0, 7, 7, 8, 2**63 - 1])
    assert z.shape == (5, 8) and not z[0].any() and (z[1] == z[2]).all() and (z[1] != z[3]).all()


def test_command_line(tmp_path, capsys):
    from PIL import Image

    assert main(["sample", "--count", "3", "--size", "32", "--kinds", "barrel,mushroom", "--out", str(tmp_path / "sheet.png")]) == 0
    assert Image.open(tmp_path / "sheet.png").width == 96
    assert main(["export", "starter", "--prompts", "20", "--split", "train", "--out", str(tmp_path / "lib")]) == 0
    assert {p.split for p in PromptLibrary.load(tmp_path / "lib")} == {"train"}
    capsys.readouterr()
    assert main(["kinds"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in KINDS) and f"{len(KINDS)} kinds" in table
    with pytest.raises(BadRequest, match="dragonfly"):
        main(["sample", "--kinds", "dragonfly", "--out", str(tmp_path / "none.png")])
