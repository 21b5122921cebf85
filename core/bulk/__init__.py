# SPDX-License-Identifier: GPL-3.0-or-later
"""Many objects on many machines, through Ray: the worker, the cluster, the command."""
