# SPDX-License-Identifier: GPL-3.0-or-later
"""How good the finished textured meshes are, against the exact objects, and how fast they come."""
