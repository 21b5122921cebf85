# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process seen from Blender: whatever it does, every job ends."""

import struct
import sys
import threading
import time

import numpy as np
import pytest

from latte3d_blender.client import engine as client
from latte3d_blender.client import process, protocol
from latte3d_blender.client.guide import Guide
from latte3d_blender.client.job import Failure
from tests.blender.conftest import ROOT


@pytest.fixture
def launch(tmp_path):
    """`launch(program)`: what it takes to start a program as the engine."""
    return lambda program: client.Launch(program, ROOT, tmp_path, "cpu", tmp_path / "engine.log")


@pytest.fixture
def engine():
    made = client.Engine()
    yield made
    made.stop()


def until(engine, condition, seconds=20) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        engine.poll(wait_s=0.05)
    assert condition()


@pytest.mark.parametrize(
    "entry",
    ['{"dtype":"U8","shape":[0,1000000000000000000000000],"data_offsets":[0,0]}', '{"dtype":"U8","shape":[2],"data_offsets":[0,1]}'],
)
def test_an_impossible_message_ends_the_wait(engine, launch, tmp_path, entry):
    """An array that numpy refuses in its own way must not end the reader thread in silence."""
    header = ('{"__metadata__":{"rpc":"{}"},"a":' + entry + "}").encode()
    (tmp_path / "bytes").write_bytes(struct.pack("<Q", len(header)) + header)
    program = tmp_path / "talker"
    program.write_text(f'#!/bin/sh\ncat "{tmp_path / "bytes"}"\nsleep 60\n')
    program.chmod(0o755)
    engine.start(launch(program))
    job = engine.submit(["a cube"], [0], {})
    until(engine, lambda: job.over)
    assert job.state == "failed" and engine.state == client.FAILED


def test_a_waiting_job_survives_a_deaf_engine(engine, launch, fake_engine, monkeypatch):
    """The job before it is cancelled, its engine does not listen and is ended: the next engine takes the one that waits."""
    monkeypatch.setattr(client, "CANCEL_PATIENCE_S", 0.2)
    engine.start(launch(fake_engine("hang")))
    first = engine.submit(["a cube"], [0], {})
    until(engine, lambda: first.state == "running")
    engine.cancel(first)
    second = engine.submit(["a cone"], [0], {})
    until(engine, lambda: first.over)
    assert (first.state, second.state, engine.state) == ("cancelled", "queued", client.STOPPED)
    engine.start(launch(fake_engine()))
    until(engine, lambda: second.over)
    assert second.state == "done"


def test_an_engine_that_reads_nothing_does_not_hold_blender_up(engine, launch, tmp_path, monkeypatch):
    """A pipe takes a few kilobytes, then waits for who reads it: the cancel that follows ends the wait."""
    monkeypatch.setattr(client, "CANCEL_PATIENCE_S", 0.2)
    hello = {"method": "hello", "params": {"protocol": client.PROTOCOL, "models": [{"id": "x"}], "features": ["retexture"]}}
    (tmp_path / "hello").write_bytes(protocol.encode(hello))
    program = tmp_path / "deaf"
    program.write_text(f'#!/bin/sh\ncat "{tmp_path / "hello"}"\nexec sleep 60\n')
    program.chmod(0o755)
    engine.start(launch(program))
    until(engine, lambda: engine.state == client.READY)
    canvas = {"vertices": np.zeros((1_000_000, 3), np.float32), "triangles": np.zeros((1, 3), np.int32)}
    jobs = []
    asking = threading.Thread(target=lambda: jobs.append(engine.submit(["a cube"], [0], {}, guide=Guide(canvas=canvas))), daemon=True)
    asking.start()
    asking.join(5.0)
    assert not asking.is_alive() and jobs[0].state == "running"
    engine.cancel(jobs[0])
    until(engine, lambda: jobs[0].over)
    assert jobs[0].state == "cancelled" and engine.state == client.STOPPED


def test_what_waits_to_be_written_is_written_in_order(engine, launch, fake_engine):
    """A large request, and the cancel after it."""
    engine.start(launch(fake_engine()))
    until(engine, lambda: engine.state == client.READY)
    rng = np.random.default_rng(0)
    canvas = {"vertices": rng.random((300_000, 3), np.float32), "triangles": rng.integers(0, 300_000, (400_000, 3), np.int32)}
    job = engine.submit(["a lasting cube"], [0], {}, guide=Guide(canvas=canvas))
    assert job.state == "running"
    engine.cancel(job)
    until(engine, lambda: job.over)
    assert job.state == "cancelled"


SLOW = """
import sys, time
from latte3d_blender.client import protocol

class Slowly:
    def read(self, size):
        time.sleep(0.1)
        return sys.stdin.buffer.read(min(size, 1 << 16))

def say(**rpc):
    sys.stdout.buffer.write(protocol.encode({"jsonrpc": "2.0", **rpc}))
    sys.stdout.buffer.flush()

say(method="hello", params={"protocol": 3, "models": [{"id": "x"}], "features": ["retexture"]})
asked, cancel = protocol.read(Slowly())[0], protocol.read(Slowly())[0]
assert cancel["params"]["id"] == asked["id"]
say(id=asked["id"], error={"code": -1, "message": "Cancelled.", "data": {"kind": "cancelled"}})
time.sleep(60)
"""


def test_a_cancel_behind_a_slow_upload_is_waited_for(engine, launch, tmp_path, monkeypatch):
    """Over ssh, a large request takes longer than the patience after a cancel: while it moves, the engine is not ended."""
    monkeypatch.setattr(client, "CANCEL_PATIENCE_S", 1.0)
    program = tmp_path / "slow"
    program.write_text(f"#!{sys.executable}\n{SLOW}")
    program.chmod(0o755)
    engine.start(launch(program))
    until(engine, lambda: engine.state == client.READY)
    canvas = {"vertices": np.zeros((200_000, 3), np.float32), "triangles": np.zeros((1, 3), np.int32)}  # 2.4 MB: four seconds
    job = engine.submit(["a cube"], [0], {}, guide=Guide(canvas=canvas))
    engine.cancel(job)
    begun = time.monotonic()
    until(engine, lambda: job.over)
    assert time.monotonic() - begun > 2 and (job.state, engine.state) == ("cancelled", client.READY)


def test_progress_counts_the_stages_of_all_objects_and_never_runs_back():
    job, seen = client.Job(1, ["a", "b", "c", "d"], [0] * 4, {}), []
    for number in range(4):
        for step, stage in enumerate(client.STAGES):
            job.advance(stage, number * 7 + step, 28)
            seen.append(job.factor)
        job.answer(Failure(number, client.Fault("It is only a test.")))
        seen.append(job.factor)
    assert seen == sorted(seen) and len(set(seen)) == 4 * 7 + 1 and (seen[0], seen[-1]) == (0, 1)
    job.advance("text", 0, 28)  # whatever an engine says
    assert job.factor == 1


def test_answers_that_nobody_asked_for_end_the_wait(engine, launch, fake_engine):
    engine.start(launch(fake_engine("hang")))
    job = engine.submit(["a cube"], [0], {})
    until(engine, lambda: job.state == "running")
    for params in ({"index": 1, "message": "no"}, {"index": "0"}):
        engine.process.entries.put(("message", {"method": "failed", "params": {"id": job.id, **params}}, {}, 0.0))
    until(engine, lambda: job.over)
    assert job.state == "failed" and "something else than the add-on expects" in job.fault.message


def test_a_request_that_is_too_large_is_refused_at_once(engine, launch, fake_engine):
    engine.start(launch(fake_engine()))
    huge, small = engine.submit(["x" * 500] * 3000, [0] * 3000, {}), engine.submit(["a cube"], [0], {})
    until(engine, lambda: small.over)
    assert huge.state == "failed" and huge.fault.kind == "bad_request" and small.state == "done"


def test_a_slow_reader_holds_the_engine_up_instead_of_piling_objects(engine, launch, fake_engine):
    engine.start(launch(fake_engine()))
    job = engine.submit(["a cube"] * 200, [*range(200)], {})
    until(engine, lambda: job.state == "running")
    time.sleep(1.0)
    assert engine.process.entries.qsize() <= process.WAITING_MESSAGES
    until(engine, lambda: job.over)
    assert len(job.take()) == 200


def test_a_python_named_from_here_starts_elsewhere(fake_engine, tmp_path, monkeypatch):
    """The engine starts in another folder, so its Python's path becomes absolute, but is no link resolved."""
    (tmp_path / "link").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert client.find_python("link", None) == tmp_path / "link"
    assert client.find_python("nothing", None) is None


def test_the_engine_sees_its_own_modules_alone(engine, launch, tmp_path, monkeypatch):
    """Not those of the working folder, of a user's own packages, or of variables that lead Blender's Python."""
    source = tmp_path / "source" / "core" / "service"
    source.mkdir(parents=True)
    (source / "__init__.py").touch()
    says = "sys.path[0], sys.flags.safe_path, sys.flags.no_user_site, random.__file__"
    (source / "worker.py").write_text(f"import random, sys; print({says})")
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong one')")
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    plain = launch(sys.executable)
    engine.start(client.Launch(plain.python, source.parents[1], plain.model, plain.device, plain.log))
    until(engine, lambda: engine.state == client.FAILED)
    assert engine.text.startswith(f"{source.parents[1]} True 1 ") and str(tmp_path / "random.py") not in engine.text


@pytest.mark.parametrize(
    "last_words", ["MemoryError", "ImportError: libtorch_cpu.so: failed to map segment from shared object", "std::bad_alloc"]
)
def test_an_engine_without_memory_says_so(engine, launch, tmp_path, last_words):
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "{last_words}" >&2\nexit 1\n')
    program.chmod(0o755)
    engine.start(launch(program))
    until(engine, lambda: engine.state == client.FAILED)
    assert engine.fault.kind == "out_of_memory" and last_words in engine.fault.cause and "memory" in engine.fault.remedy
