# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface in other languages: one .po file each, which every translator's program opens. Knows nothing of bpy.

An entry with values in it is a template: {names} where the code fills them in, {0} {1} … where a finished English sentence comes from a
part that speaks no other language (the engine, the installer): there the sentence is recognised, and its values are put into the other
template.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
LOCALES = {"de": ("de", "de_DE")}  # a file's language: Blender's names for it
CONTEXTS = ("*", "Operator")  # where Blender looks: texts in general, and the labels of operators
ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
SPLITS = [re.compile(f"({one})") for one in (r"(?<=[.!?…]) ", "; ", "(?<=”), ", r"(?<=\S)(?= \()", ": ")]  # the widest first
FEW_LETTERS = 4  # a template with fewer takes numbers and quotations alone as its values: it would fit too much

Entries = dict[tuple[str, str], str]  # (context, English): the other language
Known = tuple[str, str, str]  # a template's longest part without values, a pattern, the template


def read(path: Path) -> Entries:
    """The entries of a .po file that are translated."""
    entries, parts, kind = {}, {}, ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), 'msgid ""']:
        if line.startswith("#") or not line.strip():
            continue
        word, _, rest = line.partition(" ")
        if line.startswith('"'):
            parts[kind] += _plain(line)
            continue
        if word in ("msgid", "msgctxt") and parts.get("msgstr") is not None:
            if parts["msgid"] and parts["msgstr"]:
                entries[parts.get("msgctxt", "*"), parts["msgid"]] = parts["msgstr"]
            parts = {}
        kind = word
        parts[kind] = _plain(rest)
    return entries


def _plain(quoted: str) -> str:
    """A quoted text of a .po file as it is meant."""
    return re.sub(r'\\[n"\\]', lambda found: ESCAPES[found[0]], quoted.strip()[1:-1])


def for_blender() -> dict[str, Entries]:
    """What bpy.app.translations.register takes: every text in both contexts, unless it has an entry of its own there."""
    made = {}
    for language, locales in LOCALES.items():
        entries = read(FOLDER / f"{language}.po")
        everywhere = {(context, text): said for (own, text), said in entries.items() if own == "*" for context in CONTEXTS}
        made |= dict.fromkeys(locales, everywhere | entries)
    return made


def patterns(entries: Entries) -> list[Known]:
    """How the numbered templates are recognised, those with the most text of their own first."""
    found = []
    for _, text in entries:
        parts = re.split(r"\{(\d)\}", text)
        own = "".join(parts[::2])
        if len(parts) == 1 or not re.search("[A-Za-z]", own):
            continue
        few = len(re.findall("[A-Za-z]", own)) < FEW_LETTERS
        within = r"[.!?] " if parts[-1].endswith(".") else r"[.!?;] "  # a value ends with its sentence or item, but at the text's end
        value = r"([\d.,:]+)" if few else "(.+?)" if not parts[-1] else rf"((?:(?!{within}).)+?)"
        pattern = ""
        for place, part in enumerate(parts):
            quoted = place % 2 and parts[place - 1].endswith("“")
            pattern += re.escape(_unbraced(part)) if place % 2 == 0 else "([^“”]+?)" if quoted else value
        found.append((len(own), (max(map(_unbraced, parts[::2]), key=len), pattern, text)))
    return [known for _, known in sorted(found, key=lambda one: -one[0])]


def _unbraced(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


@cache
def _patterns() -> list[Known]:
    return patterns({entry: "" for entries in for_blender().values() for entry in entries})


def sentence(text: str, look_up: Callable[[str], str], known: list[Known] | None = None) -> str:
    """A finished English text in another language, as far as it is known: as a whole, by a template, else sentence by sentence.
    look_up gives a text's translation, or the text itself. What stands in “ ” is somebody's own and stays."""
    if not text.strip() or (said := look_up(text)) != text:
        return said if text.strip() else text
    if " · " in text:
        return " · ".join(sentence(part, look_up, known) for part in text.split(" · "))
    known = _patterns() if known is None else known
    if not re.fullmatch("“[^“”]*”", text):
        for part, pattern, template in known:  # a pattern is compiled when a text may be meant: all at once take 80 ms
            found = part in text and re.fullmatch(pattern, text, re.DOTALL)
            if found and (said := look_up(template)) != template:
                quoted = [text[start - 1 : start] == "“" for start, _ in found.regs[1:]]
                values = [one if own else sentence(one, look_up, known) for one, own in zip(found.groups(), quoted, strict=True)]
                return said.format(*values)
        parts = next((parts for split in SPLITS if len(parts := split.split(text)) > 1 and text not in parts), [])
        if parts:
            return "".join(part if place % 2 else sentence(part, look_up, known) for place, part in enumerate(parts))
    return text
