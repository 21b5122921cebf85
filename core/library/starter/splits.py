# SPDX-License-Identifier: GPL-3.0-or-later
"""Which prompts training sees, and which are kept from it: `split_of` is the only judge, for training, exports and evaluation.

A prompt is judged by what it says and, last, by how it is worded; the first of these that holds is its split:

kinds        its kind is one of HELD_OUT_KINDS.
unseen       its combination of kind, proportions, second part, material, pattern and colour is one of a tenth, drawn by hash. A prompt that
             names at most one of them is never here, so no word is unseen. Where proportions and the second part are both named, whole
             shapes are held out, whatever their colours.
pairs        it says both of a pair of HELD_OUT_PAIRS, such as blue and wooden, of whatever kind.
paraphrases  its wording has a phrase of HELD_OUT_PHRASES or its kind's held-out synonym.
train        everything else.
"""

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.library.starter.objects import Description

HELD_OUT_KINDS = ("bus", "pear", "penguin", "pitcher")  # each has a relative among the kinds that training sees
HELD_OUT_PAIRS = tuple(
    tuple(pair.split("=") for pair in line.split())
    for line in (
        "color=red second_color=green",
        "color=blue second_color=yellow",
        "color=white second_color=purple",
        "color=green second_color=pink",
        "color=brown second_color=teal",
        "color=orange second_color=black",
        "color=blue material=wood",
        "color=green material=metal",
        "color=pink material=plastic",
        "color=pink proportion=tall",
        "color=yellow proportion=chunky",
        "color=white proportion=narrow",
        "color=red pattern=checks",
        "color=teal pattern=spots",
        "material=ceramic pattern=stripes",
        "material=metal pattern=spots",
        "material=plastic pattern=checks",
        "proportion=tall pattern=spots",
        "proportion=wide pattern=stripes",
    )
)  # fmt: skip   each value alone is common in training
HELD_OUT_PHRASES = (
    "an image of",
    "featuring",
    "made out of",
    "chequered",
    "stripy",
    "terracotta",
    "enormous",
    "slender",
    "polished",
)  # fmt: skip   and their relatives ("a picture of", "checkered", …) stay in training
_COMBINATIONS, _SHAPES, _SYNONYMS = 0.10, 0.12, 0.20  # held-out shares: of combinations, doubly named shapes, kinds' last synonyms


def split_of(d: "Description", text: str = "") -> str:
    """One of SPLITS: that of a prompt that says `d` in the words of `text`; without a text, that of its canonical wording."""
    if d.kind in HELD_OUT_KINDS:
        return "kinds"
    if _is_unseen(d):
        return "unseen"
    if any(getattr(d, a) == x and getattr(d, b) == y for (a, x), (b, y) in HELD_OUT_PAIRS):
        return "pairs"
    return "paraphrases" if _is_paraphrase(d, text) else "train"


def _is_unseen(d: "Description") -> bool:
    named = [d.proportion, d.second or None, d.material, d.pattern, d.color]
    if sum(value is not None for value in named) < 2:
        return False
    if d.proportion and d.second and _share("shape", d.kind, d.proportion) < _SHAPES:
        return True
    return _share("combination", d.kind, *map(str, named)) < _COMBINATIONS


def _is_paraphrase(d: "Description", text: str) -> bool:
    said = " ".join(["", *re.findall(r"[^\W_]+", text.lower()), ""])
    return any(f" {phrase} " in said for phrase in (*HELD_OUT_PHRASES, *held_out_synonyms(d.kind)))


def trained_kinds() -> list[str]:
    """All kinds but the held-out ones."""
    from core.library.starter.kinds import KINDS

    return [kind for kind in KINDS if kind not in HELD_OUT_KINDS]


@lru_cache(maxsize=256)
def held_out_synonyms(kind: str) -> tuple[str, ...]:
    """The last of a kind's synonyms, for a fifth of the kinds that have several."""
    from core.library.starter.kinds import KINDS

    synonyms = KINDS[kind].synonyms
    return synonyms[-1:] if len(synonyms) > 1 and _share("synonym", kind) < _SYNONYMS else ()


@lru_cache(maxsize=65536)
def _share(*words: str) -> float:
    """A number in 0 … 1 that depends on the words alone, on every machine and in every version of Python."""
    digest = hashlib.sha256("\x1f".join(words).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
