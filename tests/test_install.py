# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer on real environments, with packages of a few bytes from a folder of wheels."""

import ensurepip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core import install

INSTALLER = Path(install.__file__)
posix = pytest.mark.skipif(sys.platform == "win32", reason="uses a shell and signals")


def wheel(folder: Path, name: str, version: str = "1.0") -> None:
    """A wheel with one empty module."""
    info = f"{name}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """An installer whose engine is two tiny packages; returns (target, wheels, events, install function)."""
    requirements, wheels, events = tmp_path / "requirements", tmp_path / "wheels", []
    requirements.mkdir()
    (requirements / "engine.txt").write_text("tinyengine==1.0\n")
    (requirements / "text-encoder.txt").write_text("tinytext==1.0\n")
    (requirements / "constraints.txt").write_text("")
    monkeypatch.setattr(install, "REQUIREMENTS", requirements)
    monkeypatch.setattr(install, "CONSTRAINTS", requirements / "constraints.txt")
    monkeypatch.setattr(install, "CHECK", "import tinyengine, tinytext; print('2.13.0', 0)")
    wheel(wheels, "tinyengine")
    target = tmp_path / "with a space" / "environment"
    return target, wheels, events, lambda **options: install.install(target, report=events.append, wheels=wheels, **options)


def test_breaks_resumes_finishes_and_does_nothing_twice(house):
    target, wheels, events, run = house
    with pytest.raises(install.InstallError, match=r"tinytext==1\.0"):
        run()
    assert not (target / install.STAMP).exists() and install.installed(target) == {}
    wheel(wheels, "tinytext")
    assert run() is True
    assert set(json.loads((target / install.STAMP).read_text())["requirements"]) == set(install.ENGINE)
    assert [event["done"] for event in events if event["event"] == "step"][-4:] == [0, 1, 2, 3]
    assert run() is False
    (install.REQUIREMENTS / "text-encoder.txt").write_text("tinytext==2.0\n")
    wheel(wheels, "tinytext", "2.0")
    assert run() is True
    assert list(target.rglob("tinytext-2.0.dist-info")) and not list(target.rglob("tinytext-1.0.dist-info"))


@posix
def test_a_python_without_ensurepip_takes_pip_from_the_wheels(house, tmp_path):
    target, wheels, _, run = house
    wheel(wheels, "tinytext")
    bare = tmp_path / "python-without-ensurepip"
    refuse = '*--without-pip*) ;; *"-m venv"*) echo "ensurepip is not available" >&2; exit 1;; *"-m pip"*) exit 1;;'
    bare.write_text(f'#!/bin/sh\ncase "$*" in {refuse} esac\nexec "{sys.executable}" "$@"\n')
    bare.chmod(0o755)
    system_wheels = Path("/usr/share/python-wheels")
    if not any(system_wheels.glob("pip-*.whl")):
        with pytest.raises(install.InstallError, match="has no pip"):
            run(python=str(bare))
    shutil.copy(next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")), wheels)
    assert run(python=str(bare)) is True
    assert list(target.rglob("tinyengine-1.0.dist-info"))


def test_refuses_a_folder_with_something_else(tmp_path):
    (tmp_path / "holiday.jpg").write_text("a picture")
    with pytest.raises(install.InstallError, match="holds something else"):
        install.install(tmp_path, report=print)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_refuses_a_full_disk_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**8))
    with pytest.raises(install.InstallError, match="too full"):
        install.install(tmp_path / "environment", report=print)
    assert not (tmp_path / "environment").exists()


def test_a_second_installation_into_the_same_folder_is_kept_out(house):
    target, _, _, run = house
    with install.locked(target), pytest.raises(install.InstallError, match="Another installation"):
        run()


@posix
def test_stopping_it_stops_pip(tmp_path):
    """An index that never answers: pip waits; a signal to the installer, then one to its process group, ends both."""
    target = tmp_path / "environment"
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(120)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple"}
        command = [sys.executable, str(INSTALLER), "--target", str(target), "--json-progress"]
        for stop in (os.kill, os.killpg):
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
            connection, _ = index.accept()  # pip is asking
            stop(process.pid, signal.SIGTERM if stop is os.kill else signal.SIGKILL)
            events = [json.loads(line) for line in process.communicate(timeout=60)[0].splitlines()]
            connection.settimeout(60)
            while connection.recv(4096):  # ends when pip has closed its side
                pass
            connection.close()
            assert events[0]["event"] == "plan" and events[0]["download_mb"] > 0
            if stop is os.kill:
                assert process.returncode == 130 and (events[-1]["event"], events[-1]["message"]) == ("error", "Stopped.")
    assert not (target / install.STAMP).exists()


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: Could not find a version that satisfies the requirement torch==2.13.0", "not found"),
        ("WARNING: Retrying: NewConnectionError: Temporary failure in name resolution", "could not be downloaded"),
        ("ERROR: ResolutionImpossible: for help visit topics/dependency-resolution", "installation failed"),
        ("ERROR: something nobody has seen", "something nobody has seen"),
    ],
)
def test_the_reason_of_a_failure_reaches_the_person(line, sentence, tmp_path):
    assert sentence in str(install.pip_failure(["Collecting torch", line], tmp_path / "log"))


@pytest.mark.parametrize(
    "platform, cuda, reachable, index",
    [
        ("linux", 0, True, "cpu"),
        ("linux", 0, False, None),
        ("linux", 13000, True, None),
        ("linux", 12080, True, "cu126"),
        ("win32", 0, True, None),
        ("win32", 13010, True, "cu130"),
        ("darwin", 0, True, None),
    ],
)
def test_the_build_of_pytorch_fits_the_machine(platform, cuda, reachable, index, monkeypatch):
    def urlopen(url, timeout):
        if not reachable:
            raise OSError("no network")
        return open(os.devnull)

    monkeypatch.setattr(install.sys, "platform", platform)
    monkeypatch.setattr(install, "cuda_driver_version", lambda: cuda)
    monkeypatch.setattr(install.urllib.request, "urlopen", urlopen)
    assert install.pytorch_index() == (install.PYTORCH + index if index else None)


def test_it_needs_the_standard_library_alone():
    code = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='x'); print(*{name.split('.')[0] for name in sys.modules})"
    said = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(INSTALLER)], capture_output=True, text=True, check=True).stdout
    assert set(said.split()) <= set(sys.stdlib_module_names) | {"__main__"}


def test_unpacking_from_a_folder_moves(house, monkeypatch):
    """pip is silent while it unpacks; the installer counts what lies there, out of what its wheels hold."""
    _, wheels, events, run = house
    wheel(wheels, "tinytext")
    monkeypatch.setattr(install, "LOOK_AGAIN_S", 0.01)
    assert run() is True
    seen = [event for event in events if event.get("text") == install.UNPACKING and event["total"]]
    assert seen and all(0 <= event["done"] <= event["total"] for event in seen)
    assert seen[0]["total"] == install.unpacked_size(str(next(wheels.glob("tinyengine*.whl"))))
