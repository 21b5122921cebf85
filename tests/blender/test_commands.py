# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, as its own process and in this one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

from latte3d_blender import arguments, commands, files, naming
from latte3d_blender.client import batch
from latte3d_blender.client.engine import Launch
from latte3d_blender.client.job import EngineFault, Fault, Result
from tests.blender.conftest import ROOT

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses signals and descriptors")
PROGRAM = [sys.executable, "-m", "latte3d_blender"]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **more}


def run(*arguments: str, cwd: Path = ROOT, **more) -> subprocess.CompletedProcess:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=environment(**more))


@pytest.fixture
def ask(fake_engine, tmp_path, capfd):
    """`ask("a cube", "--seed", 3)` → (exit status, last line, what went to stderr), in this process, without pictures."""

    def make(*words, fault: str = "", picture: bool = False) -> tuple[int, dict, str]:
        usual = ["--out", tmp_path / "out", "--engine", fake_engine(fault), "--model", tmp_path, "--json"]
        more = usual if picture else [*usual, "--no-picture"]
        status = commands.main([str(word) for word in ("generate", *more, *words)])
        said = capfd.readouterr()
        lines = [line for line in said.out.splitlines() if line.startswith("{")]
        return status, json.loads(lines[-1]) if lines else {}, said.err

    return make


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_generate(fake_engine, tmp_path):
    """Two prompts, the same one twice: six files, a last line for machines, no chatter of Blender's on stdout."""
    out = tmp_path / "out"
    done = run(
        "generate",
        "A red Cube!",
        "A red Cube!",
        "--out",
        out,
        "--engine",
        fake_engine(),
        "--model",
        tmp_path,
        "--json",
        "--picture-size",
        48,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert [item["seed"] for item in result["objects"]] == [0, 1] and result["device"] == "cpu"
    assert {"networks", "wire", "insert"} <= result["objects"][0]["timings_ms"].keys() and result["objects"][0]["triangles"] == 12
    stems = ("a-red-cube", "a-red-cube-1")
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{stem}.{kind}" for stem in stems for kind in ("blend", "glb", "png"))
    assert "Saved" not in done.stdout and "Fra:" not in done.stdout
    bpy.ops.wm.open_mainfile(filepath=str(out / "a-red-cube-1.blend"))
    assert [item["latte3d_seed"] for item in bpy.data.objects] == [1]
    picture = bpy.data.images.load(str(out / "a-red-cube.png"))
    assert tuple(picture.size) == (48, 48)
    red, green, blue, _ = picture.pixels[4 * (24 * 48 + 24) :][:4]
    assert red > 2 * green and red > 2 * blue


@pytest.mark.parametrize(
    ("fault", "arguments", "status", "says"),
    [
        ("", ["generate", " "], 2, "prompt is empty"),
        ("", ["generate", "a cube", "--model", "/nowhere"], 1, "model is missing"),
        ("oom", ["generate", "a cube"], 1, "memory"),
        ("crash", ["generate", "a cube"], 1, "stopped unexpectedly"),
        ("", ["generate"], 2, "PROMPT"),
        ("", ["generate", "a cube", "--seed", "4294967296"], 2, "is no seed: a whole number from 0 to 2,147,483,647"),
    ],
)
def test_errors(fake_engine, tmp_path, capfd, fault, arguments, status, says):
    more = [] if "--model" in arguments else ["--model", str(tmp_path)]
    extra = ["--engine", fake_engine(fault), "--out", str(tmp_path / "out"), *more] if len(arguments) > 1 else []
    assert commands.main([*arguments, *extra]) == status
    assert says in capfd.readouterr().err
    assert not list(tmp_path.glob("out/*"))


# Names ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Ein größerer Stuhl", "ein-grosserer-stuhl"),
        ("Łódź, smørrebrød & æbler", "lodz-smorrebrod-aebler"),
        ("красный гриб", "красный-гриб"),
        ("赤いキノコ", "赤いキノコ"),
        ("हाथी", "हाथी"),  # its vowels are marks
        ("Cafe\u0301", "cafe"),
        ("☃", "object"),
        ("CON", "con-object"),
        ("com1", "com1-object"),
        ("nul.", "nul-object"),
        ("console", "console"),
        ("../../etc/passwd ", "etc-passwd"),
        ("a\0b", "a-b"),
    ],
)
def test_names_are_readable_and_possible_everywhere(prompt, name):
    assert naming.slug(prompt) == name


@pytest.mark.parametrize("prompt", ["very " * 100, "茶" * 100, "\U00020000" * 100])
def test_names_are_no_longer_than_file_systems_take(prompt, tmp_path):
    with naming.reserved(tmp_path, prompt, 2**31 - 1, lambda glb: False) as stem, files.written(stem.with_suffix(".glb")) as partial:
        partial.write_bytes(b"glTF\2\0\0\0\x0c\0\0\0")
    assert len(names(tmp_path)) == 1


def test_no_object_takes_the_place_of_another(ask, tmp_path):
    """Another seed, another prompt of the same name, other settings, or a file that somebody else left there."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "a-cone.blend").write_bytes(b"an artist's own")
    stems = [
        Path(item["glb"]).stem
        for words in (["A cube!"], ["A cube!", "--seed", 7], ["a cube", "A cube!"], ["A cube!", "--triangles", 500], ["a cone"])
        for item in ask(*words)[1]["objects"]
    ]
    assert stems == ["a-cube", "a-cube-7", "a-cube-0", "a-cube", "a-cube-0-2", "a-cone-0"]
    assert (out / "a-cone.blend").read_bytes() == b"an artist's own"
    for item in ask("a cube 7", "A cube!", "--seed", 7)[1]["objects"]:
        assert files.glb_extras(Path(item["glb"]))["prompt"] == item["prompt"]
    assert {"a-cube-7.glb", "a-cube-7-7.glb"} <= set(names(out))


def test_calls_side_by_side_report_different_files(fake_engine, tmp_path):
    command = [*PROGRAM, "generate", "a cube", "--out", tmp_path / "out", "--engine", fake_engine(), "--model", tmp_path, "--json"]
    calls = [
        subprocess.Popen([*map(str, command), "--no-picture"], env=environment(), stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(3)
    ]
    said = [call.communicate(timeout=120)[0] for call in calls]
    paths = {json.loads(text.splitlines()[-1])["objects"][0]["glb"] for text in said}
    assert len(paths) == 3 and all(Path(path).is_file() for path in paths)
    assert len(names(tmp_path / "out")) == 6  # no claim is left behind


def test_a_claim_of_a_killed_program_ends(tmp_path):
    claim = tmp_path / ".a-cube.claim"
    claim.touch()
    with naming.reserved(tmp_path, "a cube", 0, lambda glb: False) as stem:
        assert stem.name == "a-cube-0"
    os.utime(claim, (0, 0))
    with naming.reserved(tmp_path, "a cube", 0, lambda glb: False) as stem:
        assert stem.name == "a-cube"
    assert not names(tmp_path)


# Batches ----------------------------------------------------------------------------------------------------------------------------


def test_the_culprit_fails_alone(ask):
    """More prompts than one request takes; one that the engine refuses, one that ends it, one that is none, one that is too long."""
    bad = {3: "an impossible cube", 5: "an explosive cube", 11: " ", 12: "x" * 600}
    prompts = [bad.get(number, f"cube number {number}") for number in range(21)]
    status, result, said = ask(*prompts)
    assert status == 1 and list(result) == ["objects", "failed", "device"]
    assert [item["prompt"] for item in result["objects"]] == [prompt for prompt in prompts if prompt not in bad.values()]
    reasons = {item["prompt"]: item["reason"] for item in result["failed"]}
    assert reasons.keys() == set(bad.values()) and all(item["seed"] == 0 for item in result["failed"])
    assert "There is no an impossible cube" in reasons[bad[3]] and "stopped unexpectedly" in reasons[bad[5]]
    assert "impossible" in said and "explosive" in said and "is empty" in said and "too long" in said


def test_a_batch_of_64_with_one_empty_surface(ask):
    """63 objects and one sentence."""
    prompts = [f"cube number {number}" for number in range(64)]
    prompts[20] = "an empty cube"
    status, result, said = ask(*prompts, "--detail", "draft")
    assert status == 1 and [item["prompt"] for item in result["objects"]] == [prompt for prompt in prompts if "empty" not in prompt]
    reason = "The model made nothing for this prompt. Its surface is empty. Try another seed or wording."
    assert result["failed"] == [{"prompt": "an empty cube", "seed": 0, "reason": reason}] and said.count(reason) == 1


def test_objects_are_saved_while_others_are_made(fake_engine, tmp_path):
    """The first files are there long before the last object is."""
    launch = Launch(Path(fake_engine("slow")), ROOT, tmp_path, "cpu", tmp_path / "log")
    wanted, _ = batch.wishes(["a cube", "a cone", "an endless cube"], 0)
    made = batch.make(launch, wanted, {}, lambda text: None, {})
    assert [next(made)[0].prompt for _ in range(2)] == ["a cube", "a cone"]
    made.close()


def test_more_than_a_request_takes(fake_engine, tmp_path):
    """Long prompts of characters that take most bytes on the wire; what was made before a crash is not made again."""
    launch = Launch(Path(fake_engine()), ROOT, tmp_path, "cpu", tmp_path / "log")
    prompts = [f"{number} " + "\U0001f344" * 500 for number in range(150)]
    prompts[70], prompts[100] = "an explosive cube", "an explosive ball"
    wanted, _ = batch.wishes(prompts, 0)
    said = []
    outcomes = list(batch.make(launch, wanted, {}, said.append, {}))
    assert [wish for wish, _ in outcomes] == wanted
    assert [wish.prompt for wish, outcome in outcomes if isinstance(outcome, Fault)] == ["an explosive cube", "an explosive ball"]
    assert sum("Starting the engine" in text for text in said) == 5


def test_an_engine_that_crashed_once_is_started_again(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("LATTE3D_FAKE_ONCE", str(tmp_path / "crashed"))
    status, result, _ = ask("a cube")
    assert status == 0 and len(result["objects"]) == 1 and (tmp_path / "crashed").exists()


@pytest.mark.parametrize(("fault", "says"), [("crash", "stopped unexpectedly"), ("load", "There is no model"), ("oom", "out of memory")])
def test_an_engine_that_never_works_is_given_up(ask, fault, says):
    status, result, said = ask(*[f"cube {number}" for number in range(30)], fault=fault)
    assert status == 1 and not result["objects"] and len(result["failed"]) == 30
    assert all(says in item["reason"] for item in result["failed"]) and says in said


def test_what_cannot_be_written_fails_alone(ask, tmp_path, monkeypatch):
    """A name that is a folder is another's name; a picture that fails leaves the object; the rest is made."""
    (tmp_path / "out" / "a-cube.glb").mkdir(parents=True)

    def studio_shot(objects, path, *, size):
        if "cone" in objects[0].name:
            raise RuntimeError("Error: no light in the studio")
        path.write_bytes(b"")

    monkeypatch.setattr(commands.studio, "studio_shot", studio_shot)
    monkeypatch.setattr(files, "whole_png", lambda path: True)
    status, result, _ = ask("a cube", "a cone", "a ball", picture=True)
    assert status == 1 and [Path(item["blend"]).stem for item in result["objects"]] == ["a-cube-0", "a-cone", "a-ball"]
    assert [bool(item["png"]) for item in result["objects"]] == [True, False, True]
    assert [item["prompt"] for item in result["failed"]] == ["a cone"]
    assert "a-cone.png cannot be written: no light" in result["failed"][0]["reason"]


def test_a_full_disk_names_each_file_and_keeps_what_fits(ask, small_disk):
    out = small_disk(280)
    status, result, said = ask(*[f"cube {number}" for number in range(9)], "--out", out)
    assert status == 1 and 0 < len(result["objects"]) < 9 and len(result["objects"]) + len(result["failed"]) == 9
    assert "cannot be written: " in said and str(out) in result["failed"][-1]["reason"]
    for item in result["objects"]:
        files.check_whole(Path(item["blend"]))
    assert not [name for name in names(out) if name.startswith(".")]


@pytest.mark.parametrize(("words", "says"), [([" ", "\t"], "is empty"), (["a cube"] * 3 + ["--seed", 2**31 - 2], "not enough seeds")])
def test_refused_before_any_work(ask, tmp_path, words, says):
    status, result, said = ask(*words)
    assert status == 2 and not result and says in said and not (tmp_path / "out").exists()


def test_seeds():
    """A prompt that comes again takes the next seed, up to the last there is."""
    wanted, _ = batch.wishes(["a", "b", "a", "b", "a"], 4)
    assert [wish.seed for wish in wanted] == [4, 4, 5, 5, 6]
    assert len(batch.wishes(["a", "a"], 2**31 - 2)[0]) == 2
    with pytest.raises(EngineFault, match="“a” comes 3 times, from seed 2,147,483,646 on, and the last one is 2,147,483,647"):
        batch.wishes(["a", "a", "a"], 2**31 - 2)


# Options ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--picture-size", "--texture-size", "--resolution", "--triangles", "--seed"])
@pytest.mark.parametrize("value", ["-1", "3", "70000000000", "1e3", "", "٣"])
def test_impossible_numbers_are_refused_with_their_limits(option, value, capfd):
    if option == "--seed" and value in ("3", "٣"):
        return
    assert commands.main(["generate", "a cube", option, value]) == 2
    said = capfd.readouterr().err
    assert f"argument {option}" in said and "a whole number from" in said


def test_the_limits_are_the_engines():
    from core import limits as request

    assert arguments.LIMITS["resolution"] == (request.RESOLUTIONS[0], request.RESOLUTIONS[-1])
    assert arguments.LIMITS["texture size"] == request.TEXTURE_SIZES and arguments.LIMITS["triangles"][0] == request.MIN_TRIANGLES
    assert arguments.LIMITS["seed"][1] <= request.MAX_SEED


def test_what_was_not_asked_for_is_left_to_the_engine():
    def details(*words: str) -> dict:
        return arguments.details(commands.parser().parse_args(["generate", "a cube", *words]))

    assert details() == {} and details("--detail", "draft", "--triangles", "99") == {"detail": "draft", "triangles": 99}
    with pytest.raises(SystemExit):
        details("--detail", "fine")


def test_what_the_engine_says_of_an_object_is_in_the_last_line():
    said = {"familiar": False, "read_as": {"charr": "chair"}, "set_aside": ["low poly"], "not_understood": ["books"]}
    notes = ["“books” means nothing to this model."]
    result = Result("a", 1, {}, {"notes": notes, **said}, {"triangles": [0, 0]})
    about = commands.summary(result, Path("/x/a-1"), {"text": 1.234})
    assert said.items() <= about.items() and about["notes"] == notes and about["triangles"] == 2


@pytest.mark.parametrize("kind", ["a file in the way", "no such user", "a NUL"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(ask, tmp_path, kind):
    (tmp_path / "file").touch()
    out = {"a file in the way": f"{tmp_path}/file/out", "no such user": "~no-such-user-here/x", "a NUL": f"{tmp_path}/a\0b"}[kind]
    status, result, said = ask("a cube", f"--out={out}")
    assert status == 2 and not result and "Nothing can be written to" in said and "Traceback" not in said


@pytest.mark.parametrize("folder", ["~/x", "a $HOME of ours", "%APPDATA%", "größer ☃"])
def test_odd_folders(ask, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    status, result, _ = ask("a cube", f"--out={folder}", "--picture-size", 4, picture=True)
    assert status == 0
    assert names(tmp_path / folder.replace("~/", "")) == ["a-cube.blend", "a-cube.glb", "a-cube.png"]
    assert result["objects"][0]["png"] == str(tmp_path / folder.replace("~/", "") / "a-cube.png")


# The process ------------------------------------------------------------------------------------------------------------------------


def test_modules_in_the_working_folder_are_not_ours(fake_engine, tmp_path):
    """Neither Blender nor the engine imports what lies beside the user, in whatever way that is said."""
    for name in ("random.py", "numpy.py", "json.py", "core/__init__.py", "latte3d_blender/__init__.py", "sitecustomize.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the wrong one')")
    usual = ["generate", "a cube", "--out", "out", "--engine", fake_engine(), "--model", tmp_path, "--no-picture"]
    done = run(*usual, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("encoding", ["cp437", "cp850", "latin-1", "ascii", "utf-8"])
def test_every_encoding_of_the_output(fake_engine, tmp_path, encoding):
    """What it cannot show is written as a code; nothing is lost, least of all a path."""
    usual = ["--out", tmp_path / "вых☃д", "--engine", fake_engine(), "--model", tmp_path, "--no-picture", "--json"]
    command = [*PROGRAM, "generate", "красный “куб”", *usual]
    more = environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=120, env=more)
    said = done.stdout.decode(encoding)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert Path(json.loads(said.splitlines()[-1])["objects"][0]["glb"]).is_file()
    shown = "☃" if encoding == "utf-8" else "\\u2603"
    assert shown in said and "?" not in said


@posix
@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-", "| head -n 1", "| true", "> /dev/full"])
def test_output_that_nobody_takes_ends_nothing(fake_engine, tmp_path, closing):
    """A closed stream, a pipe that ends, a full disk behind it: all is made, nothing is written into it by accident."""
    program = " ".join([f"'{sys.executable}'", *PROGRAM[1:]])
    usual = f"--out '{tmp_path}/out' --engine '{fake_engine()}' --model '{tmp_path}' --no-picture --json"
    script = f"{program} generate 'a cube' 'a cone' {usual} {closing}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == (1 if "full" in closing else 0), done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert ("output could not be written" in done.stderr) == ("full" in closing)
    assert names(tmp_path / "out") == ["a-cone.blend", "a-cone.glb", "a-cube.blend", "a-cube.glb"]
    for kind in ("glb", "blend"):
        files.check_whole(tmp_path / "out" / f"a-cube.{kind}")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_keeps_what_is_made_and_ends_the_engine(fake_engine, tmp_path, number):
    """Eight objects are made, then the engine hangs."""
    program, pid = Path(fake_engine()), tmp_path / "pid"
    program.write_text(program.read_text().replace("shift 2", f'shift 2; echo $$ > "{pid}"'))
    prompts = [*[f"cube {index}" for index in range(8)], "an endless cube"]
    usual = ["--out", tmp_path / "out", "--engine", program, "--model", tmp_path, "--json", "--no-picture"]
    command = [*PROGRAM, "generate", *prompts, *usual]
    process = subprocess.Popen([*map(str, command)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "cube-7.blend" in line:
            break
    time.sleep(0.3)
    process.send_signal(number)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "Stopped. 8 of 9 were made." in said and "Traceback" not in said
    result = json.loads(out.splitlines()[-1])
    assert len(result["objects"]) == 8 and [item["reason"] for item in result["failed"]] == ["Stopped."]
    end = time.monotonic() + 5
    while alive(int(pid.read_text())) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(int(pid.read_text())) and len(names(tmp_path / "out")) == 16


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and waits for its parent to hear of it does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False


@posix
def test_too_little_memory_is_said(fake_engine, tmp_path):
    """Less than Blender's own libraries need."""
    script = f"ulimit -v 300000; exec '{sys.executable}' -m latte3d_blender generate 'a cube'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, env=environment(), cwd=tmp_path)
    assert done.returncode == 1 and "Blender's module does not load" in done.stderr and "build.py repair" in done.stderr
    assert "Traceback" not in done.stderr
