"""What MLflow and Prefect show: experiments and their views, notes and links, forms, progress, results."""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from components.errors import InputError
from flows import experiments, forms, links, pages, params, reconcile, showing
from flows.progress import Progress
from flows.runs import Recorded
from flows.stages.pretrain_model import Sections

ROOT = Path(__file__).parents[2]
FULL = ["common", "conditions.2_layers_no_warmup", "arms.post", "learning_rate.sweep.same"]
APPLY = [f"full_studies.ln_placement.{place}" for place in FULL]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("PREFECT_API_URL", "PREFECT_UI_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def state_of(tags: Mapping[str, str], view: str) -> dict[str, Any]:
    saved = json.loads(tags[experiments.VIEW_TAG + view])["state"]
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(saved.removeprefix("deflate;"))))
    return state


def test_a_cell_of_a_study_is_grouped_by_what_it_is() -> None:
    assert experiments.name(APPLY) == "full-study-ln_placement"
    assert experiments.name(["studies.ln_placement.arms.pre"]) == "study-ln_placement"
    assert experiments.name(["ladder.rungs.r1"]) == experiments.name([]) == "gpt-lineage"
    cell = "studies/dvc.yaml:study_ln_placement@2_layers_no_warmup-post-same-0"
    assert experiments.run_name(cell, APPLY) == "2_layers_no_warmup-post-same-0"
    assert experiments.run_name("pretrain_ladder@r1-0", ["ladder.rungs.r1"]) == "pretrain_ladder@r1-0"
    tags = experiments.cell_tags(cell, APPLY, 0)
    assert {"study": "ln_placement", "condition": "2_layers_no_warmup", "arm": "post", "rate": "same", "seed": "0"}.items() <= tags.items()
    assert experiments.cell_tags("pretrain_ladder@r1-0", ["ladder.rungs.r1"], 0)["rung"] == "r1"


def test_the_views_of_a_study_show_what_its_arms_vary_and_nothing_that_no_run_has() -> None:
    tags = experiments.tags(APPLY)
    study = params.lookup(params.read_yaml(), "full_studies.ln_placement")
    assert tags[experiments.NOTE_TAG].startswith(study["question"])
    for view in (experiments.CURVES_VIEW, experiments.PARAMETERS_VIEW):
        assert f"#/experiments/{experiments.ID}/runs?{experiments.TRAINING}&compareRunsMode=CHART&viewStateShareKey={view}" in str(tags)
    by_arm = state_of(tags, experiments.CURVES_VIEW)
    assert [key["groupByData"] for key in by_arm["groupBy"]["groupByKeys"]] == ["condition", "arm"]
    [parallel] = state_of(tags, experiments.PARAMETERS_VIEW)["compareRunCharts"]
    varied = ["model.norm_placement", "model.num_layers", "training.learning_rate", "training.warmup_tokens", "seed"]
    assert (parallel["selectedParams"], parallel["selectedMetrics"]) == (varied, ["loss_nats"])
    values = set(tracked(params.load(Sections, APPLY)))
    assert set(varied) <= values | {"seed"}
    assert set(experiments.MODEL_SIZE) <= values


def tracked(sections: Sections) -> dict[str, str]:
    from flows import tracking

    return tracking.as_params(sections)


def test_parameters_are_few_and_a_table_of_overrides_is_one() -> None:
    from flows.stages import write_report

    assert len(tracked(params.load(Sections, APPLY))) < 40
    report = tracked(params.load(write_report.Sections))
    assert json.loads(report["studies.batch_size.arms"])["b512"] == {"training.batch_tokens": 512, "training.learning_rate": 8.0e-3}
    assert not [name for name in report if ".arms." in name or ".rungs." in name]


def test_the_page_of_a_run_leads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {"cell": "pretrain_target", "mlflow.source.git.commit": "0123456789abcdef", "dirty": "true", "prefect.flow_run_id": "f1"}
    note = pages.note("r1", tags, "#/report")
    assert "`pretrain_target`" in note and "`0123456789ab` with changes" in note and "python -m flows.reproduce r1" in note
    assert "[Prefect run](http://127.0.0.1:4200/runs/flow-run/f1)" in note and "[report](#/report)" in note
    assert "Prefect" not in pages.note("r1", {"cell": "x"}) and "report" not in pages.note("r1", {"cell": "x"})
    assert pages.leads_to_report(note) and not pages.leads_to_report(pages.note("r1", tags))
    monkeypatch.setenv("PREFECT_API_URL", "https://user:secret@prefect.example.org/api")
    assert pages.prefect_page("f1") == "https://prefect.example.org/runs/flow-run/f1"
    assert pages.mlflow_page("#/x") == "http://127.0.0.1:5000/#/x"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@mlflow.example.org/")
    assert pages.mlflow_page("#/x") == "https://mlflow.example.org/#/x"


def test_the_run_of_a_cell_is_the_newest_with_the_outputs_that_it_has_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text("stages: {a: {outs: [{path: x, md5: '1'}]}, b: {outs: [{path: y, md5: '2'}]}}", encoding="utf-8")

    def run(run_id: str, cell: str, **outs: str) -> Recorded:
        tags = {"cell": cell} | {f"out.{path}": digest for path, digest in outs.items()}
        return Recorded(run_id, "7", "FINISHED", 1.0, tags, {}, {})

    class Store:
        def all(self, _: str) -> list[Recorded]:
            return [run("newer", "a", x="0"), run("new", "a", x="1"), run("old", "a", x="1"), run("other", "b", y="3")]

    assert links.outs_of(["a", "b", "never-run", "studies/dvc.yaml:s"]) == {"a": {"x": "1"}, "b": {"y": "2"}}
    found = links.made_by(Store(), links.outs_of(["a", "b"]))  # type: ignore[arg-type]
    assert {cell: made.run_id for cell, made in found.items()} == {"a": "new"}
    assert links.page_of(found["a"]) == "#/experiments/7/runs/new?workflowType=machine_learning"
    assert links.page_of(found["a"], "report/index.html").startswith("#/experiments/7/runs/new/artifactPath/report/index.html?")


def test_forms_offer_the_cells_and_the_studies_of_this_repository() -> None:
    [targets, study, run_id] = [TypeAdapter(kind).json_schema() for kind in (forms.Targets, forms.Study, forms.RunId)]
    assert {"curate_corpus", "pretrain_ladder", "pretrain_ladder@r1-0", "write_report"} <= set(targets["items"]["enum"])
    assert study["enum"] == list(params.lookup(params.read_yaml(), "full_studies"))
    assert re.fullmatch(run_id["pattern"], "0123456789abcdef0123456789abcdef")


def test_the_progress_of_a_cell_is_read_from_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("target", "tokens") as progress:
        progress.update(450, 1000, "loss 4.100")
    found = showing.PERCENT.match(capsys.readouterr().err.splitlines()[-1])
    assert found
    assert (found["what"], found["percent"]) == ("target", "45")
    assert found["detail"].startswith("450/1.00k") and "loss 4.100" in found["detail"]
    assert not showing.PERCENT.match("docs: kept 5 of 10 documents, 50% dropped")


def test_what_ends_at_once_shows_no_empty_bar_before_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError), Progress("target", "tokens"):
        raise InputError("params.yaml: ...")
    assert capsys.readouterr().err == ""


def test_names_that_mlflow_refuses_are_left_out_of_a_run_that_is_made_up_for(tmp_path: Path) -> None:
    (tmp_path / "forecast.json").write_text(json.dumps({"low": 1.5, "methods": {"L(C) = A C^-b": {"low": 2.5}}, "form": "x"}))
    assert list(reconcile._numbers([str(tmp_path / "forecast.json")])) == [("low", 1.5)]
