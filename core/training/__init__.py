# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: reconstruction of the library's exact objects (the paper's model initialisation)."""
