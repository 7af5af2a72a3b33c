"""Tables as people have them are read; what cannot be read is one line that names the place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.scaling.table import RunTable, read_table

GOOD = "N,D,C,loss\n1e6,2e7,1.2e14,4.0\n2e6,4e7,4.8e14,3.5\n"


def read(tmp_path: Path, content: str | bytes, **named: str) -> RunTable:
    path = tmp_path / "runs.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, named)


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", " | "),
        GOOD.replace("\n", "\r\n") + "\r\n\r\n",
        "Model Size, Tokens ,Training FLOP,val_loss\n1e6,2e7,1.2e14,4.0\n2e6,4e7,4.8e14,3.5\n",
        'N,D,C,loss\n"1,000,000","20,000,000",1.2e14,4.0\n2 000 000,40_000_000,4.8e14,3.5\n',
        "n;d;c;loss\n1000000;20000000;1,2e14;4,0\n2000000;40000000;4,8e14;3,5\n",
        GOOD.encode("utf-16"),
        "params (M),tokens_billions,C in petaflops,Loss (nats)\n1,0.02,0.12,4.0\n2,0.04,0.48,3.5\n",
        "N,D,C,loss\n1M,0.02B,1.2e14,4.0\n2 M,40m,4.8e14,3.5\n",
        '[{"N": 1000000, "D": 2e7, "C": 1.2e14, "loss": 4.0}, {"N": 2e6, "D": 4e7, "C": 4.8e14, "loss": 3.5, "note": null}]',
        '{"N": 1e6, "D": 2e7, "C": 1.2e14, "loss": 4}\n{"N": 2e6, "D": 4e7, "C": 4.8e14, "loss": "3.5"}\n',
    ],
)
def test_the_same_runs_in_other_clothes(tmp_path: Path, content: str | bytes) -> None:
    table = read(tmp_path, content)
    assert table.n_params_P is not None and table.n_tokens_P is not None
    assert table.n_params_P.tolist() == [1e6, 2e6]
    assert table.n_tokens_P.tolist() == [2e7, 4e7]
    assert table.flops_P.tolist() == [1.2e14, 4.8e14]
    assert table.losses_P.tolist() == [4.0, 3.5]
    assert table.left_out == ()


def test_what_cannot_be_used_is_left_out_by_line_and_reason(tmp_path: Path) -> None:
    rows = [
        "1e6,2e7,1.2e14,nan",
        "1e6,2e7,1.2e14,-1",
        "1e6,0,1.2e14,3",
        "2e6,4e7,4.8e14,3.5",
        "1e6,2e7,,3",
        "1e6,2e7,1.2e14,diverged",
        "1e6,2e7,inf,3",
    ]
    table = read(tmp_path, GOOD + "\n".join(rows) + "\n")
    assert table.num_runs == 2
    assert [(run.line, run.reason) for run in table.left_out] == [
        (4, "loss is missing or not finite"),
        (5, "loss is -1, not positive"),
        (6, "D is 0, not positive"),
        (7, "repeats line 3"),
        (8, "C is missing or not finite"),
        (9, "loss is missing or not finite"),
        (10, "C is missing or not finite"),
    ]


@pytest.mark.parametrize(
    ("header", "missing", "warning"),
    [("N,D,loss", "C", "C = 6 N D"), ("N,C,loss", "D", "D = C / 6 N"), ("D,C,loss", "N", "N = C / 6 D")],
)
def test_the_third_quantity_follows_from_two_and_is_said(tmp_path: Path, header: str, missing: str, warning: str) -> None:
    values = {"N": "1e6", "D": "2e7", "C": "1.2e14", "loss": "4"}
    table = read(tmp_path, f"{header}\n{','.join(values[name] for name in header.split(','))}\n")
    found = {"N": table.n_params_P, "D": table.n_tokens_P, "C": table.flops_P}[missing]
    assert found is not None
    assert found[0] == pytest.approx(float(values[missing]))
    assert any(warning in text for text in table.warnings)


def test_perplexity_is_read_as_its_logarithm(tmp_path: Path) -> None:
    table = read(tmp_path, "N,D,lambada_ppl\n1e6,2e7,20.0\n2e6,4e7,0\n", loss_nats="lambada_ppl")
    assert table.losses_P == pytest.approx([np.log(20.0)])
    assert table.left_out[0].reason == "lambada_ppl is 0, not positive"
    assert any("perplexity" in text for text in table.warnings)


def test_options_name_columns_and_a_guess_between_two_is_said(tmp_path: Path) -> None:
    content = "params_total,params_non_embedding,D,loss\n2e6,1e6,2e7,4\n"
    guessed, named = read(tmp_path, content), read(tmp_path, content, n_params="params_non_embedding")
    assert guessed.n_params_P is not None and named.n_params_P is not None
    assert (guessed.n_params_P[0], named.n_params_P[0]) == (2e6, 1e6)
    assert any("params_total" in text and "--n-params-column" in text for text in guessed.warnings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; give a line of names"),
        ("\n \n", "empty; give a line of names"),
        ("N,D,C,loss\n", "holds no usable run"),
        ("N,D,C,loss\n1,2,3,nan\n", r"holds no usable run \(line 2: loss is missing"),
        ("N D C loss\n1 2 3 4\n", "line 1 holds one column, 'N D C loss'; separate columns by commas"),
        ("1e6,2e7,1.2e14,4\n", "line 1 holds numbers, not names"),
        (GOOD + "1e6,2e7,x9,3\n", "line 4: column 'C': 'x9' is no number"),
        (GOOD + "1,000,000,2e7,1.2e14,3\n", "line 4: 6 cells under 4 names; quote"),
        (GOOD + "1e6,2e7\n", "line 4: 2 cells under 4 names; fill"),
        ('N,D,C,loss\n1e6,2e7,1.2e14,"3,214"\n', "line 2: column 'loss': '3,214' may be thousands or decimals"),
        ("N,D,C,accuracy\n1,2,3,4\n", "no column of losses among N, D, C, accuracy"),
        ("N,loss\n1,2\n", "needs columns of N and D, or of C"),
        ("N,N,C,loss\n1,2,3,4\n", "two columns 'N'"),
        ("[1, 2]", "no JSON records"),
        ('[{"N": 1,]', "line 1: not JSON"),
        (b"\x93NUMPY\x01\x00\xff\xfe", "not UTF-8 text"),
        (b"PK\x03\x04\0\0", "binary"),
    ],
)
def test_bad_input_is_one_line_that_names_the_place(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, content)
    assert "runs.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_a_wrong_name_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.csv: not there"):
        read_table(tmp_path / "nothing.csv", {})
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path, {})
    with pytest.raises(InputError, match="no column 'size', only N, D, C, loss; mend --n-params-column"):
        read(tmp_path, GOOD, n_params="size")


@given(st.lists(st.tuples(*[st.floats(1e-3, 1e25)] * 3, st.floats(1e-3, 50)), min_size=1, max_size=8, unique=True))
def test_any_positive_runs_survive_a_file(tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[float, ...]]) -> None:
    path = tmp_path_factory.mktemp("runs") / "runs.csv"
    path.write_text("N,D,C,loss\n" + "".join(",".join(map(repr, run)) + "\n" for run in runs))
    table = read_table(path, {})
    assert table.n_params_P is not None and table.n_tokens_P is not None
    assert np.array_equal(np.stack([table.n_params_P, table.n_tokens_P, table.flops_P, table.losses_P], axis=1), np.array(runs))
