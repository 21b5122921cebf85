# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours, materials and patterns that are chosen instead of typed: English stays English, and a word of a kind replaces another."""

import bpy
import pytest

CASES = [
    ("a car", "color", "red", "a red car"),
    ("a blue car", "color", "red", "a red car"),
    ("an orange car", "color", "blue", "a blue car"),
    ("a blue car", "color", "orange", "an orange car"),
    ("a mushroom with white spots", "color", "red", "a red mushroom with white spots"),
    ("a red mushroom with white spots", "pattern", "stripes", "a red mushroom with white stripes"),
    ("a red car", "material", "wooden", "a red wooden car"),
    ("A stone tower", "material", "golden", "A golden tower"),
    ("a wood chair", "material", "metal", "a metal chair"),
    ("tall tower", "color", "gray", "gray tall tower"),
    ("a mug", "pattern", "spots", "a mug with spots"),
    ("a striped mug", "pattern", "spots", "a mug with spots"),
    ("an apple", "color", "grey", "a grey apple"),
    ("the house and a tree", "color", "white", "the white house and a tree"),
    ("", "color", "red", "red"),
    ("  a   credenza ", "color", "red", "a red credenza"),  # "red" within a word is none
]


@pytest.mark.parametrize("grey", ["grey", "gray"])
def test_either_spelling_is_the_same_colour(addon, grey):
    wording = addon("client.wording")
    assert wording.written(f"a {grey} mug", "color", "red", wording.PLAIN) == "a red mug"


def test_no_operator_hides_behind_a_spelling(package):
    """Blender's search takes letters as they are: no name of an operator has a word that half of the people write otherwise."""
    naming = __import__(f"{package}.naming", fromlist=["naming"])
    names = [getattr(bpy.ops.latte3d, name).get_rna_type().name for name in dir(bpy.ops.latte3d)]
    assert len(names) > 50 and all(naming.american(name) == name.casefold() for name in names)


@pytest.mark.parametrize("prompt, what, word, wanted", CASES)
def test_a_word_is_written_where_it_belongs(addon, prompt, what, word, wanted):
    wording = addon("client.wording")
    assert wording.written(prompt, what, word, wording.PLAIN) == wanted
    assert wording.written(wanted, what, word, wording.PLAIN) == wanted  # twice is once
    assert wording.written(prompt, what, word, {}).split()  # a model without such words is no crash


def test_the_menus_offer_the_words_of_the_model(addon, engine_of, drawn):
    from types import SimpleNamespace

    engine_of("two")
    wording = addon("client.wording")
    wanted, panels, engine = bpy.context.scene.latte3d, addon("panels.main"), addon("session").SESSION.engine
    wanted.prompt = "a red cube"
    bpy.ops.latte3d.generate()

    def menu(layout, context, cls=panels.LATTE3D_MT_materials):
        cls.draw(SimpleNamespace(layout=layout, what=cls.what), context)

    assert len(drawn(menu).of("operator")) == len(wording.PLAIN["material"]) + 1  # glass
    engine.hello["models"][1]["words"] = {"material": [["silver"], ["golden", "gold"]]}
    engine.hello["features"] = []
    wanted.model = "jeweller"
    assert len(drawn(menu).of("operator")) == 2
    engine.hello["features"] = ["light"]  # of an engine that makes glass
    assert len(drawn(menu).of("operator")) == 3 and engine.words("jeweller")["material"][-1][0] == "glass"
    assert wording.written("a crystal ring", "material", "golden", engine.words("jeweller")) == "a golden ring"
    wanted.prompt = "a gold ring"
    bpy.ops.latte3d.write_word(what="material", word="silver")
    assert wanted.prompt == "a silver ring"
