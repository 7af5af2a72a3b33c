"""Mixture weights: which share of the training tokens each source gives (GPT-3 table 2.2).

GPT-3's own printed weights sum to 101 % (60 + 22 + 8 + 8 + 3), so a sum other than 1 is no error: every weight is divided
by the sum, a warning says so, and the table shows both. (The paper's epochs do not follow from its weights either: 22 % of
300 B tokens are 3.47 epochs of WebText2's 19 B, where it prints 2.9, which would be a weight of 18.4 %.)
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.curation.config import MixtureConfig
from components.errors import InputError


@dataclass(frozen=True)
class Share:
    """One source's row of the table.

    ``weight`` is its share of the stream and ``weight_given`` what was asked for before division by the sum of all;
    ``share_by_size`` is the weight that it would have if every source were used equally often; ``epochs`` is how often its
    tokens are used on average.
    """

    weight: float
    weight_given: float
    share_by_size: float
    tokens_available: int
    tokens: int
    epochs: float


def check_names(config: MixtureConfig, sources: Iterable[str]) -> None:
    """InputError unless mixture.weights names exactly the sources."""
    names = set(sources)
    for name in sorted(names - set(config.weights)):
        raise InputError(f"mixture.weights: source {name!r} has no weight; add one (0 leaves it out)")
    for name in sorted(set(config.weights) - names):
        raise InputError(f"mixture.weights: {name!r} is not a source; add it to sources or remove its weight")


def normalised(config: MixtureConfig) -> dict[str, float]:
    """The weights divided by their sum."""
    total = math.fsum(config.weights.values())
    return {name: weight / total for name, weight in config.weights.items()}


def plan(config: MixtureConfig, wanted_tokens: int, tokens_available: Mapping[str, int]) -> dict[str, Share]:
    """How many tokens each source gives to a stream of ``wanted_tokens``; InputError if a weighted source has none."""
    shares = {}
    all_available = sum(tokens_available.get(name, 0) for name in config.weights)
    for name, weight in normalised(config).items():
        available, given = tokens_available.get(name, 0), config.weights[name]
        if weight and not available:
            raise InputError(f"mixture.weights.{name} is {given}, but nothing of that source was kept; set it to 0")
        tokens = round(weight * wanted_tokens)
        by_size = available / all_available if all_available else 0.0
        shares[name] = Share(weight, given, by_size, available, tokens, tokens / available if available else 0.0)
    return shares


def warnings(config: MixtureConfig, shares: Mapping[str, Share]) -> list[str]:
    """One line if the weights do not sum to 1, and one for each source that is repeated more often than ``max_epochs``."""
    total = math.fsum(config.weights.values())
    lines = []
    if abs(total - 1) > 1e-6:  # more than rounding in decimal notation
        lines.append(f"mixture.weights sum to {total:.6g}, not 1: each was divided by that")
    return lines + [
        f"source {name} is repeated {share.epochs:.1f} times (mixture.max_epochs {config.max_epochs:g}): lower its weight or add text"
        for name, share in shares.items()
        if share.epochs > config.max_epochs
    ]
