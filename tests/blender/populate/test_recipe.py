# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: what is wrong is told all at once, by line and column."""

import json

import pytest

from latte3d_blender.populate import recipe

WRONG = """{
  "target": "Terrain", "seeds": 3,
  "layers": [
    {"name": "a", "things": ["a {red|blue box"], "count": 3, "density": 2},
    {"name": "b", "things": [{"prompt": "a box", "shar": 2}], "count": -1,
     "masks": [{"kind": "slope", "range": [30, 10]}, {"kind": "sloppe"}, {"kind": "layer", "layer": "z", "range": [0, null]}]},
    {"name": "b", "things": []}
  ]
}"""


def test_all_faults_at_once():
    with pytest.raises(recipe.RecipeError) as error:
        recipe.read(WRONG)
    told = "\n".join(error.value.faults)
    for part in (
        "line 2, column 24: there is no “seeds”; did you mean “seed”?",
        "line 4, column 30: layers[0].things[0]: “a {red|blue box” has a brace without its other one",
        "line 4, column 73: layers[0].density: there is a count as well",
        "line 5, column 50: layers[1].things[0]: there is no “shar”; did you mean “share”?",
        "line 5, column 72: layers[1].count: must be a whole number from 0 to 2,000,000",
        "line 6, column 43: layers[1].masks[0].range: begins above its end",
        "layers[1].masks[1].kind: must be one of slope, height",
        "layers[1].masks[2].layer: there is no layer “z” before this one",
        "line 7, column 14: layers[2].name: there is another layer “b”",
        "line 7, column 5: layers[2]: a layer needs “things”",
    ):
        assert part in told, told


@pytest.mark.parametrize(
    "text, told",
    [
        ('{"a": 1,}', "line 1, column 9: a comma must be followed by another item"),
        ('{\n"a" 1}', "line 2, column 5: a colon is missing here"),
        ("[1, 2", "line 1, column 6: a comma or ] is missing here"),
        ('{"seed": 1, "seed": 2, "layers": []}', "“seed” comes twice"),
        ('{"layers": []}', "a recipe needs “layers”, at least one"),
        ("", "line 1, column 1: a value is missing here"),
        ('{"seed": 1e999}', "a whole number"),
        ("[" * 100, "too many lists in one another"),
    ],
)
def test_broken_texts(text, told):
    with pytest.raises(recipe.RecipeError, match=r"line \d+, column \d+") as error:
        recipe.read(text)
    assert any(told in fault for fault in error.value.faults), error.value.faults


def test_alternatives_and_counts():
    text = {"target": "T", "layers": [{"things": [{"prompt": "a {mossy|grey|cracked} {rock|boulder}", "count": 8}]}]}
    things = recipe.read(json.dumps(text)).layers[0].things
    assert [thing.prompt for thing in things][:3] == ["a mossy rock", "a mossy boulder", "a grey rock"]
    assert sum(thing.count for thing in things) == 8 and {thing.count for thing in things} == {1, 2}
    assert recipe.alternatives("a {red|} box") == ["a red box", "a box"]
    with pytest.raises(ValueError, match="8,192 prompts"):
        recipe.alternatives("{a|b}" * 13)
