# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer on real environments, with packages of a few bytes from a folder of wheels."""

import base64
import ensurepip
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from core import environment, install

ROOT = Path(__file__).resolve().parents[1]
posix = pytest.mark.skipif(sys.platform == "win32", reason="uses a shell and signals")


def wheel(folder: Path, name: str, version: str = "1.0") -> None:
    """A wheel with one module of a line."""
    info = f"{name}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "x = 1\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        mark = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
        archive.writestr(f"{info}/RECORD", f"{name}.py,sha256={mark},6\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """An installer whose engine is two tiny packages; returns (target, wheels, events, install function)."""
    requirements, wheels, events = tmp_path / "requirements", tmp_path / "wheels", []
    requirements.mkdir()
    (requirements / "engine.txt").write_text("tinyengine==1.0\n")
    (requirements / "text-encoder.txt").write_text("tinytext==1.0\n")
    (requirements / "constraints.txt").write_text("")
    for module in (install, environment):
        monkeypatch.setattr(module, "REQUIREMENTS", requirements)
        monkeypatch.setattr(module, "CONSTRAINTS", requirements / "constraints.txt")
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
def test_the_packages_for_training_are_added_to_what_set_up_made(house):
    """And no more than these is asked of the disk."""
    target, wheels, _, run = house
    wheel(wheels, "tinytext")
    (install.REQUIREMENTS / "train.txt").write_text("tinytrain==1.0\n")
    wheel(wheels, "tinytrain")
    names = (*install.ENGINE, "train.txt")
    assert install.plan(target, names)["disk_mb"] == install.plan(target)["disk_mb"] + install.TRAINING_MB[1]
    run()
    plan = install.plan(target, names)
    assert (plan["download_mb"], plan["disk_mb"]) == install.TRAINING_MB and plan["text"].startswith("What training needs")
    assert install.main(["--target", str(target), "--wheels", str(wheels), "--with", "train.txt"]) == 0
    assert set(install.installed(target)) == {*install.ENGINE, "train.txt"} and list(target.rglob("tinytrain.py"))


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


BREAKING = """
[global]
quiet = 3
constraint = /nowhere/constraints.txt
no-binary = :all:
require-virtualenv = true
require_hashes = yes
dry-run = true
[install]
user = true
target = /nowhere
prefix = /nowhere
root = /nowhere
no-deps = true
only-binary = :none:
"""


@pytest.mark.parametrize("kind", ["file and variables that lead elsewhere", "a file that is none"])
def test_pips_own_configuration_does_not_lead_elsewhere(house, tmp_path, monkeypatch, kind):
    """Settings that are right for a person's other work, and would put the engine's packages into the wrong place or nowhere."""
    target, wheels, events, run = house
    wheel(wheels, "tinytext")
    configuration = tmp_path / "pip.conf"
    configuration.write_text("user: yes" if kind == "a file that is none" else BREAKING)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    if kind != "a file that is none":
        for name in ("PIP_USER", "PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_REQUIRE_HASHES", "PIP_ISOLATED"):
            monkeypatch.setenv(name, "1")
        for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_CONSTRAINT", "PIP_LOG", "PIP_NO_BINARY", "PIP_PYTHON"):
            monkeypatch.setenv(name, "/nowhere")
    assert run() is True and list(target.rglob("tinytext-1.0.dist-info"))
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert len(notes) == (kind == "a file that is none") and all("no section headers" in note for note in notes)


def test_the_way_to_the_packages_is_a_persons_own(tmp_path, monkeypatch):
    """Indexes, proxies, certificates and patience are kept, a variable's before a file's, `install`'s before `global`'s."""
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://one/simple\nextra_index_url =\n  https://two/simple\n  https://three/simple\nproxy = http://p:1\n"
        "timeout = 7\nuser = true\n[install]\nindex-url = https://four/simple\ntrusted-host = four\n[list]\nproxy = http://q:1\n"
    )
    for key in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    monkeypatch.setenv("PIP_CLIENT_CERT", "/my own/certificate.pem")
    monkeypatch.setenv("PIP_TARGET", "/nowhere")
    found = install.pip_environment([sys.executable, "-I", "-m", "pip"])
    wanted = {
        "PIP_INDEX_URL": "https://four/simple",
        "PIP_EXTRA_INDEX_URL": "https://two/simple https://three/simple",
        "PIP_PROXY": "http://p:1",
        "PIP_TIMEOUT": "9",
        "PIP_TRUSTED_HOST": "four",
        "PIP_CLIENT_CERT": "/my own/certificate.pem",
        "PIP_CONFIG_FILE": os.devnull,
    }
    assert wanted.items() <= found.items() and not {"PIP_USER", "PIP_TARGET"} & found.keys()


@pytest.mark.parametrize("lines", [[], ["", "  "], ["ERROR:", ""], ["ERROR: Exception:", "Traceback", "OSError: too bad"]])
def test_a_failure_has_a_cause(lines, tmp_path):
    assert install.pip_failure(lines, tmp_path / "log", 3).cause in ("pip ended with status 3 without a word.", "OSError: too bad")


@posix
@pytest.mark.parametrize("says", ["", "echo; echo '   ' >&2"])
def test_a_python_that_fails_without_a_word_is_named_with_its_status(tmp_path, says):
    mute = tmp_path / "python"
    mute.write_text(f"#!/bin/sh\n{says}\nexit 7\n")
    mute.chmod(0o755)
    with pytest.raises(install.InstallError, match="cannot make a virtual environment") as caught:
        install.make_environment(str(mute), tmp_path / "environment")
    assert "status" in caught.value.cause


def test_an_environment_that_lost_files_gets_them_back(house):
    """A file gone, a file cut, a package gone, its record gone; and, where somebody asks for a thorough look, a file of other content."""
    target, wheels, _, run = house
    wheel(wheels, "tinytext")
    assert run() is True and run() is False
    folder = install.packages_folder(target)
    module, other, record = folder / "tinyengine.py", folder / "tinytext.py", folder / "tinyengine-1.0.dist-info"

    def lose_all() -> None:
        module.unlink()
        shutil.rmtree(record)

    for harms in ((module.unlink, lambda: other.write_text("x")), (lose_all, (folder / "tinytext-1.0.dist-info" / "RECORD").unlink)):
        for number, harm in enumerate(harms, 1):
            harm()
            assert len(install.damaged(target)) == number
        assert run() is True and run() is False
        assert module.read_text() == other.read_text() == "x = 1\n"
    module.write_text("x = 2\n")
    assert run() is False and run(thorough=True) is True and module.read_text() == "x = 1\n"


def test_unpacking_from_a_folder_moves(house, monkeypatch):
    """pip is silent while it unpacks; the installer counts what lies there, out of what its wheels hold."""
    _, wheels, events, run = house
    wheel(wheels, "tinytext")
    monkeypatch.setattr(install, "LOOK_AGAIN_S", 0.01)
    assert run() is True
    seen = [event for event in events if event.get("text") == install.UNPACKING and event["total"]]
    assert seen and all(0 <= event["done"] <= event["total"] for event in seen)
    assert seen[0]["total"] == install.unpacked_size(str(next(wheels.glob("tinyengine*.whl"))))


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
        command = [sys.executable, "-m", "core.install", "--target", str(target), "--json-progress"]
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


def test_certificates_that_somebody_added_are_no_damage(tmp_path):
    package, certificates = tmp_path / "certifi-1.0.dist-info", tmp_path / "cacert.pem"
    package.mkdir()
    (package / "RECORD").write_text("cacert.pem,sha256=0,6\n")
    for text, whole in (("public and our own", True), ("", False)):
        certificates.write_text(text)
        assert environment.is_whole(package, thorough=True) is whole


@posix
def test_an_installer_that_is_killed_leaves_its_lock_to_pip(tmp_path):
    """Nothing is installed beside a pip that still runs."""
    target = tmp_path / "environment"
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(120)
        configuration = tmp_path / "pip.conf"
        configuration.write_text(f"[global]\nindex-url = http://127.0.0.1:{index.getsockname()[1]}/simple\n")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        command = [sys.executable, "-m", "core.install", "--target", str(target)]
        process = subprocess.Popen(command, env=environment | {"PIP_CONFIG_FILE": str(configuration)}, start_new_session=True)
        connection, _ = index.accept()
        process.kill()
        process.wait()
        with pytest.raises(install.InstallError, match="Another installation"), install.locked(target):
            pass
        os.killpg(process.pid, signal.SIGKILL)
        connection.settimeout(60)
        while connection.recv(4096):
            pass
        connection.close()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            with install.locked(target):
                return
        except install.InstallError:
            time.sleep(0.05)
    pytest.fail("the lock of a pip that has ended is still held")


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
    code = "import sys; sys.path.append(sys.argv[1]); import core.install; print(*{name.split('.')[0] for name in sys.modules})"
    said = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, check=True).stdout
    assert set(said.split()) <= set(sys.stdlib_module_names) | {"__main__", "core"}
