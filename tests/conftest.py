# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: each environment collects only the tests that it can run, and the wire has a small client."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {"blender": "bpy", "core": "torch"}  # folder of tests → the module without which it is not collected


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the folders whose environment is the other one."""
    parts = collection_path.relative_to(ROOT / "tests").parts if collection_path.is_relative_to(ROOT / "tests") else ()
    if parts and parts[0] in NEEDS and importlib.util.find_spec(NEEDS[parts[0]]) is None:
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is marked by the folder it lies in."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in ("blender", "window"):
            item.add_marker(folder)


class Client:
    """An engine process and the two ends of its pipes."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def send(self, rpc: dict, arrays: dict | None = None) -> None:
        from core.service.protocol import write_message

        write_message(self.process.stdin, {"jsonrpc": "2.0", **rpc}, arrays)

    def receive(self, *, skip_progress: bool = True) -> tuple[dict, dict] | None:
        from core.service.protocol import read_message

        while (message := read_message(self.process.stdout)) is not None:
            if not (skip_progress and message[0].get("method") == "progress"):
                return message
        return None

    def answer(self) -> tuple[list[tuple[dict, dict]], list[dict], dict]:
        """All that one request brings: objects (their params and arrays), failures (their params), and the response."""
        objects, failures = [], []
        while "id" not in (message := self.receive())[0]:
            rpc, arrays = message
            if rpc["method"] == "object":
                objects.append((rpc["params"], arrays))
            else:
                assert rpc["method"] == "failed" and not arrays
                failures.append(rpc["params"])
        return objects, failures, message[0]

    def generate(self, request_id: int = 1, prompts: tuple[str, ...] = ("a cube",), **params) -> None:
        self.send({"id": request_id, "method": "generate", "params": {"prompts": list(prompts), **params}})

    def end(self, patience_s: float = 10) -> tuple[int, str]:
        """Close stdin; returns the exit status and what the process wrote to its log."""
        self.process.stdin.close()
        self.process.stdin = None
        _, log = self.process.communicate(timeout=patience_s)
        return self.process.returncode, log.decode()


@pytest.fixture
def start_engine():
    """Start engines: `start_engine(command)` returns a Client; all are ended after the test."""
    clients: list[Client] = []

    def start(command: list[str]) -> Client:
        clients.append(Client(command))
        return clients[-1]

    yield start
    for client in clients:
        client.process.kill()
        client.process.communicate()


@pytest.fixture
def fake_engine(start_engine):
    """Start engines with a canned cube and a fault of choice: `fake_engine("oom")` (see tests/fake_engine.py)."""
    return lambda fault="": start_engine([sys.executable, str(ROOT / "tests" / "fake_engine.py"), "--fail", fault])


@pytest.fixture
def small_disk(tmp_path):
    """`small_disk(kilobytes)`: a folder that holds no more (a tmpfs of its own)."""
    mounted = []

    def make(kilobytes: int):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk of its own can be made here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs Linux and root")
    yield make
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)
