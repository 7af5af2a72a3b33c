"""The whole graph on little text: it runs, runs nothing twice, re-runs what a change touches, and gives the same bytes again."""

import copy
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.small_repository import Repository

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("whole") / "repository")
    repository.dvc("repro")
    repository.commit()
    return repository


@pytest.fixture
def restored(repository: Repository) -> Iterator[Repository]:
    """The finished repository; parameters are put back after the test."""
    before = (repository.path / "params.yaml").read_bytes()
    yield repository
    (repository.path / "params.yaml").write_bytes(before)


def summary(repository: Repository) -> dict:  # type: ignore[type-arg]
    return json.loads((repository.path / "metrics" / "summary.json").read_text())  # type: ignore[no-any-return]


def test_report_and_summary_are_made(repository: Repository) -> None:
    page = (repository.path / "report" / "index.html").read_text()
    assert "</html>" in page
    found = summary(repository)
    assert found["documents"]["read"] == found["documents"]["kept"] + found["documents"]["dropped"]
    assert [row["name"] for row in found["ladder"]] == ["r2", "r3", "r4", "r5", "target"]
    assert set(found["finetune"]) == {"library", "summary_match", "see_also", "name_choice"}
    assert set(found["studies"]) == {"ln_placement", "batch_size", "aux_lm_weight"}
    assert set(found["bits_per_byte"]) == {"target", "xz", "unigram", "bigram"}
    assert found["forecast"]["compute_ratio"] > 1
    fine_tuned = [row["task"] for row in found["contamination"] if row["asked"] == "fine-tuned"]
    assert sorted(fine_tuned) == ["library", "name_choice", "see_also", "summary_match"]
    assert "Had the model read the test items?" in page
    assert not list(repository.path.rglob("*.partial"))
    assert not list((repository.path / "scratch").glob("*"))


def test_a_second_run_does_nothing(repository: Repository) -> None:
    assert "Data and pipelines are up to date." in repository.dvc("repro")
    assert repository.run("git", "status", "--porcelain") == ""


def test_changing_an_arm_runs_its_cell_and_what_follows(restored: Repository) -> None:
    values = restored.params()
    values["studies"]["ln_placement"]["arms"]["post"]["training.learning_rate"] = 0.002
    restored.write_params(values)
    assert restored.would_run() == {"ablate_ln_placement@usual-post-usual-0", "write_report"}


def test_a_new_arm_runs_alone(restored: Repository) -> None:
    values = restored.params()
    values["studies"]["batch_size"]["arms"]["b4k"] = {"training.batch_tokens": 4096}
    restored.write_params(values)
    assert restored.would_run() == {"ablate_batch_size@usual-b4k-usual-0", "write_report"}


def test_changing_a_rung_reaches_the_forecast_and_all_that_follows_it(restored: Repository) -> None:
    values = restored.params()
    values["ladder"]["rungs"]["r3"]["training.learning_rate"] = 0.002
    restored.write_params(values)
    ran = restored.would_run()
    assert {"pretrain_ladder@r3-0", "forecast_loss"} <= ran
    assert not {
        name for name in ran if name.startswith(("curate", "tokenize", "derive", "ablate_ln", "ablate_batch", "pretrain_ladder@r2"))
    }


def test_the_commands_of_dvc_say_something_useful(restored: Repository) -> None:
    values = restored.params()
    values["finetuning"]["aux_lm_weight"] = 0.25
    restored.write_params(values)
    assert "finetuning.aux_lm_weight" in restored.dvc("params", "diff")
    assert "metrics/forecast_score.json" in restored.dvc("metrics", "show")
    assert "pretrain_target" in restored.dvc("dag")
    assert "file://" in restored.dvc("plots", "show", "-o", "plots_page")
    page = (restored.path / "plots_page" / "index.html").read_text()
    assert "Target, training and held-out loss" in page


def test_an_experiment_with_another_parameter_stands_beside_the_branch(restored: Repository) -> None:
    before = summary(restored)
    restored.commit()
    restored.dvc("exp", "run", "-n", "hot", "-S", "finetuning.learning_rate=0.01", "ablate_aux_lm_weight@usual-half-usual-0")
    table = restored.dvc("exp", "show", "--csv", "--only-changed")
    assert "hot" in table
    assert "0.01" in table
    restored.run("git", "checkout", "-q", "--", ".")
    restored.dvc("checkout", "-q", "dvc.yaml")
    assert summary(restored) == before


def test_a_fresh_clone_gives_the_same_bytes(repository: Repository, tmp_path: Path) -> None:
    """Text, tokens, tasks and a model; the rest follows from them by the same means."""
    clone = Repository(tmp_path / "clone")
    clone.dvc("repro", "derive_tasks", "pretrain_ladder@r2-0")
    again, before = clone.lock_hashes(), repository.lock_hashes()
    assert {"data/corpus", "data/tokens", "data/tasks", "data/ladder/r2-0"} <= set(again)
    assert again == {path: before[path] for path in again}


def stage(name: str, **options: str) -> list[str]:
    return ["python", "-m", f"flows.stages.{name}", *(part for key, value in options.items() for part in (f"--{key}", value))]


PRETRAIN = stage("pretrain_model", tokens="data/tokens", out="out", metrics="out.json")
EVALUATE = stage(
    "evaluate_model",
    tokens="data/tokens",
    corpus="data/corpus",
    tasks="data/tasks",
    checkpoint="data/target",
    out="out",
    metrics="out.json",
)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["training", "learning_rte"], 1, "training.learning_rte is not a known parameter"),
        (["training", "learning_rate"], "quick", "training.learning_rate: Input should be a valid number"),
        (["training", "train_tokens"], 10**9, "raise tokenization.stream_tokens"),
        (["model", "context_length"], 100, "training.batch_tokens 1024 is no multiple of model.context_length 100"),
    ],
)
def test_bad_parameters_are_one_line(restored: Repository, place: list[str], value: object, message: str) -> None:
    values = copy.deepcopy(restored.params())
    values[place[0]][place[1]] = value
    restored.write_params(values)
    output = restored.run(*PRETRAIN, status=2)
    assert [line for line in output.splitlines() if "error" in line] == [output.splitlines()[-1]]
    assert output.splitlines()[-1].startswith("error: ")
    assert message in output
    assert not (restored.path / "out").exists()


@pytest.mark.parametrize(("file", "command"), [("data/tokens/train/00000.bin", PRETRAIN), ("data/target/model.safetensors", EVALUATE)])
def test_a_truncated_file_is_one_line(repository: Repository, file: str, command: list[str]) -> None:
    path = repository.path / file
    before = path.read_bytes()
    path.unlink()  # never write into what may be a link to DVC's cache
    path.write_bytes(before[:-2])
    output = repository.run(*command, status=2)
    path.write_bytes(before)
    assert re.search(rf"error: {file}: .*run dvc repro", output.splitlines()[-1])
    assert not (repository.path / "out.json").exists()


def test_ctrl_c_leaves_nothing_half_written_and_the_next_run_goes_on(repository: Repository) -> None:
    with subprocess.Popen(PRETRAIN, cwd=repository.path, env=repository.environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("tokens" in line for line in process.stderr)  # the bar stands: training begins
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1].startswith("error: interrupted")
    assert not (repository.path / "out").exists()
    repository.run(*PRETRAIN)
    assert (repository.path / "out" / "model.safetensors").exists()
