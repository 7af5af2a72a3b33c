"""Where an interrupted run keeps what it needs to go on.

DVC wipes a stage's outputs before it runs, so the state lies outside them, under ``scratch/``, in a file named after
everything the run depends on: parameters, seed, inputs and code. The state holds the same list and is refused by a run
that differs from it. A change starts afresh, and says so; the older state stays, and is used if the change is undone.
A run that finishes removes its state.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from components.training.resume import StateFile

SAVE_EVERY_STEPS = 100  # changes no result


def state_file(stage: str, params: "BaseModel", seed: int, files: Iterable[Path], code: Iterable[Path]) -> "StateFile":
    """State of ``stage``; ``files`` are inputs, ``code`` folders of Python files.

    It lies in the user's own repository even where DVC runs the stage in a temporary copy of it (``dvc exp run --temp``).

    Raises:
        InputError: one of the inputs is not there.
    """
    from components.training.resume import StateFile

    sources = [file for folder in code for file in sorted(folder.rglob("*.py"))]
    try:
        hashes = {path.as_posix(): _sha256([path]) for path in files}
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: not there; run the stage that makes it (dvc repro)") from None
    fingerprint = {**_flat(params.model_dump(mode="json")), "seed": str(seed), **hashes, "the code": _sha256(sources)}
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()
    root = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()
    return StateFile(root / "scratch" / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', stage)}-{digest[:16]}.state", fingerprint, SAVE_EVERY_STEPS)


def describe(state: "StateFile") -> Iterator[str]:
    """Whether a run goes on from its state, and which states of the same cell it leaves alone, and why: a line each."""
    from components.training.resume import differing, read_fingerprint

    if state.path.exists():
        yield f"going on from {state.path.name}"
    cell = state.path.name.rpartition("-")[0]
    for other in sorted(state.path.parent.glob(f"{cell}-{'?' * 16}.state")):
        if other != state.path:
            try:
                reason = differing(read_fingerprint(other), state.fingerprint)
            except InputError as error:
                reason = str(error)
            yield f"not going on from {other.name}: {reason}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": json.dumps(value)}
    return flat


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
