"""Item by item against lm-evaluation-harness's own model class on the same weights, tokenizer and strings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.peers.harness_items import TASKS, items, picked
from benchmarks.peers.hugging_face import twins
from components.evaluation.requests import encode_pairs
from components.evaluation.scoring import log_likelihoods
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.checkpoint import save_checkpoint
from components.transformer.export import export_checkpoint

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


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, BytePairTokenizer]]:
    """Their model class on the folder that a random GPT of ours was exported to, our model, the tokenizer of both."""
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(1)
    texts = [a + b for task in TASKS for pairs, _ in items(DATA, task, ITEMS) for a, b in pairs]
    tokenizer = BytePairTokenizer.train(iter(texts), 1000)
    folder = tmp_path_factory.mktemp("exported")
    tokenizer.save(folder / "tokenizer.json")
    _, ours = twins(tokenizer.vocab_size, CONTEXT, num_layers=2, d_model=32, num_heads=4, sharpness=12)
    (folder / "ours").mkdir()
    save_checkpoint(folder / "ours", ours)
    export_checkpoint(folder / "ours", folder / "tokenizer.json", folder / "theirs")
    yield HFLM(pretrained=str(folder / "theirs"), batch_size=8, device="cpu", dtype="float32"), ours, tokenizer


@pytest.mark.parametrize("task", TASKS)
def test_log_likelihoods_and_verdicts_are_the_harness_s(models: tuple[Any, Any, BytePairTokenizer], task: str) -> None:
    from lm_eval.api.instance import Instance

    lm, ours, tokenizer = models
    found = items(DATA, task, ITEMS)
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


def test_an_empty_context_and_trailing_white_space(models: tuple[Any, Any, BytePairTokenizer]) -> None:
    from lm_eval.api.instance import Instance

    lm, ours, tokenizer = models
    pairs = [("", "The end"), ("The  \n", "end"), ("The", " end."), ("Question: ", "Who?")]
    theirs = lm.loglikelihood([Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)], disable_tqdm=True)
    encoded = encode_pairs(tokenizer.encode_batch, (), tokenizer.end_of_text, pairs, CONTEXT)
    scores = log_likelihoods(ours, [one.request for one in encoded], 8)
    assert np.abs(scores.log_likelihoods - [value for value, _ in theirs]).max() <= 1e-4
