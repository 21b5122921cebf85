# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist types, saved with the scene; and what Set Up needs to know, for this session."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import session
from .variations import MOST

SOURCES = [
    ("INTERNET", "Internet", "Download what the engine needs"),
    ("WHEELS", "Folder", "Install from a folder of downloaded packages (.whl files), without the internet"),
    ("PYTHON", "Existing", "Use a Python environment that already has what the engine needs"),
]
DETAILS = [  # the engine holds the exact numbers: core/limits.py
    ("draft", "Draft", "About 3,000 triangles and a texture of 512 pixels: for backgrounds and for trying out"),
    ("standard", "Standard", "About 12,000 triangles and a texture of 1024 pixels"),
    ("high", "High", "About 50,000 triangles and a texture of 1024 pixels: for close-ups"),
    ("full", "Full", "Every triangle that the model's surface has, often more than 100,000, and a texture of 1024 pixels"),
]


PLACES = [
    ("BESIDE", "Beside", "On a free spot near the shape that it was made from"),
    ("INSTEAD", "Instead", "On the shape's own place; the shape is hidden, not deleted"),
]


UVS = [
    ("NEW", "New UVs", "Into UVs that are made for it, a layer of its own; the layers that are there stay"),
    ("OWN", "Own UVs", "Into the active UV layer: it has to lie inside the image, with no face on another"),
]
FRONTS = [
    ("0", "Front: −Y", "Its front is where Blender's front view looks at it from"),
    ("1", "Front: +X", "Its front is at the right of Blender's front view"),
    ("2", "Front: +Y", "Its front is at the back"),
    ("3", "Front: −X", "Its front is at the left of Blender's front view"),
]


def _prompt_changed(self, context) -> None:
    session.forget("unfamiliar", "bad_request")  # they speak of another prompt


def _choice_changed(self, context) -> None:
    session.forget("choice", "setup")


def _search_changed(self, context) -> None:
    self.history_page = 0


AUTOMATIC = ("AUTO", "Automatic", "For each prompt the installed model that knows it best")
_items: list[tuple] = [AUTOMATIC]  # Blender keeps no reference to the texts of a menu that is made as it opens


def _models(self, context) -> list[tuple]:
    """Automatic, and the models that the engine has."""
    ids = session.SESSION.engine.models
    kinds = {name: ", ".join(model.get("kinds", [])[:8]).replace("_", " ") for name, model in ids.items()}
    _items[:] = [AUTOMATIC, *((name, name, f"This model alone, which knows: {kinds[name]}") for name in ids)]
    return _items


def _chosen(self) -> int:
    """The entry of the scene's model; Automatic where that is not there."""
    ids = list(session.SESSION.engine.models)
    return 1 + ids.index(self.model) if self.model in ids else 0


def _choose(self, number: int) -> None:
    self.model = list(session.SESSION.engine.models)[number - 1] if number else ""


class LATTE3D_PG_scene(bpy.types.PropertyGroup):
    """The prompt, its model, its detail and its seed."""

    prompt: StringProperty(
        name="Prompt", description="What to make, as in “a red mushroom with white spots”", update=_prompt_changed,
        options={"ANIMATABLE", "TEXTEDIT_UPDATE"},
    )  # fmt: skip
    model: StringProperty(
        name="Model", description="The id of the model that makes the objects of this scene; empty: the one that knows the prompt best",
        update=_prompt_changed,
    )  # fmt: skip
    model_choice: EnumProperty(name="Model", description="What makes the object", items=_models, get=_chosen, set=_choose)
    detail: EnumProperty(name="Detail", description="How fine the mesh and its texture are", items=DETAILS, default="standard")
    seed: IntProperty(name="Seed", description="Another seed is another object of the same description", min=0, max=2**31 - 1)
    count: IntProperty(
        name="Variations", description="How many objects of the description to make, each of its own seed, side by side", default=1, min=1,
        max=MOST,
    )  # fmt: skip
    use_blend: BoolProperty(name="Blend", description="Make something between the prompt and a second one")
    blend_prompt: StringProperty(
        name="Blend With", description="The second prompt, as in “a brown mushroom”", update=_prompt_changed,
        options={"ANIMATABLE", "TEXTEDIT_UPDATE"},
    )  # fmt: skip
    blend: FloatProperty(
        name="Share", description="How much of the second prompt is in it", subtype="FACTOR", default=0.5, min=0.0, max=1.0
    )
    adherence: FloatProperty(
        name="Adherence", description="How closely the new object keeps to the shape of the selected one", subtype="FACTOR", default=0.6,
        min=0.0, max=1.0,
    )  # fmt: skip
    restyle_place: EnumProperty(name="Place", description="Where the restyled object stands", items=PLACES)
    retexture_uvs: EnumProperty(name="UVs", description="Where the new texture lies", items=UVS)
    retexture_front: EnumProperty(name="Front", description="Which of its sides gets what the prompt's object has in front", items=FRONTS)
    spread: FloatProperty(
        name="Difference", description="How far more of a kind are from the one that they are like", subtype="FACTOR", default=0.4,
        min=0.05, max=1.5,
    )  # fmt: skip


class LATTE3D_PG_session(bpy.types.PropertyGroup):
    """Set Up's choices, and what is looked at in the history."""

    source: EnumProperty(name="Source", items=SOURCES, update=_choice_changed)
    wheels: StringProperty(
        name="Packages",
        description="A folder with the engine's packages (.whl files) for this system",
        subtype="DIR_PATH",
        update=_choice_changed,
    )
    python: StringProperty(
        name="Python", description="The Python of an environment that can run the engine", subtype="FILE_PATH", update=_choice_changed
    )


    history_search: StringProperty(
        name="Search", description="Words of a prompt, a model or a seed", options={"TEXTEDIT_UPDATE"}, update=_search_changed
    )
    history_page: IntProperty(min=0)
    history_key: StringProperty()  # of the object that is chosen


class LATTE3D_PG_asset(bpy.types.PropertyGroup):
    """An object that is about to be added to a library; `name` is the object's."""

    prompt: StringProperty(name="Prompt", description="What somebody would type who wants it", maxlen=512)


CLASSES = (LATTE3D_PG_scene, LATTE3D_PG_session, LATTE3D_PG_asset)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.latte3d = PointerProperty(type=LATTE3D_PG_scene)
    bpy.types.WindowManager.latte3d = PointerProperty(type=LATTE3D_PG_session)


def unregister() -> None:
    del bpy.types.WindowManager.latte3d
    del bpy.types.Scene.latte3d
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
