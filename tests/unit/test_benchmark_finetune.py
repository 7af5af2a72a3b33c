"""The benchmark of fine-tuning on real sets: what it reads of them goes the way of the shipped task files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import finetune_real
from benchmarks.peers.bag_of_words import bag_of_words
from components.finetuning.checks import check_task, count_repeats
from components.finetuning.scores import answers_of, score
from components.finetuning.transforms import label_of
from components.tasks.items import Classification, LabelledTask, Similarity

SIZES = {"sst2": (1000, 872), "snli": (700, 300), "sts_b": (600, 600), "copa": (600, 400)}


@pytest.mark.shared_data
@pytest.mark.parametrize("file", finetune_real.SETS)
def test_a_real_set_is_read_whole_and_split_cleanly(file: str) -> None:
    if not finetune_real.DATA.exists():
        pytest.skip(f"{finetune_real.DATA} is not here")
    task = finetune_real.read_set(file, finetune_real.DATA, 1.0, seed=0)
    check_task(task)
    assert (len(task.train), len(task.test)) == SIZES[task.name] == SIZES[Path(file).stem]
    assert count_repeats(task.train, task.test)["test_items_in_train"] == 0
    if task.is_scored:
        assert any(label_of(item) % 1 for item in task.train)  # not rounded
    else:
        most = max(Counter(label_of(item) for item in task.test).values()) / len(task.test)
        assert most < 0.55  # every class is there


def bag_score(task: LabelledTask) -> float:
    return score(task, task.metric, answers_of(task, bag_of_words(task), np.array([label_of(item) for item in task.test])))


def test_the_bag_of_words_learns_classes_and_scores() -> None:
    words = [f"{'good' if i % 2 else 'bad'} w{i % 5}" for i in range(40)]
    classes = [Classification(text, int("good" in text)) for text in words]
    assert bag_score(LabelledTask("c", "classification", ("no", "yes"), classes, classes[:9])) == 1.0  # type: ignore[arg-type]
    four = ["red", "blue", "green", "grey"]
    pairs = [Similarity(" ".join(four), " ".join(["none", *four[: i % 5]]), 1.25 * (i % 5)) for i in range(40)]
    for metric in ("pearson", "spearman"):
        assert bag_score(LabelledTask("s", "similarity", tuple("012345"), pairs, pairs[:15], metric)) > 0.95  # type: ignore[arg-type]
