# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a library's shapes fit their prompts, by the texts: what tells a stand-in, such as a penguin for "a red cat", from a cat."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.language.encoder import TextEncoder
from core.library.format import split_shape
from core.library.suggest import name_of

ASKED = 1024  # prompts that the two bounds are measured on
APART = 0.05  # between the bounds: names that tell less say nothing
NAMELESS = "thing"  # what `name_of` calls an asset whose path has no words


class NameFit:
    """Cosine of a prompt and of its asset's name in words, between what it is to any asset of the library (0) and to the one whose name is
    nearest (1), both in the mean over prompts. Assets without a name fit, as all do where names say nothing. silent: why they do, a
    sentence; else nothing."""

    def __init__(self, prompts: Sequence[str], shapes: Sequence[str], encoder: TextEncoder):
        names = {shape: name_in_words(shape) for shape in shapes}
        words = sorted(set(names.values()) - {NAMELESS})
        self._rows = {shape: words.index(name) if name != NAMELESS else None for shape, name in names.items()}
        self.low = self.high = 0.0
        self.silent = "" if words else "No asset has words in its path."
        if words:
            asked = list(prompts)[:: -(-len(prompts) // ASKED)]
            self._meanings = meanings(*encoder.fresh(words))  # [names, W]
            near = meanings(*encoder.fresh(asked)) @ self._meanings.T
            self.low, self.high = float(near.mean()), float(near.amax(1).mean())
            self.silent = "" if self.high - self.low > APART else "All names are about as near to any prompt as the nearest is."

    def __call__(self, tokens: Tensor, mask: Tensor, shapes: Sequence[str | None]) -> Tensor:
        """0 … 1 of B prompts, tokens [B, L, W] and mask [B, L], with a shape each; 1 where there is none: [B]"""
        fit = torch.ones(len(shapes), device=tokens.device)
        rows = [self._rows.get(shape) for shape in shapes]
        known = [i for i, row in enumerate(rows) if row is not None]
        if known and not self.silent:
            near = (meanings(tokens[known], mask[known]) * self._meanings[[rows[i] for i in known]]).sum(1)
            fit[known] = ((near - self.low) / (self.high - self.low)).clamp(0, 1)
        return fit


def name_in_words(shape: str) -> str:
    """Of `path[:object or collection]`; the object's, where that has words."""
    path, inside = split_shape(shape)
    nothing = {"objects": [], "collections": []}
    own = name_of(inside, nothing) if inside else NAMELESS
    return own if own != NAMELESS else name_of(path, nothing)


def meanings(tokens: Tensor, mask: Tensor) -> Tensor:
    """Means of texts' tokens [B, L, W], of length 1: [B, W]"""
    return F.normalize((tokens.float() * mask[..., None]).sum(1), dim=1)
