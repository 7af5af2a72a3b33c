"""The tree that a run saw, built again beside the repository: its commit, its changes, its results so far, its data.

The worktree has DVC's cache of the repository, from which it reads and into which it never writes (``--no-commit``), and
nothing is taken from DVC's run cache: what is re-run is computed.
"""

import configparser
import gzip
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path

from components.errors import InputError
from flows import graph, provenance
from flows.children import Children

REPRO = ("--wait-for-lock", "repro", "--single-item", "--force", "--no-run-cache", "--no-commit")
Say = Callable[[str], None]


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """A clean worktree of the commit under ``scratch/``, removed at the end.

    Raises:
        InputError: the repository does not have the commit.
    """
    if not provenance.git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        raise InputError(f"commit {commit or '(none recorded)'} is not in this repository; fetch it, or run in the clone that made the run")
    (root / "scratch").mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="reproduce-", dir=root / "scratch"))
    try:
        _git(root, "worktree", "add", "--quiet", "--detach", "--force", str(place), commit)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        _git(root, "worktree", "prune")


def apply_patch(worktree: Path, patch: Path) -> None:
    """Apply a patch that was kept with a run, gzipped or not; InputError if it does not fit."""
    content = gzip.decompress(patch.read_bytes()) if patch.suffix == ".gz" else patch.read_bytes()
    if not content:
        return
    command = ["git", "apply", "--whitespace=nowarn", "--binary", "-"]
    done = subprocess.run(command, cwd=worktree, input=content, capture_output=True)
    if done.returncode != 0:
        raise InputError(f"{patch}: does not fit its commit: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")


def share_cache(root: Path, worktree: Path) -> bool:
    """Give the worktree the repository's cache and remotes; whether there is a default remote."""
    config = configparser.RawConfigParser()
    config.read([root / provenance.DVC_CONFIG, root / ".dvc" / "config.local"], encoding="utf-8")
    cache, remotes = _dvc(root, "cache", "dir"), _dvc(root, "remote", "list")
    sections = [("cache", "dir", cache.strip())]
    for line in remotes.splitlines():
        name, url = line.removesuffix("(default)").split(None, 1)
        sections.append((f"'remote \"{name}\"'", "url", url.strip()))  # a relative one, as seen from the repository
    for section, key, value in sections:
        if not config.has_section(section):
            config.add_section(section)
        config.set(section, key, value)
    with (worktree / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        config.write(file)
    return "(default)" in remotes


class Worktree:
    """A worktree in which cells are run."""

    def __init__(self, path: Path, has_remote: bool, expected: Mapping[str, str], children: Children, say: Say) -> None:
        """``expected``: path -> hash of what the run read, where it differs from what dvc.lock says."""
        self._path, self._has_remote, self._children, self._say = path, has_remote, children, say
        self._expected = provenance.hashes_in_locks(path) | dict(expected)
        with chdir(path):
            self._cells = {cell.name: cell for cell in graph.Graph(path).everything()}
        self.remade: list[str] = []

    def upstream(self, name: str, inputs: Sequence[str]) -> list[str]:
        """Cells that make what is read: those upstream of the cell, or, outside DVC, those that write one of the inputs."""
        if name in self._cells:
            return list(self._cells[name].upstream)
        return [cell.name for cell in self._cells.values() if any(_within(out, path) for out in cell.outs for path in inputs)]

    def provide(self, names: Sequence[str]) -> None:
        """Have the outputs of the cells: from the cache or the remote, else made again from their own upstream.

        Raises:
            InputError: neither is possible.
        """
        missing = [name for name in names if not self._is_there(name)]
        if missing:
            fetch = ["pull", "--allow-missing"] if self._has_remote else ["checkout", "--allow-missing"]
            paths = [out for name in missing for out in self._cells[name].outs if out in self._expected]
            if paths:
                self._run("dvc", *fetch, "--quiet", "--force", *paths)
        for name in missing:
            if not self._is_there(name):
                self._remake(name)

    def rerun(self, name: str, command: str, tracking_uri: str) -> None:
        """Run the cell through DVC, or the command of a run outside DVC; InputError if it fails."""
        words = ["dvc", *REPRO, name] if not command else ["python", *shlex.split(command)]
        if any(word.startswith(("/", "~")) for word in words):
            raise InputError(f"its command names a place outside the repository ({command}); it would be overwritten")
        status, last = self._run(*words, variables={"MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_ALLOW_FILE_STORE": "true"})
        if status != 0:
            raise InputError(f"{name}: the re-run ended with status {status}: {last}")

    def _is_there(self, name: str) -> bool:
        outs = self._cells[name].outs
        return all(out in self._expected and self.hash(out) == self._expected[out] for out in outs)

    def hash(self, path: str) -> str:
        """Hash of a path in the worktree, "" if it is not there."""
        place = self._path / path
        return provenance.hash_path(place) if place.exists() else ""

    def _remake(self, name: str) -> None:
        self._say(f"{name}: its outputs are in no cache or remote; made again")
        self.provide(self._cells[name].upstream)
        status, last = self._run("dvc", *REPRO, name, variables={"MLFLOW_TRACKING_URI": "off"})
        if status != 0:
            raise InputError(f"{', '.join(self._cells[name].outs)}: gone from every cache, and {name} cannot make it again: {last}")
        self.remade.append(name)

    def _run(self, program: str, *arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Exit status, and the line that tells most."""
        lines: list[str] = []

        def on_line(line: str) -> None:
            self._say(line)
            lines.append(line)

        command = [sys.executable, *(["-m", "dvc"] if program == "dvc" else []), *arguments]
        outer = {"PYTHONPATH": "", "DVC_ROOT": "", "DVC_STAGE": ""}
        status = self._children.run(command, self._path, {**outer, **(variables or {})}, on_line)
        errors = [line for line in lines if line.lower().startswith("error")]
        return status, (errors or [line for line in lines if line] or ["it said nothing"])[0]


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _git(root: Path, *arguments: str) -> None:
    done = subprocess.run(["git", "-c", f"core.hooksPath={os.devnull}", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]} {arguments[1]}: {done.stderr.strip().splitlines()[-1]}")


def _dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(f"dvc {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout
