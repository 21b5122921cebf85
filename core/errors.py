# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that reach a person: each is one sentence, a cause and a way out."""

import re
from typing import Literal

Code = Literal["bad_request", "missing_weights", "out_of_memory", "cancelled", "unfamiliar", "internal"]
CODES: tuple[str, ...] = ("bad_request", "missing_weights", "out_of_memory", "cancelled", "unfamiliar", "internal")


class EngineError(Exception):
    """Something that a person can understand and act upon.

    Args:
        code: one of `CODES`; tells the caller which way out to offer.
        message: one sentence that says what happened.
        cause: one sentence that says why, or "".
        remedy: one sentence that says what to do now, or "".
    """

    def __init__(self, code: Code, message: str, cause: str = "", remedy: str = ""):
        if code not in CODES:
            raise ValueError(f"unknown error code {code!r}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(part for part in (self.message, self.cause, self.remedy) if part)


class BadRequest(EngineError):
    """What was asked for cannot be done, whoever asks."""

    def __init__(self, message: str, cause: str = "", remedy: str = ""):
        super().__init__("bad_request", message, cause, remedy)


class MissingWeights(EngineError):
    """The model folder is absent, incomplete or damaged."""

    def __init__(self, message: str, cause: str = "", remedy: str = ""):
        super().__init__("missing_weights", message, cause, remedy)


class Unfamiliar(EngineError):
    """A prompt is about something that the model does not know, and only what it knows was asked for.

    subject: what the prompt is about ("a dragon"); prompt: all of it; example: the things that come nearest, nearest first, each with a
    prompt that asks for it; models: how many were asked.
    """

    def __init__(self, subject: str, prompt: str, example: dict[str, str], models: int = 1):
        knows = "this model knows" if models == 1 else "the installed models know"
        cause = f"The nearest known: {', '.join(example)}." if example else ""
        remedy = "Ask for one of these, or have it made anyway." if example else "Ask for something else, or have it made anyway."
        super().__init__("unfamiliar", f"“{subject}” is not one of the things that {knows}.", cause, remedy)
        self.prompt, self.things, self.example = prompt, list(example), example


class EmptySurface(EngineError):
    """The model made nothing for a prompt."""

    def __init__(self):
        super().__init__("internal", "The model made nothing for this prompt.", "Its surface is empty.", "Try another seed or wording.")


class Cancelled(EngineError):
    """The user asked to stop."""

    def __init__(self, message: str = "Cancelled.", cause: str = "", remedy: str = ""):
        super().__init__("cancelled", message, cause, remedy)


def out_of_memory(error: BaseException) -> EngineError | None:
    """Python's, CUDA's and the CPU allocator's failures to get memory in words; None for any other error."""
    # torch is not imported for its class: torch.OutOfMemoryError is a RuntimeError, and so is the CPU allocator's failure.
    from_torch = isinstance(error, RuntimeError) and re.search("can't allocate memory", str(error))
    if not isinstance(error, MemoryError) and not from_torch and not card_is_full(error):
        return None
    cause = (str(error).strip().splitlines() or ["The system has none left."])[0][:200]
    remedy = "Choose a lower resolution or texture size, or fewer objects at once."
    return EngineError("out_of_memory", "The engine ran out of memory.", cause, remedy)


def card_is_full(error: BaseException) -> bool:
    """Whether a graphics card has too little memory: PyTorch's own words for it, the driver's, or those of NVIDIA's libraries. Where the
    CPU's allocator fails, PyTorch says that it "can't allocate memory"."""
    return isinstance(error, RuntimeError) and bool(re.search(r"out of memory|_ALLOC_FAILED", str(error)))


def plain_error(error: Exception) -> EngineError:
    """Any error in the words that reach a person."""
    if isinstance(error, EngineError):
        return error
    if short := out_of_memory(error):
        return short
    cause = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
    return EngineError("internal", "The engine made an error.", cause, "The log has the details; please report them.")
