"""Where the runs lie off the law together, and how far a target that is near to them will.

Least squares hands the misfit of the law to the errors. Where these are found to be smooth over log N and log D (scatter.py), the error
at a target is predicted from those of near runs by simple kriging (Rasmussen and Williams 2006, equations 2.25 and 2.26). Far from all
runs nothing is known of it, and the law stands as it is. Kennedy and O'Hagan 2001 estimate the law and its misfit at once; here the law
stays that of least squares (scatter.py says why).
"""

# Shapes: P runs.

import math
from dataclasses import dataclass

import numpy as np


def matern(log_n_P: np.ndarray, log_d_P: np.ndarray, log_n: np.ndarray | float, log_d: np.ndarray | float, length: float) -> np.ndarray:
    """Correlation that fades with the distance in log N and log D (Matern 3/2)."""
    distance = math.sqrt(3) / length * np.hypot(log_n_P - log_n, log_d_P - log_d)
    return np.asarray((1 + distance) * np.exp(-distance))


@dataclass(frozen=True)
class Misfit:
    """Errors that near runs share, as relative ones; ``ratio``: their variance in those of each run alone."""

    log_n_P: np.ndarray
    log_d_P: np.ndarray
    length: float
    ratio: float
    errors_P: np.ndarray
    inverse_PP: np.ndarray

    def at(self, log_n: float, log_d: float) -> tuple[float, float]:
        """The error expected at a target, and the share of the shared variance that stays unknown there."""
        known_P = self.ratio * matern(self.log_n_P, self.log_d_P, log_n, log_d, self.length)
        weights_P = self.inverse_PP @ known_P
        return float(weights_P @ self.errors_P), 1 - float(weights_P @ known_P) / self.ratio


def estimate_misfit(log_n_P: np.ndarray, log_d_P: np.ndarray, errors_P: np.ndarray, ratio: float, length: float) -> Misfit:
    """From the relative errors of a fit, those of outliers cut to the size of the usual ones."""
    correlation_PP = matern(log_n_P[:, None], log_d_P[:, None], log_n_P, log_d_P, length)
    return Misfit(log_n_P, log_d_P, length, ratio, errors_P, np.linalg.inv(ratio * correlation_PP + np.eye(len(errors_P))))
