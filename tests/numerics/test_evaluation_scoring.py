"""Scores against one plain full forward pass per answer, and greedy answers against plain decoding."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from components.evaluation.free_form import greedy_answers
from components.evaluation.scoring import Request, log_likelihoods, normalized
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.model import GPT
from tests.configs import gpt_config
from tests.small_model import one_thread

CONTEXT = 24
TEXT = "the cat sat on the mat, then that cat ate the rat\nand so on; 12 plus 30 is 42 = a café\n" * 3


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    yield from one_thread()


@pytest.fixture(scope="module")
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(iter([TEXT]), 290)


@pytest.fixture(scope="module")
def model(tokenizer: BytePairTokenizer) -> GPT:
    torch.manual_seed(0)
    model = GPT(gpt_config(tokenizer.vocab_size, context_length=CONTEXT, num_layers=2, dropout=0.1)).eval()
    with torch.no_grad():
        model.token_embedding.weight.mul_(30)  # so that some tokens are far likelier than others
    return model


def naive_logprob(model: GPT, request: Request) -> float:
    tokens = request.context + request.continuation
    logprobs_TV = model(torch.tensor([tokens[:-1]]))[0].double().log_softmax(-1)
    first = len(request.context)
    return sum(float(logprobs_TV[place - 1, tokens[place]]) for place in range(first, len(tokens)))


def drawn_requests(vocab_size: int) -> list[Request]:
    """Prompts of many lengths up to the context, answers of one to five tokens; several answers begin one another."""
    draw = random.Random(0)
    requests = []
    for length in [1, 2, 7, 12, 19, 20]:
        prompt = tuple(draw.randrange(vocab_size) for _ in range(length))
        answer = tuple(draw.randrange(vocab_size) for _ in range(5))
        requests += [Request(prompt, answer[:size]) for size in (1, 2, 5)]
        requests += [Request(prompt, (token,)) for token in range(3)]
        requests.append(Request(prompt, (answer[0], 5, 6)))
    draw.shuffle(requests)
    return requests


@torch.inference_mode()
@pytest.mark.parametrize("batch_sequences", [1, 2, 5, 1000])
@pytest.mark.parametrize("at_once", [1, 4, 42])
def test_scores_equal_the_naive_ones_whatever_is_batched(model: GPT, batch_sequences: int, at_once: int) -> None:
    requests = drawn_requests(model.config.vocab_size)
    groups = [requests[first : first + at_once] for first in range(0, len(requests), at_once)]
    scores = np.concatenate([log_likelihoods(model, group, batch_sequences).log_likelihoods for group in groups])
    expected = [naive_logprob(model, request) for request in requests]
    assert np.abs(scores - expected).max() <= 1e-5
    assert np.ptp(expected) > 10  # the scores do differ


def test_normalizations() -> None:
    values = [normalized(-6.0, " abc", 2, -2.0, how) for how in ("sum", "per_token", "per_character", "unconditional")]  # type: ignore[arg-type]
    assert values == [-6.0, -3.0, -2.0, -4.0]


def naive_answer(model: GPT, tokenizer: BytePairTokenizer, prompt: tuple[int, ...], max_answer_tokens: int) -> tuple[str, list[int]]:
    tokens: list[int] = []
    for _ in range(max_answer_tokens):
        token = int(model(torch.tensor([[*prompt, *tokens]]))[0, -1].argmax())
        if token == tokenizer.end_of_text:
            break
        tokens.append(token)
        if "\n" in tokenizer.decode(tokens):
            break
    return tokenizer.decode(tokens).split("\n")[0].strip(), tokens


@torch.inference_mode()
@pytest.mark.parametrize("batch_sequences", [1, 7, 64])
@pytest.mark.parametrize("max_answer_tokens", [1, 3, 8])
def test_greedy_verdicts_equal_plain_decoding(
    model: GPT, tokenizer: BytePairTokenizer, batch_sequences: int, max_answer_tokens: int
) -> None:
    draw = random.Random(1)
    prompts = [tuple(draw.randrange(tokenizer.vocab_size) for _ in range(draw.randint(1, 17))) for _ in range(60)]
    answers = [naive_answer(model, tokenizer, prompt, max_answer_tokens) for prompt in prompts]
    targets, expected = [], []
    for number, (text, _) in enumerate(answers):
        target = [f" {text}", text + "x", text[:-1], f"y{text}"][number % 4]
        targets.append(target)
        expected.append(target.strip() == text)
    said = greedy_answers(model, tokenizer, prompts, targets, max_answer_tokens, batch_sequences)
    verdicts = [one == target.strip() for one, target in zip(said, targets, strict=True)]
    assert verdicts == expected
    assert all(text.startswith(one.rstrip("\ufffd")) for one, (text, _) in zip(said, answers, strict=True))
    assert 15 <= sum(verdicts) < 60
    if max_answer_tokens == 8:  # an answer may be cut into tokens otherwise than its target is
        assert any(v and tokenizer.encode(t) != tokens for v, t, (_, tokens) in zip(verdicts, targets, answers, strict=True))


class Scripted:
    """A model that says one row of tokens after the first, whatever is asked."""

    def __init__(self, script: list[int], vocab_size: int) -> None:
        self.script, self.vocab_size, self.passes = script, vocab_size, 0
        self.token_embedding = torch.nn.Embedding(1, 1)

    def hidden(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return torch.arange(tokens_BT.shape[1]).repeat(tokens_BT.shape[0], 1)[:, :, None]

    def logits(self, hidden_D: torch.Tensor) -> torch.Tensor:
        chosen = [self.script[int(place)] for place in hidden_D.flatten()]
        return torch.nn.functional.one_hot(torch.tensor(chosen), self.vocab_size).float()


@pytest.mark.parametrize(
    ("said", "target", "matches", "passes"),
    [
        (" the cat\n", " the cat", True, 1),  # the whole answer is confirmed by one pass
        (" the cat<end>", " the cat", True, 1),
        (" the cat sat", " the cat", False, 1),
        (" the rat\n", " the cat", False, 1),  # it has left the target for good and is decoded no further
        ("\n the cat", " the cat", False, 1),
        (" \n", "", True, 2),
        ("<bytes> café\n", " café", True, None),  # in single bytes, half a character at a time
        ("<bytes> cafe\n", " café", False, None),
    ],
)
def test_where_an_answer_ends(tokenizer: BytePairTokenizer, said: str, target: str, matches: bool, passes: int | None) -> None:
    if said.startswith("<bytes>"):
        of_byte = {tokenizer.decode([token]): token for token in range(257)}
        single = {"é": [token for token in range(257) if tokenizer.decode([token]) == "\ufffd"]}
        pair = next([a, b] for a in single["é"] for b in single["é"] if tokenizer.decode([a, b]) == "é")
        script = [token for char in said.removeprefix("<bytes>") for token in (pair if char == "é" else [of_byte[char]])]
    else:
        script = tokenizer.encode(said.removesuffix("<end>")) + [tokenizer.end_of_text] * said.endswith("<end>")
    model = Scripted(script + [tokenizer.end_of_text] * 20, tokenizer.vocab_size)
    [answer] = greedy_answers(model, tokenizer, [(3,)], [target], 12, 4)  # type: ignore[arg-type]
    assert (answer == target.strip()) == matches
    assert passes is None or model.passes == passes
