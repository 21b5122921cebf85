# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m latte3d_blender generate "a red mushroom" --out DIR`, with Blender as a Python module."""

import sys


def main() -> int:
    """Run the command line; where Blender's module does not load, say so and what to do."""
    try:
        from . import commands
    except (ImportError, MemoryError, OSError) as error:  # a package is gone, or the memory does not hold it
        print(f"latte3d: Blender's module does not load: {error or 'no memory is left'}. {HINT}", file=sys.stderr)
        return 1
    return commands.command(sys.argv[1:])


HINT = "If no other program needs the memory, mend the installation: python3 build.py repair"

if __name__ == "__main__":
    sys.exit(main())
