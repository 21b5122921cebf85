# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding selected objects to a prompt library, and looking after it: open, check, what was found."""

from pathlib import Path
from types import SimpleNamespace

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, StringProperty

from .. import library_session, library_writer, machine
from ..client.job import EngineFault
from ..library_writer import PROMPT_LIMIT, Row
from ..panels import library as panels
from ..properties import LATTE3D_PG_asset
from ..scene import asset_file
from ..words import SaysWhy, say

SPLITS = [
    ("train", "Train", "The model learns from it"),
    ("paraphrases", "Paraphrases", "Kept back: another wording of a shape that the model learns from, to measure how well it understands"),
    ("unseen", "Unseen", "Kept back: a shape that the model never sees, to measure how well it invents"),
]
UNIT_SLACK = 0.001  # by which two scales may differ and be the same
_typed: dict[str, str] = {}  # prompts by the objects' names, for who opens the popup again


def wanted_folder(text: str) -> Path:
    """The folder that a field names; "//" is the .blend's."""
    return Path(bpy.path.abspath(text.strip())).expanduser()


def proposed_folder() -> str:
    """Where a first library could lie: beside the .blend, else in the home folder."""
    home = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
    return str(home / "library")


def look(wanted, context) -> None:
    """Find out what is at the folder, for draw(), which opens no file."""
    folder, wanted.is_new, wanted.found, wanted.wrong = wanted_folder(wanted.folder), False, "", ""
    try:
        if not wanted.folder.strip():
            raise library_writer.fault("Name the library's folder first.")
        said = library_writer.settings(folder)
    except EngineFault as error:
        wanted.wrong = str(error)
        return
    wanted.is_new = said is None
    wanted.found = "" if said is None else str(said.get("name") or folder.name)


class LATTE3D_OT_add_to_library(SaysWhy, bpy.types.Operator):
    """Copy the selected objects into a prompt library, with words for them. The scene stays as it is"""

    bl_idname = "latte3d.add_to_library"
    bl_label = "Add Selected to Library"

    folder: StringProperty(name="Library", description="The library's folder; a new one is made a library", update=look)
    title: StringProperty(name="Name", description="What the library is called")
    licence: StringProperty(name="Licence", description="Who may use what is learnt from these objects, as in CC0-1.0")
    author: StringProperty(name="Author", description="Who made the objects")
    together: BoolProperty(
        name="All as One", description="One object of the library for the whole selection, as for a table with its chairs"
    )
    prompt: StringProperty(name="Prompt", description="What all of them together are", maxlen=PROMPT_LIMIT, options={"SKIP_SAVE"})
    split: EnumProperty(name="Split", description="What they are for", items=SPLITS)
    active: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # of the list
    assets: CollectionProperty(type=LATTE3D_PG_asset, options={"HIDDEN"})
    is_new: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})
    found: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # the library's name
    wrong: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # why nothing can be added

    @classmethod
    def reason(cls, context):
        reason = "" if context.mode == "OBJECT" else "Switch to Object Mode first"
        if not reason and not any(item.type not in asset_file.NO_SURFACE for item in context.selected_objects):
            reason = "Select the objects to add first"
        return reason

    def fill(self, context) -> None:
        """Propose prompts."""
        self.assets.clear()
        roots = asset_file.chosen(context.selected_objects)
        for item in roots:
            row = self.assets.add()
            row.name, row.prompt = item.name, _typed.get(item.name) or asset_file.suggestion(item)
        active = context.active_object if context.active_object in roots else (roots or [None])[0]
        self.prompt = self.prompt or _typed.get("") or (asset_file.suggestion(active) if active else "")

    def invoke(self, context, event):
        chosen = machine.get()
        self.folder = (chosen and chosen.library_folder) or proposed_folder()
        self.fill(context)
        if not self.assets:
            self.report({"ERROR"}, say("Nothing that is selected has a surface"))
            return {"CANCELLED"}
        self.title = self.title or Path(bpy.data.filepath).stem or "My Library"
        return context.window_manager.invoke_props_dialog(
            self, width=panels.ADDING_WIDTH, title="Add Selected to Library", confirm_text="Add"
        )

    def draw(self, context):
        panels.draw_adding(self.layout, context, self)

    def execute(self, context):
        if not self.assets:
            self.fill(context)
        _typed.update({row.name: row.prompt for row in self.assets} | {"": self.prompt})
        try:
            text, notes = self.add(context)
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, say("Nothing was added: {reason}", reason=error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"WARNING"}, say(note))
        self.report({"INFO"}, say(text))
        _typed.clear()
        return {"FINISHED"}

    def things(self, context) -> tuple[list[tuple[str, str, list]], list[str]]:
        """What shall be added, (name, prompt, its objects) each, and the names of those that have no prompt."""
        roots = asset_file.chosen(context.selected_objects)
        if self.together:
            listed = [(self.prompt, self.prompt, roots)]
        else:
            prompts = {row.name: row.prompt for row in self.assets}
            listed = [(item.name, prompts.get(item.name, ""), [item]) for item in roots]
        listed = [(name, " ".join(prompt.split()), items) for name, prompt, items in listed if items]
        return [thing for thing in listed if thing[1]], [name for name, prompt, _ in listed if not prompt]

    def add(self, context) -> tuple[str, list[str]]:
        """Write the library. Returns what to say, and what else there is to know. Raises EngineFault, OSError."""
        if not self.folder.strip():
            raise library_writer.fault("Name the library's folder first.")
        folder = wanted_folder(self.folder).resolve()
        things, wordless = self.things(context)
        if not things:
            raise library_writer.fault("Nothing was added.", "", "Write a prompt for each object: what would somebody type who wants it?")
        unit_m = context.scene.unit_settings.scale_length
        new = library_writer.settings(folder) is None
        if new:
            library_writer.create(folder, self.title, self.licence, self.author, unit_m)
        names = write_things(context, folder, things, self.split)
        library_session.choose(folder)
        notes = [f"Left out, for want of a prompt: {', '.join(wordless)}."] if wordless else []
        notes += ["The library names no licence: write it into library.toml."] if new and not self.licence.strip() else []
        added = f"“{things[0][1]}” was added to {folder}" if len(things) == 1 else f"{len(things)} objects were added to {folder}"
        return added, notes + names


def write_things(context, folder: Path, things: list[tuple[str, str, list]], split: str) -> list[str]:
    """Write assets and rows, all or nothing. Returns notes. Raises EngineFault, OSError."""
    prompts = library_writer.Prompts.read(folder)  # refuses before anything is written
    height = height_needed(context, folder, prompts)
    writer, rows, identities = asset_file.Writer(folder), [], {}
    context.window_manager.progress_begin(0, len(things))
    try:
        for number, (name, prompt, roots) in enumerate(things):
            identity = asset_file.identity(name)
            asset = library_writer.asset_for(folder, name, identity, set(identities))
            writer.write(roots, asset, name, context.scene)
            rows.append(Row(prompt, asset, split, asset_file.height_m(context, roots) if height else 0.0))
            identities[asset] = identity
            context.window_manager.progress_update(number + 1)
        library_writer.remember(folder, identities)
        library_writer.append(folder, rows)
    except BaseException:
        writer.take_back()
        raise
    finally:
        context.window_manager.progress_end()
    return writer.notes


def height_needed(context, folder: Path, prompts) -> bool:
    """Whether rows must say how high the objects are, because this scene counts in other units than the library. Raises EngineFault where
    prompts.csv has no room for that."""
    units, unit_m = (library_writer.settings(folder) or {}).get("units", 1.0), context.scene.unit_settings.scale_length
    if not isinstance(units, int | float) or abs(units - unit_m) <= UNIT_SLACK * unit_m:
        return False
    if "height" not in prompts.columns:
        cause = f"A unit of this scene is {unit_m:g} m, one of the library {units:g} m."
        remedy = f"Add a column named height to {prompts.path.name}, or set the scene's Unit Scale to {units:g}."
        raise library_writer.fault("The heights would be wrong.", cause, remedy)
    return True


class WithLibrary(SaysWhy):
    """An operator on the library that the panel names."""

    @classmethod
    def reason(cls, context):
        return library_session.missing()


class LATTE3D_OT_open_library(WithLibrary, bpy.types.Operator):
    """Show the library's folder in the system's file browser"""

    bl_idname = "latte3d.open_library"
    bl_label = "Open Library"

    def execute(self, context):
        folder = library_session.folder()
        if not folder.is_dir():
            self.report({"ERROR"}, say("There is no folder {path}", path=folder))
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(folder))
        return {"FINISHED"}


class LATTE3D_OT_check_library(WithLibrary, bpy.types.Operator):
    """List all that is wrong with the library"""

    bl_idname = "latte3d.check_library"
    bl_label = "Check"

    @classmethod
    def reason(cls, context):
        return library_session.missing() or library_session.checking()

    def execute(self, context):
        try:
            library_session.check(show=not bpy.app.background)
        except EngineFault as error:
            self.report({"ERROR"}, say(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


class LATTE3D_OT_show_findings(bpy.types.Operator):
    """Show what was found, with the lines"""

    bl_idname = "latte3d.show_findings"
    bl_label = "What Was Found"

    of_work: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})  # of Prepare or Train, instead of Check

    def invoke(self, context, event):
        state = library_session.STATE
        work = state.work if self.of_work else state.check
        self.shown = SimpleNamespace(findings=list(work.findings) if work else [], folder=Path(work.library) if work else None)
        return context.window_manager.invoke_popup(self, width=panels.FINDINGS_WIDTH)

    def execute(self, context):
        return {"FINISHED"}

    def draw(self, context):
        panels.draw_findings(self.layout, context, self.shown.findings, self.shown.folder)


CLASSES = (LATTE3D_OT_add_to_library, LATTE3D_OT_open_library, LATTE3D_OT_check_library, LATTE3D_OT_show_findings)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
