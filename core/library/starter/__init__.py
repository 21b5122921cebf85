# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter library: a grammar of prompts, its parser, and the exact objects that prompts stand for."""
