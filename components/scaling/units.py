"""Whether N, D and C of a table can be counts of parameters, tokens and operations; if not, the one reading under which they can.

A column in millions whose name does not say so fits to a law as well as any other and forecasts another run than the one that is asked
for. C = 6 N D and the ratio of tokens to parameters tell most such slips. Where they leave one reading it is taken and said, else the
table is refused; without C nothing tells one reading from another.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from components.errors import InputError
from components.scaling.table import FLOPS_PER_PARAM_TOKEN, RunTable

USUAL_N, USUAL_D = (1e3, 1e14), (1e5, 1e17)  # parameters, tokens of the median run, toys and the largest of all included
USUAL_TOKENS_PER_PARAM = (0.05, 1e5)  # of the median run; 20 tokens in sequences of 512 are .04, small over-trained models end near 2e4
LEAST_FLOPS = 1e9
FAR = 20.0  # C / 6 N D beyond what conventions make of it: embeddings left out of N or of C, attention, experts that rest
NEAR = 1.5  # a power of 1,000, but for conventions; a sequence of 512 or 2,048 tokens is none
STEP = 1e3
PF_DAY = 8.64e19  # FLOP
NAME_IT = "write the unit into the name of its column, for example 'N (M)'"

Scales = tuple[float, float, float]


def settled(table: RunTable, where: str) -> RunTable:
    """The table with N in parameters, D in tokens and C in FLOP.

    Raises:
        InputError: they cannot be that, and there is not exactly one unit that explains it.
    """
    if table.n_params_P is None or table.n_tokens_P is None:
        if float(np.median(table.flops_P)) < LEAST_FLOPS:
            raise InputError(f"{where}: C is {_span(table.flops_P)}, too little for FLOP; {NAME_IT}")
        return table
    if not (why := _odd(table)):
        return table
    readings = list(_readings(table))
    if len(readings) != 1:
        raise InputError(f"{where}: {why}; {NAME_IT}, and count D in tokens")
    scales, scaled = readings[0]
    units = ", ".join(f"{name} in {scale:.3g}" for name, scale in zip("NDC", scales, strict=True) if scale != 1 and name in _given(table))
    read = f"{why}: read as {units}, the only unit under which C = 6 N D; name it in the column to be sure"
    return replace(scaled, warnings=(*table.warnings, read))


def _odd(table: RunTable) -> str:
    """What N, D and C cannot be; empty if they can."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller looked"
    ratio = _excess(table)
    if ratio > FAR and _usual(table, 1.0, ratio):
        return f"C is {ratio:.4g} times 6 N D: does D count sequences of so many tokens, or thousands"
    if not 1 / FAR <= ratio <= FAR:
        return f"C is {ratio:.4g} times 6 N D"
    size, tokens, ratio = (float(np.median(values)) for values in (table.n_params_P, table.n_tokens_P, table.n_tokens_P / table.n_params_P))
    if not USUAL_N[0] <= size <= USUAL_N[1]:
        return f"N is {_span(table.n_params_P)}, which cannot be parameters counted one by one"
    if not USUAL_D[0] <= tokens <= USUAL_D[1]:
        return f"D is {_span(table.n_tokens_P)}, which cannot be tokens counted one by one"
    if _given(table) != set("NDC") and not USUAL_TOKENS_PER_PARAM[0] <= ratio <= USUAL_TOKENS_PER_PARAM[1]:
        return f"{ratio:.3g} tokens per parameter (median) cannot be: D in sequences, or N or D in millions or billions"
    return ""


def _readings(table: RunTable) -> Iterator[tuple[Scales, RunTable]]:
    """Scales of N, D and C, and the table so read, under which all is as usual and C = 6 N D."""
    given = _given(table)
    if "C" not in given:
        return
    powers = [STEP**power for power in range(5)]
    scales = [(n, d, 1.0) for n, d in itertools.product(powers if "N" in given else [1.0], powers if "D" in given else [1.0])]
    if {"N", "D"} <= given:
        scales += [(1.0, 1.0, c) for c in [*(STEP**power for power in range(3, 9)), PF_DAY]]
    for n_scale, d_scale, c_scale in scales:
        scaled = _scaled(table, n_scale, d_scale, c_scale)
        if 1 / NEAR <= _excess(scaled) <= NEAR and _usual(scaled):
            yield (n_scale, d_scale, c_scale), scaled


def _scaled(table: RunTable, n_scale: float, d_scale: float, c_scale: float) -> RunTable:
    """Columns of the file times their scales; what followed from C = 6 N D follows again."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller looked"
    given, flops = _given(table), c_scale * table.flops_P
    sizes, tokens = n_scale * table.n_params_P, d_scale * table.n_tokens_P
    sizes = sizes if "N" in given else flops / FLOPS_PER_PARAM_TOKEN / tokens
    tokens = tokens if "D" in given else flops / FLOPS_PER_PARAM_TOKEN / sizes
    return replace(table, n_params_P=sizes, n_tokens_P=tokens, flops_P=flops)


def _usual(table: RunTable, n_scale: float = 1.0, d_scale: float = 1.0) -> bool:
    """Whether the medians of N, D and D / N, so scaled, are those of runs."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller looked"
    sizes, tokens = n_scale * table.n_params_P, d_scale * table.n_tokens_P
    pairs = ((sizes, USUAL_N), (tokens, USUAL_D), (tokens / sizes, USUAL_TOKENS_PER_PARAM))
    return all(low <= float(np.median(values)) <= high for values, (low, high) in pairs)


def _excess(table: RunTable) -> float:
    """Median of C / 6 N D."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller looked"
    return float(np.median(table.flops_P / (FLOPS_PER_PARAM_TOKEN * table.n_params_P * table.n_tokens_P)))


def _given(table: RunTable) -> set[str]:
    """Which of N, D and C stand in the file; all, where the table is of no file."""
    letters = {"n_params": "N", "n_tokens": "D", "flops": "C"}
    return {letters[quantity] for quantity in table.columns if quantity in letters} or set("NDC")


def _span(values_P: np.ndarray) -> str:
    return f"{values_P.min():.3g} to {values_P.max():.3g}"
