# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of the generator, by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GeneratorConfig:
    """One dial a line; `python -m core train --preset NAME` picks a whole row of `PRESETS`.

    channels: width of each level of the U-Net, finest first; the finest level has planes of `resolution`, each next one half of it.
    input_level: the level that the PointNet's planes enter at; the levels above it belong to the decoders (G, T) alone.
    encoder_blocks, geometry_blocks, decoder_blocks: residual blocks of each level on the way down, on the way up in G, and on that in T.
    paints: looks that a texture mixes; waves: lengths of the waves along each direction that patterns are made of.
    sentence: whether the condition sees the mean of a prompt's tokens too: so wordings that training never had are read as alike ones.
    residual: whether a texture adds colours of its own to its paints, which images need.
    adherence: whether it knows α, how closely an object keeps to the shape that it is given as a cloud.
    texture_upsampling: whether T's planes are doubled once more, which `--parts upsampler` teaches.
    attention_below: text cross-attention in levels whose planes are at most this large (a side).
    """

    resolution: int = 64
    channels: tuple[int, ...] = (24, 48, 96, 192)
    encoder_blocks: tuple[int, ...] = (0, 0, 1, 2)
    geometry_blocks: tuple[int, ...] = (0, 0, 1, 0)
    decoder_blocks: tuple[int, ...] = (0, 0, 1, 0)
    input_level: int = 1
    attention_below: int = 16
    plane_channels: int = 32
    texture_upsampling: bool = False
    point_hidden: int = 32
    points: int = 2048
    text_width: int = 384
    style_size: int = 8
    condition: int = 256
    queries: int = 8
    sentence: bool = False
    decoder_hidden: int = 64
    paints: int = 12
    residual: bool = False
    waves: int = 4
    adherence: bool = False
    text_encoder: str = "all-MiniLM-L6-v2"


PRESETS: dict[str, GeneratorConfig] = {
    # tests: under a million parameters, a step in a tenth of a second
    "tiny": GeneratorConfig(
        resolution=32, channels=(16, 32, 48), encoder_blocks=(0, 0, 1), geometry_blocks=(0, 0, 0), decoder_blocks=(0, 0, 0),
        attention_below=8, plane_channels=16, point_hidden=16, points=512, condition=96, queries=4, decoder_hidden=32, paints=8, waves=3,
        sentence=True, residual=True, adherence=True,
    ),
    # what the project ships: trains on two CPU cores, answers in tenths of a second there
    "starter": GeneratorConfig(geometry_blocks=(1, 1, 1, 0), sentence=True, residual=True, adherence=True),
    # the paper's size as far as it is known: two networks of about 72 M parameters
    "paper-scale": GeneratorConfig(
        resolution=128, channels=(64, 128, 256, 256, 512), encoder_blocks=(2, 2, 2, 2, 2), geometry_blocks=(2, 2, 2, 2, 0),
        decoder_blocks=(2, 2, 2, 2, 0), input_level=0, attention_below=32, point_hidden=64, points=4096, condition=768, queries=16,
        sentence=True, residual=True, adherence=True,
    ),
}  # fmt: skip
