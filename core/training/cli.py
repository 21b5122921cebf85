# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core train LIBRARY --out FOLDER`: train a model on a library; the same command resumes it."""

import argparse
from pathlib import Path

from core.errors import BadRequest

PATTERNED = {"geometry": 0.0, "texture": 0.7, "upsampler": 0.7}  # share of objects that must have a pattern: no shape depends on one


def main(argv: list[str]) -> int:
    from core.networks.presets import PRESETS

    parser = argparse.ArgumentParser(prog="python -m core train", description=__doc__)
    parser.add_argument("library", help='"starter"')
    parser.add_argument("--out", type=Path, required=True, help="the model's folder; what it holds is resumed")
    parser.add_argument("--preset", default="starter", choices=list(PRESETS))
    parser.add_argument(
        "--phase",
        default="both",
        help='"both" networks; or, from a finished model, "geometry": G alone, grown to the preset\'s blocks; "texture": T alone, mostly '
        'on patterns; "upsampler": T with planes twice as fine',
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="training time of the whole run, without its reading")
    parser.add_argument("--steps", type=int, help="number of steps, instead of minutes: repeats exactly")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--reading-steps", type=int, help="steps on prompts alone, before the first object (25 a minute, up to 1500)")
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate")
    parser.add_argument("--kinds", help="the kinds to learn, with commas (all but the ones held out for evaluation)")
    parser.add_argument("--more", help="of them, the weak ones: seen once more in each round for each time they are named")
    parser.add_argument("--from", dest="start_from", type=Path, metavar="WEIGHTS", help="start from this model's weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--checkpoint-minutes", type=float, default=4.0)
    a = parser.parse_args(argv)
    if a.library != "starter":
        raise BadRequest(f"There is no library {a.library!r}.", "", 'The built-in one is "starter".')
    from core.library.splits import trained_kinds
    from core.networks.storage import load_generator
    from core.training.bank import Sampling
    from core.training.loop import TrainingSettings, parse_kinds, train

    kinds = parse_kinds(a.kinds, trained_kinds())
    if a.phase != "both" and a.start_from and not a.kinds:
        kinds = load_generator(a.start_from)[1].kinds
    more = parse_kinds(a.more, kinds) if a.more else ()
    usual = min(1500, int(25 * a.minutes)) if a.phase == "both" else 0  # the other phases read nothing new
    reading_steps = usual if a.reading_steps is None else a.reading_steps
    settings = TrainingSettings(out=a.out, preset=a.preset, kinds=kinds, more=more, phase=a.phase, minutes=a.minutes, steps=a.steps,
                                batch=a.batch, learning_rate=a.rate, seed=a.seed, device=a.device, start_from=a.start_from,
                                sampling=Sampling(patterned=PATTERNED.get(a.phase, Sampling.patterned)),
                                reading_steps=reading_steps, checkpoint_minutes=a.checkpoint_minutes)  # fmt: skip
    folder = train(settings)
    print(f"The model is in {folder}." if (folder / "config.json").exists() else "Stopped before there was a model to keep.")
    return 0
