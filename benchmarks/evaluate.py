"""Questions per second against lm-evaluation-harness's own model class: same weights, same strings, fp32, equal scores, one run.

Items are four-way questions of real English (the help topics that Python brings). Demonstrations are either one set for all
questions or, as GPT-3 section 2.4 has it, drawn anew for each.
"""

import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks import harness

if TYPE_CHECKING:
    from components.tokenization.byte_pair import BytePairTokenizer
    from components.transformer.model import GPT

CONTEXT_LENGTH, LAYERS, WIDTH, HEADS, VOCAB_SIZE = 2048, 6, 384, 6, 6000
BATCH_SEQUENCES = 8
CHOICES = 4
QUESTION_WORDS, CHOICE_WORDS = 15, 6
MAX_DIFFERENCE_NATS = 1e-4
# shots, one set of demonstrations for all, questions, how many times as fast we have to be
ROWS = [(0, True, 64, 1.0), (8, True, 16, 5.0), (32, True, 8, 5.0), (8, False, 16, 5.0), (32, False, 8, 5.0)]
Pair = tuple[str, str]


def main() -> int:
    """Print the rows; exit status 1 when one falls short or the scores differ."""
    harness.require_peers("lm_eval", "transformers", "accelerate")
    repeats = 1 if harness.is_quick(__doc__) else 5
    import torch

    torch.set_num_threads(1)
    text = topics()
    with TemporaryDirectory() as folder:
        peer, ours, tokenizer = models(text, Path(folder))
    harness.heading()
    rows = []
    for shots, shared, questions, at_least in ROWS:
        pairs = questionnaire(text.split(), questions, shots, shared)
        check_equal(peer, ours, tokenizer, pairs[: 2 * CHOICES])
        sets = "none" if not shots else "one set" if shared else "drawn anew"
        rows.append(
            harness.compare(
                f"{questions} questions, {shots} demonstrations ({sets})",
                partial(seconds, partial(our_scores, ours, tokenizer, pairs)),
                "lm-evaluation-harness HFLM",
                partial(seconds, partial(their_scores, peer, pairs)),
                at_least,
                repeats,
            )
        )
    return harness.finish("evaluate", rows)


def topics() -> str:
    """Some 600 kB of English."""
    from pydoc_data.topics import topics as found

    return " ".join(re.sub(r"[^A-Za-z,.' ]+", " ", " ".join(found.values())).split())


def questionnaire(words: Sequence[str], questions: int, shots: int, shared: bool) -> list[Pair]:
    """(context, continuation) of every choice of every question."""
    draw = random.Random(0)

    def phrase(length: int) -> str:
        start = draw.randrange(len(words) - length)
        return " ".join(words[start : start + length])

    def question() -> str:
        return f"Question: {phrase(QUESTION_WORDS)}\nAnswer:"

    def demonstrations() -> str:
        return "".join(f"{question()} {phrase(CHOICE_WORDS)}\n\n" for _ in range(shots))

    fixed, pairs = demonstrations(), []
    for _ in range(questions):
        context = (fixed if shared else demonstrations()) + question()
        pairs += [(context, f" {phrase(CHOICE_WORDS)}") for _ in range(CHOICES)]
    return pairs


def models(text: str, folder: Path) -> tuple[Any, "GPT", "BytePairTokenizer"]:
    """Their model class around a random GPT-2, ours with the same weights, and the tokenizer of both."""
    import logging

    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    from benchmarks.peers.hugging_face import twins
    from components.tokenization.byte_pair import BytePairTokenizer

    logging.disable(logging.WARNING)
    tokenizer = BytePairTokenizer.train(iter([text]), VOCAB_SIZE)
    tokenizer.save(folder / "tokenizer.json")
    theirs, ours = twins(VOCAB_SIZE, CONTEXT_LENGTH, LAYERS, WIDTH, HEADS, sharpness=1.0)
    special = "<|endoftext|>"
    fast = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), eos_token=special, bos_token=special)
    return HFLM(pretrained=theirs, tokenizer=fast, batch_size=BATCH_SEQUENCES, device="cpu", max_length=CONTEXT_LENGTH), ours, tokenizer


def our_scores(model: "GPT", tokenizer: "BytePairTokenizer", pairs: Sequence[Pair]) -> list[float]:
    """Log-likelihoods, from strings."""
    from components.evaluation.requests import encode_pairs
    from components.evaluation.scoring import log_likelihoods

    encoded = encode_pairs(tokenizer.encode_batch, (), tokenizer.end_of_text, pairs, model.config.context_length)
    found: list[float] = log_likelihoods(model, [one.request for one in encoded], BATCH_SEQUENCES).log_likelihoods.tolist()
    return found


def their_scores(peer: Any, pairs: Sequence[Pair]) -> list[float]:
    """Log-likelihoods, from strings."""
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    return [value for value, _ in peer.loglikelihood(requests, disable_tqdm=True)]


def check_equal(peer: Any, ours: "GPT", tokenizer: "BytePairTokenizer", pairs: Sequence[Pair]) -> None:
    """End with one line where the scores of a few items differ."""
    both = zip(our_scores(ours, tokenizer, pairs), their_scores(peer, pairs), strict=True)
    worst = max(abs(mine - theirs) for mine, theirs in both)
    if worst > MAX_DIFFERENCE_NATS:
        sys.exit(f"error: the scores of the two differ by {worst:.2g} nats, more than {MAX_DIFFERENCE_NATS}")


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
