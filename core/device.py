# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine: the device that a user's word means, and what people call what is in it. Imports torch only where a GPU is asked about."""

import contextlib
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadRequest

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> "torch.device":
    """The device of a user's word: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1" or "mps".

    Raises BadRequest for another word, or when this machine has no such device.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name):
        raise BadRequest(f"The device {name[:40]!r} is unknown.", "", "Choose auto, cpu, cuda or mps.")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    kind, _, number = name.partition(":")
    there = {"cpu": True, "cuda": int(number or 0) < gpus, "mps": torch.backends.mps.is_available()}[kind]
    if not there:
        raise BadRequest(f"There is no device {name!r} on this machine.", "", "Choose auto or cpu.")
    return torch.device(name)


def processor_name() -> str:
    """What its maker calls the processor, where the system tells."""
    with contextlib.suppress(OSError, TypeError):  # Linux
        return re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())[1]
    return platform.processor() or platform.machine()


def machine_name() -> str:
    """Processor, cores and, where there is one, the GPU."""
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor_name()}, {os.cpu_count()} cores{gpu}"


def device_facts(device: str) -> tuple[str, int]:
    """What a person calls the device, and its free memory in bytes (0 where nobody knows)."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device), torch.cuda.mem_get_info(device)[0]
    with contextlib.suppress(OSError, TypeError):  # Linux
        return processor_name(), 1024 * int(re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text())[1])
    return processor_name(), 0
