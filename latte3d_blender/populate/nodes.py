# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry nodes that show computed points as objects, and the modifier's inputs in every version of Blender."""

import math
from typing import Any

import bpy

GROUP = "LATTE3D Scatter"
VERSION = 1  # of the nodes; an older group in the file is left alone, and a new one is made
# name, type of socket, default, (least, most), description
INPUTS = (
    ("Assets", "NodeSocketCollection", None, None, "The objects that the points stand for, in the order of their names"),
    ("Viewport Share", "NodeSocketFloat", 1.0, (0.0, 1.0), "Share of the objects that viewports show; renders have all"),
    ("Show as Boxes", "NodeSocketBool", False, None, "Show boxes in viewports, for heavy scenes"),
    ("Boxes", "NodeSocketCollection", None, None, "The boxes, in the order of the assets"),
    ("Simpler Beyond", "NodeSocketFloat", 0.0, (0.0, 1e6), "Distance to the camera from which simpler meshes are shown; 0 is never"),
    ("Simpler", "NodeSocketCollection", None, None, "The simpler meshes, in the order of the assets"),
    ("Only in View", "NodeSocketBool", False, None, "Leave out what the active camera does not look at"),
    ("View Angle", "NodeSocketFloat", math.radians(40), (0.0, math.pi), "Half the angle of the cone in which objects stay"),
    ("View Margin", "NodeSocketFloat", 5.0, (0.0, 1e6), "Objects that are nearer to the camera than this stay, wherever it looks"),
)


def scatter_group() -> bpy.types.NodeTree:
    """The node group of this file, made if need be."""
    for group in bpy.data.node_groups:
        if group.get("latte3d_scatter") == VERSION and group.bl_idname == "GeometryNodeTree" and not group.library:
            return group
    group = bpy.data.node_groups.new(GROUP, "GeometryNodeTree")
    group["latte3d_scatter"] = VERSION
    group.is_modifier = True
    _interface(group)
    _Builder(group).build()
    return group


def _interface(group: bpy.types.NodeTree) -> None:
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    for name, kind, default, limits, about in INPUTS:
        socket = group.interface.new_socket(name, in_out="INPUT", socket_type=kind, description=about)
        if default is not None:
            socket.default_value = default
        if limits:
            socket.min_value, socket.max_value = limits
        if name == "View Angle":
            socket.subtype = "ANGLE"
        elif kind == "NodeSocketFloat":
            socket.subtype = "FACTOR" if name == "Viewport Share" else "DISTANCE"


class _Builder:
    """Adds nodes from left to right."""

    def __init__(self, group: bpy.types.NodeTree):
        self.group, self.column = group, 0
        self.inputs = self.node("NodeGroupInput").outputs

    def node(self, kind: str, inputs: dict[str | int, Any] | None = None, **settings) -> bpy.types.Node:
        """Add a node; a socket as input is linked, anything else is its value."""
        node = self.group.nodes.new(kind)
        node.location = (200 * (self.column // 4), -220 * (self.column % 4))
        self.column += 1
        for name, value in settings.items():
            setattr(node, name, value)
        for name, value in (inputs or {}).items():
            self.feed(node.inputs[name], value)
        return node

    def feed(self, socket: bpy.types.NodeSocket, value: Any) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.group.links.new(value, socket)
        else:
            socket.default_value = value

    def attribute(self, name: str, kind: str) -> bpy.types.NodeSocket:
        """A value that the points carry."""
        node = self.node("GeometryNodeInputNamedAttribute", {"Name": name}, data_type=kind)
        return next(socket for socket in node.outputs if socket.enabled and socket.name == "Attribute")

    def logic(self, operation: str, *values) -> bpy.types.NodeSocket:
        return self.node("FunctionNodeBooleanMath", dict(enumerate(values)), operation=operation).outputs[0]

    def compare(self, operation: str, first, second) -> bpy.types.NodeSocket:
        return self.node("FunctionNodeCompare", {0: first, 1: second}, data_type="FLOAT", operation=operation).outputs[0]

    def vector(self, operation: str, *values) -> bpy.types.Node:
        return self.node("ShaderNodeVectorMath", dict(enumerate(values)), operation=operation)

    def build(self) -> None:
        """Which points are shown, and as what."""
        given = self.inputs
        viewport = self.node("GeometryNodeIsViewport").outputs[0]
        shown = self.logic("OR", self.compare("LESS_THAN", self.attribute("share", "FLOAT"), given["Viewport Share"]), self._not(viewport))
        distance, ahead = self._camera()
        seen = self.logic(
            "OR", self.compare("GREATER_EQUAL", ahead, self._cosine()), self.compare("LESS_THAN", distance, given["View Margin"])
        )
        shown = self.logic("AND", shown, self.logic("OR", seen, self._not(given["Only in View"])))
        boxes = self.logic("AND", given["Show as Boxes"], viewport)
        far = self.logic("AND", self.compare("GREATER_THAN", distance, given["Simpler Beyond"]), self._positive(given["Simpler Beyond"]))
        full, plain = self.logic("AND", shown, self._not(boxes)), self.logic("AND", shown, boxes)
        parts = [
            self._instances("Assets", self.logic("AND", full, self._not(far))),
            self._instances("Simpler", self.logic("AND", full, far)),
            self._instances("Boxes", plain),
        ]
        join = self.node("GeometryNodeJoinGeometry")
        for part in parts:
            self.group.links.new(part, join.inputs[0])
        self.node("NodeGroupOutput", {0: join.outputs[0]})

    def _not(self, value) -> bpy.types.NodeSocket:
        return self.logic("NOT", value)

    def _positive(self, value) -> bpy.types.NodeSocket:
        return self.compare("GREATER_THAN", value, 0.0)

    def _cosine(self) -> bpy.types.NodeSocket:
        return self.node("ShaderNodeMath", {0: self.inputs["View Angle"]}, operation="COSINE").outputs[0]

    def _camera(self) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
        """Each point's distance to the active camera, and the cosine of the angle to where that looks."""
        camera = self.node("GeometryNodeInputActiveCamera").outputs[0]
        about = self.node("GeometryNodeObjectInfo", {"Object": camera}, transform_space="RELATIVE").outputs
        way = self.vector("SUBTRACT", self.node("GeometryNodeInputPosition").outputs[0], about["Location"]).outputs[0]
        looks = self.node("FunctionNodeRotateVector", {"Vector": (0.0, 0.0, -1.0), "Rotation": about["Rotation"]}).outputs[0]
        distance = self.vector("LENGTH", way).outputs["Value"]
        return distance, self.vector("DOT_PRODUCT", self.vector("NORMALIZE", way).outputs[0], looks).outputs["Value"]

    def _instances(self, collection: str, selection: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        """The selected points as objects of a collection."""
        settings = {"Collection": self.inputs[collection], "Separate Children": True, "Reset Children": False}
        source = self.node("GeometryNodeCollectionInfo", settings, transform_space="ORIGINAL").outputs[0]
        turn = self.node("FunctionNodeEulerToRotation", {0: self.attribute("rotation", "FLOAT_VECTOR")}).outputs[0]
        inputs = {"Points": self.inputs["Geometry"], "Selection": selection, "Instance": source, "Pick Instance": True}
        inputs |= {"Instance Index": self.attribute("asset", "INT"), "Rotation": turn, "Scale": self.attribute("scale", "FLOAT_VECTOR")}
        return self.node("GeometryNodeInstanceOnPoints", inputs).outputs[0]


def identifier(group: bpy.types.NodeTree, name: str) -> str:
    """What a modifier calls an input."""
    items = (one for one in group.interface.items_tree if one.item_type == "SOCKET" and one.in_out == "INPUT")
    return next(one.identifier for one in items if one.name == name)


def set_input(modifier: bpy.types.Modifier, name: str, value: Any) -> None:
    """Set an input of the modifier; Blender 5.2 keeps them elsewhere."""
    key = identifier(modifier.node_group, name)
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, key).value = value
    else:
        modifier[key] = value


def get_input(modifier: bpy.types.Modifier, name: str) -> Any:
    """An input of the modifier."""
    key = identifier(modifier.node_group, name)
    return getattr(modifier.properties.inputs, key).value if hasattr(modifier, "properties") else modifier[key]
