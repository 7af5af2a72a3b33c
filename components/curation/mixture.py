"""Mixture weights: which share of the training tokens each source gives (GPT-3 table 2.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.curation.config import MixtureConfig
from components.errors import InputError


@dataclass(frozen=True)
class Share:
    """One source's part in a training stream; ``epochs`` is how often its tokens are used on average."""

    weight: float
    tokens_available: int
    tokens: int
    epochs: float


def check_names(config: MixtureConfig, sources: Iterable[str]) -> None:
    """InputError unless mixture.weights names exactly the sources."""
    names = set(sources)
    for name in sorted(names - set(config.weights)):
        raise InputError(f"mixture.weights: source {name!r} has no weight; add one (0 leaves it out) so that they sum to 1")
    for name in sorted(set(config.weights) - names):
        raise InputError(f"mixture.weights: {name!r} is not a source; add it to sources or remove its weight")


def plan(config: MixtureConfig, wanted_tokens: int, tokens_available: Mapping[str, int]) -> dict[str, Share]:
    """How many tokens each source gives to a stream of ``wanted_tokens``; InputError if a weighted source has none."""
    shares = {}
    for name, weight in config.weights.items():
        available = tokens_available.get(name, 0)
        if weight and not available:
            raise InputError(f"mixture.weights.{name} is {weight}, but nothing of that source was kept; set it to 0")
        tokens = round(weight * wanted_tokens)
        shares[name] = Share(weight, available, tokens, tokens / available if available else 0.0)
    return shares


def warnings(config: MixtureConfig, shares: Mapping[str, Share]) -> list[str]:
    """One line for each source that is repeated more often than ``max_epochs``."""
    return [
        f"source {name} is repeated {share.epochs:.1f} times (mixture.max_epochs {config.max_epochs:g}): lower its weight or add text"
        for name, share in shares.items()
        if share.epochs > config.max_epochs
    ]
