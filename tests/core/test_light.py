# SPDX-License-Identifier: GPL-3.0-or-later
"""What prompts say of light: glass and glow of the whole thing, and what the model still has to read."""

import pytest

from core.language.light import SCATTERING, SMOOTH, STRENGTH, Light, said_of_light

GLASS, GLOW = Light(1.0, SMOOTH, 0.0), Light(0.0, SMOOTH, STRENGTH)


@pytest.mark.parametrize(
    "prompt, light",
    [
        ("a glass vase", GLASS), ("a vase made of glass", GLASS), ("a vase of blue glass", GLASS), ("a see-through mug", GLASS),
        ("a see through mug", GLASS), ("a transparent teapot", GLASS), ("a crystal duck, low poly", GLASS), ("a wine glass", GLASS),
        ("a duck that is transparent", GLASS), ("a mug, transparent, 4k", GLASS), ("A Glass Vase", GLASS),
        ("a frosted glass vase", Light(1.0, SCATTERING, 0.0)), ("a translucent fish", Light(1.0, SCATTERING, 0.0)),
        ("a glowing lamp", GLOW), ("a lamp that glows", GLOW), ("a neon sword", GLOW), ("a glow in the dark duck", GLOW),
        ("a lit lamp", GLOW), ("a lamp glowing", GLOW), ("a pumpkin lit from within", GLOW),
        ("a vase made from glass", GLASS), ("a glass-like vase", GLASS), ("a semi-transparent duck", Light(1.0, SCATTERING, 0.0)),
        ("a stained glass lamp", GLASS), ("a stained-glass window", GLASS), ("a vase of stained glass", GLASS), ("a clear vase", GLASS),
        ("a clear glass bottle", GLASS), ("a bottle, crystal clear", GLASS), ("a clear blue mug", GLASS), ("a bottle that is clear", GLASS),
        ("a clear frosted vase", Light(1.0, SCATTERING, 0.0)), ("a luminous mushroom with white spots", GLOW),
        ("a glowing glass lamp", Light(1.0, SMOOTH, STRENGTH)), ("a bottle (clear)", GLASS), ("a bottle [clear, tall]", GLASS),
        ("a clear, tall bottle", GLASS), ("a very clear bottle", GLASS), ("a sharp image of a clear bottle", GLASS),
        ("a clear bottle, sharp image", GLASS), ("a clear glass vase, clear outlines", GLASS), ("a clear light bulb", GLASS),
        ("a clear glass bottle with a clear coat", GLASS), ("a clear image of a glass vase", GLASS), ("a glass render of a duck", GLASS),
        ("a clear statue of a duck", GLASS), ("a clear plastic cup", GLASS), ("a crystal clear bottle", GLASS),
    ],
)  # fmt: skip
def test_the_whole_thing(prompt, light):
    assert said_of_light(prompt).light == light


@pytest.mark.parametrize(
    "prompt",
    [
        "a vase", "a vase, no glass", "a vase without glass", "a lamp that is not glowing", "a non-glowing lamp", "an unlit lamp",
        "a glass-free house", "a car with glass windows", "a lamp on a glass table", "a house with glowing windows", "a neon green car",
        "a glass-topped table", "a glowing-eyed robot", "a neon-colored car", "a neon coloured car", "a car, neon lighting",
        "a house lit by candles", "a mushroom, softly lit", "a well-lit chair", "a brightly lit house", "a tree illuminated by the sun",
        "a duck, transparent background", "a frosted cake", "a lamp, volumetric light", "a duck and a glass vase", "a milky mug", "",
        "a stained wooden table", "a stained mug", "an unclear vase", "a clear picture of a duck", "a clear 3d render of a mug",
        "a duck with clear details", "a duck, clear background", "a church with stained glass windows", "a clear-cut tree",
        "a very clear, sharp image of a duck", "a clear, high quality 3d model of a car", "a clear and detailed photo of a duck",
        "a crystal clear picture of a duck", "crystal-clear 4k photo of a duck", "a very clear image, a duck",
        "a clear image: a duck", "please make the image clear: a duck", "a clear outline of a duck", "clear crisp lines, a duck",
        "a clear bold outline duck", "a duck (clear image)", "a clear silhouette of a cat", "a duck in a clear style",
        "a clear view, a duck", "a clear style duck", "a duck, sharp and clear", "a duck, sharp, clear", "a duck, clear, sharp",
        "a clear, sharp duck",
        "a clear coat car", "a clear-coat car", "a clear coated car", "a clear lacquered table", "a table, clear varnish",
        "a clear cut tree", "a clear sky",
    ],
)  # fmt: skip
def test_not_of_the_whole_thing(prompt):
    assert not said_of_light(prompt).light


@pytest.mark.parametrize(
    "prompt, read, white",
    [
        ("a glass vase", "a vase", "a white vase"), ("a vase made of glass", "a vase", "a vase in white"),
        ("an illuminated red vase", "a red vase", None),
        ("a mug, transparent, with a handle", "a mug, with a handle", "a mug in white, with a handle"),
        ("a wine glass", "a wine glass", "a wine glass"), ("a see-through mug", "a mug", "a white mug"),
        ("a lamp that glows", "a lamp", None),
        ("a lamp glowing", "a lamp", None), ("a candle alight", "a candle", None), ("a neon", "a neon", None),
        ("a bottle made from glass, tall", "a bottle, tall", "a bottle in white, tall"),
        ("a semi-transparent duck", "a duck", "a white duck"),
        ("a stained glass lamp", "a lamp", "a white lamp"), ("a vase of stained glass", "a vase", "a vase in white"),
        ("a duck that is see-through", "a duck", "a duck in white"), ("a clear glass vase", "a vase", "a white vase"),
        ("a bottle, clear, tall", "a bottle, tall", "a bottle in white, tall"),
        ("a crystal-clear bottle", "a bottle", "a white bottle"),
        ("a bottle (clear)", "a bottle", "a bottle (in white)"), ("a bottle (clear, tall)", "a bottle (tall)", "a bottle (in white, tall)"),
        ("a mug [glass] on a table", "a mug on a table", "a mug [in white] on a table"),
        ("a tall bottle, red and clear", "a tall bottle, red", None),
        ("a clear, tall bottle", "a tall bottle", "a white, tall bottle"),
        ("a clear and tall bottle", "a tall bottle", "a white and tall bottle"),
        ("a clear image of a clear bottle", "a clear image of a bottle", "a clear image of a white bottle"),
        ("a glowing orange lamp", "an orange lamp", None), ("a neon-lit tower", "a tower", None),
        ("a stained glass", "a stained glass", None), ("a tall İznik glass vase", "a tall İznik vase", "a tall İznik white vase"),
    ],
)  # fmt: skip
def test_what_the_model_reads(prompt, read, white):
    said = said_of_light(prompt)
    assert said.without(prompt, lambda word: False) == read
    assert white is None or said.without(prompt, lambda word: False, "white") == white


def test_words_that_the_model_knows_stay():
    assert said_of_light("a glowing glass vase").without("a glowing glass vase", {"glass"}.__contains__) == "a glass vase"


def test_a_colour_of_the_glass():
    assert said_of_light("a blue glass vase").colored and said_of_light("a vase of crimson glass").colored
    assert not said_of_light("a glass vase on a red table").colored
