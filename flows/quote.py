"""What a launch would cost, before it starts: ``python -m flows.quote [TARGET...]``.

Time, memory and disk of each cell that would run come from past runs on the same device, as MLflow has them, with 80 %
intervals; with --probe those of pre-training cells that no run is like come from a few of their steps, some seconds for each shape
of model and batch. Cells that DVC would skip cost nothing. The sum assumes that all cells are slow, or quick, together.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.costing.estimate import Estimate
from components.costing.schedule import makespan_seconds
from components.errors import InputError
from flows import command, database, graph, pipeline, quiet, quote_history, quote_probe, tracking
from flows.runs import Store

GIGA = 1e9
EXIT_BAD_INPUT = 2


@dataclass(frozen=True)
class CellQuote:
    """One cell that would run; None where nothing like it was ever run on this device."""

    name: str
    seconds: Estimate | None
    memory_bytes: Estimate | None
    disk_bytes: Estimate | None
    flops: float
    """Of training; 0 for a cell that trains nothing."""


@dataclass(frozen=True)
class Quote:
    """What a launch of some cells would cost."""

    cells: Sequence[CellQuote]
    skipped: Sequence[str]
    """Cells that DVC would skip."""
    hours: tuple[float, float, float]
    """Low, middle, high of the wall time with so many workers, without the unknown cells."""

    @property
    def unknown(self) -> list[str]:
        """Cells of which nothing is known."""
        return [cell.name for cell in self.cells if cell.seconds is None]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the quote; exit status 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m flows.quote", description=(__doc__ or "").partition(": ``")[0] + ".")
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="cell, stage or dvc.yaml file, with all it needs; none: dvc.yaml",
    )
    parser.add_argument("--workers", type=pipeline.at_least(1), default=None, metavar="N", help=pipeline.WORKERS_HELP)
    parser.add_argument("--price-per-hour", type=_price, default=None, metavar="P", help="of this machine, in any currency")
    parser.add_argument("--probe", action="store_true", help="train what is unknown for some seconds, to know it")
    args = parser.parse_args(argv)
    quiet.set_variables()
    try:
        workers = args.workers or pipeline.default_workers()
        print("\n".join(lines(make_quote(args.targets, workers, args.probe), workers, args.price_per_hour)))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return EXIT_BAD_INPUT
    return 0


def _price(text: str) -> float:
    price = float(text)
    if not 0 <= price < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a price, got {text}")
    return price


def make_quote(targets: Sequence[str], workers: int, probe: bool) -> Quote:
    """What bringing the targets up to date would cost; with ``probe`` some cells are tried (flows/quote_probe.py).

    Raises:
        InputError: a target is not there, or the store is gone.
    """
    loaded = graph.load(Path.cwd())
    cells = loaded.cells(targets)
    would_run = _with_downstream(cells, loaded.changed([cell.name for cell in cells]))
    running = [cell for cell in cells if cell.name in would_run]
    quotes = _quote_cells(running, loaded.everything(), probe) if running else []
    known = {quote.name: quote.seconds for quote in quotes if quote.seconds is not None}
    upstream = {cell.name: [name for name in cell.upstream if name in known] for cell in running}
    order = [cell.name for cell in running if cell.name in known]

    def hours(values: Mapping[str, float]) -> float:
        return makespan_seconds(order, upstream, values, workers) / 3600

    low, middle, high = ({name: getattr(seconds, bound) for name, seconds in known.items()} for bound in ("low", "middle", "high"))
    skipped = [cell.name for cell in cells if cell.name not in would_run]
    return Quote(quotes, skipped, (hours(low), hours(middle), hours(high)))


def refuse_above(budget_hours: float, targets: Sequence[str], workers: int) -> None:
    """InputError if the launch may take longer than that, or if nobody can tell."""
    quote = make_quote(targets, workers, probe=True)
    if quote.unknown:
        first = quote.unknown[0] + (f" and {len(quote.unknown) - 1} more" if len(quote.unknown) > 1 else "")
        raise InputError(f"no run like {first} was tracked on this device, so no budget can be kept; run it alone first: dvc repro -s")
    if quote.hours[2] > budget_hours:
        low, _, high = quote.hours
        raise InputError(
            f"would take {low:.2f} to {high:.2f} h (80 % interval), above the budget of {budget_hours:g} h; nothing was started"
        )


def _with_downstream(cells: Sequence[graph.Cell], changed: set[str]) -> set[str]:
    found = set(changed)
    for cell in cells:  # upstream before downstream
        if found.intersection(cell.upstream):
            found.add(cell.name)
    return found


def _quote_cells(cells: Sequence[graph.Cell], whole: Sequence[graph.Cell], probe: bool) -> list[CellQuote]:
    uri = tracking.tracking_uri()
    past = [] if probe and database.is_new(uri) else list(Store(uri).all("attributes.status = 'FINISHED'"))
    history = quote_history.History(past, {cell.name.partition("@")[0]: quote_history.module_of(cell.command) for cell in whole})
    known = {cell.name: history.estimates(cell) for cell in cells}
    unknown = [cell for cell in cells if known[cell.name][0] is None]
    probed = quote_probe.estimates(unknown) if probe else {}
    return [CellQuote(cell.name, *probed.get(cell.name, known[cell.name]), history.flops(cell.command)) for cell in cells]


def lines(quote: Quote, workers: int, price_per_hour: float | None) -> Iterator[str]:
    """The quote for a terminal."""
    if not quote.cells:
        yield f"nothing would run: DVC skips all {len(quote.skipped)} cells"
        return
    yield f"{'cell':<40} {'minutes (80 %)':>24} {'memory GB':>10} {'disk GB':>9} {'FLOPs':>9}  from"
    yield from (_line(cell) for cell in quote.cells)
    low, middle, high = quote.hours
    disk = sum(cell.disk_bytes.high for cell in quote.cells if cell.disk_bytes)
    flops = sum(cell.flops for cell in quote.cells)
    memory = sorted((cell.memory_bytes.high for cell in quote.cells if cell.memory_bytes), reverse=True)[:workers]
    yield f"{len(quote.cells)} cells would run, {len(quote.skipped)} are skipped"
    yield f"time   {middle:.2f} h ({low:.2f} to {high:.2f}, 80 % interval), {workers} at once"
    yield f"at most {sum(memory) / GIGA:.1f} GB of memory at once, {disk / GIGA:.2f} GB of disk; {flops:.2g} FLOPs of training"
    if price_per_hour is not None:
        least, likely, most = (hours * price_per_hour for hours in quote.hours)
        yield f"price  {likely:.2f} ({least:.2f} to {most:.2f}) at {price_per_hour:g} an hour"
    if quote.unknown:
        yield f"not counted, for nothing like it was tracked on this device: {', '.join(quote.unknown)} (--probe tries pre-training cells)"


def _line(cell: CellQuote) -> str:
    if cell.seconds is None:
        return f"{cell.name:<40} {'unknown':>24}"
    low, middle, high = (value / 60 for value in (cell.seconds.low, cell.seconds.middle, cell.seconds.high))
    memory, disk = (f"{part.high / GIGA:.2f}" if part else "unknown" for part in (cell.memory_bytes, cell.disk_bytes))
    flops = f"{cell.flops:.2g}" if cell.flops else ""
    return f"{cell.name:<40} {f'{middle:.2f} ({low:.2f} to {high:.2f})':>24} {memory:>10} {disk:>9} {flops:>9}  {cell.seconds.basis}"


if __name__ == "__main__":
    sys.exit(command.run(main))
