# SPDX-License-Identifier: GPL-3.0-or-later
"""LATTE3D for Blender: a prompt in the sidebar, a textured mesh in the scene."""
