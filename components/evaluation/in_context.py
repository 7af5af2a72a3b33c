"""Does a model learn from the examples in its prompt? Scores against K, beside the same prompts with their labels shuffled.

More examples may help because they show the form, the labels or the subject. Only if the score also falls when the examples
exchange their labels did the model read which label belongs to what (Min 2022 draws labels at random; here the ones shown stay).
"""

from collections.abc import Sequence
from typing import Any

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.metrics import score
from components.evaluation.protocols import Examiner, Outcome
from components.evaluation.report import chance, compare, interval, mean_shots_used
from components.evaluation.rows import Posed
from components.evaluation.task_file import TaskFile

LEARNS, FORM_ONLY, HURTS, NONE_SHOWN = (
    "learns from the examples",
    "examples help, their labels are not shown to",
    "examples hurt",
    "no difference shown",
)


def measure(examiner: Examiner, task: TaskFile, items: Sequence[Posed], train: Sequence[Posed], config: ProtocolConfig) -> dict[str, Any]:
    """Scores at 0 and at each K of ``in_context_shots``, in place of the task's own K, all on the same items.

    Keys: metric, chance, items, verdict (that of the largest K), and ``shots``: K -> score, low, high, mean_shots_used; for K > 0
    also ``less_zero``, from two on ``control`` (score, low, high with shuffled labels) and ``less_control``, paired differences as
    ``report.compare`` makes them, and ``verdict``. One example has nothing to exchange labels with, and so no control.

    Raises:
        InputError: what ``Examiner.examine`` refuses; a task without demonstrations, or with its labels in the context.
    """
    _check(task, items)
    without = _examined(examiner, task, items, train, 0, shuffle_labels=False)
    rows = {"0": _score(task, without, config)}
    for shots in sorted(config.in_context_shots):
        outcomes = _examined(examiner, task, items, train, shots, shuffle_labels=False)
        row = _score(task, outcomes, config) | {"less_zero": compare(task, without, outcomes, config)}
        if shots > 1:
            control = _examined(examiner, task, items, train, shots, shuffle_labels=True)
            row |= {"control": _score(task, control, config), "less_control": compare(task, control, outcomes, config)}
        rows[str(shots)] = row | {"verdict": verdict_of(row)}
    facts = {"metric": task.metric, "chance": chance(task, without), "items": len(items)}
    return {**facts, "verdict": rows[str(max(config.in_context_shots))]["verdict"], "shots": rows}


def _check(task: TaskFile, items: Sequence[Posed]) -> None:
    if task.kind == "text":
        raise InputError(f"task {task.name} is of kind text, which has no examples to learn from; leave it out")
    if any(len(set(posed.contexts)) > 1 for posed in items):
        raise InputError(f"task {task.name} has its choice in the context, where labels cannot be shuffled; leave it out")


def _examined(
    examiner: Examiner, task: TaskFile, items: Sequence[Posed], train: Sequence[Posed], shots: int, shuffle_labels: bool
) -> list[Outcome]:
    return examiner.examine(task.model_copy(update={"shots": shots}), items, train, shuffle_labels)


def _score(task: TaskFile, outcomes: Sequence[Outcome], config: ProtocolConfig) -> dict[str, Any]:
    low, high = interval(task, outcomes, config)
    return {"score": score(task, outcomes), "low": low, "high": high, "mean_shots_used": mean_shots_used(outcomes)}


def verdict_of(row: dict[str, Any]) -> str:
    """What the comparisons of one K say: to learn is to gain on no examples and on shuffled labels, both beyond chance."""
    if _differ(row["less_zero"]) and row["less_zero"]["difference"] < 0:
        return HURTS
    if not _differ(row["less_zero"]):
        return NONE_SHOWN
    control = row.get("less_control")
    return LEARNS if control and _differ(control) and control["difference"] > 0 else FORM_ONLY


def _differ(comparison: dict[str, Any]) -> bool:
    return bool(comparison["verdict"] == "differ")
