"""Log-likelihood of given continuations.

Inputs are padded on the right only, and a causal model reads nothing to its right, so a score does not depend on its
batch but for rounding. A continuation whose input is the beginning of another's needs no forward pass of its own: all
one-token answers to a prompt share a single one.
"""

# Shapes: B sequences of a batch, T positions, D d_model, A answer tokens, V vocab_size.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from components.evaluation.config import Normalization
from components.transformer.model import GPT


@dataclass(frozen=True)
class Continuation:
    """Token ids of a prompt (at least one) and of the answer after it (at least one)."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def read(self) -> tuple[int, ...]:
        """What the model must read to predict every answer token."""
        return self.prompt + self.answer[:-1]


def continuation_logprobs(model: GPT, continuations: Sequence[Continuation], batch_sequences: int) -> np.ndarray:
    """log P(answer | prompt) [nats] of each, float64, summed over the answer's tokens. The head runs on these alone.

    Inputs must fit the context length.
    """
    waiting = _by_covering_input([continuation.read for continuation in continuations])
    logprobs = np.empty(len(continuations))
    for read, hidden_TD in hidden_states(model, list(waiting), batch_sequences):
        for number in waiting[read]:
            prompt, answer = continuations[number].prompt, continuations[number].answer
            answer_A = torch.tensor(answer, device=hidden_TD.device)
            logits_AV = model.logits(hidden_TD[len(prompt) - 1 : len(prompt) - 1 + len(answer)])
            logprobs_A = logits_AV.log_softmax(-1).gather(1, answer_A[:, None])
            logprobs[number] = float(logprobs_A.double().sum())
    return logprobs


def hidden_states(model: GPT, inputs: Sequence[tuple[int, ...]], batch_sequences: int) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Last hidden states [T, D] of each input; batches hold inputs of like length, so the order is not that of ``inputs``."""
    device = model.token_embedding.weight.device
    ordered = sorted(inputs, key=len)
    for first in range(0, len(ordered), batch_sequences):
        batch = ordered[first : first + batch_sequences]
        longest = len(batch[-1])
        tokens_BT = torch.tensor([tokens + (0,) * (longest - len(tokens)) for tokens in batch], device=device)
        hidden_BTD = model.hidden(tokens_BT)
        yield from ((tokens, hidden_TD[: len(tokens)]) for tokens, hidden_TD in zip(batch, hidden_BTD, strict=True))


def _by_covering_input(inputs: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], list[int]]:
    """Inputs that begin no other input -> numbers of the inputs that begin them, themselves included."""
    numbers: dict[tuple[int, ...], list[int]] = {}
    covering: tuple[int, ...] = ()
    # In descending order an input comes right after the longer ones that it begins.
    for number in sorted(range(len(inputs)), key=lambda number: inputs[number], reverse=True):
        if covering[: len(inputs[number])] != inputs[number]:
            covering = inputs[number]
        numbers.setdefault(covering, []).append(number)
    return numbers


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
