"""Is a model right as often as it is sure? (Guo 2017; GPT-4 report, figure 8)"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int) -> dict[str, Any]:
    """Expected calibration error, and for each bin of confidence that holds items: mean confidence, share right, items.

    Bins are (0, 1/n], (1/n, 2/n], ...; the error is the mean over items of |share right - mean confidence| of their bin.
    """
    confidence, is_right = np.asarray(confidences, float), np.asarray(right, float)
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    items = np.bincount(number, minlength=bins)
    held = np.flatnonzero(items)
    sure = np.bincount(number, confidence, bins)[held] / items[held]
    share = np.bincount(number, is_right, bins)[held] / items[held]
    rows = [{"confidence": float(a), "share_right": float(b), "items": int(n)} for a, b, n in zip(sure, share, items[held], strict=True)]
    return {"expected_calibration_error": float((np.abs(share - sure) * items[held]).sum() / items.sum()), "bins": rows}
