#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Measures the engine on a machine with a GPU, without a network, in under eight minutes; prints one JSON object a part and all of them last.
#     sh docs/benchmarks/gpu.sh                          everything, on CUDA, by this checkout's .venv or else the python3 that there is
#     sh docs/benchmarks/gpu.sh --device cpu --small     the same parts in small, to see that the script itself works
# Options go to gpu.py (--only PART,PART, --out FILE). A part whose packages are not there says so and is left out.
set -eu
root="$(cd "$(dirname "$0")/../.." && pwd)"
python="${PYTHON:-}"
if [ -z "$python" ]; then
    python=python3
    [ -x "$root/.venv/bin/python" ] && python="$root/.venv/bin/python"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
exec "$python" "$root/docs/benchmarks/gpu.py" "$@"
