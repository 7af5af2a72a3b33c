"""The only file that imports mlflow: writes down what one stage says over a pipe (flows/tracking.py), one JSON object a line.

It ends at the end of the pipe, not at a signal, so that an interrupted stage can still say that it was interrupted; where
the pipe ends without a last word, the stage was killed or ran out of memory, and the run is closed as FAILED.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from flows import quiet
from flows.tracking import one_line, store_lock

MAX_BATCH_METRICS = 1000  # limits of MLflow's log_batch, as are the next two
MAX_BATCH_PARAMS = 100
MAX_PARAM_CHARS = 500
# Short, for nobody waits long for a store that is gone: MLflow's own are 120 s and 7 retries.
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
NO_CHATTER = {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
SILENT_END = "the process ended without a word: killed, or out of memory"


class Recorder:
    """One open run."""

    def __init__(self, uri: str, experiment: str, name: str, tags: Mapping[str, str], values: Mapping[str, str]) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        with store_lock(uri):
            self._client = MlflowClient(tracking_uri=uri)
            experiment_id = self._experiment_id(uri, experiment)
        self._run_id = self._client.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
        params = [Param(key, value[:MAX_PARAM_CHARS]) for key, value in values.items()]
        for start in range(0, len(params), MAX_BATCH_PARAMS):
            self._client.log_batch(self._run_id, params=params[start : start + MAX_BATCH_PARAMS])

    def metrics(self, metrics: list[tuple[str, float, int, int]]) -> None:
        """Name, value, clock [ms] and step of each."""
        from mlflow.entities import Metric

        for start in range(0, len(metrics), MAX_BATCH_METRICS):
            batch = [Metric(*metric) for metric in metrics[start : start + MAX_BATCH_METRICS]]
            self._client.log_batch(self._run_id, metrics=batch)

    def copy(self, path: str, folder: str | None) -> None:
        """A file or folder, as an artifact."""
        log = self._client.log_artifacts if Path(path).is_dir() else self._client.log_artifact
        log(self._run_id, path, artifact_path=folder)

    def dataset(self, name: str, digest: str, source: str) -> None:
        """An input of the run."""
        from mlflow.entities import Dataset, DatasetInput

        dataset = Dataset(name=name, digest=digest, source_type="local", source=json.dumps({"uri": source}))
        self._client.log_inputs(self._run_id, [DatasetInput(dataset=dataset, tags=[])])

    def end(self, status: str, reason: str) -> None:
        """The last word."""
        if reason:
            self._client.set_tag(self._run_id, "reason", reason)
        self._client.set_terminated(self._run_id, status)

    def _experiment_id(self, uri: str, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            folder = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" / name
            place = folder.as_uri() if uri.startswith("sqlite:///") else None
            try:
                return str(self._client.create_experiment(name, artifact_location=place))
            except MlflowException:  # another process was faster
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)


def record(lines: Iterable[str], answers: int) -> None:
    """Do what each line says; answer ``copy`` and ``end`` with one byte, for which the stage waits.

    Args:
        lines: messages of the stage.
        answers: file descriptor that the stage reads.
    """
    recorder: Recorder | None = None
    for line in lines:
        details = json.loads(line)
        what = details.pop("what")
        if what == "open":
            recorder = Recorder(**details)
            continue
        getattr(recorder, what)(**details)
        if what in ("copy", "end"):
            os.write(answers, b"+")
        if what == "end":
            return
    if recorder is not None:
        recorder.end("FAILED", SILENT_END)


def main() -> int:
    """Exit status 1 after a failure of the store, which one line on stderr names."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    quiet.set_variables()
    for name, value in {**HTTP_LIMITS, **NO_CHATTER}.items():
        os.environ.setdefault(name, value)  # MLflow reads them when it is imported
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    try:
        record(sys.stdin, answers)
    except Exception as error:
        print(f"warning: not tracked from here on, MLflow failed: {one_line(error)}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main())  # all is written; taking the interpreter down in order would cost the waiting stage another 1.2 s
