"""The figures of the report, each from the results of one run."""

import math
from collections import Counter
from statistics import fmean
from typing import Any

from components.reporting import charts, svg
from components.reporting.capability_figures import draw_capability
from components.reporting.charts import Bar, Dot, DotRow, Line, Segment, Step
from components.reporting.curve import Curve
from components.reporting.evaluation_figures import reliability_diagram
from components.reporting.results import MixtureShare, Results, Scored, SourceCounts
from components.reporting.summary import ladder_rows
from components.reporting.svg import WIDTH_PX, Axis, Figure
from components.reporting.text import interval, large, metric, percent, power, words

SKIPPED = "skipped by the source"
"""Of a dozen reasons that sources have to skip what they read: one colour in a bar, for more could not be told apart."""
RULE_COLOURS = {
    "kept": "teal",
    "quality": "orange",
    "near_duplicate": "purple",
    "exact_duplicate": "blue",
    "same_work": "red",
    "reserved": "gold",
    "too_short": "grey",
    SKIPPED: "brown",
    "contaminated": "ink",
}
IN_ORDER = ("reserved", "too_short", "exact_duplicate", "quality", "near_duplicate", "same_work", "contaminated")
COLOURS = ("blue", "orange", "teal", "purple", "gold", "red", "brown")
CURVE_POINTS = 160
TOKEN_TICKS = [m * 10**e for e in range(3, 14) for m in (1, 3)]


def draw_figures(results: Results) -> dict[str, Figure]:
    """Every figure under the name by which the page, and an artifact store, know it."""
    figures = {
        "bits_per_byte": bits_per_byte(results),
        "kept": kept_by_rule(results),
        "flow": document_flow(results),
        "curves": loss_curves(results),
        "scaling": scaling(results),
        "finetune": finetune(results),
        "few_shot": few_shot(results),
    }
    figures |= {f"reliability_{task}": reliability(results, task) for task in choice_tasks(results)}
    figures |= draw_capability(results.capability)
    return figures | {f"study_{name}": study(name, found.summary) for name, found in results.studies.items()}


def bits_per_byte(results: Results) -> Figure:
    """The target beside a general-purpose compressor and the two simplest token models."""
    values = results.evaluation.bits_per_byte
    names = {"target": "this run's model", "xz": "xz -9", "bigram": "bigram of tokens", "unigram": "unigram of tokens"}
    rows = [
        Bar(name, getattr(values, key), f"{getattr(values, key):.3f}", "blue" if key == "target" else "grey") for key, name in names.items()
    ]
    return charts.bars("Bits per byte of held-out text, lower is better: " + ", ".join(f"{row.name} {row.note}" for row in rows), rows)


def kept_by_rule(results: Results) -> Figure:
    """For each source, the share of its documents that was kept, and of those each rule dropped."""
    rows, found = [], {"kept"}
    for name, source in results.corpus.sources.items():
        counts = Counter(kept=source.kept)
        for rule, number in source.dropped.items():
            counts[_drawn(rule)] += number
        rows.append((name, [_segment(rule, counts[rule], source.read) for rule in RULE_COLOURS if counts[rule]]))
        found |= set(+counts)
    rules = [rule for rule in RULE_COLOURS if rule in found]
    kept = ", ".join(f"{name} {percent(source.kept / max(source.read, 1))}" for name, source in results.corpus.sources.items())
    return charts.stacked_bars(f"Share of documents kept: {kept}", rows, [(_rule_colour(rule), words(rule)) for rule in rules])


def document_flow(results: Results) -> Figure:
    """For each source: documents read, what each rule took in the order of the rules, kept, tokens there, tokens drawn."""
    groups, said = [], []
    for name, source in results.corpus.sources.items():
        groups.append((name, [*_document_steps(source), *_token_steps(results.tokens.sources[name])]))
        said.append(f"{name} {source.read:,} read, {source.kept:,} kept, {large(results.tokens.sources[name].tokens_drawn)} tokens drawn")
    return charts.flows("From documents to tokens: " + "; ".join(said), groups)


def _document_steps(source: SourceCounts) -> list[Step]:
    """Rules that a source applies itself, which have names of its own, come before those of ``IN_ORDER``."""
    steps, left = [Step("read", 0.0, 1.0, f"{source.read:,} documents", "blue")], source.read
    for rule in [*sorted(set(source.dropped) - set(IN_ORDER)), *(rule for rule in IN_ORDER if rule in source.dropped)]:
        number = source.dropped[rule]
        note = f"−{number:,} ({percent(number / source.read)})"
        steps.append(Step(words(rule), (left - number) / source.read, left / source.read, note, _rule_colour(rule)))
        left -= number
    return [*steps, Step("kept", 0.0, left / max(source.read, 1), f"{left:,} ({percent(left / max(source.read, 1))})", "teal")]


def _token_steps(share: MixtureShare) -> list[Step]:
    """Both on one scale, whose end is the larger one."""
    most = max(share.tokens_available, share.tokens_drawn, 1)
    times = f"{large(share.tokens_drawn)}, {share.epochs:.2f} epochs"
    return [
        Step("tokens to train on", 0.0, share.tokens_available / most, f"{large(share.tokens_available)} tokens", "blue faint"),
        Step("tokens drawn", 0.0, share.tokens_drawn / most, times, "orange"),
    ]


def dropping_rules(results: Results) -> list[str]:
    """The rules that dropped something, in the order of ``RULE_COLOURS``, those of the sources themselves last."""
    found = {rule for source in results.corpus.sources.values() for rule, number in source.dropped.items() if number}
    return [rule for rule in RULE_COLOURS if rule in found] + sorted(found - set(RULE_COLOURS))


def prompted_tasks(results: Results) -> list[str]:
    """Tasks of the prompt: choices first, then those whose answer is written freely, which have no chance level."""
    few_shot = results.evaluation.few_shot
    return sorted(few_shot, key=lambda task: (next(iter(few_shot[task].values())).chance == 0, task))


def choice_tasks(results: Results) -> list[str]:
    """Tasks of the prompt whose answers are chosen, and so have a probability."""
    few_shot = results.evaluation.few_shot
    return [task for task in prompted_tasks(results) if all(cell.calibration for cell in few_shot[task].values())]


def _drawn(rule: str) -> str:
    return rule if rule in RULE_COLOURS else SKIPPED


def _rule_colour(rule: str) -> str:
    return RULE_COLOURS[_drawn(rule)]


def _segment(rule: str, number: int, read: int) -> Segment:
    share = number / max(read, 1)
    return Segment(words(rule), share, _rule_colour(rule), f"{words(rule)}: {number:,} documents, {percent(share)}")


def loss_curves(results: Results) -> Figure:
    """Training loss of every rung (its first seed) and the target; rings are held-out loss."""
    rungs = [row["name"] for row in ladder_rows(results)[:-1]]
    cells = {rung: next(cell for cell in results.curves if cell.rpartition("-")[0] == rung) for rung in rungs} | {"target": "target"}
    lines = []
    for name, cell in cells.items():
        curve, css = results.curves[cell], "orange" if name == "target" else "blue thin"
        held_out = [(float(tokens), loss) for tokens, loss in zip(curve.held_out_tokens, curve.held_out_loss_nats, strict=True)]
        lines.append(Line(name, smooth(curve), held_out if name == "target" else held_out[-1:], css, True))
    ticks = [(float(tick), large(tick, 1)) for tick in TOKEN_TICKS]
    return charts.line_chart(
        "Loss against tokens trained on, for the ladder and the target", lines, ticks, "tokens", "loss, nats per token"
    )


def smooth(curve: Curve) -> list[tuple[float, float]]:
    """Means over stretches of equal ratio of tokens, at most ``CURVE_POINTS`` of them: every stretch reads alike on a log axis."""
    first, last = curve.tokens[0], curve.tokens[-1]
    stretch = math.log(last / first) / CURVE_POINTS if last > first else 1.0
    groups: dict[int, list[tuple[int, float]]] = {}
    for tokens, loss in zip(curve.tokens, curve.loss_nats, strict=True):
        groups.setdefault(int(math.log(tokens / first) / stretch), []).append((tokens, loss))
    return [(fmean(t for t, _ in group), fmean(loss for _, loss in group)) for group in groups.values()]


def scaling(results: Results) -> Figure:
    """Loss against compute, both logarithmic, after figure 1 of the GPT-4 report: small runs, sealed law with its interval, outcome."""
    runs = [cell for cells in results.ladder.values() for cell in cells] + [results.target]
    curve = results.forecast.curve
    losses = [run.loss_nats for run in runs] + [end for point in curve for end in (point.low, point.high)]
    flops = [run.train_flops for run in runs]
    x_axis = Axis(min(flops) / 1.5, max(flops) * 3.2, 44, WIDTH_PX - 12, log=True)
    y_axis = Axis(min(losses) * 0.98, max(losses) * 1.04, 326, 52, log=True)
    figure = Figure(_scaling_label(results), 374)
    figure.add(
        svg.left_axis(y_axis, 44, WIDTH_PX - 12, [(tick, f"{tick:g}") for tick in y_axis.ticks(6)], "held-out loss, nats per token"),
        svg.bottom_axis(x_axis, 52, 326, [(tick, power(tick, 0)) for tick in x_axis.ticks()], "training compute, FLOP"),
        svg.legend([("dot", "blue", "ladder"), ("ring", "purple", "sealed forecast and interval"), ("star", "orange", "target")], 8, 2)[0],
        *_sealed(results, x_axis, y_axis),
    )
    for row in ladder_rows(results)[:-1]:
        x, y = x_axis.at(row["train_flops"]), y_axis.at(row["loss_nats"])
        figure.add(svg.text(x + 8, y - 8, row["name"]))
    for rung, cells in results.ladder.items():
        notes = [(cell, f"{rung}: {cell.loss_nats:.3f}") for cell in cells]
        figure.add(*(svg.mark("dot", x_axis.at(cell.train_flops), y_axis.at(cell.loss_nats), "blue", note) for cell, note in notes))
    x, y = x_axis.at(results.target.train_flops), y_axis.at(results.target.loss_nats)
    figure.add(
        svg.mark("star", x, y, "orange", f"target: {results.target.loss_nats:.3f}"), svg.text(x + 11, y + 4, "target", class_="strong")
    )
    return figure


def _sealed(results: Results, x_axis: Axis, y_axis: Axis) -> list[str]:
    """The law as it was sealed, its band, and a bar at the target."""
    curve = [(x_axis.at(point.train_flops), point) for point in results.forecast.curve]
    upper, lower = [(x, y_axis.at(point.high)) for x, point in curve], [(x, y_axis.at(point.low)) for x, point in curve]
    x, score = x_axis.at(results.target.train_flops), results.forecast_score
    return [
        svg.tag("polygon", class_="band purple", points=" ".join(f"{px:.1f},{py:.1f}" for px, py in upper + lower[::-1])),
        svg.path([(px, y_axis.at(point.loss_nats)) for px, point in curve], "purple dashed"),
        svg.tag("line", class_="whisker purple", x1=x, x2=x, y1=y_axis.at(score.high), y2=y_axis.at(score.low)),
        svg.mark("ring", x, y_axis.at(score.loss_nats), "purple", f"forecast: {score.loss_nats:.3f} ({score.low:.3f} to {score.high:.3f})"),
    ]


def _scaling_label(results: Results) -> str:
    score = results.forecast_score
    return (
        f"Loss against compute: forecast {score.loss_nats:.3f}, between {score.low:.3f} and {score.high:.3f}; "
        f"the target reached {score.actual_loss_nats:.3f}"
    )


def finetune(results: Results) -> Figure:
    """Pre-trained against scratch, with the majority class as a tick."""
    rows, metrics = [], list(dict.fromkeys(pair.pretrained.metric for pair in results.finetune.values()))
    for task, pair in results.finetune.items():
        title = words(task) if len(metrics) == 1 else f"{words(task)} ({pair.pretrained.metric})"
        arms = [("blue", "pre-trained", pair.pretrained), ("orange", "from scratch", pair.scratch)]
        dots = [
            Dot(arm.score, arm.low, arm.high, css, f"{name}: {arm.score:.3f} ({arm.low:.3f} to {arm.high:.3f})") for css, name, arm in arms
        ]
        rows.append(DotRow(title, dots, pair.pretrained.majority))
    entries = [("dot", "blue", "pre-trained"), ("dot", "orange", "from scratch"), ("tick", "", "majority class")]
    lowest = min(0.0, *(dot.low for row in rows for dot in row.dots))
    return charts.dot_rows("Fine-tuning scores with intervals", rows, entries, ", ".join(metrics), (lowest, 1.0))


def _score_dot(name: str, cell: Scored, css: str) -> Dot:
    return Dot(cell.score, cell.low, cell.high, css, f"{name}: {cell.score:.3f} ({interval(cell.low, cell.high)})")


def few_shot(results: Results) -> Figure:
    """Scores by number of examples, with chance as a tick."""
    shots = sorted({shots for by_shots in results.evaluation.few_shot.values() for shots in by_shots}, key=int)
    css = {k: COLOURS[number % len(COLOURS)] for number, k in enumerate(shots)}
    rows = []
    for task in prompted_tasks(results):
        by_shots = results.evaluation.few_shot[task]
        dots = [_score_dot(f"K = {k}", cell, css[k]) for k, cell in sorted(by_shots.items(), key=lambda item: int(item[0]))]
        rows.append(DotRow(words(task), dots, next(iter(by_shots.values())).chance))
    entries = [("dot", css[k], f"K = {k}") for k in shots] + [("tick", "", "chance")]
    return charts.dot_rows("Few-shot scores with intervals", rows, entries, "accuracy", (0.0, 1.0))


def reliability(results: Results, task: str) -> Figure:
    """With as many examples as were asked for."""
    by_shots = results.evaluation.few_shot[task]
    most = max(by_shots, key=int)
    calibration = by_shots[most].calibration
    assert calibration is not None
    return reliability_diagram(f"{words(task)}, K = {most}", calibration.model_dump())


def study(name: str, summary: dict[str, Any]) -> Figure:
    """Mean and interval of each arm over its seeds; the baseline is in grey, an arm that diverged stands empty."""
    rows = []
    for arm, values in summary["arms"].items():
        css = "grey" if arm == summary["baseline"] else "blue"
        rows.append(DotRow(words(arm), [_arm_dot(words(arm), values, css)] if values["mean"] is not None else [], None))
    title = f"{metric(summary['metric'])} ({summary['direction']} is better)"
    return charts.dot_rows(f"Study {words(name)}: {summary['verdict']}", rows, [], title)


def _arm_dot(arm: str, values: dict[str, Any], css: str) -> Dot:
    mean = values["mean"]
    if values["low"] is None:
        return Dot(mean, mean, mean, css, f"{arm}: {mean:.4f} (no interval)")
    return Dot(mean, values["low"], values["high"], css, f"{arm}: {mean:.4f} ({values['low']:.4f} to {values['high']:.4f})")
