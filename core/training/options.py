# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings whose fields are the flags of a command: each stated once, in a frozen dataclass, with its help and its limits.

A field of other settings is a group: field(default_factory=Inner, metadata={"prefix": "inner-"}) puts "inner-" before their flags.
"""

import argparse
import types
from collections.abc import Iterator, Sequence
from dataclasses import field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from core.errors import BadRequest

S = TypeVar("S")


def option(default: Any, help: str, *, flag: str = "", choices: Sequence[str] = (), above: float | None = None, least: float | None = None):
    """A dataclass field that is a flag as well. flag: its name where it is not the field's; choices: of a text; above, least: limits of
    a number, or of each of several."""
    return field(default=default, metadata={"help": help, "flag": flag, "choices": tuple(choices), "above": above, "least": least})


def add_flags(parser: argparse.ArgumentParser, settings: type, prefix: str = "") -> None:
    """A flag for each option of a dataclass, and for those of its groups."""
    kinds = get_type_hints(settings)
    for name, f in _options(settings, prefix):
        default = "" if f.default in (None, ()) else f" (default: {_text(f.default)})"
        several, choices = get_origin(kinds[f.name]) is tuple, f.metadata["choices"]
        parse = _names if several else _plain(kinds[f.name])
        shown = {"choices": choices} if choices else {"metavar": "A,B" if several else parse.__name__.upper()}
        parser.add_argument(f"--{name}", dest=name, type=parse, default=f.default, help=f.metadata["help"] + default, **shown)
    for f in _groups(settings):
        add_flags(parser, f.default_factory, prefix + f.metadata["prefix"])


def from_flags(settings: type[S], arguments: argparse.Namespace, prefix: str = "", **more: Any) -> S:
    """The dataclass of parsed arguments. more: its fields that are no flags."""
    given = {f.name: getattr(arguments, name) for name, f in _options(settings, prefix)}
    inner = {f.name: from_flags(f.default_factory, arguments, prefix + f.metadata["prefix"]) for f in _groups(settings)}
    return settings(**given, **inner, **more)


def to_flags(settings: Any, prefix: str = "") -> list[str]:
    """The arguments for all that differs from the defaults: the inverse of `from_flags`."""
    values = [(name, f.default, getattr(settings, f.name)) for name, f in _options(type(settings), prefix)]
    own = [part for name, default, value in values if value != default for part in (f"--{name}", _text(value))]
    return own + [part for f in _groups(type(settings)) for part in to_flags(getattr(settings, f.name), prefix + f.metadata["prefix"])]


def check_limits(settings: Any, prefix: str = "") -> None:
    """Raise BadRequest where an option lies outside its limits, or is none of its choices."""
    for name, f in _options(type(settings), prefix):
        value, limits = getattr(settings, f.name), f.metadata
        if limits["choices"] and value not in limits["choices"]:
            raise BadRequest(f"The setting {name} cannot be {value!r}.", "", f"Choose one of: {', '.join(limits['choices'])}.")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and limits["above"] is not None and not number > limits["above"]:
                raise BadRequest(f"The setting {name} is {number}: it must be more than {limits['above']}.")
            if isinstance(number, int | float) and limits["least"] is not None and not number >= limits["least"]:
                raise BadRequest(f"The setting {name} is {number}: it cannot be less than {limits['least']}.")
    for f in _groups(type(settings)):
        check_limits(getattr(settings, f.name), prefix + f.metadata["prefix"])


def _options(settings: type, prefix: str) -> Iterator[tuple[str, Any]]:
    """The names of flags, and their fields."""
    return ((prefix + (f.metadata["flag"] or f.name.replace("_", "-")), f) for f in fields(settings) if "help" in f.metadata)


def _groups(settings: type) -> list:
    return [f for f in fields(settings) if "prefix" in f.metadata and is_dataclass(f.default_factory)]


def _plain(kind: Any) -> type:
    """int, float, str or Path of a field's type, which may be None as well."""
    return next(k for k in get_args(kind) if k is not types.NoneType) if isinstance(kind, types.UnionType) else kind


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
