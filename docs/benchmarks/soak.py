#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An hour of work in a real Blender window, and whether anything grows in it: memory, data-blocks without users, files, processes.

    .venv/bin/python docs/benchmarks/soak.py --suite sid --minutes 60 --objects 300 --out out/soak

needs what tests/window needs. Each round of about a dozen objects: Generate, undo and redo by key, a new seed in an object's place, the
same anew, four variations of which one stays, two more like it, a live draft that is kept, something from the history, the other model,
restyling, asset marking, Blender's own Delete of all but three, and Purge; after every fifth round the file is saved and loaded. Writes
samples.jsonl, pictures, report.json and summary.json; the exit status is 0 where nothing grows. `--sum-up` reads an earlier run's folder;
a file OUT/stop ends a run after its round.

Memory is compared between the ends of rounds, after Purge: before it, Blender keeps what Delete has left until the file is saved.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WINDOW = ROOT / "tests" / "window"
WARM = 0.2  # of the time, before which growth does not count: caches fill, the undo history gets its length
MOST = 5.0  # percent, that memory may grow by after that


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=("trixie", "sid"), default="sid", help="Blender 4.3 or 5.2 (default)")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "soak")
    parser.add_argument("--sum-up", action="store_true", help="an earlier run: OUT is its folder")
    options = parser.parse_args()
    options.out = options.out.resolve()
    if not options.sum_up and (status := run(options)):
        return status
    summary = sum_up(options.out)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary, indent=1))
    return int(not summary["passed"])


def run(options: argparse.Namespace) -> int:
    """Open the window and let it work."""
    sys.path.insert(0, str(ROOT))
    import build

    options.out.mkdir(parents=True, exist_ok=True)
    for old in ("samples.jsonl", "report.json", "summary.json", "stop"):
        (options.out / old).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "latte3d.zip"
        build.stage(source)
        tool, tags = build.blender_tools()
        subprocess.run([sys.executable, tool, "build", "--source-dir", source, "--output-filepath", made, "--valid-tags", tags], check=True)
        more = Path(folder) / "models"
        shutil.copytree(ROOT / "docs" / "experiments" / "kaykit", more / "kaykit")  # whatever happens to the checkout meanwhile
        bound = {ROOT, Path("/tmp"), options.out, Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent.parent} - {Path("/usr")}
        around = {"BIND": ":".join(map(str, bound)), "BLENDER_WINDOW_TIMEOUT": str(round(120 * options.minutes + 900))}
        script = [WINDOW / "soak.py", options.out, sys.executable, more, options.minutes, options.objects]
        play = [WINDOW / "blender_window" / "blender_window", "play", options.suite, made, *script]
        with open(options.out / "blender.log", "wb") as log:
            done = subprocess.run(list(map(str, play)), env=os.environ | around, stdout=log, stderr=log)
    if not (options.out / "report.json").is_file():
        print(f"Blender ended before its time: see {options.out / 'blender.log'}", file=sys.stderr)
        return done.returncode or 1
    return 0


def sum_up(folder: Path) -> dict:
    """What a run's samples say."""
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    report = json.loads((folder / "report.json").read_text())
    ends, rounds, loaded = ([one for one in samples if one["what"] == what] for what in ("purged", "round", "loaded"))
    summary = {name: report.get(name) for name in ("version", "seconds", "rounds", "made", "drafts", "undone", "redone", "loads", "models")}
    summary["memory_mb"] = memory = {who: grown(ends, who) for who in ("blender", "engine")}
    memory["blender"]["in_use_by_its_own_count"] = [ends[0].get("own"), ends[-1].get("own")]
    memory["blender"]["rss_given_back"] = next((one["blender"]["rss"] for one in samples if one["what"] == "given back"), None)
    summary["engines"] = len({one["engine"]["pid"] for one in samples if one["engine"]})  # 1: it never had to start again
    summary["children"] = {"most": max(one["children"] for one in samples), "at the end": report.get("children")}
    kinds = ("objects", "collections", "meshes", "materials", "images")
    summary["blocks"] = {
        what: {kind: [some[0]["blocks"].get(kind, 0), some[-1]["blocks"].get(kind, 0)] for kind in kinds}
        for what, some in (("first and last round", rounds), ("the same, purged", ends), ("first and last time loaded", loaded))
    }
    summary["most_orphans"] = {
        what: max((sum(one["orphans"].values()) for one in some), default=0)
        for what, some in (("of Delete", rounds), ("purged", ends), ("loaded", loaded))
    }
    summary["orphans_that_delete_did_not_leave"] = sorted({name for one in samples for name in one["unexplained"]})
    summary |= {name: [ends[0][name], ends[-1][name]] for name in ("temp", "open", "threads", "results", "history")}
    summary["longest_step_cpu_ms"] = report["longest"]
    summary["steps_over_50_ms"] = sum(busy > 50 for _, busy, _, _ in report["long"])
    summary["error"] = report.get("error", "")
    lost = summary["orphans_that_delete_did_not_leave"] or summary["most_orphans"]["loaded"] or report.get("children") != 0
    summary["passed"] = not (summary["error"] or lost or any(one["grown_percent"] > MOST for one in memory.values()))
    return summary


def grown(ends: list[dict], who: str) -> dict:
    """How the memory of a process grows after the first fifth: by a straight line through the ends of the rounds, in percent of where that
    begins; and its medians at the beginning and the end, and its peaks before and after."""
    times, sizes = [one["t"] for one in ends], [one[who]["rss"] for one in ends]
    first = next(index for index, time in enumerate(times) if time >= WARM * times[-1])
    slope, begin = statistics.linear_regression(times[first:], sizes[first:]) if len(times) - first > 1 else (0.0, sizes[first])
    start, end = (begin + slope * time for time in (times[first], times[-1]))
    return {
        "rss_start": round(start, 1), "rss_end": round(end, 1), "grown_percent": round(100 * (end - start) / start, 2),
        "median_of_first_and_last_third": [round(statistics.median(part), 1) for part in thirds(sizes[first:])],
        "peak_before_and_after": [max(sizes[: first + 1]), max(sizes[first:])],
    }  # fmt: skip


def thirds(sizes: list[float]) -> tuple[list[float], list[float]]:
    """The first and the last third, at least one each."""
    length = max(1, len(sizes) // 3)
    return sizes[:length], sizes[-length:]


if __name__ == "__main__":
    sys.exit(main())
