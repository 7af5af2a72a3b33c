"""What dvc.lock says about a cell that has run: the options of its command, the hashes of what it wrote."""

import re
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


def outs(cell: str) -> dict[str, str]:
    """Path -> hash of what DVC has of a cell, by its address (``studies/dvc.yaml:study_batch_size@...``); nothing if it has not run."""
    import yaml

    file, _, stage = cell.rpartition(":")
    lock = Path(file).with_suffix(".lock") if file else LOCK_FILE
    try:
        own = yaml.load(lines_of(f"  {stage}:", lock.read_text(encoding="utf-8")), yaml.CSafeLoader)
        return {out["path"]: out["md5"] for out in own[stage].get("outs", []) if "md5" in out} if own else {}
    except (FileNotFoundError, yaml.YAMLError, KeyError):  # DVC is writing it
        return {}


def lines_of(name: str, lock: str) -> str:
    """The lines of the stage whose first line is ``name``, up to the next that is as little indented; "" if it has none."""
    found = re.search(rf"^{re.escape(name)}\n(?:   .*\n|\n)*", lock, re.MULTILINE)
    return found[0] if found else ""
