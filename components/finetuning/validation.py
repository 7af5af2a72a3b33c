"""Training items put aside to choose by: rates, epochs and forms of a task are never chosen on the test items."""

from collections.abc import Sequence

from components.curation.draws import uniform
from components.errors import InputError
from components.finetuning.checks import content
from components.finetuning.config import FinetuningConfig
from components.tasks.items import Item


def split_validation(items: Sequence[Item], config: FinetuningConfig) -> tuple[list[Item], list[Item]]:
    """Items to train on, and items to validate on, both in their order.

    The ``validation_share`` of the items with the smallest hash of (``data_seed``, texts) are put aside, so neither the
    seed of a run nor the order of the items matters, and repeats of one item lie on one side. Different items that share a
    text may lie on both.

    Raises:
        InputError: no item is left to train on.
    """
    num_aside = round(config.validation_share * len(items))
    if num_aside == 0:
        return list(items), []
    places = [uniform(config.data_seed, "validation", repr(content(item))) for item in items]
    last = sorted(places)[num_aside - 1]
    train = [item for item, place in zip(items, places, strict=True) if place > last]
    if not train:
        raise InputError(f"finetuning.validation_share {config.validation_share} leaves no item of {len(items)} to train on; lower it")
    return train, [item for item, place in zip(items, places, strict=True) if place <= last]
