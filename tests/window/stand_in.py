# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for `latte3d train … --json`: reports progress and a preview, and goes on until it is told to stop.

stand_in.py OUT WORDS…     OUT/picture.png is the preview
"""

import json
import signal
import sys
import time
from pathlib import Path


def say(**event) -> None:
    print(json.dumps(event), flush=True)


def stop(*_) -> None:
    say(model="", finished=False, minutes=1.0, steps=5)
    sys.exit(130)


signal.signal(signal.SIGTERM, stop)
for second in range(600):
    say(event="progress", stage="reconstruction", done=900.0 + second, total=3600.0, eta_s=2700.0 - second, losses={})
    say(event="preview", picture=str(Path(sys.argv[1]) / "picture.png"))
    time.sleep(1)
