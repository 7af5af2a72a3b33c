"""Heads and losses of fine-tuning: symmetries, and L3 = L2 + lambda L1."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from components.finetuning.batches import collate
from components.finetuning.heads import Batch, ExtractHead, TaskModel, label_loss, language_model_loss, soft_labels
from components.finetuning.transforms import Encoded
from components.tasks.config import Transformation
from components.transformer.model import GPT
from tests.configs import gpt_config

START, DELIMITER, EXTRACT = 20, 21, 22


def build(transformation: Transformation, num_outputs: int, dropout: float = 0.0) -> TaskModel:
    torch.manual_seed(0)
    gpt = GPT(gpt_config(23, num_layers=2, dropout=dropout))
    for parameter in gpt.parameters():  # larger than they start, so that differences show
        parameter.data = parameter.data * 5
    return TaskModel(gpt, ExtractHead(16, num_outputs, dropout, transformation, torch.Generator().manual_seed(0)))


def pair(first: list[int], second: list[int]) -> tuple[int, ...]:
    return (START, *first, DELIMITER, *second, EXTRACT)


def logits(model: TaskModel, *items: Encoded) -> Tensor:
    return model(collate(items))[0].detach()


def test_similarity_does_not_know_which_text_came_first() -> None:
    model = build("similarity", 2).eval()
    a, b = [1, 2, 3], [4, 5]
    one = logits(model, Encoded((pair(a, b), pair(b, a)), 0))
    assert torch.equal(one, logits(model, Encoded((pair(b, a), pair(a, b)), 0)))
    assert not torch.allclose(one, logits(model, Encoded((pair(a, b), pair(a, b)), 0)))


def test_similarity_adds_the_extract_states_before_the_linear_layer() -> None:
    model = build("similarity", 2).eval()
    a, b = pair([1, 2, 3], [4, 5]), pair([4, 5], [1, 2, 3])
    hidden = [model.gpt.hidden(torch.tensor([sequence]))[0, -1] for sequence in (a, b)]
    assert torch.allclose(logits(model, Encoded((a, b), 0))[0], model.head.linear(hidden[0] + hidden[1]), atol=1e-6)


def test_answers_in_another_order_get_the_same_scores_in_that_order() -> None:
    model = build("multiple_choice", 1).eval()
    answers = [pair([1, 2], [answer, 7]) for answer in (3, 4, 5, 6)]
    order = [2, 0, 3, 1]
    scores = logits(model, Encoded(tuple(answers), 0))
    assert scores.shape == (1, 4) and len(set(scores.flatten().tolist())) == 4
    assert torch.allclose(logits(model, Encoded(tuple(answers[i] for i in order), 0)), scores[:, order], atol=1e-6)


def test_padding_changes_nothing() -> None:
    model = build("classification", 3).eval()
    short, long = Encoded(((START, 1, EXTRACT),), 0), Encoded(((START, *range(1, 12), EXTRACT),), 1)
    together = logits(model, short, long)
    assert torch.allclose(together[0], logits(model, short)[0], atol=1e-6)
    losses = [language_model_loss(model.gpt, model(collate(items))[1], collate(items)) for items in ([short], [long], [short, long])]
    assert losses[2].item() == pytest.approx((losses[0].item() + losses[1].item()) / 2, rel=1e-5)


def test_one_dropout_mask_serves_all_answers_of_an_item() -> None:
    head = ExtractHead(16, 1, 0.5, "multiple_choice", torch.Generator().manual_seed(0)).train()
    torch.manual_seed(0)
    scores = head(torch.ones(8, 4, 16))
    assert torch.allclose(scores, scores[:, :1].expand(8, 4))
    assert len({round(score, 5) for score in scores[:, 0].tolist()}) > 1


def test_language_model_loss_is_the_masked_mean_of_the_definition() -> None:
    model = build("entailment", 2).eval()
    batch = collate([Encoded((pair([1, 2], [3]),), 0), Encoded((pair([4], [5, 6, 7, 8]),), 1)])
    _, hidden = model(batch)
    by_hand = []
    for row, (tokens, length) in enumerate(zip(batch.tokens.flatten(0, 1), batch.lengths.flatten().tolist(), strict=True)):
        probabilities = torch.log_softmax(model.gpt.logits(hidden[row]), dim=-1)
        by_hand.append(-sum(probabilities[t, tokens[t + 1]] for t in range(length - 1)) / (length - 1))
    assert language_model_loss(model.gpt, hidden, batch).item() == pytest.approx(sum(by_hand).item() / 2, rel=1e-5)  # type: ignore[union-attr]


CASES: list[tuple[Transformation, int, tuple[tuple[int, ...], ...]]] = [
    ("classification", 3, ((START, 1, 2, EXTRACT),)),
    ("entailment", 2, (pair([1, 2], [3]),)),
    ("similarity", 2, (pair([1, 2], [3]), pair([3], [1, 2]))),
    ("multiple_choice", 1, (pair([1, 2], [3]), pair([1, 2], [4, 5]), pair([1, 2], [6]))),
]


@pytest.mark.parametrize(("transformation", "num_outputs", "sequences"), CASES)
def test_gradient_of_the_whole_is_the_sum_of_the_gradients(
    transformation: Transformation, num_outputs: int, sequences: tuple[tuple[int, ...], ...]
) -> None:
    model = build(transformation, num_outputs).double().eval()
    batch = collate([Encoded(sequences, 1), Encoded(sequences[::-1], 0)])

    def gradients(loss: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        model.zero_grad(set_to_none=False)
        loss(*model(batch)).backward()
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]

    def l2(logits_BC: Tensor, _: Tensor) -> Tensor:
        return label_loss(logits_BC, batch.labels)

    def l1(_: Tensor, hidden_NTD: Tensor) -> Tensor:
        return language_model_loss(model.gpt, hidden_NTD, batch)

    of_labels, of_text = gradients(l2), gradients(l1)
    of_both = gradients(lambda *states: l2(*states) + 0.5 * l1(*states))
    assert any(gradient.abs().max() > 1e-4 for gradient in of_labels) and any(gradient.abs().max() > 1e-4 for gradient in of_text)
    for both, labels, text in zip(of_both, of_labels, of_text, strict=True):
        assert torch.allclose(both, labels + 0.5 * text, rtol=1e-5, atol=1e-7)


def test_a_score_is_shared_between_the_whole_numbers_beside_it() -> None:
    scores = torch.tensor([0.0, 2.3, 3.75, 5.0])
    shares = soft_labels(scores, 6)
    expected = [[1, 0, 0, 0, 0, 0], [0, 0, 0.7, 0.3, 0, 0], [0, 0, 0, 0.25, 0.75, 0], [0, 0, 0, 0, 0, 1]]
    assert torch.allclose(shares, torch.tensor(expected), atol=1e-6)
    assert torch.allclose(shares @ torch.arange(6.0), scores, atol=1e-6)  # the score is the expected class


def test_the_loss_of_a_score_is_the_cross_entropy_of_its_shares() -> None:
    logits_BC = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    nats = -torch.log_softmax(logits_BC, dim=1)
    by_hand = (0.7 * nats[0, 2] + 0.3 * nats[0, 3] + nats[1, 5] + 0.5 * nats[2, 0] + 0.5 * nats[2, 1]) / 3
    assert label_loss(logits_BC, torch.tensor([2.3, 5.0, 0.5])).item() == pytest.approx(by_hand.item(), rel=1e-6)
    whole = [2, 5, 0]
    assert label_loss(logits_BC, torch.tensor(whole).float()).item() == pytest.approx(label_loss(logits_BC, torch.tensor(whole)).item())


def test_scores_stay_scores_in_a_batch() -> None:
    batch = collate([Encoded((pair([1], [2]),), 1.0), Encoded((pair([1], [2]),), 2.0)])
    assert batch.labels.is_floating_point() and not collate([Encoded((pair([1], [2]),), 1)]).labels.is_floating_point()


def test_batch_moves_as_a_whole() -> None:
    batch = collate([Encoded((pair([1], [2]),), 1)]).to(torch.device("cpu"))
    assert isinstance(batch, Batch) and batch.labels.tolist() == [1]
