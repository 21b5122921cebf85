# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders in the layout of diffusers: found, looked into and loaded; nothing is downloaded without being asked for."""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch

from core.errors import BadRequest, EngineError, MissingWeights, out_of_memory

KINDS = {"multiview": "several views of an object at once", "depth": "a picture led by its depth", "image": "a picture"}


def find_folder(name: str | Path, *, download: bool = False) -> Path:
    """The folder of a pipeline: a local one, or a hub id's in the cache, fetched only with `download`.

    Raises BadRequest where there is neither.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        problem = f"{name} is a file." if path.exists() else f"There is no folder {name}."
        remedy = "Name a folder in the layout of diffusers. A checkpoint becomes one by: python -m core convert mvdream CKPT OUT"
        raise BadRequest(problem, "", remedy)
    from diffusers import DiffusionPipeline

    unused = dict.fromkeys(("safety_checker", "feature_extractor", "image_encoder"))
    try:
        found = DiffusionPipeline.download(str(name), local_files_only=not download, use_safetensors=True, **unused)
    except Exception as error:  # of whichever library: no such id, no network, no safetensors
        cause = f"{error}".strip().splitlines()[0][:300] if download else "It is neither a folder nor in the hub's cache on this machine."
        remedy = "Check the id and the network." if download else "Give --download to fetch it, or name a folder."
        raise BadRequest(f"The prior {name} cannot be used.", cause, remedy) from error
    return Path(found)


def read_config(folder: Path, part: str, file: str = "config.json") -> dict:
    """The config of one part of a pipeline. Raises BadRequest where there is none."""
    path = folder / part / file
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is no JSON object")
        return config
    except FileNotFoundError as error:
        there = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir())) or "no folders"
        remedy = "A prior has unet/, scheduler/, text_encoder/, tokenizer/ and, unless it works on pixels, vae/."
        raise BadRequest(f"{folder} is not a whole diffusion prior: {part}/{file} is missing.", f"It holds {there}.", remedy) from error
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read.", f"{error}.", "Get the prior again.") from error


def kind_of(folder: Path) -> str:
    """ "multiview", "depth" or "image". Raises BadRequest for a folder that holds no prior, or none that stock diffusers can run."""
    if (folder / "config.json").is_file() and not (folder / "unet").is_dir():
        name = read_config(folder, ".").get("_class_name", "no class of diffusers")
        remedy = "Name the folder that holds it as unet/." if name == "UNet2DConditionModel" else ""
        remedy = "Give it with --controlnet beside a Stable Diffusion." if name == "ControlNetModel" else remedy
        raise BadRequest(f"{folder} is one part of a pipeline ({name}), not a whole prior.", "", remedy)
    unet = read_config(folder, "unet")
    if (name := unet.get("_class_name")) != "UNet2DConditionModel":
        cause = f"Its U-Net is a {name}; guidance runs stock classes of diffusers alone."
        remedy = "Convert the original checkpoint: python -m core convert mvdream CKPT OUT" if "MultiView" in str(name) else ""
        raise BadRequest(f"The prior in {folder} cannot be run.", cause, remedy)
    if unet.get("class_embed_type") == "projection":
        return "multiview"
    return "depth" if (folder / "controlnet").is_dir() else "image"


def load_part(model: type, folder: Path, part: str, dtype: torch.dtype, device: torch.device) -> Any:
    """One frozen part of a pipeline; on the device "meta" its shape alone. Raises MissingWeights when its weights are absent, damaged or
    of another architecture."""
    if device.type == "meta":
        with torch.device("meta"):
            shape = model.from_config(read_config(folder, part))
        return torch.nn.Module.to(shape, dtype).eval().requires_grad_(False)  # not the class's own, which warns of weights
    try:
        loaded, report = model.from_pretrained(
            str(folder / part), torch_dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # of diffusers, transformers or safetensors: no file, a cut one, pickled weights alone, a foreign config
        if isinstance(error, EngineError) or out_of_memory(error):
            raise
        remedy = "Get the prior again; its weights must be safetensors files."
        raise MissingWeights(f"{folder / part} cannot be loaded.", f"{error}".strip().splitlines()[0][:300], remedy) from error
    if missing := sorted(report["missing_keys"]) + [str(key) for key in report["mismatched_keys"]]:
        cause = f"{len(missing)} weights are missing or of another shape, {missing[0]} the first."
        raise MissingWeights(f"The weights of {folder / part} do not fit its config.json.", cause, "Get the prior again.")
    return loaded.to(device).eval().requires_grad_(False)


def signal_of(folder: Path) -> tuple[torch.Tensor, str]:
    """a² [T] of a folder's noise schedule, and what its U-Net predicts: "epsilon", "v_prediction" or "sample"."""
    from diffusers import DDPMScheduler

    config = read_config(folder, "scheduler", "scheduler_config.json")
    known = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type", "rescale_betas_zero_snr")
    try:
        scheduler = DDPMScheduler(**{name: config[name] for name in known if name in config})
    except Exception as error:
        raise BadRequest(f"The noise schedule of {folder} cannot be used.", f"{error}", "Get the prior again.") from error
    predicts = scheduler.config.prediction_type
    if predicts not in ("epsilon", "v_prediction", "sample"):
        raise BadRequest(f"The prior in {folder} predicts {predicts!r}.", "", "Use one that predicts epsilon, v_prediction or sample.")
    return scheduler.alphas_cumprod.float().clamp(1e-4, 1 - 1e-6), predicts


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of a user's word; "auto": half of the bits on a GPU, where bfloat16 is quick that one, and float32 elsewhere."""
    named = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if name not in named:
        raise BadRequest(f"The number format {name[:40]!r} is unknown.", "", f"Choose auto, {', '.join(named)}.")
    return named[name]


def go_offline() -> None:
    """Let no library look at the network, whatever a config names; for the first lines of a command."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
