"""params.yaml against its types: as shipped it is right, and any slip is one line that names the key."""

import re
from pathlib import Path

import pytest

from components.errors import InputError
from flows import schema

SHIPPED = Path("params.yaml").read_text(encoding="utf-8")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text, count = re.subn(old, new, SHIPPED, count=1)
    assert count == 1, f"the shipped file no longer holds {old!r}"
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_is_right_and_every_override_applies() -> None:
    whole = schema.check()
    assert len(list(schema.cells(whole))) >= 1 + 5 + 2 + 2 + 2


def test_every_study_has_three_seeds_and_a_baseline_among_its_arms() -> None:
    for _, study in schema.studies(schema.check()):
        assert len(study.seeds) >= 3
        assert study.baseline in study.arms


def test_weights_name_the_sources() -> None:
    whole = schema.check()
    assert set(whole.mixture.weights) == set(whole.sources)
    assert sum(whole.mixture.weights.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  d_model:", "  d_modle:", "model.d_model is missing.*model.d_modle is not a known parameter"),
        ("\nevaluation:", "\nevaluations:", "evaluations is not a known section"),
        (r"  learning_rate: 5\S+", "  learning_rate: fast", "training.learning_rate: Input should be a valid number.*'fast'"),
        (r"  num_heads: \d+", "  num_heads: 7", "model: .*d_model .* is not divisible by num_heads 7"),
        ("norm_placement: pre", "norm_placement: sandwich", "model.norm_placement: Input should be 'pre' or 'post'"),
        ("{model.norm_placement: post}", "{model.norm_place: post}", "overrides model.norm_place, which is no parameter"),
        ("{model.norm_placement: post}", "{model.norm_placement: 3}", "model.norm_placement: Input should be 'pre' or 'post'"),
        ("{crawl: ", "{crawl: -", "mixture: weights must be finite and not negative"),
        ("model: ", "model ", "not valid YAML"),
        (
            "half: {finetuning.aux_lm_weight: 0.5}",
            "half: {finetuning.aux_lm_weight: 0.0}",
            "aux_lm_weight.arms: half has the same parameters as off",
        ),
        ("half: {finetuning.aux_lm_weight: 0.5}\n", "", "studies.aux_lm_weight: a study needs two arms or more, .* has off"),
        (r"arms:\n      pre: \{\}\n      post: .*\n", "arms: {}\n", "studies.ln_placement: a study needs two arms or more, .* has none"),
        ("metric: loss_nats", "metric: loss", "studies.ln_placement.metric: Input should be 'loss_nats', .* got 'loss'"),
        ("baseline: pre", "baseline: peri", "studies.ln_placement: baseline 'peri' is no arm; name one of pre, post"),
        (r"\{training.learning_rate \*: 0.25\}", "{}", "learning_rate.sweep: same has the same parameters as quarter"),
        (
            r"\{training.learning_rate \*: 0.25\}",
            "{training.learning_rate *: fast}",
            "only a number can be multiplied, .* got 'fast'",
        ),
        (r"seeds: \[0, 1, 2, 3\]", "seeds: [0]", "full_studies.ln_placement: a sweep of learning rates needs two seeds or more"),
    ],
)
def test_a_slip_is_one_line_that_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        schema.check(changed(tmp_path, old, new))
    assert "\n" not in str(caught.value)
