# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: from a prompt to a textured mesh, with torch and without Blender."""

__version__ = "0.1.0"
