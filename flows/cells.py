"""What dvc.lock says about a cell that has run: the options of its command."""

import shlex
from difflib import get_close_matches
from pathlib import Path

from components.errors import InputError

LOCK_FILE = Path("dvc.lock")


def options(cell: str, path: Path = LOCK_FILE) -> dict[str, list[str]]:
    """Option -> values of the command of ``cell`` (``pretrain_ladder@r1-0``), ``--`` left out.

    Raises:
        InputError: no such cell has run here.
    """
    import yaml

    if not path.exists():
        raise InputError(f"{path}: not there; run dvc repro from the top folder of the repository")
    stages = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
    if cell not in stages:
        near = get_close_matches(cell, stages, n=3)
        raise InputError(f"{path}: no cell {cell!r} has run" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    words = shlex.split(stages[cell]["cmd"])[3:]
    found: dict[str, list[str]] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        found.setdefault(flag.removeprefix("--"), []).append(value)
    return found
