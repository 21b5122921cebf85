# SPDX-License-Identifier: GPL-3.0-or-later
"""From prompts to textured meshes: the whole way of the data, in the order it is walked."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.canvas import Canvas
from core.device import pick_device
from core.errors import BadRequest, Cancelled, MissingWeights, card_is_full
from core.frame import style_of
from core.language.encoder import TextEncoder
from core.language.familiarity import KnownPrompts
from core.language.light import said_of_light
from core.language.rewording import Reading
from core.limits import EXAMPLE, Detail, check_prompt, check_seeds, check_share, check_styles, choose_detail
from core.mesh import TexturedMesh
from core.networks.generator import Fields, Generator
from core.networks.presets import GeneratorConfig
from core.networks.refined import check_planes
from core.networks.replay import fastest
from core.networks.storage import ModelCard, load_generator, save_generator
from core.outcome import Failed, Made, failure
from core.surface.extract import LOOSE
from core.surface.painted import cloud_of, painted_mesh
from core.surface.textured import STAGES, Progress, Watch, textured_mesh

NO_HEIGHT = "Its real size is not known: it stands one metre on its longest side."
CARD_TOO_SMALL = "The graphics card had too little free memory for this object: it was made on the processor."
CRUMB = 0.001  # of the volume: even of things of several pieces, no part is smaller


class Latte3DPipeline:
    """A trained generator with its text encoder, ready to make meshes."""

    def __init__(self, generator: Generator, card: ModelCard, text: TextEncoder, known: KnownPrompts | None = None):
        self.generator, self.card, self.text, self.known = generator, card, text, known
        self.made, self.device = fastest(generator), generator.dummy.device
        self.model_id, self.kinds, self.things = card.id, list(card.kinds), list(card.things)
        self.notes: list[str] = []  # sentences for the artist about every object
        self._spare: Latte3DPipeline | None = None  # the same on the processor, once the card's memory was too small

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
        """Make an object and throw it away, on CUDA one of a cloud as well: what the libraries below, and what records the networks, do
        only once then does not fall to the first prompt."""
        clouds = (None, self.generator.dummy[None]) if self.device.type == "cuda" else (None,)
        with contextlib.suppress(Exception):  # what fails here fails for the first prompt again, where somebody can be told
            for cloud in clouds:
                self(["a warm-up"], clouds=cloud, cancelled=cancelled)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the generator to a folder that `from_pretrained` reads (fp16)."""
        save_generator(self.generator, self.card, folder)
        if self.known:
            self.known.save(Path(folder))

    def __call__(self, prompts: list[str], **request) -> list[TexturedMesh]:
        """One textured mesh a prompt: `stream` (see there) as a list. Raises the first error."""
        meshes = []
        for outcome in self.stream(prompts, **request):
            if isinstance(outcome, Failed):
                raise outcome.error
            meshes.append(outcome.mesh)
        return meshes

    def retexture(self, prompt: str, canvas: Canvas, *, seed: int = 0, **request) -> TexturedMesh:
        """A given mesh with the look that the prompt's object has: `stream` (see there) of one prompt."""
        return self([prompt], seeds=seed, canvas=canvas, **request)[0]

    def stream(
        self,
        prompts: list[str],
        *,
        seeds: Sequence[int] | int = 0,
        styles: Sequence[Sequence[float] | None] | None = None,
        detail: str = "standard",
        resolution: int | None = None,
        texture_size: int | None = None,
        triangles: int | None = None,
        strict: bool = False,
        clouds: Tensor | None = None,
        adherence: float | None = None,
        blend: tuple[str, float] | None = None,
        canvas: Canvas | None = None,
        planes: Fields | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[Made | Failed]:
        """Make one textured mesh a prompt; give out each as soon as it is ready, or why there is none, in the order of the prompts.

        seeds: one for all, or one a prompt; 0 is the typical object. styles: for each prompt z itself, 8 numbers, or None where its seed
        draws z. detail: a name of `core.limits.DETAILS`, which stands for the next three; each that is given replaces its own.
        resolution: cells a side of the SDF grid, 64 … 256. texture_size: pixels a side. triangles: at most about so many. strict: make
        nothing of a prompt about a thing that the model does not know: it fails with Unfamiliar. clouds: shapes to start from, points and
        normals [B, N, 6] (or one for all) in the model's frame, instead of the dummy sphere. adherence: α, 0 … 1, how closely the objects
        keep to their clouds (0.5); for a model that was trained with it. blend: another prompt, and how much of it, 0 … 1, is in what is
        made of each prompt. canvas: a mesh that gets the look of what the prompts describe, and keeps its own shape. planes: of an object
        that was refined, which are made into a mesh in place of what the networks would make.
        progress(stage, done, total) is told of every stage before it begins, and counts the stages of all objects. cancelled() is asked
        often.
        Raises BadRequest before any work, Cancelled during it; whatever else goes wrong fails one object alone.
        """
        if not prompts:
            raise BadRequest("There is no prompt.", "", EXAMPLE)
        seeds = check_seeds([seeds] * len(prompts) if isinstance(seeds, int) else seeds, len(prompts))
        styles = check_styles(styles, len(prompts))
        sizes = choose_detail(detail, resolution, texture_size, triangles)
        if clouds is not None and (clouds.ndim != 3 or len(clouds) not in (1, len(prompts)) or clouds.shape[2] != 6):
            raise BadRequest(f"Clouds {list(clouds.shape)} do not fit {len(prompts)} prompts.", "", "Give points and normals [B, N, 6].")
        self._check_guide(adherence, clouds, blend, planes, canvas)

        def make(i: int, by: Latte3DPipeline) -> TexturedMesh:
            watch = Watch(("text", "networks", *STAGES), progress, cancelled, by.device, index=i, total=len(prompts))
            cloud = None if clouds is None else clouds[i % len(clouds)][None].to(by.device)
            given = (None if planes is None else planes.to(by.device)), canvas
            return by._make(prompts[i], seeds[i], styles[i], sizes, strict, (cloud, adherence), blend, given, watch, detail=detail)

        def outcomes() -> Iterator[Made | Failed]:
            for i in range(len(prompts)):
                try:
                    outcome = Made(i, self._made_somewhere(functools.partial(make, i)))
                except (Cancelled, OSError):  # OSError: whom `progress` tells is gone
                    raise
                except Exception as error:
                    outcome = failure(i, error)
                yield outcome

        return outcomes()

    def _made_somewhere(self, make: Callable[["Latte3DPipeline"], TexturedMesh]) -> TexturedMesh:
        """An object by this pipeline; if the card's memory is too small for it, by the processor, which is noted on it."""
        try:
            return make(self)
        except RuntimeError as error:
            if not card_is_full(error):
                raise
            print(f"The card has too little memory: {str(error).splitlines()[0]}", file=sys.stderr)
        torch.cuda.empty_cache()  # here, where what the failed attempt held is gone
        self._spare = self._spare or self._on_processor()
        return make(self._spare)

    def _on_processor(self) -> "Latte3DPipeline":
        """A copy of this pipeline there."""
        processor = torch.device("cpu")
        generator = Generator(self.generator.config).eval()
        generator.load_state_dict({name: weight.to(processor) for name, weight in self.generator.state_dict().items()})
        spare = Latte3DPipeline(generator, self.card, TextEncoder(self.text.name, processor), self.known and self.known.on(processor))
        spare.model_id, spare.notes = self.model_id, [CARD_TOO_SMALL]
        return spare

    @torch.inference_mode()
    def _make(
        self,
        prompt: str,
        seed: int,
        style: tuple | None,
        sizes: Detail,
        strict: bool,
        guide: tuple[Tensor | None, float | None],
        blend: tuple[str, float] | None,
        given: tuple[Fields | None, Canvas | None],
        watch: Watch,
        **facts,
    ) -> TexturedMesh:
        """One object, from its prompt to its mesh. Alone: together, prompts go no faster through the networks on a CPU, and come later."""
        planes, canvas = given
        with watch.stage("text"):
            prompt = check_prompt(prompt)
            reading = self.read(prompt, strict)
            tokens = self.tokens(reading)
        with watch.stage("networks"):
            if canvas is not None and canvas.follow and guide[0] is None and self.generator.adherence is not None:
                guide = cloud_of(canvas, self.generator.config.points).to(self.device), 1.0  # then its parts lie where the mesh has them
            fields = planes or self.made(*self.condition(tokens, seed, style, blend), guide[0], self.alpha(*guide))[0]
        sized = self.card.knows_height(reading.thing)
        make = textured_mesh if canvas is None else functools.partial(painted_mesh, canvas=canvas)
        return make(
            self.generator.sdf.of(fields), self.generator.texture.of(fields), sizes=sizes, watch=watch, height_m=float(fields.height_m[0]),
            keep_volume=CRUMB if self.card.several_pieces(reading.thing) else LOOSE, height_known=sized, familiarity=reading.to_dict(),
            notes=[*self.notes, *reading.notes, *([] if sized or canvas else [NO_HEIGHT])],
            prompt=prompt, seed=seed, style=style, model=self.model_id, **facts,
        ).lit(reading.light.transmission, reading.light.roughness, reading.light.emission)  # fmt: skip

    def condition(
        self, tokens: tuple[Tensor, Tensor], seed: int, style: Sequence[float] | None, blend: tuple[str, float] | None
    ) -> tuple[Tensor, Tensor]:
        """What the networks are told, of a prompt's embeddings and mask: vector [1, D] and tokens [1, queries, D]."""
        z = (style_of([seed]) if style is None else torch.tensor([style])).to(self.device)
        condition = self.generator.condition(*tokens, z)
        return condition if blend is None else self._mixed(condition, blend, z)

    def _mixed(self, condition: tuple[Tensor, Tensor], blend: tuple[str, float], z: Tensor) -> tuple[Tensor, Tensor]:
        """Between a prompt's condition and another prompt's: vector and tokens."""
        other = self.generator.condition(*self.tokens(self.read(check_prompt(blend[0]))), z)
        return tuple(torch.lerp(one, two, float(blend[1])) for one, two in zip(condition, other, strict=True))

    def tokens(self, reading: Reading) -> tuple[Tensor, Tensor]:
        """Embeddings and mask of a prompt as it was read, where the networks are: the encoder is elsewhere where a card is small."""
        tokens, mask = self.text([reading.text])
        return tokens.to(self.device), mask.to(self.device)

    def alpha(self, cloud: Tensor | None, adherence: float | None) -> Tensor | None:
        """α [1] of an object; None, which is 0, without a cloud."""
        return None if cloud is None else torch.tensor([0.5 if adherence is None else float(adherence)], device=self.device)

    def _check_guide(
        self, adherence: float | None, clouds: Tensor | None, blend: tuple[str, float] | None, planes: Fields | None, canvas: Canvas | None
    ) -> None:
        """Raises BadRequest for a canvas that is no mesh, planes that are not this model's, a share that is none, a number that is no α,
        and one without a shape to keep to, or with a model that does not know α."""
        if canvas is not None:
            canvas.check()
        if planes is not None:
            check_planes(planes, self.generator.config)
        if blend is not None:
            check_share(blend[1], "blend")
        if adherence is None:
            return
        check_share(adherence, "adherence")
        if clouds is None:
            raise BadRequest("An adherence needs a shape to keep to.", "", "Give a cloud as well, or leave adherence out.")
        if self.generator.adherence is None:
            raise BadRequest(f"The model {self.model_id} was trained without adherence.", "", "Leave it out, or choose another model.")

    def read(self, prompt: str, strict: bool = False) -> Reading:
        """How a prompt is read: in words that the model knows, where it remembers its words."""
        reading = self.known.read([prompt], self.text, strict)[0] if self.known else Reading(prompt, light=said_of_light(prompt).light)
        reading.unread = self.text.beyond(reading.text)
        return reading


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
