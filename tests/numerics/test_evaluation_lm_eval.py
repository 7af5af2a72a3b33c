"""Item by item against lm-evaluation-harness's own model class on the same weights, tokenizer and strings."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.peers.hugging_face import twins
from components.evaluation.requests import encode_pairs
from components.evaluation.scoring import log_likelihoods
from components.tokenization.byte_pair import BytePairTokenizer

pytest.importorskip("lm_eval")
pytest.importorskip("accelerate")  # its model class needs it
DATA = Path(__file__).parents[3] / "shared" / "data" / "eval"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there"),
    pytest.mark.filterwarnings("ignore"),
]
CONTEXT = 128  # shorter than some items, so that cutting is compared too
ITEMS = 60
Item = tuple[list[tuple[str, str]], int | None]
"""(context, continuation) of each candidate as lm-evaluation-harness's task makes them; the right one, None for LAMBADA."""


def rows(name: str) -> list[dict[str, Any]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:: max(1, len(lines) // ITEMS)][:ITEMS]]


def choice(context: str, choices: list[str], gold: int) -> Item:
    return [(context, f" {one}") for one in choices], gold


def hellaswag(text: str) -> str:
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def items(task: str) -> list[Item]:
    folder = "llm-foundry-icl-public"
    match task:
        case "lambada":
            return [([(row["context"], f" {row['continuation']}")], None) for row in rows(f"{folder}/lambada_openai.jsonl")]
        case "piqa":
            return [choice(f"{row['query'].rstrip()}\nAnswer:", row["choices"], row["gold"]) for row in rows(f"{folder}/piqa.jsonl")]
        case "arc_easy":
            return [choice(f"{row['query']}\nAnswer:", row["choices"], row["gold"]) for row in rows(f"{folder}/arc_easy.jsonl")]
        case "copa" | "openbook_qa":
            return [choice(row["query"], row["choices"], row["gold"]) for row in rows(f"{folder}/{task}.jsonl")]
        case _:
            found = rows("hellaswag-1000/hellaswag.public500.jsonl")
            contexts = [hellaswag(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}") for row in found]
            return [
                choice(text, [hellaswag(one) for one in row["endings"]], int(row["label"]))
                for text, row in zip(contexts, found, strict=True)
            ]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, BytePairTokenizer]]:
    """Their model class around a random GPT-2, our model with the same weights, the tokenizer of both."""
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    torch.set_num_threads(1)
    texts = [a + b for task in TASKS for pairs, _ in items(task) for a, b in pairs]
    tokenizer = BytePairTokenizer.train(iter(texts), 1000)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(file)
    theirs, ours = twins(tokenizer.vocab_size, CONTEXT, num_layers=2, d_model=32, num_heads=4, sharpness=12)
    fast = PreTrainedTokenizerFast(tokenizer_file=str(file), eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    yield HFLM(pretrained=theirs, tokenizer=fast, batch_size=8, device="cpu", max_length=CONTEXT), ours, tokenizer


TASKS = ["lambada", "piqa", "copa", "openbook_qa", "arc_easy", "hellaswag"]


@pytest.mark.parametrize("task", TASKS)
def test_log_likelihoods_and_verdicts_are_the_harness_s(models: tuple[Any, Any, BytePairTokenizer], task: str) -> None:
    from lm_eval.api.instance import Instance

    lm, ours, tokenizer = models
    found = items(task)
    pairs = [pair for candidates, _ in found for pair in candidates]
    theirs = lm.loglikelihood([Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)], disable_tqdm=True)
    encoded = encode_pairs(tokenizer.encode_batch, (), tokenizer.end_of_text, pairs, CONTEXT)
    scores = log_likelihoods(ours, [one.request for one in encoded], 8)
    expected = np.array([value for value, _ in theirs])
    assert np.abs(scores.log_likelihoods - expected).max() <= 1e-4
    assert scores.greedy.tolist() == [greedy for _, greedy in theirs]
    for lengths in (np.ones(len(pairs)), np.array([len(answer.lstrip()) for _, answer in pairs])):
        assert picked(found, scores.log_likelihoods / lengths) == picked(found, expected / lengths)
    if task == "lambada":
        assert any(one.cut_tokens for one in encoded)


def picked(found: list[Item], scores: np.ndarray) -> list[int]:
    """The candidate of the highest score of each item; accuracy with and without the length follows from it."""
    ends = np.cumsum([len(candidates) for candidates, _ in found])
    return [int(part.argmax()) for part in np.split(scores, ends[:-1])]


def test_an_empty_context_and_trailing_white_space(models: tuple[Any, Any, BytePairTokenizer]) -> None:
    from lm_eval.api.instance import Instance

    lm, ours, tokenizer = models
    pairs = [("", "The end"), ("The  \n", "end"), ("The", " end."), ("Question: ", "Who?")]
    theirs = lm.loglikelihood([Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)], disable_tqdm=True)
    encoded = encode_pairs(tokenizer.encode_batch, (), tokenizer.end_of_text, pairs, CONTEXT)
    scores = log_likelihoods(ours, [one.request for one in encoded], 8)
    assert np.abs(scores.log_likelihoods - [value for value, _ in theirs]).max() <= 1e-4
