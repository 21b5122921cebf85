# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core pictures MODEL`: write the facts and pictures of the things that a model can make into its folder.

Every training does so at its end. In config.json: a group and an example prompt of each thing, and which things are of one piece;
beside it, pictures/<thing>.png: the example, made by the model itself.
"""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from core.errors import EmptySurface
from core.files import replace_file
from core.frame import STYLE_SIZE
from core.library.starter.examples import example_of, group_of
from core.library.starter.kinds import KINDS
from core.library.starter.objects import COUNTS, Description, ExactObjects
from core.networks.storage import ModelCard, picture_path, save_card
from core.networks.things import Thing
from core.pipeline import Latte3DPipeline
from core.rendering.mesh_pictures import draw
from core.surface.extract import refine_grid

SIDE = 128  # pixels of a picture
SHARPER = 6  # pixels a side that are drawn for one of the picture, before it is cropped
COLORS = 255  # of the palette: a file of some 7 KB
GRID = 128  # cells a side in which pieces are counted
GRAIN = 1e-4  # of the volume: where an edge is thinner than a cell, specks of it come off that are no pieces


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m core pictures", description=__doc__)
    parser.add_argument("model", type=Path, help="the model's folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    a = parser.parse_args(argv)
    describe(a.model, a.device)
    return 0


def describe(folder: Path, device: str = "auto", more: Sequence[Thing] = (), before: ModelCard | None = None,
             tell: Callable[[dict], None] | None = None) -> None:  # fmt: skip
    """Write the things, which of them are of one piece, and the pictures into a model's folder, each file whole or not at all.

    more: things beside the kinds of the starter (those that it has). before: the card of a model of the same kinds, which need not be
    counted again. tell: is told of progress.
    """
    pipeline = Latte3DPipeline.from_pretrained(folder, device)
    others = more or [thing for thing in pipeline.things if thing.name not in KINDS]
    things = (*others, *things_of([kind for kind in pipeline.kinds if kind in KINDS]))
    known = before is not None and tuple(before.kinds) == tuple(pipeline.kinds) and bool(before.things)
    pieces = before.one_piece if known else one_piece(pipeline.kinds)
    card = replace(pipeline.card, things=tuple({thing.name: thing for thing in things}.values()), one_piece=pieces)
    save_card(card, pipeline.generator.config, folder)
    for done, thing in enumerate(card.things, 1):
        write_picture(pipeline, thing, picture_path(folder, thing.name))
        if tell:
            tell({"event": "progress", "stage": "pictures", "done": done, "total": len(card.things), "eta_s": None})


def things_of(kinds: Sequence[str]) -> tuple[Thing, ...]:
    """The facts of kinds of the library: group and example prompt."""
    return tuple(Thing(kind, group_of(kind), example_of(kind)) for kind in kinds)


def one_piece(kinds: Sequence[str]) -> tuple[str, ...]:
    """Those of the kinds whose exact objects always hang together."""
    return tuple(kind for kind in kinds if _hangs_together(kind))


@cache
def _hangs_together(kind: str) -> bool:
    """Whether every shape that a prompt of this kind can ask for, each with another style, is of one connected piece."""
    shapes, rng = _shapes(kind), torch.Generator().manual_seed(0)
    return all(_pieces(shape, torch.randn(1, STYLE_SIZE, generator=rng)) == 1 for shape in shapes)


def _shapes(kind: str) -> list[Description]:
    """A kind in all its proportions, without and with its second part, in each number of it. Nothing else changes the shape."""
    proportions, second = (None, *KINDS[kind].proportions), KINDS[kind].second
    counts = [None, *(word for word, number in COUNTS.items() if number in second.counts)]
    plain = [Description(kind, proportion=proportion) for proportion in proportions]
    return plain + [replace(shape, second=True, count=count) for shape in plain for count in counts]


def _pieces(shape: Description, z: torch.Tensor) -> int:
    exact = ExactObjects([shape], z)
    inside = refine_grid(lambda points: exact.raw(points[None])[0], resolution=GRID) < 0
    piece, _ = ndimage.label(inside.numpy())
    volumes = np.bincount(piece.ravel())[1:]
    return int((volumes > GRAIN * volumes.sum()).sum())


def write_picture(pipeline: Latte3DPipeline, thing: Thing, path: Path) -> None:
    """Draw a thing's example; where the model makes nothing of it, there is no picture."""
    try:
        (mesh,) = pipeline([thing.example], resolution=GRID)
    except EmptySurface as error:
        print(f"{thing.example}: {error}", file=sys.stderr)
        path.unlink(missing_ok=True)
        return
    png = encode_palette(draw(mesh, SIDE, SHARPER))
    replace_file(path, lambda name: Path(name).write_bytes(png))


def encode_palette(image: np.ndarray) -> bytes:
    """A PNG of at most COLORS colours, each with its alpha. image: [H, W, 4] u8"""
    pixels = image.reshape(-1, 4)
    palette, index = np.unique(pixels, axis=0, return_inverse=True)
    if len(palette) > COLORS:
        palette, index = kmeans2(pixels.astype(np.float32), COLORS, minit="++", rng=0)
        palette = palette.round().astype(np.uint8)
    picture, buffer = Image.fromarray(index.reshape(image.shape[:2]).astype(np.uint8), "P"), io.BytesIO()
    picture.putpalette(palette[:, :3].tobytes())
    picture.save(buffer, "PNG", optimize=True, transparency=palette[:, 3].tobytes())
    return buffer.getvalue()
