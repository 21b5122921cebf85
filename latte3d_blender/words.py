# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts in the artist's language. Blender translates by itself what it is given as a whole; what has values in it is made here."""

import bpy

from . import translations

_LOCALES = {name for names in translations.LOCALES.values() for name in names}
_said: dict[tuple, str] = {}  # (language, English): what it is, as draw() asks often


def say(text: str, **parts: object) -> str:
    """A text of the interface in the artist's language: say("History ({count})", count=3). Without parts it may be a finished sentence,
    of the engine as well: it is recognised by its template."""
    view = bpy.context.preferences.view
    key = (view.use_translate_interface and bpy.app.translations.locale, text)
    if key[0] not in _LOCALES:
        return text.format(**parts) if parts else text
    if key not in _said:
        if len(_said) > 4096:  # progress has always other numbers
            _said.clear()
        _said[key] = translations.sentence(text, bpy.app.translations.pgettext_iface)
    return _said[key].format(**parts) if parts else _said[key]


class SaysWhy:
    """An operator whose button says why it is disabled."""

    @classmethod
    def reason(cls, context: bpy.types.Context) -> str:
        """Why, in a sentence; nothing where it can be used."""
        raise NotImplementedError

    @classmethod
    def poll(cls, context):
        if reason := cls.reason(context):
            cls.poll_message_set(say(reason))
        return not reason


def register() -> None:
    bpy.app.translations.register(__package__, translations.for_blender())


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
    _said.clear()
