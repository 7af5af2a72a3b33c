"""What MLflow is told, and that a store that fails costs one line and nothing else.

What is said to the recorder is listened to here; tests/pipeline/test_recorder.py starts the real one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config import Frozen
from flows import params, tracking


class Model(Frozen):
    d_model: int
    betas: list[float]


class Sections(params.Sections):
    model: Model


VALUES = Sections(model=Model(d_model=8, betas=[0.9, 0.95]))


class Listener:
    """Takes the place of the recorder's process."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.closed = False
        self.gone = False

    def say(self, message: dict[str, Any]) -> None:
        self.messages.append(json.loads(json.dumps(message)))

    def answered(self) -> bool:
        return not self.gone

    def close(self) -> None:
        self.closed = True

    def of(self, what: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["what"] == what]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Listener:
    listener = Listener()
    monkeypatch.setattr(tracking, "_Recorder", lambda: listener)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@host:5000")
    monkeypatch.chdir(tmp_path)
    return listener


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host:80/x", "https://***@host:80/x"),
        ("postgresql://u:p@h/db and s3://key@bucket", "postgresql://***@h/db and s3://***@bucket"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("https://user:p@ss@host/x", "https://***@host/x"),
        (
            "https://h/x?a=1&X-Amz-Signature=0f&b=2, https://h/x?sv=1&sig=%2B",
            "https://h/x?a=1&X-Amz-Signature=***&b=2, https://h/x?sv=1&sig=***",
        ),
        ("sc://host:15002/;token=t;user_id=u", "sc://host:15002/;token=***;user_id=u"),
        ("mail a@b.c, http://host/@handle", "mail a@b.c, http://host/@handle"),
    ],
)
def test_no_password_is_written_down(text: str, expected: str) -> None:
    assert tracking.redact(text) == expected


def test_an_error_is_one_line() -> None:
    assert tracking.one_line(ValueError("first\n  second http://a:b@c")) == "ValueError: first second http://***@c"
    assert tracking.one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


leaves = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
keys = st.text("abc", min_size=1, max_size=2)


@given(st.recursive(st.dictionaries(keys, leaves, max_size=3), lambda inner: st.dictionaries(keys, st.one_of(inner, leaves), max_size=3)))
def test_every_leaf_keeps_its_value_under_its_dotted_key(values: Mapping[str, Any]) -> None:
    flat = tracking.flatten(values)
    for key, value in flat.items():
        node: Any = values
        for part in key.split("."):
            node = node[part]
        assert value == (json.dumps(node) if isinstance(node, list) else node)

    def count(node: Mapping[str, Any]) -> int:
        return sum(count(value) if isinstance(value, Mapping) else 1 for value in node.values())

    assert len(flat) == count(values)


def test_a_run_says_what_it_is(listener: Listener) -> None:
    Path("dvc.lock").write_text("stages: {tokenize: {outs: [{path: data/tokens, md5: abc.dir}]}}", encoding="utf-8")
    apply = ["studies.ln.common", "studies.ln.arms.post"]
    Path("data/tokens").mkdir(parents=True)
    with tracking.run("ablate_ln@post-1", apply, 1, VALUES, ["data/tokens", "data/x.json", "library"]) as run:
        run.log_dataset("tokens", Path("data/tokens"))
        Path("data/x.json").write_text("{}")
    opening = listener.messages[0]
    assert opening["experiment"] == "study-ln"
    assert opening["name"] == "post-1"  # the experiment says the rest, and MLflow's table cuts long names
    assert opening["values"] == {"model.d_model": "8", "model.betas": "[0.9, 0.95]", "seed": "1"}
    expected = {"stage": "ablate_ln", "cell": "ablate_ln@post-1", "study": "ln", "arm": "post", "seed": "1"}
    assert expected.items() <= opening["tags"].items()
    assert listener.of("dataset") == [{"what": "dataset", "name": "tokens", "digest": "abc.dir", "source": "data/tokens"}]
    assert opening["inputs"] == ["data/tokens"]
    assert listener.messages[-1] == {"what": "end", "status": "FINISHED", "reason": "", "outs": ["data/x.json"]}
    assert listener.closed


def test_rows_are_sent_fifty_at_a_time_and_none_is_lost(listener: Listener) -> None:
    with tracking.run("pretrain", [], 0, VALUES) as run:
        for step in range(120):
            run.log_rows([{"step": step, "loss_nats": step / 2, "grad_norm": 1.0}])
        assert [len(message["metrics"]) for message in listener.of("metrics")] == [100, 100]
        run.log_metrics({"final": 3})
    sent = [tuple(metric) for message in listener.of("metrics") for metric in message["metrics"]]
    assert [(name, value, step) for name, value, _, step in sent if name == "curve/loss_nats"] == [
        ("curve/loss_nats", n / 2, n) for n in range(120)
    ]
    assert [(name, value) for name, value, _, _ in sent if not name.startswith("system/")][-1] == ("final", 3.0)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "KILLED", "interrupted"),
        (ValueError("two\nlines"), "FAILED", "ValueError: two lines"),
        (SystemExit(3), "FAILED", "SystemExit: 3"),
    ],
)
def test_a_run_that_does_not_finish_says_why_and_the_error_goes_on(
    listener: Listener, error: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(error)), tracking.run("pretrain", [], 0, VALUES) as run:
        run.log_rows([{"step": 1, "loss_nats": 2.0}])
        raise error
    assert listener.messages[-1] == {"what": "end", "status": status, "reason": reason, "outs": []}
    assert len(listener.of("metrics")) == 1


def test_what_a_run_took_is_kept_with_it(listener: Listener) -> None:
    with tracking.run("pretrain", [], 0, VALUES, ["data/out"]):
        Path("data/out").mkdir(parents=True)
        Path("data/out/model").write_bytes(bytes(1000))
    [message] = listener.of("metrics")
    costs = {name: value for name, value, _, _ in message["metrics"]}
    assert costs[tracking.DISK_BYTES] == 1000
    assert 10e6 < costs[tracking.PEAK_MEMORY_BYTES] < 1e12
    assert 0 < costs[tracking.DURATION_SECONDS] < 60


def test_a_command_is_kept_where_dvc_does_not_know_it(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.orig_argv", ["python", "-m", "flows.stages.x", "--out", "a b"])
    with tracking.run("x", [], 0, VALUES):
        pass
    monkeypatch.setenv("DVC_STAGE", "x@1")
    with tracking.run("x@1", [], 0, VALUES):
        pass
    outside, inside = listener.of("open")
    assert outside["tags"]["command"] == "-m flows.stages.x --out 'a b'"
    assert "command" not in inside["tags"]


def test_after_the_recorder_has_given_up_nothing_more_is_said(listener: Listener, tmp_path: Path) -> None:
    with tracking.run("pretrain", [], 0, VALUES) as run:
        listener.gone = True
        run.log_artifact(tmp_path)
        said = len(listener.messages)
        run.log_metrics({"final": 3})
        run.log_model(tmp_path)
    assert len(listener.messages) == said
    assert listener.closed


@pytest.mark.parametrize("uri", ["", "off", "OFF", " "])
def test_off_starts_nothing(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(tracking.subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    with tracking.run("pretrain", [], 0, VALUES) as run:
        run.log_rows([{"step": 1, "loss_nats": 2.0}] * 100)
        run.log_artifact(Path(__file__))


def test_the_default_store_is_a_database_at_the_top_of_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    assert tracking.tracking_uri() == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    assert tracking.tracking_uri() == "sqlite:////elsewhere/mlflow.db"
