# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: from a prompt to a textured mesh, with torch and without Blender."""

import os

# Threads that spin while they wait for one another take the processor from those they wait for. Beside one other busy program on two cores,
# the networks took 4.2 s so and take 0.08 s asleep; alone it makes no difference. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.2.0"
