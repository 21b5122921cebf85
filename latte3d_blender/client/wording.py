# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a colour, a material or a pattern into a prompt, for those who would rather choose than type. Knows nothing of bpy."""

import re

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "black")
PLAIN = {  # what every model may be asked for, until one has said its own words: the first of each is written, the others are known
    "color": [*([name] for name in COLORS), ["gray", "grey"]],
    "material": [["wooden", "wood"], ["stone"], ["metal", "metallic"], ["golden", "gold"], ["ceramic"], ["leather"], ["plastic"]],
    "pattern": [["spots", "dots", "spotted", "dotted"], ["stripes", "striped"]],
}
GLASS = ["glass", "crystal", "transparent", "see-through"]
ARTICLE = re.compile(r"^(\s*(?:an?|the)\s+)?", re.IGNORECASE)
END = re.compile(r"\s+(?:with|and|on|in|made|of)\b", re.IGNORECASE)  # of what is said of the thing itself
VOWEL = re.compile(r"[aeiou]", re.IGNORECASE)


def written(prompt: str, what: str, word: str, words: dict[str, list[list[str]]]) -> str:
    """The prompt with a word of a kind ("color", "material", "pattern") in it, in the place of one that it has, else where such a word
    stands in English. words: those of the model, by kind, each with what means the same."""
    prompt = " ".join(prompt.split())
    if what == "pattern":
        return _with_pattern(prompt, word, words)
    end = found.start() if (found := END.search(prompt)) else len(prompt)
    main, rest = prompt[:end], prompt[end:]
    same = _one_of(words.get(what, []))
    if same and (found := same.search(main)):
        main = main[: found.start()] + word + main[found.end() :]
    else:
        place = ARTICLE.match(main).end()
        color = _one_of(words.get("color", []))
        if what == "material" and color and (before := color.match(main, place)):  # a red wooden car
            place = before.end() + 1
        main = f"{main[:place].rstrip()} {word} {main[place:].lstrip()}".strip()
    return _article(main) + rest


def _with_pattern(prompt: str, word: str, words: dict) -> str:
    same, color = _one_of(words.get("pattern", [])), _one_of(words.get("color", []))
    found = re.search(rf"\bwith\s+((?:{color.pattern}\s+)?){same.pattern}", prompt, re.IGNORECASE) if same and color else None
    if found:
        return f"{prompt[: found.start()]}with {found[1]}{word}{prompt[found.end() :]}"
    if same and (found := same.search(prompt)):  # a striped mug
        prompt = " ".join((prompt[: found.start()] + prompt[found.end() :]).split())
    return f"{_article(prompt)} with {word}".strip()


def _one_of(groups: list[list[str]]) -> re.Pattern | None:
    """Any of these words, whole."""
    known = sorted((word for group in groups for word in group), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, known))})\b", re.IGNORECASE) if known else None


def _article(text: str) -> str:
    """ "a" or "an", as the word after it begins."""
    found = re.match(r"(an?)\s+(\w)", text, re.IGNORECASE)
    if not found:
        return text
    right = "an" if VOWEL.match(found[2]) else "a"
    return (right.capitalize() if found[1][0].isupper() else right) + text[found.end(1) :]
