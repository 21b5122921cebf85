# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures: cameras, shading, solids by sphere tracing, meshes by rasterising. Knows no library."""
