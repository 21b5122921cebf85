# SPDX-License-Identifier: GPL-3.0-or-later
"""From the engine's arrays to objects in a scene: meshes, materials, where they stand, and their photographs."""
