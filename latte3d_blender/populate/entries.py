# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a recipe's values one by one: what is wrong with any of them is noted with its line and column, and reading goes on."""

import difflib

from .located import Path, Problem, Reader


class RecipeError(ValueError):
    """What is wrong with a recipe: `faults`, one sentence each, with line and column, in the order of the text."""

    def __init__(self, faults: list[str], name: str = "The recipe"):
        self.faults = faults
        several = f"{len(faults)} things are wrong" if len(faults) > 1 else "something is wrong"
        super().__init__("\n".join([f"{name} is not used: {several}.", *(f"  {fault}" for fault in faults)]))


class Notes:
    """A text's reader, and what is wrong with its values."""

    def __init__(self, text: str):
        self.reader, self.found = Reader(text), []

    def value(self):
        """The whole value. Raises RecipeError for what is no JSON."""
        try:
            value = self.reader.read()
        except Problem as problem:
            self.at(problem.at, f"{problem}")
            raise RecipeError(self.sentences()) from problem
        for name, at in self.reader.twice:
            self.at(at, f"“{name}” comes twice")
        return value

    def at(self, at: int, sentence: str) -> None:
        """Note what is wrong at a character."""
        self.found.append((at, sentence))

    def add(self, path: Path, sentence: str) -> None:
        """Note what is wrong with the value at a path, or with the nearest one around it that is there."""
        while path and path not in self.reader.places:
            path = path[:-1]
        self.at(self.reader.places.get(path, 0), f"{shown(path)}{sentence}")

    def sentences(self) -> list[str]:
        """All that was noted, in the order of the text."""
        return [
            f"line {line}, column {column}: {text}" for at, text in sorted(self.found) for line, column in [self.reader.line_column(at)]
        ]


def shown(path: Path) -> str:
    """A path as one writes it: layers[2].masks[0].range."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part is not None).removeprefix(".")
    return f"{text}: " if text else ""


class Entry:
    """One object of the recipe, whose values are taken by name; what nobody took is unknown."""

    def __init__(self, value, path: Path, notes: Notes):
        self.path, self.notes, self.taken = path, notes, set()
        if not isinstance(value, dict):
            self.notes.add(path, "must be an object in { }")
        self.value = value if isinstance(value, dict) else {}

    def __contains__(self, name: str) -> bool:
        return name in self.value

    def wrong(self, name: str, sentence: str) -> None:
        """Note what is wrong with a value."""
        self.notes.add((*self.path, name), sentence)

    def take(self, name: str, default=None):
        """A value as it stands; `default` where there is none."""
        self.taken.add(name)
        return self.value.get(name, default)

    def end(self) -> None:
        """Note the names that nobody took, with what may have been meant."""
        for name in self.value.keys() - self.taken:
            near = difflib.get_close_matches(name, sorted(self.taken), 1)
            meant = f"; did you mean “{near[0]}”?" if near else f"; there are {', '.join(sorted(self.taken))}"
            self.notes.at(self.notes.reader.places[(*self.path, name, None)], f"{shown(self.path)}there is no “{name}”{meant}")

    def number(self, name: str, default: float, low: float, high: float, *, whole: bool = False):
        """A number within limits."""
        value = self.take(name, default)
        return self._checked(name, value, default, low, high, whole) if value is not default else default

    def _checked(self, name, value, default, low, high, whole, path: Path = ()):
        kind = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:  # what is not a number (nan) is not within
            what = "a whole number" if whole else "a number"
            self.notes.add((*self.path, name, *path), f"must be {what} from {low:,} to {high:,}")
            return default
        return value

    def pair(self, name: str, default, low: float, high: float, *, open_ends: bool = False, ordered: bool = True):
        """A range [from, to]; one number is both. `open_ends`: null stands for no limit. `ordered`: it may not begin above its end."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = [value, value]
        if not isinstance(value, list) or len(value) != 2:
            self.wrong(name, "must be a range [from, to]")
            return default
        limits = (low, high)
        ends = [
            limits[i] if end is None and open_ends else self._checked(name, end, limits[i], low, high, False, (i,))
            for i, end in enumerate(value)
        ]
        if ordered and ends[0] > ends[1]:
            self.wrong(name, f"begins above its end: {value[0]:g} > {value[1]:g}")
            return default
        return tuple(float(end) for end in ends)

    def text(self, name: str, default: str = "") -> str:
        """A text that is not empty."""
        value = self.take(name, default)
        if value is not default and (not isinstance(value, str) or not value.strip()):
            self.wrong(name, "must be a text")
            return default
        return value.strip()

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of several words."""
        value = self.take(name, default)
        if value not in choices or not isinstance(value, str):
            self.wrong(name, f"must be one of {', '.join(choices)}")
            return default
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            self.wrong(name, "must be true or false")
            return default
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; one text is a list of one."""
        value = self.take(name, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list):
            self.wrong(name, "must be a list of names")
            return ()
        for index, one in enumerate(value):
            if not isinstance(one, str) or not one.strip():
                self.notes.add((*self.path, name, index), "must be a name")
        return tuple(one.strip() for one in value if isinstance(one, str) and one.strip())

    def list(self, name: str) -> list[tuple[Path, object]]:
        """The items of a list, each with its path."""
        value = self.take(name, [])
        if not isinstance(value, list):
            self.wrong(name, "must be a list in [ ]")
            return []
        return [((*self.path, name, index), one) for index, one in enumerate(value)]
