# SPDX-License-Identifier: GPL-3.0-or-later
"""LATTE3D for Blender: a prompt in the sidebar, a textured mesh in the scene."""

import time

STARTED = time.time()  # when Blender loaded the add-on; as a program of its own: when that began
_command = None


def _modules() -> tuple:
    """What is registered, in its order: each has a register and an unregister of its own."""
    from . import library_session, population_properties, population_session, properties, quads, refining, session
    from .operators import click, extras, generate, history, library, live, made, presets, prompt, restyle, setup, training, variations
    from .operators import populate as operators_populate
    from .operators import refine as operators_refine
    from .operators import retexture as operators_retexture
    from .panels import extras as panels_extras
    from .panels import library as panels_library
    from .panels import main as panels
    from .panels import populate as panels_populate

    operators = (generate, setup, prompt, click, live, variations, restyle, history, made, presets, library, training, extras)
    shaping = (operators_refine, operators_retexture)
    states = (properties, population_properties, session, library_session, refining, population_session, quads)
    return (*states, *operators, *shaping, operators_populate, panels, panels_library, panels_extras, panels_populate)


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    global _command
    import bpy

    from . import preferences, words

    words.register()
    bpy.utils.register_class(preferences.LATTE3D_AP_preferences)
    for module in _modules():
        module.register()
    _command = bpy.utils.register_cli_command("latte3d", _run)


def unregister() -> None:
    """Called by Blender when the add-on is disabled: ends the engine and takes everything back."""
    import bpy

    from . import preferences, words

    bpy.utils.unregister_cli_command(_command)
    for module in reversed(_modules()):
        module.unregister()
    bpy.utils.unregister_class(preferences.LATTE3D_AP_preferences)
    words.unregister()


def _run(argv: list[str]) -> int:
    """`blender --command latte3d …`"""
    from . import commands

    return commands.command(argv)
