# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences; machine.py reads them."""

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from . import kept, library_session, refining, session
from .panels import refine
from .panels import setup as panels_setup

DEVICES = [
    ("auto", "Automatic", "The graphics card where there is one that fits, else the processor"),
    ("cuda", "NVIDIA GPU", "The graphics card, through CUDA"),
    ("cpu", "CPU", "The processor"),
]
BY_DETAIL = ("DETAIL", "By Detail", "What the Detail in the panel says")


def _changed(self, context) -> None:
    session.engine_moved()


def _library_changed(self, context) -> None:
    library_session.STATE.check = None  # it speaks of another


def _history_changed(self, context) -> None:
    kept.bound()


def _priors_changed(self, context) -> None:
    refining.look()


def _keep_changed(self, context) -> None:
    library_session.keep_changed(by_hand=True)


class LATTE3D_AP_preferences(bpy.types.AddonPreferences):
    """Choices that belong to this machine, not to a file."""

    bl_idname = __package__

    engine_python: StringProperty(
        name="Engine's Python",
        description="The Python that runs the engine; empty: the one that Set Up made",
        subtype="FILE_PATH",
        update=_changed,
    )
    model_folder: StringProperty(
        name="Model Folders",
        description="Where your models are: a folder that holds them, or one model; several are parted by semicolons. The models that come "
        "with the add-on are always there",
        subtype="DIR_PATH",
        update=_changed,
    )
    engine_command: StringProperty(
        name="Remote Engine",
        description="A command that starts the engine on another machine and speaks to it through its own input and output, such as "
        "ssh box latte3d/build.py engine worker. Empty: the engine of this machine",
        update=_changed,
    )
    idle_minutes: IntProperty(
        name="Rest After, Minutes",
        description="Stop the engine when nobody has asked it for so long, so that its memory is free; the next Generate starts it again. "
        "0: never",
        default=30,
        min=0,
        soft_max=240,
    )
    device: EnumProperty(name="Device", description="What the engine computes on", items=DEVICES, update=_changed)
    resolution: EnumProperty(
        name="Grid",
        description="Cells per side of the grid that the surface is made from",
        items=[BY_DETAIL, *((n, n, "So many cells per side, whatever the detail") for n in ("64", "128", "256"))],
    )
    texture_size: EnumProperty(
        name="Texture Size",
        description="Pixels per side of each image",
        items=[BY_DETAIL, *((n, f"{n} px", "So many pixels per side, whatever the detail") for n in ("512", "1024", "2048"))],
    )
    start_with_panel: BoolProperty(
        name="Start with the Panel",
        default=True,
        description="Start the engine when the LATTE3D tab is first shown, so that the first click does not wait for it",
    )
    show_textures: BoolProperty(
        name="Show Textures in Solid Viewports",
        default=True,
        description="Switch a viewport that shows plain grey solids to textured solids when an object is placed",
    )

    frame_new: BoolProperty(
        name="Frame New Objects",
        default=True,
        description="Move the view to an object that was just made where it would be tiny, hidden or outside; never out of a camera's view",
    )
    history_mb: IntProperty(
        name="History, MB",
        description="How much of the disk the history of what was made may take; the oldest make room. 0 keeps nothing",
        default=1000,
        min=0,
        soft_max=20_000,
        update=_history_changed,
    )
    library_folder: StringProperty(
        name="Library",
        description="The folder of a prompt library: library.toml, prompts.csv and objects. Add Selected makes one where there is none",
        subtype="DIR_PATH",
        update=_library_changed,
    )
    keep_training: BoolProperty(
        name="Keep Training When Blender Closes",
        description="Training and refining go on without Blender, and the panel shows them again later; else they stop with Blender and "
        "can be resumed",
        update=_keep_changed,
    )
    prior_multiview: StringProperty(
        name="Multi-View Prior",
        description="Folder of a diffusion model that draws several views of an object at once, such as MVDream's: Refine learns shape and "
        "texture from it",
        subtype="DIR_PATH",
        update=_priors_changed,
    )
    prior_depth: StringProperty(
        name="Depth Prior",
        description="Folder of a diffusion model that draws over a depth picture (Stable Diffusion with a depth ControlNet): Refine learns "
        "texture from it",
        subtype="DIR_PATH",
        update=_priors_changed,
    )
    prior_controlnet: StringProperty(
        name="Its ControlNet",
        description="Folder of the depth ControlNet, where it is not in that of the depth prior",
        subtype="DIR_PATH",
        update=_priors_changed,
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        for name in ("engine_python", "engine_command", "model_folder"):
            layout.prop(self, name)
        if models := session.SESSION.engine.hello.get("models"):
            panels_setup.draw_models(layout, context, models)
        shown = ("start_with_panel", "idle_minutes", "show_textures", "frame_new", "history_mb")
        for name in ("device", "resolution", "texture_size", *shown):
            layout.prop(self, name)
        refine.draw_priors(layout, context, self)
        panels_setup.draw_engine(layout, context, where="preferences")
