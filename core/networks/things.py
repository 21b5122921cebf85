# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model can make, as it stands in its folder and in the handshake."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """One of the things that a model can make, for people to choose from.

    group: the heading that it stands under. example: a prompt that the model makes well. picture: absolute path of a small picture of
    that, or "" where the folder has none; found when a folder is read, not kept in config.json.
    """

    name: str
    group: str
    example: str
    picture: str = ""
