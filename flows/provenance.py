"""What is kept with a run so that it can be made again and its cost be learnt: commit, changes, hashes, device, process.

Two patches over the commit together give the tree that the run saw: ``changes.patch`` (what makes a run dirty) and
``results.patch.gz`` (dvc.lock and metrics/, which are committed only after the runs that make them). Data lies in DVC's
cache under the hashes of that dvc.lock, so nothing else has to be kept.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

CHANGES_FILE = "provenance/changes.patch"
RESULTS_FILE = "provenance/results.patch.gz"
LOCKS = ("dvc.lock", "studies/dvc.lock")
RESULTS = (*LOCKS, "metrics")
DVC_CONFIG = ".dvc/config"  # changes no result, and may hold the keys of a remote
CODE = ("components", "flows", "inputs")  # a file here counts though git does not know it yet
MAX_UNTRACKED_BYTES = 10_000_000  # more than that is data, and too much to keep with every run
SETTLED_SECONDS = 0.3  # DVC writes dvc.lock in place, a block at a time
SETTLE_TRIES = 20
PLAIN_DIFF = (
    *("-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false", "diff"),
    *("--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD", "--"),
)


class TooLarge(Exception):
    """Files that git does not know are too large to be kept."""


class Watch:
    """Tells which of some paths were written since it was made."""

    def __init__(self, values: Iterable[str]) -> None:
        """``values`` of a command's options; those that are no paths are left out."""
        self._before = {path: _identity(Path(path)) for path in _paths(values)}

    def present(self) -> list[str]:
        """Paths that were there at the start: what a stage reads, for DVC removes what it will write."""
        there = [path for path, identity in self._before.items() if identity]
        return [path for path in there if not any(path.startswith(f"{other}/") for other in there)]

    def written(self) -> list[str]:
        """Paths that are there now and were not, or were other files; not the folder that another of the paths was written to."""
        new = [path for path, before in self._before.items() if _identity(Path(path)) not in (None, before)]
        return [path for path in new if not any(other.startswith(f"{path}/") for other in new)]


def _paths(values: Iterable[str]) -> list[str]:
    """Values with a slash, and words that dvc.yaml has as the top folder of something (``metrics``; not the ``scratch`` of --init)."""
    values = list(values)
    tops = _top_folders() if any("/" not in value for value in values) else set()
    return [value for value in values if "/" in value or value in tops]


def _top_folders() -> set[str]:
    import yaml

    try:
        stages = yaml.load(Path("dvc.yaml").read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return set()
    entries = [entry for stage in stages.values() for kind in ("deps", "outs", "metrics") for entry in stage.get(kind, [])]
    return {str(next(iter(entry)) if isinstance(entry, dict) else entry).partition("/")[0] for entry in entries}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None  # an option that is no path
    return found.st_ino, found.st_mtime_ns


def hash_path(path: Path) -> str:
    """The hash by which DVC knows a file, or a folder (md5 of the sorted list of its files, and ``.dir``).

    OSError if it is not there.
    """
    if not path.is_dir():
        return _md5(path)
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    rows = [{"md5": _md5(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode()).hexdigest() + ".dir"


def size_bytes(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def outs_in_lock(lock: Path = Path(LOCKS[0])) -> dict[str, dict[str, str]]:
    """Stage -> path -> md5 of every output in dvc.lock; nothing when there is none yet, or another process is writing it."""
    import yaml

    try:
        stages = yaml.load(lock.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
        return {name: {out["path"]: out["md5"] for out in stage.get("outs", []) if "md5" in out} for name, stage in stages.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def hashes_in_lock(lock: Path = Path(LOCKS[0])) -> dict[str, str]:
    """Path -> md5 of the same."""
    return {path: digest for outs in outs_in_lock(lock).values() for path, digest in outs.items()}


def hashes_in_locks(root: Path = Path()) -> dict[str, str]:
    """The same of every lock of the repository at ``root``: those of the studies, too, which takes half a second when all have run."""
    return {path: digest for lock in LOCKS for path, digest in hashes_in_lock(root / lock).items()}


def changes() -> bytes:
    """All that differs from the commit but results and DVC's remotes: a patch, empty for a clean tree.

    Raises:
        TooLarge: new files that git does not know are larger than 10 MB.
    """
    return _patch([".", *(f":!{path}" for path in (*RESULTS, DVC_CONFIG))], CODE)


def results(locks_are_whole: bool) -> bytes:
    """dvc.lock and metrics/ against the commit, as a patch. Waits until DVC has written dvc.lock to its end, unless it is always whole."""
    for lock in () if locks_are_whole else LOCKS:
        _settle(Path(lock))
    return _patch(RESULTS, RESULTS)


def _settle(lock: Path) -> None:
    for _ in range(SETTLE_TRIES):
        before = _identity(lock)
        if before is None or time.time_ns() - before[1] > 2 * SETTLED_SECONDS * 1e9:
            return
        time.sleep(SETTLED_SECONDS)
        if _identity(lock) == before:
            return


def _patch(paths: Sequence[str], new_in: Sequence[str]) -> bytes:
    """The diff of tracked files at ``paths``, and files under ``new_in`` that git neither knows nor ignores."""
    listed = _git_bytes("ls-files", "--others", "--exclude-standard", "-z", "--", *new_in).decode(errors="surrogateescape")
    new = [name for name in listed.split("\0") if name]
    if not new:
        return _git_bytes(*PLAIN_DIFF, *paths)
    large = sum(Path(name).lstat().st_size for name in new)
    if large > MAX_UNTRACKED_BYTES:
        raise TooLarge(f"{large / 1e6:.0f} MB in {len(new)} files that git does not know, among them {new[0]}")
    with tempfile.TemporaryDirectory() as folder:  # the user's own index stays as it is
        index = Path(folder) / "index"
        # With its time, by which git knows that a file changed in the second of the commit may have changed unseen.
        shutil.copy2(git("rev-parse", "--git-path", "index"), index)
        variables = {"GIT_INDEX_FILE": str(index)}
        _git_bytes("add", "--intent-to-add", "--", *new, variables=variables)
        return _git_bytes(*PLAIN_DIFF, *paths, variables=variables)


def _git_bytes(*arguments: str, variables: Mapping[str, str] | None = None) -> bytes:
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, capture_output=True, check=True, env={**os.environ, **(variables or {})}).stdout


def git(*arguments: str) -> str:
    """What git prints, without the last newline; "" where there is no repository, or none of git."""
    try:
        return _git_bytes(*arguments).decode(errors="replace").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def device() -> str:
    """The machine in a line, so that times of equal devices can be compared: processor, number of cores, accelerators."""
    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ", ".join([f"{cores} x {model}", *cards()])


def cards() -> list[str]:
    """Models of the accelerators of this machine, in the order of their bus addresses."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [line.partition(":")[2].strip() for file in files for line in _lines(file) if line.startswith("Model:")]


def process(pid: int) -> str:
    """Names a process for good: host, boot, number, and when it started; "" where /proc does not tell, or it has ended."""
    boot = next(iter(_lines("/proc/sys/kernel/random/boot_id")), "")
    stat = "".join(_lines(f"/proc/{pid}/stat")).rpartition(")")[2].split()  # the name before it may hold spaces
    if not boot or len(stat) < 20 or stat[0] in "ZX":
        return ""
    return f"{platform.node()} {boot} {pid} {stat[19]}"


def is_gone(name: str) -> bool:
    """Whether the process of that name has ended for certain: it ran on this host, and no such process is there."""
    parts = name.split()
    return len(parts) == 4 and parts[0] == platform.node() and process(int(parts[2])) != name


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
