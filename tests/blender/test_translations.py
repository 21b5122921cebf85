# SPDX-License-Identifier: GPL-3.0-or-later
"""Every text of the add-on is there in every language, with the same values in it; sentences of the engine are recognised."""

import re
import string

import blf
import bpy
import pytest

from latte3d_blender import translations, words
from tests.blender import texts

LANGUAGES = sorted(translations.LOCALES)
GERMAN = translations.read(translations.FOLDER / "de.po")
KNOWN = translations.patterns(GERMAN)


def german(text: str) -> str:
    return translations.sentence(text, lambda one: GERMAN.get(("*", one), one), KNOWN)


def fields(text: str) -> set[str]:
    """The values that a template takes; one that is none has none."""
    try:
        return {name for _, name, *_ in string.Formatter().parse(text) if name}
    except ValueError:
        return set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language):
    lacking = texts.lacking(language)
    assert not lacking, f"python -m tests.blender.texts {language} >> latte3d_blender/translations/{language}.po, then translate these"
    assert len(texts.shown()) > 900  # the search for them works


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shipped_models_words_are_translated(language):
    entries = translations.read(translations.FOLDER / f"{language}.po")
    assert not sorted(text for text in texts.of_models() if ("*", text) not in entries)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_of_texts_that_are_gone(addon, language):
    entries = translations.read(translations.FOLDER / f"{language}.po")
    left = {text for _, text in entries} - texts.shown().keys() - texts.of_models() - texts.registered()
    assert not sorted(left)


@pytest.mark.parametrize("language", LANGUAGES)
def test_templates_keep_their_values(language):
    for (_, text), said in translations.read(translations.FOLDER / f"{language}.po").items():
        if re.search(r"\{\w*\}", text):
            assert fields(said) == fields(text), text
        assert text[0].isspace() == said[0].isspace(), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_blender_shows_of_the_classes_is_translated(addon, language):
    """Names, descriptions and choices as they are registered: those that are made of parts, too."""
    entries = translations.read(translations.FOLDER / f"{language}.po")
    assert not sorted(text for text in texts.registered() if ("*", text) not in entries)


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_labels_of_steps_that_can_be_adjusted_are_short(addon, language):
    """They head a panel in the corner of the view whose width is Blender's own: at an interface scale of 1.5, longer ones are cut."""
    said = {text: german for (_, text), german in GERMAN.items()} if language == "de" else {}
    kinds = [kind for kind in bpy.types.Operator.__subclasses__() if kind.__name__.startswith("LATTE3D_") and kind.is_registered]
    steps = [kind for kind in kinds if {"REGISTER", "UNDO"} <= getattr(kind, "bl_options", set()) and texts.adjustable(kind)]
    labels = {said.get(kind.bl_label, kind.bl_label) for kind in steps}
    blf.size(0, 1.5 * 11)
    assert len(labels) > 3 and not [label for label in labels if blf.dimensions(0, label)[0] > 178]


def test_what_blender_does_not_translate_goes_through_say():
    assert not texts.unsaid()


def test_both_of_blenders_names_and_contexts(addon):
    made = translations.for_blender()
    assert made["de"] is made["de_DE"] or made["de"] == made["de_DE"]
    assert made["de_DE"]["Operator", "Generate"] == made["de_DE"]["*", "Generate"] == "Erzeugen"


def test_sentences_with_values():
    assert german("The prompt has 700 characters. The engine reads up to 512. Shorten it.") == (
        "Der Prompt hat 700 Zeichen. Die Engine liest bis zu 512. Bitte kürzen."
    )
    assert german("“Stop” is not one of the things that the installed models know.") == (
        "„Stop“ gehört nicht zu den Dingen, die die installierten Modelle kennen."
    )
    assert german("Training failed.") == "Training ist fehlgeschlagen." and german("Prepare failed.") == "Vorbereiten ist fehlgeschlagen."
    assert german("Training is running") == "Training läuft"
    assert german("Making the surface (2 of 6)") == "Oberfläche entsteht (2 von 6)"
    assert german("120 of 380 MB · 3 min left") == "120 von 380 MB · noch 3 min"
    assert german("Read “tires” as “wheels”. Not understood: “zorp”.") == "Gelesen: „tires“ als „wheels“. Nicht verstanden: “zorp”."


def test_what_is_somebodys_own_stays():
    signs = (" (x of y)", " (", "; ", " · ", "a (b) (c). (d) ", "", " ")
    others = "The graphics card failed.", "Another program is running"  # other programs' own sentences
    for text in (*signs, *others, "“Material”", "a bowl of fruit", "“a red car of 3 wheels”", "/tmp/Stop/3 of 4"):
        assert german(text) == text
    assert german("“Stop” is an asset") == "“Stop” is an asset"  # a template with a name: only its own code fills it in


def test_a_po_file_is_read_as_it_is_meant(tmp_path):
    path = tmp_path / "xx.po"
    path.write_text('msgid ""\nmsgstr ""\n"Language: xx\\n"\n\n#: x\nmsgctxt "Operator"\nmsgid "a \\"b\\""\nmsgstr "c"\n"d\\n"\n\n'
                    'msgid "e"\nmsgstr ""\n\nmsgid "f"\nmsgstr "g"\n')  # fmt: skip
    assert translations.read(path) == {("Operator", 'a "b"'): "cd\n", ("*", "f"): "g"}


def test_english_is_left_alone(addon):
    assert words.say("History ({count})", count=3) == "History (3)"
    assert words.say("The engine failed.") == "The engine failed."
    assert bpy.app.translations.locale in ("", "en_US") or words.say("Generate") == bpy.app.translations.pgettext_iface("Generate")
