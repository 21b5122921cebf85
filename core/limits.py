# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of the engine: the limits, and one sentence for each way past them. Without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import BadRequest

MAX_PROMPT = 512  # characters
MAX_SEED = 2**63 - 1
STYLE_SIZE = 8  # numbers of z
MAX_STYLE = 10.0  # of each, up or down: seeds draw from a normal distribution
RESOLUTIONS = range(64, 257, 8)  # cells along an edge of the grid
TEXTURE_SIZES = (64, 4096)  # smallest and largest image, pixels
MIN_TRIANGLES = 16
CLOUD_POINTS = (64, 65_536)  # fewest and most points of a shape to start from
CANVAS_TRIANGLES = 500_000  # most triangles of a mesh that is painted
PICTURE_SIZES = (32, 512)  # smallest and largest picture of an object, pixels


@dataclass(frozen=True)
class Detail:
    """How fine an object is made. texture_size: pixels along an edge of the images. triangles: at most about so many; None: as many as
    the grid gives. resolution: cells along an edge of the grid; with a number of triangles at most so many, as they need."""

    resolution: int
    texture_size: int
    triangles: int | None


DETAILS = {
    "draft": Detail(64, 512, 3_000),
    "standard": Detail(128, 1024, 12_000),
    "high": Detail(128, 1024, 50_000),
    "full": Detail(128, 1024, None),
}
EXAMPLE = "Type what you want to see, such as: a red mushroom with white spots."


def check_prompt(prompt: Any) -> str:
    """The prompt without the white space around it. Raises BadRequest when it cannot be one."""
    if not isinstance(prompt, str):
        raise BadRequest("A prompt is a text.")
    if not prompt.strip():
        raise BadRequest("The prompt is empty.", "", EXAMPLE)
    if len(prompt) > MAX_PROMPT:
        raise BadRequest(f"The prompt has {len(prompt)} characters.", f"The engine reads up to {MAX_PROMPT}.", "Shorten it.")
    if any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in prompt):
        raise BadRequest("The prompt contains a character that is no text.", "", "Type the prompt again instead of pasting it.")
    if not any(character.isalnum() for character in prompt):
        raise BadRequest("The prompt has no words.", "", EXAMPLE)
    return prompt.strip()


def check_seeds(seeds: Sequence[Any], count: int) -> list[int]:
    """One seed for each of `count` prompts. Raises BadRequest when there are more or fewer, or one cannot be used."""
    if len(seeds) != count:
        raise BadRequest(f"There are {count} prompts and {len(seeds)} seeds.", "", "Give one seed for each prompt.")
    return [_integer(seed, "seed", 0, MAX_SEED) for seed in seeds]


def check_styles(styles: Sequence[Any] | None, count: int) -> list[tuple[float, ...] | None]:
    """For each of `count` prompts z, or None where its seed draws z. Raises BadRequest when there are more or fewer, or one is no z."""
    if styles is None:
        return [None] * count
    if len(styles) != count:
        raise BadRequest(f"There are {count} prompts and {len(styles)} styles.", "", "Give one style, or null, for each prompt.")
    return [None if style is None else _style(style) for style in styles]


def _style(style: Any) -> tuple[float, ...]:
    fits = isinstance(style, Sequence) and not isinstance(style, str) and len(style) == STYLE_SIZE
    if not fits or not all(type(number) in (int, float) and abs(number) <= MAX_STYLE for number in style):
        raise BadRequest(f"The style {str(style)[:40]!r} is not {STYLE_SIZE} numbers from -{MAX_STYLE:g} to {MAX_STYLE:g}.")
    return tuple(map(float, style))


def check_share(value: Any, what: str) -> float:
    """A number from 0 to 1. Raises BadRequest where it is none."""
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise BadRequest(f"The {what} {str(value)[:40]!r} is not a number from 0 to 1.")
    return float(value)


def check_blend(blend: Any) -> tuple[str, float] | None:
    """Another prompt, and how much of it is in what is made; None where none is asked for. Raises BadRequest for anything else."""
    if blend is None:
        return None
    if not isinstance(blend, Sequence) or isinstance(blend, str) or len(blend) != 2:
        raise BadRequest(f"The blend {str(blend)[:40]!r} is not a prompt and a share.")
    return check_prompt(blend[0]), check_share(blend[1], "blend")


def check_picture(size: Any) -> int:
    """Pixels along an edge of an object's picture; 0: none. Raises BadRequest."""
    return 0 if type(size) is int and size == 0 else _integer(size, "picture", *PICTURE_SIZES)


def choose_detail(detail: Any, resolution: Any = None, texture_size: Any = None, triangles: Any = None) -> Detail:
    """The detail of that name, with each size that is given (not None) in place of its own. Raises BadRequest for a detail, a grid, an
    image or a number of triangles that cannot be made."""
    if not isinstance(detail, str) or detail not in DETAILS:
        raise BadRequest(f"There is no detail {str(detail)[:40]!r}.", "", f"Choose one of {', '.join(DETAILS)}.")
    given = {"resolution": resolution, "texture_size": texture_size, "triangles": triangles}
    chosen = replace(DETAILS[detail], **{name: value for name, value in given.items() if value is not None})
    if _integer(chosen.resolution, "resolution", RESOLUTIONS[0], RESOLUTIONS[-1]) not in RESOLUTIONS:
        raise BadRequest(f"The resolution {chosen.resolution} is no multiple of {RESOLUTIONS.step}.")
    _integer(chosen.texture_size, "texture size", *TEXTURE_SIZES)
    if chosen.triangles is not None:
        _integer(chosen.triangles, "number of triangles", MIN_TRIANGLES, 2**31 - 1)
    return chosen


def _integer(value: Any, what: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise BadRequest(f"The {what} {str(value)[:40]!r} is not a whole number from {low} to {high}.")
    return value
