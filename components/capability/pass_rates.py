"""How often a model solves a problem, counted over sampled answers, and the mean logarithm of that rate.

The logarithm of a counted share k / n is biased, by -(1 - p) / (2 n p), and is not there at all for k = 0. Used here instead:

    H_k - H_n, with H_k = 1 + 1/2 + ... + 1/k.

-log p is the series of (1 - p)^j / j over j >= 1, and C(n - k, j) / C(n, j) is unbiased for (1 - p)^j as far as j = n; their sum is
H_n - H_k. What is left of the bias is the rest of the series beyond n: .22 nats at p = 1 / n, .0011 at p = 5 / n, and never more
than where no sample can tell. (Its sequential twin is inverse binomial sampling, van Opheusden, Acerbi and Ma 2020.)

Samples that chose a problem as solvable must not measure it: of problems at p = 1 / n those that were lucky would be kept.
"""

# Shapes: P problems, T tokens of a problem and its answer.

from collections.abc import Sequence

import numpy as np
import torch

from components.capability.problems import Problem
from components.capability.tokens import END_OF_LINE, encode
from components.transformer.model import GPT


def log_pass_rates(passes_P: np.ndarray, samples: int) -> np.ndarray:
    """H_k - H_n for k passes of n samples [P], in nats; -H_n for none."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, samples + 1))])
    return np.asarray(harmonic[passes_P] - harmonic[samples])


def sampled_passes(logprobs_P: Sequence[np.ndarray], samples: int, random: np.random.Generator) -> np.ndarray:
    """Of ``samples`` answers sampled token by token to each problem, how many are right: int64 [P].

    Args:
        logprobs_P: of each problem, log-probabilities of the tokens of its one right answer, each after the right ones before it. A
            sample is followed as long as it is right: what comes after a wrong token does not matter.
    """
    return np.array([_alive(logprobs, samples, random) for logprobs in logprobs_P])


def _alive(logprobs_T: np.ndarray, samples: int, random: np.random.Generator) -> int:
    for probability in np.exp(np.minimum(logprobs_T, 0.0)):
        samples = int(random.binomial(samples, probability))
    return samples


@torch.inference_mode()
def answer_logprobs(model: GPT, problems: Sequence[Problem], answers: Sequence[str]) -> list[np.ndarray]:
    """Log-probabilities of the tokens of each answer and of the end of its line, after the problem's prompt: float64 [T] each."""
    rows = [[END_OF_LINE, *encode(problem.prompt), *encode(answer), END_OF_LINE] for problem, answer in zip(problems, answers, strict=True)]
    longest = max(len(row) for row in rows)
    tokens_PT = torch.tensor([row + [END_OF_LINE] * (longest - len(row)) for row in rows])
    logprobs_PTV = model(tokens_PT[:, :-1]).double().log_softmax(-1)
    told_PT = logprobs_PTV.gather(-1, tokens_PT[:, 1:, None])[:, :, 0].numpy()
    starts = [len(problem.prompt) for problem in problems]
    return [told[start : len(row) - 1] for told, start, row in zip(told_PT, starts, rows, strict=True)]
