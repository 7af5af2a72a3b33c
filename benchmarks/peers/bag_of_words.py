"""Logistic regression on bags of words, by scikit-learn: what a labelled task gives away without any order of words."""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from components.finetuning.transforms import item_readings, label_of
from components.tasks.items import Item, LabelledTask

MAX_ITERATIONS = 2000


def bag_of_words(task: LabelledTask) -> np.ndarray[Any, Any]:
    """Scores [N, C] of the test items, learnt from the training items: log-probabilities of the classes, or a score for each answer.

    Words of a premise and of a hypothesis are told apart; of a similarity's pair the words that both have and those that one
    has. Answers of a multiple choice are learnt from two by two: the words of the right one less those of another.
    """
    texts = [text for item in task.train for reading in item_readings(item) for text in reading]
    words = CountVectorizer(binary=True).fit(texts)
    if task.transformation == "multiple_choice":
        return _choices(task, words)
    scores_N = np.array([label_of(item) for item in task.train])
    labels_N = np.floor(scores_N).astype(int)  # of classes the labels themselves
    shares_N, features = scores_N - labels_N, _features(task.train, words)
    # A score between two whole numbers is an item of each, with weights (heads.soft_labels).
    model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(
        vstack([features, features[shares_N > 0]]),
        np.concatenate([labels_N, labels_N[shares_N > 0] + 1]),
        np.concatenate([1 - shares_N, shares_N[shares_N > 0]]),
    )
    scores = np.full((len(task.test), len(task.labels)), -np.inf)
    scores[:, model.classes_] = model.predict_log_proba(_features(task.test, words))
    return scores


def _features(items: list[Item], words: CountVectorizer) -> csr_matrix:
    segments = [item_readings(item)[0] for item in items]
    bags = [words.transform([texts[i] for texts in segments]) for i in range(len(segments[0]))]
    if len(item_readings(items[0])) == 1:  # classification, entailment
        return hstack(bags).tocsr()
    both = bags[0].multiply(bags[1])
    return hstack([both, bags[0] + bags[1] - 2 * both]).tocsr()


def _choices(task: LabelledTask, words: CountVectorizer) -> np.ndarray[Any, Any]:
    answers = [words.transform([reading[-1] for reading in item_readings(item)]).toarray().astype(float) for item in task.train]
    pairs = [
        (bags[label_of(item)] - bags[other])
        for item, bags in zip(task.train, answers, strict=True)
        for other in range(len(bags))
        if other != label_of(item)
    ]
    features = np.concatenate([np.array(pairs), -np.array(pairs)])
    model = LogisticRegression(max_iter=MAX_ITERATIONS, fit_intercept=False).fit(features, [1] * len(pairs) + [0] * len(pairs))
    return np.array([words.transform([reading[-1] for reading in item_readings(item)]) @ model.coef_[0] for item in task.test])
