# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device a word means, and what people call this machine."""

import pytest
import torch

from core.device import device_facts, machine_name, pick_device
from core.errors import BadRequest

GPU = torch.cuda.is_available()


def test_known_words_are_devices() -> None:
    assert pick_device("cpu").type == "cpu" and pick_device("auto").type == ("cuda" if GPU else "cpu")


@pytest.mark.parametrize(
    ("word", "says"), [("toaster", "unknown"), ("cuda:x", "unknown"), ("cpu:1", "unknown"), ("", "unknown"), ("cuda:99", "no device")]
)
def test_other_words_are_refused(word: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        pick_device(word)


def test_this_machine_has_a_name_and_memory() -> None:
    name, free = device_facts("cpu")
    assert name and name in machine_name() and free >= 0
