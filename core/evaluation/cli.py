# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core evaluate MODEL [LIBRARY]`: measure finished textured meshes.

LIBRARY is "starter": against the exact objects of their prompts, with the same style; or the folder of a prepared library: against the
shapes that its prompts stand for.
"""

import argparse
import json
from pathlib import Path

from core.errors import BadRequest
from core.evaluation import shapes, starter
from core.evaluation.space import STORED
from core.library import SPLITS
from core.library.format import SPLITS as FOLDER_SPLITS
from core.limits import DETAILS

STARTER = "starter"
STARTER_ONLY = ("prompts", "space", "clip", "fid")  # options that ask for what one of the two libraries has
FOLDER_ONLY = ("seeds", "sheet")
DEFAULTS = {  # of options that both have
    STARTER: {"count": 200, "detail": "full"},
    "folder": {"count": None, "detail": "standard"},
}


def main(argv: list[str]) -> int:
    a = parse(argv)
    of_starter = a.library == STARTER
    foreign, whose = (FOLDER_ONLY, "a folder's") if of_starter else (STARTER_ONLY, "the starter's")
    if given := [f"--{name}" for name in foreign if getattr(a, name)]:
        raise BadRequest(f"{' and '.join(given)} is for {whose} prompts.", f"The library is {a.library}.", "Leave it out.")
    if a.split not in (known := (*SPLITS, starter.MATCHED) if of_starter else FOLDER_SPLITS):
        raise BadRequest(f"The library {a.library} has no split {a.split}.", "", f"Choose one of {', '.join(known)}.")
    for name, value in DEFAULTS[STARTER if of_starter else "folder"].items():
        setattr(a, name, value if getattr(a, name) is None else getattr(a, name))
    a.space = a.space or STORED
    result = (starter if of_starter else shapes).evaluate(a, argv)
    print(json.dumps(result) if a.json else "\n".join(f"{k:32} {v}" for k, v in flat(result).items()), flush=True)
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help='a model\'s folder, or "exact": the objects or shapes themselves, made into meshes: '
                        "the most that a model can score")  # fmt: skip
    parser.add_argument("library", nargs="?", default=STARTER, help=f'"{STARTER}", or the folder of a prepared library')
    splits = tuple(dict.fromkeys((*SPLITS, starter.MATCHED, *FOLDER_SPLITS)))
    parser.add_argument("--split", default="unseen", choices=splits, help="see python -m core library --help (unseen); "
                        f"{starter.MATCHED}: train prompts that name the same attributes of the same kinds as the unseen ones; "
                        f"a folder has {', '.join(FOLDER_SPLITS)}")  # fmt: skip
    parser.add_argument("--count", type=int, help="prompts drawn from the split (200; all of a folder's)")
    parser.add_argument("--detail", choices=tuple(DETAILS), help="how fine the meshes are (full; standard for a folder)")
    parser.add_argument("--resolution", type=int, help="cells along an edge of the grid (the detail's)")
    parser.add_argument("--texture-size", type=int, help="pixels along an edge of the images (the detail's)")
    parser.add_argument("--seed", type=int, default=1, help="draws the prompts; the starter's styles too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=Path, help="write every prompt's figures to this JSON-lines file, each as soon as it is measured")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write a page with all tables and pictures: FOLDER/index.html")
    parser.add_argument("--glb", type=Path, help="write every mesh to this folder")
    parser.add_argument("--json", action="store_true", help="print the last line as JSON, and of a folder the progress before it")
    only = parser.add_argument_group("the starter's alone")
    only.add_argument("--prompts", type=Path, help="a file with one prompt a line, instead of a split")
    only.add_argument("--space", type=Path, help="the space of R-precision, made by evaluate-space")
    only.add_argument("--clip", metavar="MODEL", help="also the CLIP score, by torchmetrics: a folder or hub id of a CLIP model")
    only.add_argument("--fid", action="store_true", help="also the FID, by torchmetrics, against renders of the exact objects")
    only = parser.add_argument_group("a folder's alone")
    only.add_argument("--seeds", type=int, default=0, metavar="N", help="also how alike the objects of N seeds of a prompt are: their mean "
                      f"IoU, on {shapes.SEED_PROMPTS} prompts (0: not measured)")  # fmt: skip
    only.add_argument("--sheet", type=Path, metavar="PNG", help="write a picture of every asset beside what the model makes of it")
    return parser.parse_args(argv)


def flat(result: dict) -> dict:
    """Tables within a table as "outer.inner", for the eye."""
    nested = {f"{k}.{name}": own for k, v in result.items() if isinstance(v, dict) for name, own in v.items()}
    return {k: v for k, v in result.items() if not isinstance(v, dict)} | nested
