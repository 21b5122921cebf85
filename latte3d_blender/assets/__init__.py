# SPDX-License-Identifier: GPL-3.0-or-later
"""Artists' files as triangles, looks and pictures: opening, geometry, materials, baking, picture."""


class Unusable(Exception):
    """Why an asset cannot be used, in one sentence for the report."""
