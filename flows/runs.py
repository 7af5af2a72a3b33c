"""Reads runs back from MLflow, and ends those whose process is gone. With recorder.py the only file that imports mlflow."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from components.errors import InputError
from flows import database, experiments, provenance, recorder, tracking

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE_RUNS = 1000
ENDED_REASON = "its process is gone: the machine went down, or everything was killed at once"
Curve = list[tuple[int, float]]  # step, value


@dataclass(frozen=True)
class Recorded:
    """One run as MLflow has it."""

    run_id: str
    experiment_id: str
    status: str
    seconds: float
    """Between the start and the end that MLflow knows."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """Last value of each."""

    @property
    def cell(self) -> str:
        """Address in dvc.yaml, or the stage's module for a run outside DVC."""
        return self.tags.get("cell", "")

    def hashes(self, prefix: str) -> dict[str, str]:
        """Path -> hash of what it read (``data.``) or wrote (``out.``)."""
        return recorder.hashes(self.tags, prefix)


class Store:
    """The runs at ``uri``."""

    def __init__(self, uri: str, create: bool = False) -> None:
        """InputError if there is no store; with ``create`` a database that is not there is made."""
        if not uri:
            raise InputError("MLFLOW_TRACKING_URI is off, so no run is known; set it to where the runs are")
        if database.is_new(uri) and not create:  # MLflow would make an empty one
            file = uri.removeprefix("sqlite:///")
            raise InputError(f"{file}: not there, so no run is known; set MLFLOW_TRACKING_URI to where the runs are")
        recorder.set_limits()
        if uri.startswith("file:"):  # of a re-run alone (flows/reproduce.py)
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        from mlflow import MlflowClient

        self._uri = uri
        with answering(uri), database.store_lock(uri), warnings.catch_warnings():  # as quiet.env has it for processes of make or a flow
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            self._client = MlflowClient(tracking_uri=uri)
            self._client.search_experiments(max_results=1)  # a client of a server asks nothing of it yet

    def read(self, run_id: str) -> Recorded:
        """InputError if there is no such run, or the store does not answer."""
        from mlflow.exceptions import MlflowException

        with answering(self._uri):
            try:
                return _recorded(self._client.get_run(run_id))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                where = tracking.redact(self._uri)
                raise InputError(f"{where} has no run {run_id!r}; give the id that MLflow shows on the page of the run") from None

    def curves(self, run: Recorded) -> dict[str, Curve]:
        """Every value of every metric, but those of the machine."""
        names = [name for name in run.metrics if not name.startswith("system/")]
        with answering(self._uri):
            histories = {name: self._client.get_metric_history(run.run_id, name) for name in sorted(names)}
        return {name: [(point.step, point.value) for point in history] for name, history in histories.items()}

    def file(self, run: Recorded, place: str, folder: Path) -> Path | None:
        """A file that was kept with the run, copied to ``folder`` unless it lies on this machine; None if it is gone."""
        from mlflow.exceptions import MlflowException

        uri = self._client.get_run(run.run_id).info.artifact_uri
        if urlparse(uri).scheme in ("", "file"):
            return next((path for path in self._places(Path(unquote(urlparse(uri).path)), place) if path.is_file()), None)
        try:
            return Path(self._client.download_artifacts(run.run_id, place, str(folder)))
        except (MlflowException, OSError):
            return None

    def _places(self, recorded: Path, place: str) -> Iterator[Path]:
        yield recorded / place
        if self._uri.startswith("sqlite:///"):  # database and files were moved together
            yield Path(self._uri.removeprefix("sqlite:///")).parent.joinpath("mlartifacts", *recorded.parts[-3:], place)

    def all(self, where: str) -> Iterator[Recorded]:
        """Runs of every experiment that MLflow's filter ``where`` lets through, newest first."""
        with answering(self._uri):
            experiments = [found.experiment_id for found in self._client.search_experiments()]
        token: str | None = None
        while experiments:
            with answering(self._uri):
                page = self._client.search_runs(experiments, where, max_results=PAGE_RUNS, page_token=token)
            yield from (_recorded(run) for run in page)
            if not (token := page.token):
                return

    def describe(self, run: Recorded, note: str) -> None:
        """Make ``note`` the description of the run, if it is not yet."""
        if run.tags.get(experiments.NOTE_TAG) != note:
            with answering(self._uri):
                self._client.set_tag(run.run_id, experiments.NOTE_TAG, note)

    def end_those_without_process(self) -> list[str]:
        """Close as KILLED what is RUNNING though its process on this host is gone; their cells."""
        gone = [run for run in self.all("attributes.status = 'RUNNING'") if provenance.is_gone(run.tags.get(tracking.PROCESS_TAG, ""))]
        for run in gone:
            with answering(self._uri):
                self._client.set_tag(run.run_id, "reason", ENDED_REASON)
                self._client.set_terminated(run.run_id, "KILLED")
        return [run.cell for run in gone]


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """InputError, one line, where the store does not answer or another program has locked it."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        said = tracking.one_line(error).partition(" [SQL")[0]
        advice = "another program holds it: end that, or wait and try again" if "is locked" in said else "mend MLFLOW_TRACKING_URI"
        raise InputError(f"{tracking.redact(uri)}: no runs can be read, {said}; {advice}") from None


def _recorded(run: "Run") -> Recorded:
    info, data = run.info, run.data
    seconds = (info.end_time - info.start_time) / 1000 if info.end_time else 0.0
    return Recorded(info.run_id, info.experiment_id, info.status, seconds, data.tags, data.params, data.metrics)
