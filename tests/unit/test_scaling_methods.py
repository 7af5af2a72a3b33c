"""The published methods beside the forecast: each finds the law that was planted in its own form and counting, or says why not."""

import numpy as np
import pytest

from components.scaling.methods import Target, published_methods
from components.scaling.table import RunTable
from tests.scaling_example import CONFIG

BUDGETS, SIZES = np.geomspace(1e12, 1e14, 4), np.geomspace(0.2, 5, 5)
TARGET = Target(train_flops=1e15, parameters=4e6, parameters_non_embedding=3e6, train_tokens=1e15 / 6 / 4e6)
METHODS = {
    *("approach 1 (Hoffmann 2022)", "approach 2 (Hoffmann 2022)", "approach 3 (Hoffmann 2022)"),
    *("L(N, D) (Kaplan 2020)", "L(N, S) (Kaplan 2020)"),
}


def grid(loss) -> tuple[RunTable, RunTable]:  # type: ignore[no-untyped-def]
    """Runs of four budgets and five sizes: N with and without embeddings, where ``loss`` is a law of N as its paper counts it."""
    flops, share = (values.ravel() for values in np.meshgrid(BUDGETS, SIZES, indexing="ij"))
    sizes = 1e5 * (flops / 1e12) ** 0.5 * share
    tokens = flops / 6 / sizes
    lines = np.arange(1, len(flops) + 1)
    return tuple(RunTable(flops, loss(sizes, 0.75 * sizes, tokens), lines, counted, tokens) for counted in (sizes, 0.75 * sizes))  # type: ignore[return-value]


def hoffmann(n, n_non_embedding, d):  # type: ignore[no-untyped-def]
    return 1.7 + 400 * n**-0.34 + 410 * d**-0.28


def kaplan(n, n_non_embedding, d):  # type: ignore[no-untyped-def]
    return ((2e7 / n_non_embedding) ** (0.2 / 0.25) + 4e9 / d) ** 0.25


def test_each_paper_counts_parameters_in_its_own_way() -> None:
    told = published_methods(*grid(hoffmann), TARGET, CONFIG)
    assert set(told) == METHODS
    assert told["approach 3 (Hoffmann 2022)"]["loss_nats"] == pytest.approx(hoffmann(4e6, 3e6, TARGET.train_tokens), rel=1e-3)
    assert not told["approach 3 (Hoffmann 2022)"]["note"]
    told = published_methods(*grid(kaplan), TARGET, CONFIG)
    assert told["L(N, D) (Kaplan 2020)"]["loss_nats"] == pytest.approx(kaplan(4e6, 3e6, TARGET.train_tokens), rel=1e-3)
    assert told["L(N, D) (Kaplan 2020)"]["parameters"]["alpha_N"] == pytest.approx(0.2, rel=1e-2)


def test_approaches_1_and_2_find_the_frontier_of_least_loss() -> None:
    a, b, alpha, beta = 400, 410, 0.34, 0.28
    gain = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    n = gain * (1e15 / 6) ** (beta / (alpha + beta))
    told = published_methods(*grid(hoffmann), TARGET, CONFIG)
    for method in ("approach 1 (Hoffmann 2022)", "approach 2 (Hoffmann 2022)"):
        assert told[method]["loss_nats"] == pytest.approx(hoffmann(n, n, 1e15 / 6 / n), rel=0.03), method


def test_too_few_runs_are_no_law() -> None:
    tables = tuple(table.subset(np.arange(table.num_runs) % 5 == 2) for table in grid(hoffmann))
    told = published_methods(*tables, TARGET, CONFIG)
    assert told["approach 1 (Hoffmann 2022)"]["loss_nats"] is not None
    for method in METHODS - {"approach 1 (Hoffmann 2022)"}:
        assert told[method]["loss_nats"] is None
        assert "too few" in told[method]["note"]
