"""Run the graph of dvc.yaml as a Prefect flow, N cells at once: ``python -m flows.pipeline [TARGET...]``.

The command line only: Prefect (2 s) and DVC (0.5 s) are imported once it is known that there is something to run.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from components.errors import InputError
from flows import command, quiet, servers
from flows.tracking import redact

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
WORKERS_HELP = "cells at once (default: as many as the cores give compute.threads to)"
NOT_STARTED, NOT_REACHED = "Timed out while attempting to connect to ephemeral", "Failed to reach API"  # as Prefect 3.8 says it
AGAIN = "and run the same command again"
GO_ON = f"finished cells are kept: start it {AGAIN}"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 everything is up to date, 1 a cell failed, 2 bad input, 130 interrupted."""
    args = _parse(argv)
    quiet.set_variables()
    try:
        from flows import graph, schema

        schema.check_before(cell.command for cell in graph.load(Path.cwd()).cells(args.targets))
        args.workers = args.workers or default_workers()
        if args.budget_hours is not None:
            from flows import quote

            quote.refuse_above(args.budget_hours, args.targets, args.workers)
        servers.use_running_prefect()
        return _run(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("error: interrupted; no process is left, run the same command again to go on", file=sys.stderr, flush=True)
        return EXIT_INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    import httpx

    from flows.pipeline_flow import pipeline

    try:
        state = pipeline(targets=args.targets, workers=args.workers, retries=args.retries, return_state=True)
    except (httpx.HTTPError, RuntimeError) as error:
        if str(error).startswith(NOT_STARTED):
            held = Path(os.environ["PREFECT_HOME"], "prefect.db")
            print(f"error: Prefect did not start in {servers.START_SECONDS:.0f} s; end what else holds {held}, {AGAIN}", file=sys.stderr)
            return EXIT_FAILED
        if isinstance(error, RuntimeError) and not str(error).startswith(NOT_REACHED):
            raise
        url = os.environ.get("PREFECT_API_URL", "of this flow")
        print(f"error: the Prefect server {redact(url)} went away or does not answer; {GO_ON}", file=sys.stderr, flush=True)
        os._exit(EXIT_FAILED)  # no cell is running, and in order Prefect would try for minutes to tell what is left in its queue
    if state.is_completed():
        return 0
    results = state.result(raise_on_failure=False)
    failed = [cell.message for cell in results if cell.is_failed()] if isinstance(results, list) else [state.message]
    for message in failed:
        print(f"error: {str(message).rpartition('CellFailed: ')[2]}", file=sys.stderr, flush=True)
    return EXIT_FAILED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.pipeline", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="cell, stage or dvc.yaml file, with all it needs; none: dvc.yaml",
    )
    parser.add_argument("--workers", type=at_least(1), default=None, metavar="N", help=WORKERS_HELP)
    parser.add_argument("--retries", type=at_least(0), default=0, metavar="N", help="tries again of a failed cell (default: 0)")
    parser.add_argument(
        "--budget-hours",
        type=float,
        default=None,
        metavar="H",
        help="start nothing that may take longer (flows.quote); default: no limit",
    )
    return parser.parse_args(argv)


def at_least(least: int):  # type: ignore[no-untyped-def]
    """A type of argparse: whole numbers from ``least``."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return number


def default_workers() -> int:
    """As many cells as the cores have threads for; a cell has ``compute.threads`` of params.yaml."""
    from flows import params

    try:
        threads = int(params.lookup(params.read_yaml(), "compute.threads"))
    except (InputError, TypeError, ValueError):
        threads = 1  # whoever reads it will say what is wrong with it
    return max(1, cores() // max(1, threads))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(command.run(main))
