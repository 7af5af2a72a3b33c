"""From a score to what its model was trained on: every kind of score leads there, and every break on the way is one line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.artifacts import write_json, write_json_lines, write_manifest
from components.errors import InputError
from flows import runs
from flows.ancestry import ancestors
from flows.contamination import main
from flows.provenance import hash_path

GRAPH: dict[str, tuple[str, list[str], list[str]]] = {
    "derive_tasks": ("python -m tasks", [], ["data/tasks"]),
    "curate_corpus": ("python -m curate", ["data/tasks"], ["data/corpus"]),
    "tokenize_corpus": ("python -m tokenize", ["data/corpus"], ["data/tokens", "metrics/tokens.json"]),
    "pretrain_target": ("python -m train", ["data/tokens"], ["data/target"]),
    "evaluate_model": ("python -m evaluate", ["data/tasks", "data/target"], ["data/evaluation", "metrics/evaluation.json"]),
    "finetune_model@a-pretrained": ("python -m finetune --task a --init pretrained", ["data/target"], ["data/fine", "metrics/fine.json"]),
    "finetune_model@a-scratch": ("python -m finetune --task a --init scratch", ["data/target"], ["data/scratch"]),
    "pretrain_capability": ("python -m train", [], ["data/capability"]),
}
KIND = {"tasks": "tasks", "corpus": "corpus", "tokens": "token_shards", "evaluation": "no checkpoint"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outputs of a small graph, and its lock."""
    monkeypatch.chdir(tmp_path)
    for _, _, outs in GRAPH.values():
        for out in map(Path, outs):
            if out.suffix:
                write_json(out, {"of": out.name})
            else:
                out.mkdir(parents=True)
                write_manifest(out, KIND.get(out.name, "checkpoint"), sha256=f"weights of {out}")
    lock()
    return tmp_path


def lock() -> None:
    made = {out: hash_path(Path(out)) for _, _, outs in GRAPH.values() for out in outs}
    stages = {
        name: {
            "cmd": command,
            **{kind: [{"path": path, "md5": made[path]} for path in paths] for kind, paths in (("deps", deps), ("outs", outs))},
        }
        for name, (command, deps, outs) in GRAPH.items()
    }
    write_json(Path("dvc.lock"), {"stages": stages})


@pytest.mark.parametrize(
    ("score", "checkpoint", "task", "answers"),
    [
        ("metrics/evaluation.json", "data/target", None, "data/evaluation"),
        ("metrics/fine.json", "data/fine", "a", "data/fine"),
        ("data/fine", "data/fine", "a", "data/fine"),
        ("data/target", "data/target", None, None),
        ("copy", "data/target", None, None),
        ("scores", "data/target", None, "scores"),
        ("scores/scores.json", "data/target", None, "scores"),
        ("tuned", "data/target", None, None),
    ],
)
def test_every_kind_of_score_leads_to_the_corpus_and_to_its_answers(
    repository: Path, score: str, checkpoint: str, task: str | None, answers: str | None
) -> None:
    for path in ("data/evaluation/a.items.jsonl", "data/fine/items.jsonl", "scores/a.items.jsonl"):
        write_json_lines(Path(path), [])
    lock()
    shutil.copytree("data/target", "copy")
    write_json(Path("scores/scores.json"), {"checkpoint_sha256": "weights of data/target"})
    write_json(Path("tuned/metrics.json"), {"checkpoint_sha256": "weights of data/target"})
    write_manifest(Path("tuned"), "checkpoint", sha256="weights that are new")
    found = ancestors(score)
    assert (found.checkpoint, found.task, found.answers) == (Path(checkpoint), task, answers and Path(answers))
    assert (found.tokens, found.corpus, found.tasks) == (Path("data/tokens"), Path("data/corpus"), Path("data/tasks"))
    assert found.hashes[Path("data/corpus")] == hash_path(Path("data/corpus"))


def damage(path: str) -> Callable[[], None]:
    return lambda: write_json(Path(path) / "more.json" if Path(path).is_dir() else Path(path), 1)


def other_model() -> None:
    write_json(Path("scores/scores.json"), {"checkpoint_sha256": "weights of another"})


def from_scratch() -> None:
    write_json(Path("new/metrics.json"), {"checkpoint_sha256": None})


BREAKS: list[tuple[str, Callable[[], Any], str]] = [
    ("data/target", lambda: Path("dvc.lock").unlink(), "dvc.lock: not there"),
    ("data/target", lambda: shutil.rmtree("data/tokens"), "data/tokens: is not here; run dvc checkout data/tokens"),
    ("data/target", lambda: shutil.rmtree("data/corpus"), "data/corpus: is not here; run dvc checkout data/corpus"),
    ("data/target", damage("data/tokens"), "data/tokens: is not what data/target rests on (dvc.lock has another hash)"),
    ("data/target", damage("data/corpus"), "data/corpus: is not what data/target rests on (dvc.lock has another hash)"),
    ("data/target", damage("data/target"), "data/target: is not what pretrain_target wrote"),
    ("metrics/evaluation.json", damage("metrics/evaluation.json"), "metrics/evaluation.json: is not what evaluate_model wrote"),
    ("metrics/evaluation.json", damage("data/evaluation"), "data/evaluation: is not what evaluate_model wrote"),
    ("metrics/evaluation.json", lambda: shutil.rmtree("data/evaluation"), "data/evaluation: is not here; run dvc checkout data/evaluation"),
    ("metrics/evaluation.json", damage("data/target"), "data/target: is not the model of evaluate_model"),
    ("metrics/tokens.json", lambda: None, "tokenize_corpus: has no model; give a score of one"),
    ("data/scratch", lambda: None, "data/scratch: was trained from scratch on its task alone, on no document of a corpus"),
    ("data/capability", lambda: None, "data/capability: pretrain_capability was not trained on a curated corpus"),
    ("scores", other_model, "scores/scores.json: its model (weights weights of a) is none that dvc.lock knows"),
    ("new", from_scratch, "new: the model was trained from scratch on its task alone, on no document of a corpus"),
    ("metrics", lambda: None, "metrics: says nothing of its model"),
    ("metrics/none.json", lambda: None, "metrics/none.json: not there, and no output of dvc.lock"),
]  # fmt: skip


@pytest.mark.parametrize(("score", "work", "message"), BREAKS, ids=[message[:60] for _, _, message in BREAKS])
def test_a_break_on_the_way_is_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str], score: str, work: Callable[[], Any], message: str
) -> None:
    shutil.copy(Path(__file__).parents[2] / "params.yaml", repository)
    work()
    assert main([score]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith(f"error: {message}")


def test_a_run_of_mlflow_leads_there_while_dvc_lock_has_its_outcome(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outs = {path: hash_path(Path(path)) for path in ("data/evaluation", "metrics/evaluation.json")}
    run = SimpleNamespace(cell="evaluate_model", tags={"mlflow.source.git.commit": "0123456789abcdef"}, hashes=lambda prefix: outs)
    monkeypatch.setattr(runs, "Store", lambda uri: SimpleNamespace(read=lambda run_id: run))
    assert ancestors("0a1b").checkpoint == Path("data/target")
    outs["metrics/evaluation.json"] = "of another day"
    with pytest.raises(InputError, match=r"run 0a1b \(evaluate_model\): dvc.lock has another outcome now; check out commit 0123456789ab"):
        ancestors("0a1b")
