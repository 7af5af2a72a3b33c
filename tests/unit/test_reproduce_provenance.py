"""What is kept of the tree, applied to a clean copy of it, gives the tree again; and hashes are DVC's."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from components.errors import InputError
from flows import provenance, worktree


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    (folder / "components").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name, text in {"params.yaml": "a: 1\n", "gone.txt": "x\n", "dvc.lock": "old\n", ".gitignore": "/data/\n/scratch/\n"}.items():
        Path(name).write_text(text, encoding="utf-8")
    git("init", "-q")
    git("config", "diff.noprefix", "true")
    git("config", "diff.external", "false")
    git("add", "-A")
    git("commit", "-q", "-m", "state")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not {".git", "data", "scratch"} & {*path.relative_to(folder).parts})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_commit_and_both_patches_give_the_tree_of_the_run(repository: Path, tmp_path: Path) -> None:
    Path("params.yaml").write_text("a: 2\n", encoding="utf-8")  # of the same size, in the second of the commit
    Path("gone.txt").unlink()
    Path("components/new ü.py").write_bytes(b"x = 1")
    Path("components/picture.bin").write_bytes(bytes(range(256)))
    Path("dvc.lock").write_text("new\n", encoding="utf-8")
    Path("metrics/deep").mkdir(parents=True)
    Path("metrics/deep/a.json").write_text("{}", encoding="utf-8")
    Path("data").mkdir()
    Path("data/large").write_bytes(b"ignored")
    status = provenance.git("status", "--porcelain")
    changes, results = provenance.changes(), provenance.results(locks_are_whole=False)
    assert b"dvc.lock" not in changes and b"metrics" not in changes
    assert provenance.git("status", "--porcelain") == status  # the user's index was not touched
    for name, patch in {"changes.patch": changes, "results.patch": results}.items():
        (tmp_path / name).write_bytes(patch)
    with worktree.checked_out(repository, provenance.git("rev-parse", "HEAD")) as place:
        worktree.apply_patch(place, tmp_path / "changes.patch")
        worktree.apply_patch(place, tmp_path / "results.patch")
        assert tree(place) == tree(repository)
    assert not place.exists()
    assert len(provenance.git("worktree", "list").splitlines()) == 1


def test_a_clean_tree_has_no_changes(repository: Path, tmp_path: Path) -> None:
    assert (provenance.changes(), provenance.results(locks_are_whole=False)) == (b"", b"")
    (tmp_path / "empty.patch").write_bytes(b"")
    worktree.apply_patch(repository, tmp_path / "empty.patch")


def test_the_keys_of_a_remote_are_not_kept_with_a_run(repository: Path) -> None:
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    analytics = false\n", encoding="utf-8")
    git("add", "-A")
    git("commit", "-q", "-m", "dvc")
    Path(".dvc/config").write_text("['remote \"store\"']\n    secret_access_key = planted\n", encoding="utf-8")  # dvc remote modify
    assert provenance.changes() == b""


def test_new_files_that_are_too_large_are_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "MAX_UNTRACKED_BYTES", 5)
    Path("components/large.bin").write_bytes(b"123456")
    with pytest.raises(provenance.TooLarge, match=r"1 files that git does not know, among them components/large\.bin"):
        provenance.changes()


def test_a_commit_or_a_patch_that_does_not_fit_is_one_line(repository: Path, tmp_path: Path) -> None:
    for commit in ("", "0" * 40, "--help"):
        with pytest.raises(InputError, match=r"^commit .* is not in this repository; fetch it"), worktree.checked_out(repository, commit):
            pass
    (tmp_path / "bad.patch").write_bytes(b"diff --git a/none b/none\n--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(InputError, match=r"bad\.patch: does not fit its commit: error: none: No such file"):
        worktree.apply_patch(repository, tmp_path / "bad.patch")


def test_hashes_are_those_of_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    (folder / "b").mkdir(parents=True)
    for name, text in {"b/2.txt": "two\r\n", "b-1.txt": "dash", "ä.txt": "umlaut", "B.txt": "upper", "10": "ten"}.items():
        (folder / name).write_bytes(text.encode())
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    with Repo(str(tmp_path)) as repo:
        [stage] = repo.add(["data"], no_commit=True)
    assert provenance.hash_path(Path("data")) == stage.outs[0].hash_info.value
    assert provenance.hash_path(Path("data/10")) == hashlib.md5(b"ten").hexdigest()


def test_what_was_written_is_what_is_new_or_another_file(tmp_path: Path) -> None:
    kept, replaced, made = (tmp_path / name for name in ("kept", "replaced", "made"))
    kept.write_text("a")
    replaced.write_text("a")
    watch = provenance.Watch([str(kept), str(replaced), str(made), "library"])
    (tmp_path / "other").write_text("a")
    (tmp_path / "other").replace(replaced)
    made.mkdir()
    assert watch.present() == [str(kept), str(replaced)]
    assert watch.written() == [str(replaced), str(made)]


def test_a_word_is_a_path_only_where_dvc_yaml_has_it_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--init scratch`` names no folder, though there is one; ``--metrics metrics`` does, and ``--summary`` is written into it."""
    monkeypatch.chdir(tmp_path)
    for name in ("scratch", "metrics", "data/ladder"):
        Path(name).mkdir(parents=True)
    yaml = "stages: {report: {deps: [data/ladder, metrics/a.json], outs: [report], metrics: [{metrics/summary.json: {cache: false}}]}}"
    Path("dvc.yaml").write_text(yaml, encoding="utf-8")
    watch = provenance.Watch(["scratch", "metrics", "data/ladder", "report", "metrics/summary.json"])
    Path("scratch/state").write_text("x")
    Path("report").mkdir()
    Path("metrics/summary.json").write_text("{}")
    assert watch.present() == ["metrics", "data/ladder"]
    assert watch.written() == ["report", "metrics/summary.json"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_a_process_is_gone_only_when_that_is_certain() -> None:
    alive = provenance.process(os.getpid())
    host, boot, pid, start = alive.split()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = provenance.process(child.pid)
    assert not provenance.is_gone(ended)
    child.kill()
    child.communicate()
    assert provenance.is_gone(ended)
    assert not provenance.is_gone(alive)
    assert provenance.is_gone(f"{host} {boot} {pid} {int(start) - 1}")  # its number was given to another
    assert provenance.is_gone(f"{host} before-the-reboot {pid} {start}")
    assert not provenance.is_gone(f"another-host {boot} 1 1")
    assert not provenance.is_gone("")
