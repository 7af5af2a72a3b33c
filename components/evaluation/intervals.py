"""Confidence interval of a share of right answers."""


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Exact two-sided interval of a binomial share (Clopper and Pearson 1934): covers it in at least ``confidence`` of all samples.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials")
    tail = (1 - confidence) / 2
    low = betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)
