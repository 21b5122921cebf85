# SPDX-License-Identifier: GPL-3.0-or-later
"""Making what a list lacks on a Ray cluster: the engine's own command does it, and leaves a file of each object in the job's folder."""

import json
from collections.abc import Callable
from dataclasses import asdict

from .. import files, running
from ..client.engine import Launch
from ..client.job import Fault
from ..populate.job import Job, Progress, Want
from ..running import Output

WANTED = "wanted.jsonl"


def make(
    job: Job,
    wants: list[Want],
    launch: Launch,
    options: list[str],
    output: Output,
    facts: dict,
    *,
    take: Callable[[Want, Fault | None], None],
    progress: Callable[[Progress], None],
) -> None:
    """Make what the job's folder lacks; tell `take` of each object as soon as it is kept, or of the reason why it is not. `options`: of
    the engine's `bulk`, beside what `launch` says. Raises RuntimeError where it ends before its time, KeyboardInterrupt."""
    by_key = {want.key: want for want in wants if not job.has(want)}
    if not by_key:
        return
    there, wanted, error = len(wants) - len(by_key), job.folder / WANTED, []
    with files.written(wanted) as partial:
        partial.write_text("".join(json.dumps({"key": key, **asdict(want)}) + "\n" for key, want in by_key.items()), encoding="utf-8")

    def hear(line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return output.say(line)
        match event.get("event"):
            case "progress":
                progress(Progress(there + event["done"], len(wants), event["eta_s"]))
            case "made":
                take(by_key[event["key"]], None)
            case "failed":
                want = by_key[event["key"]]
                job.failed[want] = event["reason"]
                take(want, Fault(event["reason"], kind=event["kind"]))
            case "error":
                error.append(event["reason"])
            case None:
                facts.update(device=", ".join(event.get("devices", {})), workers_lost=event.get("lost", 0))

    command = [str(launch.python), "-m", "core", "bulk", str(wanted), "--out", str(job.folder), *options, *launch.command[3:], "--json"]
    try:
        status = running.run(command, launch.source, output, hear)
    finally:
        wanted.unlink(missing_ok=True)
    if status == 130:
        raise KeyboardInterrupt
    if status > 1 or error:
        raise RuntimeError(error[0] if error else f"The cluster's command ended with status {status}.")
