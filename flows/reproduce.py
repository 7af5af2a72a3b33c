"""Make a run again from its commit, parameters and data, and compare: ``python -m flows.reproduce RUN_ID``.

RUN_ID is that of any finished run in MLflow (``MLFLOW_TRACKING_URI`` says where). Exit status 0: everything is equal;
1: something differs; 2: it cannot be made again; 3: nothing differs, but something could not be checked.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from components.artifacts import sha256_file
from components.errors import InputError
from flows import command, compare, messages, provenance, quiet, recorder, tracking, worktree
from flows.children import Children
from flows.compare import Row
from flows.runs import Recorded, Store

EXIT_DIFFERS, EXIT_BAD_INPUT, EXIT_UNCHECKED, EXIT_INTERRUPTED = 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print; the exit status says how it came out."""
    parser = argparse.ArgumentParser(prog="python -m flows.reproduce", description=(__doc__ or "").partition(": ``")[0] + ".")
    parser.add_argument("run_id", metavar="RUN_ID", help="id of a finished run in MLflow")
    args = parser.parse_args(argv)
    quiet.set_variables()
    try:
        rows = reproduce(args.run_id, lambda line: print(line, flush=True))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("error: interrupted; nothing is left of the re-run", file=sys.stderr, flush=True)
        return EXIT_INTERRUPTED
    return exit_status(rows)


def exit_status(rows: Sequence[Row]) -> int:
    """0 all equal, 1 something differs, 3 something could not be checked."""
    verdicts = {row.verdict for row in rows}
    if "differs" in verdicts:
        return EXIT_DIFFERS
    return EXIT_UNCHECKED if "unchecked" in verdicts or not rows else 0


def reproduce(run_id: str, say: Callable[[str], None]) -> list[Row]:
    """Re-run, and say line by line what is equal, what differs and what could not be checked.

    Raises:
        InputError: the run, its commit, its changes or its data are gone.
    """
    root = Path.cwd()
    store = Store(tracking.tracking_uri())
    run = store.read(run_id)
    if run.status != "FINISHED":
        raise InputError(f"run {run_id} is {run.status} ({run.tags.get('reason', 'no reason kept')}): it has no result to compare with")
    dirty = ", with changes" if run.tags.get("dirty") == "true" else ""
    say(f"{run.cell}, run {run_id}, commit {run.tags.get('mlflow.source.git.commit', '')[:12]}{dirty}")
    children = Children()
    try:
        with worktree.checked_out(root, run.tags.get(tracking.COMMIT_TAG, "")) as place:
            rows = _in(root, place, store, run, children, say)
    except BaseException:
        children.stop()
        raise
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("equal", "differs", "unchecked")}
    for line in [*(row.line() for row in rows), *_notes(root, run), ", ".join(f"{count} {verdict}" for verdict, count in counts.items())]:
        say(line)
    return rows


def _in(root: Path, place: Path, store: Store, run: Recorded, children: Children, say: Callable[[str], None]) -> list[Row]:
    _restore(place, store, run)
    inputs = run.hashes(messages.INPUT_TAG)
    outs = run.hashes(messages.OUT_TAG)
    tree = worktree.Worktree(place, worktree.share_cache(root, place), inputs, children, say)
    tree.provide(tree.upstream(run.cell, list(inputs)))
    rows = list(compare.hashes("input", inputs, {path: tree.hash(path) for path in inputs}))
    fresh = (place / "scratch" / "mlruns").as_uri()
    tree.rerun(run.cell, run.tags.get(tracking.COMMAND_TAG, ""), fresh)
    again = Store(fresh)
    [made] = again.all("")
    found = made.hashes(messages.OUT_TAG)
    curves = {} if recorder.BACKFILLED_TAG in run.tags else store.curves(run)  # else of metrics/, whose hash is compared
    return [*rows, *compare.hashes("output", outs, found), *(compare.metrics(curves, again.curves(made)) if curves else ())]


def _restore(place: Path, store: Store, run: Recorded) -> None:
    """The changes and the results so far that were kept with the run."""
    if reason := run.tags.get(messages.NOT_KEPT_TAG):
        raise InputError(f"run {run.run_id}: the changes it was made with were not kept ({reason}); commit before a run that must last")
    wanted = [provenance.RESULTS_FILE, *([provenance.CHANGES_FILE] if run.tags.get("dirty") == "true" else [])]
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            patch = store.file(run, name, Path(folder))
            if patch is None:
                raise InputError(f"run {run.run_id}: its artifact {name} is gone, so the tree that it saw cannot be built")
            worktree.apply_patch(place, patch)


def _notes(root: Path, run: Recorded) -> Iterator[str]:
    """What may explain a difference."""
    if (before := run.tags.get("device", "unknown")) != (now := provenance.device()):
        yield f"note: other hardware, on which floating-point results may differ: {before}, now {now}"
    installed = Path(sys.prefix) / "requirements.lock"
    if not installed.exists() or sha256_file(installed) != run.tags.get("lock_sha256"):
        yield "note: the packages installed here are not known to be those of the run's requirements.lock"


if __name__ == "__main__":
    sys.exit(command.run(main))
