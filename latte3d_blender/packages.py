# SPDX-License-Identifier: GPL-3.0-or-later
"""What preparing and training need in the engine's environment: installed when it is first needed, where that is the add-on's to do."""

import json
import sys
from pathlib import Path

from . import machine, running
from .client.engine import EngineFault, Fault, Launch, source_folder
from .client.installer import TRAINING, lacks_training
from .running import Output


def ready(python: str, device: str, offline: str | None, output: Output) -> Launch:
    """The engine, with what training needs. Into an environment that Set Up or build.py made it is installed; a Python of somebody's own
    (`python`, or the preferences') is left alone. Raises EngineFault, KeyboardInterrupt.

    offline: a folder of wheels to install from, without a network.
    """
    own = python or (machine.get() and machine.get().engine_python)
    try:
        launch = machine.launch(python=python, device=device, here=True)
    except EngineFault as error:
        target, source = machine.user_folder("engine"), source_folder()
        if own or error.fault.kind != "not_installed" or target is None or source is None:
            raise
        install(source, target, offline, output)
        return machine.launch(python=python, device=device, here=True)
    if not own and (target := lacks_training(launch.source, launch.python)):
        install(launch.source, target, offline, output)
    return launch


def install(source: Path, target: Path, offline: str | None, output: Output) -> None:
    """Bring the environment in `target` to what generating and training need; the size is said first. Raises EngineFault."""
    wheels = ["--wheels", str(Path(offline).expanduser().resolve())] if offline else []
    fault: list[Fault] = []

    def hear(line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return output.say(line)
        kind, text = event.get("event"), event.get("text", "")
        if kind == "error":
            return fault.append(Fault(event["message"], event.get("cause", ""), event.get("remedy", ""), "setup"))
        if kind in ("plan", "step", "note"):
            count = f"[{event['done'] + 1}/{event['total']}] " if kind == "step" else ""
            output.say(f"latte3d: {count}{text}")
        output.event(event="install", stage=kind, text=text, done=event.get("done", 0), total=event.get("total", 0))

    command = [sys.executable, str(source / "core" / "install.py"), "--target", str(target), "--with", TRAINING, "--json-progress", *wheels]
    status = running.run(command, source, output, hear)
    if status == 130:
        raise KeyboardInterrupt
    if status:
        unsaid = Fault("The packages for training could not be installed.", f"The installer ended with status {status}.", "", "setup")
        raise EngineFault(fault[0] if fault else unsaid)
