# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core bulk WANTED.jsonl --out FOLDER --ray ADDRESS`: make many objects on a Ray cluster, a file each.

The add-on's `generate --prompts LIST --ray ADDRESS` runs this, and makes an asset library of the files.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from core import terminal
from core.bulk.cluster import LOCAL, Cluster
from core.bulk.maker import Failure, read_wants
from core.errors import EngineError
from core.files import replace_file
from core.service.worker import load_models

SUFFIX = ".latte3d"
TELL_S = 0.5  # between two words about the progress


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 all are made, 1 something failed. Raises EngineError, KeyboardInterrupt."""
    options = arguments(argv)
    wants, teller = read_wants(options.wanted), Teller(options.json)
    load = functools.partial(load_models, options.model, options.models, options.device)
    gpus = options.device in ("auto", "cuda")
    cluster = Cluster(options.ray, load, cores=options.cores, gpus=gpus, strict=options.strict, say=teller.say)
    terminal.end_on_signals()  # Ray has put its own in place
    done, failed, begun = 0, 0, time.monotonic()
    try:
        teller.progress(0, len(wants), None)
        for want, result in cluster.make(wants):
            if isinstance(result, Failure):
                failed += 1
                teller.event({"event": "failed", "key": want.key, "kind": result.kind, "reason": str(result)})
            else:
                replace_file(options.out / f"{want.key}{SUFFIX}", functools.partial(write, result))
                teller.event({"event": "made", "key": want.key})
            done += 1
            teller.progress(done, len(wants), (time.monotonic() - begun) / done * (len(wants) - done))
    except EngineError as error:
        teller.event({"event": "error", "reason": str(error)})
        raise
    finally:
        cluster.end()
    seconds = round(time.monotonic() - begun, 2)
    told = {"made": done - failed, "failed": failed, "lost": cluster.lost, "devices": dict(cluster.devices), "seconds": seconds}
    print(json.dumps(told) if options.json else f"{told['made']:,} made, {failed:,} failed, in {seconds:.1f} s", flush=True)
    return int(bool(failed))


def write(blob: bytes, name: str) -> None:
    Path(name).write_bytes(blob)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line. Exits with usage where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m core bulk", description="Make many objects on a Ray cluster, a file each.")
    add = parser.add_argument
    add("wanted", type=Path, help='what to make: a JSON object a line, {"key", "prompt", "seed", "model", "quality"}')
    add("--out", type=Path, required=True, help=f"the folder for the files, KEY{SUFFIX} each")
    add("--ray", required=True, metavar="ADDRESS", help=f'of the cluster, as host:port or auto; "{LOCAL}": on this machine alone')
    add("--cores", type=int, default=2, help="of a worker, on a cluster without GPUs (default: 2)")
    add("--model", type=Path, help="the folder of a model, in place of those that come with the engine; on every node")
    add("--models", type=Path, action="append", default=[], metavar="FOLDER", help="a folder with more models; on every node")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="auto: GPUs where the cluster has some")
    add("--strict", action="store_true", help="make nothing of what no model knows")
    add("--json", action="store_true", help="one JSON object a line, the last one the result")
    options = parser.parse_args(argv)
    if options.cores < 1:
        parser.error("a worker needs at least one core")
    return options


class Teller:
    """Says how far it is: as JSON lines, or as sentences."""

    def __init__(self, as_json: bool):
        self.as_json, self.told = as_json, 0.0

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def event(self, event: dict) -> None:
        if self.as_json:
            print(json.dumps(event), flush=True)
        elif "reason" in event:
            self.say(f"{event['event']}: {event['reason']}")

    def progress(self, done: int, total: int, left_s: float | None) -> None:
        now = time.monotonic()
        if now - self.told < TELL_S and done < total:
            return
        self.told = now
        left = None if left_s is None else round(left_s, 1)
        self.event({"event": "progress", "stage": "objects", "done": done, "total": total, "eta_s": left})
        if not self.as_json:
            print(f"{done:,} of {total:,}", flush=True)
