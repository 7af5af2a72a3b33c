"""How .venv comes to be: with a lock of no packages, so that nothing is downloaded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.skipif(shutil.which("make") is None, reason="no make")]
ROOT = Path(__file__).parents[2]
INSTALLED = ".venv/requirements.lock"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    for name in ("Makefile", "flows/quiet.env"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "requirements.lock").write_text("# nothing\n", encoding="utf-8")
    return tmp_path


def make(folder: Path, *targets: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    python = Path(sys.executable).resolve().parent
    variables = {**os.environ, "PATH": path or f"{python}{os.pathsep}{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        variables.pop(name, None)
    return subprocess.run(["make", *targets], cwd=folder, env=variables, capture_output=True, text=True)


def test_the_environment_is_built_once_and_anew_when_the_lock_changes(folder: Path) -> None:
    first = make(folder, INSTALLED)
    assert first.returncode == 0, first.stderr
    assert "building .venv" in first.stdout
    version = subprocess.run([folder / ".venv/bin/python", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Python 3.11.")

    assert "building" not in make(folder, INSTALLED).stdout
    (folder / "requirements.lock").touch()  # a checkout of another branch and back
    (folder / ".venv/mark").touch()
    assert "building" not in make(folder, INSTALLED).stdout
    assert (folder / ".venv/mark").exists()

    (folder / "requirements.lock").write_text("left-out\n", encoding="utf-8")  # pip cannot install it
    broken = make(folder, INSTALLED)
    assert broken.returncode != 0
    assert "left-out" in broken.stderr
    assert not (folder / INSTALLED).exists()  # so the next make begins again
    (folder / "requirements.lock").write_text("# nothing\n", encoding="utf-8")
    assert "building .venv" in make(folder, INSTALLED).stdout
    assert not (folder / ".venv/mark").exists()


def test_without_python_311_there_is_one_line(folder: Path) -> None:
    tools = folder / "tools"
    tools.mkdir()
    for name in ("make", "sh", "cmp", "sed", "echo", "touch"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = make(folder, INSTALLED, path=str(tools))
    assert done.returncode != 0
    assert (
        done.stderr.splitlines()[0]
        == "error: no Python 3.11 with venv on PATH (tried python3.11, python3, python); install it and run again"
    )
    assert not (folder / ".venv").exists()


def test_make_alone_lists_the_targets(folder: Path) -> None:
    targets = [line.split()[1] for line in make(folder).stdout.splitlines()]
    assert targets == ["help", "repro", "studies", "test", "quick", "ui", "bench", "lock"]
    assert not (folder / ".venv").exists()
