# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of prompts as an asset library: the list, catalogues, pictures and files. See docs/asset-libraries.md."""
