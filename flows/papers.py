"""What the papers' models cost: compute by formula beside the printed figure, and times and prices, each with its source."""

import argparse
import sys
from collections.abc import Iterator

from components.costing.papers import DEVICE_TIMES, paper_compute
from flows import command


def main(argv: list[str] | None = None) -> int:
    """Print both tables."""
    argparse.ArgumentParser(prog="python -m flows.papers", description=__doc__).parse_args(argv)
    print("\n".join(lines()))
    return 0


def lines() -> Iterator[str]:
    """A line for each model; a dash where nobody has said it."""
    yield f"{'model':<14} {'parameters':>15} {'tokens':>8} {'PF-days':>9} {'printed':>9}  source of the printed figure"
    for row in paper_compute():
        tokens = "-" if row.n_tokens is None else f"{row.n_tokens:.3g}"
        numbers = " ".join(f"{'-' if value is None else format(value, '.3g'):>9}" for value in (row.pf_days, row.printed_pf_days))
        yield f"{row.model:<14} {row.n_params:>15,.0f} {tokens:>8} {numbers}  {row.source}"
    yield ""
    yield f"{'model':<14} {'devices x hours x USD an hour':>32} {'USD':>9}  source"
    for time in DEVICE_TIMES:
        price, cost = ("-", "-") if time.cost_usd is None else (f"{time.usd_per_hour:g}", f"{time.cost_usd:,.0f}")
        yield f"{time.model:<14} {f'{time.devices} {time.device} x {time.hours:g} x {price}':>32} {cost:>9}  {time.source}"


if __name__ == "__main__":
    sys.exit(command.run(main))
