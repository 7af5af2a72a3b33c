"""Free answers: greedy, or by beam search with GPT-3's length penalty (section 2.4), each prompt read once."""

# Shapes: W beams, T tokens of an answer so far, P tokens of the prompt, S = P + T, V vocab_size.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.evaluation.cached_forward import Past, extend, forward, no_past
from components.evaluation.scoring import refuse_nan
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.model import GPT

LENGTH_OFFSET = 5  # Wu 2016, equation 14


@dataclass(frozen=True)
class Beam:
    """An answer so far."""

    tokens: tuple[int, ...]
    log_likelihood: float
    ended: bool

    def score(self, length_penalty: float) -> float:
        """log P / ((5 + length) / 6)^alpha (Wu 2016, equation 14)."""
        length: float = ((LENGTH_OFFSET + len(self.tokens)) / (LENGTH_OFFSET + 1)) ** length_penalty
        return self.log_likelihood / length


@torch.inference_mode()
def beam_answers(
    model: GPT, prompt: tuple[int, ...], beams: int, max_tokens: int, length_penalty: float, is_end: Callable[[tuple[int, ...]], bool]
) -> list[Beam]:
    """The best ``beams`` answers, best first; with one beam, the greedy one.

    Args:
        prompt: at least one token; with ``max_tokens`` it must fit the context length.
        is_end: whether an answer ends with its last token (a newline, ``<|endoftext|>``).
    """
    past = extend(model, no_past(model), prompt)
    alive, done = [Beam((), 0.0, ended=False)], []
    for _ in range(max_tokens):
        logprobs_WV = _next_logprobs(model, past, [beam.tokens for beam in alive])
        refuse_nan(logprobs_WV)
        grown = [
            Beam((*beam.tokens, token), beam.log_likelihood + logprob, ended=is_end((*beam.tokens, token)))
            for beam, row in zip(alive, logprobs_WV, strict=True)
            for logprob, token in zip(*(values.tolist() for values in row.topk(min(beams, len(row)))), strict=True)
        ]
        best = sorted(grown, key=lambda beam: (-beam.log_likelihood, beam.tokens))[:beams]
        done += [beam for beam in best if beam.ended]
        alive = [beam for beam in best if not beam.ended]
        if not alive or len(done) >= beams:
            break
    return sorted(done + alive, key=lambda beam: (-beam.score(length_penalty), beam.tokens))[:beams]


def _next_logprobs(model: GPT, past: Past, answers: Sequence[tuple[int, ...]]) -> Tensor:
    """Of every token after each of the answers, all of one length: [W, V]."""
    if not answers[0]:
        return model.logits(past.hidden_PD[-1:]).log_softmax(-1)
    tokens_WT = torch.tensor(answers, device=past.hidden_PD.device)
    depths_T = torch.arange(past.length, past.length + tokens_WT.shape[1], device=tokens_WT.device)
    reads_TS = torch.arange(past.length + tokens_WT.shape[1], device=tokens_WT.device) <= depths_T[:, None]
    shape = (len(answers), -1, -1)
    hidden_WTD, _ = forward(model, tokens_WT, depths_T.expand(len(answers), -1), reads_TS.expand(shape), past)
    return model.logits(hidden_WTD[:, -1]).log_softmax(-1)


def ends_line(tokenizer: BytePairTokenizer) -> Callable[[tuple[int, ...]], bool]:
    """An answer ends with ``<|endoftext|>`` or a newline."""

    def is_end(tokens: tuple[int, ...]) -> bool:
        return tokens[-1] == tokenizer.end_of_text or "\n" in tokenizer.decode(tokens)

    return is_end


def answer_text(tokenizer: BytePairTokenizer, tokens: Sequence[int]) -> str:
    """The answer without what ended it."""
    kept = [token for token in tokens if token != tokenizer.end_of_text]
    return tokenizer.decode(kept).partition("\n")[0].strip()
