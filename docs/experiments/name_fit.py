# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the names of a library's assets tell which prompts they were made for: what `--geometry-alpha-by texts` goes by.

    python docs/experiments/name_fit.py LIBRARY

LIBRARY holds a prompts.csv; nothing of it need be prepared, and nothing is trained.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.language.encoder import TextEncoder
from core.library import format as library_format
from core.training.fit import NameFit

LOW = 0.25  # below it a shape hardly counts
SOME = 32  # other assets that each prompt is held against


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    library, _ = library_format.read(parser.parse_args().library)
    prompts, shapes, encoder = [p for p in library.prompts if p.shape], sorted(library.shapes), TextEncoder(device="cpu")
    fit = NameFit([p.text for p in prompts], shapes, encoder)
    own, others, rng = [], [], torch.Generator().manual_seed(0)
    for prompt in prompts:
        tokens, mask = encoder([prompt.text])
        rest = [shape for shape in shapes if shape != prompt.shape]
        some = [rest[i] for i in torch.randperm(len(rest), generator=rng)[:SOME].tolist()]
        both = fit(tokens.expand(1 + len(some), -1, -1), mask.expand(1 + len(some), -1), [prompt.shape, *some])
        own.append(both[0])
        others.append(both[1:].mean())
    own, others = torch.stack(own), torch.stack(others)
    print(f"{len(prompts)} prompts, {len(shapes)} assets; fit (0 … 1) of a prompt and its own asset's name, and of other assets' names:")
    print(f"own {own.mean():.2f}, below {LOW}: {100 * (own < LOW).float().mean():.0f} %; others {others.mean():.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
