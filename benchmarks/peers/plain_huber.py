"""Approach 3 as the public re-fit of Chinchilla's points does it (github.com/epoch-research/analyzing-chinchilla, data_analysis.ipynb).

That notebook calls SciPy's L-BFGS-B from each start without a gradient, so that SciPy takes differences, and BFGS with Autograd's
gradient for bootstrap draws. Written anew after its description; ``autograd`` is not part of the install, so the draws too take
differences here. Prints seconds a search.
"""

import itertools
import json
import sys
import time

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

DELTA = 1e-3


def huber(parameters: np.ndarray, log_n: np.ndarray, log_d: np.ndarray, log_loss: np.ndarray) -> float:
    """The paper's objective, in its own parameters and not about the mean run."""
    a, b, e, alpha, beta = parameters
    errors = logsumexp([a - alpha * log_n, b - beta * log_d, np.full_like(log_n, e)], axis=0) - log_loss
    size = np.abs(errors)
    return float(np.where(size <= DELTA, errors**2 / 2, DELTA * (size - DELTA / 2)).sum())


def main() -> int:
    """Reads log N, log D, log L from standard input; argument: take every so-manieth of the 4,500 starts."""
    log_n, log_d, log_loss = (np.array(column) for column in json.load(sys.stdin))
    exponents, coefficients, floors = np.arange(0, 2.5, 0.5), np.arange(0, 30, 5.0), np.arange(-1, 1.5, 0.5)
    starts = list(itertools.product(coefficients, coefficients, floors, exponents, exponents))[:: int(sys.argv[1])]
    begin = time.perf_counter()
    found = [minimize(huber, start, args=(log_n, log_d, log_loss), method="L-BFGS-B") for start in starts]
    seconds = (time.perf_counter() - begin) / len(starts)
    best = min((result for result in found if result.success), key=lambda result: float(result.fun))
    print(json.dumps({"seconds_per_search": seconds, "objective": float(best.fun), "parameters": best.x.tolist()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
