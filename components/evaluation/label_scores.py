"""Predicted against right labels, by well-kept libraries: F1 and Matthews' from torchmetrics, correlations from SciPy."""

# Shapes: N items.

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Metric = Literal["accuracy", "matthews", "f1", "f1_macro", "pearson", "spearman"]


def label_score(metric: Metric, predicted_N: ArrayLike, right_N: ArrayLike, positive: int | None = None) -> float:
    """In [0, 1], correlations in [-1, 1]. 0 for a correlation (Matthews' too) with what never changes, and for F1 without a true positive.

    Args:
        predicted_N: numbers of classes; for Pearson's and Spearman's any numbers.
        positive: the class that ``f1`` is of.

    Raises:
        ValueError: ``f1`` without ``positive``.
    """
    predicted, right = np.asarray(predicted_N), np.asarray(right_N)
    if metric == "accuracy":
        return float(np.mean(predicted == right))
    if metric in ("f1", "f1_macro"):
        return _f1(predicted, right, positive, macro=metric == "f1_macro")
    if len(np.unique(predicted)) < 2 or len(np.unique(right)) < 2:
        return 0.0  # torchmetrics' Matthews of an answer that never changes is 0.58 where three of four are right
    return _matthews(predicted, right) if metric == "matthews" else _correlation(predicted, right, metric == "pearson")


def _f1(predicted_N: np.ndarray, right_N: np.ndarray, positive: int | None, macro: bool) -> float:
    import torch
    from torchmetrics.functional.classification import binary_f1_score, multiclass_f1_score

    predicted, right = torch.as_tensor(predicted_N), torch.as_tensor(right_N)
    if macro:
        num_classes = max(2, int(max(predicted.max(), right.max())) + 1)
        return float(multiclass_f1_score(predicted, right, num_classes, average="macro"))
    if positive is None:
        raise ValueError("f1 needs the number of the class that counts")
    return float(binary_f1_score(predicted.eq(positive).int(), right.eq(positive).int()))


def _matthews(predicted_N: np.ndarray, right_N: np.ndarray) -> float:
    import torch
    from torchmetrics.functional.classification import multiclass_matthews_corrcoef

    num_classes = int(max(predicted_N.max(), right_N.max())) + 1
    return float(multiclass_matthews_corrcoef(torch.as_tensor(predicted_N), torch.as_tensor(right_N), num_classes))


def _correlation(predicted_N: np.ndarray, right_N: np.ndarray, is_pearson: bool) -> float:
    from scipy.stats import pearsonr, spearmanr

    return float((pearsonr if is_pearson else spearmanr)(predicted_N, right_N).statistic)
