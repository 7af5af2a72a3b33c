"""Run one of the full studies and write what it found: ``python -m flows.study NAME ...``, or ``all``.

A study's cells are stages of studies/dvc.yaml, so DVC decides which of them run. Those that choose a learning rate come first,
then those that judge at the chosen rates; the others of the graph are never needed. The result is metrics/full_studies/NAME.json,
a function of the cells' own metrics and curves, and a page made of it.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.studies.config import StudyCell, StudyConfig
from components.studies.sweep import choose_rates, read_values
from flows import command, graph, pipeline, schema

RunCells = Callable[[Sequence[str]], int]  # names of cells -> exit status
LISTED = 10  # cells without a result
SMOOTHING = "training.noise_scale_smoothing"
METRICS, DATA = Path("metrics/full_studies"), Path("data/full_studies")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 a cell failed and its study has no result, 2 bad input, 130 interrupted."""
    args = _parse(argv)
    statuses = set[int]()
    try:
        whole = schema.check()
        for name in _names(args.studies, whole.full_studies):
            result = run(name, lambda cells: pipeline.main(["--workers", str(args.workers), *cells]))
            statuses.add(result if isinstance(result, int) else 0)
            if not isinstance(result, int):
                print("\n".join([f"study {name}", *lines(result), f"page: {DATA / name}.html"]))
            elif result != pipeline.EXIT_FAILED:  # else the next study may still come out
                return result
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return pipeline.EXIT_BAD_INPUT
    return max(statuses)


def run(name: str, run_cells: RunCells) -> dict[str, Any] | int:
    """The record of a study, whose cells ``run_cells`` brings up to date, or its exit status. InputError: there is no such study."""
    whole = schema.check()
    [name] = _names([name], whole.full_studies)
    status = _run_cells(name, whole.full_studies[name], run_cells)
    if status != 0:
        return status
    config = whole.full_studies[name]
    smoothing = config.common.get(SMOOTHING, whole.training.noise_scale_smoothing)
    return write_result(name, config, 1 / (1 - smoothing))


def _names(asked: Sequence[str], known: dict[str, StudyConfig]) -> list[str]:
    for name in asked:
        if name not in known and name != "all":
            raise InputError(f"params.yaml: full_studies has no study {name!r}; name one of {', '.join(known)} or all")
    return list(known) if "all" in asked else list(asked)


def _run_cells(name: str, config: StudyConfig, run_cells: RunCells) -> int:
    """The two rounds; the first exit status that is not 0 ends them."""
    choosing = config.choosing_cells()
    status = _run_round(name, choosing, run_cells) if choosing else 0
    if status != 0:
        return status
    chosen = choose_rates(config, read_values(METRICS / name, choosing, config.metric))
    return _run_round(name, config.judging_cells(chosen), run_cells)


def _run_round(name: str, cells: Sequence[StudyCell], run_cells: RunCells) -> int:
    addresses = {f"studies/dvc.yaml:study_{name}@{cell.name}": cell for cell in cells}
    status = run_cells(list(addresses))
    if status == pipeline.EXIT_FAILED:
        changed = graph.load(Path.cwd()).changed(list(addresses))
        print("\n".join(without_result(name, [addresses[cell] for cell in addresses if cell in changed], len(cells))))
    return status


def without_result(name: str, missing: Sequence[StudyCell], count: int) -> Iterator[str]:
    """What a study says of which ``missing`` of the ``count`` cells of a round have no result, a line each."""
    yield f"study {name}: no verdict, for {len(missing)} of {count} cells have no result; the results of the others are kept"
    for cell in missing[:LISTED]:
        yield f"  no result: condition {cell.condition}, arm {cell.arm}, rate {cell.rate}, seed {cell.seed}"
    if len(missing) > LISTED:
        yield f"  and {len(missing) - LISTED} more"
    yield f"  mend what failed and run the same command again, or take the arm out of full_studies.{name} in params.yaml"


def write_result(name: str, config: StudyConfig, memory_steps: float) -> dict[str, Any]:
    """Record and page of a study whose cells have run; see ``components.studies.record.build_record``."""
    from components.artifacts import write_json, write_text
    from components.reporting.page import build_study_page
    from components.studies.record import build_record

    record = build_record(name, config, METRICS / name, DATA / name, memory_steps)
    write_text(DATA / f"{name}.html", build_study_page(name, record))
    write_json(METRICS / f"{name}.json", record)
    return record


def lines(record: dict[str, Any]) -> Iterator[str]:
    """The verdicts, a line each."""
    for condition, verdict in record["verdict"].items():
        edge = record["at_the_edge"][condition]
        yield f"  {condition}: {verdict}" + (f" (best rate at the edge of the sweep: {', '.join(edge)})" if edge else "")
    for arm, change in record["change_of_effects"].items():
        yield f"  effect of {arm}, from first condition to last: {change['verdict']}"
    if record["knee"]:
        yield f"  knee: {record['knee']['verdict']}"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.study", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("studies", nargs="+", metavar="NAME", help="study of params.yaml, section full_studies; all: every one")
    parser.add_argument(
        "--workers", type=pipeline.at_least(1), default=pipeline.cores(), metavar="N", help="cells at once (default: %(default)s)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(command.run(main))
