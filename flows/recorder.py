"""The only file that imports mlflow: writes down what one stage says over a pipe (flows/tracking.py), one JSON object a line.

It ends at the end of the pipe, not at a signal, so that an interrupted stage can still say that it was interrupted; where
the pipe ends without a last word, the stage was killed or ran out of memory, and the run is closed as FAILED. What MLflow
does not take is kept (flows/untracked.py), and the next launch tells it (flows/reconcile.py).
"""

import base64
import contextlib
import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import database, experiments, messages, pages, provenance, quiet, untracked
from flows.messages import INPUT_TAG, OUT_TAG
from flows.tracking import COMMAND_TAG, EXPERIMENT_TAG, WORKSPACE_TAG, one_line

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

MAX_BATCH_METRICS = 1000  # limits of MLflow's log_batch, as is the next
MAX_BATCH_PARAMS = 100
# Short, for nobody waits long for a store that is gone: MLflow's own are 120 s and 7 retries.
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
BACKFILLED_TAG = "backfilled"  # of a run that was made of dvc.lock and metrics/ (flows/reconcile.py)
DIGEST_TAG = "digest"  # of a version of a registered model: the hash by which DVC knows the checkpoint
REGISTERED = "The largest model of the graph, pretrain_target. A version for each new checkpoint; `digest` is its hash in dvc.lock."
DEFAULT_EXPERIMENT = "0"
REPLACED_TAG = "replaced_by"  # of a removed run: the one that made the same again
NO_CHATTER = {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}


class Recorder:
    """One open run."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        experiment_tags: Mapping[str, str],
        name: str,
        tags: Mapping[str, str],
        at_ms: int,
        had: Mapping[str, str],
        run_id: str | None = None,
    ) -> None:
        """Begin a run.

        Args:
            uri, experiment, experiment_tags, name, tags, at_ms: where, and what MLflow has of every run.
            had: hashes of what DVC had of the cell when it began.
            run_id: of a run that was begun before MLflow went away; a new one where the store does not have it.
        """
        from mlflow import MlflowClient

        self._had = had

        with database.store_lock(uri):
            self._client = MlflowClient(tracking_uri=uri)
            experiment_id = self._experiment_id(uri, experiment, experiment_tags)
        if run_id is None or not self._has(run_id):
            run_id = self._client.create_run(experiment_id, at_ms, dict(tags), name).info.run_id
            self._client.set_tag(run_id, experiments.NOTE_TAG, pages.note(run_id, tags))
        self.run_id: str = run_id

    def params(self, values: Mapping[str, str]) -> None:
        """Parameters, by their dotted names."""
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in values.items()]
        for start in range(0, len(params), MAX_BATCH_PARAMS):
            self._client.log_batch(self.run_id, params=params[start : start + MAX_BATCH_PARAMS])

    def files(self, contents: Mapping[str, str]) -> None:
        """Place among the artifacts -> content in base 64."""
        with tempfile.TemporaryDirectory() as folder:
            for place, content in contents.items():
                (Path(folder) / Path(place).name).write_bytes(base64.b64decode(content))
                self._client.log_artifact(self.run_id, str(Path(folder) / Path(place).name), str(Path(place).parent))

    def metrics(self, metrics: list[tuple[str, float, int, int]]) -> None:
        """Name, value, clock [ms] and step of each."""
        from mlflow.entities import Metric

        for start in range(0, len(metrics), MAX_BATCH_METRICS):
            batch = [Metric(*metric) for metric in metrics[start : start + MAX_BATCH_METRICS]]
            self._client.log_batch(self.run_id, metrics=batch)

    def copy(self, path: str, folder: str | None) -> None:
        """A file or folder, as an artifact."""
        log = self._client.log_artifacts if Path(path).is_dir() else self._client.log_artifact
        log(self.run_id, path, artifact_path=folder)

    def register(self, name: str, path: str, digest: str) -> None:
        """The checkpoint that was copied last as a version of a registered model, unless the newest version is the same."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name, description=REGISTERED)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        newest = self._client.search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"])
        if not newest or newest[0].tags.get(DIGEST_TAG) != digest:
            source = f"{self._client.get_run(self.run_id).info.artifact_uri}/model"
            tags = {DIGEST_TAG: digest, "path": path}
            self._client.create_model_version(name, source, self.run_id, tags, await_creation_for=0)

    def dataset(self, name: str, digest: str, source: str) -> None:
        """An input of the run."""
        from mlflow.entities import Dataset, DatasetInput

        dataset = Dataset(name=name, digest=digest, source_type="local", source=json.dumps({"uri": source}))
        self._client.log_inputs(self.run_id, [DatasetInput(dataset=dataset, tags=[])])

    def end(self, status: str, reason: str, outs: Mapping[str, str], at_ms: int) -> None:
        """The last word, with the hash of what was written."""
        from mlflow.entities import RunTag

        if outs:
            self._client.log_batch(self.run_id, tags=[RunTag(f"{OUT_TAG}{path}", digest) for path, digest in outs.items()])
        if reason:
            self._client.set_tag(self.run_id, "reason", reason)
        if status == "FINISHED":
            self._replace_those_not_taken()
        self._client.set_terminated(self.run_id, status, at_ms)

    def _replace_those_not_taken(self) -> None:
        """Remove finished runs of the same cell, made of the same in the same folder, whose outputs DVC did not have when this one began.

        Everything was killed before DVC wrote them into its lock, so the cell ran twice, and its result would stand here twice.
        MLflow keeps removed runs in its bin.
        """
        own = self._client.get_run(self.run_id)
        if WORKSPACE_TAG not in own.data.tags or COMMAND_TAG in own.data.tags:  # made of a lock, or not run by DVC
            return
        where = f"attributes.status = 'FINISHED' AND tags.cell = \"{own.data.tags.get('cell', '')}\""
        for other in self._client.search_runs([own.info.experiment_id], where):
            if made_of(other) == made_of(own) and not hashes(other.data.tags, OUT_TAG).items() <= self._had.items():
                self._client.set_tag(other.info.run_id, REPLACED_TAG, self.run_id)
                self._client.delete_run(other.info.run_id)

    def _has(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False  # another store than then
            raise
        return True

    def _experiment_id(self, uri: str, name: str, tags: Mapping[str, str]) -> str:
        """Id of the experiment, which is made if need be, and whose tags are brought up to date."""
        found = self._client.get_experiment_by_name(name) or self._new_experiment(uri, name)
        experiment_id = str(found.experiment_id)
        for tag, value in tags.items():
            value = value.replace(experiments.ID, experiment_id)
            if found.tags.get(tag) != value:
                self._client.set_experiment_tag(experiment_id, tag, value)
        return experiment_id

    def _new_experiment(self, uri: str, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        folder = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" / name
        try:
            self._client.create_experiment(name, artifact_location=folder.as_uri() if uri.startswith("sqlite:///") else None)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        if uri.startswith("sqlite:///") and not self._client.search_runs([DEFAULT_EXPERIMENT], max_results=1):
            with contextlib.suppress(MlflowException):  # another process was faster
                self._client.delete_experiment(DEFAULT_EXPERIMENT)  # MLflow made it; it would stay empty
        made = self._client.get_experiment_by_name(name)
        assert made is not None
        return made


def made_of(run: "Run") -> dict[str, str]:
    """Where a run was made, by which command if not by DVC, for which of its experiments, from which inputs and parameters."""
    where = {name: run.data.tags[name] for name in (WORKSPACE_TAG, EXPERIMENT_TAG, COMMAND_TAG) if name in run.data.tags}
    return where | hashes(run.data.tags, INPUT_TAG) | {f"params.{name}": value for name, value in run.data.params.items()}


def hashes(tags: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Path -> hash of what a run read (``data.``) or wrote (``out.``)."""
    return {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}


def record(lines: Iterable[str], answers: int, locks_are_whole: bool) -> None:
    """Do what each line says; answer ``copy`` and ``end`` with one byte, for which the stage waits.

    Args:
        lines: messages of the stage.
        answers: file descriptor that the stage reads.
        locks_are_whole: nobody writes a dvc.lock but flows/repro.py, as in a flow.
    """
    journal, recorder, what = untracked.Journal(), None, ""
    for line in lines:
        for message in messages.complete(json.loads(line), locks_are_whole):
            what = message["what"]
            recorder = _tell_or_keep(recorder, message, journal)
        if what in ("copy", "end"):
            with contextlib.suppress(OSError):  # the stage was killed meanwhile
                os.write(answers, b"+")
        if what == "end":
            return
    if what:
        _tell_or_keep(recorder, messages.silent_end(), journal)


def _tell_or_keep(recorder: Recorder | None, message: dict[str, Any], journal: untracked.Journal) -> Recorder | None:
    journal.add(message)
    if journal.is_kept:
        return recorder
    try:
        return tell(recorder, message)
    except Exception as error:
        print(f"warning: MLflow failed, the next launch will tell it of this run: {one_line(error)}", file=sys.stderr, flush=True)
        journal.keep(recorder.run_id if recorder else None)
        return recorder


def tell(recorder: Recorder | None, message: Mapping[str, Any]) -> Recorder:
    """Do what one message says; the recorder that the next one is for."""
    details = {name: value for name, value in message.items() if name != "what"}
    if recorder is None:
        return Recorder(**details)
    getattr(recorder, message["what"])(**details)
    return recorder


def replay(said: Sequence[Mapping[str, Any]], uri: str) -> None:
    """Tell the store at ``uri`` what a stage has said. Files are copied where they are still what the stage wrote."""
    outs: Mapping[str, str] = next((message["outs"] for message in said if message["what"] == "end"), {})
    current = [Path(out).absolute() for out, digest in outs.items() if Path(out).exists() and provenance.hash_path(Path(out)) == digest]
    recorder: Recorder | None = None
    for message in said if said[-1]["what"] == "end" else [*said, messages.silent_end()]:
        if message["what"] in ("copy", "register") and not any(Path(message["path"]).absolute().is_relative_to(out) for out in current):
            continue
        recorder = tell(recorder, {**message, "uri": uri} if recorder is None else message)


def set_limits() -> None:
    """MLflow's patience and its chatter, for this process. It reads them when it is imported."""
    warnings.filterwarnings("ignore", category=FutureWarning)  # of what MLflow imports; nothing that a reader of a log could do
    for name, value in {**HTTP_LIMITS, **NO_CHATTER}.items():
        os.environ.setdefault(name, value)


def main() -> int:
    """Exit status 1 when a run can be neither told nor kept, which one line on stderr says."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    quiet.set_variables()
    set_limits()
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    try:
        record(sys.stdin, answers, locks_are_whole=False)
    except Exception as error:
        print(f"warning: not tracked from here on: {one_line(error)}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main())  # all is written; taking the interpreter down in order would cost the waiting stage another 1.2 s
