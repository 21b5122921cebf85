# SPDX-License-Identifier: GPL-3.0-or-later
"""From a signed distance field to a textured mesh: extract, decimate, unwrap (atlas) and bake."""

from core.surface.atlas import Atlas, unwrap
from core.surface.bake import bake
from core.surface.decimate import decimate
from core.surface.extract import ExtractionCancelled, extract_dense, extract_surface

__all__ = ["Atlas", "ExtractionCancelled", "bake", "decimate", "extract_dense", "extract_surface", "unwrap"]
