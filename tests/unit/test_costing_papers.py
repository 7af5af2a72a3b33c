"""The papers' costs: the formula gives what table D.1 prints, and what no paper says carries that label."""

import pytest

from components.costing.papers import DEVICE_TIMES, NOT_IN_PAPER, paper_compute
from flows import papers

PRINTED = [row for row in paper_compute() if row.printed_pf_days is not None]


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: row.model)
def test_the_formula_gives_the_printed_compute(row) -> None:  # type: ignore[no-untyped-def]
    assert len(PRINTED) == 13
    assert row.pf_days == pytest.approx(row.printed_pf_days, rel=0.006)


def test_gpt2_at_43008_dollars_is_not_in_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    gpt2 = next(time for time in DEVICE_TIMES if time.model == "GPT-2 1.5B")
    assert gpt2.cost_usd == 32 * 168 * 8 == 43_008
    assert gpt2.source.startswith(NOT_IN_PAPER)
    assert all(row.pf_days is None and row.source.startswith(NOT_IN_PAPER) for row in paper_compute() if row.printed_pf_days is None)
    assert papers.main([]) == 0
    said = capsys.readouterr().out
    assert "43,008  not in the paper" in said and "gpt3-175b" in said
