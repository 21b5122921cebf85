# SPDX-License-Identifier: GPL-3.0-or-later
"""Node trees that cannot be read, baked: every channel becomes an emission that Cycles renders into an image."""

import bpy
import numpy as np

from . import Unusable
from .geometry import Part
from .materials import CHANNELS, NotReadable, as_bytes, shader_of

SAMPLES = 4
SIDES = (256, 512, 1024)  # pixels: by how many triangles there are
USUAL = {"roughness": (0.5,), "metallic": (0.0,)}
OTHERS = {  # shaders that are not Principled: socket of their colour, roughness (a socket or a number), metallic
    "BSDF_DIFFUSE": ("Color", 1.0, 0.0),
    "BSDF_GLOSSY": ("Color", "Roughness", 1.0),
    "BSDF_ANISOTROPIC": ("Color", "Roughness", 1.0),
    "BSDF_METALLIC": ("Base Color", "Roughness", 1.0),
    "EMISSION": ("Color", 1.0, 0.0),
    "BSDF_GLASS": ("Color", "Roughness", 0.0),
    "BSDF_TRANSLUCENT": ("Color", 1.0, 0.0),
    "SUBSURFACE_SCATTERING": ("Color", 1.0, 0.0),
    "BSDF_SHEEN": ("Color", "Roughness", 0.0),
}


def copy_of(part: Part, depsgraph: bpy.types.Depsgraph) -> bpy.types.Mesh:
    """A part's mesh to be baked later, when its scene is no longer needed."""
    return bpy.data.meshes.new_from_object(part.object, preserve_all_data_layers=True, depsgraph=depsgraph)


def bake(mesh: bpy.types.Mesh, matrix: np.ndarray, materials: list, slots: list[int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Bake the materials in `slots` of a mesh that stands at `matrix`, and forget the mesh.

    Returns UVs for each of its loops [L, 2] and a picture for each channel, as `materials.pixels` gives them. Raises Unusable."""
    scene, item = bpy.data.scenes.new("Bake"), bpy.data.objects.new("Bake", mesh)
    window, before = bpy.context.window, bpy.context.window.scene
    try:
        scene.collection.objects.link(item)
        window.scene = scene
        item.matrix_world = [list(row) for row in matrix.T]
        bpy.context.view_layer.objects.active = item
        item.select_set(True)
        _cycles(scene)
        uvs = _unwrap(mesh)
        side = SIDES[np.searchsorted((200, 5000), len(mesh.polygons))]
        return uvs, {channel: _bake_channel(mesh, materials, slots, channel, side) for channel in CHANNELS}
    except RuntimeError as error:
        raise Unusable(f"Its materials could not be baked: {error}") from error
    finally:
        window.scene = before
        bpy.data.objects.remove(item)
        bpy.data.meshes.remove(mesh)
        bpy.data.scenes.remove(scene)


def _cycles(scene: bpy.types.Scene) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.seed = "CPU", SAMPLES, 0
    scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling, scene.cycles.max_bounces = False, False, 0
    scene.render.bake.margin, scene.render.bake.use_clear = 3, True
    scene.render.bake.target = "IMAGE_TEXTURES"


def _unwrap(mesh: bpy.types.Mesh) -> np.ndarray:
    """A UV map where no two faces overlap, [L, 2]; it is made the active one, what renders use stays."""
    layer = mesh.uv_layers.new(name="LATTE3D bake", do_init=False)
    if layer is None:
        raise Unusable("Its materials need baking, and its mesh has no room for another UV map.")
    mesh.uv_layers.active = layer
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.reveal(select=False)
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.uv.smart_project(island_margin=0.004)
    bpy.ops.object.mode_set(mode="OBJECT")
    flat = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers["LATTE3D bake"].uv.foreach_get("vector", flat)
    return flat.reshape(-1, 2)


def _bake_channel(mesh: bpy.types.Mesh, originals: list, slots: list[int], channel: str, side: int) -> np.ndarray:
    image = bpy.data.images.new(f"LATTE3D {channel}", side, side, float_buffer=True)
    image.colorspace_settings.name = "Non-Color"
    copies = []
    try:
        for i, original in enumerate(originals):
            copy = original.copy() if original and i in slots else bpy.data.materials.new("plain")
            if bpy.app.version < (5, 0, 0):
                copy.use_nodes = True
            copies.append(copy)
            if original and i in slots:
                _emit(copy.node_tree, channel)
            node = copy.node_tree.nodes.new("ShaderNodeTexImage")
            node.image = image
            copy.node_tree.nodes.active = node
            while len(mesh.materials) <= i:
                mesh.materials.append(None)
            mesh.materials[i] = copy
        bpy.ops.object.bake(type="EMIT")
        flat = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(flat)
        return as_bytes(flat.reshape(side, side, 4), False, "color" if channel == "color" else "R")
    finally:
        bpy.data.images.remove(image)
        for copy in copies:
            bpy.data.materials.remove(copy)


def _emit(tree: bpy.types.NodeTree, channel: str) -> None:
    """Make a material's output emit one of its channels."""
    output = tree.get_output_node("CYCLES") or tree.get_output_node("ALL") or tree.nodes.new("ShaderNodeOutputMaterial")
    try:
        value = _channel(tree, shader_of(tree), channel)
    except NotReadable:
        value = _constant(tree, USUAL.get(channel, (0.8,)))
    emission = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(value, emission.inputs["Color"])
    tree.links.new(emission.outputs[0], output.inputs["Surface"])


def _channel(tree: bpy.types.NodeTree, node: bpy.types.Node, channel: str) -> bpy.types.NodeSocket:
    """An output in `tree` with the channel's value of a shader node."""
    if node.type == "BSDF_PRINCIPLED":
        return _value(tree, node.inputs[CHANNELS[channel]])
    if node.type in OTHERS:
        entry = OTHERS[node.type][list(CHANNELS).index(channel)]
        return _value(tree, node.inputs[entry]) if isinstance(entry, str) else _constant(tree, (entry,))
    if node.type in ("MIX_SHADER", "ADD_SHADER"):
        first, second = node.inputs[-2:]
        shaders = [s.links[0].from_node for s in (first, second) if s.is_linked]
        solid = [n for n in shaders if n.type != "BSDF_TRANSPARENT"]
        if len(solid) < 2 or node.type == "ADD_SHADER":
            return _channel(tree, (solid or shaders)[0], channel) if shaders else _constant(tree, (0.8,))
        mix = tree.nodes.new("ShaderNodeMixRGB")
        tree.links.new(_value(tree, node.inputs[0]), mix.inputs[0])
        for socket, shader in zip(mix.inputs[1:], solid, strict=True):
            tree.links.new(_channel(tree, shader, channel), socket)
        return mix.outputs[0]
    if node.type == "GROUP" and node.node_tree:
        return _group(tree, node, channel)
    return _constant(tree, USUAL.get(channel, (0.8,)))


def _group(tree: bpy.types.NodeTree, node: bpy.types.Node, channel: str) -> bpy.types.NodeSocket:
    """The group gets an output of its own for the channel."""
    inner = node.node_tree = node.node_tree.copy()
    end = next((n for n in inner.nodes if n.type == "GROUP_OUTPUT" and n.is_active_output), None)
    shader = next((s.links[0].from_node for s in end.inputs if s.type == "SHADER" and s.is_linked), None) if end else None
    if shader is None:
        return _constant(tree, USUAL.get(channel, (0.8,)))
    name = f"LATTE3D {channel}"
    inner.interface.new_socket(name, in_out="OUTPUT", socket_type="NodeSocketColor")
    inner.links.new(_channel(inner, shader, channel), end.inputs[name])
    return node.outputs[name]


def _value(tree: bpy.types.NodeTree, socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """What feeds an input, or its own value as an output."""
    if socket.is_linked:
        return socket.links[0].from_socket
    value = socket.default_value
    return _constant(tree, tuple(value)[:3] if hasattr(value, "__len__") else (value,))


def _constant(tree: bpy.types.NodeTree, value: tuple) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeRGB")
    node.outputs[0].default_value = (*(value if len(value) == 3 else value * 3), 1.0)
    return node.outputs[0]
