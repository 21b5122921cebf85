# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a process: finds the models, answers requests on stdin/stdout until it is told to stop.

    python -m core.service.worker [--model FOLDER] [--models FOLDER]… [--device auto|cpu|cuda|cuda:N|mps]

A reader thread takes messages in, so that a cancel arrives while the main thread generates; only the main thread writes.
"""

import argparse
import contextlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from core import __version__
from core.device import device_facts
from core.errors import BadRequest, EngineError, plain_error
from core.service.answering import generate, retexture, told
from core.service.protocol import PROTOCOL_VERSION, ProtocolError, read_message, write_message

FEATURES = ["generate", "progress", "cancel", "triangles", "glb", "styles", "blend", "cloud", "pictures", "planes", "retexture",
            "light"]  # fmt: skip
METHODS = {"generate": generate, "retexture": retexture}
ERROR_NUMBERS = {"bad_request": -32602, "missing_weights": -32001, "out_of_memory": -32002, "cancelled": -32003, "unfamiliar": -32004,
                 "internal": -32603}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Serve on this process's stdin and stdout. Returns the exit status: 0 ended, 1 failed."""
    inbox, outbox = claim_pipes()
    parser = argparse.ArgumentParser(prog="python -m core.service.worker", description="Serve Blender over stdin and stdout.")
    parser.add_argument("--model", type=Path, help="the folder of a model, in place of those that come with the engine")
    add_models = "a folder in which more models are looked for, or a model itself; any number of them"
    parser.add_argument("--models", type=Path, action="append", default=[], metavar="FOLDER", help=add_models)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    options = parser.parse_args(argv)
    return serve(lambda: load_models(options.model, options.models, options.device), inbox, outbox)


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the wire, and let everything that prints write to stderr, the log."""
    inbox = os.fdopen(os.dup(0), "rb")
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return inbox, outbox


def load_models(alone: Path | None, places: list[Path], device: str):
    """Find the models (`core.service.models.Models`) and load the first. The heavy imports happen here, after stdout has been claimed."""
    try:
        from core.service.models import Models, find_models

        return Models(find_models(places, alone), device)
    except ImportError as error:
        raise EngineError("internal", "The engine's environment is incomplete.", f"{error}.", "Set the engine up again.") from error


def serve(load: Callable[[], Any], inbox: BinaryIO, outbox: BinaryIO) -> int:
    """Load the models, say hello, answer until shutdown or the end of `inbox`. Returns the exit status.

    Args:
        load: makes the pipeline of all models (see `core.service.models.Models`); its failure goes to the client as an error without an id.
        inbox, outbox: the two directions of the wire, blocking binary streams.
    """
    try:
        try:
            pipeline = load()
        except Exception as error:
            write_message(outbox, error_answer(None, error))
            return 1
        write_message(outbox, hello(pipeline))
        return Worker(pipeline, inbox, outbox).run()
    except (BrokenPipeError, KeyboardInterrupt):  # the client is gone, or the user pressed Ctrl-C in Blender's terminal
        with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), outbox.fileno())  # what is left in the buffer goes nowhere, silently
        return 0


class Worker:
    """One client: takes requests in order, hears a cancel while it works."""

    def __init__(self, pipeline: Any, inbox: BinaryIO, outbox: BinaryIO):
        self.pipeline = pipeline
        self.inbox = inbox
        self.outbox = outbox
        self.requests: queue.SimpleQueue = queue.SimpleQueue()  # (rpc, arrays), a ProtocolError, or None at the end of the stream
        self.cancelled: set[Any] = set()  # ids of requests
        self.stopping = threading.Event()

    def run(self) -> int:
        """Answer until the end. Returns the exit status: 1 after bytes that were no message, since what follows is lost."""
        threading.Thread(target=self._listen, name="wire", daemon=True).start()
        self.pipeline.warm_up(lambda: self.stopping.is_set() or not self.requests.empty())
        while (item := self.requests.get()) is not None:
            if isinstance(item, ProtocolError):
                write_message(self.outbox, error_answer(None, BadRequest("The engine received something that is no message.", str(item))))
                return 1
            rpc, arrays = item
            if rpc.get("method") == "shutdown":
                if "id" in rpc:
                    write_message(self.outbox, {"jsonrpc": "2.0", "id": rpc["id"], "result": {}})
                return 0
            self._answer(rpc, arrays)
        return 0

    def _listen(self) -> None:
        """The reader thread: cancels take effect at once, everything else queues."""
        try:
            while (message := read_message(self.inbox)) is not None:
                rpc = message[0]
                if rpc.get("method") == "cancel":
                    params = rpc.get("params")
                    target = params.get("id") if isinstance(params, dict) else None
                    if isinstance(target, int | str):
                        self.cancelled.add(target)
                    continue
                self.requests.put(message)
                if rpc.get("method") == "shutdown":
                    self.stopping.set()
                    return
        except (ProtocolError, OSError) as error:
            self.stopping.set()
            self.requests.put(error if isinstance(error, ProtocolError) else None)
            return
        self.stopping.set()
        self.requests.put(None)

    def _answer(self, rpc: dict, arrays: dict) -> None:
        """Work on one request and write its one response, after its notifications; no error but a lost client leaves this function."""
        request_id = rpc.get("id")
        if "method" not in rpc or not isinstance(request_id, int | str):
            if "method" not in rpc or "id" in rpc:  # a notification that is unknown deserves no answer
                write_message(self.outbox, error_answer(None, BadRequest("The request has no method or no usable id.")))
            return
        try:
            if rpc["method"] not in METHODS:
                raise BadRequest(f"The engine has no method {str(rpc['method'])[:40]!r}.")
            made, failed = METHODS[rpc["method"]](
                self.pipeline,
                rpc.get("params"),
                arrays,
                notify=lambda method, params, arrays=None: self._notify(method, {"id": request_id, **params}, arrays),
                cancelled=lambda: self.stopping.is_set() or request_id in self.cancelled,
            )
            answer = {"jsonrpc": "2.0", "id": request_id, "result": {"made": made, "failed": failed}}
        except BrokenPipeError:
            raise
        except Exception as error:
            answer = error_answer(request_id, error)
        finally:
            self.cancelled.discard(request_id)
        write_message(self.outbox, answer)

    def _notify(self, method: str, params: dict, arrays: dict | None = None) -> None:
        write_message(self.outbox, {"jsonrpc": "2.0", "method": method, "params": params}, arrays)


def hello(pipeline: Any) -> dict:
    """The handshake: what this engine is and has."""
    device = str(pipeline.device)
    name, free = device_facts(device)
    params = {
        "protocol": PROTOCOL_VERSION,
        "version": __version__,
        "models": [model.to_dict() for model in pipeline.models],
        "device": device,
        "device_name": name,
        "free_memory": free,
        "features": FEATURES,
    }
    return {"jsonrpc": "2.0", "method": "hello", "params": params}


def error_answer(request_id: int | str | None, error: Exception) -> dict:
    """The response for an error; one that nobody foresaw is logged with its traceback."""
    typed = plain_error(error)
    if typed is not error and typed.code == "internal":
        traceback.print_exception(error)
    message, data = typed.message, told(typed)
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": ERROR_NUMBERS[typed.code], "message": message, "data": data}}


if __name__ == "__main__":
    sys.exit(main())
