# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaves that are cut out of planes by the alpha of an image: such faces become small triangles, and those where nothing is shown go."""

from dataclasses import dataclass

import bpy
import numpy as np

from .materials import Channel, NoImage, NotReadable, is_missing, pixels, read, shader_of, source_of

STEP = 0.008  # of the asset's size: about how long the edges of the small triangles are, and half as thick as sheets will be
MOST = 300_000  # triangles that the faces of one material of one mesh may become
DEFAULT = 0.5


@dataclass(frozen=True)
class Cut:
    """A material is there where its image's alpha is at least `threshold`. `channel`: of one number, with an image."""

    channel: Channel
    threshold: float


def read_cut(material: bpy.types.Material | None) -> Cut | None:
    """What cuts a material's faces out; None where nothing does, or nothing that can be read."""
    if material is None or not material.use_nodes or material.node_tree is None:
        return None
    try:
        socket = _alpha(shader_of(material.node_tree))
        channel, threshold = _compared(socket, material) if socket else (None, 0.0)
    except (NotReadable, NoImage):
        return None
    if channel is None or channel.image is None or channel.corner is not None or is_missing(channel.image):
        return None
    return Cut(channel, threshold)


def _alpha(node: bpy.types.Node) -> bpy.types.NodeSocket | None:
    """The input that says how much of a shader is there."""
    if node.type == "BSDF_PRINCIPLED":
        return node.inputs["Alpha"]
    if node.type == "MIX_SHADER":
        first = source_of(node.inputs[1])
        return node.inputs[0] if first and first.node.type == "BSDF_TRANSPARENT" else None
    return None


def _compared(socket: bpy.types.NodeSocket, material: bpy.types.Material) -> tuple[Channel, float]:
    """What is compared with what: x > t, round(x), or 1 - (x < t), as glTF files are imported; else with half. Raises NotReadable."""
    source = source_of(socket)
    if source is None:
        raise NotReadable("no image")
    node = source.node
    if node.type == "MATH" and node.operation == "SUBTRACT" and node.inputs[0].default_value == 1:
        inner = source_of(node.inputs[1])
        if inner and inner.node.type == "MATH" and inner.node.operation == "LESS_THAN":
            node = inner.node
    if node.type == "MATH" and node.operation in ("GREATER_THAN", "LESS_THAN") and not source_of(node.inputs[1]):
        if node.operation == "LESS_THAN" and node == source.node:
            raise NotReadable("what is there is where the image is not")
        return read(node.inputs[0], "alpha"), node.inputs[1].default_value
    if node.type == "MATH" and node.operation == "ROUND":
        return read(node.inputs[0], "alpha"), DEFAULT
    clip = getattr(material, "blend_method", "") == "CLIP"  # before Blender 4.2
    return read(socket, "alpha"), material.alpha_threshold if clip else DEFAULT


def alpha_of(cut: Cut) -> np.ndarray:
    """[H, W] bytes, lowest row first."""
    return pixels(cut.channel.image, cut.channel.take)


def trim(corners: np.ndarray, uv: np.ndarray, alpha: np.ndarray, cut: Cut, size: float) -> tuple[np.ndarray, ...] | None:
    """Which faces are replaced [F] bool, and by what: the face of each small triangle [N] and its corners' places in it [N, 3, 3].

    corners [F, 3, 3] in space, uv [F, 3, 2], alpha [H, W], size: of the whole asset. None where all of the faces is there.
    """
    least = cut.threshold / max(cut.channel.factor[0], 1e-6)
    if alpha.min() / 255 >= least:
        return None
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(initial=0)
    times = int(np.rint(np.log2(max(longest / (STEP * size), 1))))
    while times and len(corners) * 4**times > MOST:
        times -= 1
    places = np.eye(3)[None]
    for _ in range(times):
        places = _halved(places)
    shown = sample(alpha, np.einsum("mk,fkd->fmd", places.mean(1), uv), cut.channel) >= least  # [F, pieces]
    whole = _whole_pieces(corners, shown.all(1))
    if whole.all():
        return None
    shown[whole] = False
    of, which = np.nonzero(shown)
    return ~whole, of, places[which]


def _whole_pieces(corners: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Faces [F] bool of connected pieces that are all there: they stay as they are; in the others no corner may end on an edge."""
    _, vertex = np.unique(np.round(corners.reshape(-1, 3) * 1e6 / max(np.abs(corners).max(), 1e-30)), axis=0, return_inverse=True)
    vertex = vertex.reshape(-1, 3)
    label = np.arange(vertex.max() + 1)
    while True:
        before, least = label.copy(), label[vertex].min(1)
        np.minimum.at(label, vertex.ravel(), np.repeat(least, 3))
        label = label[label]
        if (label == before).all():
            break
    cut = np.zeros(len(label), bool)
    cut[label[vertex[~shown, 0]]] = True
    return ~cut[label[vertex[:, 0]]]


def _halved(places: np.ndarray) -> np.ndarray:
    """Each triangle in four. [N, 3, 3] -> [4N, 3, 3]"""
    a, b, c = places[:, 0], places[:, 1], places[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.stack([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))], 1).reshape(-1, 3, 3)


def sample(alpha: np.ndarray, uv: np.ndarray, channel: Channel) -> np.ndarray:
    """Alpha at places of an image, between texels as Blender does it. [H, W], [..., 2] -> [...] 0 … 1"""
    sides = np.array(alpha.shape[::-1])
    closest = channel.interpolation == "Closest"
    at = np.nan_to_num(uv.astype(np.float64)) * sides - (0.0 if closest else 0.5)
    low = np.floor(at).astype(np.int64)
    x, y = np.moveaxis(at - low, -1, 0)

    def take(dx: int, dy: int) -> np.ndarray:
        at = low + np.array((dx, dy))
        inside = ((at >= 0) & (at < sides)).all(-1) | (channel.extension != "CLIP")
        if channel.extension == "MIRROR":
            at = np.minimum(at % (2 * sides), 2 * sides - 1 - at % (2 * sides))
        at = at % sides if channel.extension == "REPEAT" else at.clip(0, sides - 1)
        return np.where(inside, alpha[at[..., 1], at[..., 0]] / 255, 0)

    if closest:
        return take(0, 0)
    return (take(0, 0) * (1 - x) + take(1, 0) * x) * (1 - y) + (take(0, 1) * (1 - x) + take(1, 1) * x) * y
