"""What the papers claim, and whether this run shows it: every verdict is computed from the run's numbers.

A claim is *shown* when the numbers say so beyond their intervals, *contradicted at this scale* when they say the opposite
beyond their intervals, and *not shown* otherwise: a small run that cannot tell is no evidence either way.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from components.reporting.results import Results, Scored
from components.reporting.summary import ladder_rows
from components.reporting.text import count, interval, metric, percent, signed, words
from components.studies.effect import summarize
from components.studies.outcomes import Study

SHOWN = "shown"
NOT_SHOWN = "not shown"
CONTRADICTED = "contradicted at this scale"


@dataclass(frozen=True)
class Claim:
    """One claim of a paper beside what this run says about it."""

    source: str
    statement: str
    verdict: str
    evidence: str


def difference(first: Scored, second: Scored) -> tuple[float, float]:
    """Interval of ``first - second`` from the two scores' own intervals.

    Zou and Donner 2008 (MOVER), which keeps the asymmetry of intervals near 0 and 1. It takes the scores as independent;
    ours share their test items, which makes the interval too wide rather than too narrow.
    """
    gap = first.score - second.score
    low = gap - math.hypot(first.score - first.low, second.high - second.score)
    high = gap + math.hypot(first.high - first.score, second.score - second.low)
    return low, high


def judge_claims(results: Results) -> list[Claim]:
    """The claims that this run can say something about, in the order of the papers."""
    claims = [
        _pretraining_helps(results),
        _transformations_serve(results),
        _auxiliary_loss_helps(results),
        _loss_falls_with_compute(results),
        _pre_ln_is_lower(results),
        _zero_shot_beats_chance(results),
        _more_shots_help(results),
        _large_batch_costs_data(results),
        _forecast_holds(results),
    ]
    return [claim for claim in claims if claim is not None]


def _pretraining_helps(results: Results) -> Claim:
    intervals = [difference(pair.pretrained, pair.scratch) for pair in results.finetune.values()]
    return Claim(
        "GPT-1, section 5",
        "Pre-training, then fine-tuning, beats training on the labelled task alone.",
        _most(intervals),
        f"Against the same model from random weights: {_tally(intervals, 'tasks')}.",
    )


def _transformations_serve(results: Results) -> Claim:
    intervals = [(p.pretrained.low - p.pretrained.majority, p.pretrained.high - p.pretrained.majority) for p in results.finetune.values()]
    return Claim(
        "GPT-1, section 3.3",
        "One pre-trained model serves tasks of every form through input transformations alone.",
        _most(intervals),
        f"Against always answering the majority class: {_tally(intervals, 'tasks')}.",
    )


def _auxiliary_loss_helps(results: Results) -> Claim | None:
    study = results.studies.get("aux_lm_weight")
    if study is None:
        return None
    weights = _arm_values(study, "finetuning.aux_lm_weight", results)
    without, with_loss = min(weights, key=lambda arm: weights[arm]), max(weights, key=lambda arm: weights[arm])
    return Claim(
        "GPT-1, section 3.2",
        "The auxiliary language-model loss helps fine-tuning. (The paper's own average is 74.7 with it and 75.0 without.)",
        *_contrast(study, with_loss, without),
    )


def _loss_falls_with_compute(results: Results) -> Claim:
    losses = [row["loss_nats"] for row in ladder_rows(results)]
    falls = [after < before for before, after in pairwise(losses)]
    verdict = SHOWN if all(falls) else CONTRADICTED if losses[-1] >= losses[0] else NOT_SHOWN
    return Claim(
        "GPT-2, section 3; Kaplan 2020; GPT-3, figure 3.1",
        "Held-out loss falls with every increase of compute.",
        verdict,
        f"It fell at {sum(falls)} of {count(len(falls), 'step')} up the ladder, from {losses[0]:.3f} to {losses[-1]:.3f} nats per token.",
    )


def _pre_ln_is_lower(results: Results) -> Claim | None:
    study = results.studies.get("ln_placement")
    if study is None:
        return None
    placements = _arm_values(study, "model.norm_placement", results)
    best = {}
    for placement in ("pre", "post"):
        arms = [arm for arm in study.config.arms if placements[arm] == placement]
        if not arms:
            return None
        best[placement] = min(arms, key=lambda arm: _mean_or_infinity(study, arm))
    return Claim(
        "GPT-2, section 2.3; Xiong 2020",
        "Layer normalisation before each sub-layer trains better than after it, each at its own best learning rate.",
        *_contrast(study, best["pre"], best["post"]),
    )


def _zero_shot_beats_chance(results: Results) -> Claim | None:
    cells = [by_shots["0"] for by_shots in results.evaluation.few_shot.values() if "0" in by_shots and by_shots["0"].chance > 0]
    if not cells:
        return None
    intervals = [(cell.low - cell.chance, cell.high - cell.chance) for cell in cells]
    return Claim(
        "GPT-2, section 3",
        "A language model does tasks it was never trained for, from the prompt alone.",
        _most(intervals),
        f"Without an example, against chance, where the answer is a choice: {_tally(intervals, 'tasks')}.",
    )


def _more_shots_help(results: Results) -> Claim | None:
    intervals = []
    for by_shots in results.evaluation.few_shot.values():
        fewest, most = min(by_shots, key=int), max(by_shots, key=int)
        if fewest != most:
            intervals.append(difference(by_shots[most], by_shots[fewest]))
    if not intervals:
        return None
    return Claim(
        "GPT-3, section 3 and figure 1.2",
        "Examples in the prompt raise the score, without any change of weights.",
        _most(intervals),
        f"Most examples against fewest: {_tally(intervals, 'tasks')}.",
    )


def _large_batch_costs_data(results: Results) -> Claim | None:
    study = results.studies.get("batch_size")
    if study is None:
        return None
    sizes = _arm_values(study, "training.batch_tokens", results)
    small, large = min(sizes, key=lambda arm: sizes[arm]), max(sizes, key=lambda arm: sizes[arm])
    return Claim(
        "McCandlish 2018; Kaplan 2020, section 5.1",
        "On the same tokens a larger batch ends at a higher loss: it saves steps and pays in data.",
        *_contrast(study, small, large),
    )


def _forecast_holds(results: Results) -> Claim:
    score, smaller = results.forecast_score, ladder_rows(results)[-2]
    informative = score.high < smaller["loss_nats"]
    verdict = CONTRADICTED if not score.inside else SHOWN if informative else NOT_SHOWN
    evidence = (
        f"Forecast {score.loss_nats:.3f} ({interval(score.low, score.high)}) from runs with {score.compute_ratio:.3g} times less "
        f"compute, reached {score.actual_loss_nats:.3f}: {'inside' if score.inside else 'outside'} the interval, "
        f"{percent(abs(score.relative_error))} off."
    )
    if score.inside and not informative:
        evidence += f" But the interval reaches up to the loss of {smaller['name']}, so it says little."
    return Claim(
        "GPT-4 report, section 3", "The loss of a large run can be forecast from much smaller runs before it starts.", verdict, evidence
    )


def _contrast(study: Study, better: str, worse: str) -> tuple[str, str]:
    """Verdict and evidence of "arm ``better`` does better than arm ``worse``".

    Seeds are paired, and the interval is corrected for all arms of the study, since the two may have been picked from them.
    """
    config = study.config.model_copy(update={"baseline": worse})
    effect = summarize("claims", config, study.values)["effects"][better]
    if effect["effect"] is None:
        lost = [all(value is None for value in study.values[arm].values()) for arm in (better, worse)]
        return {(False, True): SHOWN, (True, False): CONTRADICTED}.get((lost[0], lost[1]), NOT_SHOWN), f"{effect['verdict']}."
    evidence = f"Difference in {metric(config.metric)}, {words(better)} minus {words(worse)}: {signed(effect['effect'], 4)}"
    if effect["low"] is None:
        return NOT_SHOWN, f"{evidence}, from one seed."
    sign = 1.0 if config.direction == "higher" else -1.0
    return _side(
        *sorted(sign * effect[end] for end in ("low", "high"))
    ), f"{evidence} ({signed(effect['low'], 4)} to {signed(effect['high'], 4)})."


def _mean_or_infinity(study: Study, arm: str) -> float:
    mean = study.summary["arms"][arm]["mean"]
    return math.inf if mean is None else float(mean)


def _arm_values(study: Study, parameter: str, results: Results) -> dict[str, Any]:
    """The value of one parameter in each arm: the arm's own, else the condition's, else the study's, else the target's."""
    section, _, key = parameter.partition(".")
    default = results.parameters[section][key]
    return {arm: study.overrides(arm).get(parameter, default) for arm in study.config.arms}


def _side(low: float, high: float) -> str:
    return SHOWN if low > 0 else CONTRADICTED if high < 0 else NOT_SHOWN


def _most(intervals: Iterable[tuple[float, float]]) -> str:
    """Shown (or contradicted) when more than half of the intervals lie above (or below) zero."""
    sides = [_side(low, high) for low, high in intervals]
    return next((side for side in (SHOWN, CONTRADICTED) if 2 * sides.count(side) > len(sides)), NOT_SHOWN)


def _tally(intervals: list[tuple[float, float]], noun: str) -> str:
    sides = [_side(low, high) for low, high in intervals]
    return f"ahead on {sides.count(SHOWN)}, behind on {sides.count(CONTRADICTED)} of {len(sides)} {noun} beyond the intervals"
