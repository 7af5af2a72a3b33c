"""Is a model right as often as it is sure? (Guo 2017; GPT-4 report, figure 8)"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.evaluation.intervals import clopper_pearson


def reliability(probabilities: Sequence[float], right: Sequence[bool], bins: int, confidence: float) -> dict[str, Any]:
    """Expected calibration error, and for each bin that holds items: where it lies, mean probability, share right, items.

    Bins are (0, 1/n], (1/n, 2/n], ...; the error is the mean over items of |share right - mean probability| of their bin.

    Args:
        probabilities: that the model gives to the answer it chooses; by item.
        right: whether that answer is right.
        bins: n.
        confidence: of the interval of each share (Clopper and Pearson).
    """
    probability, is_right = np.asarray(probabilities, float), np.asarray(right, float)
    number = np.clip(np.ceil(probability * bins).astype(int) - 1, 0, bins - 1)
    items = np.bincount(number, minlength=bins)
    held = np.flatnonzero(items)
    sure = np.bincount(number, probability, bins)[held] / items[held]
    successes = np.bincount(number, is_right, bins)[held]
    rows = []
    for place, mean, successful, count in zip(held.tolist(), sure.tolist(), successes.tolist(), items[held].tolist(), strict=True):
        low, high = clopper_pearson(int(successful), count, confidence)
        ends = {"bin_low": place / bins, "bin_high": (place + 1) / bins}
        rows.append({**ends, "probability": mean, "share_right": successful / count, "low": low, "high": high, "items": count})
    error = (np.abs(successes / items[held] - sure) * items[held]).sum() / items.sum()
    return {"expected_calibration_error": float(error), "bins": rows}
