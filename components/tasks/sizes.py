"""Bring a task to the size that params.yaml asks for, or say why it cannot be done."""

from components.errors import InputError
from components.tasks.config import DerivedConfig
from components.tasks.items import DraftTask, Sourced


def at_most(size: DerivedConfig, draft: DraftTask) -> DraftTask:
    """The first ``train_items`` and ``test_items`` of the draft.

    Args:
        size: the wanted numbers.
        draft: as many items as could be made, in the order in which they are to be taken.

    Raises:
        InputError: there are fewer.
    """
    train = _first(draft.train, size.train_items, f"tasks.{draft.name}.train_items", draft.name)
    test = _first(draft.test, size.test_items, f"tasks.{draft.name}.test_items", draft.name)
    return DraftTask(draft.name, draft.transformation, draft.labels, train, test)


def _first(rows: list[Sourced], wanted: int, parameter: str, task: str) -> list[Sourced]:
    if len(rows) < wanted:
        raise InputError(
            f"params.yaml: {parameter} asks for {wanted}, but the reserved documents give task {task} only {len(rows)}; "
            f"lower {parameter} or raise curation.reserved_share"
        )
    return rows[:wanted]
