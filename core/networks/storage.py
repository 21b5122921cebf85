# SPDX-License-Identifier: GPL-3.0-or-later
"""A generator on disk: a folder with config.json and one safetensors file a part, in the manner of diffusers."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from core.errors import MissingWeights
from core.files import replace_file
from core.networks.generator import Generator
from core.networks.presets import GeneratorConfig
from core.networks.things import Thing

FORMAT = 3  # 2: textures are a map of paints; 3: one bounded stretch for all waves
PARTS = {  # file -> the generator's modules in it
    "encoder": ("condition", "pointnet", "adherence", "encoder"),
    "geometry": ("G", "sdf", "height"),
    "texture": ("T", "upsampler", "texture"),
}


PICTURES = "pictures"  # folder in the model's: one <kind>.png a thing that has a picture


@dataclass(frozen=True)
class ModelCard:
    """The facts in a model folder's config.json beside the network's sizes."""

    id: str
    kinds: tuple[str, ...]
    training: dict = field(default_factory=dict)  # hardware, hours, steps, commit …
    things: tuple[Thing, ...] = ()  # one a kind; none in folders of before things were kept
    one_piece: tuple[str, ...] = ()  # kinds whose objects hang together: a small loose part is none of theirs

    def several_pieces(self, thing: str | None) -> bool:
        """Whether a thing is known to be of more than one piece, so that its small parts are to be kept."""
        return thing not in self.one_piece and thing in [known.name for known in self.things]

    def knows_height(self, thing: str | None) -> bool:
        """Whether the real height of a thing was learnt: of a library without units only that of the starter's kinds was."""
        return self.training.get("library", {}).get("heights", True) or thing in self.kinds


def save_generator(generator: Generator, card: ModelCard, folder: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write the model to a folder; each file appears whole or not at all. Raises EngineError when that cannot be done."""
    folder = Path(folder)
    for part, modules in PARTS.items():
        tensors = {k: v.detach().to("cpu", dtype).contiguous() for k, v in generator.state_dict().items() if k.split(".")[0] in modules}
        replace_file(folder / f"{part}.safetensors", lambda path, tensors=tensors: save_file(tensors, path))
    save_card(card, generator.config, folder)


def save_card(card: ModelCard, sizes: GeneratorConfig, folder: str | Path) -> None:
    """Write config.json alone. Raises EngineError when that cannot be done."""
    config = {"format": FORMAT, "id": card.id, "kinds": list(card.kinds), "generator": asdict(sizes), "training": card.training}
    config["things"] = [{name: getattr(thing, name) for name in ("name", "group", "example")} for thing in card.things]
    config["one_piece"] = list(card.one_piece)
    replace_file(Path(folder) / "config.json", lambda path: Path(path).write_text(json.dumps(config, indent=2) + "\n"))


def picture_path(folder: str | Path, name: str) -> Path:
    """Where the picture of a thing lies in a model's folder."""
    return Path(folder).absolute() / PICTURES / f"{Path(name).name}.png"


def _things(folder: Path, listed: list[dict]) -> tuple[Thing, ...]:
    """The things of a config.json, each with its picture where there is one."""
    paths = [picture_path(folder, thing["name"]) for thing in listed]
    return tuple(
        Thing(str(thing["name"]), str(thing["group"]), str(thing["example"]), str(path) if path.is_file() else "")
        for thing, path in zip(listed, paths, strict=True)
    )


def read_card(folder: str | Path) -> tuple[GeneratorConfig, ModelCard]:
    """Read what a model folder says of itself, and no weights. Raises MissingWeights when it is absent, damaged or of another format."""
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        known = {f.name for f in fields(GeneratorConfig)}
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config["generator"].items() if k in known}
        sizes.setdefault("geometry_blocks", sizes["decoder_blocks"])  # once, G and T had as many
        things = _things(folder, config.get("things", []))
        card = ModelCard(config["id"], tuple(config["kinds"]), config.get("training", {}), things, tuple(config.get("one_piece", [])))
        if config["format"] != FORMAT:
            raise ValueError(f"format {config['format']}, this version reads {FORMAT}")
        return GeneratorConfig(**sizes), card
    except FileNotFoundError as error:
        raise MissingWeights(
            f"There is no model in {folder}.", "config.json is missing.", "Choose another model folder, or train one."
        ) from error
    except Exception as error:  # no JSON, or no object
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> MissingWeights:
    return MissingWeights(f"The model in {folder} cannot be read.", f"config.json: {error}", "Get the model again, or choose another.")


def load_generator(folder: str | Path, device: torch.device | str = "cpu") -> tuple[Generator, ModelCard]:
    """Read a model folder. Raises MissingWeights with the file and the reason when it is absent, damaged or of another format."""
    folder = Path(folder)
    sizes, card = read_card(folder)
    try:
        generator = Generator(sizes)
    except Exception as error:  # sizes that no network has
        raise _unreadable(folder, error) from error
    state: dict[str, torch.Tensor] = {}
    for part in PARTS:
        path = folder / f"{part}.safetensors"
        try:
            state |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise MissingWeights(
                f"The model in {folder} is damaged.", f"{path.name}: {error}", "Get the model again, or choose another."
            ) from error
    try:
        generator.load_state_dict({k: v.float() for k, v in state.items()})
    except RuntimeError as error:
        cause = str(error).splitlines()[-1].strip()
        raise MissingWeights(
            f"The model in {folder} does not fit its config.json.", cause, "Get the model again, or choose another."
        ) from error
    return generator.to(device).eval(), card
