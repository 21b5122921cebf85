# SPDX-License-Identifier: GPL-3.0-or-later
"""Every text that the add-on shows, read out of its source: in a test it is asked whether each language has it.

What is read: all constants and f-strings of the add-on's modules that look like words for people, the docstrings of its operators, menus
and panels, and what the engine's parts give to their errors. An f-string becomes a template with numbers in braces.

`python -m tests.blender.texts de` prints what a language lacks, as entries for its .po file.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "latte3d_blender"
TERMINAL = re.compile(  # speaks to a terminal, in English
    r"arguments|benchmark|terminal|running|packages|commands|\w+_commands|__main__|library|bulk/.*|populate/benchmark|client/batch"
)
FOREIGN = re.compile(r"(assets|translations)/.*|client/(supervisor|protocol|wording)|naming|scene/(materials|studio)|populate/(nodes|tint)")
CORE = ("errors", "limits", "install", "pipeline", "device", "service/answering", "service/models", "service/worker", "language/rewording")
ERRORS = {"BadRequest", "EngineError", "MissingWeights", "InstallError", "__init__"}  # what they are given is shown
SENTENCES = {"remedy", "cause", "message", "knows", "what", "kind", "text", "CARD_TOO_SMALL", "NO_HEIGHT", "EXAMPLE", "UNPACKING"}
WORDS = re.compile(r"[A-Z][a-z’']*[a-z…]\b[^_]*|.*[A-Za-z]\S* \S.*|.* \S*[A-Za-z].*", re.DOTALL)
DATA = {  # not shown, or the same in every language
    " or ", "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n", "%d %b %Y %H:%M", "< {0}{1}", "> {0}{1}",
    "Assets", "Avoid", "Blender", "Bodies", "Box", "Boxes", "CC0-1.0, CC-BY-4.0, all rights reserved …", "Cc", "Cf", "Cn", "Collision",
    "Cs", "Entry", "Error: ", "GB", "Generated", "KB", "LATTE3D", "LATTE3D Set Up reader", "LATTE3D engine {0}", "LATTE3D history",
    "LATTE3D layout", "LATTE3D long job", "LATTE3D {0}", "MB", "Mask", "Masks",
    "MemoryError|Cannot allocate memory|failed to map segment|[Ii]nsufficient memory|not enough memory|bad_alloc", "More/{0}", "Names",
    "OBJECT", "Own_Targets", "Plan", "Points", "Preview {0}", "Prompts", "Props/Food", "Python", "Recipe", "Samples", "Scatter",
    "Scripts/python.exe", "Settle", "Shapes", "Simpler", "Taken", "Targets", "The timer of %s failed",
    "No module named",
    "Thing", "Things", "Zl", "Zp", "^(Error: |Operator .* poll\\(\\) )",
    "^line \\d+, column \\d+: ", "a brown mushroom", "a red mushroom with white spots", "a {0}", "a {red|brown} mushroom",
    "nobody waits for a picture of object {0}", "nobody waits for object {0}", "wanted = bpy.context.scene.latte3d", "{0} %",
    "{0} / m²", "{0} Assets", "{0} Box", "{0} GB", "{0} KB", "{0} MB", "{0} Preview", "{0} Simpler", "{0} h", "{0} h {1} min",
    "{0} min", "{0} ms", "{0} part {1}", "{0} px", "{0} s", "{0} {1}", "{0} × {1}", "{0} – {1}{2}", "{0}units = {1}\n", "× {0}",
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def files() -> list[Path]:
    """The sources of the add-on whose texts are shown in Blender's window."""
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if not TERMINAL.fullmatch(name_of(path)) and not FOREIGN.fullmatch(name_of(path))]


def template(node: ast.JoinedStr) -> str:
    """An f-string as a template with numbers in braces."""
    values = iter(range(10))
    plain = lambda text: text.replace("{", "{{").replace("}", "}}")  # noqa: E731
    return "".join(plain(part.value) if isinstance(part, ast.Constant) else f"{{{next(values)}}}" for part in node.values)


def texts_in(tree: ast.AST) -> Iterator[str]:
    """All constants and f-strings of a piece of source, but its docstrings, annotations and lists of names."""
    skip: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skip |= {id(part) for part in ast.walk(node) if isinstance(part, ast.Constant) and part in node.values}
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skip.add(id(node.value))  # a docstring
        if isinstance(node, ast.FunctionDef | ast.arg | ast.AnnAssign):
            annotation = getattr(node, "returns", None) or getattr(node, "annotation", None)
            if isinstance(annotation, ast.Constant | ast.BinOp):
                skip |= {id(part) for part in ast.walk(annotation)}
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            skip |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield template(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip:
            yield node.value


def descriptions(tree: ast.AST) -> Iterator[str]:
    """The docstrings of what Blender shows with a tooltip."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and re.match(r"LATTE3D_(OT|MT|PT|UL)_", node.name):
            yield from filter(None, [ast.get_docstring(node)])


def tables(tree: ast.Module) -> Iterator[str]:
    """The values of a module's tables: names of stages, of states, which `say` is given by a key."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for value in node.value.values:
                yield from (one.value for one in ast.walk(value) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def of_core(path: Path) -> Iterator[str]:
    """What a part of the engine gives to its errors and reports, and its constants that are sentences."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ERRORS:
                for value in node.args:
                    yield from texts_in(value)
        if isinstance(node, ast.Dict):  # {"event": "step", "text": …}
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "text":
                    yield from texts_in(value)
        if isinstance(node, ast.FunctionDef) and node.name in ("notes", "_some"):
            yield from (text.replace("{}", "{0}") for text in texts_in(node))
        if isinstance(node, ast.Assign):
            targets = [name for target in node.targets for name in (target.elts if isinstance(target, ast.Tuple) else [target])]
            if any(getattr(name, "id", "") in SENTENCES for name in targets):
                yield from texts_in(node.value)


def shown() -> dict[str, str]:
    """All texts, each with the first place where it stands."""
    found: dict[str, str] = {}
    listed: set[str] = set()
    for path in files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for text in (*descriptions(tree), *texts_in(tree)):
            found.setdefault(text, f"latte3d_blender/{name_of(path)}.py")
        if path.parent.name == "panels":
            listed |= set(tables(tree))
    for name in CORE:
        for text in of_core(ROOT / "core" / f"{name}.py"):
            found.setdefault(text, f"core/{name}.py")
    for path in sorted((PACKAGE / "populate" / "presets").glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        for text in (value["name"], value.get("about", "")):
            found.setdefault(text, f"latte3d_blender/populate/presets/{path.name}")
    listed = {text for text in listed if re.search("[a-z]{2}", text)}
    return {text: place for text, place in found.items() if text not in DATA and (_is_for_people(text) or text in listed)}


def _is_for_people(text: str) -> bool:
    own = re.sub(r"\{\w*\}", "", text)
    return bool(re.search("[a-z]{2}", own) and WORDS.fullmatch(text)) and not re.search(r"import sys|sys[.]exit", text)


def registered() -> set[str]:
    """What Blender knows of the add-on's classes: labels, tooltips, and names, descriptions and choices of properties that are shown."""
    import bpy

    found: set[str] = set()
    for base in (bpy.types.Operator, bpy.types.Menu, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.AddonPreferences):
        for kind in (kind for kind in base.__subclasses__() if kind.__name__.startswith("LATTE3D_") and kind.is_registered):
            if hasattr(kind, "bl_label"):
                found |= {kind.bl_label, (kind.__doc__ or "").strip()}
            shown = kind.bl_rna if base is not bpy.types.Operator else getattr(bpy.ops.latte3d, kind.bl_idname[8:]).get_rna_type()
            inherited = {"rna_type", *base.bl_rna.properties.keys()}
            for one in shown.properties:
                if one.identifier in inherited or one.is_hidden or one.name in (one.identifier, "File Path"):
                    continue
                items = one.enum_items_static if one.type == "ENUM" else ()
                found |= {one.name, one.description, *(text for item in items for text in (item.name, item.description))}
    return {text for text in found if text not in DATA and re.search("[a-z]{3}", text)}


def adjustable(kind) -> bool:
    """Whether an operator has properties that are shown."""
    import bpy

    own = getattr(bpy.ops.latte3d, kind.bl_idname[8:]).get_rna_type().properties
    return any(not one.is_hidden for one in own if one.identifier != "rna_type")


def of_models() -> set[str]:
    """The names, groups and words of the model that comes with the engine, as the panel shows them, and the engine's own word."""
    folder = ROOT / "core" / "weights" / "starter"
    card, said = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("config.json", "words.json"))
    names = {text for thing in card["things"] for text in (thing["name"].capitalize(), thing["group"])}
    chosen = [value for what, value in said["attributes"].values() if what in ("color", "material", "pattern")]
    return names | {"Glass"} | {said["adjectives"].get(value, value).capitalize() for value in chosen}


def lacking(language: str) -> dict[str, str]:
    """The texts that a language has no entry for, with their places."""
    from latte3d_blender import translations

    entries = translations.read(translations.FOLDER / f"{language}.po")
    return {text: place for text, place in shown().items() if ("*", text) not in entries}


def unsaid() -> list[str]:
    """Places where something is shown that Blender does not translate by itself, and that does not go through `say`."""
    found = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                given = node.args[1:2] if name == "report" else node.args[:1] if name in ("poll_message_set", "status_text_set") else []
                named = [one.value for one in node.keywords if one.arg in ("text", "title", "heading")]
                made = [value for value in named if isinstance(value, ast.JoinedStr) and _is_for_people(template(value))]
                if any(not _said(value) for value in (*given, *made)):
                    found.append(f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}")
    return found


def _said(value: ast.expr) -> bool:
    return (isinstance(value, ast.Call) and getattr(value.func, "id", "") == "say") or getattr(value, "value", "") is None


if __name__ == "__main__":
    quoted = lambda text: json.dumps(text, ensure_ascii=False)  # noqa: E731
    for text, place in lacking(sys.argv[1]).items():
        print(f'#: {place}\nmsgid {quoted(text)}\nmsgstr ""\n')
