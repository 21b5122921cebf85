# SPDX-License-Identifier: GPL-3.0-or-later
"""Images and materials: a Principled shader fed by the two images that the engine made."""

import bpy


def packed_image(name: str, data: bytes, *, color: bool) -> bpy.types.Image:
    """Return an image whose encoded bytes (PNG, JPEG, WebP) lie packed in the .blend: they survive undo, redo, save and reopen.

    `color`: sRGB-encoded colours; otherwise plain numbers (Non-Color).
    """
    image = bpy.data.images.new(name, 1, 1)
    image.colorspace_settings.name = "sRGB" if color else "Non-Color"
    image.source = "FILE"
    image.pack(data=data, data_len=len(data))
    return image


def textured_material(name: str, base_color: bytes, metallic_roughness: bytes) -> bpy.types.Material:
    """Return a Principled material; `metallic_roughness` holds roughness in green and metallic in blue, as glTF has it."""
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    nodes, links = tree.nodes, tree.links

    def node(kind: str, x: float, y: float) -> bpy.types.Node:
        made = nodes.new(kind)
        made.location = (x, y)
        return made

    color, numbers = node("ShaderNodeTexImage", -700, 300), node("ShaderNodeTexImage", -700, 0)
    split, shader, output = (
        node("ShaderNodeSeparateColor", -400, 0),
        node("ShaderNodeBsdfPrincipled", -180, 300),
        node("ShaderNodeOutputMaterial", 120, 300),
    )
    color.label, numbers.label = "Base Color", "Roughness (G), Metallic (B)"
    color.image = packed_image(f"{name} Base Color", base_color, color=True)
    numbers.image = packed_image(f"{name} Roughness Metallic", metallic_roughness, color=False)
    links.new(color.outputs["Color"], shader.inputs["Base Color"])
    links.new(numbers.outputs["Color"], split.inputs["Color"])
    links.new(split.outputs["Green"], shader.inputs["Roughness"])
    links.new(split.outputs["Blue"], shader.inputs["Metallic"])
    links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    nodes.active = color  # what a Solid viewport shows as "Texture"
    return material
