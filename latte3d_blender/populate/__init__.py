# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling a scene with many objects: recipe.py says what, layout.py where, job.py makes what is missing, run.py goes through it all."""
