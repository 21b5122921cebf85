# SPDX-License-Identifier: GPL-3.0-or-later
"""Diffusion priors of one's own, small ones, learnt from pictures of a library whose shapes are known."""
