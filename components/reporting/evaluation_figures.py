"""Figures of one task's scores: how sure against how often right, and score against the number of examples."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.reporting import svg
from components.reporting.svg import WIDTH_PX, Axis, Figure
from components.reporting.text import interval

LEFT_PX, RIGHT_PX = 52, 14
PLOT_TOP_PX, PLOT_BOTTOM_PX = 34, 284
COUNT_BASE_PX, COUNT_MAX_PX = 366, 34  # where bars of counts stand, and how high the longest is
CURVE_TOP_PX, CURVE_BOTTOM_PX = 54, 300


def reliability_diagram(name: str, calibration: Mapping[str, Any]) -> Figure:
    """Share of right answers against the mean probability of the answers chosen, by bin, with intervals; below, the items of each bin.

    Args:
        name: of the task.
        calibration: as ``evaluation.calibration.reliability`` makes it.
    """
    error, rows = calibration["expected_calibration_error"], calibration["bins"]
    items = sum(row["items"] for row in rows)
    figure = Figure(f"Reliability of {name}: expected calibration error {error:.3f} over {items} items", COUNT_BASE_PX + 42)
    x_axis, y_axis = Axis(0.0, 1.0, LEFT_PX, WIDTH_PX - RIGHT_PX), Axis(0.0, 1.0, PLOT_BOTTOM_PX, PLOT_TOP_PX)
    ticks = [(tick, f"{tick:g}") for tick in x_axis.ticks()]
    figure.add(
        svg.left_axis(y_axis, LEFT_PX, WIDTH_PX - RIGHT_PX, ticks, f"{name}: share right"),
        svg.bottom_axis(x_axis, PLOT_TOP_PX, COUNT_BASE_PX, ticks, "probability of the answer chosen"),
        svg.path([(x_axis.at(0.0), y_axis.at(0.0)), (x_axis.at(1.0), y_axis.at(1.0))], "grey dashed"),
        svg.text(WIDTH_PX - RIGHT_PX, PLOT_TOP_PX - 10, f"ECE {error:.3f}, {items:,} items", class_="strong", text_anchor="end"),
        svg.text(LEFT_PX - 6, COUNT_BASE_PX - 4, "items", class_="tick", text_anchor="end"),
    )
    for row in rows:
        figure.add(*_bin(row, x_axis, y_axis), *_bin_count(row, x_axis, max(other["items"] for other in rows)))
    return figure


def _bin(row: Mapping[str, Any], x_axis: Axis, y_axis: Axis) -> list[str]:
    x, share = x_axis.at(row["probability"]), row["share_right"]
    note = f"probability {row['probability']:.3f}: right {share:.3f} ({interval(row['low'], row['high'])}), {row['items']} items"
    return [
        svg.tag("line", class_="whisker blue", x1=x, x2=x, y1=y_axis.at(row["low"]), y2=y_axis.at(row["high"])),
        svg.mark("dot", x, y_axis.at(share), "blue", note),
    ]


def _bin_count(row: Mapping[str, Any], x_axis: Axis, most: int) -> list[str]:
    left, right = x_axis.at(row["bin_low"]), x_axis.at(row["bin_high"])
    top = COUNT_BASE_PX - max(COUNT_MAX_PX * row["items"] / most, 1.0)
    return [
        svg.tag("rect", class_="fill blue faint", x=left + 1, y=top, width=right - left - 2, height=COUNT_BASE_PX - top),
        svg.text((left + right) / 2, top - 4, f"{row['items']:,}", class_="tick", text_anchor="middle"),
    ]


def shots_curve(name: str, facts: Mapping[str, Any]) -> Figure:
    """Score against K with intervals, right labels beside shuffled ones, and chance.

    Args:
        facts: as ``evaluation.in_context.measure`` makes them.
    """
    rows = {int(shots): row for shots, row in facts["shots"].items()}
    lines = {
        ("blue", "labels as they are"): rows,
        ("orange", "labels shuffled"): {shots: row["control"] for shots, row in rows.items() if "control" in row},
    }
    chance = [] if facts["chance"] is None else [("dashes", "grey", "chance")]
    figure = Figure(f"In-context learning on {name}: {facts['verdict']}", CURVE_BOTTOM_PX + 42)
    x_axis = Axis(1.0, max(rows) + 1.0, LEFT_PX + 10, WIDTH_PX - RIGHT_PX - 10, log=True)
    y_axis = Axis(0.0, 1.0, CURVE_BOTTOM_PX, CURVE_TOP_PX)
    figure.add(
        svg.legend([("dot", *line) for line in lines] + chance, LEFT_PX, 2)[0],
        svg.left_axis(y_axis, LEFT_PX, WIDTH_PX - RIGHT_PX, [(tick, f"{tick:g}") for tick in y_axis.ticks()], f"{name}: {facts['metric']}"),
        svg.bottom_axis(x_axis, CURVE_TOP_PX, CURVE_BOTTOM_PX, [(k + 1.0, str(k)) for k in rows], "K, examples in the prompt"),
    )
    if facts["chance"] is not None:
        y = y_axis.at(facts["chance"])
        figure.add(svg.path([(LEFT_PX, y), (WIDTH_PX - RIGHT_PX, y)], "grey dashed"))
    for number, ((css, title), points) in enumerate(lines.items()):
        figure.add(*_curve(points, x_axis, y_axis, css, title, shift_px=4.0 * number))
    return figure


def _curve(points: Mapping[int, Mapping[str, Any]], x_axis: Axis, y_axis: Axis, css: str, title: str, shift_px: float) -> Sequence[str]:
    """Whiskers of two curves stand a little apart."""
    at = {shots: x_axis.at(shots + 1.0) + shift_px for shots in points}
    parts = [svg.path([(at[shots], y_axis.at(row["score"])) for shots, row in points.items()], css)]
    for shots, row in points.items():
        note = f"K = {shots}, {title}: {row['score']:.3f} ({interval(row['low'], row['high'])}), {row['mean_shots_used']:.1f} fitted"
        parts.append(
            svg.tag("line", class_=f"whisker {css}", x1=at[shots], x2=at[shots], y1=y_axis.at(row["low"]), y2=y_axis.at(row["high"]))
        )
        parts.append(svg.mark("dot", at[shots], y_axis.at(row["score"]), css, note))
    return parts
