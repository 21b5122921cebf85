# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `generate`, written once: for `build.py generate`, which runs on any Python, and for the add-on's command."""

import argparse
import re
from collections.abc import Callable

DETAILS = ("draft", "standard", "high", "full")
LIMITS = {"seed": (0, 2**31 - 1), "resolution": (64, 256), "texture size": (64, 4096), "triangles": (16, 2**31 - 1)}
LIMITS |= {"picture size": (4, 8192)}  # Blender makes no picture that is smaller


def whole_number(what: str, step: int = 1) -> Callable[[str], int]:
    """A type for argparse: a whole number within the limits of `what`, in steps of `step`."""
    low, high = LIMITS[what]

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high or value % step:
            steps = f" in steps of {step}" if step > 1 else ""
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}: a whole number from {low:,} to {high:,}{steps}")
        return value

    return read


def device(text: str) -> str:
    """A type for argparse: where the engine computes."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device: auto, cpu, cuda, cuda:N or mps")
    return text


def add_generate(parser: argparse.ArgumentParser) -> None:
    """Add what to make, how fine, and where it goes."""
    add = parser.add_argument
    add("prompts", nargs="+", metavar="PROMPT", help='what to make, as in "a red mushroom with white spots"; any number of them')
    add("--out", default="out", metavar="DIR", help="where the files go (default: out)")
    add("--seed", type=whole_number("seed"), default=0, help="another seed is another object of the same description (default: 0)")
    add("--detail", choices=DETAILS, help="how fine: grid, images and triangles together (default: standard)")
    add("--resolution", type=whole_number("resolution", 8), help="cells along the grid's longest side, instead of what the detail says")
    add("--texture-size", type=whole_number("texture size"), help="pixels per side of each image, instead of what the detail says")
    add("--triangles", type=whole_number("triangles"), help="about how many triangles, instead of what the detail says")
    add("--strict", action="store_true", help="make nothing of what the model does not know")
    add("--device", type=device, help="auto, cpu, cuda, cuda:N or mps (default: as in the preferences, else auto)")
    add("--model", default="", help="a model's folder, or the id of an installed one (default: the one that knows the prompt best)")
    add("--picture-size", type=whole_number("picture size"), default=640, help="pixels per side of the .png (default: 640)")
    add("--no-picture", action="store_true", help="do not render the .png")
    add("--json", action="store_true", help="print a last line for machines")


def details(options: argparse.Namespace) -> dict:
    """What was asked of the surface and its images, as the engine takes it; what was not asked for is left to the engine."""
    asked = {name: getattr(options, name) for name in ("detail", "resolution", "texture_size", "triangles")}
    return {name: value for name, value in asked.items() if value is not None}
