# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts in words that a model knows, as tokens, and how well it knows them. Imports no library: each model brings its own words."""
