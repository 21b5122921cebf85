# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompt libraries: the format on disk, what training draws from, and the starter library (starter/)."""

SPLITS = ("train", "unseen", "pairs", "paraphrases", "kinds")  # training sees the first; what the others hold out: starter/splits.py
