"""Which column of a table of runs holds which quantity, and in which unit, told from its name as people write it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.errors import InputError

NAMES = {
    "n_params": (
        *("n", "nparams", "params", "nparameters", "parameters", "numparams", "numparameters", "paramstotal", "totalparams"),
        *("modelsize", "modelparams", "parametercount", "paramcount", "size"),
        *("paramsnonembedding", "parametersnonembedding", "nonembeddingparams", "paramsnoembed"),
    ),
    "n_tokens": (
        "d",
        "ntokens",
        "tokens",
        "numtokens",
        "traintokens",
        "trainingtokens",
        "totaltokens",
        "tokensseen",
        "datasetsize",
        "data",
    ),
    "flops": ("c", "flops", "flop", "trainflops", "trainingflops", "trainingflop", "totalflops", "compute", "budget", "computebudget"),
    "loss_nats": ("loss", "finalloss", "valloss", "validationloss", "evalloss", "testloss", "heldoutloss", "crossentropy"),
}
"""Quantity -> names of columns that mean it, small letters and digits only, the likeliest first."""
MARKS = {
    "n_params": {"params", "param", "parameters"},
    "n_tokens": {"tokens"},
    "flops": {"flops", "flop", "compute"},
    "loss_nats": {"loss", "ppl", "perplexity"},
}
"""Quantity -> words one of which the name of a column has that may mean it, where no name of ``NAMES`` is there."""
NOT_MEANT = {
    "per",
    "ratio",
    "std",
    "sd",
    "se",
    "stderr",
    "err",
    "error",
    "min",
    "max",
    "delta",
    "predicted",
    "pred",
    "fit",
    "batch",
    "step",
}
OPTIONS = {"n_params": "--n-params-column", "n_tokens": "--n-tokens-column", "flops": "--flops-column", "loss_nats": "--loss-column"}
UNITS = {
    **dict.fromkeys(("k", "thousand", "thousands", "kilo"), 1e3),
    **dict.fromkeys(("m", "mn", "million", "millions", "mega"), 1e6),
    **dict.fromkeys(("b", "g", "bn", "billion", "billions", "giga"), 1e9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions", "tera"), 1e12),
    **{"peta": 1e15, "exa": 1e18, "zetta": 1e21, "pfdays": 8.64e19},
}
"""Word in the name of a column of N, D or C -> how many it stands for."""
PREFIXES = {"k": "kilo", "m": "mega", "g": "giga", "t": "tera", "p": "peta", "e": "exa", "z": "zetta"}
PREFIXED = re.compile(rf"(?<![a-z])({'|'.join([*PREFIXES.values(), *PREFIXES])})(flops?)(?![a-z])")
PF_DAYS = re.compile(r"(?<![a-z])(?:pf|pflops?|petaflops?)(?:[ _/-]*s)?[ _/-]*days?(?![a-z])")
POWER = re.compile(r"10\s*(?:\^|\*\*)\s*(\d+)")
PERPLEXITY = {"ppl", "perplexity"}
BITS = {"bits", "bit", "bpb", "bpc", "bpt"}


def find_columns(path: Path, header: Sequence[str], named: Mapping[str, str | None]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Quantity -> the column that holds it, and what was guessed.

    Args:
        named: quantity -> name of its column; None looks for the usual names.

    Raises:
        InputError: a named column is missing or there twice; several columns, or none, may hold what is needed.
    """
    found: dict[str, str] = {}
    warnings: list[str] = []
    for quantity in NAMES:
        wanted = named.get(quantity)
        if wanted is not None:
            if header.count(wanted) != 1:
                count = header.count(wanted) or "no"
                raise InputError(f"{path}: has {count} column {wanted!r}, only {', '.join(header)}; mend {OPTIONS[quantity]}")
            found[quantity] = wanted
        elif guess := _usual(path, header, quantity, warnings) or _only_marked(path, header, quantity, warnings):
            found[quantity] = guess
    if "loss_nats" not in found:
        raise InputError(f"{path}: no column of losses among {', '.join(header)}; name it with --loss-column")
    if "flops" not in found and not {"n_params", "n_tokens"} <= set(found):
        options = ", ".join(list(OPTIONS.values())[:3])
        raise InputError(f"{path}: needs columns of N and D, or of C, has {', '.join(header)}; name them with {options}")
    return found, tuple(warnings)


def _usual(path: Path, header: Sequence[str], quantity: str, warnings: list[str]) -> str | None:
    """The column of the likeliest usual name."""
    names = NAMES[quantity]
    likely = sorted((names.index(key), name) for name in header if (key := _key(name)) in names)
    if not likely:
        return None
    found = likely[0][1]
    if header.count(found) > 1:
        raise InputError(f"{path}: has two columns {found!r}; rename one")
    if len(likely) > 1:
        others = ", ".join(name for _, name in likely[1:])
        warnings.append(f"{quantity} is read from column {found!r}, not from {others}; {OPTIONS[quantity]} names another")
    return found


def _only_marked(path: Path, header: Sequence[str], quantity: str, warnings: list[str]) -> str | None:
    """The column that alone has a word of the quantity in its name."""
    likely = [name for name in header if MARKS[quantity] & set(words(name)) and not NOT_MEANT & set(words(name))]
    if len(likely) > 1:
        raise InputError(f"{path}: any of {', '.join(map(repr, likely))} may hold {quantity}; name one with {OPTIONS[quantity]}")
    if likely:
        warnings.append(f"{quantity} is read from column {likely[0]!r}, the only one of such a name; {OPTIONS[quantity]} names another")
    return likely[0] if likely else None


def unit(name: str) -> float | None:
    """How many the unit in the name of a column of N, D or C stands for. One letter alone names a quantity, not its unit."""
    found = _unit_word(name)
    return _factor(found) if found else None


def _factor(word: str) -> float | None:
    return float(word) if re.fullmatch(r"1e\d+", word) else UNITS.get(word)


def _unit_word(name: str) -> str:
    parts = words(name)
    return next((word for word in reversed(parts) if _factor(word) and (len(word) > 1 or len(parts) > 1)), "")


def _key(name: str) -> str:
    """The words of a name without units."""
    return "".join(word for word in words(name) if word not in (_unit_word(name), "in", "of", "nats", "x"))


def words(name: str) -> list[str]:
    """Small words of a name; ``trainGFLOPs``, ``10^9`` and ``PF-days`` are taken apart or together as they are meant."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    split = POWER.sub(r" 1e\1 ", PF_DAYS.sub(" pfdays ", split))
    split = PREFIXED.sub(lambda found: f" {PREFIXES.get(found[1], found[1])} {found[2]} ", split)
    return re.findall(r"[a-z0-9]+", split)
