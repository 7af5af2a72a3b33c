"""Addresses of pages of MLflow and Prefect, and what the page of a run says first."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from flows import servers, tracking

REPORT_PAGE = "index.html"  # in the folder that a cell writes


def note(run_id: str, tags: Mapping[str, str], report: str = "") -> str:
    """What the page of a run says first, as Markdown."""
    commit, flow = tags.get(tracking.COMMIT_TAG, ""), tags.get(tracking.FLOW_TAG, "")
    changed = " with changes (artifact `provenance/changes.patch`)" if tags.get("dirty") == "true" else ""
    parts = [
        f"cell `{tags['cell']}`",
        f"commit `{commit[:12]}`{changed}" if commit else "",
        f"[Prefect run]({prefect_page(flow)})" if flow else "",
        f"[report]({report})" if report else "",
        f"again: `python -m flows.reproduce {run_id}`",
    ]
    return " · ".join(filter(None, parts))


def leads_to_report(note: str) -> bool:
    """Whether such a description has a link to the report."""
    return "[report](" in note


def prefect_page(flow_run_id: str) -> str:
    """Address of a flow run in the Prefect UI; that of ``make ui`` where no other server is set. It holds no password."""
    api = os.environ.get("PREFECT_API_URL", "")
    base = os.environ.get("PREFECT_UI_URL") or api.removesuffix("/").removesuffix("/api") or servers.prefect().url
    return f"{_without_user(base)}/runs/flow-run/{flow_run_id}"


def mlflow_page(place: str) -> str:
    """Address of a page of MLflow: of the tracking server, or of ``make ui`` over the database here. It holds no password."""
    uri = tracking.tracking_uri()
    base = _without_user(uri).rstrip("/") if uri.startswith("http") else servers.mlflow().url
    return f"{base}/{place}"


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
