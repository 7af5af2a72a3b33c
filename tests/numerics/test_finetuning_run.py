"""Whole fine-tuning runs on a tiny GPT."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from components.errors import InputError
from components.evaluation.answers import read_answers
from components.evaluation.label_scores import label_score
from components.finetuning import lit_finetune
from components.finetuning import run as run_module
from components.finetuning.batches import EpochBatches
from components.finetuning.heads import ExtractHead, TaskModel, label_loss, language_model_loss
from components.finetuning.lit_finetune import schedule
from components.finetuning.predict import predict
from components.finetuning.run import FinetuneResult, build_task_model, finetune, save_finetuned
from components.finetuning.transforms import Specials, encode_items
from components.finetuning.validation import split_validation
from components.tasks.items import Classification, DraftTask, FreeForm, LabelledTask, MultipleChoice, Similarity, Sourced
from components.training.optimizer import build_adamw
from components.training.trainer import prepare
from components.transformer.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from components.transformer.model import GPT, grow_vocabulary
from tests.configs import ONE_CPU, finetuning_config, gpt_config
from tests.unit.test_finetuning_transforms import Letters

VOCAB_SIZE = 30


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pretrained")
    torch.manual_seed(7)
    save_checkpoint(path, GPT(gpt_config(VOCAB_SIZE)))
    return path


def letters(items: int = 24) -> LabelledTask:
    """Does the text hold an x? Each third text does."""
    rows = [Classification("abcdefgh"[i % 8] * (1 + i % 3) + ("x" if i % 3 == 0 else "y"), int(i % 3 == 0)) for i in range(items)]
    return LabelledTask("letters", "classification", ("no", "yes"), rows, rows[:10])  # type: ignore[arg-type]


def letters_draft() -> DraftTask:
    """The same, with two documents for each item."""
    task = letters()
    train, test = ([Sourced(item, (f"row {number}", "more")) for number, item in enumerate(items)] for items in (task.train, task.test))
    return DraftTask(task.name, task.transformation, task.labels, train, test)


def run(checkpoint: Path, task: LabelledTask | None = None, init: Any = "pretrained", seed: int = 0, **overrides: Any) -> FinetuneResult:
    return finetune(task or letters(), Letters(), checkpoint, init, finetuning_config(**overrides), ONE_CPU, seed, lambda row, steps: None)


def trained_by_hand(checkpoint: Path, aux_lm_weight: float | None) -> TaskModel:
    """The loop in a few lines; ``None`` is a loop that knows no second term."""
    config = finetuning_config(epochs=2)
    prepare(ONE_CPU, 0)
    model = build_task_model(letters(), checkpoint, "pretrained", config, 0).train()
    items = encode_items(letters().train, Letters(), Specials.after(VOCAB_SIZE), 16)
    batches = EpochBatches(items, config, 0)
    optimizer = build_adamw(model, config.learning_rate, config.weight_decay, config.adam_beta1, config.adam_beta2, config.adam_epsilon)
    torch.manual_seed(0)
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        logits, hidden = model(batch)
        loss = label_loss(logits, batch.labels)
        if aux_lm_weight is not None:
            loss = loss + aux_lm_weight * language_model_loss(model.gpt, hidden, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(step, len(batches), config.warmup_share)
        optimizer.step()
    return model


def test_lambda_zero_is_training_without_the_term_bit_for_bit(checkpoint: Path) -> None:
    without = weights_sha256(trained_by_hand(checkpoint, None))
    assert weights_sha256(run(checkpoint, epochs=2, aux_lm_weight=0.0).model) == without
    assert weights_sha256(run(checkpoint, epochs=2, aux_lm_weight=0.5).model) != without


def test_a_run_trains_on_the_loss_of_labels_plus_lambda_times_that_of_the_text(checkpoint: Path) -> None:
    by_hand = weights_sha256(trained_by_hand(checkpoint, 0.3))
    assert weights_sha256(run(checkpoint, epochs=2, aux_lm_weight=0.3).model) == by_hand


def test_the_same_seed_gives_the_same_bits_and_another_does_not(checkpoint: Path) -> None:
    one, two, other = run(checkpoint), run(checkpoint), run(checkpoint, seed=1)
    assert weights_sha256(one.model) == weights_sha256(two.model) != weights_sha256(other.model)
    assert (one.rows, one.metrics) == (two.rows, two.metrics)


def test_it_learns(checkpoint: Path) -> None:
    result = run(checkpoint, epochs=30, learning_rate=1e-2, dropout=0.0)
    assert result.metrics["score"] == 1.0 > result.metrics["majority"]
    assert result.metrics["low"] < 1.0 == result.metrics["high"]
    assert result.rows[-1]["loss_nats"] < 0.1 * result.rows[0]["loss_nats"]


@pytest.mark.parametrize(
    ("transformation", "item"), [("similarity", Similarity("ab", "cd", 1)), ("multiple_choice", MultipleChoice("ab", ("c", "d", "e"), 2))]
)
def test_items_of_several_sequences_train_too(checkpoint: Path, transformation: Any, item: Any) -> None:
    labels = ("no", "yes") if transformation == "similarity" else ()
    result = run(checkpoint, LabelledTask("pairs", transformation, labels, [item] * 8, [item] * 4), epochs=20, learning_rate=1e-2)
    assert result.metrics["score"] == 1.0


def test_scratch_takes_the_shape_of_the_checkpoint_and_none_of_its_weights(checkpoint: Path) -> None:
    config = finetuning_config()
    pretrained, scratch = (build_task_model(letters(), checkpoint, init, config, 0) for init in ("pretrained", "scratch"))  # type: ignore[arg-type]
    original = load_checkpoint(checkpoint).token_embedding.weight
    assert torch.equal(pretrained.gpt.token_embedding.weight[:VOCAB_SIZE], original)
    assert not torch.equal(scratch.gpt.token_embedding.weight[:VOCAB_SIZE], original)
    assert torch.equal(scratch.gpt.token_embedding.weight[VOCAB_SIZE:], pretrained.gpt.token_embedding.weight[VOCAB_SIZE:])
    assert torch.equal(scratch.head.linear.weight, pretrained.head.linear.weight)
    assert scratch.gpt.config == pretrained.gpt.config and scratch.gpt.config.dropout == config.dropout


def test_train_items_is_a_limit(checkpoint: Path) -> None:
    metrics = run(checkpoint, train_items=8).metrics
    assert (metrics["train_items"], metrics["test_items"]) == (8, 10)


def test_the_folder_holds_model_head_and_curve(checkpoint: Path, tmp_path: Path) -> None:
    result, draft = run(checkpoint), letters_draft()
    save_finetuned(tmp_path / "out", draft, result)
    assert weights_sha256(load_checkpoint(tmp_path / "out")) == weights_sha256(result.model.gpt)
    head = load_file(tmp_path / "out" / "head.safetensors")
    assert torch.equal(head["linear.weight"], result.model.head.linear.weight)
    task = {"task": "letters", "transformation": "classification", "labels": ["no", "yes"], "metric": "accuracy", "positive": None}
    assert json.loads((tmp_path / "out" / "task.json").read_text()) == task
    answers = read_answers(tmp_path / "out" / "items.jsonl")
    assert [(one.where, one.text, one.right) for one in answers] == [
        (f"row {number}, more", row.item.text, ("no", "yes")[row.item.label])  # type: ignore[union-attr, call-overload]
        for number, row in enumerate(draft.test)
    ]
    assert sum(one.predicted == one.right for one in answers) / len(answers) == result.metrics["score"]
    lines = (tmp_path / "out" / "curve.csv").read_text().splitlines()
    assert lines[0] == "step,loss_nats,learning_rate" and len(lines) == 1 + len(result.rows) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_every_step_is_told(checkpoint: Path) -> None:
    told: list[tuple[float, int]] = []
    finetune(
        letters(), Letters(), checkpoint, "scratch", finetuning_config(), ONE_CPU, 0, lambda row, steps: told.append((row["step"], steps))
    )
    assert told == [(step, 6) for step in range(1, 7)]


def test_a_corrupt_checkpoint_is_an_input_error(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes((checkpoint / "manifest.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes()[:-8])
    with pytest.raises(InputError, match="corrupt"):
        run(tmp_path)


def test_a_task_without_labels_is_an_input_error(checkpoint: Path) -> None:
    rows = [FreeForm("a", "b")] * 4
    with pytest.raises(InputError, match="a free_form task has no labels"):
        run(checkpoint, LabelledTask("free", "free_form", (), rows, rows))  # type: ignore[arg-type]


def test_items_put_aside_are_not_trained_on_and_scored_by_themselves(checkpoint: Path) -> None:
    config = finetuning_config(validation_share=0.25)
    task = letters(24)
    aside = split_validation(task.train, config)[1]
    result = run(checkpoint, task, validation_share=0.25, epochs=2)
    without = run(checkpoint, without_validation(task, aside), epochs=2)
    assert weights_sha256(result.model) == weights_sha256(without.model)
    as_test = run(checkpoint, replace(without_validation(task, aside), test=aside), epochs=2)
    assert result.metrics["validation_score"] == as_test.metrics["score"]
    assert result.metrics["validation_items"] == len(aside) and result.metrics["train_items"] == 24 - len(aside)
    assert without.metrics["validation_score"] is None and without.metrics["score"] == result.metrics["score"]


def without_validation(task: LabelledTask, aside: list[Any]) -> LabelledTask:
    return replace(task, train=[item for item in task.train if item not in aside])


def test_metrics_count_what_is_odd(checkpoint: Path) -> None:
    task = letters()
    long = Classification("a" * 20 + "x", 1)
    metrics = run(checkpoint, replace(task, train=[*task.train, long, long], test=[*task.test, long])).metrics
    assert (metrics["cut_train_items"], metrics["cut_test_items"]) == (2, 1)
    assert metrics["test_items_in_train"] == 11 and metrics["duplicate_train_items"] == 1
    assert any("11 test items stand in the train split too" in line for line in metrics["warnings"])


def test_a_class_that_the_limit_leaves_out_is_counted(checkpoint: Path) -> None:
    rows = [Classification("a" * (1 + i % 4), int(i >= 8)) for i in range(12)]
    metrics = run(checkpoint, LabelledTask("t", "classification", ("x", "y"), rows, rows), train_items=8).metrics  # type: ignore[arg-type]
    assert metrics["unseen_test_items"] == 4


def test_logits_come_in_the_order_of_the_items_whatever_the_batch(checkpoint: Path) -> None:
    config = finetuning_config()
    model = build_task_model(letters(), checkpoint, "pretrained", config, 0)
    items = encode_items(letters(30).train, Letters(), Specials.after(VOCAB_SIZE), 16)
    one_by_one = predict(model, items, 1)
    assert len({round(value, 4) for value in one_by_one[:, 0].tolist()}) > 5
    for batch_sequences in (4, 7, 30):
        assert torch.allclose(predict(model, items, batch_sequences), one_by_one, atol=1e-6)


def scores_of_nothing(metrics: dict[str, Any]) -> bool:
    return all(metrics[name] is None for name in ("score", "low", "high", "scores", "validation_score"))


def test_scores_that_are_not_finite_are_an_outcome(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: TaskModel, items: Any, batch_sequences: int) -> torch.Tensor:
        return torch.full((len(items), 2), float("nan"))

    monkeypatch.setattr(run_module, "predict", broken)
    result = run(checkpoint)
    assert result.metrics["diverged"] and result.metrics["diverged_reason"] == "scores of items are not finite"
    assert scores_of_nothing(result.metrics) and result.answers is None and result.metrics["majority"] == 0.6


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_before_its_step(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    calls: list[int] = []

    def breaks_at_the_third(logits_BC: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return label_loss(logits_BC, labels_B) * (bad if len(calls) == 3 else 1)

    monkeypatch.setattr(lit_finetune, "label_loss", breaks_at_the_third)
    result = run(checkpoint)
    assert len(calls) == 3 and [row["step"] for row in result.rows] == [1, 2]
    assert result.metrics["diverged"] and result.metrics["diverged_step"] == 2
    assert result.metrics["diverged_reason"] == f"the loss of step 3 is {bad}" and scores_of_nothing(result.metrics)
    assert all(parameter.isfinite().all() for parameter in result.model.parameters())


def test_a_rate_that_is_too_high_is_an_outcome_with_all_its_counts(checkpoint: Path) -> None:
    sound, lost = run(checkpoint).metrics, run(checkpoint, learning_rate=1e30, grad_clip_norm=1e30).metrics
    assert lost["diverged"] and not sound["diverged"] and scores_of_nothing(lost)
    assert set(sound) == set(lost) - {"diverged_reason", "diverged_step"}


def by_length(items: int = 60) -> LabelledTask:
    """How many letters, as a score of 0 to 3 with halves in between."""
    rows = [Classification("abcdefgh"[i % 8] * (1 + i % 7), i % 7 / 2) for i in range(items)]
    return LabelledTask("length", "classification", ("0", "1", "2", "3"), rows[:40], rows[40:], "pearson")  # type: ignore[arg-type]


def test_scores_are_learnt_and_told_between_the_whole_numbers(checkpoint: Path) -> None:
    result = run(checkpoint, by_length(), epochs=25, learning_rate=1e-2, dropout=0.0, classifier_dropout=0.0)
    assert result.answers is not None
    assert result.metrics["metric"] == "pearson" and result.metrics["score"] > 0.97 and result.metrics["scores"]["spearman"] > 0.95
    assert result.metrics["low"] <= result.metrics["score"] <= result.metrics["high"] and result.metrics["majority"] == 0.0
    halves = [p for p, right in zip(result.answers.predicted_N, result.answers.right_N, strict=True) if right % 1]
    assert sum(abs(p - round(p)) > 0.2 for p in halves) > len(halves) / 2  # rounded labels would give whole numbers


@pytest.mark.parametrize(("metric", "positive"), [("matthews", None), ("f1", "yes")])
def test_the_task_s_metric_is_that_of_its_answers(checkpoint: Path, metric: Any, positive: str | None) -> None:
    result = run(checkpoint, replace(letters(), metric=metric, positive=positive), epochs=2, validation_share=0.2)
    assert result.answers is not None
    predicted, right = result.answers.predicted_N, result.answers.right_N
    assert right.tolist() == [item.label for item in letters().test]  # type: ignore[union-attr]
    assert result.metrics["metric"] == metric and result.metrics["score"] == label_score(metric, predicted, right, 1)
    assert result.metrics["scores"]["accuracy"] == run(checkpoint, epochs=2, validation_share=0.2).metrics["score"]


def test_a_bad_task_is_refused_before_the_checkpoint_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train item 0: an empty text"):
        run(tmp_path / "nowhere", replace(letters(), train=[Classification("", 0)]))


def test_new_rows_and_the_head_are_drawn_with_a_deviation_of_a_fiftieth(checkpoint: Path) -> None:
    gpt, generator = load_checkpoint(checkpoint), torch.Generator().manual_seed(0)
    old = gpt.token_embedding.weight.detach().clone()
    grow_vocabulary(gpt, 400, generator)
    head = ExtractHead(16, 400, 0.0, "classification", generator)
    assert torch.equal(gpt.token_embedding.weight[:VOCAB_SIZE], old)
    for new in (gpt.token_embedding.weight[VOCAB_SIZE:].detach(), head.linear.weight.detach()):
        assert new.shape == (400, 16)
        assert abs(float(new.std()) - 0.02) < 0.001 and abs(float(new.mean())) < 0.001  # 5 and 4 standard errors of 6,400 draws
    assert not head.linear.bias.any()


def test_schedule_rises_then_falls_to_nothing() -> None:
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert rates.index(max(rates)) == 9 or rates.index(max(rates)) == 10
    assert rates[0] == pytest.approx(0.05 * 0.995) and rates[-1] == pytest.approx(0.005)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert schedule(0, 100, 0.002) == pytest.approx(0.995)
