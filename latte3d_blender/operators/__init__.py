# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators, a file for each subject."""
