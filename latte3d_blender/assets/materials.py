# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials read as base colour, roughness and metallic: constants, images through their own UVs, colour attributes, products of them.

Other node trees raise NotReadable; they are baked (baking.py). Factors are linear.
"""

from dataclasses import dataclass, replace

import bpy
import numpy as np

MOST_PIXELS = 2048  # a side of a picture
CHANNELS = {"color": "Base Color", "roughness": "Roughness", "metallic": "Metallic"}
LUMINANCE = np.array((0.2126, 0.7152, 0.0722), np.float32)
PLAIN = (0.8, 0.8, 0.8)  # Blender's own colour of what has no material


class NotReadable(Exception):
    """A node tree that must be baked."""


class NoImage(Exception):
    """A node shows an image that is not there: what the importer did not find."""


@dataclass(frozen=True)
class Channel:
    """factor × image × colour attribute. `layer`: the image's UV map ("": the mesh's own choice), `place`: rows of a 2 × 3 matrix on it;
    `take`: color, or R, G, B, A or lum for a single number; `corner`: the attribute's name, "": the one that renders, None: none."""

    factor: tuple[float, ...]
    image: bpy.types.Image | None = None
    take: str = "color"
    layer: str = ""
    place: tuple[float, ...] = (1, 0, 0, 0, 1, 0)
    interpolation: str = "Linear"
    extension: str = "REPEAT"
    corner: str | None = None


@dataclass
class Look:
    """What a material looks like; `transparent`: it has holes or is see-through, which is not kept."""

    name: str
    color: Channel
    roughness: Channel
    metallic: Channel
    transparent: bool = False

    def channels(self) -> tuple[Channel, Channel, Channel]:
        return self.color, self.roughness, self.metallic


def plain(name: str, color=PLAIN, roughness: float = 0.5, metallic: float = 0.0, corner: str | None = None) -> Look:
    return Look(name, Channel(tuple(color)[:3], corner=corner), Channel((roughness,)), Channel((metallic,)))


def read_look(material: bpy.types.Material | None, mesh: bpy.types.Mesh) -> Look:
    """The look of one material on one mesh. Raises NotReadable."""
    if material is None:
        own = mesh.color_attributes.active_color
        return plain("", (1, 1, 1) if own else PLAIN, corner=own.name if own else None)
    tree = material.node_tree if material.use_nodes else None
    if tree is None:
        return plain(material.name, material.diffuse_color, material.roughness, material.metallic)
    return _shader(material.name, shader_of(tree))


def shader_of(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """The node whose surface is shown. Raises NotReadable."""
    output = tree.get_output_node("CYCLES") or tree.get_output_node("ALL")
    source = source_of(output.inputs["Surface"]) if output else None
    if source is None:
        raise NotReadable("no surface")
    return source.node


def _shader(name: str, node: bpy.types.Node) -> Look:
    if node.type == "BSDF_PRINCIPLED":
        alpha = node.inputs["Alpha"]
        channels = [read(node.inputs[socket], kind) for kind, socket in CHANNELS.items()]
        return Look(name, *channels, transparent=alpha.is_linked or alpha.default_value < 0.99)
    if node.type in ("BSDF_DIFFUSE", "EMISSION", "SUBSURFACE_SCATTERING"):
        return Look(name, read(node.inputs["Color" if "Color" in node.inputs else 0], "color"), Channel((1.0,)), Channel((0.0,)))
    if node.type in ("BSDF_GLOSSY", "BSDF_METALLIC", "BSDF_ANISOTROPIC"):
        return Look(name, read(node.inputs[0], "color"), read(node.inputs["Roughness"], "roughness"), Channel((1.0,)))
    if node.type in ("BSDF_GLASS", "BSDF_REFRACTION", "BSDF_TRANSLUCENT", "BSDF_TRANSPARENT"):
        return Look(name, read(node.inputs["Color"], "color"), Channel((0.1,)), Channel((0.0,)), transparent=True)
    if node.type == "MIX_SHADER":
        shaders = [s.node for s in map(source_of, node.inputs[1:3]) if s]
        solid = [n for n in shaders if n.type != "BSDF_TRANSPARENT"]
        if len(solid) == 1 and len(shaders) == 2:
            return replace(_shader(name, solid[0]), transparent=True)
    raise NotReadable(node.bl_label)


def source_of(socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket | None:
    """The output that feeds an input, past reroutes and muted nodes' own pass; None: nothing does."""
    while socket.is_linked:
        link = socket.links[0]
        if link.is_muted:
            return None
        if link.from_node.type == "REROUTE":
            socket = link.from_node.inputs[0]
            continue
        if link.from_node.mute:
            raise NotReadable("a muted node")
        return link.from_socket
    return None


def read(socket: bpy.types.NodeSocket, kind: str) -> Channel:
    """What feeds a socket; kind "color", or a channel of one number. Raises NotReadable."""
    source = source_of(socket)
    if source is None:
        return _constant(socket.default_value, kind)
    node = source.node
    if node.type == "TEX_IMAGE" and node.image is None:
        raise NoImage
    if node.type == "TEX_IMAGE" and node.image.source in ("FILE", "GENERATED") and node.projection == "FLAT":
        take = "A" if source.name == "Alpha" else "color" if kind == "color" else "lum"
        if take == "A" and kind == "color":
            raise NotReadable("an image's alpha as a colour")
        layer, place = _uv(node.inputs["Vector"])
        one = (1.0, 1.0, 1.0) if kind == "color" else (1.0,)
        return Channel(one, node.image, take, layer, place, node.interpolation, node.extension)
    if node.type in ("VERTEX_COLOR", "ATTRIBUTE") and source.name == "Color" and kind == "color":
        if node.type == "ATTRIBUTE" and node.attribute_type != "GEOMETRY":
            raise NotReadable("an object's attribute")
        return Channel((1.0, 1.0, 1.0), corner=node.layer_name if node.type == "VERTEX_COLOR" else node.attribute_name)
    if node.type in ("RGB", "VALUE"):
        return _constant(source.default_value, kind)
    if node.type in ("SEPARATE_COLOR", "SEPRGB") and kind != "color" and getattr(node, "mode", "RGB") == "RGB":
        image = read(node.inputs[0], "color")
        if image.corner is not None or image.factor != (1.0, 1.0, 1.0):
            raise NotReadable("a part of a product")
        return replace(image, factor=(1.0,), take={"Red": "R", "Green": "G", "Blue": "B"}.get(source.name, source.name[0]))
    if node.type in ("MIX", "MIX_RGB", "MATH"):
        return _mixed(node, kind)
    raise NotReadable(node.bl_label)


def _constant(value, kind: str) -> Channel:
    if kind == "color":
        value = tuple(value)[:3] if hasattr(value, "__len__") else (value,) * 3
        return Channel(tuple(float(v) for v in value))
    return Channel((float(np.dot(tuple(value)[:3], LUMINANCE) if hasattr(value, "__len__") else value),))


def _mixed(node: bpy.types.Node, kind: str) -> Channel:
    """A product; a mixture of which only one side counts."""
    if node.type == "MATH":
        if node.operation != "MULTIPLY" or node.use_clamp:
            raise NotReadable(node.operation)
        return _product(read(node.inputs[0], kind), read(node.inputs[1], kind))
    if node.type == "MIX":
        if node.data_type != ("RGBA" if kind == "color" else "FLOAT"):
            raise NotReadable(node.data_type)
        enabled = [s for s in node.inputs if s.enabled]
        share, a, b = enabled[:3]
        blend = node.blend_type if node.data_type == "RGBA" else "MIX"
    else:
        (share, a, b), blend = node.inputs[:3], node.blend_type
    amount = None if source_of(share) else share.default_value
    if amount == 0:
        return read(a, kind)
    if amount == 1 and blend == "MIX":
        return read(b, kind)
    if amount == 1 and blend == "MULTIPLY":
        return _product(read(a, kind), read(b, kind))
    raise NotReadable(blend)


def _product(a: Channel, b: Channel) -> Channel:
    """One image and one attribute at most. Raises NotReadable."""
    if (a.image and b.image) or (a.corner is not None and b.corner is not None):
        raise NotReadable("two images")
    base = a if a.image else b
    factor = tuple(x * y for x, y in zip(a.factor, b.factor, strict=True))
    return replace(base, factor=factor, corner=b.corner if a.corner is None else a.corner)


def _uv(socket: bpy.types.NodeSocket) -> tuple[str, tuple[float, ...]]:
    """A UV map's name and what is done to it, a 2 × 3 matrix. Raises NotReadable."""
    source = source_of(socket)
    if source is None:
        return "", Channel.place
    node = source.node
    if node.type == "UVMAP" and not node.from_instancer:
        return node.uv_map, Channel.place
    if node.type == "TEX_COORD" and source.name == "UV" and not node.from_instancer:
        return "", Channel.place
    if node.type == "MAPPING" and node.vector_type in ("POINT", "TEXTURE") and not any(map(source_of, node.inputs[1:])):
        layer, inner = _uv(node.inputs["Vector"])
        if inner != Channel.place:
            raise NotReadable("two mappings")
        move, turn, size = (tuple(node.inputs[name].default_value) for name in ("Location", "Rotation", "Scale"))
        if abs(turn[0]) + abs(turn[1]) > 1e-6 or 0 in size[:2]:
            raise NotReadable("a mapping out of the plane")
        c, s = np.cos(turn[2]), np.sin(turn[2])
        m = np.array(((c * size[0], -s * size[1], move[0]), (s * size[0], c * size[1], move[1]), (0, 0, 1)))
        m = np.linalg.inv(m) if node.vector_type == "TEXTURE" else m
        return layer, tuple(float(v) for v in m[:2].ravel())
    raise NotReadable(node.bl_label)


def missing_images(tree: bpy.types.NodeTree) -> set[str]:
    """Names of the images that nodes of a tree use and that are not there."""
    missing = set()
    for node in tree.nodes:
        if node.type == "TEX_IMAGE" and any(socket.is_linked for socket in node.outputs):
            if node.image is None:
                missing.add("an image without a name")
            elif is_missing(node.image):
                missing.add(node.image.filepath or node.image.name)
        if node.type == "GROUP" and node.node_tree:
            missing |= missing_images(node.node_tree)
    return missing


# Pictures -------------------------------------------------------------------------------------------------------------------------------


def is_missing(image: bpy.types.Image) -> bool:
    """Whether an image has no pixels to give. Asking for its size reads its file."""
    return min(image.size) == 0


def pixels(image: bpy.types.Image, take: str) -> np.ndarray:
    """sRGB bytes [H, W, 3], or linear bytes [H, W] of one channel; the first row is the lowest, v = 0."""
    shrunk = None
    if max(image.size) > MOST_PIXELS:
        shrunk = image.copy()
        factor = MOST_PIXELS / max(image.size)
        shrunk.scale(*(max(1, round(side * factor)) for side in image.size))
    source = shrunk or image
    flat = np.empty(len(source.pixels), np.float32)
    source.pixels.foreach_get(flat)
    values = flat.reshape(source.size[1], source.size[0], source.channels)
    encoded = not source.is_float and source.colorspace_settings.name not in ("Non-Color", "Raw", "Linear Rec.709", "Linear")
    if shrunk:
        bpy.data.images.remove(shrunk)
    return as_bytes(values, encoded, take)


def as_bytes(values: np.ndarray, encoded: bool, take: str) -> np.ndarray:
    """Pixels [H, W, C] floats, sRGB-encoded or linear, as `pixels` gives them."""
    if take == "A":
        plane = values[..., 3] if values.shape[-1] == 4 else np.ones(values.shape[:2], np.float32)
        return _byte(plane)
    rgb = values[..., :3] if values.shape[-1] >= 3 else np.repeat(values[..., :1], 3, -1)
    if take == "color":
        return _byte(rgb if encoded else to_srgb(rgb))
    linear = to_linear(rgb) if encoded else rgb
    return _byte(linear @ LUMINANCE if take == "lum" else linear[..., "RGB".index(take)])


def _byte(values: np.ndarray) -> np.ndarray:
    return (np.nan_to_num(values).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, None)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.clip(srgb, 0, None) + 0.055) / 1.055) ** 2.4)
