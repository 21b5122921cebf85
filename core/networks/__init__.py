# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator: point cloud and text to triplanes (G: geometry, T: texture), and the decoders that read them."""
