# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a training under way: a few fixed prompts, made by the model so far."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from core.errors import EngineError
from core.files import replace_file
from core.frame import style_of
from core.language.encoder import TextEncoder
from core.limits import choose_detail
from core.networks.generator import Generator
from core.rendering import mesh_pictures
from core.rendering.cameras import Camera
from core.rendering.shading import to_bytes
from core.surface.textured import textured_mesh

FOLDER = "previews"  # in the model's
SHOWN = 8  # prompts
SIDE, LINE, COLUMNS = 192, 14, 4  # pixels of a picture and of a line of text under it; pictures in a row
LINES = 3
FRONT_RIGHT = Camera(distance=3.0)
BACK_LEFT = Camera(azimuth=FRONT_RIGHT.azimuth + 180, distance=3.0)  # where a second face would be


def some_of(prompts: Sequence[str], unseen: Sequence[str]) -> list[str]:
    """SHOWN prompts, evenly out of the learnt ones; two of them are of the others, where there are any."""
    others = [unseen[i * len(unseen) // 2] for i in range(min(2, len(unseen)))]
    count = min(SHOWN - len(others), len(prompts))
    return [prompts[i * len(prompts) // count] for i in range(count)] + others


@torch.inference_mode()
def write_preview(
    generator: Generator, encoder: TextEncoder, prompts: Sequence[str], path: Path, cameras: Sequence[Camera] = (FRONT_RIGHT,)
) -> None:
    """A PNG with pictures of each prompt's typical object, and the prompt below them. generator: on a CPU or a GPU, left as it is."""
    was = generator.training
    generator.eval()
    rows, width = -(-len(prompts) // COLUMNS), len(cameras) * SIDE
    sheet = Image.new("RGB", (COLUMNS * width, rows * (SIDE + LINES * LINE)), "white")
    for i, prompt in enumerate(prompts):
        left, top = i % COLUMNS * width, i // COLUMNS * (SIDE + LINES * LINE)
        if (picture := _picture(generator, encoder, prompt, cameras)) is not None:
            sheet.paste(Image.fromarray(picture), (left, top))
        ImageDraw.Draw(sheet).multiline_text((left + 4, top + SIDE), _wrapped(prompt), fill="black", spacing=2)
    generator.train(was)
    replace_file(path, lambda name: sheet.save(name, format="PNG"))


def read_picture(path: Path) -> np.ndarray:
    """[H, W, 3] u8"""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _picture(generator: Generator, encoder: TextEncoder, prompt: str, cameras: Sequence[Camera]) -> np.ndarray | None:
    """[SIDE, SIDE of each camera, 3] u8, or None where nothing comes out."""
    tokens, mask = encoder([prompt])
    fields = generator(tokens, mask, style_of([0]).to(tokens.device))
    try:
        mesh = textured_mesh(generator.sdf.of(fields), generator.texture.of(fields), choose_detail("draft"), height_m=1.0)
    except EngineError:  # an empty surface, early in a training
        return None
    return np.concatenate(to_bytes(mesh_pictures.render(mesh, cameras, SIDE)).numpy(), 1)


def _wrapped(text: str, width: int = 30) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(lines[:LINES])
