# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine says about how well its model knows a prompt, in words for the artist."""


def remarks(item: dict) -> list[tuple[str, str]]:
    """Sentences on one object of the engine's answer, each with the icon that goes before it; none where it knew all."""
    said = (item.get("notes") or {}).get("familiarity") or {}
    lines = []
    if exchanged := said.get("read_as"):
        lines.append(("Read " + ", ".join(f"“{word}” as “{known}”" for word, known in exchanged.items()) + ".", "INFO"))
    if said.get("familiar") is False:
        nearest = "; ".join(said.get("nearest", ()))
        lines.append((f"This model hardly knows such things. The nearest that it knows: {nearest}.", "ERROR"))
    return lines
