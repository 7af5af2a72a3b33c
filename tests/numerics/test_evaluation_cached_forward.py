"""The forward pass with a past against ``GPT.hidden``, and layouts of shared beginnings against the texts they stand for."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation import prefix_tree
from components.evaluation.cached_forward import extend, no_past
from components.evaluation.prefix_tree import Grove, PrefixTree, batched
from components.evaluation.scoring import Request, log_likelihoods
from components.transformer.model import GPT
from tests.configs import gpt_config

CONTEXT = 400


def gpt(norm_placement: str) -> GPT:
    torch.manual_seed(0)
    config = gpt_config(50, context_length=CONTEXT, num_layers=2, norm_placement=norm_placement, dropout=0.1)
    model = GPT(config).eval()
    with torch.no_grad():
        model.token_embedding.weight.mul_(30)
        for block in model.blocks:
            block.attention.query_key_value.weight.mul_(20)
    return model


@torch.inference_mode()
@pytest.mark.parametrize("norm_placement", ["pre", "post"])
@pytest.mark.parametrize("pieces", [[20], [1, 19], [7, 12, 1], [1] * 20])
def test_reading_in_pieces_equals_reading_at_once(norm_placement: str, pieces: list[int]) -> None:
    model, tokens = gpt(norm_placement), tuple(random.Random(0).choices(range(50), k=20))
    past, done = no_past(model), 0
    for piece in pieces:
        past = extend(model, past, tokens[done : done + piece])
        done += piece
    assert torch.allclose(past.hidden_PD, model.hidden(torch.tensor([tokens]))[0], atol=1e-5)


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(RuntimeError, match="eval"):
        log_likelihoods(gpt("pre").train(), [Request((1,), (2,))], 1)


def few_shot_requests(questions: int, demonstration_tokens: int, same: bool) -> list[Request]:
    """Questions after demonstrations, the same for all or not; four answers each."""
    draw = random.Random(1)
    fixed = tuple(draw.choices(range(50), k=demonstration_tokens))
    found = []
    for _ in range(questions):
        demonstrations = fixed if same else tuple(draw.choices(range(50), k=demonstration_tokens))
        context = (0, *demonstrations, *draw.choices(range(50), k=draw.randint(3, 25)))
        found += [Request(context, tuple(draw.choices(range(50), k=draw.randint(1, 12)))) for _ in range(4)]
    return found


def naive(model: GPT, request: Request) -> tuple[float, bool]:
    tokens = torch.tensor([request.context + request.continuation])
    logprobs_TV = model(tokens[:, :-1])[0].double().log_softmax(-1)[len(request.context) - 1 :]
    answer = tokens[0, len(request.context) :]
    return float(logprobs_TV.gather(1, answer[:, None]).sum()), bool((logprobs_TV.argmax(-1) == answer).all())


@torch.inference_mode()
@pytest.mark.parametrize("norm_placement", ["pre", "post"])
@pytest.mark.parametrize(("questions", "demonstration_tokens", "same"), [(40, 200, True), (40, 40, True), (10, 200, False), (40, 0, True)])
def test_scores_with_shared_beginnings_equal_naive_ones(norm_placement: str, questions: int, demonstration_tokens: int, same: bool) -> None:
    model, requests = gpt(norm_placement), few_shot_requests(questions, demonstration_tokens, same)
    expected = [naive(model, request) for request in requests]
    for at_once, batch in [(len(requests), 1), (len(requests), 8), (3, 8)]:
        groups = [requests[first : first + at_once] for first in range(0, len(requests), at_once)]
        scored = [log_likelihoods(model, group, batch) for group in groups]
        assert np.abs(np.concatenate([s.log_likelihoods for s in scored]) - [value for value, _ in expected]).max() <= 1e-5 * 3
        assert np.concatenate([s.greedy for s in scored]).tolist() == [greedy for _, greedy in expected]


def test_demonstrations_become_a_trunk_and_each_token_is_read_once() -> None:
    tree = PrefixTree(sorted({request.read for request in few_shot_requests(40, 200, True)}))
    grove = tree.grove()
    assert (grove.trunk, grove.rows) == (0, ())
    [trunk] = grove.groves
    assert trunk.trunk == 201
    distinct = {sequence[:length] for sequence in tree.sequences for length in range(202, len(sequence) + 1)}
    read = sum(len(tree.row(part, 201).tokens) for part in trunk.rows)
    assert len(distinct) <= read <= len(distinct) + 2 * len(trunk.rows)


def leaves(tree: PrefixTree, grove: Grove) -> list[tuple[int, ...]]:
    """Every sequence as its row spells it."""
    found = []
    for part in grove.rows:
        row = tree.row(part, grove.trunk)
        trunk = tree.sequences[part.start][: grove.trunk]
        spelled = np.array([*trunk, *row.tokens])
        depths = np.array([*range(grove.trunk), *row.depths])
        for path in row.paths:
            found.append(tuple(spelled[path].tolist()))
            assert depths[path].tolist() == list(range(len(path)))
            for place in path[path >= grove.trunk]:
                read = np.flatnonzero(row.reads()[place - grove.trunk])
                assert read.tolist() == path[: list(path).index(place) + 1].tolist()
    return found + [leaf for deeper in grove.groves for leaf in leaves(tree, deeper)]


@given(
    st.sets(st.lists(st.integers(0, 2), min_size=1, max_size=14).map(tuple), min_size=1, max_size=40), st.integers(1, 12), st.integers(1, 6)
)
def test_every_sequence_is_laid_out_once_and_reads_itself_alone(sequences: set[tuple[int, ...]], row_tokens: int, min_trunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix_tree, "ROW_TOKENS", row_tokens)
        patch.setattr(prefix_tree, "MIN_TRUNK_TOKENS", min_trunk)
        patch.setattr(prefix_tree, "MIN_TRUNK_USE_TOKENS", 2 * min_trunk)
        patch.setattr(prefix_tree, "MAX_ROW_GROWTH", 2)
        tree = PrefixTree(sorted(sequences))
        assert sorted(leaves(tree, tree.grove())) == sorted(sequences)


def test_batches_hold_all_rows_within_the_limit() -> None:
    tree = PrefixTree(sorted({request.read for request in few_shot_requests(20, 60, False)}))
    rows = [tree.row(part, 0) for part in tree.grove().rows]
    batches = list(batched(rows, 500))
    assert sorted(row.part.start for batch in batches for row in batch) == [row.part.start for row in rows]
    assert all(len(batch) == 1 or len(batch) * len(batch[0].tokens) <= 500 for batch in batches)
    assert max(map(len, batches)) > 1
