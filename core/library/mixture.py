# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sources in one: a library of one's own, with a share of another that is not to be forgotten."""

import math

from core.language.words import Words
from core.library.source import Examples, Source


class Mixture:
    """`own`, and of `replayed` a share of the blocks, spread evenly.

    share: above 0, below 1. Block number n depends on n alone, as each source's own numbers do.
    """

    def __init__(self, own: Source, replayed: Source, share: float):
        self.own, self.replayed, self.share = own, replayed, share
        self.name, self.things = f"{own.name} and {replayed.name}", (*own.things, *replayed.things)
        self.round = min(math.ceil(own.round / (1 - share)), 2 * own.round)  # the replayed one was seen before; all of these are in memory

    def prompts(self, split: str, count: int) -> list:
        """Of the library of one's own first."""
        own = [*self.own.prompts(split, count)]
        return own + ([*self.replayed.prompts(split, count - len(own))] if len(own) < count else [])

    def words(self) -> Words:
        """Those of the replayed source: a library of captions teaches none."""
        return self.replayed.words()

    def examples(self, number: int) -> Examples:
        before, after = math.floor(number * self.share), math.floor((number + 1) * self.share)
        return self.replayed.examples(before) if after > before else self.own.examples(number - before)
