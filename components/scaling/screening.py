"""What is wrong with a table of runs, seen before any law is fitted: units that differ, runs that diverged, loss that rises."""

from collections.abc import Sequence

import numpy as np

from components.errors import InputError
from components.scaling.config import SurfaceConfig
from components.scaling.table import FLOPS_PER_PARAM_TOKEN, LeftOut, RunTable
from components.scaling.units import settled

UNIT_FACTOR = 5.0  # no convention of counting moves C / N D so far from the other runs': thousands, millions or sequences do
CONVENTION_FACTOR = 1.05  # C / N D nearer to 6 than this is 6
USUAL_TOKENS_PER_PARAM = (0.1, 1e5)
RISING_CORRELATION = 0.5  # of ranks of loss and compute
MIN_RUNS_TO_RISE = 5
GAP_FACTOR = 100.0  # no grid of runs leaves so wide a gap in tokens per parameter; millions beside units, or sequences, do
LEAST_TOKENS_PER_PARAM = 0.01  # Kaplan's least is 0.015: 1.5B parameters on 22M tokens
SEED_SPREAD = 0.02  # of the loss, between runs of equal N and D; seeds differ by some thousandths
GREATEST_LOSS_NATS = 12.5  # ln of 256k, that of a model that knows nothing, with the largest vocabularies in use


def screen(table: RunTable, config: SurfaceConfig, where: str) -> tuple[RunTable, float]:
    """The runs that can be believed, and operations per parameter and token in the table's own counting.

    Raises:
        InputError: the loss rises with compute; units of N or D are mixed, or not those of the names.
    """
    table = settled(_one_kind(_same_units(table), config, where), where)
    table, flops_per_param_token = _convention(table)
    table = _about_repeats(_without_diverged(table, config))
    if table.num_runs >= MIN_RUNS_TO_RISE and rank_correlation(table.flops_P, table.losses_P) > RISING_CORRELATION:
        raise InputError(
            f"{where}: the loss rises with compute, no law says how it goes on; check the columns (loss, not accuracy) and their units"
        )
    return table, flops_per_param_token


def rank_correlation(x_P: np.ndarray, y_P: np.ndarray) -> float:
    """Spearman's, ties by their mean rank; 0 where one of both does not vary."""
    if np.ptp(x_P) == 0 or np.ptp(y_P) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(x_P), _ranks(y_P))[0, 1])


def _ranks(values_P: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values_P, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _same_units(table: RunTable) -> RunTable:
    """Without runs whose C / N D is far from the others'."""
    if table.n_params_P is None or table.n_tokens_P is None:
        return table
    ratios_P = table.flops_P / (table.n_params_P * table.n_tokens_P)
    typical = float(np.median(ratios_P))
    odd = np.abs(np.log(ratios_P / typical)) > np.log(UNIT_FACTOR)
    left_out = [
        LeftOut(int(line), f"C / N D is {ratio:.3g}, the other runs' {typical:.3g}: units mixed (tokens or sequences, thousands)?")
        for line, ratio in zip(table.lines_P[odd], ratios_P[odd], strict=True)
    ]
    return table.subset(~odd, left_out)


def _convention(table: RunTable) -> tuple[RunTable, float]:
    """Operations per parameter and token as the table counts them, and a word on it where they are not 6."""
    if table.n_params_P is None or table.n_tokens_P is None:
        return table, FLOPS_PER_PARAM_TOKEN
    typical = float(np.median(table.flops_P / (table.n_params_P * table.n_tokens_P)))
    off = max(typical / FLOPS_PER_PARAM_TOKEN, FLOPS_PER_PARAM_TOKEN / typical)
    said = []
    if off > CONVENTION_FACTOR:
        far = "far from 6 N D: check the units" if off > UNIT_FACTOR else "not 6 N D"
        said.append(f"C is {typical:.3g} N D in the table, {far}; N and D are planned with the table's own counting")
    ratio = float(np.median(table.n_tokens_P / table.n_params_P))
    if not USUAL_TOKENS_PER_PARAM[0] <= ratio <= USUAL_TOKENS_PER_PARAM[1]:
        said.append(f"{ratio:.3g} tokens per parameter is unusual: check that D counts tokens and N parameters")
    return table.subset(np.ones(table.num_runs, bool), warnings=said), typical if off > CONVENTION_FACTOR else FLOPS_PER_PARAM_TOKEN


def _one_kind(table: RunTable, config: SurfaceConfig, where: str) -> RunTable:
    """Without runs whose tokens per parameter lie far from the others', and with a word on losses that are none."""
    if float(np.median(table.losses_P)) > GREATEST_LOSS_NATS:
        high = f"the median loss is {np.median(table.losses_P):.3g}, more than any model has in nats per token: perplexity?"
        table = table.subset(np.ones(table.num_runs, bool), warnings=[high])
    if table.n_params_P is None or table.n_tokens_P is None:
        return table
    ratios_P = table.n_tokens_P / table.n_params_P
    if len(short := np.flatnonzero(ratios_P < LEAST_TOKENS_PER_PARAM)):
        least = f"{len(short)} runs (line {table.lines_P[short[0]]}) have less than {LEAST_TOKENS_PER_PARAM:g} tokens per parameter"
        table = table.subset(np.ones(table.num_runs, bool), warnings=[f"{least}: units mixed, sequences for tokens?"])
    order = np.argsort(ratios_P, kind="stable")
    gaps = np.flatnonzero(np.diff(np.log(ratios_P[order])) > np.log(GAP_FACTOR)) + 1
    groups = sorted(np.split(order, gaps), key=len)
    few, most = np.concatenate([*groups[:-1], []]).astype(int), groups[-1]
    usual = f"the other runs' {ratios_P[most].min():.3g} to {ratios_P[most].max():.3g}: units of N or D mixed?"
    reasons = [LeftOut(int(table.lines_P[i]), f"{ratios_P[i]:.3g} tokens per parameter, {usual}") for i in few]
    if len(few) > config.max_left_out_share * table.num_runs:
        raise InputError(f"{where}: line {reasons[0].line}: {reasons[0].reason}; write N and D of all {table.num_runs} runs in one unit")
    kept = np.ones(table.num_runs, bool)
    kept[few] = False
    return table.subset(kept, reasons)


def _without_diverged(table: RunTable, config: SurfaceConfig) -> RunTable:
    """Leave out a run that is much worse than one with no more of anything: no law of scaling allows that."""
    sizes, tokens = (table.flops_P if column is None else column for column in (table.n_params_P, table.n_tokens_P))
    left_out = []
    for index in range(table.num_runs):
        smaller = (sizes <= sizes[index]) & (tokens <= tokens[index])
        best = int(np.argmin(np.where(smaller, table.losses_P, np.inf)))
        if table.losses_P[index] > (1 + config.diverged_excess) * table.losses_P[best]:
            better = f"the {table.losses_P[best]:.4g} of the smaller run on line {table.lines_P[best]}"
            reason = f"loss {table.losses_P[index]:.4g} exceeds {better}: diverged?"
            left_out.append((index, LeftOut(int(table.lines_P[index]), reason)))
    return drop(table, left_out, config, "are worse than smaller runs")


def _about_repeats(table: RunTable) -> RunTable:
    """A word on runs of equal N and D that differ by more than seeds do."""
    if table.n_params_P is None or table.n_tokens_P is None:
        return table
    _, group_P = np.unique(np.stack([table.n_params_P, table.n_tokens_P]), axis=1, return_inverse=True)
    groups = [table.losses_P[group_P.ravel() == group] for group in range(int(group_P.max()) + 1)]
    spreads = [float(np.ptp(losses) / losses.min()) for losses in groups if len(losses) > 1]
    if not spreads or float(np.median(spreads)) < SEED_SPREAD:
        return table
    spread = f"{len(spreads)} pairs of N and D have several runs, which differ by {100 * np.median(spreads):.2g} % (median)"
    said = f"{spread}, more than seeds do: of a sweep of learning rates keep the best run of each pair"
    return table.subset(np.ones(table.num_runs, bool), warnings=[said])


def drop(table: RunTable, left_out: Sequence[tuple[int, LeftOut]], config: SurfaceConfig, what: str) -> RunTable:
    """The table without these runs, unless they are so many that the suspicion falls on the law."""
    if len(left_out) > config.max_left_out_share * table.num_runs:
        return table.subset(
            np.ones(table.num_runs, bool),
            warnings=[f"{len(left_out)} of {table.num_runs} runs {what}: too many to be outliers, all are kept"],
        )
    kept = np.ones(table.num_runs, bool)
    kept[[index for index, _ in left_out]] = False
    return table.subset(kept, [reason for _, reason in left_out])
