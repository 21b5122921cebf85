# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of the starter grammar, each with the description that it says."""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from core.errors import BadRequest
from core.library import SPLITS
from core.library.prompt import Prompt, PromptLibrary
from core.library.starter.grammar import check, sample_prompt
from core.library.starter.kinds import KINDS
from core.library.starter.objects import Description
from core.library.starter.splits import split_of

_FIELDS = tuple(f.name for f in fields(Description))
_TRIES = 2000  # known prompts in a row before giving up


class StarterPrompts:
    """Distinct prompts of the starter grammar, made anew at each iteration: the same ones for the same arguments.

    split: one of SPLITS, or None for prompts of all of them, each with its own.
    """

    def __init__(self, count: int, split: str | None = "train", seed: int = 0, kinds: Sequence[str] | None = None):
        if count < 1:
            raise BadRequest(f"{count} prompts cannot be made.", "", "Ask for at least one.")
        if split is not None and split not in SPLITS:
            raise BadRequest(f"There is no split {split!r}.", "", f"The splits are {', '.join(SPLITS)}.")
        if strange := [k for k in kinds or () if k not in KINDS]:
            raise BadRequest(f"The starter library has no kind {strange[0]!r}.", "", f"It has {', '.join(sorted(KINDS))}.")
        self.count, self.split, self.seed, self.kinds = count, split, seed, list(kinds) if kinds else None

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Prompt]:
        rng, seen, failures = random.Random(self.seed), set(), 0
        while len(seen) < self.count:
            description, text = sample_prompt(rng, self.kinds, self.split)
            letters = re.sub(r"[^a-z0-9 -]", "", text.lower())  # capitals and full stops do not make another prompt
            key = hashlib.blake2b(letters.encode(), digest_size=8).digest()  # a hundred thousand of these take a few megabytes
            if key in seen:
                failures += 1
                if failures > _TRIES:
                    raise BadRequest(f"The grammar has no {self.count} such prompts, only about {len(seen)}.", "", "Ask for fewer.")
                continue
            seen.add(key)
            failures = 0
            yield Prompt(text, split_of(description, text), rng.randrange(1, 2**31), description)


def starter_library(count: int, split: str | None = "train", seed: int = 0, kinds: Sequence[str] | None = None) -> PromptLibrary:
    """`count` distinct prompts of the starter grammar, made as they are read. split None: of all. Raises BadRequest."""
    return PromptLibrary("starter", StarterPrompts(count, split, seed, kinds))


def describe(row: Mapping) -> Description:
    """A description as a library's folder has it, checked. Raises ValueError with one sentence that says what is wrong."""
    if "kind" not in row:
        raise ValueError('a description is an object with a "kind"')
    if strange := sorted(set(row) - set(_FIELDS)):
        raise ValueError(f"unknown key {strange[0]!r} in the description; known are {', '.join(_FIELDS)}")
    if type(row.get("second", False)) is not bool:
        raise ValueError('"second" is true or false')
    if wrong := [k for k, v in row.items() if k != "second" and not isinstance(v, str | None)]:
        raise ValueError(f"{wrong[0]!r} of the description is not text")
    description = Description(**row)
    check(description)
    return description
