# SPDX-License-Identifier: GPL-3.0-or-later
"""From prompts to textured meshes: the whole way of the data, in the order it is walked."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from core.device import pick_device
from core.errors import BadRequest, Cancelled, EngineError, MissingWeights, out_of_memory
from core.frame import style_of
from core.language.encoder import TextEncoder
from core.language.familiarity import KnownPrompts
from core.language.rewording import Reading
from core.limits import Detail, check_prompts, check_seeds, choose_detail
from core.mesh import TexturedMesh, encode_look
from core.networks.generator import Fields, Generator
from core.networks.presets import GeneratorConfig
from core.networks.storage import ModelCard, load_generator, save_generator
from core.surface.atlas import unwrap
from core.surface.bake import bake
from core.surface.extract import LOOSE, EmptySurfaceError, ExtractionCancelled
from core.surface.meshing import make_surface

CRUMB = 0.001  # of the volume: even of things of several pieces, no part is smaller
Progress = Callable[[str, int, int], None]  # stage, objects done, objects in all


class Latte3DPipeline:
    """A trained generator with its text encoder, ready to make meshes."""

    def __init__(self, generator: Generator, card: ModelCard, text: TextEncoder, known: KnownPrompts | None = None):
        self.generator, self.card, self.text, self.known = generator, card, text, known
        self.device: torch.device = generator.dummy.device
        self.model_id, self.kinds, self.things = card.id, list(card.kinds), list(card.things)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: str = "auto", memory: tuple[TextEncoder, KnownPrompts | None] | None = None
    ) -> "Latte3DPipeline":
        """Load a model folder. `device`: a word that `core.device.pick_device` knows. `memory`: what `load_memory` has read before.

        Raises MissingWeights for an absent or damaged model, BadRequest for a device that is not there.
        """
        target = pick_device(device)
        generator, card = load_generator(folder, target)
        return cls(generator, card, *(memory or load_memory(folder, generator.config, target)))

    def warm_up(self, cancelled: Callable[[], bool] | None = None) -> None:
        """Make a small object and throw it away: what the libraries below do only once then does not fall to the first prompt."""
        with contextlib.suppress(Exception):  # what fails here fails for the first prompt again, where somebody can be told
            self(["a warm-up"], cancelled=cancelled)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the generator to a folder that `from_pretrained` reads (fp16)."""
        save_generator(self.generator, self.card, folder)
        if self.known:
            self.known.save(Path(folder))

    @torch.inference_mode()
    def __call__(
        self,
        prompts: list[str],
        *,
        seeds: list[int] | int = 0,
        detail: str = "standard",
        resolution: int | None = None,
        texture_size: int | None = None,
        triangles: int | None = None,
        strict: bool = False,
        clouds: Tensor | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[TexturedMesh]:
        """One textured mesh a prompt; all prompts run through the networks together.

        seeds: one for all, or one a prompt; 0 is the typical object. detail: a name of `core.limits.DETAILS`, which stands for the next
        three; each that is given replaces its own. resolution: cells a side of the SDF grid, 64 … 256. texture_size: pixels a side.
        triangles: at most about so many. strict: make nothing where a prompt is about a thing that the model does not know. clouds: shapes
        to start from, points and normals [B, N, 6] (or one for all) in the model's frame, instead of the dummy sphere.
        progress(stage, done, total) is told of every stage; cancelled() is asked often.
        Raises BadRequest, Cancelled, Unfamiliar, or EngineError("out_of_memory").
        """
        prompts = check_prompts(prompts)
        seeds = check_seeds([seeds] * len(prompts) if isinstance(seeds, int) else seeds, len(prompts))
        sizes = choose_detail(detail, resolution, texture_size, triangles)
        if clouds is not None and (clouds.ndim != 3 or len(clouds) not in (1, len(prompts)) or clouds.shape[2] != 6):
            raise BadRequest(f"Clouds {list(clouds.shape)} do not fit {len(prompts)} prompts.", "", "Give points and normals [B, N, 6].")
        watch = _Watch(len(prompts), progress, cancelled)
        with _plain_errors():
            with watch.stage("text"):
                tokens, mask, readings = self._read(prompts, strict)
            with watch.stage("networks"):
                z = style_of(seeds).to(self.device)
                fields = self.generator(tokens, mask, z, None if clouds is None else clouds.to(self.device))
                self._wait()
            return [
                self._textured_mesh(fields[i], prompt, seed, detail, sizes, readings[i], watch.of(i))
                for i, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
            ]

    def _read(self, prompts: list[str], strict: bool) -> tuple[Tensor, Tensor, list[Reading]]:
        """Tokens, mask, and how each prompt was read: in words that the model knows, where it remembers its words."""
        readings = self.known.read(prompts, self.text, strict) if self.known else [Reading(prompt) for prompt in prompts]
        for reading in readings:
            reading.unread = self.text.beyond(reading.text)
        return *self.text([reading.text for reading in readings]), readings

    def _textured_mesh(
        self,
        fields: Fields,
        prompt: str,
        seed: int,
        detail: str,
        sizes: Detail,
        reading: Reading,
        watch: "_Watch",
    ) -> TexturedMesh:
        distance, appearance = self.generator.sdf.of(fields), self.generator.texture.of(fields)

        def sdf(points: Tensor) -> Tensor:
            with watch.part_of("extract", "decode"):
                values = distance(points)
                self._wait()
                return values

        with watch.stage("extract"):
            surface = make_surface(
                sdf, resolution=sizes.resolution, triangles=sizes.triangles, device=self.device, cancelled=watch.cancelled,
                keep_volume=CRUMB if self.card.several_pieces(reading.thing) else LOOSE,
            )  # fmt: skip
            vertices, faces = surface.vertices, surface.triangles
        coarse = sizes.triangles is not None
        with watch.stage("atlas"):
            atlas = unwrap(vertices, faces, size=sizes.texture_size, coarse=coarse)
        with watch.stage("bake"):
            images = bake(
                vertices, faces, atlas.uvs, appearance, size=sizes.texture_size, atlas=atlas,
                coarse=coarse and sizes.texture_size >= 1024, device=self.device, cancelled=watch.cancelled,
            )
        with watch.stage("encode"):
            look = encode_look(*images, atlas)
        return TexturedMesh(
            vertices, faces, atlas.uvs, height_m=float(fields.height_m[0]), prompt=prompt, seed=seed, model=self.model_id, detail=detail,
            timings_ms=watch.timings_ms, notes=[*reading.notes, *([surface.note] if surface.note else [])],
            familiarity=reading.to_dict(), sharp=surface.sharp, seams=atlas.seams, **look,
        )  # fmt: skip

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def load_memory(
    folder: str | Path, sizes: GeneratorConfig, device: torch.device, make_text: Callable[[str, torch.device], TextEncoder] = TextEncoder
) -> tuple[TextEncoder, KnownPrompts | None]:
    """A model's text encoder and what it remembers of its prompts (None: nothing), without its networks. `make_text`: gives the text
    encoder of a name, which several models may share. Raises MissingWeights."""
    text = make_text(sizes.text_encoder, device)
    if text.width != sizes.text_width:
        cause = f"{text.name} writes {text.width} numbers a token, the model reads {sizes.text_width}."
        raise MissingWeights(f"The model in {folder} does not fit its text encoder.", cause, "Choose another model folder.")
    return text, KnownPrompts.load(folder, device, text.width)


class _Watch:
    """Times the stages, tells of progress, and stops the work when the user asks."""

    def __init__(self, total: int, progress: Progress | None, cancelled: Callable[[], bool] | None):
        self.total, self.done, self.progress, self.cancelled = total, 0, progress, cancelled
        self.timings_ms: dict[str, float] = {}

    def of(self, i: int) -> "_Watch":
        """The watch of object i: starts from the batch's timings, shared out among its objects."""
        own = _Watch(self.total, self.progress, self.cancelled)
        own.done, own.timings_ms = i, {stage: ms / self.total for stage, ms in self.timings_ms.items()}
        return own

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled
        if self.progress is not None:
            self.progress(name, self.done, self.total)
        begun = time.perf_counter()
        yield
        self._add(name, begun)

    @contextlib.contextmanager
    def part_of(self, stage: str, name: str) -> Iterator[None]:
        """Time a part of a stage as a stage of its own."""
        begun = time.perf_counter()
        yield
        self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) - self._add(name, begun)

    def _add(self, name: str, begun: float) -> float:
        ms = (time.perf_counter() - begun) * 1000
        self.timings_ms[name] = self.timings_ms.get(name, 0.0) + ms
        return ms


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors of the libraries below, in the words of this one."""
    try:
        yield
    except ExtractionCancelled as error:
        raise Cancelled from error
    except EmptySurfaceError as error:
        raise EngineError(
            "internal", "The model made nothing for this prompt.", "Its surface is empty.", "Try another seed or wording."
        ) from error
    except (MemoryError, RuntimeError) as error:
        if short := out_of_memory(error):
            raise short from error
        raise
