# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences, and where they say that the engine lies."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .engine import EngineFault, Fault, Launch, find_python, source_folder

DEVICES = [
    ("auto", "Automatic", "The graphics card where there is one that fits, else the processor"),
    ("cuda", "NVIDIA GPU", "The graphics card, through CUDA"),
    ("cpu", "CPU", "The processor"),
]


def _changed(self, context) -> None:
    from . import jobs

    jobs.engine_moved()


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
        name="Model Folder",
        description="A trained model; empty: the starter model that comes with the add-on",
        subtype="DIR_PATH",
        update=_changed,
    )
    device: EnumProperty(name="Device", description="What the engine computes on", items=DEVICES, update=_changed)
    resolution: EnumProperty(
        name="Resolution",
        description="Cells per side of the grid that the surface is made from",
        default="128",
        items=[(n, n, f"{n} cells per side") for n in ("64", "128", "256")],
    )
    texture_size: EnumProperty(
        name="Texture Size",
        description="Pixels per side of each image",
        default="1024",
        items=[(n, f"{n} px", f"{n} × {n} pixels") for n in ("512", "1024", "2048")],
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

    def draw(self, context):
        from . import panels

        layout = self.layout
        layout.use_property_split = True
        for name in ("engine_python", "model_folder", "device", "resolution", "texture_size", "start_with_panel", "show_textures"):
            layout.prop(self, name)
        panels.draw_engine(layout, context, where="preferences")


def get():
    """The add-on's preferences; None where it is imported without being installed, as on the command line of a checkout."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


def user_folder(name: str = "", *, create: bool = False) -> Path | None:
    """A folder of this add-on's own that survives upgrades; None where it is not installed as an extension."""
    try:
        return Path(bpy.utils.extension_path_user(__package__, path=name, create=create))
    except ValueError:
        return None


def launch(*, python: str = "", model: str = "", device: str = "", log: Path | None = None) -> Launch:
    """Put together what it takes to start the engine: what is given, else the preferences, else the usual places.

    Raises EngineFault (kind "not_installed", "missing_weights") where something is not there.
    """
    chosen = get()
    source = source_folder()
    if source is None:
        raise EngineFault(
            Fault(
                "The engine's source is missing.",
                "The folder “core” is not where the add-on expects it.",
                "Install the add-on again.",
                "not_installed",
            )
        )
    python = python or (bpy.path.abspath(chosen.engine_python) if chosen else "")
    found = find_python(python, user_folder("engine"))
    if found is None:
        cause = f"There is no Python at {python}." if python else "It needs a Python environment of its own."
        raise EngineFault(
            Fault("The engine is not set up.", cause, "Press Set Up in the LATTE3D panel, or name a Python.", "not_installed")
        )
    model = model or (bpy.path.abspath(chosen.model_folder) if chosen else "")
    folder = Path(model).expanduser().resolve() if model else source / "core" / "weights" / "starter"
    if not folder.is_dir():
        raise EngineFault(
            Fault("The model is missing.", f"There is no folder {folder}.", "Choose another model folder.", "missing_weights")
        )
    log = log or (user_folder("logs", create=True) or Path(bpy.app.tempdir)) / "engine.log"
    return Launch(found, source, folder, device or (chosen.device if chosen else "auto"), log)
