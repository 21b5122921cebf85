# SPDX-License-Identifier: GPL-3.0-or-later
"""A training from its first stage to a finished model's folder; the same call resumes it."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator
from torch import nn

from core.errors import BadRequest
from core.language import familiarity
from core.language.encoder import TextEncoder
from core.library.source import Sampling
from core.networks.storage import ModelCard, read_card, save_generator
from core.training import preview
from core.training.bank import ObjectBank
from core.training.card import finish_card
from core.training.checkpoint import Checkpoint
from core.training.material import Material, material_of
from core.training.options import to_flags
from core.training.pictures import describe, things_of
from core.training.priors import Priors
from core.training.run import Keep, Run, Tell, accelerator_on
from core.training.settings import DISTILLED, STAGES, STARTER, TrainSettings, complete
from core.training.stage import Stage
from core.training.stages.geometry import Geometry
from core.training.stages.reading import ReadingStage
from core.training.stages.reconstruction import Reconstruction
from core.training.stages.texture import Texture
from core.training.start import CHECKPOINT, hours_before, knows_dummy, networks, remember, take_heads
from core.training.tasks import heads_of


def train(settings: TrainSettings, tell: Tell | None = None) -> Path:
    """Train, resuming whatever `settings.out` holds, and return the folder of the finished model (fp16, the moving average); of one that
    was asked to stop, of the model so far, if reconstruction has begun. tell: is told of progress and pictures. Raises BadRequest,
    MissingWeights or EngineError."""
    command, settings = repeat_command(settings), complete(settings)
    if tell:
        tell({"event": "progress", "stage": "begin", "done": 0, "total": 1, "eta_s": None})  # reading models and shapes takes a while
    checkpoint = Checkpoint(settings.out / CHECKPOINT, settings.identity)
    stages, accelerator = stages_left(settings.stages, checkpoint), accelerator_on(settings.device)
    learnt, make = stage_makers(settings, accelerator, stages, tell, fresh=checkpoint.position() is None)
    for name in stages:
        keep = (
            None if name == "reading" else model_keeper(settings, command, learnt, tell, name)
        )  # there is no model before it has seen an object
        run = Run(make[name](), accelerator, checkpoint, settings.checkpoint_minutes, keep, settings.out / "tensorboard", tell)
        if not run.go():
            return settings.out  # asked to stop
    if settings.pictures and settings.stages != ("reading",) and accelerator.is_main_process:  # else there is no model yet
        before = read_card(settings.start_from)[1] if settings.start_from else None
        describe(settings.out, settings.device, learnt.things, before, tell)
        if settings.library != STARTER:
            finish_card(settings.out, Path(settings.library), settings.device, tell)
    return settings.out


def stage_makers(
    settings: TrainSettings, accelerator: Accelerator, stages: Sequence[str], tell: Tell | None, *, fresh: bool
) -> tuple[Material, dict[str, Callable[[], Stage]]]:
    """What is learnt from, and the stages by name, each made when it begins, over the same networks: one goes on with what the one before
    has learnt. stages: those to come, whose priors read the prompts first; fresh: the run begins now, and what the folder remembers is of
    another."""
    generator, earlier = networks(settings)
    encoder = TextEncoder(generator.config.text_encoder, accelerator.device)
    sampling = with_enough_points(settings.reconstruction.sampling, generator.config.points)
    learnt = material_of(settings, generator, earlier, encoder, sampling, accelerator.process_index)
    take_heads(heads_of(learnt.tasks), settings)
    if accelerator.is_main_process and (fresh or not (settings.out / familiarity.FILE).exists()):
        remember(learnt.prompts, learnt.source.words(), settings, encoder)

    priors = Priors(settings, accelerator, learnt, generator, stages, tell)

    def reading() -> Stage:
        return ReadingStage(settings.reading, generator, learnt.tasks, settings.reconstruction.weights, accelerator.num_processes)

    def reconstruction() -> Stage:
        bank = ObjectBank(learnt.source, sampling, settings.seed * 1009 + accelerator.process_index)
        drawing = priors.drawing("geometry") if settings.reconstruction.images else None
        return Reconstruction(settings.reconstruction, generator, learnt.tasks, bank, seed=settings.seed, drawing=drawing,
                              pretrained="reading" in settings.stages, annealed=knows_dummy(settings), place=priors.place)  # fmt: skip

    def geometry() -> Stage:
        return Geometry(settings.geometry, generator, *priors.for_geometry(), priors.drawing("geometry"), priors.seed, priors.place)

    def texture() -> Stage:
        return Texture(settings.texture, generator, priors.for_texture(), priors.drawing("texture"), priors.seed, priors.place)

    return learnt, {"reading": reading, "reconstruction": reconstruction, "geometry": geometry, "texture": texture}


def finished(settings: TrainSettings) -> bool:
    """Whether the run in `settings.out` has come to the end of its last stage."""
    settings = complete(settings)
    return Checkpoint(settings.out / CHECKPOINT, {}).position() == (settings.stages[-1], True)  # whatever became of its library meanwhile


def stages_left(stages: Sequence[str], checkpoint: Checkpoint) -> Sequence[str]:
    """Those from the checkpoint's stage on. Raises BadRequest where that is none of them."""
    position = checkpoint.position()
    if position is None:
        return stages
    if position[0] not in stages:
        cause = f"It is in the stage {position[0]}; asked for: {', '.join(stages)}."
        raise BadRequest(f"The run of {checkpoint.path} cannot be resumed.", cause, "Name its stages, or another folder.")
    return stages[stages.index(position[0]) :]


def with_enough_points(sampling: Sampling, points: int) -> Sampling:
    """The sampling with clouds at least as large as the PointNet's input."""
    return replace(sampling, cloud_points=max(sampling.cloud_points, points), kept_surface=max(sampling.kept_surface, points))


def model_keeper(
    settings: TrainSettings, command: str, learnt: Material, tell: Tell | None, stage: str
) -> Keep:
    """A function that writes the model so far to the run's folder, the command that trained it, and a picture where there are prompts for
    one."""

    def keep(parts: dict[str, nn.Module], facts: dict) -> Path | None:
        training = {"command": command, "batch": getattr(settings, stage).batch, "seed": settings.seed} | facts
        training |= {"hours_before": hours_before(settings)} | ({"library": learnt.about} if learnt.about else {})
        if settings.stages[-1] in DISTILLED:
            done = stages_before(settings, stage) | {stage: {"steps": facts["steps"], "hours": facts["hours"]}}
            training |= {"stages": done, "hours": round(sum(part["hours"] for part in done.values()), 3)}
        card = ModelCard(settings.out.name, settings.kinds, training, things_of(settings.kinds))
        save_generator(parts["generator"], card, settings.out)
        if settings.pictures and learnt.shown:
            mark, behind = (f"{stage}-", [preview.BACK_LEFT]) if stage in DISTILLED else ("", [])
            path, cameras = settings.out / preview.FOLDER / f"{mark}{facts['steps']:06}.png", (preview.FRONT_RIGHT, *behind)
            preview.write_preview(parts["generator"], learnt.encoder, learnt.shown, path, cameras)
            if tell:
                tell({"event": "preview", "picture": str(path.absolute())})
            return path
        return None

    return keep


def stages_before(settings: TrainSettings, stage: str) -> dict[str, dict]:
    """Steps and hours of the stages of this run that a model in its folder has been through."""
    earlier = STAGES[: STAGES.index(stage)]
    if not (settings.out / "config.json").exists():
        return {}
    return {name: facts for name, facts in read_card(settings.out)[1].training.get("stages", {}).items() if name in earlier}


def repeat_command(settings: TrainSettings) -> str:
    """The command line that repeats this run, wherever its files are."""
    place = {"device": "auto", "checkpoint_minutes": 4.0}
    for name in ("start_from", "multiview", "image", "depth", "controlnet"):
        place |= {name: (path := getattr(settings, name)) and Path(path.name)}
    library = settings.library if settings.library == STARTER else Path(settings.library).name
    return shlex.join(["python", "-m", "core", "train", library, *to_flags(replace(settings, **place))])
