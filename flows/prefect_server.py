"""``python -m prefect`` for its server, whose scheduler is mended: with SQLAlchemy 2.1, Prefect 3.8 schedules no run.

Prefect hands over the state of each run to be inserted, which is no column; SQLAlchemy 2.0 passed it over, 2.1 refuses it. To be
removed once Prefect does without (tests/pipeline/test_prefect_flow.py sees a schedule fire). Run as a file, by ``servers.prefect``,
from any folder.
"""

from typing import Any


def mend_scheduler() -> None:
    """Let SQLAlchemy pass over the state again."""
    from prefect.server.database.orm_models import FlowRun

    state: Any = FlowRun.__mapper__.all_orm_descriptors["state"]
    state.bulk_dml_setter = lambda _cls, _values, _state: None


def main() -> None:
    """The command line is Prefect's own."""
    mend_scheduler()
    from prefect.cli import app

    app()


if __name__ == "__main__":
    main()
