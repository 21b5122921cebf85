# SPDX-License-Identifier: GPL-3.0-or-later
"""The example studio, from its assets to a generator of its own, through the commands that a studio would use.

    python build.py example studio --out out/studio

makes the assets (studio_assets.py), prepares them, trains the starter model on them for 20 minutes, measures what was learnt and draws a
sheet of every asset beside what the model makes of its prompt. The same command goes on where it was stopped.
With --json the last line is {"assets", "rejected", "prepare_seconds", "train_minutes", "iou", "base_color_error", "shape_top1", "sheet"}.
Run by a Python that has Blender as a module.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMANDS = (sys.executable, "-m", "latte3d_blender")  # the same as blender --command latte3d
PROMPTS = ("a donut with pink icing", "a yellow delivery van", "a red and white striped lighthouse", "a red mushroom with white spots")
FIGURES = ("iou", "base_color_error", "shape_top1")


class Failed(Exception):
    """A command that did not end well: its exit status."""


def main(argv: Sequence[str], commands: Sequence[str] = COMMANDS) -> int:
    """`commands`: what starts the add-on's commands. Returns the exit status."""
    a = parse(argv)
    out, engine = a.out.expanduser().resolve(), ["--engine", a.engine] if a.engine else []
    library, model, sheet = out / "library", out / "model", out / "sheet.png"
    out.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([sys.executable, str(HERE / "studio_assets.py"), str(library)], stdout=sys.stderr, check=True)
        prepared = call([*commands, "library", "prepare", str(library), *engine], a.json, fine=(0, 1))  # 1: some cannot be used
        teacher = ["--from", str(ROOT / "core" / "weights" / "starter"), "--replay", "0.25"]
        trained = call([*commands, "train", str(library), "--out", str(model), *teacher, "--minutes", str(a.minutes), *engine], a.json)
        chosen = ["--split", "train", "--sheet", str(sheet)]
        measured = call([*commands, "evaluate", str(model), str(library), *chosen, *engine], a.json)
        made = ["generate", *PROMPTS, "--model", str(model), "--out", str(out / "objects"), "--detail", "standard"]
        call([*commands, *made, *engine], a.json)
    except Failed as failed:
        return failed.args[0]
    except subprocess.CalledProcessError as error:
        print(f"The assets could not be made (exit status {error.returncode}).", file=sys.stderr)
        return 1
    seconds = longest(out / "prepare_seconds.json", prepared["seconds"])
    result = {"assets": prepared["prepared"] + len(prepared["rejected"]), "rejected": prepared["rejected"], "prepare_seconds": seconds}
    result |= {"train_minutes": trained["minutes"], **{name: measured[name] for name in FIGURES}, "sheet": str(sheet)}
    print(json.dumps(result) if a.json else "\n".join(f"{name:16} {value}" for name, value in result.items()), flush=True)
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="build.py example studio", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/studio"), metavar="DIR", help="where all of it goes (default: out/studio)")
    parser.add_argument("--minutes", type=float, default=20, help="how long to train (default: 20)")
    parser.add_argument("--engine", metavar="PYTHON", help="the engine's Python (default: the add-on's choice)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the last one the result")
    return parser.parse_args(argv)


def call(command: list[str], as_json: bool, fine: tuple[int, ...] = (0,)) -> dict:
    """Run a command, show its progress, and return its result. Raises Failed."""
    name = command[command.index(COMMANDS[-1]) + 1 :][:2] if COMMANDS[-1] in command else command[-2:]
    print(f"== {' '.join(name)}", file=sys.stderr, flush=True)
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
    last, shown = "", ""
    try:
        for line in process.stdout:
            if not line.startswith("{"):  # what Blender says
                continue
            last = line
            event = json.loads(line)
            if event.get("event"):
                shown = tell(line, event, as_json, shown)
        status = process.wait()
    except BaseException:  # stopped: the command is asked to end too, and keeps what it has
        process.terminate()
        process.wait()
        raise
    if status not in fine or not last:
        raise Failed(status or 1)
    return json.loads(last)


def tell(line: str, event: dict, as_json: bool, shown: str) -> str:
    """Pass an event on, or say in words how far it is, when that is something new. Returns what was said last."""
    if as_json:
        print(line, end="", flush=True)
        return shown
    if event["event"] != "progress" or not event.get("total"):
        return shown
    left = f", {event['eta_s'] / 60:.0f} minutes left" if event.get("eta_s") else ""
    text = f"{event['stage']}: {10 * int(10 * event['done'] / event['total'])} %{left}"
    if text.partition(" %")[0] != shown.partition(" %")[0]:
        print(text, file=sys.stderr, flush=True)
    return text


def longest(path: Path, seconds: float) -> float:
    """How long a whole preparation took: a later one, which finds all done, takes no time."""
    before = json.loads(path.read_text()) if path.is_file() else 0.0
    path.write_text(json.dumps(max(before, seconds)))
    return max(before, seconds)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from latte3d_blender import terminal

    terminal.prepare()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on.", file=sys.stderr)
        sys.exit(130)
