# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a training, in the order that they come in."""
