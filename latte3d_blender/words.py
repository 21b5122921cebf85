# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts with numbers and names in them, as a translation has them: looked up as a whole, filled in afterwards."""

import bpy


def say(text: str, **parts: object) -> str:
    """A text of the interface in the artist's language: say("History ({count})", count=3)."""
    translated = bpy.app.translations.pgettext_iface(text)
    return translated.format(**parts) if parts else translated
