# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: stages that teach the networks, each by one Run (see train.py)."""
