"""Reliability diagrams and curves against K: every number that counts can be read off the drawing."""

from statistics import fmean
from typing import Any
from xml.etree import ElementTree

from components.evaluation.calibration import reliability
from components.reporting.evaluation_figures import reliability_diagram, shots_curve
from components.reporting.svg import Figure

SVG = "{http://www.w3.org/2000/svg}"


def drawn(figure: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(figure.standalone())


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def dots(root: ElementTree.Element, css: str) -> list[tuple[float, float]]:
    """Middles of a series' points, which have a tooltip; those of the legend have none."""
    return [_middle(e) for e in root.iter() if e.attrib.get("class") == f"fill {css}" and e.find(f"{SVG}title") is not None]


def _middle(mark: ElementTree.Element) -> tuple[float, float]:
    if "cx" in mark.attrib:
        return float(mark.attrib["cx"]), float(mark.attrib["cy"])
    corners = [[float(value) for value in corner.split(",")] for corner in mark.attrib["points"].split()]
    return fmean(x for x, _ in corners), fmean(y for _, y in corners)


def test_a_calibrated_model_lies_on_the_diagonal() -> None:
    chosen = [(0.3, number < 3) for number in range(10)] + [(0.9, number < 900) for number in range(1000)]
    calibration = reliability([p for p, _ in chosen], [right for _, right in chosen], 10, 0.95)
    root = drawn(reliability_diagram("mine <b>", calibration))
    [diagonal] = [e.attrib["points"] for e in root.iter(f"{SVG}polyline") if "dashed" in e.attrib["class"]]
    (x0, y0), (x1, y1) = ([float(value) for value in point.split(",")] for point in diagonal.split())
    points = dots(root, "blue")
    assert len(points) == 2
    for x, y in points:
        assert abs((y - y0) / (y1 - y0) - (x - x0) / (x1 - x0)) < 0.001
    found = texts(root)
    assert {"10", "1,000", "items", "probability of the answer chosen", "mine <b>: share right", "ECE 0.000, 1,010 items"} <= set(found)
    assert root.attrib["aria-label"] == "Reliability of mine <b>: expected calibration error 0.000 over 1010 items"
    bars = sorted(float(e.attrib["height"]) for e in root.iter(f"{SVG}rect") if "faint" in e.attrib["class"])
    assert bars[0] < 2 < 30 < bars[1]


def score(value: float, shots: int) -> dict[str, Any]:
    return {"score": value, "low": value - 0.1, "high": value + 0.1, "mean_shots_used": float(shots)}


def test_both_curves_and_chance_are_drawn() -> None:
    rows = {"0": score(0.25, 0), "1": score(0.3, 1), "8": score(0.9, 8) | {"control": score(0.25, 8)}}
    facts: dict[str, Any] = {"metric": "accuracy", "chance": 0.25, "verdict": "learns from the examples", "shots": rows}
    root = drawn(shots_curve("mapping", facts))
    assert (len(dots(root, "blue")), len(dots(root, "orange"))) == (3, 1)
    heights = [y for _, y in dots(root, "blue")]
    assert heights[0] > heights[1] > heights[2] and abs(dots(root, "orange")[0][1] - heights[0]) < 0.1
    assert {"0", "1", "8", "labels as they are", "labels shuffled", "chance"} <= set(texts(root))
    assert root.attrib["aria-label"] == "In-context learning on mapping: learns from the examples"
    assert "chance" not in texts(drawn(shots_curve("mapping", {**facts, "chance": None})))


def test_a_figure_of_its_own_has_a_background_in_both_colour_schemes() -> None:
    text = reliability_diagram("mine", reliability([0.5], [True], 10, 0.95)).standalone()
    assert "background: var(--paper)" in text and "prefers-color-scheme: dark" in text
