# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny priors, made once for all tests of guidance; a test that spoils one takes a copy."""

import shutil

import pytest

from tests.core.guidance import tiny


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Folders of priors by kind: multiview, depth, image, pixels (without a VAE)."""
    base = tmp_path_factory.mktemp("priors")
    return {
        "multiview": tiny.prior(base / "multiview", camera=True),
        "depth": tiny.prior(base / "depth", controlnet=True),
        "image": tiny.prior(base / "image"),
        "pixels": tiny.prior(base / "pixels", camera=True, latent=False),
    }


@pytest.fixture
def copied(folders, tmp_path):
    """`copied("multiview")`: a copy of a prior's folder, to spoil."""
    return lambda kind: shutil.copytree(folders[kind], tmp_path / kind)
