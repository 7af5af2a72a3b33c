"""Texts -> token ids to score, cut as lm-evaluation-harness cuts them, so that scores can be compared item by item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.errors import InputError
from components.evaluation.scoring import Request

EncodeBatch = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True)
class Encoded:
    """A request that fits the context, and how many tokens were cut off its beginning."""

    request: Request
    cut_tokens: int
    rest: tuple[Request, ...] = ()
    """Further windows of a continuation that is longer than the context; their log-likelihoods add up."""

    @property
    def num_tokens(self) -> int:
        """Of the whole continuation."""
        return sum(len(one.continuation) for one in (self.request, *self.rest))


def encode_pairs(
    encode: EncodeBatch, prefix: Sequence[int], end_of_text: int, pairs: Sequence[tuple[str, str]], context_length: int
) -> list[Encoded]:
    """Encode (context, continuation) pairs.

    White space that ends a context begins its continuation instead, and the two are encoded as one text, of which the
    continuation is what comes after the tokens of the context alone: so is text cut into tokens where the model meets it.
    What is longer than the context length loses its *beginning*, after the prefix; the continuation is never cut: one that is longer
    than the context itself is read in windows of half the context, each after as much of what stands before it as fits.

    Args:
        encode: many texts -> their token ids.
        prefix: put before every context: nothing, as lm-evaluation-harness does for GPT-2, or ``<|endoftext|>``.
        end_of_text: stands for an empty context.
        pairs: texts.
        context_length: of the model [tokens].

    Raises:
        InputError: a continuation has no tokens.
    """
    moved = [_with_space_moved(context, continuation) for context, continuation in pairs]
    contexts = encode([context for context, _ in moved])
    wholes = encode([context + continuation for context, continuation in moved])
    return [
        _fitted(tuple(prefix) or ((end_of_text,) if not context else ()), context, whole[len(context) :], context_length, pair)
        for context, whole, pair in zip(contexts, wholes, pairs, strict=True)
    ]


def _with_space_moved(context: str, continuation: str) -> tuple[str, str]:
    bare = context.rstrip()
    return bare, context[len(bare) :] + continuation


def _fitted(
    prefix: tuple[int, ...], context: Sequence[int], continuation: Sequence[int], context_length: int, pair: tuple[str, str]
) -> Encoded:
    if not continuation:
        raise InputError(f"the answer {pair[1]!r} adds no token to {pair[0][-40:]!r}; give it text")
    window = len(continuation) if len(continuation) <= context_length else max(1, context_length // 2)
    excess = max(0, len(prefix) + len(context) + window - context_length - 1)
    first = Request((*prefix, *context[excess:]), tuple(continuation[:window]))
    text = (*context, *continuation)
    rest = []
    for start in range(len(context) + window, len(text), window):
        stop = min(start + window, len(text))
        rest.append(Request(text[max(0, stop - context_length - 1) : start], text[start:stop]))
    return Encoded(first, excess, tuple(rest))
