"""Scores of a task from its items, by well-kept libraries where there is one."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from components.evaluation.label_scores import label_score
from components.evaluation.task_file import TaskFile
from components.evaluation.units import per_unit

if TYPE_CHECKING:
    from components.evaluation.protocols import Outcome


def score(task: TaskFile, outcomes: Sequence["Outcome"]) -> float:
    """The task's metric over the items, in [0, 1] for shares and F1, [-1, 1] for Matthews."""
    match task.metric:
        case "accuracy" | "exact_match" | "token_f1":
            return float(np.mean([one.value for one in outcomes]))
        case "matthews" | "f1" | "f1_macro":
            predicted, right = ([int(getattr(one, name)) for one in outcomes] for name in ("predicted", "right"))
            return label_score(task.metric, predicted, right, task.positive)
        case "bleu":
            return _bleu(outcomes)
        case _:
            return per_unit(sum(one.value for one in outcomes), sum(one.units for one in outcomes), task.metric)


def _bleu(outcomes: Sequence["Outcome"]) -> float:
    """Corpus BLEU with sacreBLEU's 13a tokenisation, in [0, 1]."""
    from torchmetrics.functional.text import sacre_bleu_score

    return float(sacre_bleu_score([str(one.predicted) for one in outcomes], [[str(one.right)] for one in outcomes]))


def exact_match(said: str, accepted: Sequence[str]) -> float:
    """1 if the answer is one of the accepted ones, after SQuAD's normalisation (Rajpurkar 2016)."""
    return float(squad_words(said) in [squad_words(one) for one in accepted])


def best_f1(said: str, accepted: Sequence[str]) -> float:
    """Best F1 of the words shared with an accepted answer (Rajpurkar 2016, section 6.1); two answers without words agree."""
    return max(_f1(squad_words(said), squad_words(one)) for one in accepted)


def _f1(said: list[str], right: list[str]) -> float:
    if not said or not right:
        return float(said == right)
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right))


def squad_words(text: str) -> list[str]:
    """Lower case, without punctuation and articles."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()
