"""Where an interrupted run keeps what it needs to go on.

DVC wipes a stage's outputs before it runs, so the state lies outside them, under ``scratch/``, in a file named after
everything the run depends on: parameters, seed, inputs and code. A change of any of them starts afresh; a state is
removed by the run that finishes with it.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


def state_file(stage: str, params: "BaseModel", seed: int, files: Iterable[Path], code: Iterable[Path]) -> Path:
    """Path of the state of ``stage``; ``files`` are inputs, ``code`` folders of Python files.

    It lies in the user's own repository even where DVC runs the stage in a temporary copy of it (``dvc exp run --temp``).
    """
    digest = hashlib.sha256(f"{params.model_dump_json()}:{seed}".encode())
    for path in [*files, *(file for folder in code for file in sorted(folder.rglob("*.py")))]:
        digest.update(path.read_bytes())
    root = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()
    return root / "scratch" / f"{stage.replace('@', '-')}-{digest.hexdigest()[:16]}.state"
