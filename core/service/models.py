# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that are installed: which there are, which of them are in memory, and which one knows a prompt best."""

import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from core.device import pick_device
from core.errors import BadRequest, Cancelled, EngineError, MissingWeights, Unfamiliar, card_is_full, out_of_memory
from core.language.encoder import TextEncoder
from core.language.familiarity import KnownPrompts
from core.language.rewording import NEAREST, Reading
from core.limits import check_prompt
from core.mesh import TexturedMesh
from core.networks.generator import Fields
from core.networks.storage import ModelCard, read_card
from core.outcome import Failed, Made, failure
from core.pipeline import CARD_TOO_SMALL, Latte3DPipeline, Progress, load_memory

SHIPPED = Path(__file__).resolve().parents[1] / "weights"  # a folder for each model that comes with the engine
WORDS = "words.json"  # in a model's folder
KEPT = 2  # models whose networks stay in memory


@dataclass
class Model:
    """A model's folder, and what it says of itself. fault: why it cannot be used, None as far as nobody knows better."""

    folder: Path
    id: str
    card: ModelCard | None = None
    fault: EngineError | None = None
    words: dict = field(default_factory=dict)  # its colours, materials and patterns, each with what means the same
    adherence: bool = False  # whether it knows α: how closely an object keeps to a given shape

    def to_dict(self) -> dict:
        """What the handshake tells of it; of one that cannot be used, why."""
        card = self.card or ModelCard(self.id, ())
        told = {"id": self.id, "kinds": list(card.kinds), "things": [asdict(thing) for thing in card.things], "adherence": self.adherence}
        return told | ({"words": self.words} if self.words else {}) | ({"fault": str(self.fault)} if self.fault else {})


def find_models(places: Sequence[Path], alone: Path | None = None) -> list[Model]:
    """The models in folders, each of which is a model or holds some, and those that come with the engine; with `alone`, that model in
    place of the latter. The first of the list are preferred: a user's own before those that come with the engine.

    A model goes by the id in its config.json. One that an earlier model has (those that come with the engine are the earliest, so that
    theirs never change) becomes id-2, id-3, … Reads no weights.
    """
    shipped = [alone] if alone else sorted(_folders_in(SHIPPED), key=lambda folder: folder.name != "starter")
    own = [folder for place in places for folder in _folders_in(place)]
    found = {folder.resolve(): None for folder in [*shipped, *own]}
    models, taken = [], set()
    for folder in found:
        model = _look_into(folder)
        number, name = 1, model.id
        while model.id in taken:
            number += 1
            model.id = f"{name}-{number}"
        taken.add(model.id)
        models.append(model)
    first = len({folder.resolve() for folder in shipped})
    return models if alone else models[first:] + models[:first]


def _folders_in(place: Path) -> list[Path]:
    """The folder itself, where it is a model, or is not there, which is told of it; else those in it that are models."""
    if _is_model(place):
        return [place]
    try:
        return sorted(folder for folder in place.iterdir() if _is_model(folder))
    except OSError:
        return [place]


def _is_model(folder: Path) -> bool:
    """Whether a folder is one of our models, whole or damaged: models of other programs have a config.json too."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except OSError:
        return False
    except ValueError:
        return True
    return isinstance(config, dict) and "generator" in config


def _look_into(folder: Path) -> Model:
    try:
        sizes, card = read_card(folder)
        return Model(folder, str(card.id), card, words=_words_in(folder), adherence=sizes.adherence)
    except MissingWeights as error:
        return Model(folder, folder.name, fault=error)


def _words_in(folder: Path) -> dict[str, list[list[str]]]:
    """The words of a model's folder for what can be chosen of a thing, by "color", "material" and "pattern": lists of words that mean the
    same, the usual one first. Nothing where it has none."""
    try:
        said = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        groups: dict[str, dict[str, list[str]]] = {}
        for word, (what, value) in said["attributes"].items():
            usual = said["adjectives"].get(value, value)
            alike = groups.setdefault(what, {}).setdefault(value, [usual])
            alike += [word] if word not in (*alike, "pattern") else []
        return {what: list(groups[what].values()) for what in ("color", "material", "pattern") if what in groups}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


class Models:
    """The installed models as one: makes what a single pipeline makes, by the model that is asked for or by the one that knows best."""

    def __init__(self, models: list[Model], device: str = "auto"):
        """Raises BadRequest for a device that is not there, MissingWeights where no model can be loaded: the first is loaded now, the
        others when they are first needed."""
        self.models, self.device = models, pick_device(device)
        self._pipelines: OrderedDict[str, Latte3DPipeline] = OrderedDict()  # the one used last comes last
        self._memories: dict[str, tuple[TextEncoder, KnownPrompts | None]] = {}  # of each model that was loaded or judged
        self._text = cache(TextEncoder)  # models of the same text encoder share it
        if not models:
            raise MissingWeights("There is no model.", "", "Choose a folder that holds one.")
        if not any(self._try(self.pipeline, model) for model in models):
            raise models[0].fault

    @property
    def usable(self) -> list[Model]:
        """Those that can be used, as far as anybody knows."""
        return [model for model in self.models if not model.fault]

    def warm_up(self, cancelled: Callable[[], bool]) -> None:
        """Let the first model make a small object, and find out what the others know, before anybody waits for it."""
        next(iter(self._pipelines.values())).warm_up(cancelled)
        for model in self.usable if len(self.usable) > 1 else ():
            if not cancelled():
                self._try(self.memory, model)

    def stream(
        self, prompts: Sequence[str], *, seeds: Sequence[int], styles: Sequence | None = None, model: str | None = None,
        strict: bool = False, progress: Progress | None = None, cloud: np.ndarray | None = None, adherence: float | None = None,
        planes: dict[str, np.ndarray] | None = None, **request,
    ) -> Iterator[Made | Failed]:  # fmt: skip
        """Make one textured mesh a prompt, as `Latte3DPipeline.stream` does (see there). model: the id of the one that makes them; None:
        for each prompt the one that knows it best, of those that know adherence where that is given. cloud [N, 6]: a shape to start from,
        the same for all. planes: of an object that was refined with this model, by the names of its arrays. A model that is damaged fails
        the prompts that are its own."""
        request |= {"clouds": None if cloud is None else torch.from_numpy(cloud)[None], "adherence": adherence}
        request["planes"] = planes and Fields(**{name: torch.from_numpy(array) for name, array in planes.items()})
        by_id, count = {one.id: one for one in self.models}, len(prompts)
        for i, prompt in enumerate(prompts):
            own = {"seeds": [seeds[i]], "styles": styles and [styles[i]], "progress": progress and _share(progress, i, count)}
            try:
                pipeline = self.pipeline(by_id[model]) if model else self.best(check_prompt(prompt), strict, adherence is not None)
                outcomes = pipeline.stream([prompt], strict=strict, **own, **request)
            except (Cancelled, OSError):  # OSError: whom `progress` tells is gone
                raise
            except Exception as error:
                yield failure(i, error)
                continue
            for outcome in outcomes:
                yield replace(outcome, index=i)

    def picture(self, mesh: TexturedMesh, side: int) -> bytes:
        """A PNG of a mesh, `side` pixels large, on nothing; b"" where it cannot be drawn."""
        from core.rendering.mesh_pictures import draw, encode  # costs nothing until somebody wants a picture

        try:
            return encode(draw(mesh, side, 2))
        except Exception as error:
            print(f"There is no picture of “{mesh.prompt}”: {error}", file=sys.stderr)
            return b""

    def best(self, prompt: str, strict: bool, guided: bool = False) -> Latte3DPipeline:
        """The model that knows a prompt best. One without a memory of its words cannot say what it knows, and is not asked. guided: it has
        to know adherence.

        Raises BadRequest where it has to and none does; Unfamiliar with `strict`, where none knows the prompt: with the nearest things of
        all; MissingWeights where no model is left.
        """
        usable = [model for model in self.usable if model.adherence or not guided]
        if guided and not usable:
            raise BadRequest("No installed model was trained with adherence.", "", "Leave it out, or install a model that was.")
        asked = [model for model in usable if self._try(self.memory, model) and self.memory(model)[1]] if len(usable) > 1 else []
        maker = self._best(prompt, asked, strict) if asked else usable[0] if guided else self._first()
        if self._try(self.pipeline, maker):
            return self.pipeline(maker)
        return self.best(prompt, strict, guided)  # without the one that turned out to be damaged

    def _best(self, prompt: str, asked: list[Model], strict: bool) -> Model:
        readings = [self._read(model, prompt) for model in asked]
        if strict and not any(reading.familiar for reading in readings):
            raise Unfamiliar(readings[0].subject, prompt, nearest_of(readings), len(asked))
        ranks = [how_well(reading) for reading in readings]
        return asked[ranks.index(max(ranks))]

    def _read(self, model: Model, prompt: str) -> Reading:
        text, known = self.memory(model)
        return known.read([prompt], text)[0]

    def _first(self) -> Model:
        """The preferred model. Raises MissingWeights where none is left."""
        if not self.usable:
            raise self.models[0].fault
        return self.usable[0]

    def memory(self, model: Model) -> tuple[TextEncoder, KnownPrompts | None]:
        """A model's text encoder, and what it remembers of its prompts (None: nothing), without its networks. Raises MissingWeights."""
        if model.id not in self._memories:
            sizes = read_card(model.folder)[0]
            try:
                memory = load_memory(model.folder, sizes, self.device, self._text)
            except RuntimeError as error:
                if not card_is_full(error):
                    raise
                memory = load_memory(model.folder, sizes, pick_device("cpu"), self._text)  # reading is quick there, too
            self._memories[model.id] = memory
        return self._memories[model.id]

    def pipeline(self, model: Model) -> Latte3DPipeline:
        """A model, loaded where it is not in memory; the ones not used for longest make room. Raises MissingWeights."""
        if model.id not in self._pipelines:
            if len(self._pipelines) >= KEPT:
                self._pipelines.popitem(last=False)
            self._pipelines[model.id] = self._load(model)
        self._pipelines.move_to_end(model.id)
        return self._pipelines[model.id]

    def _load(self, model: Model, device: str | None = None) -> Latte3DPipeline:
        """Load a model on to a device (None: that of all); where the memory does not hold it beside others, these make room, and where a
        card's does not hold it alone, the processor works with it. Raises MissingWeights, or out_of_memory."""
        device = device or str(self.device)
        try:
            pipeline = self._read_weights(model, device)
        except EngineError as error:
            if error.code == "out_of_memory" and self._pipelines:
                self._pipelines.clear()
                return self._load(model, device)
            if error.code == "out_of_memory" and device != "cpu":
                return self._load(model, "cpu")
            model.fault = error
            raise
        pipeline.model_id, model.fault = model.id, None
        if device != str(self.device):
            pipeline.notes.append(CARD_TOO_SMALL)
        return pipeline

    def _read_weights(self, model: Model, device: str) -> Latte3DPipeline:
        try:
            memory = self.memory(model) if device == str(self.device) else None
            return Latte3DPipeline.from_pretrained(model.folder, device, memory)
        except EngineError:
            raise
        except (MemoryError, RuntimeError) as error:
            raise out_of_memory(error) or error from error
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            cause = f"{type(error).__name__} in {model.folder}: {str(error)[:200]}"
            raise MissingWeights("The model cannot be read.", cause, "Choose another, or get it again.") from error

    def _try(self, what: Callable, model: Model) -> bool:
        """Whether it can be done with a model; one with which it cannot is used no more, and the log says why."""
        try:
            what(model)
        except EngineError as error:
            model.fault = error
            print(f"The model {model.id} is left out: {error}", file=sys.stderr)
            return False
        return True


def how_well(reading: Reading) -> tuple:
    """How well a model knows a prompt that it has read so; greater is better. What it knows comes first; then how near its guess is; then
    the fewer words that it did not understand, or exchanged."""
    near = max(reading.nearness.values(), default=float(reading.familiar))
    return reading.familiar, near, -len(reading.not_understood), -len(reading.read_as)


def nearest_of(readings: Sequence[Reading]) -> dict[str, str]:
    """The nearest things of all models, nearest first, each with a prompt that asks for it."""
    near = {}
    for reading in readings:
        for thing, example in reading.nearest.items():
            by = reading.nearness.get(thing, 1.0)  # one that is not ranked was named
            if thing not in near or by > near[thing][0]:
                near[thing] = by, example
    ranked = sorted(near, key=lambda thing: -near[thing][0])[:NEAREST]
    return {thing: near[thing][1] for thing in ranked}


def _share(progress: Progress, before: int, count: int) -> Progress:
    """What is told of one prompt of `count`, after `before` others, told of all."""
    return lambda stage, done, total: progress(stage, done + before * total, total * count)
