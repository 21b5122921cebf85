# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that differ a little from object to object: materials of a population multiply their base colour by what the point carries."""

import bpy

ATTRIBUTE = "tint"  # of points, and a property of plain objects
LABEL = "LATTE3D Tint"


def tint_materials(item: bpy.types.Object) -> None:
    """Let the materials of an asset listen to the tint: copies of them, on a copy of its mesh, so that nothing else changes."""
    if item.type != "MESH" or not item.data.materials or all(_is_tinted(one) for one in item.data.materials if one):
        return
    mesh = item.data.copy() if item.data.users > 1 else item.data
    item.data = mesh
    mesh.pop("latte3d_key", None)  # it is no longer what the engine sent
    for slot, material in enumerate(mesh.materials):
        if material is not None and material.node_tree is not None:
            mesh.materials[slot] = tinted(material)


def _is_tinted(material: bpy.types.Material) -> bool:
    return material.node_tree is not None and any(node.label == LABEL for node in material.node_tree.nodes)


def tinted(material: bpy.types.Material) -> bpy.types.Material:
    """A copy of a material whose Principled shaders take their base colour times the tint; made once."""
    name = f"{material.name[:50]} Tinted"
    made = next((one for one in bpy.data.materials if one.get("latte3d_tinted") == material.name_full), None)
    if made is not None:
        return made
    made = material.copy()
    made.name = name
    made["latte3d_tinted"] = material.name_full
    made.pop("latte3d_key", None)
    tree = made.node_tree
    for shader in [node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"]:
        source = tree.nodes.new("ShaderNodeAttribute")
        source.attribute_type, source.attribute_name, source.label = "INSTANCER", ATTRIBUTE, LABEL
        mix = tree.nodes.new("ShaderNodeMix")
        mix.data_type, mix.blend_type, mix.label = "RGBA", "MULTIPLY", LABEL
        mix.inputs["Factor"].default_value = 1.0
        first, second = (socket for socket in mix.inputs if socket.type == "RGBA")
        socket = shader.inputs["Base Color"]
        if socket.links:
            tree.links.new(socket.links[0].from_socket, first)
        else:
            first.default_value = socket.default_value
        tree.links.new(source.outputs["Color"], second)
        tree.links.new(next(out for out in mix.outputs if out.type == "RGBA"), socket)
        source.location, mix.location = ((shader.location.x - aside, shader.location.y + 240) for aside in (420, 200))
    return made
