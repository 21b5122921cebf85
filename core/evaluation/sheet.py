# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets: every asset as Blender shows it beside what a model makes of its prompt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from core.files import replace_file
from core.library.portrait import AZIMUTH, DISTANCE, ELEVATION, FIELD
from core.mesh import TexturedMesh
from core.rendering import mesh_pictures
from core.rendering.cameras import Camera
from core.rendering.shading import GROUND, to_bytes

CAMERA = Camera(AZIMUTH, ELEVATION, FIELD, DISTANCE)  # that of the prepared pictures
BEHIND = Camera(AZIMUTH + 180, ELEVATION, FIELD, DISTANCE)
SHARPER = 2  # pixels a side that are drawn for one of the picture
SIDE = 160  # pixels of one picture
MOST = 128  # tiles on one sheet
GAP, LINE, FONT = 8, 15, 12  # pixels: between tiles, of one line of text, of its letters
GREY, INK, WRONG = (246, 246, 248), (40, 42, 48), (176, 58, 46)


@dataclass(frozen=True)
class Pictures:
    """Of one prompt, [SIDE, SIDE, 3] u8 each: the asset as Blender shows it and as it was prepared; the model's object from the same side
    and, where that was asked for, from behind."""

    asset: np.ndarray
    prepared: np.ndarray
    made: np.ndarray
    behind: np.ndarray | None = None


def draw(mesh: TexturedMesh | None, picture: Path, *, both_sides: bool = False) -> Pictures:
    """`picture`: of the prepared shape; bare ground where it, or the mesh, is not there."""
    views = [_view(mesh, camera) for camera in (CAMERA, BEHIND)[: 1 + both_sides]]
    return Pictures(*_halves(picture), *views)


def _view(mesh: TexturedMesh | None, camera: Camera) -> np.ndarray:
    if mesh is None:
        return to_bytes(torch.tensor(GROUND).expand(SIDE, SIDE, 3)).numpy()
    large = mesh_pictures.render(mesh, [camera], SIDE * SHARPER)[0].reshape(SIDE, SHARPER, SIDE, SHARPER, 3)
    return to_bytes(large.mean((1, 3))).numpy()


def _halves(picture: Path) -> list[np.ndarray]:
    """Left and right half of a prepared picture."""
    try:
        whole = Image.open(picture).convert("RGB").resize((2 * SIDE, SIDE), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError):  # gone, or damaged: a sheet has its other tiles
        whole = Image.new("RGB", (2 * SIDE, SIDE), tuple(round(255 * c) for c in GROUND))
    return np.split(np.asarray(whole), 2, axis=1)


def one_a_shape(rows: Sequence[dict], pictures: Sequence[Pictures]) -> list[tuple[dict, Pictures]]:
    """The first prompt of each shape."""
    first: dict[str, tuple[dict, Pictures]] = {}
    for row, picture in zip(rows, pictures, strict=True):
        first.setdefault(row["shape"], (row, picture))
    return list(first.values())


def write(path: Path, tiles: Sequence[tuple[dict, Pictures]]) -> list[Path]:
    """Write `path`, or of more than MOST tiles NAME-1.png, NAME-2.png …, each nearly square. tiles: row and pictures. Returns the files."""
    pages = math.ceil(len(tiles) / MOST)
    each = math.ceil(len(tiles) / pages)
    paths = [path] if pages == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(pages)]
    for i, page in enumerate(paths):
        sheet = compose(tiles[i * each : (i + 1) * each])
        replace_file(page, lambda name, sheet=sheet: sheet.save(name, format="PNG"))
    return paths


def compose(tiles: Sequence[tuple[dict, Pictures]]) -> Image.Image:
    """One sheet: left the asset, right the model's object, below both the prompt; its figures are red where another shape is more like."""
    width, height = 2 * SIDE + GAP, SIDE + 3 * LINE + GAP
    columns = max(1, round(math.sqrt(len(tiles) * height / width)))
    sheet = Image.new("RGB", (columns * width + GAP, math.ceil(len(tiles) / columns) * height + GAP), GREY)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for i, (row, pictures) in enumerate(tiles):
        x, y = GAP + i % columns * width, GAP + i // columns * height
        sheet.paste(Image.fromarray(np.concatenate((pictures.asset, pictures.made), 1)), (x, y))
        lines = wrap(row["prompt"], font, 2 * SIDE, 2)
        for n, line in enumerate(lines):
            pen.text((x + 2, y + SIDE + 1 + n * LINE), line, INK, font)
        pen.text((x + 2, y + SIDE + 1 + len(lines) * LINE), _cut(figures(row), font, 2 * SIDE), INK if row["shape_top1"] else WRONG, font)
    return sheet


def figures(row: dict) -> str:
    """A prompt's figures in a line."""
    if "generation_ms" not in row:
        return "empty"
    color = f", colour error {row['base_color_error']:.3f}" if "base_color_error" in row else ""
    other = "" if row["shape_top1"] else f", more like {Path(row['found']).stem}"
    return f"IoU {row['iou']:.2f}{color}{other}"


def wrap(text: str, font: ImageFont.FreeTypeFont, width: int, most: int) -> list[str]:
    """Text in at most so many lines of so many pixels; what is left over ends in an ellipsis."""
    lines, words = [""], text.split()
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] += " …"
            break
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while len(line) > 1 and font.getlength(line) > width:
        line = line.removesuffix(" …")[:-1].rstrip() + " …"
    return line
