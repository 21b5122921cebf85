# SPDX-License-Identifier: GPL-3.0-or-later
"""Images and materials: a Principled shader fed by the images and numbers that the engine made."""

import hashlib
from collections.abc import Callable

import bpy

from ..client.job import Result

GLASS_IOR = 1.45
IMAGE_HEADS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"RIFF")  # PNG, JPEG, WebP


def linear(color: list[float]) -> list[float]:
    """Turn sRGB-encoded values, 0 to 1, into linear ones, which sockets hold."""
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in color]


def packed_image(name: str, data: bytes, *, color: bool) -> bpy.types.Image:
    """Return an image whose encoded bytes (PNG, JPEG, WebP) lie packed in the .blend: they survive undo, redo, save and reopen.

    `color`: sRGB-encoded colours; otherwise plain numbers (Non-Color). Raises ValueError for bytes that are no image.
    """
    if not data.startswith(IMAGE_HEADS):
        raise ValueError("The engine sent a texture that is no image.")
    image = bpy.data.images.new(name, 1, 1)
    image.colorspace_settings.name = "sRGB" if color else "Non-Color"
    image.source = "FILE"
    image.pack(data=data, data_len=len(data))
    return image


def textured_material(result: Result, name: Callable[[str], str]) -> bpy.types.Material:
    """Return a Principled material for an object that the engine has made; `name` makes a data-block's name with what it gets appended.

    Images where the surface varies: `base_color`, and `metallic_roughness` with roughness in green and metallic in blue, as glTF has it.
    Numbers where it does not: `color` (sRGB), `roughness`, `metallic`. The viewport shows the main colour and the numbers.
    `transmission`: how much light passes through it, as through glass; `emission`: how strongly it shines in its own colours.
    """
    material = bpy.data.materials.new(name(""))
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    shader, output = tree.nodes.new("ShaderNodeBsdfPrincipled"), tree.nodes.new("ShaderNodeOutputMaterial")
    shader.location, output.location = (-180, 300), (120, 300)
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    main = (*linear(result.fields.get("color") or (0.8, 0.8, 0.8)), 1.0)
    numbers = {part: result.fields.get(part) for part in ("roughness", "metallic")}
    if "metallic_roughness" in result.arrays:
        _numbers_image(tree, shader, result.arrays["metallic_roughness"], name(" Roughness Metallic"), numbers)
    if "base_color" in result.arrays:
        _color_image(tree, shader, result.arrays["base_color"], name(" Base Color"))
    else:
        shader.inputs["Base Color"].default_value = main
    if result.fields.get("color"):
        material.diffuse_color = main
    for part, value in numbers.items():
        if value is not None:
            shader.inputs[part.capitalize()].default_value = value
            setattr(material, part, value)
    _light(material, shader, result.fields)
    material["latte3d_state"] = _state(material)
    return material


def _light(material: bpy.types.Material, shader: bpy.types.Node, fields: dict) -> None:
    """Let light pass through it, or let it shine in its own colours, where that was asked for."""
    if transmission := fields.get("transmission"):
        shader.inputs["Transmission Weight"].default_value = transmission
        shader.inputs["IOR"].default_value = GLASS_IOR
        if hasattr(material, "use_raytrace_refraction"):
            material.use_raytrace_refraction = True  # else EEVEE shows through it the world and nothing of the scene
    if emission := fields.get("emission"):
        shader.inputs["Emission Strength"].default_value = emission
        color = shader.inputs["Base Color"]
        shader.inputs["Emission Color"].default_value = color.default_value
        for link in color.links:
            material.node_tree.links.new(link.from_socket, shader.inputs["Emission Color"])


def _image_node(tree: bpy.types.NodeTree, label: str, y: float, image: bpy.types.Image) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeTexImage")
    node.label, node.image, node.location = label, image, (-700, y)
    return node


def _color_image(tree: bpy.types.NodeTree, shader: bpy.types.Node, data, name: str) -> None:
    node = _image_node(tree, "Base Color", 300, packed_image(name, data.tobytes(), color=True))
    tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    tree.nodes.active = node  # what a Solid viewport shows as "Texture"


def _numbers_image(tree: bpy.types.NodeTree, shader: bpy.types.Node, data, name: str, numbers: dict[str, float | None]) -> None:
    """Link the channels of those parts that are not one number everywhere."""
    node = _image_node(tree, "Roughness (G), Metallic (B)", 0, packed_image(name, data.tobytes(), color=False))
    split = tree.nodes.new("ShaderNodeSeparateColor")
    split.location = (-400, 0)
    tree.links.new(node.outputs["Color"], split.inputs["Color"])
    for part, channel in (("roughness", "Green"), ("metallic", "Blue")):
        if numbers[part] is None:
            tree.links.new(split.outputs[channel], shader.inputs[part.capitalize()])


def images(material: bpy.types.Material) -> dict[str, bpy.types.Image]:
    """The images of a material made here, by the name of the array that they came as."""
    names = {"Base Color": "base_color", "Roughness (G), Metallic (B)": "metallic_roughness"}
    return {names[node.label]: node.image for node in material.node_tree.nodes if node.label in names and getattr(node, "image", None)}


def is_still(material: bpy.types.Material, result: Result) -> bool:
    """Whether a material is what `textured_material` makes of a result: nobody has changed it since."""
    if material.get("latte3d_state") != _state(material):
        return False
    found, sent = images(material), result.arrays
    if found.keys() != {"base_color", "metallic_roughness"} & sent.keys():
        return False
    return all(image.packed_file and not image.is_dirty and image.packed_file.data == sent[name].tobytes() for name, image in found.items())


def _state(material: bpy.types.Material) -> str:
    """A digest of what an artist may have changed: nodes, their links and values, what the viewport shows."""

    def plain(value):
        return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value

    tree = material.node_tree
    values = [
        (node.bl_idname, socket.identifier, plain(getattr(socket, "default_value", None))) for node in tree.nodes for socket in node.inputs
    ]
    links = [(link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier) for link in tree.links]
    shown = (tuple(material.diffuse_color), material.roughness, material.metallic)
    spaces = [image.colorspace_settings.name for image in images(material).values()]
    return hashlib.sha1(repr((values, links, shown, spaces)).encode(), usedforsecurity=False).hexdigest()
