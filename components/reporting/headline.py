"""The sentences at the top of the page: three findings, and what came out poorly. All of them follow from the numbers."""

from dataclasses import dataclass
from itertools import pairwise

from components.reporting.claims import difference
from components.reporting.results import Results, ShotScore
from components.reporting.summary import ladder_rows
from components.reporting.text import count, interval, large, percent, words
from components.studies.effect import NO_DIFFERENCE

RARELY_RIGHT = 0.05
RIVALS = {"xz": "xz -9", "bigram": "a bigram model", "unigram": "a unigram model"}


@dataclass(frozen=True)
class Finding:
    """One headline: what was asked, the figure, the sentence; ``good`` when it came out as hoped."""

    topic: str
    figure: str
    unit: str
    sentence: str
    good: bool


def findings(results: Results) -> list[Finding]:
    """Language model, forecast, fine-tuning."""
    return [_language_model(results), _forecast(results), _finetuning(results)]


def _language_model(results: Results) -> Finding:
    bits = results.evaluation.bits_per_byte
    beaten = not _better_rivals(results)
    others = ", ".join(f"{name} needs {getattr(bits, key):.3f}" for key, name in RIVALS.items())
    outcome = "beats all three" if beaten else f"does not beat {' and '.join(_better_rivals(results))}"
    sentence = (
        f"A GPT of {large(results.target.parameters)} parameters read {large(results.target.train_tokens)} tokens. "
        f"On the same held-out text {others}. It {outcome}."
    )
    return Finding("Language model", f"{bits.target:.3f}", "bits per byte", sentence, beaten)


def _better_rivals(results: Results) -> list[str]:
    bits = results.evaluation.bits_per_byte
    return [name for key, name in RIVALS.items() if getattr(bits, key) <= bits.target]


def _forecast(results: Results) -> Finding:
    score = results.forecast_score
    sentence = (
        f"Forecast and sealed before the run: {score.loss_nats:.3f} ({interval(score.low, score.high)}), from models trained with "
        f"{score.compute_ratio:.3g} times less compute. The run reached {score.actual_loss_nats:.3f} nats per token, "
        f"{'inside' if score.inside else 'outside'} the interval."
    )
    return Finding("Loss forecast", percent(abs(score.relative_error)), "off", sentence, score.inside)


def _finetuning(results: Results) -> Finding:
    pairs = list(results.finetune.values())
    wins = sum(pair.pretrained.score > pair.scratch.score for pair in pairs)
    clear = sum(difference(pair.pretrained, pair.scratch)[0] > 0 for pair in pairs)
    sentence = (
        f"The pre-trained model scores higher than the same model from random weights on {wins} of {count(len(pairs), 'task')}; "
        f"on {clear} of them the difference is larger than its interval."
    )
    return Finding("Fine-tuning", f"{wins} of {len(pairs)}", "tasks won", sentence, 2 * wins > len(pairs))


def shortcomings(results: Results) -> list[str]:
    """What a reader must not overlook, worst first; empty when nothing is."""
    mixture = [f"The mixture: {line}." for line in results.tokens.warnings]
    forecasts = [*_modelling_shortcomings(results), *_capability_shortcomings(results)]
    return [*forecasts, *mixture, *_task_shortcomings(results), *_undecided_studies(results)]


def _modelling_shortcomings(results: Results) -> list[str]:
    found = [f"The model compresses held-out text no better than {name}." for name in _better_rivals(results)]
    rows = ladder_rows(results)
    rises = [after["name"] for before, after in pairwise(rows) if after["loss_nats"] >= before["loss_nats"]]
    if rises:
        found.append(f"More compute did not lower the loss at {', '.join(rises)}.")
    score = results.forecast_score
    if not score.inside:
        found.append(f"The forecast missed: {score.actual_loss_nats:.3f} lies outside {interval(score.low, score.high)}.")
    lost = [f"{run.rung}-{run.seed} ({run.reason})" for run in results.forecast.excluded]
    if lost:
        found.append(f"Runs of the ladder that could not be used: {', '.join(lost)}.")
    return found


def _capability_shortcomings(results: Results) -> list[str]:
    buckets = results.capability.score.buckets
    missed = [f"{words(bucket.task)} ({bucket.name})" for bucket in buckets if bucket.inside is False]
    untold = [f"{words(bucket.task)} ({bucket.name})" for bucket in buckets if bucket.forecast is None]
    found = [f"The forecast of pass rates missed on {', '.join(missed)}."] if missed else []
    return [*found, f"No forecast of pass rates was possible for {', '.join(untold)}."] if untold else found


def _task_shortcomings(results: Results) -> list[str]:
    found = []
    lost = [words(task) for task, pair in results.finetune.items() if pair.pretrained.score <= pair.scratch.score]
    if lost:
        found.append(f"Pre-training did not help on {', '.join(lost)}.")
    guessing = [words(task) for task, pair in results.finetune.items() if pair.pretrained.low <= pair.pretrained.majority]
    if guessing:
        found.append(f"Fine-tuned on {', '.join(guessing)}, the model cannot be told from one that always answers the majority class.")
    return found + _prompting_shortcomings(results)


def _prompting_shortcomings(results: Results) -> list[str]:
    """Choices are compared with chance; written answers, where one hit already beats chance, with a plain share."""
    found = []
    choices = {task: cells for task, cells in results.evaluation.few_shot.items() if all(cell.chance > 0 for cell in cells.values())}
    guessing = [words(task) for task, cells in choices.items() if all(cell.low <= cell.chance for cell in cells.values())]
    if guessing:
        tasks = f"{len(guessing)} of {count(len(choices), 'task')}"
        found.append(f"Prompted without training, the model cannot be told from chance on {tasks} of choice: {', '.join(guessing)}.")
    written = {task: cells for task, cells in results.evaluation.few_shot.items() if task not in choices}
    failing = [task for task, cells in written.items() if max(cell.score for cell in cells.values()) < RARELY_RIGHT]
    if failing:
        tasks = f"{len(failing)} of {count(len(written), 'task')}"
        found.append(f"Answers that must be written out are right in fewer than {percent(RARELY_RIGHT)} of cases on {tasks}.")
    cramped = [words(task) for task, cells in results.evaluation.few_shot.items() if _is_cramped(cells)]
    if cramped:
        found.append(f"The context holds fewer examples than were asked for on {', '.join(cramped)}; the table says how many fitted.")
    return found


def _is_cramped(cells: dict[str, ShotScore]) -> bool:
    return any(cell.mean_shots_used < int(shots) for shots, cell in cells.items())


def _undecided_studies(results: Results) -> list[str]:
    found = []
    for name, study in results.studies.items():
        diverged = [words(arm) for arm, values in study.summary["arms"].items() if values["diverged"]]
        if diverged:
            found.append(f"Training diverged in the study of {words(name)}: {', '.join(diverged)}.")
        if all(effect["verdict"].startswith(NO_DIFFERENCE) for effect in study.summary["effects"].values()):
            found.append(f"The study of {words(name)} shows no difference between any arm and its baseline.")
    return found
