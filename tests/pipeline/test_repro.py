"""flows.repro beside DVC itself: the same bytes in dvc.lock, and a kill at no moment leaves a part of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows import cells, repro

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).parents[2]
# Folded commands, nulls, lists, strings of several lines: whatever the form of dvc.lock's YAML could trip over.
PARAMS = """
a: {rate: 1.0e-3, none: null, names: [x, "off", "2"], text: "two\\n\\nlines: of text\\n", long: "WORDS"}
b: {size: 1}
""".replace("WORDS", "word " * 40)
DVC_YAML = f"""
stages:
  first: {{cmd: "true {"--with-many options " * 12} && echo 1 > one", params: [a], outs: [one]}}
  cell:
    matrix: {{seed: [0, 1]}}
    cmd: "cat one > cell-${{item.seed}}"
    deps: [one]
    params: [a, b]
    outs: ["cell-${{item.seed}}"]
"""


# Every cell, then one of them with another parameter; one process for all, for a start of DVC takes most of a second.
SCRIPT = """
import sys
from pathlib import Path
from dvc.cli import main
from flows import repro
run = repro.main if sys.argv[1] == "ours" else lambda cells: main(["repro", "--single-item", *cells])
assert [run([cell]) for cell in ("first", "cell@0", "cell@1")] == [0, 0, 0]
Path("params.yaml").write_text(Path("params.yaml").read_text().replace("size: 1", "size: 20"))
assert run(["cell@0"]) == 0
"""


def test_the_lock_has_the_bytes_that_dvc_writes(tmp_path: Path) -> None:
    locks = []
    for name in ("theirs", "ours"):
        folder = tmp_path / name
        subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
        (folder / ".dvc").mkdir()
        (folder / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
        (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run([sys.executable, "-c", SCRIPT, name], cwd=folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not list(folder.glob("*.partial"))
        locks.append((folder / "dvc.lock").read_text(encoding="utf-8"))
    assert locks[0] == locks[1]
    assert locks[0].count("size: 20") == locks[0].count("size: 1\n") == 1


def test_lines_of_a_stage_end_where_the_next_begins() -> None:
    lock = f"{repro.HEAD}  a:\n    cmd: x\n\n      y\n  a@1:\n    cmd: z\n  b:\n    cmd: w\n"
    assert cells.lines_of("  a:", lock) == "  a:\n    cmd: x\n\n      y\n"
    assert cells.lines_of("  b:", lock) == "  b:\n    cmd: w\n"
    assert cells.lines_of("  c:", lock) == ""
    assert repro.with_lines(lock, "  a@1:\n    cmd: new\n") == lock.replace("cmd: z", "cmd: new")
    assert repro.with_lines(lock, "  c:\n    cmd: v\n") == f"{lock}  c:\n    cmd: v\n"


def test_what_stops_the_write_leaves_the_lock_as_it_was(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text("older", encoding="utf-8")
    lock.with_name("dvc.lock.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        repro.replace_text(lock, "newer" * 10_000)
    assert lock.read_text(encoding="utf-8") == "older"
