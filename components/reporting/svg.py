"""Small pieces of inline SVG: axes, marks, legends. Colours are classes of figure.css, so that light and dark both work.

Drawn by hand rather than by a plotting library: the bytes depend on the numbers alone, text stays text in the reader's
font, and a colour scheme is the page's business. All coordinates are pixels of the figure's own view box, y downwards.
"""

import math
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

WIDTH_PX = 520
CHAR_PX = 7.0  # mean advance of figure text at the 14 px of narrow screens; less elsewhere
LINE_PX = 18
STAR_PX = 9.0
STAR = (5, 0.45, 0.0)  # tips, inner radius, turn
OUTLINES = {
    "orange": (5.8, 4, 0.707, math.pi / 4),
    "teal": (6.0, 3, 0.5, 0.0),
    "purple": (5.8, 4, 0.707, 0.0),
    "gold": (6.0, 3, 0.5, math.pi),
    "red": (6.4, 4, 0.35, 0.0),
    "brown": (6.4, 4, 0.35, math.pi / 4),
}
"""Colour -> radius in pixels, tips, inner radius and turn of its points, so that colour is never all that tells two series apart:
square, triangle, diamond, triangle on its tip, cross, saltire; others are circles."""
Entry = tuple[str, str, str]
"""Shape, class and name of a series in a legend."""
FIGURE_CSS = Path(__file__).with_name("figure.css").read_text(encoding="utf-8")


def tag(name: str, content: str = "", **attributes: object) -> str:
    """One element. ``content`` is markup; attribute values are escaped; ``class_`` and ``text_anchor`` become their SVG names."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"' for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """A line of text; ``content`` is plain and is escaped here."""
    return tag("text", escape(content), x=x, y=y, **attributes)


def tooltip(content: str) -> str:
    """What a pointer resting on the mark shows."""
    return tag("title", escape(content))


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Figure:
    """A drawing and the sentence that stands for it where it cannot be seen."""

    label: str
    height: float
    parts: list[str] = field(default_factory=list)

    def add(self, *parts: str) -> None:
        """Draw on top of what is there."""
        self.parts.extend(parts)

    def inline(self) -> str:
        """The element for an HTML page that holds ``FIGURE_CSS``."""
        return self._element("")

    def standalone(self) -> str:
        """The text of an .svg file, with a background of its own: a browser would show dark colours on white."""
        return self._element(tag("style", FIGURE_CSS + ".figure { background: var(--paper); }")) + "\n"

    def _element(self, style: str) -> str:
        return tag(
            "svg",
            style + "".join(self.parts),
            xmlns="http://www.w3.org/2000/svg",
            class_="figure",
            viewBox=f"0 0 {WIDTH_PX} {self.height:.0f}",
            role="img",
            aria_label=self.label,
        )


@dataclass(frozen=True)
class Axis:
    """Maps values in [low, high] to pixels in [start_px, end_px], evenly or by logarithm."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def at(self, value: float) -> float:
        """Pixel of a value."""
        low, high, value = (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        share = (value - low) / (high - low)
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values inside the axis: decades (with 2 and 5 where there are few) of a wide logarithmic axis, else even steps."""
        if self.log and self.high / self.low > 8:
            return self._decades(wanted)
        step = _round_step((self.high - self.low) / wanted)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]

    def _decades(self, wanted: int) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for mantissas in ((1,), (1, 3), (1, 2, 5)):
            found = [m * 10.0**e for e in exponents for m in mantissas if self.low <= m * 10.0**e <= self.high]
            if len(found) >= min(wanted, 3):
                break
        return found


def padded(values: list[float], share: float = 0.06) -> tuple[float, float]:
    """Lowest and highest value with some room beyond both."""
    low, high = min(values), max(values)
    room = share * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _round_step(raw: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)


def bottom_axis(axis: Axis, top_px: float, bottom_px: float, labels: list[tuple[float, str]], title: str) -> str:
    """Vertical grid lines with their labels below, and the axis title under them."""
    parts = []
    for value, label in labels:
        x = axis.at(value)
        parts.append(tag("line", class_="grid", x1=x, x2=x, y1=top_px, y2=bottom_px))
        parts.append(text(x, bottom_px + 15, label, class_="tick", text_anchor="middle"))
    middle = (axis.start_px + axis.end_px) / 2
    return "".join(parts) + text(middle, bottom_px + 33, title, class_="axis", text_anchor="middle")


def left_axis(axis: Axis, left_px: float, right_px: float, labels: list[tuple[float, str]], title: str) -> str:
    """Horizontal grid lines with their labels on the left, and the axis title above them."""
    parts = [text(left_px - 36, axis.end_px - 10, title, class_="axis")]
    for value, label in labels:
        y = axis.at(value)
        parts.append(tag("line", class_="grid", x1=left_px, x2=right_px, y1=y, y2=y))
        parts.append(text(left_px - 6, y + 4, label, class_="tick", text_anchor="end"))
    return "".join(parts)


def legend(entries: list[Entry], left_px: float, top_px: float) -> tuple[str, float]:
    """Each entry's mark and name, wrapped to the figure's width; also returns the y below them."""
    parts, x, y = [], left_px, top_px
    for shape, css, name in entries:
        width = 18 + len(name) * CHAR_PX + 14
        if x > left_px and x + width > WIDTH_PX:
            x, y = left_px, y + LINE_PX
        parts.append(_key(shape, css, x, y))
        parts.append(text(x + 16, y + 10, name))
        x += width
    return "".join(parts), y + LINE_PX + 4


def _key(shape: str, css: str, x: float, y: float) -> str:
    """What stands for a series in a legend: its mark, or a ``swatch`` of its bars, a ``tick`` or ``dashes``."""
    if shape == "swatch":
        return tag("rect", class_=f"fill {css}", x=x, y=y, width=11, height=11, rx=2)
    if shape == "tick":
        return tag("line", class_="reference", x1=x + 5, x2=x + 5, y1=y, y2=y + 11)
    if shape == "dashes":
        return tag("line", class_=f"line dashed {css}", x1=x - 2, x2=x + 13, y1=y + 6, y2=y + 6)
    return mark(shape, x + 5.5, y + 5.5, css, "")


def mark(shape: str, x: float, y: float, css: str, note: str) -> str:
    """A point: ``dot`` or hollow ``ring``, each in the outline of its colour, or ``star``."""
    title = tooltip(note) if note else ""
    if shape == "star":
        return tag("polygon", title, class_=f"fill {css}", points=_outline(x, y, STAR_PX, *STAR))
    kind = f"{'ring' if shape == 'ring' else 'fill'} {css}"
    if css in OUTLINES:
        return tag("polygon", title, class_=kind, points=_outline(x, y, *OUTLINES[css]))
    return tag("circle", title, class_=kind, cx=x, cy=y, r=4.5)


def _outline(x: float, y: float, radius_px: float, tips: int, inner_share: float, turn: float) -> str:
    """Corners of a figure with so many tips, and as many corners between them at a share of the radius."""
    corners = [(radius_px * (1 if corner % 2 == 0 else inner_share), math.pi * (corner / tips - 0.5) + turn) for corner in range(2 * tips)]
    return " ".join(f"{x + radius * math.cos(angle):.1f},{y + radius * math.sin(angle):.1f}" for radius, angle in corners)


def path(points: list[tuple[float, float]], css: str) -> str:
    """A line through points."""
    return tag("polyline", class_=f"line {css}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))
