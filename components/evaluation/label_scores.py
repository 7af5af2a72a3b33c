"""Predicted against right labels, by well-kept libraries: F1 and Matthews' from torchmetrics, correlations from SciPy."""

# Shapes: N items.

from collections.abc import Sequence
from typing import Literal

import numpy as np

ClassMetric = Literal["accuracy", "matthews", "f1", "f1_macro"]
Correlation = Literal["pearson", "spearman"]


def class_score(metric: ClassMetric, predicted_N: Sequence[int], right_N: Sequence[int], positive: int | None = None) -> float:
    """Scikit-learn's definitions: 0 for Matthews' of one class only, and for an F1 without a true positive.

    Args:
        positive: the class that ``f1`` is of.

    Raises:
        ValueError: ``f1`` without ``positive``.
    """
    import torch
    from torchmetrics.functional.classification import binary_f1_score, multiclass_f1_score, multiclass_matthews_corrcoef

    predicted, right = torch.as_tensor(predicted_N), torch.as_tensor(right_N)
    num_classes = max(2, int(max(predicted.max(), right.max())) + 1)
    match metric:
        case "accuracy":
            return float(predicted.eq(right).double().mean())
        case "matthews" if len(predicted.unique()) < 2 or len(right.unique()) < 2:
            return 0.0  # torchmetrics gives 0.58 to an answer that never changes (three of four right)
        case "matthews":
            return float(multiclass_matthews_corrcoef(predicted, right, num_classes))
        case "f1_macro":
            return float(multiclass_f1_score(predicted, right, num_classes, average="macro"))
    if positive is None:
        raise ValueError("f1 needs the number of the class that counts")
    return float(binary_f1_score(predicted.eq(positive).int(), right.eq(positive).int()))


def correlation(metric: Correlation, predicted_N: Sequence[float], right_N: Sequence[float]) -> float:
    """Pearson's or Spearman's; 0 where one of the two is constant."""
    from scipy.stats import pearsonr, spearmanr

    if len(np.unique(predicted_N)) < 2 or len(np.unique(right_N)) < 2:
        return 0.0
    measure = pearsonr if metric == "pearson" else spearmanr
    return float(measure(predicted_N, right_N).statistic)
