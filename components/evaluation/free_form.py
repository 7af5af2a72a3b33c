"""Greedy free-form answers, judged by exact match (GPT-3 section 3.9; beam search is left out, answers are a few tokens long).

The verdict is that of plain greedy decoding, one token after the other until a newline, the end of the text, or the
token limit. To reach it in few passes, the first pass reads the prompt together with the right answer: where the
model would have chosen each next token of it, all are confirmed at once. And an answer that has left the right one
for good is not decoded to its end.
"""

# Shapes: T positions, D d_model, V vocab_size.

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from components.evaluation.scoring import refuse_nan
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.model import GPT


class _Answer:
    """The answer to one prompt so far."""

    def __init__(self, prompt: tuple[int, ...], target: str, draft: list[int]) -> None:
        self.prompt, self.target = prompt, target
        self.tokens: list[int] = []
        self.draft = draft
        self.matches: bool | None = None
        """None while it is open."""

    @property
    def read(self) -> tuple[int, ...]:
        return (*self.prompt, *self.tokens, *self.draft)


def greedy_answers(
    model: GPT,
    tokenizer: BytePairTokenizer,
    prompts: Sequence[tuple[int, ...]],
    targets: Sequence[str],
    max_answer_tokens: int,
    batch_sequences: int,
) -> list[str]:
    """The greedy answer to each prompt, without white space around it: the target itself, or as much as it takes to differ from it.

    A prompt and ``max_answer_tokens`` together must fit the context length.
    """
    drafts = [ids[: max_answer_tokens - 1] for ids in tokenizer.encode_batch(list(targets))]
    answers = [_Answer(prompt, target.strip(), draft) for prompt, target, draft in zip(prompts, targets, drafts, strict=True)]
    while waiting := [answer for answer in answers if answer.matches is None]:
        by_input: dict[tuple[int, ...], list[_Answer]] = {}
        for answer in waiting:
            by_input.setdefault(answer.read, []).append(answer)
        for read, hidden_TD in hidden_states(model, list(by_input), batch_sequences):
            for answer in by_input[read]:
                known = len(answer.prompt) + len(answer.tokens)
                logits_TV = model.logits(hidden_TD[known - 1 :])
                refuse_nan(logits_TV)
                _extend(answer, logits_TV.argmax(-1).tolist(), tokenizer, max_answer_tokens)
    return [answer.target if answer.matches else _said(answer, tokenizer)[0] for answer in answers]


def _extend(answer: _Answer, chosen: Sequence[int], tokenizer: BytePairTokenizer, max_answer_tokens: int) -> None:
    """Take over the model's next tokens as far as the draft went along with them, and one more."""
    for token, drafted in zip(chosen, [*answer.draft, None], strict=True):
        answer.tokens.append(token)
        _judge(answer, tokenizer, max_answer_tokens)
        if answer.matches is not None or token != drafted:
            break
    answer.draft = []


def _judge(answer: _Answer, tokenizer: BytePairTokenizer, max_answer_tokens: int) -> None:
    text, ended = _said(answer, tokenizer)
    if ended or len(answer.tokens) == max_answer_tokens:
        answer.matches = text == answer.target
    elif not answer.target.startswith(text.rstrip("\ufffd")):  # the last character may be half decoded
        answer.matches = False


def _said(answer: _Answer, tokenizer: BytePairTokenizer) -> tuple[str, bool]:
    """The text so far, and whether it is at its end."""
    ended = answer.tokens[-1] == tokenizer.end_of_text
    text, newline, _ = tokenizer.decode(answer.tokens[:-1] if ended else answer.tokens).partition("\n")
    return text.strip(), ended or bool(newline)


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
