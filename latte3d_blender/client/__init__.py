# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of the engine: its process, the wire, its installation. Knows nothing of bpy."""
