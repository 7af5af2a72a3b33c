"""Stores that cannot be read: one line each."""

import sqlite3
from pathlib import Path

import pytest

from components.errors import InputError
from flows.runs import Store


class Locked:
    """An MLflow client whose database another program has locked."""

    def __init__(self, tracking_uri: str) -> None: ...

    def search_experiments(self, **_: object) -> None:
        from sqlalchemy.exc import OperationalError

        raise OperationalError("SELECT name FROM sqlite_master", {}, sqlite3.OperationalError("database is locked"))


def test_a_database_that_is_locked_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.db").touch()
    monkeypatch.setattr("mlflow.MlflowClient", Locked)
    with pytest.raises(InputError) as error:
        Store(f"sqlite:///{tmp_path}/mlflow.db")
    said = "no runs can be read, OperationalError: (sqlite3.OperationalError) database is locked"
    assert str(error.value) == f"sqlite:///{tmp_path}/mlflow.db: {said}; another program holds it: end that, or wait and try again"


def test_a_store_that_is_not_there_or_off_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.db: not there, so no run is known; set MLFLOW_TRACKING_URI"):
        Store(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI is off"):
        Store("")
