"""All measurements of one model, put together."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from components.artifacts import Corpus, TokenShards, TokenStream
from components.errors import InputError
from components.evaluation.answers import Answer
from components.evaluation.baselines import token_nats, train_ngrams, xz_bits_per_byte
from components.evaluation.bits_per_byte import StreamLoss, stream_loss
from components.evaluation.config import EvaluationConfig
from components.evaluation.few_shot import few_shot_scores
from components.evaluation.scoring import refuse_nan
from components.tasks.items import TaskSet
from components.tokenization.byte_pair import BytePairTokenizer
from components.training.held_out import held_out_nats
from components.transformer.checkpoint import weights_sha256
from components.transformer.model import GPT

Progress = Callable[[int, int, str], None]
"""Measurements done, measurements in all, what was done last."""


def evaluate(
    config: EvaluationConfig,
    model: GPT,
    tokenizer: BytePairTokenizer,
    shards: TokenShards,
    corpus: Corpus,
    tasks: TaskSet,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, list[Answer]]]:
    """Bits per byte of the held-out stream beside its baselines, and every task at every number of shots.

    Returns:
        Metrics and, for each task, the answers to its items at each number of shots. Keys of the metrics: ``bits_per_byte`` and
        ``loss_nats`` by model, ``bits_per_byte_by_source``, ``few_shot`` (task -> shots -> ``few_shot.ShotScores.facts``),
        ``weights_sha256``.

    Raises:
        InputError: NaN scores; no held-out text; the tokens and the corpus, or the model and the tokenizer, do not belong together.
        RuntimeError: the weights are not what they were before.
    """
    if model.config.vocab_size != tokenizer.vocab_size:
        raise InputError(
            f"the model knows {model.config.vocab_size} tokens and the tokenizer of {shards.path} {tokenizer.vocab_size}; "
            "train the model on these tokens (dvc repro)"
        )
    before = weights_sha256(model)
    model.eval()
    names = tasks.names()
    steps = _Steps(progress, 4 + len(names) * len(config.shots))
    measured: dict[str, Any] = {"weights_sha256": before, **_held_out(config, model, shards, corpus, steps), "few_shot": {}}
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    with torch.inference_mode():
        for name in names:
            scores = measured["few_shot"][name] = {}
            for found in few_shot_scores(config, model, tokenizer, tasks.draft(name)):
                scores[str(found.shots)] = found.facts
                answers[name] += found.answers
                steps.done(f"{name}, {found.shots} shots: {found.facts['score']:.3f} (chance {found.facts['chance']:.3f})")
    if weights_sha256(model) != before:
        raise RuntimeError("the weights changed while they were evaluated; no score of this run is valid")
    return measured, answers


class _Steps:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def done(self, what: str) -> None:
        self._done += 1
        self._progress(self._done, self._total, what)


def _held_out(config: EvaluationConfig, model: GPT, shards: TokenShards, corpus: Corpus, steps: _Steps) -> dict[str, Any]:
    stream = shards.stream("held_out")
    text = held_out_text(stream, corpus)
    losses: dict[str, StreamLoss] = {}
    bits = {"xz": xz_bits_per_byte(text, config.xz_preset)}
    steps.done(f"xz: {bits['xz']:.3f} bits per byte")
    unigram, bigram = train_ngrams(shards.stream("train"), shards.vocab_size, config.ngram_discount)
    measures: dict[str, Callable[[], np.ndarray]] = {
        "unigram": partial(token_nats, unigram, stream),
        "bigram": partial(token_nats, bigram, stream),
        "target": partial(held_out_nats, model, stream),
    }
    for name, nats in measures.items():
        nats_M = nats()
        refuse_nan(nats_M)
        losses[name] = stream_loss(nats_M, stream.index())
        bits[name] = losses[name].bits_per_byte
        steps.done(f"{name}: {bits[name]:.3f} bits per byte")
    return {
        "bits_per_byte": bits,
        "bits_per_byte_by_source": losses["target"].bits_per_byte_by_source,
        "loss_nats": {name: loss.loss_nats for name, loss in losses.items()},
    }


def held_out_text(stream: TokenStream, corpus: Corpus) -> str:
    """The documents of the stream in its order, nothing between them: the same bytes that bits per byte are divided by.

    Raises:
        InputError: the stream holds no text, or was not made of this corpus.
    """
    documents = corpus.documents()
    columns = [documents.column(name).to_pylist() for name in ("id", "split", "text")]
    texts = {id: text for id, split, text in zip(*columns, strict=True) if split == "held_out"}
    index = stream.index()
    if stream.num_tokens < 2:
        raise InputError(f"{corpus.path}: no held-out text; raise curation.held_out_share in params.yaml")
    parts = []
    for id, num_bytes in zip(index.column("id").to_pylist(), index.column("num_bytes").to_pylist(), strict=True):
        if id not in texts or len(texts[id].encode()) != num_bytes:
            raise InputError(f"{corpus.path}: held-out document {id} is not what was made into tokens; run dvc repro tokenize_corpus")
        parts.append(texts[id])
    return "".join(parts)
