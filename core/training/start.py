# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a training begins: networks of random weights or those of an earlier model, and what the model will remember of its prompts."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core.errors import BadRequest
from core.files import replace_file
from core.language import familiarity, words
from core.language.encoder import TextEncoder
from core.language.words import Words
from core.library.folder import PreparedFolder
from core.networks.generator import Generator
from core.networks.presets import PRESETS, GeneratorConfig
from core.networks.storage import load_generator, read_card
from core.training.settings import STARTER, TrainSettings

CHECKPOINT = Path("checkpoint") / "state.safetensors"  # in a model's folder


def networks(settings: TrainSettings) -> tuple[Generator, Generator | None]:
    """New ones or those of the earlier model, and that model itself. Raises MissingWeights for no model, BadRequest for one that does not
    fit the settings."""
    earlier = load_generator(settings.start_from)[0] if settings.start_from else None
    with torch.random.fork_rng():  # the first weights follow from the seed, and nobody else's random numbers change
        torch.default_generator.manual_seed(settings.seed)
        generator = Generator(_config(settings, earlier.config if earlier else None))
    if earlier:
        _take_weights(generator, earlier, settings)
    return generator, earlier


def _config(settings: TrainSettings, earlier: GeneratorConfig | None) -> GeneratorConfig:
    """The preset's sizes; where a network goes on alone, the earlier model's and what is added to them."""
    preset = PRESETS[settings.preset]
    if settings.parts == "both":
        return replace(preset, texture_upsampling=preset.texture_upsampling or bool(earlier and earlier.texture_upsampling))
    added = {"g": {"geometry_blocks": preset.geometry_blocks}, "upsampler": {"texture_upsampling": True}}
    return replace(earlier, **added.get(settings.parts, {}))


def _take_weights(generator: Generator, earlier: Generator, settings: TrainSettings) -> None:
    """Start from an earlier model. What it does not have starts anew and changes nothing at first: an upsampler, blocks of G, α, a
    sentence's mean, a texture's residual. Raises BadRequest when it has other sizes."""
    state, fresh = earlier.state_dict(), generator.state_dict()
    new = ("upsampler.", "G.blocks.", "adherence.", "condition.sentence.")
    added = {k: v for k, v in fresh.items() if k.startswith(new) and k not in state}
    try:
        if generator.config.residual and not earlier.config.residual:
            for name in ("texture.mlp.last.weight", "texture.mlp.last.bias"):
                state[name] = torch.cat((state[name], fresh[name][len(state[name]) :]))
        generator.load_state_dict(added | state)
    except RuntimeError as error:
        cause = str(error).splitlines()[-1].strip()
        raise BadRequest(f"The model in {settings.start_from} does not fit the preset {settings.preset}.", cause,
                         "Choose the preset that it was made with, or begin from nothing: --from none.") from error  # fmt: skip


def take_heads(heads: nn.Module, settings: TrainSettings) -> None:
    """Those of the earlier model's run, which no model ships with, where its checkpoint is still beside it and was of the same kinds: new
    ones would first pull at what the condition has learnt. Raises BadRequest when its checkpoint is damaged."""
    run = settings.start_from / CHECKPOINT if settings.start_from else None
    if run is None or not run.exists() or tuple(read_card(settings.start_from)[1].kinds) != settings.kinds:
        return
    try:
        learnt = {k.removeprefix("heads."): v for k, v in load_file(run).items() if k.startswith("heads.")}
    except (OSError, SafetensorError) as error:
        remedy = f"Its model is whole: delete {run.parent}, and the run starts without it."
        raise BadRequest(f"The checkpoint beside the model in {settings.start_from} is damaged.", str(error), remedy) from error
    if {k: v.shape for k, v in learnt.items()} == {k: v.shape for k, v in heads.state_dict().items()}:  # the grammar may have grown
        heads.load_state_dict(learnt)


def knows_dummy(settings: TrainSettings) -> bool:
    """Whether the earlier model made the objects of this library out of the dummy sphere: then clouds are annealed from the start."""
    if settings.start_from is None:
        return False
    before = read_card(settings.start_from)[1].training.get("library", {}).get("name", STARTER)
    return before == (STARTER if settings.library == STARTER else PreparedFolder.open(Path(settings.library)).library.name)


def hours_before(settings: TrainSettings) -> float:
    """Hours of training in the models that this one starts from."""
    earlier = read_card(settings.start_from)[1].training if settings.start_from else {}
    return round(earlier.get("hours_before", 0.0) + earlier.get("hours", 0.0), 3)


def remember(prompts: Sequence[str], taught: Words, settings: TrainSettings, encoder: TextEncoder) -> None:
    """Keep beside the model what it learns to read, and what its source teaches about the words; where nothing new is read, what the
    earlier model has."""
    if settings.parts == "both":
        familiarity.KnownPrompts.learn(prompts, encoder, taught).save(settings.out)
        return
    for name in (words.FILE, familiarity.FILE):
        if (before := settings.start_from / name).exists():
            replace_file(settings.out / name, lambda path, before=before: shutil.copyfile(before, path))
