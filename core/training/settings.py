# SPDX-License-Identifier: GPL-3.0-or-later
"""A training's settings: those of all its stages, defaults filled in, impossible ones refused."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from core.device import pick_device
from core.errors import BadRequest
from core.guidance.folder import find_folder, kind_of
from core.library import format as library_format
from core.library.folder import PreparedFolder
from core.library.source import known_kinds
from core.library.starter.kinds import KINDS
from core.library.starter.splits import trained_kinds
from core.networks.presets import PRESETS
from core.networks.storage import load_generator, read_card
from core.training.options import check_limits, option
from core.training.stages.distilling import STEPS
from core.training.stages.geometry import GeometrySettings
from core.training.stages.reading import ReadingSettings
from core.training.stages.reconstruction import ReconstructionSettings
from core.training.stages.texture import TextureSettings
from core.training.views import check_cells

STARTER = "starter"  # the name of the built-in library
STAGES = ("reading", "reconstruction", "geometry", "texture")
DISTILLED = {"geometry": "multiview", "texture": "depth"}  # the paper's two stages, and the prior that teaches each
PATTERNED = {"g": 0.0, "t": 0.7, "upsampler": 0.7}  # share of objects that must have a pattern: no shape depends on one
NAMES_TOLD = "--geometry-alpha-by texts goes by the names of a folder's assets."


@dataclass(frozen=True)
class TrainSettings:
    """A training from its first stage to its last. Empty stages and kinds: the usual ones. library: STARTER, or a prepared folder's path;
    of a folder, kinds are those of the starter that are replayed."""

    out: Path
    library: str = STARTER
    preset: str = option("starter", "the networks' sizes", choices=tuple(PRESETS))
    stages: tuple[str, ...] = option((), "reading,reconstruction; with --parts g, t or upsampler reconstruction alone")
    start_from: Path | None = option(None, "start from this model's weights", flag="from")
    kinds: tuple[str, ...] = option((), "the kinds to learn (all but the ones held out for evaluation)")
    more: tuple[str, ...] = option((), "of them, the weak ones: seen once more in each round for each time they are named")
    replay: float = option(0.25, "share of starter objects among those of a folder, so that a model given by --from keeps what it knows; "
                           "0: none", least=0)  # fmt: skip
    variation: float = option(1.0, "how much another seed changes proportions and tint of a folder's objects; 0: not at all", least=0)
    seed: int = option(0, "another seed draws other prompts and objects", least=0)
    multiview: Path | None = option(None, "folder (diffusers) of a multi-view prior, such as MVDream: for the stage geometry")
    image: Path | None = option(None, "folder of a prior of single pictures, such as Stable Diffusion, in place of --multiview: the 2D "
                                      "baseline, whose objects get a face on each side")  # fmt: skip
    depth: Path | None = option(None, "folder of a prior with a depth ControlNet: for the stage texture")
    controlnet: Path | None = option(None, "folder of the depth ControlNet, where it is not in that of --depth")
    prior_dtype: str = option("auto", "the priors' number format", choices=("auto", "float32", "bfloat16", "float16"))
    prior_at_once: int = option(0, "objects that a prior sees at once (0: all of a step): fewer need less memory, and more time", least=0)
    device: str = option("auto", "where to train", choices=("auto", "cpu", "cuda"))
    checkpoint_minutes: float = option(4.0, "minutes between checkpoints: the most that a killed run loses", least=0)
    pictures: bool = True  # of fixed prompts with each checkpoint, and of the things that it can make at the end; no flag
    reading: ReadingSettings = field(default_factory=ReadingSettings, metadata={"prefix": "reading-"})
    reconstruction: ReconstructionSettings = field(default_factory=ReconstructionSettings, metadata={"prefix": ""})
    geometry: GeometrySettings = field(default_factory=GeometrySettings, metadata={"prefix": "geometry-"})
    texture: TextureSettings = field(default_factory=TextureSettings, metadata={"prefix": "texture-"})

    @property
    def parts(self) -> str:
        """What of the networks learns from objects."""
        return self.reconstruction.parts

    @property
    def identity(self) -> dict:
        """What a run that is resumed must have in common with this one."""
        library = self.library if self.library == STARTER else PreparedFolder.open(Path(self.library)).fingerprint
        return {"library": library, "preset": self.preset, "kinds": self.kinds, "parts": self.parts}


def complete(settings: TrainSettings) -> TrainSettings:
    """The settings without anything left open. Raises BadRequest where they cannot train anything, MissingWeights for no model."""
    if settings.library != STARTER:
        _check_folder(settings)
    if settings.start_from and settings.start_from.resolve() == settings.out.resolve():
        raise BadRequest("A model cannot start from its own folder.", "", "Name another --out; or leave --from out, to resume it.")
    check_limits(settings)
    pick_device(settings.device)
    return _with_draws(_with_stages(_with_kinds(_with_rate(settings))))


def _with_rate(settings: TrainSettings) -> TrainSettings:
    """How fast objects are learnt. Few shapes are to be learnt by heart: that goes best in many small steps (experiment 24)."""
    batch, rate = (8, 5e-4) if settings.library == STARTER else (4, 1e-3)
    rest = settings.reconstruction
    return replace(settings, reconstruction=replace(rest, batch=rest.batch or batch, rate=rest.rate or rate))


def _check_folder(settings: TrainSettings) -> None:
    if not (Path(settings.library) / library_format.SETTINGS).is_file():
        cause = f"{settings.library!r} is no folder with a {library_format.SETTINGS}."
        remedy = f'The built-in one is "{STARTER}"; docs/prompt-libraries.md says how to make one.'
        raise BadRequest("There is no such library.", cause, remedy)
    check_replay(settings)
    if settings.kinds or settings.more:
        raise BadRequest("--kinds and --more choose among the starter's things.", "This library is a folder.", "Leave them out.")
    PreparedFolder.open(Path(settings.library))


def check_replay(settings: TrainSettings) -> None:
    """Raises BadRequest where nothing of a folder would be learnt."""
    if settings.replay >= 1:
        raise BadRequest(f"The setting replay is {settings.replay}: nothing of the folder would be learnt.", "", "Give a share below 1.")


def _with_kinds(settings: TrainSettings) -> TrainSettings:
    known, goes_on = tuple(trained_kinds()), settings.parts != "both"
    if goes_on and settings.start_from is None:
        raise BadRequest(f"--parts {settings.parts} needs a model to go on from.", "", "Name its folder with --from.")
    if settings.library != STARTER:
        return replace(settings, kinds=_replayed(settings), more=())
    if goes_on:
        known = load_generator(settings.start_from)[1].kinds
    kinds = known_kinds(settings.kinds, known) or known
    if goes_on and kinds != known:
        remedy = "Leave --kinds out; --more names those that are to be seen more often."
        raise BadRequest(f"--parts {settings.parts} goes on with the kinds of its model.", f"They are: {', '.join(known)}.", remedy)
    return replace(settings, kinds=kinds, more=known_kinds(settings.more, kinds))


def _replayed(settings: TrainSettings) -> tuple[str, ...]:
    """The starter's kinds that the earlier model knows, and that are not to be forgotten."""
    if settings.start_from is None or not settings.replay:
        return ()
    return tuple(kind for kind in read_card(settings.start_from)[1].kinds if kind in KINDS)


def _with_stages(settings: TrainSettings) -> TrainSettings:
    goes_on, reading, rest = settings.parts != "both", settings.reading, settings.reconstruction
    stages = settings.stages or (("reconstruction",) if goes_on else ("reading", "reconstruction"))
    for stage in stages:
        if stage not in STAGES:
            raise BadRequest(f"There is no stage {stage!r}.", "", f"The stages are {', '.join(STAGES)}.")
        if stage in DISTILLED:
            _check_prior(settings, stage)
    if goes_on and "reading" in stages:
        problem = f"--parts {settings.parts} goes on from a model that has been through the stage reading."
        raise BadRequest(problem, "", "Leave reading out of --stages.")
    if reading.steps is None and reading.minutes is None:
        most, a_minute = (1500, 25) if settings.library == STARTER else (150, 4)  # captions are soon learnt, and soon learnt by heart
        reading = replace(reading, steps=min(most, int(a_minute * (rest.minutes or 60))))
    stages = tuple(stage for stage in STAGES if stage in stages and (stage != "reading" or reading.steps != 0))
    rest = replace(rest, images=float("geometry" in stages) if rest.images is None else rest.images)
    distilled = {name: _with_steps(getattr(settings, name)) for name in DISTILLED}
    return replace(settings, stages=stages, reading=reading, reconstruction=rest, **distilled)


def _with_steps(stage):
    return replace(stage, steps=STEPS) if stage.steps is None and stage.minutes is None else stage


def _check_prior(settings: TrainSettings, stage: str) -> None:
    """Raise BadRequest where a distilled stage has no prior, or nothing to do with this training."""
    if settings.parts != "both":
        raise BadRequest(f"--parts {settings.parts} is of the stage reconstruction alone.", "", f"Leave it out, or {stage} of --stages.")
    own = settings.geometry
    check_cells(settings.texture.cells)
    if settings.image and settings.multiview:
        raise BadRequest("--image and --multiview both teach the stage geometry.", "", "Give one of them.")
    prior_folder(settings, prior_of(settings, stage))
    if stage == "texture" and settings.texture.multiview:
        prior_folder(settings, "multiview")
    if not 0 <= own.alpha_least <= own.alpha <= 1:
        raise BadRequest(f"α cannot be drawn from {own.alpha_least} … {own.alpha}.", "", "Both lie between 0 and 1, the least first.")
    if stage == "geometry" and own.alpha_by == "texts" and settings.library == STARTER:
        cause = "The starter library has none: all its shapes are what their prompts say."
        raise BadRequest(NAMES_TOLD, cause, "Leave it out: α is drawn by chance then.")
    if max(own.real, own.anneal_from, own.blend, settings.texture.real, settings.texture.blend) > 1:
        raise BadRequest("The shares of real clouds, of blends and of a stage lie between 0 and 1.")


def prior_of(settings: TrainSettings, stage: str) -> str:
    """The kind of prior that teaches a distilled stage."""
    return "image" if stage == "geometry" and settings.image else DISTILLED[stage]


def prior_folder(settings: TrainSettings, name: str) -> Path:
    """The folder of a prior that a stage needs. Raises BadRequest where it is none, or of the wrong kind."""
    given: Path | None = getattr(settings, name)
    if given is None:
        raise BadRequest(f"This training needs a {name} prior.", "", f"Name its folder, in the layout of diffusers, with --{name}.")
    folder = find_folder(given)
    found = kind_of(folder)
    if name == "multiview" and found != "multiview":
        cause = "Its U-Net has no camera input."
        raise BadRequest(f"{folder} is no multi-view prior.", cause, "Name MVDream's folder (python -m core convert mvdream CKPT OUT).")
    if name != "multiview" and found == "multiview":
        raise BadRequest(f"{folder} is no prior of single pictures.", "Its U-Net has a camera input.", "Name a Stable Diffusion's folder.")
    if name == "depth" and found == "image" and settings.controlnet is None:
        raise BadRequest(f"{folder} has no ControlNet.", "", "Name one with --controlnet, or put it into the folder as controlnet/.")
    return folder


def _with_draws(settings: TrainSettings) -> TrainSettings:
    """Where a network goes on alone: T learns mostly on patterns, G has nothing to do with them, and neither is trained on prompts."""
    rest = settings.reconstruction
    if settings.parts == "both":
        return settings
    sampling = replace(rest.sampling, patterned=PATTERNED[settings.parts])
    return replace(settings, reading=replace(settings.reading, pool=rest.prompts), reconstruction=replace(rest, sampling=sampling))
