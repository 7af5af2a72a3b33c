"""Pass rates against compute, after figure 2 of the GPT-4 report, and falsehoods over sizes."""

from components.reporting import svg
from components.reporting.capability_results import BucketForecast, Capability, CurvePoint
from components.reporting.svg import WIDTH_PX, Axis, Figure
from components.reporting.text import interval, power, words

BUCKET_COLOURS = {"easy": "teal", "hard": "purple"}
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX, HEIGHT_PX = 44, WIDTH_PX - 12, 52, 326, 374


def draw_capability(capability: Capability) -> dict[str, Figure]:
    """A figure for each task whose easy or hard problems every small model solves, and one of the falsehoods."""
    tasks = dict.fromkeys(bucket.task for bucket in capability.forecast.buckets if bucket.models and bucket.name in BUCKET_COLOURS)
    return {f"capability_{task}": pass_rates(capability, task) for task in tasks} | {"capability_falsehood": falsehood(capability)}


def pass_rates(capability: Capability, task: str) -> Figure:
    """-E[log pass rate] of the easy and the hard problems, both axes logarithmic: small models, sealed law with band, the target's star."""
    known = [bucket for bucket in capability.forecast.buckets if bucket.task == task and bucket.models]
    buckets = {bucket.name: bucket for bucket in known if bucket.name in BUCKET_COLOURS}
    actual = {score.name: score.actual for score in capability.score.buckets if score.task == task}
    values = [value for name, bucket in buckets.items() for value in _values(bucket, actual[name])]
    flops = [model.train_flops for model in capability.forecast.models] + [capability.forecast.target.train_flops]
    x_axis, y_axis = _axes(flops, (min(values) * 0.9, max(values) * 1.12))
    figure = Figure(_label(capability, task), HEIGHT_PX)
    figure.add(
        svg.left_axis(y_axis, LEFT_PX, RIGHT_PX, [(tick, f"{tick:g}") for tick in y_axis.ticks(6)], "−mean log pass rate, nats"),
        svg.bottom_axis(x_axis, TOP_PX, BOTTOM_PX, [(tick, power(tick, 0)) for tick in x_axis.ticks()], "training compute, FLOP"),
        svg.legend(
            [("dot", BUCKET_COLOURS[name], f"{name} problems") for name in buckets] + [("star", "orange", "the largest model")], 8, 2
        )[0],
    )
    for name, bucket in buckets.items():
        figure.add(*_bucket(capability, bucket, BUCKET_COLOURS[name], x_axis, y_axis))
    for name, value in actual.items():
        if name in buckets and value:
            at = x_axis.at(capability.forecast.target.train_flops), y_axis.at(value)
            figure.add(svg.mark("star", *at, "orange", f"{name}: {value:.3f}"), svg.text(at[0] + 12, at[1] + 4, name, class_="strong"))
    return figure


def _values(bucket: BucketForecast, actual: float | None) -> list[float]:
    curve = bucket.forecast.curve if bucket.forecast else []
    ends = [value for point in curve for value in (point.low, point.high)]
    return [model.minus_log_pass for model in bucket.models] + ends + ([actual] if actual else [])


def _axes(flops: list[float], ends: tuple[float, float]) -> tuple[Axis, Axis]:
    return Axis(min(flops) / 1.5, max(flops) * 3.2, LEFT_PX, RIGHT_PX, log=True), Axis(*ends, BOTTOM_PX, TOP_PX, log=True)


def _bucket(capability: Capability, bucket: BucketForecast, css: str, x_axis: Axis, y_axis: Axis) -> list[str]:
    drawn = _law(bucket.forecast.curve, css, x_axis, y_axis) if bucket.forecast else []
    flops = {model.name: model.train_flops for model in capability.forecast.models}
    for model in bucket.models:
        note = f"{model.name}, {bucket.name}: {model.minus_log_pass:.3f}"
        drawn.append(svg.mark("dot", x_axis.at(flops[model.name]), y_axis.at(model.minus_log_pass), css, note))
    return drawn


def _law(curve: list[CurvePoint], css: str, x_axis: Axis, y_axis: Axis) -> list[str]:
    upper = [(x_axis.at(point.train_flops), y_axis.at(point.high)) for point in curve]
    lower = [(x_axis.at(point.train_flops), y_axis.at(point.low)) for point in curve]
    last = curve[-1]
    note = f"forecast: {last.minus_log_pass:.3f} ({interval(last.low, last.high)})"
    return [
        svg.tag("polygon", class_=f"band {css}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in upper + lower[::-1])),
        svg.path([(x_axis.at(point.train_flops), y_axis.at(point.minus_log_pass)) for point in curve], f"{css} dashed"),
        svg.mark("ring", x_axis.at(last.train_flops), y_axis.at(last.minus_log_pass), css, note),
    ]


def _label(capability: Capability, task: str) -> str:
    told = [
        f"{score.name}: forecast {score.forecast:.3f}, reached {score.actual:.3f}"
        for score in capability.score.buckets
        if score.task == task and score.forecast is not None and score.actual is not None
    ]
    return f"Minus mean log pass rate of {words(task)} against compute; " + ("; ".join(told) or "no forecast was possible")


def falsehood(capability: Capability) -> Figure:
    """Share of falsehoods answered right, against compute, with intervals; the line is a guess between both answers."""
    rows = capability.score.falsehood.models
    x_axis = Axis(min(row.train_flops for row in rows) / 1.5, max(row.train_flops for row in rows) * 3.2, LEFT_PX, RIGHT_PX, log=True)
    y_axis = Axis(0.0, 1.0, BOTTOM_PX, TOP_PX)
    figure = Figure(f"Sums that the text repeats wrongly: the share of right answers {capability.score.falsehood.shows}", HEIGHT_PX)
    title = "right answer likelier than the repeated one, share"
    figure.add(
        svg.left_axis(y_axis, LEFT_PX, RIGHT_PX, [(tick, f"{tick:g}") for tick in y_axis.ticks()], title),
        svg.bottom_axis(x_axis, TOP_PX, BOTTOM_PX, [(tick, power(tick, 0)) for tick in x_axis.ticks()], "training compute, FLOP"),
        svg.tag("line", class_="reference", x1=LEFT_PX, x2=RIGHT_PX, y1=y_axis.at(0.5), y2=y_axis.at(0.5)),
        svg.path([(x_axis.at(row.train_flops), y_axis.at(row.share_right)) for row in rows], "blue"),
    )
    for row in rows:
        x, note = x_axis.at(row.train_flops), f"{row.name}: {row.share_right:.3f} ({interval(row.low, row.high)})"
        figure.add(svg.tag("line", class_="whisker blue", x1=x, x2=x, y1=y_axis.at(row.low), y2=y_axis.at(row.high)))
        is_target = row is rows[-1]
        figure.add(svg.mark("star" if is_target else "dot", x, y_axis.at(row.share_right), "orange" if is_target else "blue", note))
    return figure
