"""The five kinds of chart that the report draws, from plain numbers."""

from dataclasses import dataclass

from components.reporting import svg
from components.reporting.svg import WIDTH_PX, Axis, Figure

LABEL_PX = 166  # column of row names at the left of bars and dot rows
ROW_PX = 30
STEP_PX, HEADING_PX = 20, 26  # a line of a flow, and the name above its lines
NOTE_PX = 150  # room for what stands after a step
RIGHT_PX = 14


@dataclass(frozen=True)
class Bar:
    """One horizontal bar; ``note`` stands after it."""

    name: str
    value: float
    note: str
    css: str


@dataclass(frozen=True)
class Segment:
    """One part of a stacked bar, as a share of the whole."""

    name: str
    share: float
    css: str
    note: str


@dataclass(frozen=True)
class Step:
    """One line of a flow: a bar from ``start`` to ``end``, shares of the whole, and what it stands for after it."""

    name: str
    start: float
    end: float
    note: str
    css: str


@dataclass(frozen=True)
class Dot:
    """A value with its interval."""

    value: float
    low: float
    high: float
    css: str
    note: str


@dataclass(frozen=True)
class DotRow:
    """Values to compare on one line, and what they are compared with, if anything."""

    name: str
    dots: list[Dot]
    reference: float | None


@dataclass(frozen=True)
class Line:
    """A curve; ``marks`` are points drawn on it, ``name`` stands at its end."""

    name: str
    points: list[tuple[float, float]]
    marks: list[tuple[float, float]]
    css: str
    label: bool


def bars(label: str, rows: list[Bar]) -> Figure:
    """Horizontal bars from zero, first row on top."""
    figure = Figure(label, len(rows) * ROW_PX + 6)
    axis = Axis(0.0, max(row.value for row in rows) or 1.0, LABEL_PX, WIDTH_PX - 70)
    for number, row in enumerate(rows):
        y = number * ROW_PX + 4
        figure.add(
            svg.text(LABEL_PX - 10, y + 16, row.name, text_anchor="end"),
            svg.tag("rect", class_=f"fill {row.css}", x=LABEL_PX, y=y, width=max(axis.at(row.value) - LABEL_PX, 1.0), height=22, rx=3),
            svg.text(axis.at(row.value) + 8, y + 16, row.note, class_="strong"),
        )
    return figure


def stacked_bars(label: str, rows: list[tuple[str, list[Segment]]], entries: list[tuple[str, str]]) -> Figure:
    """One bar per row, each split into shares of 1, with one legend for all (class, name)."""
    key, top = svg.legend([("swatch", css, name) for css, name in entries], 0, 2)
    figure = Figure(label, top + len(rows) * ROW_PX + 8, [key])
    axis = Axis(0.0, 1.0, LABEL_PX - 60, WIDTH_PX)
    for number, (name, segments) in enumerate(rows):
        y, start = top + number * ROW_PX + 6, 0.0
        figure.add(svg.text(LABEL_PX - 70, y + 15, name, text_anchor="end"))
        for segment in segments:
            x, end = axis.at(start), axis.at(start + segment.share)
            width = max(end - x - 1, 0.5)
            figure.add(svg.tag("rect", svg.tooltip(segment.note), class_=f"fill {segment.css}", x=x, y=y, width=width, height=22, rx=2))
            start += segment.share
    return figure


def flows(label: str, groups: list[tuple[str, list[Step]]]) -> Figure:
    """For each group its name, then its steps from top to bottom; what a step takes away hangs at the end of what is left."""
    figure = Figure(label, sum(HEADING_PX + STEP_PX * len(steps) for _, steps in groups) + 6)
    axis, y = Axis(0.0, 1.0, LABEL_PX, WIDTH_PX - NOTE_PX), 0.0
    for name, steps in groups:
        figure.add(svg.text(LABEL_PX - 10, y + 20, name, class_="strong", text_anchor="end"))
        y += HEADING_PX
        for step in steps:
            x, end = axis.at(step.start), max(axis.at(step.end), axis.at(step.start) + 1.0)
            figure.add(
                svg.text(LABEL_PX - 10, y + 13, step.name, text_anchor="end"),
                svg.tag(
                    "rect",
                    svg.tooltip(f"{step.name}: {step.note}"),
                    class_=f"fill {step.css}",
                    x=x,
                    y=y + 2,
                    width=end - x,
                    height=14,
                    rx=2,
                ),
                svg.text(end + 6, y + 13, step.note),
            )
            y += STEP_PX
    return figure


def dot_rows(label: str, rows: list[DotRow], entries: list[svg.Entry], title: str, limits: tuple[float, float] | None = None) -> Figure:
    """Dots with intervals, one line of text per row; the dots of a row stand a little apart. ``limits`` fixes the axis."""
    key, top = svg.legend(entries, 0, 2) if entries else ("", 6)
    heights = [max(ROW_PX - 6, 13 * len(row.dots) + 8) for row in rows]
    bottom = top + sum(heights) + 6
    figure = Figure(label, bottom + 42, [key])
    found = [value for row in rows for dot in row.dots for value in (dot.low, dot.high)] + [
        r.reference for r in rows if r.reference is not None
    ]
    axis = Axis(*(limits or svg.padded(found or [0.0, 1.0])), LABEL_PX, WIDTH_PX - RIGHT_PX)
    figure.add(svg.bottom_axis(axis, top, bottom, [(tick, f"{tick:g}") for tick in axis.ticks()], title))
    y = top + 4.0
    for row, height in zip(rows, heights, strict=True):
        figure.add(_dot_row(row, axis, y, height))
        y += height
    return figure


def _dot_row(row: DotRow, axis: Axis, top: float, height: float) -> str:
    middle = top + height / 2
    parts = [svg.text(LABEL_PX - 12, middle + 4, row.name, text_anchor="end")]
    if row.reference is not None:
        x = axis.at(row.reference)
        parts.append(svg.tag("line", class_="reference", x1=x, x2=x, y1=top + 2, y2=top + height - 2))
    for number, dot in enumerate(row.dots):
        y = middle + 13 * (number - (len(row.dots) - 1) / 2)
        parts.append(svg.tag("line", class_=f"whisker {dot.css}", x1=axis.at(dot.low), x2=axis.at(dot.high), y1=y, y2=y))
        parts.append(svg.mark("dot", axis.at(dot.value), y, dot.css, dot.note))
    return "".join(parts)


def line_chart(label: str, lines: list[Line], x_labels: list[tuple[float, str]], x_title: str, y_title: str) -> Figure:
    """Curves over a logarithmic x axis."""
    figure = Figure(label, 320)
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points + line.marks]
    x_axis = Axis(min(xs), max(xs), 44, WIDTH_PX - 66, log=True)
    y_axis = Axis(*svg.padded(ys, 0.04), 272, 26)
    shown = [(x, name) for x, name in x_labels if x_axis.low <= x <= x_axis.high]
    figure.add(
        svg.left_axis(y_axis, 44, WIDTH_PX - 66, [(tick, f"{tick:g}") for tick in y_axis.ticks()], y_title),
        svg.bottom_axis(x_axis, 26, 272, shown, x_title),
    )
    for line in lines:
        points = [(x_axis.at(x), y_axis.at(y)) for x, y in line.points]
        figure.add(svg.path(points, line.css))
        figure.add(*(svg.mark("ring", x_axis.at(x), y_axis.at(y), line.css, f"{line.name}: held-out {y:.3f}") for x, y in line.marks))
        if line.label:
            figure.add(svg.text(points[-1][0] + 7, points[-1][1] + 4, line.name, class_="strong"))
    return figure
