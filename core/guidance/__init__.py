# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidance: what a picture of an object should look like, by diffusion priors; through the stock classes of diffusers."""
