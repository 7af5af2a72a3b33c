"""The report: one HTML page that needs no network and no other file."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.reporting import claims, figures, headline, svg, text
from components.reporting.results import Results
from components.reporting.summary import ladder_rows

TEMPLATE = "page.html.jinja"
STUDY_TEMPLATE = "study_page.html.jinja"


def build_page(results: Results) -> str:
    """The whole page. Text of documents, names and parameters are escaped by the template; only our own figures are markup."""
    drawn = {name: Markup(figure.inline()) for name, figure in figures.draw_figures(results).items()}
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            results=results,
            findings=headline.findings(results),
            shortcomings=headline.shortcomings(results),
            claims=claims.judge_claims(results),
            ladder=ladder_rows(results),
            figures=drawn,
            figure_css=Markup(svg.FIGURE_CSS),
            rules=figures.dropping_rules(results),
            shots=_shots(results),
            prompted=figures.prompted_tasks(results),
            chosen=figures.choice_tasks(results),
            differences=_differences(results),
            overlaps=[row for row in results.contamination.scored() if row[2].dirty_items],
            too_short=sum(next(iter(by_shots.values())).short_items for by_shots in results.contamination.few_shot.values()),
        )
    )


def build_study_page(name: str, record: dict[str, Any]) -> str:
    """The page of one study from its record alone (components/studies/record.py)."""
    drawn = {
        condition: Markup(figures.study(f"{name} {condition}", summary).inline()) for condition, summary in record["conditions"].items()
    }
    template = _environment().get_template(STUDY_TEMPLATE)
    return template.render(name=name, record=record, figures=drawn, figure_css=Markup(svg.FIGURE_CSS))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "large": text.large,
        "power": text.power,
        "percent": text.percent,
        "words": text.words,
        "metric": text.metric,
        "thousands": lambda value: f"{value:,}",
        "fixed": lambda value, digits: f"{value:.{digits}f}",
        "signed": text.signed,
    }
    return environment


def _shots(results: Results) -> list[str]:
    return sorted({shots for by_shots in results.evaluation.few_shot.values() for shots in by_shots}, key=int)


def _differences(results: Results) -> dict[str, dict[str, Any]]:
    """For each labelled task, pre-trained minus scratch with its interval."""
    rows = {}
    for task, pair in results.finetune.items():
        low, high = claims.difference(pair.pretrained, pair.scratch)
        rows[task] = {"gap": pair.pretrained.score - pair.scratch.score, "low": low, "high": high}
    return rows
