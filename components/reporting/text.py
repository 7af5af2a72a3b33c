"""Numbers as a reader wants them: a fixed number of digits, a unit, no locale."""

import math

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGE_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def large(value: float, digits: int = 3) -> str:
    """A count in so many digits with k, M, G or T: 3.00M, 412, 56.2k."""
    for unit, letter in LARGE_UNITS:
        if abs(value) >= unit * 0.9995:
            scaled = float(f"{value / unit:.{digits}g}")
            return f"{scaled:.{max(0, digits - len(str(int(scaled))))}f}{letter}"
    return f"{value:.0f}"


def power(value: float, digits: int = 2) -> str:
    """A number in scientific notation, 4.20×10¹³; without digits a power of ten is 10¹³."""
    exponent = math.floor(math.log10(value))
    mantissa = f"{value / 10**exponent:.{digits}f}"
    if float(mantissa) == 10:
        mantissa, exponent = f"{1:.{digits}f}", exponent + 1
    factor = "" if mantissa == "1" else f"{mantissa}×"
    return f"{factor}10{str(exponent).translate(SUPERSCRIPTS)}"


def signed(value: float, digits: int) -> str:
    """With a plus or a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share as a percentage with one decimal; the space does not break."""
    return f"{100 * share:.1f}\u00a0%"


def interval(low: float, high: float, digits: int = 3) -> str:
    """Both ends, with one number of digits."""
    return f"{low:.{digits}f} to {high:.{digits}f}"


def metric(key: str) -> str:
    """A metric's key as words with their unit."""
    return {"loss_nats": "loss, nats per token"}.get(key, words(key))


def words(name: str) -> str:
    """An identifier as words."""
    return name.replace("_", " ")


def count(number: int, noun: str) -> str:
    """``1 task``, ``4 tasks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
