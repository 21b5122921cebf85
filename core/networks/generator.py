# SPDX-License-Identifier: GPL-3.0-or-later
"""LATTE3D's generator: a shared encoder, the geometry network G, the texture network T and their fields (Xie et al. 2024, Fig. 4).

tokens, z ─ Condition ────────┐
cloud ─ PointNet ─ Encoder ───┼─ G: Decoder ─ planes ─ GeometryField: SDF, and the height in metres
                              └─ T: Decoder ─ planes ─ TextureField: base colour, roughness, metallic
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from core.networks.pointnet import PointNet, fibonacci_sphere
from core.networks.presets import GeneratorConfig
from core.networks.triplane import Block, Down, PlaneReader, Up, group_count, sample_planes

SPHERE_RADIUS = 0.35  # an untrained G is this sphere
DISTANCE_SCALE = 0.06  # all points share the last layer: at a scale of 1, one step of Adam there moves every surface
CACHED_POINTS = 1 << 15


@dataclass
class Fields:
    """A generated batch: G's and T's planes, the condition that the decoders read beside them, and the heights.

    geometry, texture: [B, 3, C, R, R], the texture's twice as fine where it has an upsampler; condition: [B, D]; height_m: [B]
    """

    geometry: Tensor
    texture: Tensor
    condition: Tensor
    height_m: Tensor

    def __getitem__(self, i: int) -> "Fields":
        """The batch of one that holds object i."""
        return Fields(*(t[i : i + 1] for t in (self.geometry, self.texture, self.condition, self.height_m)))

    def to(self, device: torch.device) -> "Fields":
        """The same on a device."""
        return Fields(*(t.to(device) for t in (self.geometry, self.texture, self.condition, self.height_m)))


class Generator(nn.Module):
    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.condition = Condition(config)
        level = config.input_level
        self.pointnet = PointNet(config.point_hidden, config.channels[level], config.resolution >> level)
        self.encoder = Encoder(config)
        self.G, self.T = Decoder(config, config.geometry_blocks), Decoder(config, config.decoder_blocks)
        self.upsampler = Upsampler(config) if config.texture_upsampling else None
        self.sdf = GeometryField(config)
        self.texture = TextureField(config)
        self.height = nn.Sequential(nn.Linear(config.condition + config.channels[-1], 64), nn.SiLU(), nn.Linear(64, 1))
        self.adherence = Adherence(config) if config.adherence else None
        self.register_buffer("dummy", fibonacci_sphere(config.points), persistent=False)

    @property
    def prompt_parts(self) -> tuple[nn.Module, ...]:
        """The parts that depend on the prompt alone, and can be trained without any object."""
        return self.condition, self.texture.palette, self.texture.waves.stretch

    def forward(self, tokens: Tensor, mask: Tensor, z: Tensor, cloud: Tensor | None = None, adherence: Tensor | None = None) -> Fields:
        """tokens: [B, L, text width], mask: [B, L], z: [B, 8], cloud: points and normals [B, N, 6] or None for the dummy sphere,
        adherence: α [B] or [1], 0 … 1, how closely the object keeps to the cloud's shape; None is 0."""
        return self.made(*self.condition(tokens, mask, z), cloud, adherence)

    def made(self, condition: Tensor, queries: Tensor, cloud: Tensor | None = None, adherence: Tensor | None = None) -> Fields:
        """What `forward` gives, of a condition [B, D] and its tokens [B, queries, D]: one prompt's, or a mixture of several."""
        condition, levels = self.encode(condition, queries, cloud, adherence)
        with torch.autocast(condition.device.type, enabled=False):  # half precision would round a height to a hundredth of it
            height = self.height(torch.cat((condition, levels[-1].mean((1, 3, 4))), 1).float())[:, 0].exp()
        return Fields(self.G(levels, condition, queries), self.texture_planes(condition, queries, levels), condition, height)

    def encode(
        self, condition: Tensor, queries: Tensor, cloud: Tensor | None = None, adherence: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """What both decoders read beside the tokens: the condition [B, D], which has heard of α, and the planes of every level."""
        planes = self.pointnet(self.dummy[None] if cloud is None else cloud).expand(len(condition), -1, -1, -1, -1)
        if self.adherence is not None:
            alpha = condition.new_zeros(1) if adherence is None else adherence
            condition, planes = self.adherence(condition, planes, alpha)
        return condition, self.encoder(planes, condition, queries)

    def texture_planes(self, condition: Tensor, queries: Tensor, levels: list[Tensor]) -> Tensor:
        """T's planes [B, 3, C, R, R] of what `encode` gave."""
        planes = self.T(levels, condition, queries)
        return planes if self.upsampler is None else self.upsampler(planes, condition)


class Condition(nn.Module):
    """Text and style as a few tokens to attend to and one vector to scale and shift by (a resampler: Alayrac et al. 2022, Flamingo)."""

    def __init__(self, config: GeneratorConfig, layers: int = 2):
        super().__init__()
        width = config.condition
        self.text = nn.Sequential(nn.LayerNorm(config.text_width), nn.Linear(config.text_width, width))
        self.style = nn.Linear(config.style_size, width)
        self.queries = nn.Parameter(torch.randn(config.queries, width) * 0.5)
        self.sentence = skip_init(nn.Linear, config.text_width, width, bias=False) if config.sentence else None  # it begins at nothing
        if self.sentence is not None:
            nn.init.zeros_(self.sentence.weight)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                width, max(1, width // 32), 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.vector = nn.Sequential(
            nn.LayerNorm(config.queries * width), nn.Linear(config.queries * width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, tokens: Tensor, mask: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """-> vector [B, D], tokens [B, queries, D]"""
        memory = torch.cat((self.text(tokens), self.style(z)[:, None]), 1)
        padding = torch.cat((~mask, mask.new_zeros(len(mask), 1)), 1)
        x = self.queries.expand(len(z), -1, -1)
        for layer in self.layers:
            x = layer(x, memory, memory_key_padding_mask=padding)
        vector = self.vector(x.flatten(1))
        if self.sentence is not None:
            mean = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
            vector = vector + self.sentence(F.normalize(mean, dim=1) * mean.shape[1] ** 0.5)
        return vector, x


class Adherence(nn.Module):
    """α, how closely an object keeps to its cloud: it shifts the condition, and scales and shifts what the cloud's planes say, since on the
    condition's way alone it is not heard. Untrained, it changes nothing."""

    def __init__(self, config: GeneratorConfig, hidden: int = 64):
        super().__init__()
        self.sizes = config.condition, config.channels[config.input_level], config.channels[config.input_level]
        self.first, self.last = nn.Linear(1, hidden), nn.Linear(hidden, sum(self.sizes))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, condition: Tensor, planes: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """condition: [B, D], planes: [B, 3, C, R, R], alpha: [B] or [1] -> condition and planes"""
        say, scale, shift = self.last(F.silu(self.first(4 * alpha[:, None]))).split(self.sizes, 1)
        return condition + say, planes * (1 + scale[:, None, :, None, None]) + shift[:, None, :, None, None]


class Encoder(nn.Module):
    """The shared half of the U-Net: from the PointNet's planes down. Returns the planes of every level, finest first."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        levels = range(config.input_level, len(config.channels))
        self.blocks, self.downs = nn.ModuleList(), nn.ModuleList()
        for level in levels:
            width, attends = config.channels[level], config.resolution >> level <= config.attention_below
            self.blocks.append(nn.ModuleList(Block(width, width, config.condition, attends) for _ in range(config.encoder_blocks[level])))
            if level + 1 < len(config.channels):
                self.downs.append(Down(width, config.channels[level + 1]))
        self.places = places(config, levels)
        self.coarse = CoarsePlanes(config)

    def forward(self, x: Tensor, condition: Tensor, tokens: Tensor) -> list[Tensor]:
        levels = []
        for i, blocks in enumerate(self.blocks):
            x = (x if i == 0 else self.downs[i - 1](x)) + self.places[i]
            if i + 1 == len(self.blocks):
                x = x + self.coarse(condition)
            for block in blocks:
                x = block(x, condition, tokens)
            levels.append(x)
        return levels


class CoarsePlanes(nn.Module):
    """A first guess at the coarsest level, straight from the condition: [B, D] -> [B, 3, C, R, R]."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        width, self.size = config.channels[-1], config.resolution >> (len(config.channels) - 1)
        self.guess = nn.Linear(config.condition, 3 * (width // 4) * self.size**2)
        self.widen = nn.Conv2d(width // 4, width, 1)

    def forward(self, condition: Tensor) -> Tensor:
        guess = self.guess(condition).view(len(condition) * 3, -1, self.size, self.size)
        return self.widen(guess).unflatten(0, (-1, 3))


def places(config: GeneratorConfig, levels: range) -> nn.ParameterList:
    """Learnt maps that tell the cells of each level where they are and which plane they are on: convolutions alone cannot know."""
    return nn.ParameterList(nn.Parameter(0.1 * torch.randn(3, config.channels[n], *2 * (config.resolution >> n,))) for n in levels)


class Decoder(nn.Module):
    """The way up, once for G and once for T: levels -> planes [B, 3, plane_channels, R, R]."""

    def __init__(self, config: GeneratorConfig, counts: tuple[int, ...]):
        """counts: residual blocks of each level, finest first"""
        super().__init__()
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for level in range(len(config.channels) - 2, -1, -1):
            width, attends = config.channels[level], config.resolution >> level <= config.attention_below
            self.ups.append(Up(config.channels[level + 1], width, config.condition))
            skip = width if level >= config.input_level else 0
            self.blocks.append(
                nn.ModuleList(Block(width + (skip if n == 0 else 0), width, config.condition, attends) for n in range(counts[level]))
            )
        self.places = places(config, range(len(config.channels) - 2, -1, -1))
        self.norm = nn.GroupNorm(group_count(config.channels[0]), config.channels[0])
        self.out = nn.Conv2d(config.channels[0], config.plane_channels, 1)

    def forward(self, levels: list[Tensor], condition: Tensor, tokens: Tensor) -> Tensor:
        x, skips = levels[-1], list(levels[:-1])
        for up, place, blocks in zip(self.ups, self.places, self.blocks, strict=True):
            x = up(x, condition) + place
            skip = skips.pop() if skips else None
            for n, block in enumerate(blocks):
                x = torch.cat((x, skip), 2) if n == 0 and skip is not None else x
                x = block(x, condition, tokens)
        with torch.autocast(x.device.type, enabled=False):  # half precision would roughen the surface, as in GeometryField
            return self.out(F.silu(self.norm(x.flatten(0, 1).float()))).unflatten(0, (-1, 3))


class Upsampler(nn.Module):
    """T's planes twice as fine: the same planes in between, and what a conditioned level adds to them, which is nothing at first (the
    paper's second stage starts at the result of the first)."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        channels, width, size = config.plane_channels, config.channels[0], 2 * config.resolution
        self.up = Up(channels, width, config.condition)
        self.place = nn.Parameter(0.1 * torch.randn(3, width, size, size))
        self.norm = nn.GroupNorm(group_count(width), width)
        self.out = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, planes: Tensor, condition: Tensor) -> Tensor:
        """planes: [B, 3, C, R, R], condition: [B, D] -> [B, 3, C, 2R, 2R]"""
        x = self.up(planes, condition) + self.place
        detail = self.out(F.silu(self.norm(x.flatten(0, 1))))
        smooth = F.interpolate(planes.flatten(0, 1), size=detail.shape[-2:], mode="bilinear", align_corners=True)  # as points read them
        return (smooth + detail).unflatten(0, (-1, 3))


class ConditionedMLP(nn.Module):
    """Two hidden layers, the first scaled and shifted by the object's condition."""

    def __init__(self, channels: int, hidden: int, out: int, condition: int):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(channels, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, out)
        self.film = nn.Linear(condition, 4 * hidden)
        for layer in (self.first, self.second):  # SiLU halves small signals: without the gain the fields start flat and stay so for long
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.film.weight, std=0.02)
        nn.init.zeros_(self.film.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """features: [B, N, C], condition: [B, D] -> [B, N, out]"""
        s1, b1, s2, b2 = self.film(condition)[:, None].chunk(4, -1)
        h = F.silu(self.first(features) * (1 + s1) + b1)
        return self.last(F.silu(self.second(h) * (1 + s2) + b2))

    def bound(self, condition: Tensor) -> Callable[[Tensor], Tensor]:
        """The same function of features [N, C] alone, for one object: its scales and shifts [1, D] folded into the weights."""
        s1, b1, s2, b2 = self.film(condition)[0].chunk(4)
        layers = [
            (layer.weight * (1 + s)[:, None], layer.bias * (1 + s) + b) for layer, s, b in ((self.first, s1, b1), (self.second, s2, b2))
        ]

        def mlp(features: Tensor) -> Tensor:
            for weight, bias in layers:
                features = F.silu(F.linear(features, weight, bias), inplace=True)
            return self.last(features)

        return mlp


class GeometryField(nn.Module):
    """Signed distance: MLP of the planes' features plus that of a sphere."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.mlp = ConditionedMLP(config.plane_channels, config.decoder_hidden, 1, config.condition)
        nn.init.zeros_(self.mlp.last.weight)
        nn.init.zeros_(self.mlp.last.bias)

    def forward(self, planes: Tensor, condition: Tensor, points: Tensor) -> Tensor:
        """points: [B, N, 3] -> [B, N], negative inside"""
        with torch.autocast(points.device.type, enabled=False):  # half precision would round distances to a tenth of a cell
            return self._distance(points, self.mlp(sample_planes(planes.float(), points), condition.float()))

    def of(self, fields: Fields) -> Callable[[Tensor], Tensor]:
        """One object's distance as a function of points [N, 3], made for many of them; without gradients."""
        read, mlp = PlaneReader(fields.geometry), self.mlp.bound(fields.condition)
        return _in_pieces(lambda points: self._distance(points, mlp(read(points))))

    @staticmethod
    def _distance(points: Tensor, out: Tensor) -> Tensor:
        return points.norm(dim=-1) - SPHERE_RADIUS + out[..., 0].float() * DISTANCE_SCALE


class TextureField(nn.Module):
    """sRGB base colour, roughness and metallic, each 0..1: a few paints that follow from the condition, and a map that mixes them.

    A prompt's colours follow from its text, and where they go from the shape; each is learnt apart. The map is made from the
    planes' features and from waves, whose lengths the condition stretches: what patterns repeat by. Where the sizes say so, a residual
    adds colours that no mixture of paints has: those of images.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.count, out = config.paints, config.paints + (3 if config.residual else 0)
        self.palette = nn.Linear(config.condition, config.paints * 5)
        self.waves = Waves(config)
        self.mlp = ConditionedMLP(config.plane_channels + self.waves.width, config.decoder_hidden, out, config.condition)
        with torch.no_grad():
            self.mlp.last.weight[self.count :] = 0
            self.mlp.last.bias[self.count :] = 0

    def forward(self, planes: Tensor, condition: Tensor, points: Tensor) -> Tensor:
        """points: [B, N, 3] -> [B, N, 5]"""
        return self.mixed(self.map(planes, condition, points), condition).clamp(0, 1)

    def paints(self, condition: Tensor) -> Tensor:
        """condition: [B, D] -> [B, paints, 5]"""
        return torch.sigmoid(self.palette_logits(condition))

    def palette_logits(self, condition: Tensor) -> Tensor:
        """The paints before the sigmoid: [B, D] -> [B, paints, 5]"""
        return self.palette(condition.float()).float().unflatten(1, (-1, 5))

    def map(self, planes: Tensor, condition: Tensor, points: Tensor) -> Tensor:
        """How much of each paint lies at points, before the softmax, and the residual, before its tanh: [B, N, 3] -> [B, N, paints + 3],
        or [B, N, paints] where there is no residual."""
        features = torch.cat((sample_planes(planes, points), self.waves(points, self.waves.stretched(condition))), -1)
        return self.mlp(features, condition).float()

    def mixed(self, map: Tensor, condition: Tensor) -> Tensor:
        """The look that a map has: [B, N, ..], [B, D] -> [B, N, 5]. A residual may take colours a little out of 0 … 1; they are not cut off
        here, where they are learnt from."""
        with torch.autocast(map.device.type, enabled=False):  # half precision would round the colours to 1/256
            return self._add(map[..., : self.count].softmax(-1) @ self.paints(condition), map)

    def of(self, fields: Fields) -> Callable[[Tensor], Tensor]:
        """One object's look as a function of points [N, 3] -> [N, 5], made for many of them; without gradients."""
        read, mlp = PlaneReader(fields.texture), self.mlp.bound(fields.condition)
        vectors, paints = self.waves.stretched(fields.condition)[0], self.paints(fields.condition)[0]

        def look(points: Tensor) -> Tensor:
            map = mlp(torch.cat((read(points), self.waves(points, vectors)), -1)).float()
            return self._add(map[..., : self.count].softmax(-1) @ paints, map).clamp(0, 1)

        return _in_pieces(look)

    def _add(self, mixed: Tensor, map: Tensor) -> Tensor:
        """The look of the paints [.., N, 5] with the residual's colours."""
        if map.shape[-1] == self.count:
            return mixed
        return torch.cat((mixed[..., :3] + map[..., self.count :].tanh(), mixed[..., 3:]), -1)


class Waves(nn.Module):
    """Sines and cosines along learnt directions of space, all stretched by one number that follows from the condition.

    The stretch is bounded: left to itself, a training that finds patterns hard makes the waves so long that they are none.
    """

    LONGEST = 0.4  # log of the stretch

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        directions = torch.tensor([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0)], dtype=torch.float32)
        cycles = torch.logspace(math.log10(3), math.log10(8.5), config.waves)  # in a unit of the frame
        self.vectors = nn.Parameter((directions[:, None] * cycles[:, None]).flatten(0, 1))  # [K, 3]
        self.stretch = nn.Linear(config.condition, 1)
        nn.init.zeros_(self.stretch.weight)
        nn.init.zeros_(self.stretch.bias)
        self.width = 2 * len(self.vectors)

    def stretched(self, condition: Tensor) -> Tensor:
        """condition: [B, D] -> cycles in a unit along each axis [B, K, 3]"""
        return self.vectors * torch.exp(-self.log_stretch(condition))[:, None]

    def log_stretch(self, condition: Tensor) -> Tensor:
        """condition: [B, D] -> [B, 1], larger is coarser"""
        return self.LONGEST * torch.tanh(self.stretch(condition.float()).float())

    def forward(self, points: Tensor, vectors: Tensor) -> Tensor:
        """points: [.., N, 3], vectors: [.., K, 3] -> [.., N, 2K]"""
        with torch.autocast(points.device.type, enabled=False):  # half precision would lose the phase of the short waves
            angle = 2 * math.pi * points @ vectors.float().mT
        return torch.cat((angle.sin(), angle.cos()), -1)


def _in_pieces(field: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """On a CPU, evaluate so many points at a time that the layers between stay in its cache."""
    return lambda points: torch.cat([field(part) for part in points.split(CACHED_POINTS)]) if points.device.type == "cpu" else field(points)
