# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with objects that were made here: copying their prompt, making them anew, selecting their kind, assets, export."""

import getpass
from collections.abc import Callable
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from .. import catalogues, files, kept, machine, naming
from ..client.job import EngineFault
from ..scene import assets, origin, placement
from ..words import SaysWhy, say
from .prompt import FromObject, InItsPlace

FORMATS = [
    ("GLB", "GLB", "One file with the images in it, for game engines and the web"),
    ("USD", "USD", "One file (.usdz) with the images in it, for other programs of film and animation"),
    ("FBX", "FBX", "One file with the images in it, for game engines"),
]
SUFFIXES = {"GLB": ".glb", "USD": ".usdz", "FBX": ".fbx"}


class LATTE3D_OT_copy_prompt(FromObject, bpy.types.Operator):
    """Copy the prompt of the active object"""

    bl_idname = "latte3d.copy_prompt"
    bl_label = "Copy Prompt"

    def execute(self, context):
        context.window_manager.clipboard = origin.of(context.active_object).prompt
        self.report({"INFO"}, say("The prompt is on the clipboard"))
        return {"FINISHED"}


class LATTE3D_OT_select_same(FromObject, bpy.types.Operator):
    """Select all objects that were made from the same prompt as the active one"""

    bl_idname = "latte3d.select_same"
    bl_label = "Select Same Prompt"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def reason(cls, context):
        return super().reason(context) or ("" if context.mode == "OBJECT" else "Switch to Object Mode first")

    def execute(self, context):
        active = context.active_object
        same = [item for item in context.visible_objects if item.get("latte3d_prompt") == active["latte3d_prompt"] and item != active]
        placement.select_only(context, [*same, active])
        self.report({"INFO"}, say("{count} objects", count=len(same) + 1))
        return {"FINISHED"}


class LATTE3D_OT_regenerate(InItsPlace, bpy.types.Operator):
    """Make the active object again, in its place: the same prompt, seed and style, with the panel's detail and model"""

    bl_idname = "latte3d.regenerate"
    bl_label = "Regenerate"
    bl_options = {"REGISTER"}

    def execute(self, context):
        old, wanted = context.active_object, context.scene.latte3d
        found = origin.of(old)
        try:
            guide = kept.guide_of(old)
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        styles = [found.style] if found.style else None
        model = found.model if guide and guide.planes else wanted.model or found.model
        settings = machine.settings(wanted.detail)
        return self.begin(self.place_of(context), found.prompt, [max(found.seed, 0)], settings, styles=styles, model=model, guide=guide)


# Assets -----------------------------------------------------------------------------------------------------------------------------


def own(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected objects that can be assets of this file."""
    return [item for item in context.selected_objects if not (item.library or item.override_library)]


class LATTE3D_OT_mark_assets(SaysWhy, bpy.types.Operator):
    """Mark the selected objects as assets, with tags, a description, a licence and a preview"""

    bl_idname = "latte3d.mark_assets"
    bl_label = "Mark as Asset…"
    bl_options = {"REGISTER", "UNDO"}

    tags: StringProperty(name="Tags", description="Apart by commas; the words of each prompt are added")
    description_text: StringProperty(name="Description", description="Empty: the prompt of each")
    licence: StringProperty(name="Licence", description="As in CC0-1.0")
    author: StringProperty(name="Author")
    catalogue: StringProperty(name="Catalogue", description="Its path, as in Props/Food; a new one is written beside the file")

    @classmethod
    def reason(cls, context):
        reason = "" if context.mode == "OBJECT" else "Switch to Object Mode first"
        return reason or ("" if own(context) else "Select objects of this file first")

    def invoke(self, context, event):
        self.author = self.author or getpass_user()
        return context.window_manager.invoke_props_dialog(self, width=360, title="Mark as Asset", confirm_text="Mark")

    def draw(self, context):
        column = self.layout.column()
        column.use_property_split = True
        hints = {"tags": "besides the prompt's words", "description_text": "the prompt", "licence": "CC0-1.0", "catalogue": "Props/Food"}
        for name, hint in (hints | {"author": ""}).items():
            column.prop(self, name, placeholder=hint)
        if assets.library_folder() is None:
            column.label(text="Save the file to give it a catalogue", icon="INFO")

    def execute(self, context):
        folder, items = assets.library_folder(), own(context)
        if catalogues.tidy(self.catalogue) and folder is None:
            self.report({"ERROR"}, say("Save the file first: its catalogues are written beside it"))
            return {"CANCELLED"}
        try:
            for item in items:
                found = origin.of(item)
                picture = kept.picture_of(str(item.data.get("latte3d_key", ""))) if found else None
                assets.mark(
                    item, tags=[*self.tags.split(","), *assets.tags_of(item)], licence=self.licence.strip(), author=self.author.strip(),
                    description=self.description_text.strip() or (found.prompt if found else ""), catalogue=self.catalogue, library=folder,
                    picture=picture,
                )  # fmt: skip
        except (ValueError, OSError) as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        text = "{count} assets" if len(items) > 1 else "“{name}” is an asset"
        self.report({"INFO"}, say(text, count=len(items), name=items[0].name))
        return {"FINISHED"}


def getpass_user() -> str:
    """Who works at this computer, as far as it knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


# Export -----------------------------------------------------------------------------------------------------------------------------


class LATTE3D_OT_export_selected(SaysWhy, bpy.types.Operator):
    """Write the selected objects into one file beside this one; where this one was never saved, ask where to"""

    bl_idname = "latte3d.export_selected"
    bl_label = "Export Selected"

    format: EnumProperty(name="Format", items=FORMATS, default="GLB")
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.glb;*.usdz;*.fbx", options={"HIDDEN"})

    @classmethod
    def reason(cls, context):
        reason = "" if context.mode == "OBJECT" else "Switch to Object Mode first"
        return reason or ("" if context.selected_objects else "Select something first")

    @classmethod
    def description(cls, context, properties):
        return f"{say(cls.__doc__)}. {say(next(about for name, _, about in FORMATS if name == properties.format))}"

    def invoke(self, context, event):
        if bpy.data.filepath:
            return self.execute(context)
        self.filepath = f"{name_of(context)}{SUFFIXES[self.format]}"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        suffix = SUFFIXES[self.format]
        if not self.filepath and not bpy.data.filepath:
            self.report({"ERROR"}, say("Save the file first, or name a file to write to"))
            return {"CANCELLED"}
        path = Path(bpy.path.abspath(self.filepath)).with_suffix(suffix) if self.filepath else free(context, suffix)
        if not path.parent.is_dir():
            self.report({"ERROR"}, say("There is no folder {path}", path=path.parent))
            return {"CANCELLED"}
        try:
            with files.written(path) as partial:
                EXPORTERS[self.format](str(partial))
        except (OSError, RuntimeError, AttributeError) as error:  # AttributeError: an exporter that is switched off
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        self.report({"INFO"}, say("Written: {path}", path=path))
        return {"FINISHED"}


def name_of(context: bpy.types.Context) -> str:
    """A file name for what is selected."""
    active = context.active_object if context.active_object in context.selected_objects else context.selected_objects[0]
    return naming.slug(active.name)


def free(context: bpy.types.Context, suffix: str) -> Path:
    """A path beside this file that nothing has."""
    folder = Path(bpy.data.filepath).parent
    paths = (folder / f"{name}{suffix}" for name in naming.candidates(name_of(context), 0))
    return next(path for path in paths if not path.exists())


def _usd(path: str) -> None:
    known = bpy.ops.wm.usd_export.get_rna_type().properties.keys()
    images = {"export_textures_mode": "NEW"} if "export_textures_mode" in known else {"export_textures": True}
    bpy.ops.wm.usd_export(filepath=path, selected_objects_only=True, check_existing=False, **images)


EXPORTERS: dict[str, Callable[[str], object]] = {
    "GLB": lambda path: bpy.ops.export_scene.gltf(
        filepath=path, export_format="GLB", use_selection=True, export_extras=True, check_existing=False
    ),
    "USD": _usd,
    "FBX": lambda path: bpy.ops.export_scene.fbx(
        filepath=path, use_selection=True, path_mode="COPY", embed_textures=True, check_existing=False
    ),
}
CLASSES = (
    LATTE3D_OT_copy_prompt,
    LATTE3D_OT_select_same,
    LATTE3D_OT_regenerate,
    LATTE3D_OT_mark_assets,
    LATTE3D_OT_export_selected,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
