# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training learns from: the starter library, or a folder of one's own with a share of the starter."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import torch

from core.language.encoder import TextEncoder
from core.library.folder import PreparedFolder
from core.library.folder_source import FolderSource
from core.library.format import split_shape
from core.library.mixture import Mixture
from core.library.source import Sampling, Source
from core.library.starter.source import StarterSource
from core.networks.generator import Generator
from core.networks.things import Thing
from core.training.attributes import AttributeHeads, AttributeTask, PromptPool
from core.training.captions import CaptionTask
from core.training.keeping import KeepingTask
from core.training.preview import some_of
from core.training.settings import DISTILLED, STARTER, TrainSettings
from core.training.tasks import PromptTask

GROUPED, SHOWN = 8, 128  # things that people are shown, of a group and in all


@dataclass
class Material:
    """encoder: of texts; source: of objects; tasks: of the condition; prompts: what the model remembers; of a folder's library about: facts
    for the model's card; shown: prompts for pictures on the way; things: what the model can make, beside kinds of the starter."""

    encoder: TextEncoder
    source: Source
    tasks: list[PromptTask]
    prompts: list[str]
    about: dict = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    things: tuple[Thing, ...] = ()


def material_of(
    settings: TrainSettings, generator: Generator, earlier: Generator | None, encoder: TextEncoder, sampling: Sampling, process: int
) -> Material:
    """earlier: the model that the training starts from; process: number of this one. Raises BadRequest where a folder is not prepared."""
    seed, device = settings.seed * 1009 + process, encoder.device
    starter = StarterSource(settings.kinds, encoder, sampling, seed, device, settings.more) if settings.kinds else None
    if settings.library == STARTER:
        pool = PromptPool(settings.kinds, encoder, seed, device, settings.reading.pool, sampling.prompts_per_kind)
        with torch.random.fork_rng():  # the heads' first weights follow from the seed
            torch.default_generator.manual_seed(settings.seed)
            heads = AttributeHeads(generator.config, settings.kinds)
        shown = []
        if set(settings.stages) & set(DISTILLED):
            shown = some_of(*([prompt.text for prompt in starter.prompts(split, 64)] for split in ("train", "unseen")))
        return Material(encoder, starter, [AttributeTask(pool, heads)], pool.prompts, shown=shown)
    folder = PreparedFolder.open(Path(settings.library))
    source: Source = FolderSource(folder, encoder, sampling, seed, device, settings.variation)
    learnt = [(prompt.text, prompt.shape or None) for prompt in folder.prompts("train")]
    tasks: list[PromptTask] = [CaptionTask(learnt, encoder, generator.config, seed, device)]
    prompts = list(dict.fromkeys(text for text, _ in learnt))
    if starter and settings.replay:
        source = Mixture(source, starter, settings.replay)
        keeping = KeepingTask(earlier or generator, settings.kinds, encoder, seed, device)
        tasks.append(keeping)
        prompts += keeping.prompts
    unseen = [prompt.text for split in ("paraphrases", "unseen") for prompt in folder.prompts(split)]
    texts = list(dict.fromkeys(text for text, _ in learnt))
    return Material(encoder, source, tasks, prompts, about(folder), some_of(texts, unseen), things_of_folder(folder))


def things_of_folder(folder: PreparedFolder) -> tuple[Thing, ...]:
    """A thing a learnt shape, at most GROUPED of each folder of assets, evenly: its file's name, its folder, its first prompt."""
    groups: dict[str, dict[str, Thing]] = defaultdict(dict)
    for prompt in folder.prompts("train"):
        if prompt.shape:
            path, own = split_shape(prompt.shape)
            group, stem = PurePosixPath(path).parent.name or folder.library.name, own or PurePosixPath(path).stem
            name = " ".join(re.sub(r'[\\/:*?"<>|_-]', " ", stem).split()) or "object"  # a file's name, too
            groups[group].setdefault(prompt.shape, Thing(name, group.replace("_", " ").capitalize(), prompt.text))
    some = [thing for own in groups.values() for thing in list(own.values())[:: -(-len(own) // GROUPED)]]
    return tuple({thing.name: thing for thing in some[:: max(1, -(-len(some) // SHOWN))]}.values())


def about(folder: PreparedFolder) -> dict:
    """What a model's card says of the library that it was trained on."""
    library, prompts = folder.library, folder.prompts("train")
    facts = {"name": library.name or library.folder.name, "licence": library.licence, "author": library.author}
    shapes = {prompt.shape for prompt in prompts if prompt.shape}
    known = all(folder.height_m(shape) is not None for shape in shapes)
    return facts | {"prompts": len(prompts), "shapes": len(shapes), "heights": known}
