"""Log-likelihood of given continuations: each shared beginning is read once, and the head runs on answer tokens alone.

A score depends neither on the batch nor on how many answers are scored at once, but for rounding (below 1e-5 nats in fp32).
"""

# Shapes: N requests, B rows, T tokens of a row, P of the trunk, S = P + T, D d_model, V vocab_size, A answer tokens,
# Q places that the head runs on.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from components.evaluation.cached_forward import Past, extend, forward, no_past
from components.evaluation.config import Normalization
from components.evaluation.prefix_tree import ROW_TOKENS, Grove, PrefixTree, Row, batched
from components.transformer.model import GPT

HEAD_PLACES = 256  # at once; bounds memory to so many rows of logits


Place = tuple[int, int]
"""Row of a batch, and place in it: that of a token of its trunk or its own."""


@dataclass(frozen=True)
class Request:
    """Token ids of a context (at least one) and of the continuation after it (at least one)."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    @property
    def read(self) -> tuple[int, ...]:
        """What the model must read to predict every token of the continuation."""
        return self.context + self.continuation[:-1]


@dataclass(frozen=True)
class Scores:
    """By request."""

    log_likelihoods: np.ndarray
    """log P(continuation | context) [nats], float64 N."""
    greedy: np.ndarray
    """Whether each token of the continuation is the likeliest one at its place, bool N."""


@torch.inference_mode()
def log_likelihoods(model: GPT, requests: Sequence[Request], batch_sequences: int) -> Scores:
    """Score all requests; ``batch_sequences`` rows of 128 tokens are read at once, fewer where rows are longer.

    Raises:
        InputError: a request has no context, no continuation or does not fit the context length.
    """
    for request in requests:
        _check(request, model.config.context_length)
    askers: dict[tuple[int, ...], list[int]] = {}
    for number, request in enumerate(requests):
        askers.setdefault(request.read, []).append(number)
    tree = PrefixTree(sorted(askers))
    scores = Scores(np.zeros(len(requests)), np.ones(len(requests), np.bool_))
    head = _Head(model, scores)
    for rows, past in _batches(model, tree, tree.grove(), no_past(model), batch_sequences * ROW_TOKENS):
        head.run(rows, past, _wanted(rows, tree, askers, requests))
    refuse_nan(scores.log_likelihoods)
    return scores


def total_log_likelihoods(model: GPT, groups: Sequence[Sequence[Request]], batch_sequences: int) -> Scores:
    """Scores of groups of requests, one or more in each: the sum of their log-likelihoods, and whether all of them are greedy."""
    found = log_likelihoods(model, [request for group in groups for request in group], batch_sequences)
    starts = np.cumsum([0, *(len(group) for group in groups)])[:-1]
    return Scores(np.add.reduceat(found.log_likelihoods, starts), np.logical_and.reduceat(found.greedy, starts))


def refuse_nan(scores: Tensor | np.ndarray) -> None:
    """InputError if any score is no number; ``argmax`` would take one for an answer."""
    if torch.isnan(torch.as_tensor(scores)).any():
        raise InputError("the model gives NaN scores; its weights are damaged or its training diverged")


def _check(request: Request, context_length: int) -> None:
    if not request.context or not request.continuation:
        raise InputError(
            f"a text to score is empty (context of {len(request.context)}, continuation of {len(request.continuation)} tokens)"
        )
    if len(request.read) > context_length:
        raise InputError(
            f"a text of {len(request.read) + 1} tokens does not fit the context of {context_length}; cut it before it is scored"
        )


def _batches(model: GPT, tree: PrefixTree, grove: Grove, past: Past, max_tokens: int) -> Iterator[tuple[list[Row], Past]]:
    """Rows to read at once, and the trunk to read them after."""
    rows = [tree.row(part, grove.trunk) for part in grove.rows]
    yield from ((batch, past) for batch in batched(rows, max_tokens))
    for deeper in grove.groves:
        first = deeper
        while not first.rows:
            first = first.groves[0]
        trunk = tree.sequences[first.rows[0].start][grove.trunk : deeper.trunk]
        yield from _batches(model, tree, deeper, extend(model, past, trunk), max_tokens)


def _read(model: GPT, rows: Sequence[Row], past: Past, places: Sequence[Place]) -> Tensor:
    """One forward pass: the last hidden states [Q, D] at the places."""
    asked_BA, columns = _asked(places, len(rows), past.length)
    arrays = (*_laid_out(rows, past.length), asked_BA)
    tokens_BT, depths_BT, reads_BTS, asked = (torch.from_numpy(array).to(past.hidden_PD.device) for array in arrays)
    hidden_BAD, _ = forward(model, tokens_BT, depths_BT, reads_BTS, past, asked)
    together = torch.cat([past.hidden_PD.expand(len(rows), -1, -1), hidden_BAD], dim=1)
    return together[[row for row, _ in places], columns]


def _laid_out(rows: Sequence[Row], trunk: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens and depths [B, T], and what each token reads [B, T, S]. Padding reads the first place, and nothing reads padding."""
    longest = max(1, *(len(row.tokens) for row in rows))
    tokens_BT, depths_BT = np.zeros((2, len(rows), longest), np.int64)
    reads_BTS = np.zeros((len(rows), longest, trunk + longest), np.bool_)
    for number, row in enumerate(rows):
        length = len(row.tokens)
        tokens_BT[number, :length], depths_BT[number, :length] = row.tokens, row.depths
        reads_BTS[number, :length, : trunk + length] = row.reads()
        reads_BTS[number, length:, 0] = True
    return tokens_BT, depths_BT, reads_BTS


def _asked(places: Sequence[Place], num_rows: int, trunk: int) -> tuple[np.ndarray, list[int]]:
    """The places beyond the trunk row by row, padded [B, A]; and where each place is found once those are all that follow the trunk."""
    asked: list[list[int]] = [[] for _ in range(num_rows)]
    columns = []
    for row, place in places:
        columns.append(place if place < trunk else trunk + len(asked[row]))
        if place >= trunk:
            asked[row].append(place - trunk)
    asked_BA = np.zeros((num_rows, max(1, *map(len, asked))), np.int64)
    for row, own in enumerate(asked):
        asked_BA[row, : len(own)] = own
    return asked_BA, columns


@dataclass(frozen=True)
class _Wanted:
    """One answer token: the row and place that predict it."""

    row: int
    place: int
    token: int
    request: int


def _wanted(rows: Sequence[Row], tree: PrefixTree, askers: dict[tuple[int, ...], list[int]], requests: Sequence[Request]) -> list[_Wanted]:
    wanted = []
    for number, row in enumerate(rows):
        for sequence, path in zip(row.part, row.paths, strict=True):
            for asker in askers[tree.sequences[sequence]]:
                answer = requests[asker].continuation
                wanted += [_Wanted(number, int(place), token, asker) for place, token in zip(path[-len(answer) :], answer, strict=True)]
    return sorted(wanted, key=lambda one: (one.row, one.place))


class _Head:
    """The output layer, run once on each place that predicts an answer token."""

    def __init__(self, model: GPT, scores: Scores) -> None:
        self.model, self.scores = model, scores

    def run(self, rows: Sequence[Row], past: Past, wanted: Sequence[_Wanted]) -> None:
        """Read one batch and add its answer tokens to the scores."""
        places = list(dict.fromkeys((one.row, one.place) for one in wanted))
        number_of = {place: number for number, place in enumerate(places)}
        numbers = np.array([number_of[one.row, one.place] for one in wanted])
        hidden_QD = _read(self.model, rows, past, places)
        for first in range(0, len(places), HEAD_PLACES):
            start, stop = np.searchsorted(numbers, [first, first + HEAD_PLACES])
            self._add(wanted[start:stop], numbers[start:stop] - first, hidden_QD[first : first + HEAD_PLACES])

    def _add(self, wanted: Sequence[_Wanted], numbers: np.ndarray, hidden_QD: Tensor) -> None:
        logits_QV = self.model.logits(hidden_QD)
        place_A = torch.from_numpy(numbers).to(logits_QV.device)
        token_A = torch.tensor([one.token for one in wanted], device=logits_QV.device)
        logprob_A = logits_QV[place_A, token_A].double() - logits_QV.logsumexp(-1).double()[place_A]
        greedy_A = (logits_QV.argmax(-1)[place_A] == token_A).cpu().numpy()
        asker_A = np.array([one.request for one in wanted])
        np.add.at(self.scores.log_likelihoods, asker_A, logprob_A.cpu().numpy())
        np.logical_and.at(self.scores.greedy, asker_A, greedy_A)


def normalized(logprob: float, answer: str, num_tokens: int, unconditional: float, normalization: Normalization) -> float:
    """The score by which candidate answers are compared; characters are those of the answer without its leading space."""
    match normalization:
        case "sum":
            return logprob
        case "per_token":
            return logprob / num_tokens
        case "per_character":
            return logprob / max(1, len(answer.strip()))
        case "unconditional":
            return logprob - unconditional
