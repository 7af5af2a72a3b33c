"""The loops between the matrix products on a CPU, compiled by numba: one pass over memory where torch's operations take up to ten.

Arithmetic is in float32 whatever the arrays hold; numpy has no bfloat16, so such a tensor comes as its bits, uint16. On one
thread, so that sums have one order. Powers are of 2: exp2 is a polynomial here, right to 3e-7 (relative), as torch's is to 1e-7.
"""

# Shapes: P elements, M positions, W width, C positions of one chunk, V vocab_size, N heads of all sequences,
# R queries of one block, E keys; B batch, T positions, H heads, K width of one head.

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import torch
from numba.extending import overload
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])

_LOG2_E = np.float32(math.log2(math.e))
_GELU_SLOPE = np.float32(math.sqrt(8 / math.pi))  # 0.5 x (1 + tanh(u)) = x sigmoid(2 u), 2 u = _GELU_SLOPE (x + _GELU_CUBE x^3)
_GELU_CUBE = np.float32(0.044715)
_ONE, _THREE = np.float32(1), np.float32(3)
_LEAST = np.float32(-126)  # exponent of the smallest normal float32
_ROUNDING = np.float32(1.5 * 2**23)  # added to a number, leaves its nearest integer in the last bits
_C1, _C2, _C3, _C4, _C5, _C6 = (np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))
_MANTISSA_BITS, _HALF_BITS = np.uint32(23), np.uint32(16)
_SIGN_BIT, _ALL_BUT_SIGN = np.int32(31), np.int32(0x7FFFFFFF)
_SQUARES = 4096  # summed in float32 before they are added in float64
_BELOW_HALF, _LAST_BIT = np.uint32(0x7FFF), np.uint32(1)


def floats(tensor: Tensor) -> np.ndarray:
    """The memory of a contiguous float32 or bfloat16 tensor, as the kernels take it."""
    tensor = tensor.detach()
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def are_for(tensor: Tensor) -> bool:
    """Whether the kernels compute on such a tensor."""
    return not tensor.is_cuda and tensor.dtype in (torch.float32, torch.bfloat16)


def product_type(weight: Tensor) -> torch.dtype:
    """In which a matrix product with ``weight`` is computed on a CPU."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype


def _kernel(*may: str) -> Callable[[F], F]:
    """Compile at the first call, once for a machine. ``may``: what LLVM may do to floats; a product and a sum may always be one."""

    def compiled(function: F) -> F:
        return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", *may})(function))

    return compiled


def _get(values: np.ndarray, place: int) -> Any:
    """The float at ``place``; for kernels alone."""


def _put(values: np.ndarray, place: int, value: Any) -> None:
    """Write the float to ``place``, rounded to the nearest, to even between two; for kernels alone."""


@overload(_get, strict=False)
def _get_of(values: Any, place: Any) -> Any:
    if values.dtype == numba.uint16:
        return lambda values, place: np.uint32(np.uint32(values[place]) << _HALF_BITS).view(np.float32)
    return lambda values, place: values[place]


@overload(_put, strict=False)
def _put_to(values: Any, place: Any, value: Any) -> Any:
    if values.dtype == numba.uint16:

        def put(values: Any, place: Any, value: Any) -> None:
            bits = np.float32(value).view(np.uint32)
            is_odd = np.uint32(np.uint32(bits >> _HALF_BITS) & _LAST_BIT)
            values[place] = np.uint16(np.uint32(bits + np.uint32(_BELOW_HALF + is_odd)) >> _HALF_BITS)

        return put

    def put_float(values: Any, place: Any, value: Any) -> None:
        values[place] = value

    return put_float


@_kernel()
def _exp2(power: Any) -> Any:
    """2^power for powers up to 127; those below -126 count as that. NaN stays NaN."""
    power = _LEAST if power < _LEAST else power
    rounded = np.float32(power + _ROUNDING)
    rest = power - (rounded - _ROUNDING)
    series = np.float32(_ONE + rest * (_C1 + rest * (_C2 + rest * (_C3 + rest * (_C4 + rest * (_C5 + rest * _C6))))))
    return np.uint32(series.view(np.uint32) + np.uint32(rounded.view(np.uint32) << _MANTISSA_BITS)).view(np.float32)


@_kernel("arcp")
def gelu(x: np.ndarray, bias: np.ndarray, y: np.ndarray, slope: np.ndarray) -> None:
    """y = GELU(x + bias), its tanh form, and its derivative ``slope``; all [M, W] but for the bias, [W]."""
    for row in range(len(x)):
        x_row, y_row, slope_row = x[row], y[row], slope[row]
        for place in range(x_row.size):
            value = _get(x_row, place) + _get(bias, place)
            square = value * value
            power = -_GELU_SLOPE * _LOG2_E * value * (_ONE + _GELU_CUBE * square)
            sigmoid = _ONE / (_ONE + _exp2(-_LEAST if power > -_LEAST else power))
            product = value * sigmoid
            _put(y_row, place, product)
            _put(slope_row, place, sigmoid + _GELU_SLOPE * (product - product * sigmoid) * (_ONE + _THREE * _GELU_CUBE * square))


@_kernel()
def gelu_gradient(gradient: np.ndarray, slope: np.ndarray, x_gradient: np.ndarray, bias_gradient: np.ndarray) -> None:
    """x_gradient = gradient * slope, all [M, W]; its sum over the positions is added to ``bias_gradient``, float32 [W]."""
    for row in range(len(gradient)):
        gradient_row, slope_row, x_row = gradient[row], slope[row], x_gradient[row]
        for place in range(gradient_row.size):
            value = _get(gradient_row, place) * _get(slope_row, place)
            _put(x_row, place, value)
            bias_gradient[place] += value


@_kernel("reassoc")
def add(total: np.ndarray, part: np.ndarray) -> tuple[float, float, float]:
    """total += part, both [P]; the sums of squares of ``total`` as it was, of ``part``, and of ``total`` as it is now."""
    before, own, after = np.float64(0), np.float64(0), np.float64(0)
    for start in range(0, total.size, _SQUARES):
        total_piece, part_piece = total[start : start + _SQUARES], part[start : start + _SQUARES]
        squares_before, squares_own, squares_after = np.float32(0), np.float32(0), np.float32(0)
        for place in range(total_piece.size):
            old, added = _get(total_piece, place), _get(part_piece, place)
            new = old + added
            _put(total_piece, place, new)
            squares_before += old * old
            squares_own += added * added
            squares_after += new * new
        before += squares_before
        own += squares_own
        after += squares_after
    return before, own, after


@_kernel()
def softmax_errors(logits: np.ndarray, vocab_size: int, targets: np.ndarray, factor: float) -> float:
    """The summed cross-entropy [nats] of softmax(logits) against ``targets``; its gradient times ``factor`` overwrites the logits.

    Args:
        logits: [C, at least V]; what lies behind V is set to 0.
        vocab_size: V.
        targets: int64 [C]; an id outside 0 to V - 1 raises IndexError.
        factor: 1 for the gradient of the sum.
    """
    nats, powers = 0.0, np.empty(vocab_size, np.float32)
    for row in range(len(logits)):
        values, target = logits[row][:vocab_size], targets[row]
        logits[row][vocab_size:] = 0
        if target < 0 or target >= len(values):
            raise IndexError("a target id is outside the vocabulary")
        most, logit = _most(values), _get(values, target)
        total = _powers(values, most, _LOG2_E, powers)
        nats += math.log(total) + most - logit
        scale = np.float32(factor) / total
        _scale(values, powers, scale)
        _put(values, target, powers[target] * scale - np.float32(factor))
    return nats


@_kernel()
def split_heads(product: np.ndarray, bias: np.ndarray, heads: np.ndarray) -> None:
    """heads = product + bias: [B, T, 3, H, K] and [3, H, K] -> [3, B, H, T, K]."""
    for sequence in range(product.shape[0]):
        for position in range(product.shape[1]):
            for part in range(3):
                for head in range(product.shape[3]):
                    row, added, out = product[sequence, position, part, head], bias[part, head], heads[part, sequence, head, position]
                    for place in range(row.size):
                        _put(out, place, _get(row, place) + _get(added, place))


@_kernel()
def join_heads(heads: np.ndarray, joined: np.ndarray, bias_gradient: np.ndarray) -> None:
    """The way back for gradients: [3, B, H, T, K] -> [B, T, 3, H, K], and their sums are added to float32 [3, H, K]."""
    for sequence in range(joined.shape[0]):
        for position in range(joined.shape[1]):
            for part in range(3):
                for head in range(joined.shape[3]):
                    row, out = heads[part, sequence, head, position], joined[sequence, position, part, head]
                    total = bias_gradient[part, head]
                    for place in range(row.size):
                        _put(out, place, _get(row, place))
                        total[place] += _get(row, place)


@_kernel()
def causal_softmax(scores: np.ndarray, scale: float) -> None:
    """Softmax of scores * scale, in place, [N, R, E]: the last query is as far on as the last key, no query reads a later key."""
    heads, queries, keys = scores.shape
    powers = np.empty(keys, np.float32)
    for head in range(heads):
        for query in range(queries):
            row = scores[head, query]
            readable = row[: keys - queries + query + 1]
            total = _powers(readable, _most(readable), np.float32(scale) * _LOG2_E, powers)
            _scale(readable, powers, _ONE / total)
            row[readable.size :] = 0


@_kernel("reassoc")
def causal_softmax_gradient(gradient: np.ndarray, probabilities: np.ndarray, scale: float) -> None:
    """In place: gradient of probabilities -> that of the scores that ``causal_softmax`` was given; both [N, R, E]."""
    heads, queries, keys = gradient.shape
    for head in range(heads):
        for query in range(queries):
            row, p = gradient[head, query], probabilities[head, query]
            readable, mean = keys - queries + query + 1, np.float32(0)
            for key in range(readable):
                mean += _get(row, key) * _get(p, key)
            for key in range(readable):
                _put(row, key, _get(p, key) * (_get(row, key) - mean) * np.float32(scale))
            row[readable:] = 0


@_kernel()
def _most(values: np.ndarray) -> Any:
    """The largest; NaN beats all. Compared as integers, of which the compiler takes 16 at a time."""
    most = _ordered(np.float32(_get(values, 0)).view(np.int32))
    for place in range(1, values.size):
        order = _ordered(np.float32(_get(values, place)).view(np.int32))
        most = order if order > most else most
    return np.int32(_ordered(most)).view(np.float32)


@_kernel()
def _ordered(bits: Any) -> Any:
    """Bits of a float <-> the integer that is in order with others as the floats are: below zero all bits but the sign are turned."""
    return np.int32(bits ^ np.int32(np.int32(bits >> _SIGN_BIT) & _ALL_BUT_SIGN))


@_kernel("reassoc")
def _powers(values: np.ndarray, most: Any, scale: Any, powers: np.ndarray) -> Any:
    """Write 2^((value - most) * scale) of each and return their sum."""
    total = np.float32(0)
    for place in range(values.size):
        power = _exp2((_get(values, place) - most) * scale)
        _put(powers, place, power)
        total += power
    return total


@_kernel()
def _scale(values: np.ndarray, powers: np.ndarray, factor: Any) -> None:
    for place in range(values.size):
        _put(values, place, powers[place] * factor)
