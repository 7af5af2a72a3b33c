"""The state of an unfinished run: written whole beside the outputs, removed when the run is done.

It names what it depends on (parameters, seed, data, code), and a run that differs in any of them refuses it.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from components.errors import InputError

STATE_VERSION = 2
SHOWN_DIFFERENCES = 3


@dataclass(frozen=True)
class TrainingState:
    """All that the next step depends on, and the rows of the curve so far."""

    steps_done: int
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    rng: dict[str, torch.Tensor]
    """States of the generators that dropout draws from, by device type: uint8 [W, N], a row for each of W devices."""
    noise_scale: list[float]
    """The two averages behind it."""
    rows: list[dict[str, float]]

    def digests(self) -> dict[str, str]:
        """Hash of each part: equal if and only if every bit of it is."""
        return {field.name: _digest(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class StateFile:
    """Where a run keeps its state, how often, and what the state must have been made with."""

    path: Path
    fingerprint: Mapping[str, str]
    """Name -> value, as in a message: of every parameter, and hashes of data and code."""
    every_steps: int
    """How often it is written; changes no result."""

    def save(self, state: TrainingState) -> None:
        """Write so that a kill or a full disk at any moment leaves the older state or the newer one, whole and on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".partial")
        content = {"version": STATE_VERSION, "fingerprint": dict(self.fingerprint), **state.__dict__}
        try:
            with scratch.open("wb") as file:  # given a path, torch would not say that the disk is full
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self.path)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        _sync_folder(self.path.parent)

    def load(self) -> TrainingState | None:
        """The state, or None where there is none. No code in the file is ever run.

        Raises:
            InputError: one line; the file is damaged, of a newer version, or of another run, with what differs.
        """
        if not self.path.exists():
            return None
        content = _read(self.path)
        if differences := differing(content.pop("fingerprint"), self.fingerprint):
            raise InputError(f"{self.path}: is the state of another run ({differences}); undo that, or delete it to train from the start")
        del content["version"]
        return TrainingState(**content)

    def discard(self) -> None:
        """Remove it: the run is done."""
        self.path.unlink(missing_ok=True)


def read_fingerprint(path: Path) -> dict[str, str]:
    """What the state at ``path`` was made with; a damaged file or one of a newer version is an InputError."""
    fingerprint: dict[str, str] = _read(path, mapped=True)["fingerprint"]
    return fingerprint


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What differs between two fingerprints, in words; empty if nothing does."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    shown = [f"{name} was {old.get(name, 'absent')}, is {new.get(name, 'absent')}" for name in names[:SHOWN_DIFFERENCES]]
    return "; ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def rng_states() -> dict[str, torch.Tensor]:
    """Of this process: the CPU's generator, and that of the GPU in use."""
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else states


def set_rng_states(states: Mapping[str, torch.Tensor]) -> None:
    """Undo whatever was drawn since ``rng_states``."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])


def _read(path: Path, mapped: bool = False) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        reason = [*str(error).splitlines(), type(error).__name__][0]  # an empty file's EOFError says nothing
        raise InputError(f"{path}: damaged ({reason}); delete it to train from the start") from None
    version = content.get("version") if isinstance(content, dict) else None
    if version != STATE_VERSION:
        raise InputError(f"{path}: state of version {version}, this code reads {STATE_VERSION}; update the code or delete it to train anew")
    if set(content) != {"version", "fingerprint", *(field.name for field in fields(TrainingState))}:
        raise InputError(f"{path}: damaged (parts are missing); delete it to train from the start")
    return content


def _sync_folder(folder: Path) -> None:
    """Make a rename last: the name is written with the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            digest.update(f"{key}:".encode())
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    else:
        digest.update(f"{value!r},".encode())
