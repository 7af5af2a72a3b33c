"""Verdicts on the papers' claims, on planted results that go either way."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from components.reporting.claims import CONTRADICTED, NOT_SHOWN, SHOWN, difference, judge_claims
from components.reporting.results import Results, Scored
from components.studies.effect import summarize
from tests.reporting_example import gather_example, write_example

PRETRAINING, TRANSFORMATIONS, AUXILIARY = "Pre-training, then", "One pre-trained model", "The auxiliary"
COMPUTE, PRE_LN, ZERO_SHOT = "Held-out loss falls", "Layer normalisation", "A language model does"
MORE_SHOTS, BATCH, FORECAST = "Examples in the prompt", "On the same tokens", "The loss of a large run"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return gather_example(write_example(tmp_path_factory.mktemp("run")))


def verdict(results: Results, statement: str) -> str:
    return next(claim.verdict for claim in judge_claims(results) if claim.statement.startswith(statement))


def with_study(results: Results, name: str, **values: dict[int, float | None]) -> Results:
    study = results.studies[name]
    changed = {**study.values, **values}
    summary = summarize(name, study.config, changed)
    return dataclasses.replace(results, studies={**results.studies, name: dataclasses.replace(study, values=changed, summary=summary)})


def with_finetuned(results: Results, **changes: Any) -> Results:
    pairs = {
        task: dataclasses.replace(pair, pretrained=pair.pretrained.model_copy(update=changes)) for task, pair in results.finetune.items()
    }
    return dataclasses.replace(results, finetune=pairs)


def with_shots(results: Results, shots: str, **changes: float) -> Results:
    few_shot = {
        task: {k: cell.model_copy(update=changes) if k == shots else cell for k, cell in cells.items()}
        for task, cells in results.evaluation.few_shot.items()
    }
    return dataclasses.replace(results, evaluation=results.evaluation.model_copy(update={"few_shot": few_shot}))


def test_every_claim_is_judged_on_the_example(results: Results) -> None:
    found = {claim.statement.split(".")[0][:14]: claim.verdict for claim in judge_claims(results)}
    assert len(found) == 9
    assert set(found.values()) <= {SHOWN, NOT_SHOWN, CONTRADICTED}


def test_pretraining(results: Results) -> None:
    assert verdict(results, PRETRAINING) == SHOWN
    assert verdict(with_finetuned(results, score=0.1, low=0.05, high=0.15), PRETRAINING) == CONTRADICTED
    assert verdict(with_finetuned(results, score=0.6, low=0.1, high=0.9), PRETRAINING) == NOT_SHOWN


def test_transformations(results: Results) -> None:
    assert verdict(results, TRANSFORMATIONS) == SHOWN
    assert verdict(with_finetuned(results, majority=0.99), TRANSFORMATIONS) == CONTRADICTED


def test_loss_falls_with_compute(results: Results) -> None:
    assert verdict(results, COMPUTE) == SHOWN
    bump = {**results.ladder, "r3": [cell.model_copy(update={"loss_nats": 9.0}) for cell in results.ladder["r3"]]}
    assert verdict(dataclasses.replace(results, ladder=bump), COMPUTE) == NOT_SHOWN
    worse = results.target.model_copy(update={"loss_nats": 9.0})
    assert verdict(dataclasses.replace(results, target=worse), COMPUTE) == CONTRADICTED


def test_pre_ln(results: Results) -> None:
    assert verdict(results, PRE_LN) == SHOWN
    assert verdict(with_study(results, "ln_placement", post={0: 4.2, 1: 4.21, 2: 4.22}), PRE_LN) == CONTRADICTED
    assert verdict(with_study(results, "ln_placement", post={0: 4.2, 1: 5.2, 2: 4.7}), PRE_LN) == NOT_SHOWN


def test_each_placement_is_judged_at_its_best_learning_rate(results: Results) -> None:
    assert verdict(with_study(results, "ln_placement", post_low_lr={0: 4.1, 1: 4.11, 2: 4.12}), PRE_LN) == CONTRADICTED
    lost: dict[int, float | None] = {0: None, 1: None, 2: None}
    assert verdict(with_study(results, "ln_placement", pre=lost, pre_low_lr={0: 4.4, 1: 4.9, 2: 5.6}), PRE_LN) == NOT_SHOWN


def test_a_placement_that_always_diverges_loses(results: Results) -> None:
    lost: dict[int, float | None] = {0: None, 1: None, 2: None}
    assert verdict(with_study(results, "ln_placement", post=lost, post_low_lr=lost), PRE_LN) == SHOWN
    assert verdict(with_study(results, "ln_placement", pre=lost, pre_low_lr=lost), PRE_LN) == CONTRADICTED
    once: dict[int, float | None] = {0: None, 1: 4.7, 2: 4.7}
    assert verdict(with_study(results, "ln_placement", post=once, post_low_lr=once), PRE_LN) == NOT_SHOWN


def test_auxiliary_loss(results: Results) -> None:
    assert verdict(with_study(results, "aux_lm_weight", half={0: 0.7, 1: 0.71, 2: 0.72}), AUXILIARY) == SHOWN
    assert verdict(with_study(results, "aux_lm_weight", half={0: 0.4, 1: 0.41, 2: 0.42}), AUXILIARY) == CONTRADICTED
    assert verdict(with_study(results, "aux_lm_weight", half={0: 0.5, 1: 0.61, 2: 0.7}), AUXILIARY) == NOT_SHOWN


def test_batch_size(results: Results) -> None:
    assert verdict(results, BATCH) == SHOWN
    assert verdict(with_study(results, "batch_size", b8k={0: 4.1, 1: 4.11, 2: 4.12}), BATCH) == CONTRADICTED


def test_prompting(results: Results) -> None:
    assert verdict(results, ZERO_SHOT) == NOT_SHOWN
    assert verdict(with_shots(results, "0", score=0.9, low=0.85, high=0.95), ZERO_SHOT) == SHOWN
    assert verdict(results, MORE_SHOTS) == NOT_SHOWN
    assert verdict(with_shots(results, "4", score=0.95, low=0.9, high=0.97), MORE_SHOTS) == SHOWN
    assert verdict(with_shots(results, "0", score=0.95, low=0.9, high=0.97), MORE_SHOTS) == CONTRADICTED


def test_forecast(results: Results) -> None:
    score = results.forecast_score
    wide = score.model_copy(update={"high": 99.0})
    missed = score.model_copy(update={"inside": False})
    assert verdict(results, FORECAST) == SHOWN
    assert verdict(dataclasses.replace(results, forecast_score=wide), FORECAST) == NOT_SHOWN
    assert verdict(dataclasses.replace(results, forecast_score=missed), FORECAST) == CONTRADICTED


def test_a_study_that_was_removed_is_not_judged(results: Results, tmp_path: Path) -> None:
    without = dataclasses.replace(results, studies={})
    assert len(judge_claims(without)) == 6


def test_interval_of_a_difference() -> None:
    low, high = difference(Scored(score=0.8, low=0.75, high=0.84), Scored(score=0.6, low=0.54, high=0.66))
    assert low == pytest.approx(0.2 - (0.05**2 + 0.06**2) ** 0.5)
    assert high == pytest.approx(0.2 + (0.04**2 + 0.06**2) ** 0.5)
    assert difference(Scored(score=0.5, low=0.4, high=0.6), Scored(score=0.5, low=0.4, high=0.6))[0] < 0
