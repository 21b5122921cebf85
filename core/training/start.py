# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a training begins: networks of random weights or those of an earlier model, and what the model will remember of its prompts."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.errors import BadRequest
from core.files import replace_file
from core.language import familiarity, words
from core.language.encoder import TextEncoder
from core.language.words import Words
from core.networks.generator import Generator
from core.networks.presets import PRESETS, GeneratorConfig
from core.networks.storage import ModelCard, load_generator
from core.training.attributes import AttributeHeads
from core.training.settings import TrainSettings

CHECKPOINT = Path("checkpoint") / "state.safetensors"  # in a model's folder


def networks(settings: TrainSettings) -> tuple[Generator, AttributeHeads]:
    """New ones, or those of the earlier model. Raises MissingWeights for no model, BadRequest for one that does not fit the settings."""
    start = load_generator(settings.start_from) if settings.start_from else None
    with torch.random.fork_rng():  # the first weights follow from the seed, and nobody else's random numbers change
        torch.default_generator.manual_seed(settings.seed)
        generator = Generator(_config(settings, start[0].config if start else None))
        heads = AttributeHeads(generator.config, settings.kinds)
    if start:
        _take_weights(generator, heads, *start, settings)
    return generator, heads


def _config(settings: TrainSettings, earlier: GeneratorConfig | None) -> GeneratorConfig:
    """The preset's sizes; where a network goes on alone, the earlier model's and what is added to them."""
    preset = PRESETS[settings.preset]
    if settings.parts == "both":
        return preset
    added = {"g": {"geometry_blocks": preset.geometry_blocks}, "upsampler": {"texture_upsampling": True}}
    return replace(earlier, **added.get(settings.parts, {}))


def _take_weights(generator: Generator, heads: AttributeHeads, model: Generator, card: ModelCard, settings: TrainSettings) -> None:
    """Start from an earlier model; an upsampler or blocks of G that it does not have start anew, and add nothing to it at first. So do
    the heads, which no model ships with, unless the checkpoint of its run, of the same kinds, is still beside it: new ones would first pull
    at what the condition has learnt. Raises BadRequest when it has other sizes or its checkpoint is damaged."""
    try:
        own = {k: v for k, v in generator.state_dict().items() if k.startswith(("upsampler.", "G.blocks."))}
        generator.load_state_dict(own | model.state_dict())
    except RuntimeError as error:
        cause = str(error).splitlines()[-1].strip()
        raise BadRequest(f"The model in {settings.start_from} does not fit the preset {settings.preset}.", cause) from error
    run = settings.start_from / CHECKPOINT
    if tuple(card.kinds) != settings.kinds or not run.exists():
        return
    try:
        learnt = {k.removeprefix("heads."): v for k, v in load_file(run).items() if k.startswith("heads.")}
    except (OSError, SafetensorError) as error:
        remedy = f"Its model is whole: delete {run.parent}, and the run starts without it."
        raise BadRequest(f"The checkpoint beside the model in {settings.start_from} is damaged.", str(error), remedy) from error
    if {k: v.shape for k, v in learnt.items()} == {k: v.shape for k, v in heads.state_dict().items()}:  # the grammar may have grown
        heads.load_state_dict(learnt)


def remember(prompts: Sequence[str], taught: Words, settings: TrainSettings, encoder: TextEncoder) -> None:
    """Keep beside the model what it learns to read, and what its source teaches about the words; where nothing new is read, what the
    earlier model has."""
    if settings.parts == "both":
        familiarity.KnownPrompts.learn(prompts, encoder, taught).save(settings.out)
        return
    for name in (words.FILE, familiarity.FILE):
        if (before := settings.start_from / name).exists():
            replace_file(settings.out / name, lambda path, before=before: shutil.copyfile(before, path))
