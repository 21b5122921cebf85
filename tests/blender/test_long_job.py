# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work in a process of its own: it outlives the one that started it, is found again, and ends when it is asked to."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latte3d_blender.client import supervisor
from latte3d_blender.client.job import EngineFault
from latte3d_blender.client.long_job import LongJob
from tests.blender.conftest import ROOT

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses signals and /proc")

WORK = """
import json, signal, sys, time
def stop(*_):
    if "deaf" not in sys.argv:
        print(json.dumps({"event": "stopped"}), flush=True)
        sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print("no JSON", flush=True)
print("a warning", file=sys.stderr, flush=True)
for done in range(2):
    print(json.dumps({"event": "progress", "done": done, "text": "größer"}), flush=True)
print('{"event": "half', end="", flush=True)
while "endless" in sys.argv:
    time.sleep(0.05)
print('"}', flush=True)
sys.exit(3)
"""


def work(*words: str) -> list[str]:
    return [sys.executable, "-I", "-c", WORK, *words]


def until(true, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def events(job: LongJob, count: int) -> list[dict]:
    """The first `count` events."""
    found = []
    until(lambda: found.extend(job.poll()) or len(found) >= count)
    return found


def test_it_is_read_line_by_line_and_its_status_is_kept(tmp_path):
    job = LongJob.start(work(), tmp_path / "größer ☃")
    assert [event.get("done", "half") for event in events(job, 3)] == [0, 1, "half"] and job.poll() == []
    until(lambda: not job.running)
    assert job.status == 3 and job.log.read_text() == "a warning\n" and not job.cancelled
    again = LongJob.attach(job.folder)
    assert (again.running, again.status, len(again.poll()), again.command) == (False, 3, 3, work())
    assert LongJob.attach(tmp_path) is None
    anew = LongJob.start([*work()[:3], "print('{}')"], job.folder)
    until(lambda: not anew.running)
    assert anew.status == 0 and anew.poll() == [{}]


@posix
def test_it_outlives_the_one_that_started_it_and_is_found_again(tmp_path):
    """Whose whole session is killed, as where a window system ends Blender."""
    program = "import sys, time; from pathlib import Path; from latte3d_blender.client.long_job import LongJob; "
    program += f"print(LongJob.start({work('endless')!r}, Path(sys.argv[1])).running, flush=True); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout.readline() == "True\n"
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    job = LongJob.attach(tmp_path)
    assert job.running and job.status is None and len(events(job, 2)) == 2
    with pytest.raises(EngineFault, match="running already"):
        LongJob.start(work(), tmp_path)
    job.cancel()
    assert job.cancelled and LongJob.attach(tmp_path).cancelled
    until(lambda: not job.running)
    assert job.status == 130


@posix
@pytest.mark.parametrize("supervised", [True, False])
def test_what_does_not_end_is_killed(tmp_path, monkeypatch, supervised):
    job = LongJob.start(work("endless", "deaf"), tmp_path)
    events(job, 2)
    if not supervised:
        os.kill(json.loads((tmp_path / supervisor.PIDS).read_text())["supervisor"], signal.SIGKILL)
        assert job.running  # the command holds the lock
    job.cancel(patience_s=0.2)
    if not supervised:
        job._insist = 1.0
    until(lambda: job.poll() or not job.running)
    assert job.status == (128 + signal.SIGKILL if supervised else None)


@posix
def test_no_zombies(tmp_path):
    job = LongJob.start(work(), tmp_path)
    pid = json.loads((tmp_path / supervisor.PIDS).read_text())["supervisor"]
    until(lambda: not job.running)
    until(lambda: not Path(f"/proc/{pid}").exists())  # a zombie would stay there as long as this process


def test_a_machine_that_was_started_anew_runs_nothing(tmp_path):
    """What it left behind names a process that is another one now."""
    supervisor.write(tmp_path / supervisor.JOB, {"command": ["train"], "started": 1.0})
    supervisor.write(tmp_path / supervisor.PIDS, {"supervisor": os.getpid(), "command": os.getpid()})
    (tmp_path / supervisor.LOCK).touch()
    job = LongJob.attach(tmp_path)
    assert not job.running and job.status is None
    job.cancel()
    assert not job.cancelled


def test_what_cannot_be_started_says_why(tmp_path):
    job = LongJob.start([str(tmp_path / "nowhere")], tmp_path / "job")
    until(lambda: not job.running)
    assert job.status == supervisor.NOT_STARTED and "nowhere" in job.log.read_text()
    (tmp_path / "file").touch()
    with pytest.raises(EngineFault, match="cannot be started"):
        LongJob.start(work(), tmp_path / "file" / "job")
