"""Estimates of log pass rates against planted rates, and of sampled rates against the exact likelihood of an answer."""

import math

import numpy as np
import pytest
import torch

from components.capability.pass_rates import answer_logprobs, log_pass_rates, sampled_passes
from components.capability.problems import Problem
from components.capability.tokens import END_OF_LINE, VOCAB_SIZE, encode
from components.transformer.model import GPT
from tests.configs import gpt_config


def expectation(estimate, rate: float, samples: int) -> float:  # type: ignore[no-untyped-def]
    """Exact mean of an estimate of log p over the binomial number of passes."""
    counts = np.arange(samples + 1)
    log_chances = np.array([math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1) for k in counts])
    chances = np.exp(log_chances + counts * math.log(rate) + (samples - counts) * math.log1p(-rate))
    kept = np.array([not math.isnan(value) for value in estimate(counts)])
    return float((chances * np.nan_to_num(estimate(counts)))[kept].sum() / chances[kept].sum())


@pytest.mark.parametrize("rate", [0.9, 0.3, 0.05, 0.01])
def test_the_estimate_has_no_bias_where_samples_can_tell(rate: float) -> None:
    samples = 1000
    assert expectation(lambda k: log_pass_rates(k, samples), rate, samples) == pytest.approx(math.log(rate), abs=1e-5)


@pytest.mark.parametrize(("expected_passes", "bias"), [(1, 0.2194), (2, 0.0489), (5, 0.00115)])
def test_the_bias_that_is_left_is_the_rest_of_the_series(expected_passes: int, bias: float) -> None:
    samples = 2000
    rate = expected_passes / samples
    rest = sum((1 - rate) ** j / j for j in range(samples + 1, 60 * samples))
    found = expectation(lambda k: log_pass_rates(k, samples), rate, samples) - math.log(rate)
    assert found == pytest.approx(rest, rel=1e-3)
    assert found == pytest.approx(bias, rel=0.02)


def test_the_plain_logarithm_of_a_share_is_biased_where_this_is_not() -> None:
    """At five expected passes, over problems that were solved at all."""
    samples, rate = 2000, 5 / 2000

    def plain(counts: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.where(counts > 0, np.log(counts / samples), np.nan)

    assert abs(expectation(plain, rate, samples) - math.log(rate)) > 0.08
    assert abs(expectation(lambda k: log_pass_rates(k, samples), rate, samples) - math.log(rate)) < 0.0012


def test_choosing_and_measuring_on_one_set_of_samples_flatters_the_model() -> None:
    random, samples = np.random.default_rng(0), 500
    rates = np.full(20_000, 1 / samples)
    choosing, measuring = (random.binomial(samples, rates) for _ in range(2))
    chosen = choosing > 0
    same, other = (log_pass_rates(passes[chosen], samples).mean() - math.log(1 / samples) for passes in (choosing, measuring))
    assert same > 0.6
    assert other == pytest.approx(0.219, abs=0.03)


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    model = GPT(gpt_config(VOCAB_SIZE, d_model=8, num_heads=1))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model.eval()


PROBLEMS = [Problem("copying", "ab>", "ab", ""), Problem("addition", "017+5=", "022", ""), Problem("copying", "b>", "b", "")]


def test_log_probabilities_are_those_of_each_problem_alone(model: GPT) -> None:
    together = answer_logprobs(model, PROBLEMS, [problem.answer for problem in PROBLEMS])
    for problem, found in zip(PROBLEMS, together, strict=True):
        ids = [END_OF_LINE, *encode(problem.prompt), *encode(problem.answer), END_OF_LINE]
        with torch.inference_mode():
            rows = model(torch.tensor([ids[:-1]])).double().log_softmax(-1)[0]
        expected = [float(rows[place - 1, ids[place]]) for place in range(len(problem.prompt) + 1, len(ids))]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_following_right_samples_alone_counts_as_sampling_whole_answers_does(model: GPT) -> None:
    """Whole answers drawn token by token from the model, graded at their end, pass as often."""
    problem, samples = PROBLEMS[0], 4000
    torch.manual_seed(1)
    rows = torch.tensor([[END_OF_LINE, *encode(problem.prompt)]]).repeat(samples, 1)
    with torch.inference_mode():
        for _ in range(len(problem.answer) + 1):
            rows = torch.cat([rows, torch.multinomial(model(rows)[:, -1].softmax(-1), 1)], dim=1)
    wanted = torch.tensor([*encode(problem.answer), END_OF_LINE])
    whole = int((rows[:, -len(wanted) :] == wanted).all(1).sum())
    logprobs = answer_logprobs(model, [problem], [problem.answer])
    rate = math.exp(logprobs[0].sum())
    spread = 5 * math.sqrt(samples * rate * (1 - rate)) + 2
    counted = int(sampled_passes(logprobs, samples, np.random.default_rng(2))[0])
    assert abs(whole - samples * rate) < spread
    assert abs(counted - samples * rate) < spread


def test_the_same_draws_every_time() -> None:
    logprobs = [np.log([0.5, 0.9]), np.log([0.1])]
    first, again = (sampled_passes(logprobs, 1000, np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == again.tolist()
