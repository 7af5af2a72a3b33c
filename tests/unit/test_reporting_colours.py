"""Series can be told apart by people who see colours otherwise, on light and on dark pages, and without colour by their marks."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from components.reporting import svg
from components.reporting.figures import COLOURS, RULE_COLOURS, SKIPPED, kept_by_rule
from tests.reporting_example import gather_example, write_example

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0, of linear RGB
SEEN_BY = {
    "most": np.eye(3),
    "protanopes": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopes": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])  # sRGB, D65
WHITE = TO_XYZ @ np.ones(3)
LEAST_DISTANCE = 14.0  # CIE 1976; about 2.3 is just noticeable between two fields that touch
LEAST_CONTRAST = 3.0  # of graphics with their background: WCAG 2.1, 1.4.11
LIGHT, DARK = svg.FIGURE_CSS.split("@media (prefers-color-scheme: dark)")


def linear(hex_colour: str) -> np.ndarray:
    channels = np.array([int(hex_colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    shares = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(shares > (6 / 29) ** 3, np.cbrt(shares), shares / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def palette(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(?:c-)?(blue|orange|teal|purple|red|gold|grey|brown|ink): (#[0-9a-f]{6})", css))


def test_the_measure_is_that_of_the_textbooks() -> None:
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    red, green = (lab(SEEN_BY["deuteranopes"] @ linear(colour)) for colour in ("#c05000", "#808000"))
    assert np.linalg.norm(red - green) < 0.5 * np.linalg.norm(lab(linear("#c05000")) - lab(linear("#808000")))


@pytest.mark.parametrize("css", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_no_two_colours_of_series_look_alike(css: str, eyes: str) -> None:
    seen = {name: lab(SEEN_BY[eyes] @ linear(colour)) for name, colour in palette(css).items()}
    assert set(seen) == {*COLOURS, *RULE_COLOURS.values()}
    distances = {(one, other): float(np.linalg.norm(seen[one] - seen[other])) for one, other in itertools.combinations(seen, 2)}
    assert min(distances.values()) >= LEAST_DISTANCE, sorted(distances.items(), key=lambda pair: pair[1])[:3]


@pytest.mark.parametrize("css", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_stands_out_from_the_paper(css: str) -> None:
    paper = re.findall(r"--paper: (#[0-9a-f]{6})", css)[0]
    for name, colour in palette(css).items():
        dark, light = sorted(float(TO_XYZ[1] @ linear(one)) for one in (colour, paper))
        assert (light + 0.05) / (dark + 0.05) >= LEAST_CONTRAST, name


def test_points_of_two_series_differ_without_colour() -> None:
    shapes = {css: re.sub(r'class="[^"]*"', "", svg.mark("dot", 0.0, 0.0, css, "")) for css in COLOURS}
    assert len(set(shapes.values())) == len(COLOURS)


def test_no_two_rules_share_a_colour_and_what_sources_skip_is_one_segment(tmp_path: Path) -> None:
    assert len(set(RULE_COLOURS.values())) == len(RULE_COLOURS)
    drawn = kept_by_rule(gather_example(write_example(tmp_path))).inline()
    assert f"{SKIPPED}: 35 documents" in drawn and "not utf8" not in drawn
