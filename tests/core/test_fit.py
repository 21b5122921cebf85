# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the texts tell a shape that stands in for another from one that a prompt means."""

import pytest
import torch

from core.language.encoder import TextEncoder
from core.library.folder import PreparedFolder
from core.library.folder_source import FolderSource
from core.library.source import Sampling
from core.training.fit import NameFit, name_in_words
from core.training.subjects import FolderSubjects
from tests.core.boxes import make_boxes

PROMPTS = ["a red cat", "a tall green chair", "a blue mug", "a wide yellow truck"]
SHAPES = ["props/Cat_01.glb", "rooms.blend:Chair_Tall", "kitchen/mug.obj", "truck.glb"]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def test_what_is_meant_fits_better_than_a_stand_in(encoder) -> None:
    fit = NameFit(PROMPTS, [*SHAPES, "penguin.glb", "stool.glb"], encoder)
    own, near = fit(*encoder(PROMPTS), SHAPES), fit(*encoder(PROMPTS[:2]), ["penguin.glb", "stool.glb"])
    far = fit(*encoder(PROMPTS), [*SHAPES[2:], *SHAPES[:2]])
    assert own.min() > 0.6 and far.max() < 0.3 and (near < own[:2] - 0.2).all(), (own, near, far)
    assert all(0 <= value <= 1 for value in torch.cat((own, near, far)).tolist())


def test_where_names_say_nothing_all_shapes_fit(encoder) -> None:
    nameless = NameFit(PROMPTS, ["0012.glb", "mesh.glb"], encoder)
    assert nameless(*encoder(PROMPTS), ["0012.glb", "mesh.glb", None, "0012.glb"]).tolist() == [1] * 4
    alike = NameFit(PROMPTS, ["blob_1.glb", "blob_2.glb"], encoder)
    assert alike(*encoder(PROMPTS), ["blob_1.glb", "blob_2.glb"] * 2).tolist() == [1] * 4


@pytest.mark.parametrize(("shape", "words"), [
    ("props/Cat_01.glb", "cat"), ("rooms.blend:Chair_Tall", "tall chair"), ("rooms/lamp post.blend:Cube.003", "lamp post"),
    ("7.glb", "thing"),
])  # fmt: skip
def test_an_asset_is_called_what_the_artist_called_it(shape, words) -> None:
    assert name_in_words(shape) == words


def test_subjects_of_a_folder_know_their_fit(encoder, tmp_path) -> None:
    folder = FolderSource(PreparedFolder.open(make_boxes(tmp_path, cloud=1024)), encoder, Sampling(), 3, torch.device("cpu"), 1.0)
    subjects = FolderSubjects(folder, encoder, torch.zeros(64, 6), 3)
    drawn = subjects.draw(0, range(48))
    told = {text: [float(fit) for own, fit in zip(drawn.prompts, drawn.fit(), strict=True) if own == text] for text in set(drawn.prompts)}
    assert min(told["a post"]) > 0.6 and min(told["a tile"]) > 0.6 and max(told["something old"]) < 0.4, told
    again = subjects.draw(1, range(24, 48))
    torch.testing.assert_close(drawn.fit()[24:], again.fit(), atol=1e-5, rtol=0)
