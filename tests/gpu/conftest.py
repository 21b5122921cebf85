# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that need a GPU; skipped without one. LATTE3D_TEST_DEVICE=cpu runs them on the CPU, to see that the tests themselves work."""

import os

import pytest


@pytest.fixture
def device():
    """The device under test; products are in full precision, so that it can be held against the CPU."""
    torch = pytest.importorskip("torch")
    name = os.environ.get("LATTE3D_TEST_DEVICE", "cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield torch.device(name)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
