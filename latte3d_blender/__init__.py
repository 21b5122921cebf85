# SPDX-License-Identifier: GPL-3.0-or-later
"""LATTE3D for Blender: a prompt in the sidebar, a textured mesh in the scene."""

import time

STARTED = time.time()  # when Blender loaded the add-on; as a program of its own: when that began
_command = None


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    global _command
    import bpy

    from . import library_session, population_properties, population_session, preferences, properties, session
    from .operators import generate as operators
    from .operators import library as operators_library
    from .operators import populate as operators_populate
    from .operators import prompt as operators_prompt
    from .operators import setup as operators_setup
    from .operators import training as operators_training
    from .panels import library as panels_library
    from .panels import main as panels
    from .panels import populate as panels_populate

    bpy.utils.register_class(preferences.LATTE3D_AP_preferences)
    makers = (operators, operators_setup, operators_prompt, operators_library, operators_training, operators_populate)
    states = (properties, population_properties, session, library_session, population_session)
    for module in (*states, *makers, panels, panels_library, panels_populate):
        module.register()
    _command = bpy.utils.register_cli_command("latte3d", _run)


def unregister() -> None:
    """Called by Blender when the add-on is disabled: ends the engine and takes everything back."""
    import bpy

    from . import library_session, population_properties, population_session, preferences, properties, session
    from .operators import generate as operators
    from .operators import library as operators_library
    from .operators import populate as operators_populate
    from .operators import prompt as operators_prompt
    from .operators import setup as operators_setup
    from .operators import training as operators_training
    from .panels import library as panels_library
    from .panels import main as panels
    from .panels import populate as panels_populate

    bpy.utils.unregister_cli_command(_command)
    makers = (operators_populate, operators_training, operators_library, operators_prompt, operators_setup, operators)
    states = (population_session, library_session, session, population_properties, properties)
    for module in (panels_populate, panels_library, panels, *makers, *states):
        module.unregister()
    bpy.utils.unregister_class(preferences.LATTE3D_AP_preferences)


def _run(argv: list[str]) -> int:
    """`blender --command latte3d …`"""
    from . import commands

    return commands.command(argv)
