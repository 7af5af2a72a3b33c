"""The other commands as Prefect flows, each with a form of its own: study, reproduce, quote."""

from collections.abc import Sequence
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import experiments, forms, pages
from flows.pipeline import EXIT_FAILED
from flows.pipeline_flow import crash_those_without_process, pipeline


@flow(name="study", persist_result=False)
def study(study: forms.Study, workers: forms.Workers = 2) -> State[Any]:
    """Run one of the full studies, cell by cell, and say what it found.

    Args:
        study: which one; `params.yaml`, section `full_studies`, has its question and its arms.
        workers: how many cells may run at once.
    """
    from flows import study as command

    crash_those_without_process()

    def run_cells(cells: Sequence[str]) -> int:
        state = pipeline(targets=list(cells), workers=workers, return_state=True)
        return 0 if state.is_completed() else EXIT_FAILED

    record = command.run(study, run_cells)
    if isinstance(record, int):
        return Failed(message="a cell failed; see the subflow run")
    lines = list(command.lines(record))
    page, runs = (command.DATA / f"{study}.html").absolute(), pages.mlflow_page(f"#/experiments?{experiments.TRAINING}")
    found = "\n".join(f"- {line.strip()}" for line in lines)
    markdown = f"{record['question']}\n\n{found}\n\n[Its runs in MLflow]({runs}); its page is `{page}`."
    create_markdown_artifact(key="study", markdown=markdown, description=f"What the study {study} found.")
    return Completed(message="; ".join(line.strip() for line in lines))


@flow(name="reproduce", persist_result=False)
def reproduce(run_id: forms.RunId) -> State[Any]:
    """Make one run again from its commit, parameters and data, and compare it hash by hash and metric by metric.

    Args:
        run_id: id of a finished run, 32 hexadecimal digits, as MLflow shows it on the page of the run.
    """
    from flows import reproduce as command

    crash_those_without_process()
    rows = command.reproduce(run_id, lambda line: get_run_logger().info("%s", line))
    table = "\n".join(f"| {row.kind} | `{row.name}` | {row.verdict} | {row.detail} |" for row in rows)
    head = "| what | name | verdict | detail |\n| --- | --- | --- | --- |"
    create_markdown_artifact(key="reproduction", markdown=f"{head}\n{table}", description=f"Run {run_id} beside its re-run.")
    if command.exit_status(rows):
        return Failed(message="not everything is equal; see the artifact")
    return Completed(message=f"all {len(rows)} hashes and metrics are equal")


@flow(name="quote", persist_result=False)
def quote(
    targets: forms.Targets = (),
    workers: forms.Workers = 2,
    price_per_hour: forms.Price = None,
    probe: bool = False,
) -> State[Any]:
    """What a launch of the pipeline would cost, before it starts.

    Args:
        targets: stages or cells to bring up to date, with all that they need; none for everything.
        workers: how many cells may run at once.
        price_per_hour: of this machine, in any currency; none for no price.
        probe: train what is unknown for some seconds, to know it.
    """
    from flows import quote as command

    lines = list(command.lines(command.make_quote(targets, workers, probe), workers, price_per_hour))
    create_markdown_artifact(key="quote", markdown="\n".join(["```", *lines, "```"]), description="What the launch would cost.")
    for line in lines:
        get_run_logger().info("%s", line)
    return Completed(message=next((line for line in lines if line.startswith("time")), lines[0]))
