"""One cell by DVC, ``python -m flows.repro CELL``: ``dvc --wait-for-lock repro --single-item``, touching of dvc.lock only its lines.

Before each cell DVC parses all of dvc.lock, and after it once more, and writes all of it in place: 9 s of CPU where it has 350 cells (DVC
3.67), and a kill meanwhile leaves half a file, in which the results of the other half are forgotten. Here the lines of the
cell are all that is read, they take the place of its older ones, and the file is renamed over the old one. The bytes are those that
DVC writes (tests/pipeline/test_repro.py).
"""

import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import cells

HEAD = "schema: '2.0'\nstages:\n"  # of a lock that holds stages and nothing else


def main(argv: Sequence[str] | None = None) -> int:
    """DVC's exit status."""
    from dvc.cli import main as dvc

    [cell] = sys.argv[1:] if argv is None else argv
    touch_only(cell)
    return int(dvc(["--wait-for-lock", "repro", "--single-item", cell]))


def touch_only(cell: str) -> None:
    """Let DVC, in this process, see and write no other stage of a dvc.lock than that of the cell."""
    from dvc import dvcfile
    from dvc.utils.serialize import parse_yaml

    class Lockfile(dvcfile.Lockfile):  # type: ignore[misc]  # dvc has no types
        def _load_yaml(self, **options: Any) -> tuple[Any, str]:
            text = Path(self.path).read_text(encoding="utf-8")
            if not text.startswith(HEAD):
                whole: tuple[Any, str] = super()._load_yaml(**options)
                return whole
            own = cells.lines_of(f"  {cell.rpartition(':')[2]}:", text)
            return (parse_yaml(HEAD + own, self.path) if own else {}), own

        def dump_stages(self, stages: Sequence[Any], **options: Any) -> None:
            if _write(Path(self.path), stages, options):
                self.repo.scm_context.track_file(self.relpath)
            else:
                super().dump_stages(stages, **options)

    dvcfile.Lockfile = Lockfile


def _write(lock: Path, stages: Sequence[Any], options: dict[str, Any]) -> bool:
    """Whether the lock is one that this can write: new, or of stages alone, and their names short enough for a line of their own."""
    from dvc.stage.serialize import to_lockfile
    from dvc.utils.serialize import dumps_yaml

    before = lock.read_text(encoding="utf-8") if lock.exists() else HEAD
    parts = [dumps_yaml({"stages": to_lockfile(stage, **options)}).partition("\n")[2] for stage in stages]
    if not before.startswith(HEAD) or not all(part.partition("\n")[0].endswith(":") for part in parts):
        return False
    after = functools.reduce(with_lines, parts, before)
    if after != before:
        replace_text(lock, after)
    return True


def with_lines(lock: str, lines: str) -> str:
    """``lock`` with the ``lines`` of one stage, its name the first of them, in place of its older ones, or at the end."""
    older = cells.lines_of(lines.partition("\n")[0], lock)
    return lock.replace(older, lines, 1) if older else lock + lines


def replace_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it once it is on the disk."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
