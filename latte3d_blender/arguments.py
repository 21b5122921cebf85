# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the commands, written once: for build.py, which runs on any Python, and for the add-on's own."""

import argparse
import os
import re
from collections.abc import Callable, Iterable

DETAILS = ("draft", "standard", "high", "full")
LIMITS = {"seed": (0, 2**31 - 1), "resolution": (64, 256), "texture size": (64, 4096), "triangles": (16, 2**31 - 1)}
LIMITS |= {"picture size": (4, 8192)}  # Blender makes no picture that is smaller
LIMITS |= {"number of workers": (1, 1024), "number of cores": (1, 1024)}
STARTER = "starter"  # the built-in library
WORKERS = "assets at a time (default: one for each core)"
TRAIN_OPTIONS = {
    "--minutes": "how long to train, all resumptions together",
    "--steps": "how many steps to train, instead of minutes",
    "--replay": "share of starter objects among the library's, so that the model keeps what it knew",
    "--preset": "the networks' sizes: tiny, starter or paper-scale",
    "--seed": "another seed draws other prompts and objects",
    "--device": "auto, cpu or cuda",
}  # that the engine's train reads, as it reads others (python -m core train --help)
EVALUATE_OPTIONS = {
    "--split": "which prompts: train, paraphrases or unseen",
    "--count": "how many of them",
    "--sheet": "a picture to write: each asset beside what the model makes of it",
    "--report": "a folder to write a page into, with all figures and pictures",
    "--prompts": "a file with one prompt a line, instead of a split",
    "--detail": "how fine the meshes are",
    "--resolution": "cells along an edge of the grid",
    "--texture-size": "pixels along an edge of the images",
    "--seed": "draws the prompts and their styles",
    "--device": "auto, cpu or cuda",
    "--rows": "write each prompt's figures to this file",
    "--glb": "write each mesh to this folder",
    "--seeds": "how alike the objects of so many seeds are",
    "--space": "the space of R-precision",
    "--clip": "a CLIP model, for its score",
}  # that the engine's evaluate reads, as it reads others
REFINE_OPTIONS = {
    "--out": "the mesh, a .glb; its planes are kept beside it",
    "--depth": "folder of a prior with a depth ControlNet: teaches the texture",
    "--controlnet": "folder of the ControlNet, where it is not in that of --depth",
    "--multiview": "folder of a multi-view prior: teaches shape and texture",
    "--start": "what shaped the object beside its prompt and seed, or the planes of an earlier refinement",
    "--seed": "of the object (0: the typical one)",
    "--steps": "how many steps",
    "--detail": "how fine the mesh is",
    "--device": "auto, cpu or cuda",
}  # that the engine's refine reads, as it reads others
LIBRARY_COMMANDS = {
    "check": "list all that is wrong with a library",
    "prepare": "make its assets ready for training",
    "suggest": "propose prompts for the assets that have none",
}


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


def folder(text: str) -> str:
    """A type for argparse: a folder that is there."""
    path = os.path.expanduser(text)
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"there is no folder {text}; name the one that holds library.toml and prompts.csv")
    return path


def part(text: str) -> tuple[int, int]:
    """A type for argparse: i/n."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: write i/n, as 1/4 for the first of four")
    return int(found[1]), int(found[2])


def add_generate(parser: argparse.ArgumentParser) -> None:
    """Add what to make, how fine, and where it goes."""
    add = parser.add_argument
    add("prompts", nargs="*", metavar="PROMPT", help='what to make, as in "a red mushroom with white spots"; any number of them')
    add("--prompts", dest="prompt_list", metavar="LIST", help="make an asset library of a list: CSV, or text with one prompt a line")
    add("--out", default="out", metavar="DIR", help="where the files go (default: out); for a list a folder, or one FILE.blend")
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
    lists = parser.add_argument_group("for lists").add_argument
    lists("--shard", type=part, metavar="i/n", help="make the i-th of n parts; without it, a FILE.blend is put together from all")
    lists("--job", default="", metavar="DIR", help="folder for what is not in the library yet (default: a hidden one beside it)")
    lists("--ray", default="", metavar="ADDRESS", help='make it on the Ray cluster at host:port; "local": one of this machine alone')
    help_cores = "of each worker, on a cluster without GPUs (default: 2)"
    lists("--worker-cores", type=whole_number("number of cores"), default=2, metavar="N", help=help_cores)
    lists("--listing", action="store_true", help="also write what makes a FOLDER on a web server a remote library (Blender 5.2 and later)")
    lists("--catalogue", default="", help="for prompts that name none (default: by the thing, such as Nature)")
    lists("--licence", default="", help="for prompts that name none, such as CC0-1.0")
    lists("--author", default="", help="for prompts that name none")


def wrong_generate(options: argparse.Namespace) -> str:
    """What is wrong with the arguments of `generate` together; "" for nothing."""
    if bool(options.prompts) == bool(options.prompt_list):
        return "name a PROMPT, or a list of them with --prompts LIST" + ("; not both" if options.prompts else "")
    if options.listing and options.out.lower().endswith(".blend"):
        return "--listing is for folders: a remote library of one file would be downloaded as a whole"
    given = [name for name in ("shard", "listing", "ray") if getattr(options, name) and not options.prompt_list]
    return f"--{given[0]} is for lists: name one with --prompts" if given else ""


def details(options: argparse.Namespace) -> dict:
    """What was asked of the surface and its images, as the engine takes it; what was not asked for is left to the engine."""
    asked = {name: getattr(options, name) for name in ("detail", "resolution", "texture_size", "triangles")}
    return {name: value for name, value in asked.items() if value is not None}


def library_parser(program: str) -> argparse.ArgumentParser:
    """The arguments of `library`: `command`, one of LIBRARY_COMMANDS, its folder and its options."""
    top = argparse.ArgumentParser(prog=program, description="A prompt library of your own: docs/prompt-libraries.md")
    commands = top.add_subparsers(dest="command", required=True)
    for name, about in LIBRARY_COMMANDS.items():
        add = commands.add_parser(name, help=about, description=about).add_argument
        add("folder", type=folder, metavar="DIR", help="the folder with library.toml and prompts.csv")
        add("--json", action="store_true", help="one JSON object a line, the last one the result")
        if name != "check":
            _add_engine(add)
        if name == "prepare":
            add("--workers", type=whole_number("number of workers"), help=WORKERS)
        if name == "suggest":
            add("--out", metavar="CSV", help="what to write (default: DIR/suggested.csv)")
    return top


def _add_engine(add: Callable) -> None:
    """What all long commands of the engine have."""
    text = "the engine's Python (default: as in the preferences, else what Set Up made; in a checkout its .venv)"
    add("--engine", default="", metavar="PYTHON", help=text)
    add("--offline", type=_folder_of_wheels, metavar="FOLDER", help="install what training needs from this folder of wheels")
    add("--log", default="", metavar="FILE", help="write all that is said to this file too, with times")


def _folder_of_wheels(text: str) -> str:
    path = os.path.expanduser(text)
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"there is no folder {text}; build.py wheels makes one")
    return path


def _library(text: str) -> str:
    return text if text == STARTER else folder(text)


def train_parser(program: str) -> argparse.ArgumentParser:
    """The arguments of `train`; what is not known here is for the engine: use parse_known_args."""
    about = "Train a model on a library of your own (what it lacks is prepared first), or on the starter library. The same command goes on "
    about += "where it was stopped. Other options of the engine's train are passed on."
    parser = argparse.ArgumentParser(prog=program, description=about, allow_abbrev=False)
    add = parser.add_argument
    add("library", type=_library, metavar="DIR", help=f'the folder with library.toml and prompts.csv, or "{STARTER}"')
    add("--out", default="", metavar="MODEL", help="the model's folder (default: one where the panel finds it, named as the library)")
    help_from = f'the model to begin with, a folder or an id; "none": from nothing (default for a library of your own: {STARTER})'
    add("--from", dest="start_from", default="", metavar="MODEL", help=help_from)
    for name, text in TRAIN_OPTIONS.items():
        add(name, metavar=name[2:].upper(), help=text)
    add("--workers", type=whole_number("number of workers"), help=f"for preparing: {WORKERS}")
    add("--yes", action="store_true", help="go on where memory or disk seem too small")
    add("--json", action="store_true", help="one JSON object a line, the last one the result")
    _add_engine(add)
    return parser


def refine_parser(program: str) -> argparse.ArgumentParser:
    """The arguments of `refine`; what is not known here is for the engine: use parse_known_args."""
    about = "Make one object better by diffusion priors on this machine, from what a model makes of a prompt at once. The same command "
    about += "goes on where it was stopped. Other options of the engine's refine are passed on."
    parser = argparse.ArgumentParser(prog=program, description=about, allow_abbrev=False)
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's folder, or the id of an installed one")
    add("prompt", metavar="PROMPT", help="what to make")
    for name, text in REFINE_OPTIONS.items():
        add(name, metavar=name[2:].upper(), help=text, required=name == "--out")
    add("--json", action="store_true", help="one JSON object a line, the last one the result")
    _add_engine(add)
    return parser


def passed_on(options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Those of the engine's options that were given."""
    given = {name: getattr(options, name[2:].replace("-", "_")) for name in names}
    return [f"{name}={value}" for name, value in given.items() if value is not None]


def evaluate_parser(program: str) -> argparse.ArgumentParser:
    """The arguments of `evaluate`; what is not known here is for the engine: use parse_known_args."""
    about = "Measure a model: on a library of your own, or without one on the starter library. Other options of the engine's evaluate are "
    about += "passed on."
    parser = argparse.ArgumentParser(prog=program, description=about, allow_abbrev=False)
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's folder, or the id of an installed one")
    add("library", nargs="?", type=folder, metavar="DIR", help="the folder of a prepared library")
    for name, text in EVALUATE_OPTIONS.items():
        add(name, metavar=name[2:].upper(), help=text)
    add("--json", action="store_true", help="print the last line as JSON")
    _add_engine(add)
    return parser
