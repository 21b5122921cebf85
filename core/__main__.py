# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's command line: `python -m core COMMAND …`; each command is the `main(argv)` of one module."""

import importlib
import os
import re
import sys

from core import terminal
from core.errors import EngineError, out_of_memory

COMMANDS = {
    "train": ("core.training.cli", "train a model on the starter library, or on a library of your own"),
    "plan": ("core.training.plan", "say what a training takes: the same arguments as train"),
    "library": ("core.library.cli", "check, prepare and suggest prompts for a library of your own; draw and list exact objects"),
    "evaluate": ("core.evaluation.cli", "measure a model on prompts that it has not seen"),
    "evaluate-space": ("core.evaluation.space_stage", "train the space that evaluate measures R-precision in"),
    "pictures": ("core.training.pictures", "write what a model can make into its folder, with a picture of each thing"),
    "benchmark": ("core.evaluation.benchmark", "time every stage on this machine"),
    "refine": ("core.training.refine_cli", "make one object better by a diffusion prior, from what a model makes at once"),
    "guidance": ("core.guidance.cli", "look at a diffusion prior to train with: what it is, what it needs, how fast it is"),
    "train-prior": ("core.training.prior.train", "train a small diffusion prior on a library of your own, for guidance"),
    "convert": ("core.guidance.convert", "make a diffusers folder of an original checkpoint (MVDream)"),
    "bulk": ("core.bulk.cli", "make many objects on a Ray cluster, a file each"),
    "worker": ("core.service.worker", "serve Blender over stdin and stdout"),
    "install": ("core.install", "make the engine's own Python environment"),
}


def usage() -> str:
    """The help text: one line per command."""
    lines = [f"  {name:<14} {summary}" for name, (_, summary) in COMMANDS.items()]
    return "usage: python -m core COMMAND …   (COMMAND --help says more)\n\n" + "\n".join(lines)


def main(argv: list[str]) -> int:
    """Run one command. Returns the exit status: 0 done, 1 failed, 2 wrong usage."""
    if not argv or argv[0] not in COMMANDS:
        asked_for_help = bool(argv) and argv[0] in ("-h", "--help", "help")
        print(usage(), file=sys.stdout if asked_for_help else sys.stderr)
        return 0 if asked_for_help else 2
    try:
        return importlib.import_module(COMMANDS[argv[0]][0]).main([own_path(argument) for argument in argv[1:]])
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.code == "bad_request" else 1
    except ImportError as error:  # a package is gone, or does not fit into the memory
        print(f"error: {error}. Run it through build.py, which installs what a command needs.", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not (short := out_of_memory(error)):
            raise
        print(f"error: {short}", file=sys.stderr)
        return 1
    except OSError as error:  # no such file, no permission, no space left
        print(f"error: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return 130


def own_path(argument: str) -> str:
    """The ~ of --out=~/x as a home folder: shells leave it alone there."""
    option, tilde, rest = re.fullmatch(r"(--[\w-]+=)?(~?)(.*)", argument, re.DOTALL).groups()
    return f"{option}{os.path.expanduser(tilde + rest)}" if option and tilde else argument


if __name__ == "__main__":
    if sys.argv[1:2] != ["worker"]:  # which has its own use of both pipes
        terminal.prepare()
    sys.exit(main(sys.argv[1:]))
