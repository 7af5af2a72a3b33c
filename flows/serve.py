"""Offer pipeline, study, reproduce and quote in the Prefect UI: forms to launch them, and a schedule: ``python -m flows.serve``.

Needs a Prefect server (``make ui``, or ``PREFECT_API_URL``) and stays in the foreground; runs start in this folder. To
hand runs to a work pool instead, deploy prefect.yaml.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from flows import quiet, servers

WEEKLY = "0 3 * * 0"  # Sunday, 03:00 UTC; off until it is switched on in the UI

TAGS = ["gpt-lineage"]


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C. Exit status 2 when there is no server."""
    argparse.ArgumentParser(prog="python -m flows.serve", description=(__doc__ or "").partition(": ``")[0] + ".").parse_args(argv)
    quiet.set_variables()
    servers.use_running_prefect()
    if "PREFECT_API_URL" not in os.environ:
        print("error: no Prefect server answers; start `make ui` in another terminal, or set PREFECT_API_URL", file=sys.stderr, flush=True)
        return 2
    from prefect import serve
    from prefect.schedules import Cron

    from flows.command_flows import quote, reproduce, study
    from flows.pipeline_flow import pipeline

    first = {pipeline.name: [Cron(WEEKLY, timezone="UTC", active=False)]}
    offered: list[Any] = [
        flow.to_deployment(
            flow.name,
            schedules=_kept_schedules(flow.name, first.get(flow.name, [])),
            tags=TAGS,
            description=(flow.__doc__ or "").partition("\n")[0],
        )
        for flow in (pipeline, study, reproduce, quote)
    ]
    serve(*offered)
    return 0


def _kept_schedules(name: str, first: Sequence[Any]) -> list[Any]:
    """Schedules of a deployment as the server has them, for to offer it again would replace what was made or switched on there."""
    from prefect import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{name}/{name}").schedules
        except ObjectNotFound:
            return list(first)
    return [DeploymentScheduleCreate(schedule=one.schedule, active=one.active, parameters=one.parameters, slug=one.slug) for one in known]


if __name__ == "__main__":
    sys.exit(main())
