# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels, a file for each subject: they read the session and do nothing else."""
