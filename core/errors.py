# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that reach a person: each is one sentence, a cause and a way out."""

from typing import Literal

Code = Literal["bad_request", "missing_weights", "out_of_memory", "cancelled", "internal"]
CODES: tuple[str, ...] = ("bad_request", "missing_weights", "out_of_memory", "cancelled", "internal")


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


class Cancelled(EngineError):
    """The user asked to stop."""

    def __init__(self, message: str = "Cancelled.", cause: str = "", remedy: str = ""):
        super().__init__("cancelled", message, cause, remedy)
