"""params.yaml -> typed sections: overrides applied in order, and one line for every slip."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config import Frozen
from components.errors import InputError
from flows import params

TEXT = """
model: {d_model: 8, norm: pre}
training: {learning_rate: 1e-3}
target: {model.d_model: 16}
studies: {ln: {common: {model.d_model: 4}, arms: {pre: {}, post: {model.norm: post}, "off": {model.norm: none}}}}
other: 3
"""


class Model(Frozen):
    d_model: int
    norm: str


class Training(Frozen):
    learning_rate: float


class Sections(params.Sections):
    model: Model
    training: Training


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_values_are_read_as_dvc_reads_them(path: Path) -> None:
    assert params.load(Sections, path=path).training.learning_rate == 0.001  # PyYAML reads 1e-3 as text


def test_overrides_apply_in_order_and_leave_the_rest(path: Path) -> None:
    loaded = params.load(Sections, ["target", "studies.ln.common", "studies.ln.arms.post"], path)
    assert loaded.model == Model(d_model=4, norm="post")
    assert params.load(Sections, ["studies.ln.common", "target"], path).model.d_model == 16
    assert params.load(Sections, ["studies.ln.arms.off"], path).model.norm == "none"
    assert params.load(Sections, [], path).model == Model(d_model=8, norm="pre")


def test_a_factor_multiplies_what_the_overrides_before_it_left(path: Path) -> None:
    path.write_text(TEXT + "swept: {training.learning_rate *: 0.5}\narm: {training.learning_rate: 0.25}\n", encoding="utf-8")
    assert params.load(Sections, ["swept"], path).training.learning_rate == 0.0005
    assert params.load(Sections, ["arm", "swept"], path).training.learning_rate == 0.125
    assert params.load(Sections, ["swept", "arm"], path).training.learning_rate == 0.25


@pytest.mark.parametrize(
    ("old", "new", "apply", "message"),
    [
        ("d_model: 8", "d_modle: 8", [], "model.d_model is missing.*d_modle is not a known parameter"),
        ("d_model: 8", "d_model: 8.5", [], "model.d_model: .*valid integer.*8.5"),
        ("learning_rate: 1e-3", "learning_rate: .inf", [], "training.learning_rate: .*finite number, got inf"),
        ("d_model: 8", 'd_model: "8"', [], "model.d_model: .*valid integer"),
        ("training: {", "trainings: {", [], "training is missing; add it"),
        ("model: {", "model {", [], "not valid YAML"),
        ("", "", ["studies.ln.arms.peri"], "studies.ln.arms.peri is not there"),
        ("", "", ["studies.rn"], "studies.rn is not there"),
        ("", "", ["other"], "other must map parameters to values"),
        ("model.d_model: 16", "model.depth: 16", ["target"], "target overrides model.depth, which is no parameter"),
        ("model.d_model: 16", "model: 16", ["target"], "names a whole section"),
        ("model.d_model: 16", "model.norm *: 2", ["target"], "target: model.norm .*: only a number can be multiplied, .* got 'pre'"),
        ("model.d_model: 16", "model.d_model *: true", ["target"], "only a number can be multiplied, and by a number, got True"),
        ("model.d_model: 16", "model.d_modle *: 2", ["target"], "overrides model.d_modle .*, which is no parameter"),
    ],
)
def test_a_slip_is_one_line_that_names_file_and_key(path: Path, old: str, new: str, apply: list[str], message: str) -> None:
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        params.load(Sections, apply, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_an_empty_one_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there; run from the top folder"):
        params.load(Sections, path=tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="holds no sections"):
        params.load(Sections, path=tmp_path / "params.yaml")


@given(st.integers(1, 10**6), st.floats(1e-12, 10, allow_nan=False))
def test_any_number_survives_the_file(tmp_path_factory: pytest.TempPathFactory, d_model: int, learning_rate: float) -> None:
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(f"model: {{d_model: {d_model}, norm: pre}}\ntraining: {{learning_rate: {learning_rate!r}}}\n", encoding="utf-8")
    loaded = params.load(Sections, path=path)
    assert (loaded.model.d_model, loaded.training.learning_rate) == (d_model, learning_rate)
