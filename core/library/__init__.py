# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter library: a grammar of prompts, its parser, and the exact objects that prompts stand for.

The names below are loaded when they are first used: importing the package costs nothing.
"""

import importlib

_HOMES = {
    "Description": "core.library.objects",
    "ExactObjects": "core.library.objects",
    "KINDS": "core.library.kinds",
    "NoKind": "core.library.parser",
    "PromptLibrary": "core.library.prompts",
    "UnknownWords": "core.library.parser",
    "parse": "core.library.parser",
    "sample_description": "core.library.grammar",
    "sample_prompt": "core.library.grammar",
    "split_of": "core.library.splits",
    "word": "core.library.grammar",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
