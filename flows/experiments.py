"""What MLflow shows around the runs: an experiment for each study, with its question and views that are ready to be opened.

A view is what the button "Views" of MLflow's page of runs saves and opens: an experiment tag with the state of that page. The
keys are those of MLflow 3.17 (requirements.lock pins it); a release that does not know one shows its plain page of runs.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from components.errors import InputError
from flows import params

MAIN = "gpt-lineage"
STUDIES = {"studies": "study", "full_studies": "full-study"}  # section of params.yaml -> what its experiments are called
# Places of params.yaml whose last part says what a cell is, and the tag that has it: MLflow groups runs by these.
CELL_TAGS = {"conditions": "condition", "arms": "arm", "sweep": "rate", "rungs": "rung", "sizes": "size"}
NOTE_TAG, VIEW_TAG = "mlflow.note.content", "mlflow.sharedViewState."
ID = "EXPERIMENT_ID"  # in the tags: MLflow gives it when it makes the experiment
TRAINING = "workflowType=machine_learning"  # in an address: pages for training, where MLflow would show those for agents
CURVES_VIEW, PARAMETERS_VIEW = "curves", "parameters"
SECTIONS = ("result", "curve", "Model metrics", "System metrics")  # of charts; all but the first are named by MLflow
CARD_HEIGHT = 420  # pixels
NOT_CUT_SHORT = "attributes.status != 'KILLED' AND attributes.status != 'FAILED'"  # else a cell that was tried again stands twice
MODEL_SIZE = ("model.num_layers", "model.d_model", "training.train_tokens", "training.batch_tokens", "training.learning_rate")
MAIN_NOTE = "Every attempt of every stage but the cells of studies, which have experiments of their own."


def name(apply: Sequence[str]) -> str:
    """Experiment of a cell to which these overrides are applied: its study's, or the main one."""
    section, study = _study(apply)
    return f"{STUDIES[section]}-{study}" if study else MAIN


def run_name(stage: str, apply: Sequence[str]) -> str:
    """The cell's address; in the experiment of a study only what tells it from the others, for a table cuts long names."""
    return stage.rpartition("@")[2] if _study(apply)[1] else stage


def cell_tags(stage: str, apply: Sequence[str], seed: int) -> dict[str, str]:
    """What a cell is: stage, study, condition, arm, rate, rung, seed; those that it has."""
    parts = (place.split(".") for place in apply)
    places = {CELL_TAGS[words[-2]]: words[-1] for words in parts if len(words) > 1 and words[-2] in CELL_TAGS}
    return {"stage": stage.partition("@")[0], "cell": stage, "study": _study(apply)[1], **places, "seed": str(seed)}


def tags(apply: Sequence[str]) -> dict[str, str]:
    """Tags of the experiment: what it is about, and its views."""
    section, study = _study(apply)
    try:
        config: Mapping[str, Any] = params.lookup(params.read_yaml(), f"{section}.{study}") if study else {}
    except InputError:
        config = {}  # outside a repository
    note, views = _study_pages(config) if config else _main_pages()
    links = " · ".join(
        f"[{title}](#/experiments/{ID}/runs?{TRAINING}&compareRunsMode=CHART&viewStateShareKey={key})" for key, title, _ in views
    )
    states = {f"{VIEW_TAG}{key}": _saved(title, position, state) for position, (key, title, state) in enumerate(views)}
    return {NOTE_TAG: f"{note}\n\n{links}", **states}


def _study(apply: Sequence[str]) -> tuple[str, str]:
    """Section and name of the study that the overrides are of; empty where they are of none."""
    found = (place.split(".") for place in apply if place.startswith(tuple(f"{section}." for section in STUDIES)))
    section, study, *_ = next(found, ["", ""])
    return section, study


View = tuple[str, str, dict[str, Any]]  # key, title, state of the page


def _study_pages(study: Mapping[str, Any]) -> tuple[str, Sequence[View]]:
    metric = study["metric"]
    grouped = [tag for part, tag in (("conditions", "condition"), ("arms", "arm")) if part == "arms" or len(study[part]) > 1]
    tables = [*study["conditions"].values(), *study["arms"].values(), *study["learning_rate"]["sweep"].values()]
    varied = sorted({place.removesuffix(" *") for table in tables for place in table})
    arms = ", ".join(f"`{arm}`" for arm in study["arms"])
    return f"{study['question']} Arms: {arms}; measured: `{metric}`, {study['direction']} is better.", [
        (CURVES_VIEW, "Curves by arm", _page([_line("loss_nats"), _bar(metric), _line("val_loss_nats")], 2, grouped)),
        (PARAMETERS_VIEW, "Parameters and result", _page([_parallel([*varied, "seed"], metric)], 1)),
    ]


def _main_pages() -> tuple[str, Sequence[View]]:
    trained = "tags.stage LIKE 'pretrain_%'"
    return MAIN_NOTE, [
        (CURVES_VIEW, "Curves of all models", _page([_line("loss_nats"), _line("val_loss_nats"), _bar("loss_nats")], 2, where=trained)),
        (PARAMETERS_VIEW, "Size, tokens and loss", _page([_parallel(MODEL_SIZE, "loss_nats")], 1, where=trained)),
    ]


def _page(charts: Sequence[Mapping[str, Any]], columns: int, grouped: Sequence[str] = (), where: str = "") -> dict[str, Any]:
    """These charts, so many beside each other; below them, folded, what MLflow makes of every other metric."""
    by = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": tag} for tag in grouped]}
    first, *others = ({"uuid": name, "name": name, "display": False, "isReordered": True, "deleted": False} for name in SECTIONS)
    return {
        "searchFilter": " AND ".join(filter(None, (NOT_CUT_SHORT, where))),
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": ["attributes.`Source`", "attributes.`Models`", "attributes.`Dataset`"],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [{"uuid": f"chart-{n}", "metricSectionId": SECTIONS[0], **chart} for n, chart in enumerate(charts)],
        "compareRunSections": [{**first, "display": True, "columns": columns, "cardHeight": CARD_HEIGHT}, *others],
        "isAccordionReordered": True,  # else MLflow sorts the sections by name
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": by if grouped else None,
    }


def _line(metric: str) -> dict[str, Any]:
    key = f"curve/{metric}"
    return {"type": "LINE", "metricKey": key, "selectedMetricKeys": [key], "displayName": metric, "xAxisKey": "step", "deleted": False}


def _bar(metric: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": metric, "displayName": metric, "deleted": False}


def _parallel(parameters: Sequence[str], metric: str) -> dict[str, Any]:
    return {"type": "PARALLEL", "selectedParams": list(parameters), "selectedMetrics": [metric], "showAllRuns": True, "deleted": False}


def _saved(title: str, position: int, state: Mapping[str, Any]) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": title, "createdAt": position, "updatedAt": position, "state": f"deflate;{packed}"})
