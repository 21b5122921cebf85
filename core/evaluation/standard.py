# SPDX-License-Identifier: GPL-3.0-or-later
"""The field's own measures, CLIP score and FID, by torchmetrics, for who has it and the weights. Nothing of ours bears these names.

Not pinned and not needed otherwise: `pip install "torchmetrics[image,multimodal]"` in the engine's environment. The pictures are the
four shaded renders of each object; the FID is that of generated renders against those of the exact objects of the same prompts.
"""

import numpy as np
import torch

from core.errors import EngineError, MissingWeights


class StandardMeasures:
    """clip: a folder or hub id of a CLIP model, or None; fid: whether to measure it. `add` one object at a time, then `figures`.

    Raises MissingWeights when the package or the weights are not there.
    """

    def __init__(self, clip: str | None, fid: bool):
        self.clip = _load("CLIP score", lambda: _clip_score(clip)) if clip else None
        self.fid = _load("FID", _inception) if fid else None

    def add(self, prompt: str, made: np.ndarray, exact: np.ndarray) -> None:
        """Pictures [views, S, S, 3] u8 of one generated and of one exact object."""
        made, exact = (torch.from_numpy(views).permute(0, 3, 1, 2) for views in (made, exact))
        if self.clip:
            self.clip.update(made, [prompt] * len(made))
        if self.fid:
            self.fid.update(made, real=False)
            self.fid.update(exact, real=True)

    def figures(self) -> dict[str, float]:
        """Those that were asked for, by name."""
        measures = {"clip_score": self.clip, "fid": self.fid}
        return {name: round(float(measure.compute()), 4) for name, measure in measures.items() if measure}


def _clip_score(name: str):
    from torchmetrics.multimodal.clip_score import CLIPScore
    from transformers import CLIPModel, CLIPProcessor  # loaded here: torchmetrics knows some names only, and runs code of one of them

    return CLIPScore(lambda: (CLIPModel.from_pretrained(name), CLIPProcessor.from_pretrained(name)))


def _inception():
    from torchmetrics.image.fid import FrechetInceptionDistance

    return FrechetInceptionDistance()


def _load(what: str, load):
    try:
        return load()
    except EngineError:
        raise
    except Exception as error:  # of either library: not installed, no weights, no network, a foreign format
        way = 'Install "torchmetrics[image,multimodal]" and give weights that are on this machine, or leave the option out.'
        cause = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise MissingWeights(f"The {what} cannot be measured here.", cause, way) from error
