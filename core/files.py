# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from core.errors import EngineError


def replace_file(path: Path, write: Callable[[str], object]) -> None:
    """Call write(name of a temporary file beside `path`), then rename that: a full disk or a kill leaves the old file.

    Raises EngineError with the file and the reason when it cannot be written.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        write(name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except (OSError, SafetensorError) as error:
        raise EngineError("internal", f"{path} cannot be written.", f"{error}.", "Make room, or name another folder.") from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)
