# SPDX-License-Identifier: GPL-3.0-or-later
"""Files appear whole or not at all, and failures name the file; so does the command line."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from core import __main__ as command_line
from core.errors import EngineError
from core.files import replace_file
from tests.fake_engine import png


@pytest.mark.skipif(os.name == "nt", reason="no limits to the size of files there")
def test_a_full_disk_leaves_the_old_file(tmp_path) -> None:
    import resource

    file, before = tmp_path / "new folder" / "a.safetensors", resource.getrlimit(resource.RLIMIT_FSIZE)
    replace_file(file, lambda name: save_file({"a": np.zeros(3)}, name))
    old = file.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # what the system says then differs from a full disk in its number only
    try:
        with pytest.raises(EngineError, match=r"a\.safetensors cannot be written") as caught:
            replace_file(file, lambda name: save_file({"a": np.zeros(100_000)}, name))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.cause and caught.value.remedy
    assert file.read_bytes() == old and os.listdir(file.parent) == ["a.safetensors"]


def test_a_really_full_disk_leaves_the_old_file(small_disk) -> None:
    """Whether the library says so, the system does, or nobody."""
    folder = small_disk(16)
    (folder / "a.safetensors").write_bytes(b"old")
    written = save({"a": np.zeros(3)})
    writers = {
        "loud library": lambda name: save_file({"a": np.zeros(100_000)}, name),
        "loud system": lambda name: Path(name).write_bytes(bytes(100_000)),
        "silent": lambda name: Path(name).write_bytes(written[:-8]),
    }
    for write in writers.values():
        with pytest.raises(EngineError, match=r"a\.safetensors cannot be written\. (Only a part|No space|.*No space)"):
            replace_file(folder / "a.safetensors", write)
        assert (folder / "a.safetensors").read_bytes() == b"old" and os.listdir(folder) == ["a.safetensors"]


@pytest.mark.parametrize("suffix", [".png", ".glb", ".json", ".safetensors"])
def test_a_cut_file_of_each_kind_is_noticed(tmp_path, suffix) -> None:
    whole = {
        ".png": png((9, 8, 7), 64),
        ".glb": b"glTF\2\0\0\0" + (20).to_bytes(4, "little") + bytes(8),
        ".json": b'{"a": [1, 2]}',
        ".safetensors": save({"a": np.zeros(30), "b": np.zeros(2)}, metadata={"phase": "both"}),
    }[suffix]
    file = tmp_path / f"a{suffix}"
    replace_file(file, lambda name: Path(name).write_bytes(whole))
    for length in (0, 1, 9, len(whole) // 2, len(whole) - 1):
        with pytest.raises(EngineError, match="Only a part of it was written"):
            replace_file(file, lambda name, length=length: Path(name).write_bytes(whole[:length]))
    assert file.read_bytes() == whole


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_names_the_file_of_rows() -> None:
    from core.evaluation.rows import row_file

    with pytest.raises(OSError, match="No space left on device: '/dev/full'"), row_file(Path("/dev/full")) as write:
        write({"iou": 1.0})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "failed to map segment"),
        (MemoryError(), "ran out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "ran out of memory"),
    ],
)
def test_too_little_memory_is_a_sentence(monkeypatch, capsys, error, says) -> None:
    def fail(_):
        raise error

    monkeypatch.setattr("core.library.cli.main", fail)
    assert command_line.main(["library"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said


def test_a_file_in_the_way_is_named(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="cannot be written"):
        replace_file(tmp_path / "file" / "inside", lambda name: None)


@pytest.mark.parametrize(
    "error", [EngineError("internal", "Too bad."), PermissionError(13, "Permission denied", "x"), ModuleNotFoundError("igl")]
)
def test_the_command_line_explains_instead_of_tracing(monkeypatch, capsys, error) -> None:
    def fail(_):
        raise error

    monkeypatch.setattr("core.library.cli.main", fail)
    assert command_line.main(["library"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
