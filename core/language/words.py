# SPDX-License-Identifier: GPL-3.0-or-later
"""What a library teaches a model about its words, kept in the model's folder: so each model reads by its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import get_origin

from core.files import replace_file

FILE = "words.json"


@dataclass(frozen=True)
class ThingWords:
    """What can be said of a kind of thing.

    names: its own and others for it. part: the name of its second part, "" where it has none; part_color: its usual colour; part_optional:
    whether the thing may be without it. colors, materials: the usual ones, the most usual first. grown: whether it grows; before the name
    of such a thing the name of a wood ("pine tree") is no material.
    """

    names: tuple[str, ...]
    part: str = ""
    part_color: str = ""
    part_optional: bool = False
    colors: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    grown: bool = False


@dataclass(frozen=True)
class Words:
    """All that reading takes from a library; empty for a model that reads by English and its own prompts alone.

    attributes: word -> which attribute it says ("color", "material", "pattern", "finish", "proportion", "size", "shade", "count"), and
    which value of it. qualities: words for materials, patterns and finishes that strange ones may become. opposites: words that are used
    alike and mean different things ("tall", "short"). things: the kinds by name. colors, finishes: names of the values. metals: materials
    that shine as metals do. woods: names of trees that things are made of. adjectives: material -> the word before a noun ("wooden").
    """

    attributes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    qualities: tuple[str, ...] = ()
    opposites: tuple[str, ...] = ()
    things: Mapping[str, ThingWords] = field(default_factory=dict)
    colors: tuple[str, ...] = ()
    finishes: tuple[str, ...] = ()
    metals: tuple[str, ...] = ()
    woods: tuple[str, ...] = ()
    adjectives: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write FILE into a model's folder."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"
        replace_file(Path(folder) / FILE, lambda path: Path(path).write_text(text, encoding="utf-8", newline="\n"))

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """Read FILE; no words where a model has none. Raises OSError or ValueError when it is damaged."""
        path = Path(folder) / FILE
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls()

    @classmethod
    def from_dict(cls, row: object) -> "Words":
        """The inverse of `dataclasses.asdict`, also after JSON. Raises ValueError."""
        try:
            things = {kind: ThingWords(**_checked(ThingWords, own)) for kind, own in row["things"].items()}
            attributes = {word: (str(what), str(value)) for word, (what, value) in row["attributes"].items()}
            return cls(**_checked(cls, row | {"things": {}, "attributes": {}}) | {"things": things, "attributes": attributes})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"these are no words of a library: {error}") from error

    @cached_property
    def names(self) -> dict[tuple[str, ...], str]:
        """Names, word by word -> the kinds that they name; the longest first."""
        named = [(tuple(name.split()), kind) for kind, own in self.things.items() for name in own.names]
        return dict(sorted(named, key=lambda n: -len(n[0])))

    @cached_property
    def nouns(self) -> dict[str, str]:
        """Last words of names -> the kinds that they name; where several names end with one, the shortest says which."""
        return {words[-1]: kind for words, kind in self.names.items() if words[-1] not in self.opposites}

    def named(self, words: list[str]) -> str | None:
        """The kind of which the last words are a name: "rocket ship" is one, whatever a ship is."""
        return next((kind for n in (3, 2, 1) if (kind := self.names.get(tuple(words[-n:])))), None)

    def words_for(self, kind: str) -> set[str]:
        """The words of a kind's names and of its second part."""
        if kind not in self.things:
            return {kind}
        own = self.things[kind]
        return {word for name in (*own.names, own.part) for word in name.split()}

    def first_words(self, kind: str) -> set[str]:
        """What comes before the nouns of a kind's names: "castle" of towers."""
        names = self.things[kind].names if kind in self.things else ()
        return {word for name in names for word in name.split()[:-1]}

    def part_of(self, kind: str | None) -> str:
        """The name of a kind's second part; "" where there is none."""
        return self.things[kind].part if kind in self.things else ""

    def always_has(self, kind: str | None, word: str) -> bool:
        """Whether a kind has a second part of that name that no wording leaves out."""
        return bool(part := self.part_of(kind)) and not self.things[kind].part_optional and word.rstrip("s") == part.rstrip("s")

    def is_wood(self, word: str, kind: str | None) -> bool:
        """Whether the name of a tree, said before a kind's name, says what it is made of."""
        return word in self.woods and kind is not None and not self._grown(kind)

    def can_be(self, kind: str | None, known: str) -> bool:
        """Whether a kind can be what a word for a material says: "pine" before "tree" is no material."""
        return not (self._grown(kind) and self.attributes.get(known) == ("material", "wood"))

    def _grown(self, kind: str | None) -> bool:
        return kind in self.things and self.things[kind].grown

    def instead(self, excluded: set[str], kind: str, said: set[str]) -> tuple[list[str], list[str]]:
        """What has to be said of a kind so that it does not have what a prompt excludes: adjectives, and parts with a colour. What is not
        said is as usual for the kind, and a usual mushroom is red.

        excluded, said: words. Materials shine as metals do, or not, whatever they are called.
        """
        own = self.things.get(kind)
        if own is None:
            return [], []
        out = {self.attributes[word] for word in excluded if word in self.attributes}
        named = {self.attributes[word][0] for word in said if word in self.attributes}
        adjectives, parts = [], []
        free = [color for color in (*own.colors, *self.colors) if ("color", color) not in out]
        barred = {value for what, value in out if what == "material"} | set(self.metals if ("material", "metal") in out else ())
        if any(what == "finish" for what, _ in out) and "finish" not in named:
            adjectives += [name for name in self.finishes if ("finish", name) not in out][:1]
        if any(("color", color) in out for color in own.colors[:2]) and not named & {"color", "material"}:
            adjectives += free[:1]
        if barred.intersection(own.materials[:1]) and "material" not in named:
            adjectives += [self.adjectives[name] for name in own.materials if name not in barred and name in self.adjectives][:1]
        if ("color", own.part_color) in out and not own.part_optional and own.part not in said:
            parts += [f"{color} {own.part}" for color in free if color not in adjectives][:1]
        return adjectives, parts


def _checked(cls: type, row: Mapping) -> dict:
    """A row's values, lists as tuples. Raises ValueError where one is not of the type that the dataclass says."""
    types, values = {f.name: get_origin(f.type) or f.type for f in fields(cls)}, {}
    for name, value in row.items():
        values[name] = value = tuple(value) if isinstance(value, list) else value
        texts = value if isinstance(value, tuple) else value.values() if isinstance(value, Mapping) else ()
        if name not in types or not isinstance(value, types[name]) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name} is {str(value)[:60]!r}")
    return values
