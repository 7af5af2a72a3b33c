"""With repro.py the only file that imports dvc: cells and edges as DVC's own index has them, and whether a cell would run.

``dvc.repo.Repo`` is not part of ``dvc.api``; should it move, ``dvc dag --dot`` and ``dvc status --json`` give the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from dvc.repo import Repo


MAIN_FILE = "dvc.yaml"


@dataclass(frozen=True)
class Cell:
    """One stage of dvc.yaml, or one arm x seed of a stage with ``matrix``."""

    name: str
    """Address as DVC has it: ``pretrain_ladder@r1-0``, and ``studies/dvc.yaml:study_batch_size@...`` of a graph beside dvc.yaml."""
    upstream: tuple[str, ...]
    """Names of the cells whose outputs it reads, sorted."""
    outs: tuple[str, ...]
    """Paths that it writes, relative to the top of the repository."""
    command: str
    """What DVC runs."""


class Graph:
    """The graph of the repository at ``root``, which is the working directory: DVC names its stages as seen from there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._all = {cell.name: cell for cell in _read(root)}

    def cells(self, targets: Iterable[str] = ()) -> list[Cell]:
        """The targets and everything they need; all cells of dvc.yaml when there are none. Longest chain first, upstream before downstream.

        Args:
            targets: names of cells, or of stages for all their cells, or a file such as studies/dvc.yaml for all of its cells.

        Raises:
            InputError: no such cell or stage.
        """
        wanted = self._with_upstream(
            [name for target in targets for name in self._named(target)] or [name for name in self._all if ":" not in name]
        )
        heights = _heights(self._all)
        return sorted((self._all[name] for name in wanted), key=lambda cell: (-heights[cell.name], cell.name))

    def everything(self) -> list[Cell]:
        """Cells of every dvc.yaml."""
        return list(self._all.values())

    def changed(self, names: Sequence[str]) -> set[str]:
        """Those of the cells that DVC would run: dependencies, parameters, command or outputs differ from dvc.lock."""
        from dvc.exceptions import DvcException
        from dvc.lock import LockError

        # DVC reads its files anew for every name: 3.7 s for 53, 1.2 s for all at once; all of dvc.yaml where no other file is meant.
        only = list(names) if len(names) == 1 else None if any(":" in name for name in names) else [MAIN_FILE]
        try:
            with _repository(self._root) as repo, _parameters_read_once():
                return set(repo.status(only)) & set(names) if names else set()
        except LockError:
            return set(names)  # another process runs one of them: `dvc --wait-for-lock repro` waits for it and decides
        except DvcException as error:
            raise InputError(_one_line(error)) from None

    def _named(self, target: str) -> list[str]:
        found = [name for name in self._all if target in _known_as(name)]
        if not found:
            known = sorted({known for name in self._all for known in _known_as(name)})
            near = get_close_matches(target, known, n=3)
            raise InputError(f"dvc.yaml has no cell or stage {target!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
        return found

    def _with_upstream(self, names: list[str]) -> set[str]:
        wanted: set[str] = set()
        while names:
            name = names.pop()
            if name not in wanted:
                wanted.add(name)
                names += self._all[name].upstream
        return wanted


def _known_as(name: str) -> set[str]:
    """A cell's address, with and without its file and its arm, and its file."""
    file, _, cell = name.rpartition(":")
    return {name, name.partition("@")[0], cell, cell.partition("@")[0]} | ({file} if file else set())


@cache
def load(root: Path) -> Graph:
    """The graph at ``root``, read once for each process (0.5 s)."""
    return Graph(root)


def _read(root: Path) -> list[Cell]:
    from dvc.exceptions import DvcException

    try:
        with _repository(root) as repo:
            edges = repo.index.graph
            return [
                Cell(
                    name=stage.addressing,
                    upstream=tuple(sorted(upstream.addressing for upstream in edges.successors(stage))),
                    outs=tuple(Path(out.fs_path).relative_to(root).as_posix() for out in stage.outs if out.is_in_repo),
                    command=stage.cmd if isinstance(stage.cmd, str) else " && ".join(stage.cmd or ()),
                )
                for stage in edges
            ]
    except DvcException as error:
        raise InputError(_one_line(error)) from None


def _repository(root: Path) -> "Repo":
    from dvc.repo import Repo

    return Repo(str(root), _wait_for_lock=True)


@contextmanager
def _parameters_read_once() -> Iterator[None]:
    """DVC 3.67 parses params.yaml anew for every cell: nine tenths of what the status of 200 cells takes."""
    from dvc.dependency import param

    plain, known = param.read_param_file, dict[tuple[Any, ...], Any]()

    def once(fs: Any, path: str, key_paths: list[str] | None = None, flatten: bool = False, **options: Any) -> Any:
        what = (path, None if key_paths is None else tuple(key_paths), flatten, *options.items())
        if what not in known:
            known[what] = plain(fs, path, key_paths, flatten, **options)
        return dict(known[what])

    param.read_param_file = once
    try:
        yield
    finally:
        param.read_param_file = plain


def _heights(cells: dict[str, Cell]) -> dict[str, int]:
    """Cells on the longest chain that waits for each cell, itself included: what to start first when not all can run."""
    heights = dict.fromkeys(cells, 1)
    changed = True
    while changed:
        changed = False
        for cell in cells.values():
            for name in cell.upstream:
                if heights[name] <= heights[cell.name]:
                    heights[name], changed = heights[cell.name] + 1, True
    return heights


def _one_line(error: Exception) -> str:
    parts: list[Any] = [error, error.__cause__] if error.__cause__ else [error]
    return ": ".join(" ".join(str(part).split()) for part in parts)
