# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that remembers where each value stands, so that what is wrong with it can be shown by line and column. Standard library alone."""

import json
import re
from json.decoder import scanstring

SPACE = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
WORDS = {"true": True, "false": False, "null": None}
DEPTH = 64  # lists and objects in one another; a recipe needs seven

Path = tuple  # of names and list indices, from the top


class Problem(ValueError):
    """Text that is no JSON: what is wrong, and at which character."""

    def __init__(self, text: str, at: int):
        super().__init__(text)
        self.at = at


class Reader:
    """Reads one JSON text. `places`: for each path the character at which its value starts; (path, None): at which its name does."""

    def __init__(self, text: str):
        self.text, self.places, self.twice = text, {}, []

    def read(self):
        """The whole value. Raises Problem at the first place that is no JSON."""
        value, at = self._value(self._skip(0), ())
        if at < len(self.text):
            raise Problem("nothing may follow the recipe's closing brace", at)
        return value

    def line_column(self, at: int) -> tuple[int, int]:
        """Line and column, from 1, of a character."""
        before = self.text[:at]
        return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1

    def _skip(self, at: int) -> int:
        return SPACE.match(self.text, at).end()

    def _value(self, at: int, path: Path):
        """The value at a character, and the next character that is no space."""
        self.places[path] = at
        if len(path) > DEPTH:
            raise Problem("too many lists in one another", at)
        sign = self.text[at : at + 1]
        if sign == "{":
            return self._items(at, path, "}")
        if sign == "[":
            return self._items(at, path, "]")
        if sign == '"':
            value, end = self._string(at)
            return value, self._skip(end)
        for word, value in WORDS.items():
            if self.text.startswith(word, at):
                return value, self._skip(at + len(word))
        if found := NUMBER.match(self.text, at):
            value = float(found[0]) if re.search(r"[.eE]", found[0]) or len(found[0]) > 18 else int(found[0])
            return value, self._skip(found.end())
        raise Problem("a value is missing here" if sign in ("", ",", "}", "]") else f"{sign!r} starts no value", at)

    def _string(self, at: int) -> tuple[str, int]:
        try:
            return scanstring(self.text, at + 1, True)
        except json.JSONDecodeError as error:
            raise Problem("a text has no end or holds a sign that must be escaped", error.pos) from error

    def _items(self, at: int, path: Path, close: str):
        """The items of a list or an object up to its closing bracket."""
        named, at = close == "}", self._skip(at + 1)
        found = {} if named else []
        if self.text.startswith(close, at):
            return found, self._skip(at + 1)
        while True:
            key = len(found)
            if named:
                key, at = self._name(at, path, found)
            value, at = self._value(at, (*path, key))
            found[key] = value if named else found.append(value) or value
            if self.text.startswith(close, at):
                return found, self._skip(at + 1)
            if not self.text.startswith(",", at):
                raise Problem(f"a comma or {close} is missing here", at)
            at = self._skip(at + 1)
            if self.text.startswith(close, at):
                raise Problem("a comma must be followed by another item", at)

    def _name(self, at: int, path: Path, found: dict) -> tuple[str, int]:
        if not self.text.startswith('"', at):
            raise Problem('a name in "quotes" is missing here', at)
        key, end = self._string(at)
        if key in found:
            self.twice.append((key, at))
        self.places[(*path, key, None)] = at
        end = self._skip(end)
        if not self.text.startswith(":", end):
            raise Problem("a colon is missing here", end)
        return key, self._skip(end + 1)
