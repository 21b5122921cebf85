# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/benchmarks/gpu.sh works before there is a GPU to run it on."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_the_gpu_script_measures_in_small_on_a_cpu(tmp_path) -> None:
    command = ["sh", str(ROOT / "docs" / "benchmarks" / "gpu.sh"), "--device", "cpu", "--small"]
    command += ["--only", "starter,networks", "--out", "out.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["machine"]["torch"] and found["starter"]["float32"]["step_ms"] > 0
    assert found["networks"]["called"]["click_ms"] > found["networks"]["called"]["networks_ms"] > 0
    assert json.loads((tmp_path / "out.json").read_text()) == found
