"""How runs scatter about a surface: alike, by size and horizon, or partly together, by restricted maximum likelihood (REML).

Two things make the interval of a fit that takes all errors for alike and independent too narrow. Runs may scatter by their size or
horizon. And runs that are near to each other in N and D, or of one size, may lie off the law together: where the law itself is wrong
by a little everywhere, or the recipe of a size was. Such errors do not average out over many runs, and the target meets its own.
Either is looked for with a likelihood-ratio test of the linearised fit. What is found widens intervals by the ratio of the
least-squares fit's true standard error to the one that it claims (the sandwich of Huber 1967); the fit itself stays least squares.

Kennedy and O'Hagan 2001 model the discrepancy of a law in this way, but weigh the runs by it. So weighted, the law forecast the largest
published runs worse: those of Chinchilla by 2.4 % instead of 1.2 (median; benchmarks/forecast.py at commit e136261), for the weights
trust the shared part as far as the noise.
"""

# Shapes: P runs, R parameters that the fit has, F = P - R contrasts free of the law, G ratios tried.

import math
from dataclasses import dataclass

import numpy as np

from components.scaling.config import SurfaceConfig
from components.scaling.misfit import matern

MIN_RUNS = 20  # below, the tests have no power, and their levels do not hold
MAX_RUNS = 1500  # beyond, matrices of runs by runs take minutes
EXACT_SD = 1e-6  # runs that lie so near to the law do not scatter, they are rounded
CLIP_SD, MAD_TO_SD = 2.5, 1.4826  # errors beyond so many robust standard deviations count as that
RATIOS_G = np.geomspace(0.01, 1000, 61)  # of the shared variance to that of each run alone; finer than any table tells
CLEARLY = math.log(50)  # in logarithms of likelihood
MAX_SLOPE = 1.5  # of the logarithm of the scatter over one standard deviation of log N or log D: 20 times over three of them


@dataclass(frozen=True)
class Scatter:
    """Errors exp(slopes . (log N, log D)) (own + shared), in units of the typical run's own scatter.

    ``shared_ratio``: variance of the shared part in those of the own part; ``own_share``: own variance in those of all residuals;
    ``claimed_RR``, ``true_RR``: covariance of the parameters as least squares claims it and as it is, in units of the residuals'
    variance; ``shared_RR``: the part of the true one that shared errors make; ``information``: of the logarithms of the own and the
    shared variance; ``kind``: none, uneven, size or near.
    """

    kind: str
    slope_n: float
    slope_d: float
    log_spread_P: np.ndarray
    shared_ratio: float
    own_share: float
    claimed_RR: np.ndarray
    true_RR: np.ndarray
    shared_RR: np.ndarray
    information: np.ndarray

    def spread_at(self, log_n: float, log_d: float) -> float:
        """Scatter of a run's own at a target in units of the residuals', never beyond that of the runs themselves."""
        slope = self.slope_n * log_n + self.slope_d * log_d
        return math.sqrt(self.own_share) * math.exp(min(max(slope, float(self.log_spread_P.min())), float(self.log_spread_P.max())))

    def widening(self, gradient_R: np.ndarray, confidence: float) -> float:
        """Ratio of the half-width of an interval to that which least squares claims, for what changes so with the parameters."""
        from scipy.special import stdtrit

        claimed, true, shared = (float(gradient_R @ cov @ gradient_R) for cov in (self.claimed_RR, self.true_RR, self.shared_RR))
        if self.kind == "none" or claimed <= 0:
            return 1.0
        freedom = len(self.log_spread_P) - len(gradient_R)
        quantiles = (float(stdtrit(degrees, (1 + confidence) / 2)) for degrees in (self._freedom(shared / true), freedom))
        return math.sqrt(true / claimed) * next(quantiles) / next(quantiles)

    def target_quantile(self, confidence: float) -> float:
        """Student's quantile for the shared part of a target."""
        from scipy.special import stdtrit

        return float(stdtrit(self._freedom(1.0), (1 + confidence) / 2))

    def _freedom(self, share: float) -> float:
        """Degrees of freedom of a variance of which this share is that of shared errors (Satterthwaite 1946)."""
        shares = np.array([1 - share, share])
        return max(1.0, 2 / float(shares @ np.linalg.pinv(self.information) @ shares))


def estimate_scatter(
    jacobian_PR: np.ndarray, errors_P: np.ndarray, log_n_P: np.ndarray, log_d_P: np.ndarray, config: SurfaceConfig
) -> Scatter:
    """Of the ways not to be alike and independent the one that its test finds in the errors of a first fit.

    Never two at once: a law that is wrong at one end looks like more scatter there, and the tables are too small to tell them apart.
    Errors that near runs share come first unless others are clearly likelier: they tell something of the target. Uneven ones come last,
    for they narrow the interval towards runs that scatter less.

    Args:
        jacobian_PR: slopes of the fit's relative change with each parameter.
        errors_P: relative residuals.
        log_n_P: about their mean, as log_d_P.
    """

    num_runs, _ = jacobian_PR.shape
    alike = _scatter("none", jacobian_PR)
    if num_runs < MIN_RUNS or num_runs > MAX_RUNS or float(np.sqrt(np.mean(errors_P**2))) < EXACT_SD:
        return alike
    errors_P = clipped(errors_P)  # heavy tails look like uneven scatter
    found = {
        kind: _shared(kind, correlation, jacobian_PR, errors_P, config)
        for kind, correlation in _correlations(log_n_P, log_d_P, config.shared_length).items()
    }
    gain, shared = max(found.values(), key=lambda pair: pair[0])
    if found["near"][0] > max(0.0, gain - CLEARLY):
        gain, shared = found["near"]
    uneven_gain, uneven = _uneven(jacobian_PR, errors_P, log_n_P, log_d_P, config)
    if gain > max(0.0, uneven_gain - CLEARLY):
        return shared
    return uneven if uneven_gain > 0 else alike


def clipped(errors_P: np.ndarray) -> np.ndarray:
    """Errors cut to a few robust standard deviations."""
    usual = CLIP_SD * MAD_TO_SD * float(np.median(np.abs(errors_P)))
    return np.asarray(np.clip(errors_P, -usual, usual))


def _scatter(
    kind: str,
    jacobian_PR: np.ndarray,
    slopes: tuple[float, float] = (0.0, 0.0),
    log_spread_P: np.ndarray | None = None,
    shared_ratio: float = 0.0,
    correlation_PP: np.ndarray | None = None,
) -> Scatter:
    """A scatter, with what it does to a least-squares fit."""
    num_runs, num_parameters = jacobian_PR.shape
    spread_P = np.zeros(num_runs) if log_spread_P is None else log_spread_P
    shared_PP = np.zeros((num_runs, num_runs)) if correlation_PP is None else shared_ratio * correlation_PP
    variance_PP = np.diag(np.exp(2 * spread_P)) + shared_PP
    inverse_RP = np.linalg.pinv(jacobian_PR)
    rest_PP = np.eye(num_runs) - jacobian_PR @ inverse_RP
    own_share = (num_runs - num_parameters) / float((rest_PP * variance_PP).sum())  # residuals' mean square, seen and expected
    true_RR, shared_RR = (own_share * inverse_RP @ part @ inverse_RP.T for part in (variance_PP, shared_PP))
    contrasts_F = np.linalg.eigvalsh(rest_PP @ shared_PP @ rest_PP)[num_parameters:]
    own_F = 1 / (1 + np.maximum(contrasts_F, 0))
    shared_F = 1 - own_F
    information = np.array([[own_F @ own_F, own_F @ shared_F], [own_F @ shared_F, shared_F @ shared_F]]) / 2
    claimed_RR = inverse_RP @ inverse_RP.T
    return Scatter(kind, *slopes, spread_P, shared_ratio, own_share, claimed_RR, true_RR, shared_RR, information)


def _uneven(
    jacobian_PR: np.ndarray, errors_P: np.ndarray, log_n_P: np.ndarray, log_d_P: np.ndarray, config: SurfaceConfig
) -> tuple[float, Scatter]:
    """Scatter whose logarithm is linear in log N and log D, and what that adds to the likelihood beyond the level of the test."""
    from scipy.optimize import minimize
    from scipy.special import chdtri

    axes_P2 = np.stack([log_n_P, log_d_P], axis=1)
    scales = axes_P2.std(0)

    def loss(slopes: np.ndarray) -> float:
        return -_likelihood(jacobian_PR, errors_P, axes_P2 @ (slopes / scales))

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-MAX_SLOPE, MAX_SLOPE)] * 2)
    slope_n, slope_d = (float(value) for value in found.x / scales)
    gain = loss(np.zeros(2)) - float(found.fun) - float(chdtri(2, config.scatter_level)) / 2
    return gain, _scatter("uneven", jacobian_PR, (slope_n, slope_d), axes_P2 @ (found.x / scales))


def _likelihood(jacobian_PR: np.ndarray, errors_P: np.ndarray, log_spread_P: np.ndarray) -> float:
    """Restricted log likelihood of independent errors, the typical variance profiled out (Patterson and Thompson 1971)."""
    weights = np.exp(-log_spread_P)
    basis, triangle = np.linalg.qr(jacobian_PR * weights[:, None])
    scaled = errors_P * weights
    rest = scaled - basis @ (basis.T @ scaled)
    freedom = len(errors_P) - jacobian_PR.shape[1]
    return float(-log_spread_P.sum() - np.log(np.abs(np.diag(triangle))).sum() - freedom / 2 * np.log(rest @ rest))


def _shared(
    kind: str, correlation_PP: np.ndarray, jacobian_PR: np.ndarray, errors_P: np.ndarray, config: SurfaceConfig
) -> tuple[float, Scatter]:
    """Errors that runs share in the given way, and what they add to the likelihood beyond the level of the test."""
    from scipy.special import chdtri

    ratio, gain = _shared_ratio(jacobian_PR, errors_P, correlation_PP)
    needed = float(chdtri(1, 2 * config.scatter_level)) / 2  # half of the chances lie at a ratio of 0 (Self and Liang 1987)
    return gain - needed, _scatter(kind, jacobian_PR, shared_ratio=ratio, correlation_PP=correlation_PP)


def _correlations(log_n_P: np.ndarray, log_d_P: np.ndarray, length: float) -> dict[str, np.ndarray]:
    """Of the shared parts: near runs (Matern 3/2 of the distance in log N and log D), and runs of one size where sizes repeat."""
    kinds = {"near": matern(log_n_P[:, None], log_d_P[:, None], log_n_P, log_d_P, length)}
    same_size = (np.abs(log_n_P[:, None] - log_n_P) < 1e-9).astype(float)
    if same_size.sum() > 1.5 * len(log_n_P):
        kinds["size"] = same_size
    return kinds


def _shared_ratio(jacobian_PR: np.ndarray, errors_P: np.ndarray, correlation_PP: np.ndarray) -> tuple[float, float]:
    """Ratio of shared to own variance, and its gain in likelihood over no sharing."""
    basis_PP, _ = np.linalg.qr(jacobian_PR, mode="complete")
    free_PF = basis_PP[:, jacobian_PR.shape[1] :]
    values_F, vectors_FF = np.linalg.eigh(free_PF.T @ correlation_PP @ free_PF)
    squares_F = (vectors_FF.T @ (free_PF.T @ errors_P)) ** 2
    variances_GF = 1 + RATIOS_G[:, None] * np.maximum(values_F, 0)
    freedom = len(squares_F)
    likelihoods_G = -(np.log(variances_GF).sum(1) + freedom * np.log((squares_F / variances_GF).sum(1))) / 2
    best = int(np.argmax(likelihoods_G))
    return float(RATIOS_G[best]), float(likelihoods_G[best] + freedom * np.log(squares_F.sum()) / 2)
