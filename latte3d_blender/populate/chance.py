# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers drawn by hashing (seed, purpose, index): the same on every platform and in every order, with whole-number arithmetic alone."""

import zlib

import numpy as np

GOLDEN, FIRST, SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
MASK = 2**64 - 1


def mix(values: np.ndarray) -> np.ndarray:
    """Scatter the bits of whole numbers [N] uint64 (the finisher of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * FIRST
    values = (values ^ (values >> np.uint64(27))) * SECOND
    return values ^ (values >> np.uint64(31))


def key(*parts: int | str) -> np.ndarray:
    """One number [1] uint64 that stands for a seed and what it is drawn for."""
    state = np.zeros(1, np.uint64)
    for part in parts:
        number = zlib.crc32(part.encode()) if isinstance(part, str) else part & MASK
        state = mix(state * FIRST + np.array([number], np.uint64) + GOLDEN)
    return state


def draws(stream: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Numbers [N] in [0, 1): one for each index of a stream, which `key` names."""
    bits = mix(stream + (index.astype(np.uint64) + np.uint64(1)) * GOLDEN)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def between(low: float, high: float, drawn: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) stretched to a range."""
    return low + (high - low) * drawn
