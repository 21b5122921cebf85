# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a process, and its end of the wire to Blender."""
