# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core library …`: check, prepare and suggest prompts for a folder of assets; draw exact objects, export prompts, list kinds."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import BadRequest
from core.files import replace_file
from core.library import SPLITS, folder_cli
from core.library.starter import splits

CAPTION_ROWS, CAPTION_HEIGHT = 3, 13
BATCH = 8


def main(argv: list[str]) -> int:
    """Run one command of the library. Returns the exit status."""
    args = _arguments().parse_args(argv)
    return args.run(args) or 0


def _arguments() -> argparse.ArgumentParser:
    about = "The starter library: exact objects and their prompts (sample, export, kinds).\n"
    about += "Libraries of your own: a folder of assets and prompts (check, prepare, suggest).\n\n"
    about += f"The splits of the starter library. {splits.__doc__}"
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m core library", description=about, formatter_class=raw)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sample = commands.add_parser("sample", help="draw a contact sheet of exact objects with their prompts")
    sample.add_argument("--count", type=int, default=64, help="how many objects (64)")
    sample.add_argument("--out", type=Path, required=True, help="the picture to write (.png)")
    sample.add_argument("--size", type=int, default=160, help="pixels a side of one object (160)")
    sample.add_argument("--prompts", nargs="+", metavar="PROMPT", help="draw these prompts instead of random ones")
    sample.set_defaults(run=_sample)
    export = commands.add_parser("export", help="write a folder of distinct prompts")
    export.add_argument("library", choices=["starter"])
    export.add_argument("--prompts", type=int, required=True, help="how many")
    export.add_argument("--out", type=Path, required=True, help="the folder to write")
    export.set_defaults(run=_export)
    for command in (sample, export):
        command.add_argument("--split", choices=SPLITS, help="only prompts of this split (all of them)")
        command.add_argument("--seed", type=int, default=0, help="another seed, other prompts (0)")
        command.add_argument("--kinds", type=lambda text: [k for k in text.split(",") if k], help="only these kinds, separated by commas")
    kinds = commands.add_parser("kinds", help="list what the library can make")
    kinds.set_defaults(run=_kinds)
    folder_cli.add_commands(commands)
    return parser


def _sample(args: argparse.Namespace) -> None:
    from core.library.prompt import Prompt
    from core.library.starter.parser import parse
    from core.library.starter.prompts import starter_library

    if not 16 <= args.size <= 1024:
        raise BadRequest(f"{args.size} pixels a side cannot be drawn.", "", "Ask for 16 to 1024.")
    if args.prompts:
        prompts = [Prompt(text, seed=args.seed, description=parse(text)) for text in args.prompts]
    else:
        prompts = list(starter_library(args.count, args.split, args.seed, args.kinds))
    sheet = draw_sheet(prompts, args.size)
    replace_file(args.out, lambda name: sheet.save(name, format="PNG"))
    print(f"{args.out}: {len(prompts)} objects")


def draw_sheet(prompts: Sequence, size: int = 160, columns: int = 8):
    """A contact sheet (PIL image) of the exact objects of `Prompt`s, each with its wording underneath."""
    from PIL import Image, ImageDraw, ImageFont

    from core.frame import style_of
    from core.library.starter.objects import ExactObjects
    from core.rendering.cameras import Camera
    from core.rendering.shading import to_bytes
    from core.rendering.trace import render

    columns = min(columns, len(prompts))
    height = size + CAPTION_ROWS * CAPTION_HEIGHT + 6
    sheet = Image.new("RGB", (columns * size, -(-len(prompts) // columns) * height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for start in range(0, len(prompts), BATCH):
        some = prompts[start : start + BATCH]
        exact = ExactObjects([p.description for p in some], style_of([p.seed for p in some]))
        pixels = to_bytes(render(exact.solid(), Camera(distance=2.6), size)).numpy()
        for i, (prompt, picture) in enumerate(zip(some, pixels, strict=True), start):
            x, y = i % columns * size, i // columns * height
            sheet.paste(Image.fromarray(picture), (x, y))
            caption = "\n".join(_wrap(prompt.text, lambda text: font.getlength(text) <= size - 8)[:CAPTION_ROWS])
            pen.multiline_text((x + 4, y + size + 2), caption, fill=(40, 40, 45), font=font, spacing=1)
        if sys.stderr.isatty():
            print(f"\r{start + len(some)} of {len(prompts)}", end="", file=sys.stderr, flush=True)
    return sheet


def _wrap(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Lines that fit, broken at spaces."""
    lines = [""]
    for part in text.split():
        longer = f"{lines[-1]} {part}".strip()
        if fits(longer):
            lines[-1] = longer
        else:
            lines.append(part)
    return [line for line in lines if line]


def _export(args: argparse.Namespace) -> None:
    from core.library.starter.prompts import starter_library

    head = starter_library(args.prompts, args.split, args.seed, args.kinds).save(args.out)
    print(f"{args.out}: {head['prompts']} prompts ({', '.join(f'{name} {count}' for name, count in head['splits'].items())})")


def _second(kind) -> str:
    """What the table says of a kind's second part."""
    more = ["optional"] * kind.second.optional + [", ".join(map(str, sorted(kind.second.counts)))] * bool(kind.second.counts)
    return kind.second.name + (f" ({'; '.join(more)})" if more else "")


def _kinds(args: argparse.Namespace) -> None:
    from core.library.starter.kinds import KINDS

    head = ("kind", "also", "family", "materials", "patterns", "proportions", "second part")
    rows = [
        (k.name, ", ".join(k.synonyms), k.family, ", ".join(m for m in k.materials if m != "natural"), ", ".join(k.patterns),
         ", ".join(k.proportions), _second(k))
        for k in sorted(KINDS.values(), key=lambda k: (k.family, k.name))
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, tuple("-" * w for w in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\n{len(rows)} kinds")
