# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts in words that a model knows: what artists say of every picture set aside, what is excluded left out, strange words exchanged for
known ones, and the rest named. A prompt is familiar when what it is about is one of the model's things."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from core.language.encoder import DEFAULT, TextEncoder
from core.language.lexicon import COLOR_OF, with_article
from core.language.light import Light
from core.language.phrases import EMPTY, FILLERS, Phrase, Word, always_said, aside, blank, excluded, phrases_of, words_of
from core.language.words import Words

# Least cosines between two words alone, without what all known words have in common (docs/experiments/reading.py counts what they do).
SYNONYM = 0.62  # "tires" and "wheels" have 0.64, "shipping" and "ship" 0.61
QUALITY = 0.35  # a material, pattern or finish: "terracotta" and "clay" have 0.36, words made of random letters up to 0.32
THING = 0.3  # a thing where the subject is no known one; a quarter of foreign things become something ("a bicycle" a car)
SURE = 0.45  # a thing that is meant: of the foreign ones 3 % are above ("a bird" is read as a duck)
MISSPELT, ALIKE = 0.9, 0.8  # difflib's ratios: certainly meant, and meant if it means nothing else
NEAREST = 4  # things to name where a prompt's own is not known


@dataclass
class Reading:
    """How a prompt was read. text: the prompt in words that the model knows. thing: the kind of thing that it is about, None: unknown.
    familiar: whether that is certain. read_as: words that were exchanged, set_aside: what artists say of every picture, not_understood:
    what means nothing to the model, left_out: what the prompt excludes. subject: what it is about, in its own words; nearest: where that is
    not familiar, the things that come nearest, each with a prompt that asks for it. nearness: of the thing that was guessed, and of the
    nearest ones, 1 at most; empty where nothing was guessed. unread: the end of the text, beyond what is encoded. light: what is said of
    glass and glow."""

    text: str
    thing: str | None = None
    familiar: bool = True
    read_as: dict[str, str] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    subject: str = ""
    nearest: dict[str, str] = field(default_factory=dict)
    nearness: dict[str, float] = field(default_factory=dict, compare=False)
    unread: str = ""
    light: Light = field(default_factory=Light)

    @property
    def notes(self) -> list[str]:
        """Sentences for the artist; none where all was known."""
        said = [
            ("Read {}.", [f"“{word}” as “{known}”" for word, known in self.read_as.items()]),
            ("Set aside: {}.", _quoted(self.set_aside)),
            ("Not understood: {}.", _quoted(self.not_understood)),
            ("Left out: {}.", _quoted(self.left_out)),
        ]
        line = " ".join(text.format(_some(items)) for text, items in said if items)
        unknown = "" if self.familiar else f"“{self.subject}” is not one of the things that this model knows."
        unread = f"Too long: reading ended before “{self.unread[:40]}”." if self.unread else ""
        return [sentence for sentence in (unknown, line, unread) if sentence]

    def to_dict(self) -> dict:
        """What the engine answers about it, but for the notes."""
        shared = ("familiar", "read_as", "set_aside", "not_understood")
        return {name: getattr(self, name) for name in shared} | ({} if self.familiar else {"things": list(self.nearest)})


def _quoted(words: Sequence[str]) -> list[str]:
    return [f"“{word}”" for word in words]


def _some(items: list[str], most: int = 8) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


class Vocabulary:
    """The words of a model's training prompts, and known ones for those that are not among them."""

    def __init__(self, words: Sequence[str], embeddings: Tensor, prompts: Sequence[str], taught: Words):
        """embeddings: [words, W], each word's alone, of length 1; prompts: of training, which tell its things from their parts; taught:
        what their library says of its words."""
        self.words, self.embeddings, self.taught = list(words), embeddings, taught
        self._known = set(self.words)
        self.things: dict[str, str] = {}  # a thing's name -> its kind
        self._said: dict[str, set[str]] = defaultdict(set)  # kind -> the words of its prompts
        for prompt in prompts:
            self._learn(prompt)
        self._center = embeddings.mean(0)  # what all words have in common, which hides what they mean
        self._meanings = F.normalize(embeddings - self._center, dim=-1)
        self._bars = torch.tensor([self._bar(word) for word in self.words], device=embeddings.device)

    def _learn(self, prompt: str) -> None:
        """Remember what a training prompt is about, and what was said of it."""
        pictures = aside(prompt, self._known.__contains__)[1]
        subject = next((p for p in phrases_of(blank(prompt, pictures)) if p.opener in ("", ",") and self.noun_of(p)), None)
        if subject and (head := self.noun_of(subject)):
            kind, own = self.taught.named(_up_to(head, subject)), self.taught.nouns.get(head.text)
            kind, own = (k if k and self._known.issuperset(k.split()) else head.text for k in (kind, own))
            self.things[head.text] = own  # of a ship: a boat
            self._said[kind] |= set(words_of(prompt)) | self.taught.words_for(kind)  # of a rocket ship: a rocket

    def _bar(self, word: str) -> float:
        """The least nearness that exchanges a strange word for a known one."""
        return torch.inf if word in self.taught.opposites else QUALITY if word in self.taught.qualities else SYNONYM

    def noun_of(self, phrase: Phrase) -> Word | None:
        """The last word of a phrase that is no attribute; what a thing does is no noun either."""
        words = [word for word in phrase.content if word.text not in self.taught.attributes]
        doing = next((i for i, word in enumerate(words) if i and word.text.endswith("ing")), None)
        return next(iter(words[:doing][::-1]), None)

    def has(self, word: str) -> bool:
        """Whether training had a word."""
        return word in self._known

    def knows(self, prompt: str) -> bool:
        """Whether training had every word of a prompt; numbers written as digits never count as known."""
        return self._known.issuperset(words_of(prompt)) and not re.search(r"\b\d+\b", prompt)

    def read(self, prompt: str, text: TextEncoder) -> Reading:
        """The prompt in known words, as far as there are some. One of known words that speaks of a known thing stays as it is."""
        return _Reader(self, prompt, text).read()

    def understands(self, word: str, kind: str | None) -> bool:
        """Whether a word says something of a kind (None: of any)."""
        said = self._said[kind] if kind in self.taught.things else self._known  # of an untaught thing few prompts may have been learnt
        return word in said or word in self.taught.attributes or word in EMPTY or word.isdigit()

    def kind_of(self, word: str) -> str | None:
        """The kind that a known thing's name means, also in the plural."""
        singulars = (word, word.removesuffix("s"), word.removesuffix("es"))
        return next((self.things[name] for name in singulars if name in self.things), None)

    def kinds_called(self, word: str) -> list[str]:
        """The kinds that have a known word in their names, but not as their noun."""
        return [kind for kind in self._said if word in self._known and word in self.taught.first_words(kind)]

    def near(self, words: list[str], text: TextEncoder) -> Tensor:
        """How near strange words come to the known ones. [strange, words]"""
        return F.normalize(embed(words, text) - self._center, dim=-1) @ self._meanings.T

    def synonyms(self, strange: list[str], text: TextEncoder) -> dict[str, str]:
        """The known words, but no things, that mean about the same as strange ones."""
        if not strange or text.name != DEFAULT:  # the bars were found with that model
            return {}
        above, rows = (self.near(strange, text) - self._bars).max(1)
        best = [self.words[i] for i in rows.tolist()]
        sure = [by >= 0 and text.is_word(new) for new, by in zip(best, above.tolist(), strict=True)]  # words in pieces are near to any such
        return {w: new for w, new, ok in zip(strange, best, sure, strict=True) if ok}

    def things_near(self, word: str, text: TextEncoder) -> list[tuple[float, str, str]]:
        """The model's kinds by how near one of their names is to a word: nearness, name, kind, the nearest first."""
        names = [i for i, name in enumerate(self.words) if name in self.things]
        nearness = self.near([word], text)[0, names].tolist()
        ranked = sorted(zip(nearness, (self.words[i] for i in names), strict=True), reverse=True)
        whole = [(by, name, self.things[name]) for by, name in ranked if text.is_word(name) or self.things[name] == name]
        return list({kind: (by, name, kind) for by, name, kind in reversed(whole)}.values())[::-1]

    def respelt(self, word: str, text: TextEncoder, ratio: float) -> str | None:
        """The known word that a misspelt one is nearest to, or the last part of a compound: a houseboat is a boat. A word that the text
        model knows as a whole is not misspelt; one that is made of such a word ("potted") is at most another form of it ("spoted")."""
        if text.is_word(word) or len(word) < 4:  # shorter ones are all alike
            return None
        stem = _stem(word, text)
        near = difflib.get_close_matches(word, [*self.words, *COLOR_OF], 3, ratio)
        near = [new for new in near if stem is None or new.startswith(stem) or stem.startswith(new) or _stem(new, text) == stem]
        meant = near[0] if near else self._head(word, text)
        meant = COLOR_OF.get(meant, meant)
        return meant if meant in self._known and not _denies(word, meant) else None

    def _head(self, compound: str, text: TextEncoder) -> str:
        """The longest known word that a word ends with, where what comes before it is a word as well; else the word itself."""
        cuts = range(3, len(compound) - 2)
        heads = (compound[i:] for i in cuts if text.is_word(compound[:i]))
        return next((h for h in heads if h in self._known and h not in self.taught.opposites), compound)


class _Reader:
    """Reads one prompt: gathers what to change in it, and what to say about it."""

    def __init__(self, vocabulary: Vocabulary, prompt: str, text: TextEncoder):
        self.words, self.taught, self.prompt, self.text = vocabulary, vocabulary.taught, prompt, text
        self.edits: list[tuple[int, int, str]] = []  # stretches of the prompt and what stands there instead
        self.more: list[str] = []  # what is said after it
        self.reading = Reading(prompt)

    def read(self) -> Reading:
        out = list(excluded(self.prompt, self._known, self._is_thing))
        rest = blank(self.prompt, [(a, b) for a, b, _ in out])
        said, pictures = aside(rest, self._known)
        self.reading.set_aside = [*dict.fromkeys(rest[a:b].strip().lower() for a, b in said)]
        self.edits += [(a, b, "") for a, b, *_ in [*out, *said]]
        phrases = phrases_of(blank(rest, [*said, *pictures]), lambda word: self._is_thing(word) and word not in self.taught.attributes)
        subject, head = self._find_head(phrases)
        self._look_up(head, [p for p in phrases if p is subject or p.says_more])
        self._judge(head, subject)
        if head:
            self._understand(phrases, subject, head)
        self._leave_out([what for *_, what in out], head)
        self.reading.text = self._rewritten()
        return self.reading

    @cached_property
    def _known(self):
        return self.words._known.__contains__

    def _is_thing(self, word: str) -> bool:
        return self.words.kind_of(word) is not None

    def _look_up(self, head: Word | None, spoken: list[Phrase]) -> None:
        """Let the text model see all words that it may be asked about at once: one by one they take longer."""
        unknown = [w.text for p in spoken for w in p.content if not self._known(w.text)]
        unknown += [head.text] if head and not self.words.kind_of(head.text) else []
        if unknown and self.text.name == DEFAULT:
            self.text(unknown)

    def _find_head(self, phrases: list[Phrase]) -> tuple[Phrase, Word | None]:
        """The phrase that says what the prompt is about, and its noun: a known thing's name before any other word. What commas part from
        the beginning ("old, rusty, red car") may say it as well; where a prompt begins with a place, what comes after it."""
        if not phrases[0].content and not any(p.opener == "," for p in phrases[1:2]):
            first = phrases
        else:
            ends = next((i for i, p in enumerate(phrases) if i and p.opener != ","), len(phrases))
            first = phrases[:ends]
        for phrase in first:
            if (noun := self._known_noun(phrase)) is not None:
                return phrase, noun
        spoken = [p for p in first if self.words.noun_of(p)] or [p for p in first if p.content] or phrases[:1]
        return spoken[0], self.words.noun_of(spoken[0])

    def _known_noun(self, phrase: Phrase) -> Word | None:
        """A phrase's last known thing, if only attributes and what it does ("a robot waving") come after it."""
        for word in reversed(phrase.content):
            if self.words.kind_of(word.text):
                return word
            part = any(word.text in self.taught.part_of(self.words.kind_of(other.text)).split() for other in phrase.content)
            if word.text not in self.taught.attributes and not part and not _is_participle(word.text):
                return None
        return None

    def _judge(self, head: Word | None, subject: Phrase) -> None:
        """Which thing the prompt is about, and whether that is certain."""
        said = self.reading
        said.subject = self._in_words(subject)
        if head is None:
            said.familiar = False
        elif kind := self.words.kind_of(head.text):
            named = self.taught.named(_up_to(head, subject)) or kind
            said.thing = named if named in self.words._said else kind
            said.familiar = said.thing == named  # a street lamp is no lamp
            if head.text not in self.words.things:  # the plural
                said.read_as[head.text] = next(n for n in (head.text[:-1], head.text[:-2]) if n in self.words.things)
        else:
            self._guess(head)
        if not said.familiar:
            ranked = self.words.things_near((head or Word(self.prompt, 0, 0)).text, self.text)
            nearest = [kind for *_, kind in ranked]
            nearest = [*dict.fromkeys([said.thing, *nearest] if said.thing else nearest)][:NEAREST]
            said.nearness = {kind: by for by, _, kind in ranked if kind in nearest}
            kept = [w.text for w in subject.content if w.text in self.taught.attributes and (head is None or w.start < head.start)]
            said.nearest = {kind: with_article(" ".join([*kept, kind])) for kind in nearest}

    def _in_words(self, subject: Phrase) -> str:
        """What a prompt is about as it says it, with an article."""
        content = subject.content
        if not content:
            return self.prompt
        start, end = content[0].start, content[-1].end
        taken = [(max(a, start) - start, min(b, end) - start) for a, b, _ in self.edits if a < end and b > start]
        return with_article(" ".join(blank(self.prompt[start:end], taken).lower().split()))

    def _guess(self, head: Word) -> None:
        """A thing for a noun that is no known one: as it is spelt, or by what it means."""
        said, word, words = self.reading, head.text, self.words
        spelt = words.respelt(word, self.text, MISSPELT)
        by, _, kind = max(words.things_near(word, self.text), default=(0.0, "", ""))
        if (kinds := self.words.kinds_called(word)) and len(kinds) == 1:  # "castle" in "castle tower"
            said.thing, said.familiar = kinds[0], False
            said.read_as[word] = kinds[0]
            return
        meant = len(word) > 3 and self.text.name == DEFAULT
        if spelt not in words.things and not (meant and by >= SURE):
            spelt = words.respelt(word, self.text, ALIKE)
        if spelt in words.things:
            said.thing, said.read_as[word], sure = words.things[spelt], spelt, True
        elif meant and by >= THING:
            said.thing, said.read_as[word], said.nearness, sure = kind, kind, {kind: by}, by >= SURE
        else:
            sure = False
        own = self.taught.nouns.get(word)  # the library's word: a maple is a tree, and a pear no cactus, though the model knows neither
        said.familiar = own == said.thing if own else sure

    def _understand(self, phrases: list[Phrase], subject: Phrase, head: Word) -> None:
        """Exchange the words that mean something, take away the others."""
        kind, said = self.reading.thing, self.reading
        spoken = [p for p in phrases if p is subject or p.says_more]
        strange = [w.text for p in spoken for w in p.content if w != head and not (self._known(w.text) and self._understood(w.text))]
        said.read_as |= {w: new for w, new in self._exchanged([*dict.fromkeys(strange)]).items() if w not in said.read_as}
        if head.text in said.read_as:
            self.edits.append((head.start, head.end, said.read_as[head.text]))
        dropped = False
        for phrase in phrases:
            content = phrase.content
            if dropped and self.prompt[phrase.start : phrase.start + 4].lower() == "and ":  # what opened the phrase before opens this one
                self.edits.append((phrase.start, phrase.start + 3, phrase.opener))
            kept = phrase is subject or phrase is phrases[0] or (phrase.says_more and content and self._says_something(phrase))
            dropped = not kept
            if not content and phrase.opener == ",":
                continue  # a full stop
            if dropped:
                self.edits.append((phrase.start, phrase.end, ""))
                self._name(" ".join(w.text for w in content))
                continue
            self.edits += [(w.start, w.end, "") for w in phrase.words if w.text in FILLERS and not self._known(w.text)]
            for word in content:
                if word == head:
                    continue
                counted = kind and phrase is subject and self.taught.attributes.get(word.text, ("",))[0] == "count"  # one thing is made
                if word.text in said.read_as:
                    self.edits.append((word.start, word.end, self._instead(word.text)))
                elif counted or not (self._understood(word.text) or (kind is None and phrase is subject)):
                    self.edits.append((word.start, word.end, ""))
                    self._name(word.text)

    def _says_something(self, phrase: Phrase) -> bool:
        """Whether the last word of a phrase is understood; after "in", only a colour or a material is."""
        last = phrase.content[-1].text
        last = self.reading.read_as.get(last, last)
        return last in self.taught.attributes or (phrase.opener != "in" and self._understood(last))

    def _understood(self, word: str) -> bool:
        return self.words.understands(word, self.reading.thing)

    def _instead(self, word: str) -> str:
        """What stands for a strange word: "potted" is said as "with a pot"."""
        known = self.reading.read_as[word]
        if known == self.taught.part_of(self.reading.thing) and word.startswith(known):
            self.more.append("with " + with_article(known))
            return ""
        return known

    def _name(self, words: str) -> None:
        """Put what was taken away on the list that it belongs to."""
        kept = self.reading.set_aside if words in always_said() else self.reading.not_understood
        if words and words not in kept:
            kept.append(words)

    def _exchanged(self, strange: list[str]) -> dict[str, str]:
        """Known words for strange ones that say something of the thing: shades of colours, woods, parts that it is fitted with,
        misspellings, other words by meaning."""
        kind, text, words = self.reading.thing, self.text, self.words
        read_as = {w: COLOR_OF[w] for w in strange if COLOR_OF.get(w) in words._known}
        wooden = self.taught.adjectives.get("wood")
        read_as |= {w: wooden for w in strange if self.taught.is_wood(w, kind) and wooden in words._known}
        part = self.taught.part_of(kind)
        read_as |= {w: part for w in strange if part in words._known and w.endswith("ed") and _stem(w, text) == part}

        def left() -> list[str]:
            return [w for w in strange if w not in read_as and len(w) > 3 and w not in words._known]

        read_as |= {w: new for w in left() if (new := words.respelt(w, text, MISSPELT))}
        read_as |= {w: new for w, new in words.synonyms(left(), text).items() if self.taught.can_be(kind, new)}
        read_as |= {w: new for w in left() if (new := words.respelt(w, text, ALIKE))}
        return {w: new for w, new in read_as.items() if words.understands(new, kind) and not _denies(w, new)}

    def _leave_out(self, what: list[str], head: Word | None) -> None:
        """Say what the thing is instead of what the prompt excludes, or that it cannot be had without."""
        said = self.reading
        for text in what:
            if not set(words_of(text)) - EMPTY:  # "unpainted"
                said.left_out.append(text.lower())
            for item in re.split(r",|\b(?:and|or|nor)\b", text.lower()):
                words = [word for word in words_of(item) if word not in EMPTY]
                if words and self.taught.always_has(said.thing, words[-1]):
                    said.not_understood.append("no " + " ".join(words))
                elif words:
                    said.left_out.append(" ".join(words))
        if said.left_out and head and said.thing:
            out = {COLOR_OF.get(word, word) for item in said.left_out for word in words_of(item)}
            adjectives, parts = self.taught.instead(out, said.thing, set(words_of(self._rewritten())))
            adjectives = [word for word in adjectives if word in self.words._known]
            name = said.read_as.get(head.text, self.prompt[head.start : head.end])
            self.edits = [edit for edit in self.edits if edit[:2] != (head.start, head.end)]
            self.edits.append((head.start, head.end, " ".join([*adjectives, name])))
            self.more += ["with " + part for part in parts]

    def _rewritten(self) -> str:
        """The prompt with all edits, tidied up where there were some; itself where nothing would be left."""
        if not self.edits and not self.more:
            return self.prompt
        text, at = "", 0
        for start, end, new in sorted(self.edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= at:
                text += self.prompt[at:start] + new
                at = end
        text += self.prompt[at:]
        if self.more or not all(new for *_, new in self.edits):
            text = " ".join([_tidy(text), *self.more]).strip() or self.prompt
        return re.sub(r"\b(a)n?\s+(?=([a-z]))", lambda m: m[1] + ("n " if m[2] in "aeiou" else " "), text, flags=re.I)


def _tidy(text: str) -> str:
    """Without what is left over where words were taken away."""
    text = re.sub(r"(?<!\w)-+(?!\w)", "", text)
    text = re.sub(r"(?:\s*[,;|]\s*)+", ", ", " ".join(text.split()))
    text = re.sub(r"\b(an?|the), ", r"\1 ", text, flags=re.I)
    text = re.sub(r"\b(an?|the)\s+and\b", r"\1", text, flags=re.I)
    text = re.sub(r"\b(?:an?|the)\s+(?=(?:an?|the)\b)", "", text, flags=re.I)
    text = re.sub(r"^(?:and|but|or|with|of)\b|(?:\b(?:and|but|or|an?|the|with|of|in|that|is|has)|[\s,;.:()-]+)+$", "", text, flags=re.I)
    return text.strip(" ,;")


def _up_to(head: Word, phrase: Phrase) -> list[str]:
    """The words of a phrase as far as its noun."""
    return [word.text for word in phrase.words if word.start <= head.start]


def _denies(word: str, known: str) -> bool:
    """Whether a word says that something is not as a known one says: "unpainted" of "painted", "spotless" of "spots"."""
    rest = re.sub(r"^(?:un|non)|less$", "", word)
    alike = [difflib.SequenceMatcher(None, said, known).ratio() for said in (rest, word)]
    return alike[0] >= ALIKE and alike[0] > alike[1]


def _is_participle(word: str) -> bool:
    return len(word) > 4 and word.endswith(("ing", "ed"))


def _stem(word: str, text: TextEncoder) -> str | None:
    """The word that another one is a form of: "potted" of "pot"."""
    for ending in ("ed", "ing", "s", "es", "er", "y", "ly", "ish", "like", "less"):
        stem = word.removesuffix(ending)
        doubled = stem[:-1] if stem[-1:] == stem[-2:-1] else stem
        for form in (doubled, stem, stem + "e"):
            if stem != word and len(form) > 2 and text.is_word(form):
                return form
    return None


def embed(texts: Iterable[str], text: TextEncoder) -> Tensor:
    """Sentence embeddings, as MiniLM's authors make them: means of the tokens, of length 1. [texts, W]"""
    texts = list(texts)
    if not texts:  # prompts in another script than Latin have none of the words that are read here
        return torch.zeros(0, text.width, device=text.device)
    return torch.cat([_mean(*text(texts[i : i + 256])) for i in range(0, len(texts), 256)])


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens: [B, L, W], mask: [B, L] -> [B, W]"""
    return F.normalize((tokens * mask[..., None]).sum(1), dim=-1)
