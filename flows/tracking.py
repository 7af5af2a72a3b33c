"""The only file that imports mlflow: every attempt of every stage is one flat run, and MLflow never decides anything.

MLflow is a view of what params.yaml, dvc.lock and metrics/ hold; no stage reads from it. So nothing here raises: when
the store cannot be reached, at the start or in mid-run, one line says so on stderr and the stage goes on without it.

The store is ``MLFLOW_TRACKING_URI``, by default ``mlflow.db`` at the top of the repository; empty or ``off`` tracks nothing.
"""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from pydantic import BaseModel

EXPERIMENT = "gpt-lineage"
FLOW_RUN_VARIABLE = "GPT_LINEAGE_FLOW_RUN_ID"  # set by flows/pipeline.py for the cells it runs
BUFFERED_ROWS = 50  # MLflow takes 7 ms a call but 0.1 s for a batch of 1,000 metrics
MAX_BATCH_METRICS = 1000  # limits of MLflow's log_batch, as are the next two
MAX_BATCH_PARAMS = 100
MAX_PARAM_CHARS = 500
# Short, for a store that is gone must not hold up training: MLflow's own are 120 s and 7 retries.
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
NO_CHATTER = {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}


class Run:
    """One attempt of one stage. No method raises; after the first failure of the store none does anything."""

    def __init__(self, connect: "Callable[[], tuple[MlflowClient, str]] | None") -> None:
        self._connection: tuple[MlflowClient, str] | None = None
        self._rows: list[tuple[int, int, Mapping[str, float]]] = []  # clock [ms], step, values
        if connect is not None:
            with self._surviving():
                self._connection = connect()

    def log_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Points of curves. Each row holds ``step`` and any number of metrics; they are sent 50 rows at a time."""
        now_ms = int(time.time() * 1000)
        self._rows += [(now_ms, int(row["step"]), row) for row in rows]
        if len(self._rows) >= BUFFERED_ROWS:
            self._flush()

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final numbers of the stage, one value each."""
        self._flush()
        now_ms = int(time.time() * 1000)
        self._send_metrics([(name, float(value), now_ms, 0) for name, value in metrics.items()])

    def log_artifact(self, path: Path) -> None:
        """A file, or a folder under its own name."""
        self._call(lambda client, run_id: _log_path(client, run_id, path, path.name if path.is_dir() else None))

    def log_model(self, path: Path) -> None:
        """A checkpoint folder, as the artifact folder ``model``."""
        self._call(lambda client, run_id: _log_path(client, run_id, path, "model"))

    def log_dataset(self, name: str, path: Path) -> None:
        """What the stage learnt from or was measured on, as an input of the run, known by its hash in dvc.lock."""
        self._call(lambda client, run_id: _log_dataset(client, run_id, name, path))

    def end(self, status: str, reason: str = "") -> None:
        """Close the run as FINISHED, FAILED or KILLED; ``reason`` is one line."""
        self._flush()
        if reason:
            self._call(lambda client, run_id: client.set_tag(run_id, "reason", redact(reason)[:MAX_PARAM_CHARS]))
        self._call(lambda client, run_id: client.set_terminated(run_id, status))

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._send_metrics([(name, float(row[name]), at_ms, step) for at_ms, step, row in rows for name in row if name != "step"])

    def _send_metrics(self, metrics: list[tuple[str, float, int, int]]) -> None:
        def send(client: "MlflowClient", run_id: str) -> None:
            from mlflow.entities import Metric

            for start in range(0, len(metrics), MAX_BATCH_METRICS):
                client.log_batch(run_id, metrics=[Metric(*metric) for metric in metrics[start : start + MAX_BATCH_METRICS]])

        self._call(send)

    def _call(self, action: "Callable[[MlflowClient, str], object]") -> None:
        if self._connection is not None:
            with self._surviving():
                action(*self._connection)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Any failure of the store ends the tracking of this run, never the run."""
        try:
            yield
        except Exception as error:
            self._connection = None
            print(f"warning: not tracked from here on, MLflow failed: {one_line(error)}", file=sys.stderr, flush=True)


@contextmanager
def run(stage: str, apply: Sequence[str], seed: int, params: "BaseModel", inputs: Iterable[str] = ()) -> Iterator[Run]:
    """Track one attempt of ``stage``: FINISHED, FAILED with the reason in one line, or KILLED when interrupted.

    Args:
        stage: address in dvc.yaml, ``pretrain_ladder@r1-0``; the name of the run.
        apply: places in params.yaml whose overrides were applied; they name the study and the arm.
        seed: seed of the cell.
        params: the sections that the stage read.
        inputs: paths given on the command line; those that DVC knows as outputs are tagged with their hash.
    """
    uri = tracking_uri()
    study, tags = _study_of(apply), {}
    connect = None
    if uri:
        tags = _tags(stage, apply, seed, inputs)
        values = flatten(params.model_dump()) | {"seed": seed}
        connect = lambda: _open_run(uri, f"study-{study}" if study else EXPERIMENT, stage, tags, values)  # noqa: E731
    attempt = Run(connect)
    try:
        yield attempt
    except KeyboardInterrupt:
        attempt.end("KILLED", "interrupted")
        raise
    except BaseException as error:
        attempt.end("FAILED", one_line(error))
        raise
    attempt.end("FINISHED")


def tracking_uri() -> str:
    """Where runs go: ``MLFLOW_TRACKING_URI``, else a database at the top of the repository; "" when tracking is off."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db").strip()
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{_repository() / uri.removeprefix('sqlite:///')}"
    return "" if uri.lower() == "off" else uri


def redact(text: str) -> str:
    """``text`` without the user and password of any address in it."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def one_line(error: BaseException) -> str:
    """Kind and message of an error in one line that holds no password."""
    message = redact(" ".join(str(error).split()))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys; a list stays one value, written as JSON."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return flat


def data_hashes() -> dict[str, str]:
    """Path -> md5 of every output in dvc.lock; nothing when there is none yet, or another process is writing it."""
    import yaml

    try:
        lock = yaml.load(Path("dvc.lock").read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", []) if "md5" in out}
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}


def _repository() -> Path:
    # In the scratch folder of `dvc exp run --temp` DVC_ROOT still names the user's own repository.
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def _study_of(apply: Sequence[str]) -> str:
    return next((place.split(".")[1] for place in apply if place.startswith("studies.")), "")


def _tags(stage: str, apply: Sequence[str], seed: int, inputs: Iterable[str]) -> dict[str, str]:
    arms = [place.rpartition(".")[2] for place in apply if ".arms." in place or ".rungs." in place]
    hashes = data_hashes()
    tags = {
        "stage": stage.partition("@")[0],
        "cell": stage,
        "study": _study_of(apply),
        "arm": "+".join(arms),
        "seed": str(seed),
        "mlflow.source.git.commit": _git("rev-parse", "HEAD"),
        "dirty": str(bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock", ":!metrics"))).lower(),
        "experiment_name": os.environ.get("DVC_EXP_NAME", ""),
        "lock_sha256": _sha256(Path("requirements.lock")),
        "prefect.flow_run_id": os.environ.get(FLOW_RUN_VARIABLE, ""),
        **{f"data.{path}": hashes[path] for path in inputs if path in hashes},
    }
    return {name: redact(value) for name, value in tags.items() if value}


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""  # no repository, or none of git: the tag is left out


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _open_run(uri: str, experiment: str, name: str, tags: Mapping[str, str], values: Mapping[str, Any]) -> "tuple[MlflowClient, str]":
    with _created_once(uri):
        client = _client(uri)
        experiment_id = _experiment_id(client, uri, experiment)
    run_id = client.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
    _log_params(client, run_id, values)
    return client, run_id


def _client(uri: str) -> "MlflowClient":
    quiet.set_variables()
    for name, value in {**HTTP_LIMITS, **NO_CHATTER}.items():
        os.environ.setdefault(name, value)  # MLflow reads them when it is imported
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


@contextmanager
def _created_once(uri: str) -> Iterator[None]:
    """Let one process create a fresh SQLite database while the others wait; an existing one is opened side by side."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    database = Path(uri.removeprefix("sqlite:///"))
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH if database.exists() else fcntl.LOCK_EX)
        yield


def _experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        folder = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" / name
        try:
            return client.create_experiment(name, artifact_location=folder.as_uri() if uri.startswith("sqlite:///") else None)
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _log_params(client: "MlflowClient", run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    params = [Param(name, redact(str(value))[:MAX_PARAM_CHARS]) for name, value in values.items()]
    for start in range(0, len(params), MAX_BATCH_PARAMS):
        client.log_batch(run_id, params=params[start : start + MAX_BATCH_PARAMS])


def _log_path(client: "MlflowClient", run_id: str, path: Path, folder: str | None) -> None:
    if path.is_dir():
        client.log_artifacts(run_id, str(path), artifact_path=folder)
    else:
        client.log_artifact(run_id, str(path), artifact_path=folder)


def _log_dataset(client: "MlflowClient", run_id: str, name: str, path: Path) -> None:
    from mlflow.entities import Dataset, DatasetInput

    digest = data_hashes().get(path.as_posix(), "unknown")  # at most 36 characters: an md5 and ".dir"
    dataset = Dataset(name=name, digest=digest, source_type="local", source=json.dumps({"uri": path.as_posix()}))
    client.log_inputs(run_id, [DatasetInput(dataset=dataset, tags=[])])
